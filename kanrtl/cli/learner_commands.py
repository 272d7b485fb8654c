"""What is about learners alone: ``kanrtl demo``, ``spec``, ``sweep``."""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import cloup
from rich import box
from rich.markup import escape
from rich.table import Table

from .. import boards
from ..errors import InputError, ToolError
from ..experiments.axes import parse_over
from ..experiments.sweep import Sweep, sweep
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..files import make_folder, write_whole
from ..learner.spec import LearnerSpec
from ..learner.spec_file import derived, to_toml
from ..plots.canvas import check_picture
from ..plots.sweep_plot import MAX_AXES, plot_sweep
from ..sessions.backends import BACKENDS
from ..sim import TASKS
from ..sim.recording import Recording
from ..tools.toolchain import YOSYS, warm
from .console import count_learners, results, say, show, show_work
from .hardware_commands import SAMPLES, build_for_board, draw, show_errors, show_report, simulate_task
from .options import (
    OUTPUT,
    as_json,
    check_output,
    choice_option,
    count_option,
    file_option,
    input_option,
    spec_argument,
)
from .signal_options import check_without_data, read_recording, signal_group, take_signal_options
from .verilog_commands import write_learner

# What the demo learns with: the configuration of the reference paper's function tracking.
DEMO_SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, spline_order=3, learning_rate=0.3)

DEMO_BOARD = "ulx3s-85f"

MOST_SWEPT_SEEDS = 100_000
"""A bound, so that a slip of the keyboard is refused and does not run for ever."""


@cloup.command("sweep")
@spec_argument()
@cloup.option_group(
    "What differs",
    cloup.option(
        "--over",
        multiple=True,
        required=True,
        metavar="FIELD=VALUE,...",
        help="Give a field these values, once for each axis. Values are written as in a spec file, texts without "
        "quotes: learning_rate=0.1,0.3 or grid_size=[4,8],8 or coefficient_format='SQ(6,10),SQ(6,8)'. "
        "bits=8,12,16 sets activation_format and coefficient_format to so many bits, taken from the fraction. "
        "Several fields together: 'FIELD,FIELD=VALUE,...' (the same for all of them) or 'FIELD,FIELD=VALUE:VALUE,...' "
        "(one for each).",
    ),
)
@cloup.option_group(
    "The runs",
    choice_option("--task", TASKS, help="Let them learn this task.  [default: track]"),
    input_option("--data", help="Let them learn the signals of this file: CSV (also .gz), .npz or Parquet."),
    count_option("--samples", 3, help="Take N samples in a run.  [default: 1500, or all of --data]"),
    count_option("--seeds", 1, MOST_SWEPT_SEEDS, default=1, help="Run every learner with N seeds."),
    choice_option("--backend", BACKENDS, default="model", help="Run on this backend."),
    count_option("--jobs", 1, help="Use N processes; as many as there are cores if not given."),
    cloup.option("--scheduler", metavar="ADDRESS", help="Run on a Dask cluster, such as tcp://10.0.0.1:8786."),
)
@signal_group()
@cloup.option_group(OUTPUT, file_option("--plot", help="Draw errors into a PNG, SVG or PDF file."), as_json)
def sweep_command(
    spec: LearnerSpec,
    over: tuple[str, ...],
    plot: Path | None,
    jobs: int | None,
    scheduler: str | None,
    as_json: bool,
    task: str | None,
    data: str | None,
    samples: int | None,
    **runs: Any,
) -> None:
    """Compare the errors of learners over fields of their spec.

    Such fields are precision, grid and learning rate. Every combination of the values is run, all in the integer model
    side by side, and beside each the same learner in float64. With --data they learn measured signals, whose errors are
    in the units of the file. The first --over is the picture's axis, the second its
    lines, the third its panels.
    """
    axes = _axes(over)
    if plot:
        check_picture(plot)
        if len(axes) > MAX_AXES:
            raise InputError(f"--plot = {str(plot)!r}: draws up to {MAX_AXES} axes, here are {len(axes)}; leave it out")
    if jobs is not None and scheduler is not None:
        raise InputError(f"--jobs = {jobs}: with --scheduler the cluster has its own; leave it out")
    signals = take_signal_options(runs)
    learned: str | Recording = task or "track"
    if data is None:
        check_without_data(signals)
    else:
        learned = read_recording(data, task, samples, signals)
    runs |= {"task": learned, "samples": samples or SAMPLES}
    with count_learners() as progress:
        found = sweep(spec, axes, **runs, jobs=jobs or os.cpu_count() or 1, scheduler=scheduler, progress=progress)
    if plot:
        plot_sweep(found.to_json(), plot)
        say(f"drew {plot}")
    show(found.to_json(), as_json, lambda: _show_sweep(found))
    if uncertain := sum(not row.spec.stability.is_certain for row in found.rows):
        say(
            f"{uncertain} of {len(found.rows)} learners have rates at which they may diverge with some inputs; "
            "kanrtl spec says up to where one is stable"
        )


