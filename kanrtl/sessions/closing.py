"""Things that are closed at the end of a ``with`` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import RLock
from types import TracebackType
from typing import Self

from .backend import Running


class Closing(ABC):
    """A context manager that closes itself at the end. After an exception the files of a trace are as they were."""

    _backend: Running

    def __init__(self) -> None:
        self._lock = RLock()
        self._closed = False

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
        self._closed = True
        self._backend.close()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this session is closed; connect again")
