"""Things that are closed at the end of a ``with`` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from .backend import Running


class Closing(ABC):
    """A context manager that closes itself at the end. After an exception the files of a trace are as they were."""

    _backend: Running

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._backend.discard_trace()
        self.close()

    @abstractmethod
    def close(self) -> None:
        """End what this stands for."""
