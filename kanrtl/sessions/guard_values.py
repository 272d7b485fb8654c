"""What a guard's registers hold, as users of a session see it: in units of errors, and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError, cut, join_choices
from ..learner.guard_report import GuardReport
from ..learner.guard_settings import LIMITS, GuardSettings
from ..learner.spec import LearnerSpec

__all__ = ["changed_limits", "describe_guard", "explain_fault", "limit_codes", "settings_of"]


def settings_of(spec: LearnerSpec, name: str) -> GuardSettings:
    """The settings of a spec's guard; raise :exc:`InputError`, for what is called ``name``, where it has none."""
    guard: GuardSettings | None = spec.guard
    if guard is None:
        raise InputError(f"{name}: the spec has no guard; set guard in it")
    return guard


def describe_guard(spec: LearnerSpec, report: GuardReport) -> dict[str, Any]:
    """What a guard says, with errors as their mean over a window."""
    unit = spec.formats.layers[-1].gradient.lsb / settings_of(spec, "guard").window
    return {
        "fault": report.fault,
        "seen": list(report.seen),
        "counts": report.counts,
        "error": report.error_sum * unit,
        "limits": {
            name: code * unit if name in ("error", "stagnant_error") else code for name, code in report.limits.items()
        },
    }


def explain_fault(spec: LearnerSpec, read: Callable[[], GuardReport]) -> str | None:
    """What the guard has seen, as it is ``read``, while there is a fault; None without one."""
    report = None if spec.guard is None else read()
    return f"the guard has seen {join_choices(report.seen, 'and')}" if report is not None and report.fault else None


def changed_limits(spec: LearnerSpec, read: Callable[[], GuardReport]) -> dict[str, float]:
    """The limits of the guard, as it is ``read``, that are not those of the spec; none without a guard."""
    if spec.guard is None:
        return {}
    report = read()
    given = spec.guard.codes(spec.n_out, spec.formats.layers[-1].gradient, spec.counts)
    limits = describe_guard(spec, report)["limits"]
    return {name: limits[name] for name, code in report.limits.items() if code != given[name]}


def limit_codes(spec: LearnerSpec, limits: Mapping[str, Any], read: Callable[[], GuardReport]) -> dict[str, int]:
    """What the registers of some limits are to hold; raise :exc:`InputError` where one cannot be had, or the one limit
    of stagnation is off, as the guard is ``read``, and the other is not."""
    settings = settings_of(spec, "set_limits")
    for name, value in limits.items():
        if name not in LIMITS:
            raise InputError(f"{name} = {cut(value)}: the guard has no such limit; it has {', '.join(LIMITS)}")
    beside: dict[str, float] = {}
    if ("stagnant_error" in limits) != ("stagnant_lost" in limits):
        # A register holds more than a limit may be, as a bus can write it; all that matters of the other limit of
        # stagnation is whether it is off.
        held = describe_guard(spec, read())["limits"]
        least = {"stagnant_error": spec.formats.layers[-1].gradient.lsb / settings.window, "stagnant_lost": 1}
        given, other = sorted(least, key=limits.__contains__, reverse=True)
        if limits[given] == 0 and held[other]:
            why = f"{other} is {held[other]:g}, and stagnation is a high error while updates are lost"
            raise InputError(f"{given} = {cut(limits[given])}: {why}; set both, or neither")
        beside = {other: least[other] * (held[other] > 0)}
    wanted = GuardSettings.of({"window": settings.window, **beside, **limits})
    wanted.warn(spec.n_out, spec.largest_gradients, spec.interval)
    codes = wanted.codes(spec.n_out, spec.formats.layers[-1].gradient, spec.counts)
    return {name: codes[name] for name in limits}
