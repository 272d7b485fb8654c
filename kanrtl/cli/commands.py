"""The command line: a thin layer over the library.

Exit status 0: done; 1: a tool failed, or what was built does not meet its clock; 2: bad input. Every failure is one
line on standard error. Progress goes to standard error, results to standard output.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click
from amaranth.hdl import UnusedElaboratable
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from ..boards import BOARDS
from ..build.learner_builds import build_exercise, build_learner
from ..build.network_builds import build_network, build_self_check, core_for
from ..build.out_of_context import PLACERS
from ..build.report import Report, TimingError
from ..errors import BuildError, InputError, SpecError, ToolError
from ..experiments.axes import parse_over
from ..experiments.simulate_learner import Simulation, simulate
from ..experiments.simulate_network import NetworkSimulation, read_samples, simulate_network
from ..experiments.sweep import Sweep, sweep
from ..fabric.device import Device
from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec
from ..learner.spec_file import derived, to_toml
from ..lookup.floats.convert import KINDS, convert
from ..lookup.network import LookupNetwork
from ..lookup.rtl.core_ports import create_core
from ..lookup.rtl.lookup_core import LookupCore
from ..numeric.fixed import Format
from ..plots.canvas import check_picture
from ..plots.sweep_plot import MAX_AXES, plot_sweep
from ..sessions.backends import BACKENDS
from ..sim import TASKS
from ..tools.toolchain import ECPPACK, NEXTPNR_ECP5, YOSYS, warm
from ..verilog.learner_header import learner_header
from ..verilog.network_header import network_header
from ..verilog.write import write_verilog
from ..version import __version__

__all__ = ["main"]

# What the demo learns with: the configuration of the reference paper's function tracking.
DEMO_SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, spline_order=3, learning_rate=0.3)

DEMO_BOARD = "ulx3s-85f"

SAMPLES = 1500  # of a simulation

results = Console()

messages = Console(stderr=True)


def _spec(_ctx: click.Context, _param: click.Parameter, value: str | None) -> LearnerSpec | None:
    if value is not None and _is_network(value):
        raise InputError(f"SPEC = {value!r}: a file of arrays; this command takes the spec of a learner, a TOML file")
    return None if value is None else LearnerSpec.from_toml(value)


def _spec_or_network(_ctx: click.Context, _param: click.Parameter, value: str) -> LearnerSpec | LookupNetwork:
    return LookupNetwork.load(value) if _is_network(value) else LearnerSpec.from_toml(value)


def _is_network(path: str) -> bool:
    return Path(path).suffix == ".npz"


def _numbers(kind: type) -> Callable[[click.Context, click.Parameter, str | None], list[Any] | None]:
    """A callback for numbers with commas between them."""

    def parse(_ctx: click.Context, param: click.Parameter, value: str | None) -> list[Any] | None:
        try:
            return None if value is None else [kind(word) for word in value.split(",")]
        except ValueError:
            what = "integers" if kind is int else "numbers"
            raise InputError(f"{param.opts[-1]} = {value!r}: must be {what} with commas between them") from None

    return parse


def _format(_ctx: click.Context, param: click.Parameter, value: str | None) -> Format | None:
    try:
        return None if value is None else Format.parse(value)
    except ValueError as error:
        raise InputError(f"{param.opts[-1]}: {error}") from None


def _output_file(_ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """A file that can be made: its folder is there."""
    if value is None:
        return None
    path = Path(value)
    if not path.parent.is_dir():
        raise InputError(f"{param.opts[-1]} = {value!r}: there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir():
        raise InputError(f"{param.opts[-1]} = {value!r}: is a folder; name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{param.opts[-1]} = {value!r}: cannot be written; name another, or change its permissions")
    return path


def _frequency(_ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(f"{param.opts[-1]} = {value:g}: must be a number of MHz above 0")
    return value


spec_argument = click.argument("spec", metavar="SPEC", callback=_spec)

either_argument = click.argument("spec", metavar="SPEC", callback=_spec_or_network)

network_options = (
    click.option("--latency", type=int, metavar="N", help="Of a network: clock cycles to a prediction."),
    click.option(
        "--memory", metavar="KIND,...", help="Of a network: auto, logic or block; one for all layers, or each."
    ),
    click.option("--whole-from", type=int, metavar="LAYER", help="Of a network: from this layer on a single table."),
    click.option(
        "--reuse-factor",
        metavar="N,...",
        callback=_numbers(int),
        help="Of a network: edges that share a port of a block memory, for all layers or for each.",
    ),
)


def takes_network(command: Callable[..., None]) -> Callable[..., None]:
    """A command for a spec or a network, with the options that say how a network becomes hardware."""
    for option in reversed(network_options):
        command = option(command)
    return either_argument(command)


def _only_for(what: str, given: dict[str, Any]) -> None:
    """Refuses options that were given although they are for the other kind."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"--{name.replace('_', '-')} = {value!r}: only for a {what}; leave it out")


