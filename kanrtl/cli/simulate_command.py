"""``kanrtl simulate``: a learner beside its integer model and float64, or a network beside its model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup
from rich.markup import escape
from rich.table import Table

from ..errors import ToolError
from ..experiments.simulate_learner import Simulation, simulate
from ..experiments.simulate_network import NetworkSimulation, read_samples, simulate_network
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..plots.canvas import check_picture
from ..sessions.backends import BACKENDS
from ..sim import TASKS
from .console import count_samples, messages, name_cycles, results, score_pairs, show, show_pairs
from .options import (
    LEARNER,
    OUTPUT,
    as_json,
    check_only_for,
    group_of_network,
    hardware_options,
    output_callback,
    spec_or_network_argument,
)

__all__ = ["draw", "show_errors", "simulate_command", "simulate_task"]

SAMPLES = 1500


@cloup.command("simulate")
@spec_or_network_argument
@cloup.option_group(
    "The run",
    cloup.option(
        "--samples", type=click.IntRange(3), metavar="N", help="Run N samples.  [default: 1500, or all of --data]"
    ),
    cloup.option(
        "--seed",
        type=click.IntRange(0),
        metavar="N",
        default=0,
        show_default=True,
        help="Draw samples at random with this seed.",
    ),
    cloup.option(
        "--backend", type=click.Choice(BACKENDS), default="pysim", show_default=True, help="Run on this backend."
    ),
)
@cloup.option_group(
    LEARNER,
    cloup.option("--task", type=click.Choice(list(TASKS)), help="Let it learn this task.  [default: track]"),
    cloup.option("--plot", metavar="FILE", callback=output_callback, help="Draw the run into a PNG, SVG or PDF file."),
)
@group_of_network(
    cloup.option("--data", metavar="FILE", help="Take X, and y if known, from this .npz file, not random codes.")
)
@cloup.option_group(
    OUTPUT,
    cloup.option(
        "--trace",
        metavar="FILE",
        callback=output_callback,
        help="Write waveforms into this VCD file, and beside it a .gtkw view for GTKWave.",
    ),
    as_json,
)
def simulate_command(
    spec: LearnerSpec | LookupNetwork,
    task: str | None,
    samples: int | None,
    data: str | None,
    seed: int,
    backend: str,
    plot: Path | None,
    trace: Path | None,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Run a learner or a network beside its integer model.

    A learner learns a task, and is also compared with the same in float64; a network predicts samples. Where a value
    differs from the model, the exit status is 1.
    """
    simulation: Simulation | NetworkSimulation
    if isinstance(spec, LookupNetwork):
        check_only_for("learner", {"task": task, "plot": None if plot is None else str(plot)})
        simulation = _simulate_network(spec, samples, data, seed, backend, trace, hardware_options(hardware))
    else:
        check_only_for("network", {"data": data, **hardware})
        if plot:
            check_picture(plot)
        simulation = simulate_task(spec, task or "track", samples or SAMPLES, seed, backend, trace)
    if trace:
        view = trace.with_suffix(".gtkw")
        messages.print(f"traced into {escape(str(trace))}; see it with `gtkwave {escape(str(view))}`")
    if isinstance(simulation, NetworkSimulation):
        show(simulation.to_json(), as_json, lambda: _show_network(simulation))
    else:
        if plot:
            draw(simulation, plot)
        show(simulation.to_json(), as_json, lambda: show_errors(simulation))
    if simulation.mismatches:
        raise ToolError(f"{backend} differs from the integer model in {simulation.mismatches} values; please report it")


def simulate_task(
    spec: LearnerSpec, task: str, samples: int, seed: int, backend: str, trace: Path | None = None
) -> Simulation:
    """Lets a learner learn a task, with a bar."""
    with count_samples(f"{task} on {backend}", samples) as (advance, starting):
        return simulate(spec, TASKS[task](samples, seed), backend, progress=advance, trace=trace, starting=starting)


def _simulate_network(
    network: LookupNetwork,
    samples: int | None,
    data: str | None,
    seed: int,
    backend: str,
    trace: Path | None,
    options: dict[str, Any],
) -> NetworkSimulation:
    x, y = (None, None) if data is None else read_samples(Path(data))
    if x is not None:
        x, y = x[:samples], y if y is None else y[:samples]
    count = samples or SAMPLES if x is None else len(x)
    with count_samples(f"network on {backend}", count) as (advance, starting):
        return simulate_network(
            network,
            backend,
            x=x,
            y=y,
            samples=count,
            seed=seed,
            progress=advance,
            trace=trace,
            starting=starting,
            **options,
        )


def draw(simulation: Simulation, path: Path) -> None:
    """Draws a simulation, and says so."""
    simulation.plot(path)
    messages.print(f"drew {escape(str(path))}")


def show_errors(simulation: Simulation) -> None:
    """Prints the errors of a learner, beside those of float64."""
    data = simulation.to_json()
    table = Table(title=f"mean squared error before each update, task {data['task']}")
    table.add_column("regime")
    table.add_column(str(data["backend"]), justify="right")
    table.add_column("float64", justify="right")
    for index, (ours, floats) in enumerate(zip(data["mse"], data["mse_float64"], strict=True)):
        table.add_row(f"{index + 1}, last 100 samples", f"{ours:.5f}", f"{floats:.5f}")
    table.add_row("whole run", f"{data['mse_all']:.5f}", f"{data['mse_all_float64']:.5f}")
    results.print(table)
    if data["cycles"] is not None:
        results.print(f"A learning step takes {name_cycles(data['latency'])}, the same for every sample.")


def _show_network(simulation: NetworkSimulation) -> None:
    data = simulation.to_json()
    pairs = [
        ("layers", f"{data['layer_sizes']}, bits {data['bits']}, output {data['output']}"),
        ("samples", f"{data['samples']}, {data['mismatches']} mismatches with the integer model"),
        ("latency", "" if data["latency"] is None else name_cycles(data["latency"])),
        ("interval", "" if data["interval"] is None else name_cycles(data["interval"])),
        ("rate", f"{data['samples_per_second']} samples a second in the simulation"),
        *score_pairs(data),
    ]
    show_pairs(f"network on {data['backend']}", [pair for pair in pairs if pair[1]])
