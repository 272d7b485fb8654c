"""The bitstream of a design for a board."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from amaranth.hdl import Elaboratable

from ..boards import Board, get
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..files import make_folder, write_whole
from ..progress import Progress
from ..tools.garbage import collect_rarely
from ..tools.rtlil import portable_sources
from .build_cache import build_or_load
from .flow import Job, check_seed
from .report import Report, TimingError, check_facts


def build_board(
    top: Elaboratable,
    board: Board | str,
    *,
    seed: int = 1,
    progress: Progress | None = None,
    output: Path | None = None,
    facts: Mapping[str, int] | None = None,
    keep: Path | None = None,
    allow_timing_failure: bool = False,
) -> Report:
    """Build the bitstream of ``top`` for ``board``, at the board's clock. Parameters that are not listed are as in
    :func:`build_core`.

    Parameters
    ----------
    top : Elaboratable
        The design, which requests its pins from the platform.
    board : Board or str
        A board, or the name of one.
    output : Path, optional
        Where to copy the bitstream. Without it, the report's ``bitstream`` is in the cache.
    allow_timing_failure : bool
        Whether a design that is slower than the clock, or whose speed is not known, is a result all the same.

    Raises
    ------
    BuildError
        If the design needs more LUTs, multipliers or memory blocks than there are, or ``seed`` is wrong.
    TimingError
        If the design is slower than the board's clock.
    ToolError
        If a tool is missing or fails.
    InputError
        If ``output`` cannot be written.
    """
    if isinstance(board, str):
        board = get(board)
    part = Device.parse(board.device)
    seed, facts = check_seed(seed), check_facts(facts)
    report = build_or_load(_job(top, board, part, seed), progress, keep).with_facts(facts)
    if not report.timing_met and not allow_timing_failure:
        raise TimingError(_timing_complaint(board.name, report), report)
    if output is not None:
        make_folder(Path(output).parent)
        write_whole(Path(output), Path(str(report.bitstream)).read_bytes())
        report = replace(report, bitstream=str(output))
    return report


def _job(top: Elaboratable, board: Board, part: Device, seed: int) -> Job:
    """``top`` elaborated for ``board``, with the constraints of its pins."""
    with collect_rarely():
        plan = board.platform().build(top, name="top", do_build=False)
    kind = FAMILIES[part.family].flow.constraints
    constraints = f"top.{kind}"
    files = {
        name: _text(content)
        for name, content in plan.files.items()
        if name == constraints or (name.endswith((".il", ".v", ".sv")) and not name.endswith(".debug.v"))
    }
    files["top.il"] = portable_sources(files["top.il"])
    return Job(
        "top",
        files,
        part,
        seed,
        board.clock_mhz,
        ("--timing-allow-fail", "--freq", f"{board.clock_mhz:g}", f"--{kind}", constraints),
        bitstream=True,
        pack_options=board.pack_options,
    )


def _text(content: str | bytes) -> str:
    return content.decode() if isinstance(content, bytes) else content


def _timing_complaint(board: str, report: Report) -> str:
    if report.fmax_mhz is None:
        return (
            f"{board}: whether the design reaches {report.clock_mhz:g} MHz cannot be verified: "
            f"{'; '.join(report.notes)}"
        )
    return (
        f"{board}: the design reaches {report.fmax_mhz:.1f} MHz ({report.fmax_kind}) but the clock is "
        f"{report.clock_mhz:g} MHz; add pipeline registers or try another seed. Critical path: "
        f"{report.critical_path.get('summary', 'unknown')}"
    )
