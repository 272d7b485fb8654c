"""Backends, on which learners and networks run: one module each, with the name of the backend.

Every backend gives the same bits for the same calls. A module has a :class:`~kanrtl.sessions.backend.BackendKind`
called ``BACKEND``; nothing else has to know of it.
"""

from importlib import import_module

from ...discovery import modules_of
from ...errors import InputError
from ..backend import BackendKind

__all__ = ["BACKENDS", "load_backend"]

BACKENDS = modules_of(__path__, first=("model", "compiled", "pysim", "native"))
"""The names of all backends, from the simplest to the fastest, then those that were added."""


def load_backend(name: str) -> BackendKind:
    """The backend of that name; raises :exc:`kanrtl.InputError` where there is none.

    Its module is imported only now: a user of the integer model need not wait for simulators.
    """
    if name not in BACKENDS:
        raise InputError(
            f"backend = {name!r}: unknown; use one of {', '.join(map(repr, BACKENDS))}, or for a learner an address "
            "such as serial:///dev/ttyUSB0 or tcp://localhost:4000"
        )
    kind = import_module(f"{__name__}.{name}").BACKEND
    assert isinstance(kind, BackendKind)
    return kind
