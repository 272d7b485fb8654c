"""A design on its way into a board: ``kanrtl program``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from ..boards import BOARDS
from ..build.programming import LONGEST_SECONDS, Programming, plan_programming
from ..build.report import Report
from ..errors import InputError
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..tools.flashers import find_flasher
from .console import say, show, show_work
from .hardware_commands import build_for_board
from .options import (
    OUTPUT,
    as_json,
    check_only_for,
    count_option,
    design_argument,
    hardware_options,
    host_group,
    host_options,
    network_group,
)

__all__ = ["program_command"]


@cloup.command("program")
@design_argument
@cloup.option_group(
    "The board",
    cloup.option(
        "--board", metavar="NAME", required=True, help=f"Load it into this board: one of {', '.join(BOARDS)}."
    ),
    count_option("--timeout", 1, default=LONGEST_SECONDS, help="Stop the program that loads it after N seconds."),
    cloup.option("--dry-run", is_flag=True, help="Print the command that would load it, and do not run it."),
)
@cloup.option_group(
    "How to build it, if it is no bitstream yet",
    count_option("--seed", 0, help="Place with this seed.  [default: 1]"),
)
@host_group("Options of a learner")
@network_group()
@cloup.option_group(OUTPUT, as_json)
def program_command(
    design: LearnerSpec | LookupNetwork | Path,
    board: str,
    timeout: int,
    dry_run: bool,
    seed: int | None,
    host: str | None,
    baud: int | None,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Load a learner, a network or a bitstream into a board.

    A learner or a network is built as `kanrtl build --board` builds it, unless that was done before. What loads it is
    the program that the board is known for; kanrtl says how to get it.
    """
    if board not in BOARDS:
        raise InputError(f"--board = {board!r}: unknown; use one of {', '.join(BOARDS)}")
    report: Report | None = None
    if isinstance(design, Path):
        _refuse_for_bitstream({"seed": seed, "host": host, "baud": baud, **hardware})
        planned = plan_programming(BOARDS[board], design)
    else:
        if isinstance(design, LearnerSpec):
            check_only_for("network", hardware)
            design.warn()
        options = hardware_options(hardware) | host_options(design, host, baud)
        if not dry_run:
            find_flasher(BOARDS[board].flasher).command()  # before the build takes its time
        report = build_for_board(design, board, 1 if seed is None else seed, None, **options)
        planned = plan_programming(BOARDS[board], Path(str(report.bitstream)))
    if not dry_run:
        with show_work(f"loading into {board} with {planned.tool}"):
            planned.run(timeout)
    result = {**planned.to_json(), "loaded": not dry_run, "build": report and report.to_json()}
    show(result, as_json, lambda: _show(planned, dry_run))


def _refuse_for_bitstream(given: dict[str, Any]) -> None:
    """Refuse options that say how to build what is built."""
    for name, value in given.items():
        if value is not None:
            raise InputError(
                f"--{name.replace('_', '-')} = {value!r}: a bitstream is built already; leave it out, or give a spec"
            )


def _show(planned: Programming, dry_run: bool) -> None:
    if dry_run:
        click.echo(planned.command)
        return
    click.echo(f"loaded {planned.bitstream} into {planned.board}")
    say("the board keeps it" if planned.kept else "the board keeps it until its power is off")
