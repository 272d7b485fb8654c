"""Builds of a learner from its spec, and of a lookup network, with what they leave to the device decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..baselines import BaselineSpec, create_learner
from ..baselines.kinds import check_memory
from ..boards import Board
from ..demos.self_check import SelfCheckTop
from ..demos.self_teaching import BoardTop
from ..errors import BuildError, SpecError
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec
from ..learner.stages import PRESETS
from ..link.board_top import LinkTop, check_link
from ..link.layout import BAUD
from ..lookup.network import LookupNetwork
from ..lookup.rtl.folding import Folding, schedule_core
from ..lookup.rtl.lookup_core import LookupCore, create_core
from ..lookup.rtl.network_estimate import estimate_period
from ..lookup.rtl.network_plan import plan_layers
from ..lookup.rtl.pipeline import Pipeline
from ..progress import Progress
from .bitstream import build_board
from .capacity import advise_built, advise_built_exercise, check_exercise_fits, check_fits
from .network_capacity import advise_built_network, check_network_bound, check_network_fits
from .out_of_context import build_core
from .report import Report, TimingError
from .shortage import ShortageError


@contextmanager
def _advise(advise: Callable[[ShortageError], str]) -> Iterator[None]:
    """Where only a tool finds that a design does not fit, say what is known of the design as well."""
    try:
        yield
    except ShortageError as error:
        raise BuildError(advise(error)) from error


def _facts(design: LearnerSpec | LookupCore | BaselineSpec) -> dict[str, int]:
    return {"latency_cycles": design.latency, "interval_cycles": design.interval}


def fit_spec(spec: LearnerSpec, device: Device) -> LearnerSpec:
    """The spec as it is built for a device, which computes the same to the bit.

    Raises :exc:`SpecError` where a choice cannot be had, or would make another learner: where samples stream, updates
    are seen later behind the registers of block memories, if the pipeline has none there.
    """
    fitted = spec.for_device(device)
    if fitted.delays != spec.delays:
        raise SpecError.of(
            "memory",
            spec.memory,
            f"{FAMILIES[device.family].title} has no distributed memory, and with block memory the delays of this "
            f'streaming learner are {fitted.delays}, not {spec.delays}; use "block"',
        )
    return fitted


def build_learner(
    spec: LearnerSpec,
    device: str,
    *,
    seed: int = 1,
    frequency: float | None = None,
    register_ports: bool = False,
    placer: str | None = None,
    wide_luts: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Place and route the learner alone; arguments and errors as those of :func:`build_core`.

    What certainly does not fit is refused at once, see :func:`kanrtl.build.capacity.check_fits`.
    """
    part = Device.parse(device)
    check_fits(spec, part)
    spec = fit_spec(spec, part)
    with _advise(partial(advise_built, spec)):
        return build_core(
            Learner(spec),
            device=device,
            seed=seed,
            frequency=frequency,
            facts=_facts(spec),
            register_ports=register_ports,
            placer=placer,
            wide_luts=wide_luts,
            progress=progress,
        )