def _network_options(given: dict[str, Any]) -> dict[str, Any]:
    """Those of :class:`LookupCore` that were given."""
    options = {name: value for name, value in given.items() if value is not None}
    if "memory" in options and "," in options["memory"]:
        options["memory"] = options["memory"].split(",")
    if len(options.get("reuse_factor", ())) == 1:
        (options["reuse_factor"],) = options["reuse_factor"]
    return options


as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True)


@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="kanrtl")
def cli() -> None:
    """Kolmogorov-Arnold networks that learn in hardware."""


@cli.command()
@takes_network
@click.option("--task", type=click.Choice(list(TASKS)), help="What a learner learns.  [default: track]")
@click.option("--samples", type=click.IntRange(3), help="How many.  [default: 1500, or all of --data]")
@click.option("--data", metavar="FILE", help="For a network: X, and y if known, of this .npz file, not random codes.")
@seed_option
@click.option("--backend", type=click.Choice(BACKENDS), default="pysim", show_default=True)
@click.option("--plot", metavar="FILE", callback=_output_file, help="Draw the run into this PNG, SVG or PDF file.")
@click.option(
    "--trace",
    metavar="FILE",
    callback=_output_file,
    help="Write waveforms into this VCD file, and beside it a .gtkw view for GTKWave.",
)
@as_json
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
    """Let a learner learn a task, beside its integer model and float64; or a network predict, beside its model.

    SPEC is the spec of a learner (TOML) or a network (.npz; see kanrtl convert).
    """
    simulation: Simulation | NetworkSimulation
    if isinstance(spec, LookupNetwork):
        _only_for("learner", {"task": task, "plot": None if plot is None else str(plot)})
        simulation = _simulate_network(spec, samples, data, seed, backend, trace, _network_options(hardware))
    else:
        _only_for("network", {"data": data, **hardware})
        if plot:
            check_picture(plot)
        simulation = _simulate(spec, task or "track", samples or SAMPLES, seed, backend, trace)
    if trace:
        view = trace.with_suffix(".gtkw")
        messages.print(f"traced into {escape(str(trace))}; see it with `gtkwave {escape(str(view))}`")
    if isinstance(simulation, NetworkSimulation):
        _show(simulation.to_json(), as_json, lambda: _network_table(simulation))
    else:
        if plot:
            _plot(simulation, plot)
        _show(simulation.to_json(), as_json, lambda: _error_table(simulation))
    if simulation.mismatches:
        raise ToolError(f"{backend} differs from the integer model in {simulation.mismatches} values; please report it")


