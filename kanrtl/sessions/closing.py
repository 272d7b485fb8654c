"""Things that are closed at the end of a ``with`` block."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from threading import RLock
from types import TracebackType
from typing import Any, ClassVar, Never, Self

from ..errors import cut
from .backend import Running

_set = object.__setattr__


class SampleCount:
    """How many samples a session has sent. It changes with every one of them, and a session checks what is set."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 0


class Closing(ABC):
    """A context manager that closes itself at the end. After an exception the files of a trace are as they were."""

    _backend: Running
    _constants: ClassVar[tuple[str, ...]] = ("spec",)
    """What everyone may read, and only the constructor sets."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._closed = False

    def __setattr__(self, name: str, value: Any) -> None:
        # A name that is misspelt would set nothing, and no one would see it.
        if name[:1] != "_":
            self._check_setting(name, value)
        _set(self, name, value)

    def _check_setting(self, name: str, value: Any) -> None:
        if isinstance(getattr(type(self), name, None), property):
            return
        if name not in self._constants or name in self.__dict__:
            settings = [each for each in dir(type(self)) if getattr(getattr(type(self), each), "fset", None)]
            near = difflib.get_close_matches(name, settings, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(settings) or 'none'}"
            raise AttributeError(f"{name} = {cut(value)}: no such setting of a {type(self).__name__}; {hint}")

    def __reduce_ex__(self, _protocol: Any) -> Never:
        raise TypeError(
            f"a {type(self).__name__} is bound to what it runs on; connect another, which can load what a learner saves"
        )

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
