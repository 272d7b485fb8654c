"""``kanrtl demo``: everything once."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path

import click
import cloup
from rich.markup import escape

from ..errors import ToolError
from ..learner.spec_file import to_toml
from ..plots.canvas import check_picture
from ..tools.toolchain import ECPPACK, NEXTPNR_ECP5, YOSYS, warm
from .build_command import build_for_board, show_report
from .console import results, show_work
from .options import OUTPUT
from .simulate_command import SAMPLES, draw, show_errors, simulate_task
from .spec_command import DEMO_SPEC
from .verilog_command import write_learner

__all__ = ["demo_command"]

BOARD = "ulx3s-85f"


@cloup.command("demo")
@cloup.option_group(
    "The run",
    cloup.option(
        "--samples",
        type=click.IntRange(3),
        metavar="N",
        default=SAMPLES,
        show_default=True,
        help="Let it learn N samples.",
    ),
    cloup.option(
        "--seed",
        type=click.IntRange(0),
        metavar="N",
        default=0,
        show_default=True,
        help="Draw samples at random with this seed.",
    ),
)
@cloup.option_group(
    OUTPUT,
    cloup.option(
        "--output",
        type=click.Path(file_okay=False, path_type=Path),
        default="demo",
        show_default=True,
        help="Write everything into this folder.",
    ),
)
def demo_command(output: Path, samples: int, seed: int) -> None:
    """See a chip learn: simulation, picture, Verilog and bitstream.

    The bitstream is for a ULX3S, which then teaches itself.
    """
    picture = output / "track.png"
    check_picture(picture)
    output.mkdir(parents=True, exist_ok=True)
    # The tools' first call compiles them for minutes on one core: let that pass while the simulation runs.
    warming = threading.Thread(target=_warm_quietly, daemon=True)
    warming.start()
    (output / "learner.toml").write_text(to_toml(DEMO_SPEC))
    simulation = simulate_task(DEMO_SPEC, "track", samples, seed, "pysim")
    if simulation.mismatches:
        raise ToolError(f"the RTL differs from the integer model in {simulation.mismatches} values; please report it")
    show_errors(simulation)
    results.print(
        f"Every prediction and every final coefficient of the RTL equals the integer model: {samples} samples, "
        f"{simulation.status['cycles']} clock cycles."
    )
    draw(simulation, picture)
    (output / "track.json").write_text(json.dumps(simulation.to_json(), indent=2) + "\n")
    with show_work("compiling the synthesis tools, once"):
        warming.join()
    write_learner(DEMO_SPEC, "learner", output / "learner.v")
    report = build_for_board(DEMO_SPEC, BOARD, 1, output / f"{BOARD}.bit")
    (output / f"{BOARD}.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")
    show_report(report)
    results.print(f"Everything is in {escape(str(output))}/: see track.png, learner.v, {BOARD}.bit.")


def _warm_quietly() -> None:
    with suppress(ToolError):  # the build that needs the tool says so
        warm([YOSYS, NEXTPNR_ECP5, ECPPACK])