@cli.command()
@takes_network
@click.option("-o", "--output", metavar="FILE", callback=_output_file, help="[default: learner.v or network.v]")
@click.option("--name", help="Name of the top module.  [default: learner or network]")
@click.option("--device", help="Of a network: make it of this part's own cells, not for any tool.")
@as_json
def verilog(
    spec: LearnerSpec | LookupNetwork,
    output: Path | None,
    name: str | None,
    device: str | None,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Write a learner or a network as one self-contained Verilog file.

    SPEC is the spec of a learner (TOML) or a network (.npz; see kanrtl convert).
    """
    default = "network" if isinstance(spec, LookupNetwork) else "learner"
    name, path = name or default, output or Path(f"{default}.v")
    if not (name.isascii() and name.isidentifier()):
        raise InputError(f"--name = {name!r}: must be a Verilog identifier of letters, digits and underscores")
    if isinstance(spec, LookupNetwork):
        options = _network_options(hardware)
        core = core_for(spec, Device.parse(device), **options) if device else create_core(spec, **options)
        _write_verilog(core, network_header(core), name, path)
    else:
        _only_for("network", {"device": device, **hardware})
        learner = Learner(spec)
        _write_verilog(learner, learner_header(learner), name, path)
    _show({"verilog": str(path), "top": name}, as_json, lambda: results.print(f"wrote {escape(str(path))}"))


@cli.command("convert")
@click.argument("model", metavar="MODEL")
@click.option("-o", "--output", metavar="FILE", callback=_output_file, default="network.npz", show_default=True)
@click.option("--kind", help=f"What MODEL is, where its names do not tell: {', '.join(KINDS)}.")
@click.option("--config", metavar="FILE", help="KANELÉ's config.json, where MODEL does not have it.")
@click.option("--base", help="For efficient-kan and pykan: the function beside the splines.  [default: silu]")
@click.option("--bits", metavar="B,...", callback=_numbers(int), help="Of the inputs and every layer, or one for all.")
@click.option("--steps", metavar="S,...", callback=_numbers(float), help="What one LSB stands for, of the same.")
@click.option("--data", metavar="FILE", help="Samples X, and y if known, of this .npz file: steps follow from them.")
@click.option("--guard-bits", metavar="B,...", callback=_numbers(int), help="Of every layer's tables, below an LSB.")
@click.option("--stage", help="Output stage: raw, argmax or threshold.")
@click.option("--thresholds", metavar="C,...", callback=_numbers(int), help="Codes, one for each output.")
@click.option("--input-format", metavar="FORMAT", callback=_format, help='Quantise inputs in hardware: "SQ(4, 8)".')
@as_json
def convert_command(
    model: str, output: Path, stage: str | None, data: str | None, as_json: bool, **options: Any
) -> None:
    """Make a lookup network of a trained KAN: KANELÉ, efficient-kan or pykan.

    MODEL is a checkpoint or a state dict (.npz, or .pt and .pth with torch), KANELÉ's truth tables (.npz, .json or
    .json.gz), or a network again, for another output stage.
    """
    if output.suffix != ".npz":
        raise InputError(f"--output = {str(output)!r}: must end in .npz")
    x, y = (None, None) if data is None else read_samples(Path(data))
    with _working(f"converting {escape(model)}"):
        converted = convert(model, x=x, output=stage, **options)
        score = {} if y is None else simulate_network(converted.network, "model", x=x, y=y).score
        converted.network.save(output)
    found = {"network": str(output), **converted.to_json(), **score}
    _show(found, as_json, lambda: _converted_table(found))


@cli.command()
@takes_network
@click.option("--device", help="Build the core alone for this part, such as LFE5U-85F-6 or iCE40UP5K.")
@click.option("--board", help=f"Build a bitstream that teaches or checks itself: {', '.join(BOARDS)}.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of placement.")
@click.option("--frequency", type=float, callback=_frequency, help="MHz to ask for, with --device.")
@click.option("--wide-luts", is_flag=True, help="With --device, ECP5: more LUTs, fewer of them one behind the other.")
@click.option("--placer", type=click.Choice(PLACERS), help="Of nextpnr, with --device; static takes twice the time.")
@click.option("-o", "--output", metavar="FILE", callback=_output_file, help="Where to put the bitstream, with --board.")
@as_json
def build(
    spec: LearnerSpec | LookupNetwork,
    device: str | None,
    board: str | None,
    seed: int,
    frequency: float | None,
    wide_luts: bool,
    placer: str | None,
    output: Path | None,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Synthesise, place and route; report what it takes and how fast it is.

    SPEC is the spec of a learner (TOML) or a network (.npz; see kanrtl convert).
    """
    if isinstance(spec, LearnerSpec):
        _only_for("network", hardware)
    options = _network_options(hardware)
    if (device is None) == (board is None):
        raise InputError("build: name either --device (the core alone) or --board (a bitstream)")
    if board is not None:
        if frequency is not None:
            raise InputError(f"--frequency = {frequency:g}: a board has its own clock; leave it out, or use --device")
        if placer is not None:
            raise InputError(f"--placer = {placer!r}: only a --device build takes it; leave it out, or use --device")
        if wide_luts:
            raise InputError("--wide-luts: only a --device build takes it; leave it out, or use --device")
        report = _build_board(spec, board, seed, output, **options)
    else:
        if output is not None:
            raise InputError(f"--output = {str(output)!r}: only a --board build has a bitstream; leave it out")
        assert device is not None
        with _working(f"building for {device}") as progress:
            core: dict[str, Any] = {
                "seed": seed,
                "frequency": frequency,
                "placer": placer,
                "wide_luts": wide_luts,
                "progress": progress,
            }
            if isinstance(spec, LookupNetwork):
                report = build_network(spec, device, **core, **options)
            else:
                report = build_learner(spec, device, **core)
    _show(report.to_json(), as_json, lambda: _report_table(report))


