"""Builds of a learner from its spec, with what the spec leaves to the device decided."""

from pathlib import Path

from ..boards import Board
from ..demos.self_teaching import BoardTop
from ..fabric.device import Device
from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec
from ..learner.stages import PRESETS
from ..progress import Progress
from .bitstream import build_board
from .capacity import check_exercise_fits, check_fits
from .out_of_context import build_core
from .report import Report, TimingError


def _facts(spec: LearnerSpec) -> dict[str, int]:
    return {"latency_cycles": spec.latency, "interval_cycles": spec.interval}


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
    spec = spec.for_device(part)
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
    board's clock. Other arguments and errors as those of :func:`build_board`; what certainly does not fit is refused at
    once.
    """
    part = Device.parse(board.device)
    check_exercise_fits(spec, part, leds=len(board.leds))
    spec = spec.for_device(part)
    candidates = [spec.replace(pipeline=preset) for preset in PRESETS] if spec.pipeline == "auto" else [spec]
    for candidate in candidates:
        try:
            return build_board(
                BoardTop(candidate, board),
                board,
                seed=seed,
                output=output,
                facts=_facts(candidate),
                progress=progress,
            )
        except TimingError as error:
            missed = error
            if progress:
                progress(f"{candidate.pipeline} is too slow for {board.clock_mhz:g} MHz")
    raise missed