def _axes(over: tuple[str, ...]) -> dict[str | tuple[str, ...], list[Any]]:
    axes: dict[str | tuple[str, ...], list[Any]] = {}
    for text in over:
        fields, values = parse_over(text)
        if fields in axes:
            raise InputError(f"--over = {text!r}: an axis of its own again; give all values in one --over")
        axes[fields] = values
    return axes


def _show_sweep(found: Sweep) -> None:
    header, rows = found.table()
    seeds = "one seed" if found.seeds == 1 else f"mean of {found.seeds} seeds"
    parts = ", in parts of each target's variance" if found.in_variances else ""
    title = f"mean squared error before each update{parts}, task {found.task}, {seeds}"
    table = Table(title=escape(title), box=box.SIMPLE)
    for index, name in enumerate(header):
        # On a narrow terminal the names of axes are folded, never a number.
        label, longest = index < len(found.axes), max(len(row[index]) for row in rows)
        table.add_column(
            escape(name),
            justify="left" if label else "right",
            min_width=min(longest, 20) if label else longest,
            no_wrap=not label,
            overflow="fold" if label else "ellipsis",
        )
    for row in rows:
        table.add_row(*map(escape, row))
    results.print(table)


@cloup.command("spec")
@spec_argument(metavar="[SPEC]", required=False, help="The spec of a learner, a TOML file; the demo's if not given.")
@as_json
def spec_command(spec: LearnerSpec | None, as_json: bool) -> None:
    """Print a spec as commented TOML, with what follows from it.

    These are all formats, widths, memories and cycles.
    """
    spec = spec or DEMO_SPEC
    spec.warn()
    show(spec.to_dict() | {"derived": derived(spec)}, as_json, lambda: click.echo(to_toml(spec), nl=False))


@cloup.command("demo")
@cloup.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo",
    show_default=True,
    help="Write everything into this folder.",
)
@count_option("--samples", 3, default=SAMPLES, help="Let it learn N samples.")
@count_option("--seed", 0, default=0, help="Draw samples at random with this seed.")
def demo_command(output: Path, samples: int, seed: int) -> None:
    """See a chip learn: simulation, picture, Verilog and bitstream.

    The bitstream is for a ULX3S, which then teaches itself.
    """
    picture = output / "track.png"
    check_picture(picture)
    try:
        make_folder(output)
    except InputError as error:
        raise InputError(f"--output = {error}") from None
    for name in ("learner.toml", "track.json", "learner.v", f"{DEMO_BOARD}.bit", f"{DEMO_BOARD}.json", picture.name):
        check_output("--output", str(output / name))
    # The tools' first call compiles them for minutes on one core: let that pass while the simulation runs.
    warming = threading.Thread(target=_warm_quietly, daemon=True)
    warming.start()
    write_whole(output / "learner.toml", to_toml(DEMO_SPEC).encode())
    simulation = simulate_task(DEMO_SPEC, "track", samples, seed, "pysim")
    if simulation.mismatches:
        raise ToolError(f"the RTL differs from the integer model in {simulation.mismatches} values; please report it")
    show_errors(simulation)
    results.print(
        f"Every prediction and every final coefficient of the RTL equals the integer model: {samples} samples, "
        f"{simulation.status['cycles']} clock cycles."
    )
    draw(simulation, picture)
    _write_json(output / "track.json", simulation.to_json())
    with show_work("compiling the synthesis tools, once"):
        warming.join()
    write_learner(DEMO_SPEC, "learner", output / "learner.v")
    report = build_for_board(DEMO_SPEC, DEMO_BOARD, 1, output / f"{DEMO_BOARD}.bit")
    _write_json(output / f"{DEMO_BOARD}.json", report.to_json())
    show_report(report)
    click.echo(f"Everything is in {output}/: see track.png, learner.v, {DEMO_BOARD}.bit.")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(content, indent=2) + "\n").encode())


def _warm_quietly() -> None:
    with suppress(ToolError):  # the build that needs the tool says so
        warm([YOSYS, *FAMILIES[Device.parse(boards.get(DEMO_BOARD).device).family].flow.tools])
