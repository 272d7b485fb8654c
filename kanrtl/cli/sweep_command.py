"""``kanrtl sweep``: learners that differ in some fields, on a task."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
import cloup
from rich import box
from rich.markup import escape
from rich.table import Table

from ..errors import InputError
from ..experiments.axes import parse_over
from ..experiments.sweep import Sweep, sweep
from ..learner.spec import LearnerSpec
from ..plots.canvas import check_picture
from ..plots.sweep_plot import MAX_AXES, plot_sweep
from ..sessions.backends import BACKENDS
from ..sim import TASKS
from .console import count_learners, messages, results, show
from .options import OUTPUT, as_json, output_callback, spec_argument

__all__ = ["sweep_command"]


@cloup.command("sweep")
@spec_argument
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
    cloup.option(
        "--task", type=click.Choice(list(TASKS)), default="track", show_default=True, help="Let them learn this task."
    ),
    cloup.option(
        "--samples",
        type=click.IntRange(3),
        metavar="N",
        default=1500,
        show_default=True,
        help="Take N samples in a run.",
    ),
    cloup.option(
        "--seeds",
        type=click.IntRange(1),
        metavar="N",
        default=1,
        show_default=True,
        help="Run every learner with N seeds.",
    ),
    cloup.option(
        "--backend", type=click.Choice(BACKENDS), default="model", show_default=True, help="Run on this backend."
    ),
)
@cloup.option_group(
    "Where they run",
    cloup.option(
        "--jobs", type=click.IntRange(1), metavar="N", help="Use N processes; as many as there are cores if not given."
    ),
    cloup.option(
        "--scheduler", metavar="ADDRESS", help="Run on the Dask cluster at an address such as tcp://10.0.0.1:8786."
    ),
)
@cloup.option_group(
    OUTPUT,
    cloup.option("--plot", metavar="FILE", callback=output_callback, help="Draw errors into a PNG, SVG or PDF file."),
    as_json,
)
def sweep_command(
    spec: LearnerSpec,
    over: tuple[str, ...],
    plot: Path | None,
    jobs: int | None,
    scheduler: str | None,
    as_json: bool,
    **runs: Any,
) -> None:
    """Compare the errors of learners over fields of their spec.

    Such fields are precision, grid and learning rate. Every combination of the values is run, all in the integer model
    side by side, and beside each the same learner in float64. The first --over is the picture's axis, the second its
    lines, the third its panels.
    """
    axes = _axes(over)
    if plot:
        check_picture(plot)
        if len(axes) > MAX_AXES:
            raise InputError(f"--plot = {str(plot)!r}: draws up to {MAX_AXES} axes, here are {len(axes)}; leave it out")
    if jobs is not None and scheduler is not None:
        raise InputError(f"--jobs = {jobs}: with --scheduler the cluster has its own; leave it out")
    with count_learners() as progress:
        found = sweep(spec, axes, **runs, jobs=jobs or os.cpu_count() or 1, scheduler=scheduler, progress=progress)
    if plot:
        plot_sweep(found.to_json(), plot)
        messages.print(f"drew {escape(str(plot))}")
    show(found.to_json(), as_json, lambda: _show_sweep(found))


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
    table = Table(title=f"mean squared error before each update, task {found.task}, {seeds}", box=box.SIMPLE)
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
