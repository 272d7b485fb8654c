"""The best way to make a network on a device: settings are compared by estimate, and the best are placed and routed.

An estimate takes a moment and a build minutes, so a search places few: the best by estimate, then the neighbours of the
best that was found. The same search gives the same result: nothing in it is left to chance but the seed of placement,
which is given.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, cast, get_args

from ..cache import find_entries, writable_cache
from ..errors import BuildError, InputError
from ..fabric.device import Device
from ..files import write_whole
from ..lookup.network import LookupNetwork
from ..lookup.rtl.bound import bound_core
from ..lookup.rtl.folding import Folding, drop_defaults, schedule_core
from ..lookup.rtl.network_estimate import NetworkEstimate, estimate_period, estimate_schedule
from ..lookup.rtl.network_plan import plan_layers
from ..progress import Progress
from ..tools.toolchain import YOSYS
from ..version import __version__
from .design_builds import build_network
from .network_capacity import check_network_fits
from .network_settings import list_memories, list_reuse_factors, list_whole_layers
from .report import Report
from .shortage import ShortageError

Goal = Literal["ns", "lut", "mhz", "interval"]
"""What is to be best: the time of a prediction, the LUTs (then the time), the clock, the time from one prediction to
the next."""

_MOST_LATENCY = 8
"""How many latencies of a kind are compared: more registers than that have never been faster."""

_ALIKE = 3
"""How many settings that differ in latency alone are placed before the neighbours of the best."""

_VERSION = 1
"""Goes into the hash of a search; to be raised when it would find something else."""


@dataclass(frozen=True)
class Setting:
    """How a network can be made on a device, and what is expected of it.

    Attributes
    ----------
    options : dict
        Parameters of :class:`kanrtl.LookupCore`, by which it can be made again.
    estimate : NetworkEstimate
        What it takes, by estimate.
    """

    options: dict[str, Any]
    estimate: NetworkEstimate

    def score(self, goal: Goal) -> tuple[float, float]:
        """Give what is to be least, by estimate."""
        found = self.estimate
        return _score(goal, found.step_ns, found.lut, found.step_ns / found.latency, found.interval)


@dataclass(frozen=True)
class Optimum:
    """What a search has found.

    Attributes
    ----------
    goal : str
        What was to be best.
    options : dict
        The parameters of :class:`kanrtl.LookupCore` with which it is.
    report : Report
        What placing and routing it gave.
    placer : str or None
        The placer with which it is; None for nextpnr's own choice.
    trials : tuple of dict
        What was placed, in order: its ``options`` and ``placer``, and its ``step_ns``, ``fmax_mhz``, ``lut`` and
        ``bram``.
    """

    goal: Goal
    options: dict[str, Any]
    placer: str | None
    report: Report
    trials: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """The search as a dictionary that :mod:`json` can write."""
        about = {"goal": self.goal, "options": self.options, "placer": self.placer}
        return about | {"trials": list(self.trials)}

    @property
    def words(self) -> str:
        """What repeats it on the command line."""
        return describe_options(self.options | ({"placer": self.placer} if self.placer else {}))


def optimise_network(
    network: LookupNetwork,
    device: str,
    goal: str = "ns",
    *,
    seed: int = 1,
    frequency: float | None = None,
    register_ports: bool = False,
    placer: str | None = None,
    wide_luts: bool = False,
    builds: int = 7,
    progress: Progress | None = None,
    **fixed: Any,
) -> Optimum:
    """Find the latency, the memories, the layers that are one table and the reuse of ports with which a network is best
    on a device.

    Parameters
    ----------
    network, device
        As for :func:`kanrtl.build.build_network`.
    goal : ``"ns"``, ``"lut"``, ``"mhz"`` or ``"interval"``
        What is to be best: the time of a prediction; the number of LUTs, and of equals the time; the clock; the time
        from one prediction to the next. Edges share ports only for ``"lut"``.
    seed, frequency, register_ports, placer, wide_luts
        What every build is made with, as for :func:`kanrtl.build.build_network`. Without a ``placer`` the best settings
        are also placed with ``static``.
    builds
        How many settings are placed and routed at most. Those that a tool finds too large count too.
    progress : callable, optional
        Told what begins.
    fixed
        Parameters of :class:`kanrtl.LookupCore` that are not to be changed, unless they are at their defaults. With
        ``memory`` no layers become one table.

    Raises
    ------
    InputError
        If there is no such goal, or a parameter cannot be.
    BuildError
        If the network does not fit the device.
    ToolError
        If a tool is missing or fails.
    """
    chosen = check_goal(goal)
    part = Device.parse(device)
    fixed = drop_defaults(network, fixed)
    told = progress or (lambda _: None)
    made_with: dict[str, Any] = {
        "seed": seed,
        "frequency": frequency,
        "register_ports": register_ports,
        "wide_luts": wide_luts,
    }

    def build(options: dict[str, Any], placer: str | None) -> Report:
        number = f"{next(numbers)} of at most {builds}"
        return build_network(
            network,
            device,
            progress=lambda message: told(f"{number}, {describe_options(options)}: {message}"),
            placer=placer,
            **made_with,
            **options,
        )

    numbers = count(1)
    trials: list[dict[str, Any]] = []
    name = f"{_digest(network, part, [chosen, builds, made_with, placer, fixed])}.json"
    for path in find_entries("optimised", name):
        with suppress(OSError, ValueError, KeyError, TypeError):  # not there, or damaged
            known = json.loads(path.read_text())
            # Searches that were kept before there was a digest have none.
            if known.pop("sha256", _hash_search(known)) != _hash_search(known):
                continue
            report = build(known["options"], known["placer"])
            return Optimum(chosen, known["options"], known["placer"], report, tuple(known["trials"]))
    told("comparing settings by estimate")
    settings = list_settings(network, part, chosen, **fixed)
    if not settings:
        check_network_fits(network, part, **fixed)
        raise BuildError(f"device = {device!r}: no setting was found with which the network fits")
    placed = _place_best(settings, chosen, builds, placer, build, trials)
    best = min(placed, key=lambda one: _measure(chosen, one.report))
    found = Optimum(chosen, best.options, best.placer, best.report, tuple(trials))
    with suppress(OSError):  # the next search takes longer, which is all
        content = found.to_json()
        kept = json.dumps(content | {"sha256": _hash_search(content)}, indent=1)
        write_whole(writable_cache("optimised") / name, kept.encode())
    return found


def _hash_search(found: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def check_goal(goal: str) -> Goal:
    """Return ``goal``; raise :exc:`InputError` if there is no such."""
    if goal not in get_args(Goal):
        raise InputError(f"optimise = {goal!r}: must be one of {', '.join(map(repr, get_args(Goal)))}")
    return cast(Goal, goal)


def describe_options(options: dict[str, Any]) -> str:
    """Give options as the command line takes them."""
    words = []
    for name, value in options.items():
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        words.append(f"--{name.replace('_', '-')} {text}")
    return " ".join(words)


def list_settings(network: LookupNetwork, device: Device, goal: Goal, **fixed: Any) -> list[Setting]:
    """List the settings with which a network fits, by estimate the best first. What is ``fixed`` at its default may be
    changed."""
    fixed = drop_defaults(network, fixed)
    found: list[Setting] = []
    seen = set()
    for kind in _list_kinds(network, goal, fixed):
        try:
            if bound_core(network, device, **kind).find_shortage(device) is not None:
                continue
            schedule = schedule_core(network, plan_layers(network), family=device.family, **kind)
            estimate = estimate_schedule(network, schedule, device, kind.get("whole_from"))
        except InputError:
            if kind == fixed:
                raise
            continue  # what cannot be had together
        block = None if isinstance(schedule, Folding) else schedule.block
        design = (block, kind.get("whole_from"), json.dumps(kind.get("reuse_factor")))
        if estimate.lacks is not None or design in seen:
            continue
        seen.add(design)
        if isinstance(schedule, Folding) or "latency" in fixed:
            found.append(Setting(kind | {"latency": estimate.latency}, estimate))
            continue
        last = min(len(schedule.positions), schedule.least + _MOST_LATENCY - 1)
        for latency in range(schedule.least, last + 1):
            other = schedule_core(network, plan_layers(network), latency, family=device.family, **kind)
            ns = round(latency * estimate_period(other, device), 1)
            found.append(Setting(kind | {"latency": latency}, estimate.with_latency(latency, ns)))
    return sorted(found, key=lambda one: (*one.score(goal), json.dumps(one.options)))


def _list_kinds(network: LookupNetwork, goal: Goal, fixed: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """List what can be chosen beside the latency."""
    yield fixed
    if not {"memory", "whole_from", "reuse_factor"} & set(fixed):
        yield from (fixed | {"whole_from": start} for start in list_whole_layers(network))
    if "memory" not in fixed and "reuse_factor" not in fixed:
        yield from (fixed | {"memory": memory} for memory in list_memories(network))
    if goal == "lut" and not {"whole_from", "reuse_factor", "latency"} & set(fixed):
        yield from (fixed | {"reuse_factor": factor} for factor in list_reuse_factors(network))


@dataclass(frozen=True)
class _Placed:
    """What was placed, and how."""

    options: dict[str, Any]
    placer: str | None
    report: Report


def _place_best(
    settings: list[Setting],
    goal: Goal,
    builds: int,
    placer: str | None,
    build: Callable[[dict[str, Any], str | None], Report],
    trials: list[dict[str, Any]],
) -> list[_Placed]:
    """Place the best settings by estimate, then the neighbours of the best so far, and this with another placer.

    What a tool finds too large is passed over. Raises :exc:`BuildError` where all are.
    """
    placed: list[_Placed] = []
    tried: list[dict[str, Any]] = []
    too_large: list[BuildError] = []

    def place(options: dict[str, Any], by: str | None) -> None:
        tried.append(options)
        try:
            report = build(options, by)
        except BuildError as error:
            if not isinstance(error.__cause__, ShortageError):
                raise
            too_large.append(error)
            return
        placed.append(_Placed(options, by, report))
        about = {name: getattr(report, name) for name in ("step_ns", "fmax_mhz", "lut", "bram")}
        trials.append({"options": options, "placer": by, **about})

    another = placer is None and goal != "lut"
    left = builds - 2 * another if builds > 2 else builds
    alike: dict[str, int] = {}
    for one in settings:
        kind = json.dumps({name: value for name, value in one.options.items() if name != "latency"})
        most = left - 1 if placed else builds
        if len(tried) < max(1, most) and alike.setdefault(kind, 0) < _ALIKE:
            alike[kind] += 1
            place(one.options, placer)
    if not placed:
        raise too_large[-1]
    known = [one.options for one in settings]
    while len(tried) < left:
        best = min(placed, key=lambda one: _measure(goal, one.report)).options
        near = [best | {"latency": best["latency"] + step} for step in (-1, 1)]
        new = [one for one in near if one in known and one not in tried]
        if not new:
            break
        place(new[0], placer)
    # What is placed otherwise may be faster with a register less: the two best are tried while there are builds left.
    ranked = sorted(placed, key=lambda one: _measure(goal, one.report))
    for best_so_far in ranked[: max(builds - len(tried), 0)] if another else ():
        place(best_so_far.options, "static")
    return placed


def _measure(goal: Goal, report: Report) -> tuple[float, float]:
    """Give what is to be least, as it was measured."""
    if report.step_ns is None or report.fmax_mhz is None or report.interval_cycles is None:
        return (float(report.lut), 0.0) if goal == "lut" else (float("inf"), float(report.lut))
    return _score(goal, report.step_ns, report.lut, 1000 / report.fmax_mhz, report.interval_cycles)


def _score(goal: Goal, step_ns: float, lut: int, period: float, interval: int) -> tuple[float, float]:
    return {
        "ns": (step_ns, float(lut)),
        "lut": (float(lut), step_ns),
        "mhz": (period, step_ns),
        "interval": (interval * period, step_ns),
    }[goal]


def _digest(network: LookupNetwork, part: Device, search: list[Any]) -> str:
    """Hash all that decides what a search finds."""
    about = [_VERSION, __version__, part.name, YOSYS.version(), part.place_and_route.version(), *search]
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, array in network.arrays():
        found.update(f"{name} {array.dtype} {array.shape} ".encode() + array.tobytes())
    return found.hexdigest()[:32]