def build_baseline(
    spec: BaselineSpec,
    device: str,
    *,
    seed: int = 1,
    frequency: float | None = None,
    register_ports: bool = False,
    placer: str | None = None,
    wide_luts: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Place and route a baseline alone; arguments and errors as those of :func:`build_core`.

    Raises :exc:`InputError` too, where the device has no such memory as the spec asks for.
    """
    check_memory(spec, Device.of(device))
    return build_core(
        create_learner(spec),
        device=device,
        seed=seed,
        frequency=frequency,
        name="baseline",
        facts=_facts(spec),
        register_ports=register_ports,
        placer=placer,
        wide_luts=wide_luts,
        progress=progress,
    )


def build_exercise(
    spec: LearnerSpec,
    board: Board,
    *,
    seed: int = 1,
    output: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make the bitstream with which a board teaches itself (:class:`kanrtl.demos.self_teaching.BoardTop`).

    With ``pipeline="auto"`` the presets are built from the fewest registers to the most, up to the first that meets the
    board's clock; on iCE40 from ``most_registers`` on. In the streaming schedule registers change the bits, so that
    only ``all_registers`` is built, which ``auto`` stands for there. Other arguments and errors as those of
    :func:`build_board`; what certainly does not fit is refused at once.
    """
    part = Device.parse(board.device)
    check_exercise_fits(spec, part, leds=len(board.leds))

    def build(candidate: LearnerSpec) -> Report:
        with _advise(partial(advise_built_exercise, candidate, leds=len(board.leds))):
            top = BoardTop(candidate, board)
            return build_board(top, board, seed=seed, output=output, facts=_facts(candidate), progress=progress)

    return _build_in_time(spec, board, build, progress)


def build_linked(
    spec: LearnerSpec,
    board: Board,
    *,
    baud: int = BAUD,
    seed: int = 1,
    output: Path | None = None,
    keep: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make the bitstream of a learner at the end of a board's serial port (:class:`kanrtl.link.board_top.LinkTop`), at
    ``baud`` bits a second; ``keep`` is that of :func:`build_board`.

    Presets of ``pipeline``, other arguments and errors as those of :func:`build_exercise`.
    """
    part = Device.parse(board.device)
    check_link(spec, board, baud)
    check_fits(spec, part)

    def build(candidate: LearnerSpec) -> Report:
        with _advise(partial(advise_built, candidate)):
            top = LinkTop(candidate, board, baud)
            facts = _facts(candidate)
            return build_board(top, board, seed=seed, output=output, facts=facts, keep=keep, progress=progress)

    return _build_in_time(spec, board, build, progress)


def _build_in_time(
    spec: LearnerSpec, board: Board, build: Callable[[LearnerSpec], Report], progress: Progress | None
) -> Report:
    """Build with the first preset that meets the board's clock and keeps the bits, where the spec leaves that open."""
    fitted = fit_spec(spec, Device.parse(board.device))
    candidates = [fitted]
    if spec.pipeline == "auto":
        presets = list(PRESETS)
        fewest = 0 if fitted.pipeline == "auto" else presets.index(str(fitted.pipeline))
        replaced = [fitted.replace(pipeline=preset) for preset in presets[fewest:]]
        candidates = [candidate for candidate in replaced if candidate.delays == spec.delays]
    for candidate in candidates:
        try:
            return build(candidate)
        except TimingError as error:
            missed = error
            if progress:
                progress(f"{candidate.pipeline} is too slow for {board.clock_mhz:g} MHz")
    raise missed


def core_for(network: LookupNetwork, device: Device, **options: Any) -> LookupCore:
    """The core of a network as it is best made on a device; ``options`` are other parameters of
    :class:`kanrtl.LookupCore`."""
    return create_core(network, device.family, **options)


def _plan(network: LookupNetwork, device: str, progress: Progress | None, options: dict[str, Any]) -> LookupCore:
    if progress is not None:
        progress("deciding which tables and sums are needed")
    part = Device.parse(device)
    check_network_fits(network, part, **options)
    return core_for(network, part, **options)


_SPARE = 0.8
"""The part of a clock cycle that an estimate may take: the rest is for its error."""


def _meet_clock(network: LookupNetwork, board: Board, options: dict[str, Any]) -> dict[str, Any]:
    """The fewest registers with which a network keeps a board's clock, by estimate; all there can be where none do."""
    part = Device.parse(board.device)

    def schedule(latency: int | None) -> Pipeline | Folding:
        return schedule_core(network, plan_layers(network), family=part.family, **options | {"latency": latency})

    found = schedule(options.get("latency"))
    if isinstance(found, Folding) or options.get("latency") is not None:
        return {}
    cycle = _SPARE * 1000 / board.clock_mhz
    latencies = range(found.least, len(found.positions) + 1)
    fits = (latency for latency in latencies if estimate_period(schedule(latency), part) <= cycle)
    return {"latency": next(fits, latencies[-1])}


def build_network(
    network: LookupNetwork,
    device: str,
    *,
    seed: int = 1,
    frequency: float | None = None,
    register_ports: bool = False,
    placer: str | None = None,
    wide_luts: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Place and route the core of a network alone.

    ``options`` are those of :func:`core_for`; other arguments and errors as those of
    :func:`kanrtl.build.build_core`. A network begins and ends with registers, so nothing of it is left untimed; only a
    folded one is stopped by ``predictions.ready``, and the path from there is timed with ``register_ports``.
    """
    core = _plan(network, device, progress, options)
    core.progress = progress
    with _advise(partial(advise_built_network, network, **options)):
        return build_core(
            core,
            device=device,
            seed=seed,
            frequency=frequency,
            name="network",
            facts=_facts(core),
            register_ports=register_ports,
            placer=placer,
            wide_luts=wide_luts,
            progress=progress,
        )


def build_self_check(
    network: LookupNetwork,
    board: Board,
    *,
    seed: int = 1,
    output: Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Report:
    """Make the bitstream with which a network checks itself on a board
    (:class:`kanrtl.demos.self_check.SelfCheckTop`).

    ``options`` are those of :func:`core_for`; without a ``latency`` there are as many registers as the board's clock
    asks for, by estimate. Other arguments and errors as those of :func:`kanrtl.build.build_board`.
    """
    if len(board.leds) < 2:
        raise BuildError(f"board: {board.name!r} has {len(board.leds)} LED(s); the check needs two or more")
    check_network_bound(network, Device.parse(board.device), **options)
    options |= _meet_clock(network, board, options)
    core = _plan(network, board.device, progress, options)
    top = SelfCheckTop(core, board)
    core.progress = progress
    with _advise(partial(advise_built_network, network, **options)):
        return build_board(top, board, seed=seed, output=output, facts=_facts(core), progress=progress)
