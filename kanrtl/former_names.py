"""Names that programs and pickles know from before the packages were arranged in storeys."""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from . import lookup, transfer
from .sessions import connect, network_session

_MODULES = {
    "arithmetic": "learner.arithmetic",
    "estimators.online": "estimators",
    "fixed": "numeric.fixed",
    "lookup.calibration": "lookup.floats.calibration",
    "lookup.estimators": "estimators.frozen",
    "lookup.freeze": "transfer",
    "lookup.pruning": "lookup.floats.pruning",
    "lookup.searching": "lookup.floats.search",
    "lookup.size": "lookup.rtl.size",
    "lookup.splines": "lookup",
    "lookup.start": "transfer",
    "lookup.training": "lookup",
    "online": "estimators.scaled_learner",
    "scaling": "estimators.scaling",
    "schedule": "learner.schedule",
    "spec": "learner.spec",
    "spline": "numeric.spline",
    "sessions.model": "sessions.standalone_model",
    "sweep": "learner.folded_schedule",
}
"""Modules that pickled estimators, networks and specs name."""

_CLASSES = {"Sweep": "Passes", "SweptSchedule": "FoldedSchedule"}


class _FormerModule(ModuleType):
    """A module under its former name; the one that has taken its place is imported when it is asked for a name."""

    def __init__(self, name: str, now: str) -> None:
        super().__init__(name)
        self._now = now

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked of every module by tools that look at all of them
            raise AttributeError(name)
        return getattr(import_module(self._now), _CLASSES.get(name, name))


def keep_former_names() -> None:
    """Let what was importable from :mod:`kanrtl.lookup` be so still, and pickles of former versions be read."""
    for name in transfer.__all__:
        setattr(lookup, name, getattr(transfer, name))
    lookup.connect_network = connect.connect_network  # type: ignore[attr-defined]
    lookup.LookupSession = network_session.LookupSession  # type: ignore[attr-defined]
    for former, now in _MODULES.items():
        name = f"{__package__}.{former}"
        sys.modules.setdefault(name, _FormerModule(name, f"{__package__}.{now}"))