@cli.command("sweep")
@spec_argument
@click.option(
    "--over",
    multiple=True,
    required=True,
    metavar="FIELD=VALUE,...",
    help="What to change, and to what; once for each axis. Values are written as in a spec file, texts without quotes: "
    "learning_rate=0.1,0.3 or grid_size=[4,8],8 or coefficient_format='SQ(6,10),SQ(6,8)'. "
    "bits=8,12,16 sets activation_format and coefficient_format to so many bits, taken from the fraction. "
    "Several fields together: 'FIELD,FIELD=VALUE,...' (the same for all of them) or 'FIELD,FIELD=VALUE:VALUE,...' "
    "(one for each).",
)
@click.option("--task", type=click.Choice(list(TASKS)), default="track", show_default=True)
@click.option("--samples", type=click.IntRange(3), default=1500, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True, help="Runs of every learner.")
@click.option("--backend", type=click.Choice(BACKENDS), default="model", show_default=True)
@click.option("--jobs", type=click.IntRange(1), metavar="N", help="Processes; as many as cores if not given.")
@click.option("--scheduler", metavar="ADDRESS", help="Run on this Dask cluster, such as tcp://10.0.0.1:8786.")
@click.option("--plot", metavar="FILE", callback=_output_file, help="Draw errors into this PNG, SVG or PDF file.")
@as_json
def sweep_command(
    spec: LearnerSpec,
    over: tuple[str, ...],
    plot: Path | None,
    jobs: int | None,
    scheduler: str | None,
    as_json: bool,
    **runs: Any,
) -> None:
    """Compare learners on a task: error against precision, grid, learning rate, or any field of the spec.

    Every combination of the values is run, all in the integer model side by side, and beside each the same learner in
    float64. The first --over is the picture's axis, the second its lines, the third its panels.
    """
    axes = _axes(over)
    if plot:
        check_picture(plot)
        if len(axes) > MAX_AXES:
            raise InputError(f"--plot = {str(plot)!r}: draws up to {MAX_AXES} axes, here are {len(axes)}; leave it out")
    if jobs is not None and scheduler is not None:
        raise InputError(f"--jobs = {jobs}: with --scheduler the cluster has its own; leave it out")
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("learners", total=None)
        found = sweep(
            spec,
            axes,
            **runs,
            jobs=jobs or os.cpu_count() or 1,
            scheduler=scheduler,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    if plot:
        plot_sweep(found.to_json(), plot)
        messages.print(f"drew {escape(str(plot))}")
    _show(found.to_json(), as_json, lambda: _sweep_table(found))


def _axes(over: tuple[str, ...]) -> dict[str | tuple[str, ...], list[Any]]:
    axes: dict[str | tuple[str, ...], list[Any]] = {}
    for text in over:
        fields, values = parse_over(text)
        if fields in axes:
            raise InputError(f"--over = {text!r}: an axis of its own again; give all values in one --over")
        axes[fields] = values
    return axes


@cli.command()
@spec_argument
@click.option("--device", required=True, help="Part, such as LFE5U-85F-6 or iCE40UP5K.")
@as_json
def estimate(spec: LearnerSpec, device: str, as_json: bool) -> None:
    """What the learner will take of a device, without building it."""
    found = spec.estimate(device)
    _show(found.to_json(), as_json, lambda: _pairs_table("estimated", found.table()))


@cli.command("spec")
@click.argument("spec", metavar="[SPEC]", callback=_spec, required=False)
@as_json
def spec_command(spec: LearnerSpec | None, as_json: bool) -> None:
    """Print a spec (or the demo's) as commented TOML, with every derived width, latency and interval."""
    spec = spec or DEMO_SPEC
    _show(spec.to_dict() | {"derived": derived(spec)}, as_json, lambda: click.echo(to_toml(spec), nl=False))


@cli.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="demo",
    show_default=True,
    help="Folder.",
)
@click.option("--samples", type=click.IntRange(3), default=1500, show_default=True)
@seed_option
def demo(output: Path, samples: int, seed: int) -> None:
    """See a chip learn: simulation, picture, Verilog, and a bitstream for a ULX3S."""
    picture = output / "track.png"
    check_picture(picture)
    output.mkdir(parents=True, exist_ok=True)
    # The tools' first call compiles them for minutes on one core: let that pass while the simulation runs.
    warming = threading.Thread(target=_warm_quietly, daemon=True)
    warming.start()
    (output / "learner.toml").write_text(to_toml(DEMO_SPEC))
    simulation = _simulate(DEMO_SPEC, "track", samples, seed, "pysim")
    if simulation.mismatches:
        raise ToolError(f"the RTL differs from the integer model in {simulation.mismatches} values; please report it")
    _error_table(simulation)
    results.print(
        f"Every prediction and every final coefficient of the RTL equals the integer model: {samples} samples, "
        f"{simulation.status['cycles']} clock cycles."
    )
    _plot(simulation, picture)
    (output / "track.json").write_text(json.dumps(simulation.to_json(), indent=2) + "\n")
    with _working("compiling the synthesis tools, once"):
        warming.join()
    learner = Learner(DEMO_SPEC)
    _write_verilog(learner, learner_header(learner), "learner", output / "learner.v")
    report = _build_board(DEMO_SPEC, DEMO_BOARD, 1, output / f"{DEMO_BOARD}.bit")
    (output / f"{DEMO_BOARD}.json").write_text(json.dumps(report.to_json(), indent=2) + "\n")
    _report_table(report)
    results.print(f"Everything is in {escape(str(output))}/: see track.png, learner.v, {DEMO_BOARD}.bit.")


