"""``kanrtl build``: placed and routed, alone or as a bitstream."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import cloup

from ..boards import BOARDS
from ..build.learner_builds import build_exercise, build_learner
from ..build.network_builds import build_network, build_self_check
from ..build.out_of_context import PLACERS
from ..build.report import Report
from ..build.seeds import summarise_seeds, table_of_seeds
from ..errors import InputError
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from .console import show, show_pairs, show_work
from .options import (
    OUTPUT,
    as_json,
    check_only_for,
    frequency_callback,
    group_of_network,
    hardware_options,
    output_callback,
    spec_or_network_argument,
)

__all__ = ["build_command", "build_for_board", "show_report"]


def _seeds_callback(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d+)-(\d+)", value)
    seeds = tuple(range(int(found[1]), int(found[2]) + 1)) if found else ()
    if not seeds:
        raise InputError(f"--seeds = {value!r}: must be the first and the last, such as 1-5")
    return seeds


@cloup.command("build")
@spec_or_network_argument
@cloup.option_group(
    "What to build (one of them)",
    cloup.option(
        "--device", metavar="PART", help="Build the core alone for this part, such as LFE5U-85F-6 or iCE40UP5K."
    ),
    cloup.option(
        "--board",
        metavar="NAME",
        help=f"Build a bitstream that teaches or checks itself, for one of {', '.join(BOARDS)}.",
    ),
)
@cloup.option_group(
    "How to build it",
    cloup.option("--seed", type=click.IntRange(0), metavar="N", help="Place with this seed.  [default: 1]"),
)
@cloup.option_group(
    "Options of a --device build",
    cloup.option(
        "--seeds",
        metavar="FIRST-LAST",
        callback=_seeds_callback,
        help="Place with each of these seeds, and report the median and the spread.",
    ),
    cloup.option(
        "--frequency",
        type=float,
        metavar="MHZ",
        callback=frequency_callback,
        help="Ask nextpnr for this clock.",
    ),
    cloup.option(
        "--register-ports",
        is_flag=True,
        help="Put a register on every port, so that the paths from and to it are timed.",
    ),
    cloup.option("--wide-luts", is_flag=True, help="On ECP5, use more LUTs, with fewer of them one behind the other."),
    cloup.option(
        "--placer",
        type=click.Choice(PLACERS),
        help="Let nextpnr place with this one; static takes twice the time of heap, its default.",
    ),
)
@group_of_network()
@cloup.option_group(
    OUTPUT,
    cloup.option(
        "-o",
        "--output",
        metavar="FILE",
        callback=output_callback,
        help="Write the bitstream of --board into this file.",
    ),
    as_json,
)
def build_command(
    spec: LearnerSpec | LookupNetwork,
    device: str | None,
    board: str | None,
    seed: int | None,
    seeds: tuple[int, ...] | None,
    frequency: float | None,
    register_ports: bool,
    wide_luts: bool,
    placer: str | None,
    output: Path | None,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Synthesise, place and route; report size and speed."""
    if isinstance(spec, LearnerSpec):
        check_only_for("network", hardware)
    options = hardware_options(hardware)
    if (device is None) == (board is None):
        raise InputError("build: name either --device (the core alone) or --board (a bitstream)")
    core: dict[str, Any] = {"placer": placer, "register_ports": register_ports, "wide_luts": wide_luts}
    if board is not None:
        if frequency is not None:
            raise InputError(f"--frequency = {frequency:g}: a board has its own clock; leave it out, or use --device")
        _refuse_for_board(core | {"seeds": seeds and f"{seeds[0]}-{seeds[-1]}"})
        report = build_for_board(spec, board, 1 if seed is None else seed, output, **options)
        show(report.to_json(), as_json, lambda: show_report(report))
        return
    assert device is not None
    if output is not None:
        raise InputError(f"--output = {str(output)!r}: only a --board build has a bitstream; leave it out")
    if seeds and seed is not None:
        raise InputError(f"--seed = {seed}: --seeds names all of them; leave one of the two out")
    core |= {"frequency": frequency}
    reports = [_build_core(spec, device, one, core | options) for one in seeds or (1 if seed is None else seed,)]
    if seeds:
        summary = {"device": device, "seeds": list(seeds), **summarise_seeds([one.to_json() for one in reports])}
        show(summary, as_json, lambda: show_pairs(_title(reports[0]), table_of_seeds(reports)))
    else:
        show(reports[0].to_json(), as_json, lambda: show_report(reports[0]))


def _refuse_for_board(options: dict[str, Any]) -> None:
    for name, value in options.items():
        if value:
            given = f"--{name.replace('_', '-')}" + ("" if value is True else f" = {value!r}")
            raise InputError(f"{given}: only a --device build takes it; leave it out, or use --device")


def _build_core(spec: LearnerSpec | LookupNetwork, device: str, seed: int, options: dict[str, Any]) -> Report:
    with show_work(f"building for {device}, seed {seed}") as progress:
        if isinstance(spec, LookupNetwork):
            return build_network(spec, device, seed=seed, progress=progress, **options)
        return build_learner(spec, device, seed=seed, progress=progress, **options)


def build_for_board(
    spec: LearnerSpec | LookupNetwork, board: str, seed: int, output: Path | None, **options: Any
) -> Report:
    """Builds the bitstream with which a board teaches or checks itself, with a spinner."""
    if board not in BOARDS:
        raise InputError(f"--board = {board!r}: unknown; use one of {', '.join(BOARDS)}")
    with show_work(f"building for {board}") as progress:
        if isinstance(spec, LookupNetwork):
            return build_self_check(spec, BOARDS[board], seed=seed, output=output, progress=progress, **options)
        return build_exercise(spec, BOARDS[board], seed=seed, output=output, progress=progress)


def show_report(report: Report) -> None:
    """Prints what came of a build."""
    show_pairs(_title(report), report.table())


def _title(report: Report) -> str:
    return f"{report.device}, placed and routed"
