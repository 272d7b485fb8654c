"""One call of a session at a time, whichever thread it comes from: another waits until it has ended, and none begins
once the session is closed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

Kind = TypeVar("Kind", bound=type[Any])


def exclusive(besides: Collection[str]) -> Callable[[Kind], Kind]:
    """Let the public methods and properties of a class of sessions take the lock of their session, and refuse with
    :exc:`RuntimeError` what is called after ``close``.

    Those ``besides`` do it themselves where they must: a frame more for every sample would cost more than the lock.
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
            if function.__name__ != "close":  # which may be called twice, as of any file
                session._check_open()
            return function(session, *arguments, **options)

    return call