def _warm_quietly() -> None:
    with suppress(ToolError):  # the build that needs the tool says so
        warm([YOSYS, NEXTPNR_ECP5, ECPPACK])


def _simulate(
    spec: LearnerSpec, task: str, samples: int, seed: int, backend: str, trace: Path | None = None
) -> Simulation:
    with _counting(f"{task} on {backend}", samples) as (advance, starting):
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
    with _counting(f"network on {backend}", count) as (advance, starting):
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


@contextmanager
def _counting(title: str, total: int) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """A bar; gives what is called with the number of samples done since the last call, and what with a message."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as progress:
        bar = progress.add_task(title, total=total)

        def advance(done: int) -> None:
            progress.update(bar, advance=done, description=title)

        def starting(message: str) -> None:
            progress.update(bar, description=f"{title}: {escape(message)}")

        yield advance, starting


def _build_board(
    spec: LearnerSpec | LookupNetwork, board: str, seed: int, output: Path | None, **options: Any
) -> Report:
    if board not in BOARDS:
        raise InputError(f"--board = {board!r}: unknown; use one of {', '.join(BOARDS)}")
    with _working(f"building for {board}") as progress:
        if isinstance(spec, LookupNetwork):
            return build_self_check(spec, BOARDS[board], seed=seed, output=output, progress=progress, **options)
        return build_exercise(spec, BOARDS[board], seed=seed, output=output, progress=progress)


def _write_verilog(component: Learner | LookupCore, comment: str, name: str, path: Path) -> None:
    with _working("writing Verilog") as progress:
        if isinstance(component, LookupCore):
            component.progress = progress
        write_verilog(component, name, path, progress, header=comment)


def _plot(simulation: Simulation, path: Path) -> None:
    simulation.plot(path)
    messages.print(f"drew {escape(str(path))}")


@contextmanager
def _working(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the time that has passed; gives what a library function calls with its progress."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=messages,
        transient=True,
        disable=not messages.is_terminal,
    ) as progress:
        task = progress.add_task(what)
        yield lambda message: progress.update(task, description=f"{what}: {escape(message)}")


def _show(result: dict[str, Any], as_json: bool, pretty: Callable[[], None]) -> None:
    if as_json:
        click.echo(json.dumps(result, indent=2))
    else:
        pretty()


def _error_table(simulation: Simulation) -> None:
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
        results.print(f"A learning step takes {_cycles(data['latency'])}, the same for every sample.")


def _network_table(simulation: NetworkSimulation) -> None:
    data = simulation.to_json()
    pairs = [
        ("layers", f"{data['layer_sizes']}, bits {data['bits']}, output {data['output']}"),
        ("samples", f"{data['samples']}, {data['mismatches']} mismatches with the integer model"),
        ("latency", "" if data["latency"] is None else _cycles(data["latency"])),
        ("interval", "" if data["interval"] is None else _cycles(data["interval"])),
        ("rate", f"{data['samples_per_second']} samples a second in the simulation"),
        *_score_pairs(data),
    ]
    _pairs_table(f"network on {data['backend']}", [pair for pair in pairs if pair[1]])


def _converted_table(data: dict[str, Any]) -> None:
    pairs = [
        ("layers", f"{data['layer_sizes']}, bits {data['bits']}, output {data['output']}"),
        ("tables", f"{data['edges']} edges, {data['table_bits']} bits"),
    ]
    if "rms_difference" in data:
        what = f"{data['rms_difference']:.4g} RMS, of {data['rms_nodes']:.4g}, over {data['samples']} samples"
        pairs.append(("quantising changes outputs by", what))
    _pairs_table(f"{data['kind']} to {data['network']}", [*pairs, *_score_pairs(data)])


def _score_pairs(data: dict[str, Any]) -> list[tuple[str, str]]:
    words = {"accuracy": "accuracy", "rms_error": "error (RMS)"}
    return [(words[name], f"{data[name]:.4f}") for name in words if name in data]


def _sweep_table(found: Sweep) -> None:
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


def _cycles(count: int) -> str:
    return f"{count} clock cycle{'' if count == 1 else 's'}"


def _report_table(report: Report) -> None:
    _pairs_table(f"{report.device}, placed and routed", report.table())


def _pairs_table(title: str, pairs: list[tuple[str, str]]) -> None:
    table = Table(show_header=False, title=title)
    table.add_column("what", no_wrap=True)
    table.add_column("value")
    for name, value in pairs:
        table.add_row(name, escape(value))
    results.print(table)


# Named apart from the library's function of the same name.
cli.add_command(simulate_command, "simulate")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits."""
    sys.exit(_main(arguments))


def _main(arguments: list[str] | None) -> int:
    try:
        cli.main(arguments, prog_name="kanrtl", standalone_mode=False)
    except click.exceptions.Abort:
        return _fail("stopped", 130)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "kanrtl"
        return _fail(f"{error.format_message()} (see {command} --help)", 2)
    except (SpecError, InputError, BuildError) as error:
        return _fail(str(error), 2)
    except (ToolError, TimingError) as error:
        return _fail(str(error), 1)
    except OSError as error:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}; name an output that can be written", 2)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    return 0


def _fail(line: str, status: int) -> int:
    # A refusal may leave components that nobody elaborates; Amaranth would add lines of its own about them.
    warnings.simplefilter("ignore", UnusedElaboratable)
    click.echo(f"kanrtl: {' '.join(line.split())}", err=True)
    return status
