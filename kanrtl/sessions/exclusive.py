"""One call of a session at a time, whichever thread it comes from: another waits until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=type[Any])


def exclusive(besides: Collection[str]) -> Callable[[Kind], Kind]:
    """Let the public methods and properties of a class take the lock ``_lock`` of its instances, a
    :class:`threading.RLock`.

    Those ``besides`` take it themselves: a frame more for every sample would cost more than the lock.
    """

    def wrap(kind: Kind) -> Kind:
        for name, member in list(vars(kind).items()):
            if name.startswith("_") or name in besides:
                continue
            if isinstance(member, FunctionType):
                setattr(kind, name, _locked(member))
            elif isinstance(member, property):
                read, write = (accessor and _locked(accessor) for accessor in (member.fget, member.fset))
                setattr(kind, name, property(read, write, doc=member.__doc__))
        return kind

    return wrap


def _locked(function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def call(session: Any, *arguments: Any, **options: Any) -> Any:
        with session._lock:
            return function(session, *arguments, **options)

    return call
