"""What can be done with a learner and with a network: ``kanrtl simulate``, ``estimate``, ``verilog``, ``build``."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import click
import cloup
from rich.markup import escape
from rich.table import Table

from ..boards import BOARDS
from ..build.capacity import find_fit
from ..build.design_builds import (
    build_exercise,
    build_learner,
    build_linked,
    build_network,
    build_self_check,
    fit_spec,
)
from ..build.device_fit import DeviceFit
from ..build.network_capacity import find_network_fit
from ..build.optimise import Optimum, check_goal, describe_options, list_settings, optimise_network
from ..build.out_of_context import PLACERS
from ..build.report import Report
from ..errors import InputError, ToolError
from ..experiments.simulate_learner import Simulation, simulate
from ..experiments.simulate_network import NetworkSimulation, read_samples, simulate_network
from ..experiments.sweep import format_error
from ..fabric.device import Device
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..plots.canvas import check_picture
from ..sim import TASKS
from .console import count_samples, name_cycles, results, say, score_pairs, show, show_pairs, show_work
from .options import (
    LEARNER,
    OUTPUT,
    as_json,
    backend_option,
    check_only_for,
    choice_option,
    count_option,
    file_option,
    hardware_options,
    host_group,
    host_options,
    input_option,
    network_group,
    optimise_option,
    spec_or_network_argument,
)
from .signal_options import (
    check_without_data,
    choose_seed,
    read_recording,
    say_all_are_taken,
    show_comparison,
    signal_group,
    take_signal_options,
)

SAMPLES = 1500

MOST_SEEDS = 1000
"""As many builds as anyone waits for."""

LOWEST_MHZ, HIGHEST_MHZ = 0.001, 10_000.0
"""What can be asked of nextpnr, which counts in whole picoseconds."""


@cloup.command("simulate")
@spec_or_network_argument
@cloup.option_group(
    "The run",
    count_option("--samples", 3, help="Run N samples.  [default: 1500, or all of --data]"),
    count_option("--seed", 0, help="Draw samples at random with this seed.  [default: 0]"),
    backend_option(
        help="Run on this backend, or a learner at this address.  [default: pysim, or model for a learner with --data]"
    ),
    input_option(
        "--data",
        help="Let a learner learn the signals of this file: CSV (also .gz), .npz or Parquet. Let a network predict X "
        "of this .npz file, and compare with y if known.",
    ),
)
@cloup.option_group(
    LEARNER,
    choice_option("--task", TASKS, help="Let it learn this task.  [default: track]"),
    file_option("--plot", help="Draw the run into a PNG, SVG or PDF file."),
)
@signal_group()
@network_group()
@cloup.option_group(
    OUTPUT,
    file_option("--trace", help="Write waveforms into a VCD file, and beside it a .gtkw view for GTKWave."),
    as_json,
)
def simulate_command(
    spec: LearnerSpec | LookupNetwork,
    task: str | None,
    samples: int | None,
    data: str | None,
    seed: int | None,
    backend: str | None,
    plot: Path | None,
    trace: Path | None,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Run a learner or a network beside its integer model.

    A learner learns a task, and is also compared with the same in float64; with --data it learns measured signals, and
    is compared with linear filters and a polynomial too, in the units of the file. A network predicts samples. Where a
    value differs from the model, the exit status is 1.
    """
    simulation: Simulation | NetworkSimulation
    signals = take_signal_options(hardware)
    seed = choose_seed(seed, data)
    if backend is None:
        backend = "model" if data is not None and isinstance(spec, LearnerSpec) else "pysim"
    if isinstance(spec, LookupNetwork):
        check_only_for("learner", {"task": task, "plot": None if plot is None else str(plot), **signals})
        simulation = _simulate_network(spec, samples, data, seed, backend, trace, hardware_options(hardware))
    else:
        check_only_for("network", hardware)
        if plot:
            check_picture(plot)
        if data is None:
            check_without_data(signals)
            simulation = simulate_task(spec, task or "track", samples or SAMPLES, seed, backend, trace)
        else:
            recording = read_recording(data, task, samples, signals, spec)
            with count_samples(f"{escape(recording.name)} on {backend}", recording.samples) as (advance, starting):
                simulation = simulate(spec, recording, backend, progress=advance, trace=trace, starting=starting)
    if trace:
        view = trace.with_suffix(".gtkw")
        say(f"traced into {trace}; see it with `gtkwave {view}`")
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
    """Let a learner learn a task, with a bar."""
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
        if samples is not None and len(x) < samples:
            say_all_are_taken(samples, data, len(x))
        x, y = x[:samples], y if y is None else y[:samples]
    count = samples or SAMPLES if x is None else len(x)
    options |= {"x": x, "y": y, "samples": count, "seed": seed, "trace": trace}
    with count_samples(f"network on {backend}", count) as (advance, starting):
        return simulate_network(network, backend, progress=advance, starting=starting, **options)


def draw(simulation: Simulation, path: Path) -> None:
    """Draw a simulation, and say so."""
    simulation.plot(path)
    say(f"drew {path}")


def show_errors(simulation: Simulation) -> None:
    """Print the errors of a learner, beside those of float64, and of other methods where it learned a recording."""
    data = simulation.to_json()
    if simulation.recorded is not None:
        show_comparison(simulation.recorded)
        _show_status(data)
        return
    table = Table(title=f"mean squared error before each update, task {data['task']}")
    table.add_column("regime")
    table.add_column(str(data["backend"]), justify="right")
    table.add_column("float64", justify="right")
    errors = zip(simulation.task.regimes, data["mse"], data["mse_float64"], strict=True)
    for index, (regime, ours, floats) in enumerate(errors):
        last = min(100, regime.stop - regime.start)
        table.add_row(f"{index + 1}, last {last} samples", format_error(ours), format_error(floats))
    table.add_row("whole run", format_error(data["mse_all"]), format_error(data["mse_all_float64"]))
    results.print(table)
    _show_status(data)


def _show_status(data: dict[str, Any]) -> None:
    _show_saturations(data)
    if "guard" in data:
        counts = ", ".join(f"{name} {count}" for name, count in data["guard"]["counts"].items() if count)
        if data["guard"]["fault"]:
            say(f"the guard saw a fault ({', '.join(data['guard']['seen'])}): from then on nothing was learned")
        results.print(f"Seen by the guard: {counts or 'nothing'}.")
    _show_cycles(data)


def _show_saturations(data: dict[str, Any]) -> None:
    saturated = [
        f"{kind} {count}{' or more' if kind in data['counters_full'] else ''}"
        for kind, count in data["saturations"].items()
        if count
    ]
    if saturated:
        results.print(f"Saturated in the learner: {', '.join(saturated)}.")
    clipped = [f"{count} {name}" for name in ("inputs", "targets") if (count := data[f"{name}_saturated"])]
    if clipped:
        results.print(f"Clipped before they reached it: {', '.join(clipped)}.")


def _show_cycles(data: dict[str, Any]) -> None:
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


@cloup.command("estimate")
@spec_or_network_argument
@cloup.option_group(
    "Target",
    cloup.option(
        "--device", metavar="PART", required=True, help="Estimate for a part such as LFE5U-85F-6 or iCE40UP5K."
    ),
)
@network_group(optimise_option)
@cloup.option_group(OUTPUT, as_json)
def estimate_command(
    spec: LearnerSpec | LookupNetwork, device: str, as_json: bool, optimise: str | None, **hardware: Any
) -> None:
    """Tell what a learner or a network takes, and whether it fits.

    Where it does not, what would make it fit is told too. Nothing is built; with --optimise, settings are compared by
    estimate alone. In JSON, "fits" is null where it may fit, within the error of the estimate. The exit status is 0
    either way.
    """
    part = Device.parse(device)
    fit: DeviceFit
    if isinstance(spec, LookupNetwork):
        with show_work(f"estimating for {device}"):
            options = hardware_options(hardware)
            settings = list_settings(spec, part, check_goal(optimise), **options) if optimise else []
            options = settings[0].options if settings else options
            fit = find_network_fit(spec, part, **options)
        if settings:
            say(f"best by estimate: {describe_options(options)}")
    else:
        check_only_for("network", {"optimise": optimise, **hardware})
        fit_spec(spec, part)  # refuses what no build makes
        fit = find_fit(spec, part)
    show(fit.to_json(), as_json, lambda: show_pairs("estimated", fit.estimate.table()))
    if not as_json:
        click.echo(fit.sentence)


def _read_frequency(_ctx: click.Context, _param: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(f"--frequency = {value:g}: must be a number of MHz above 0")
    if value is not None and not LOWEST_MHZ <= value <= HIGHEST_MHZ:
        raise InputError(f"--frequency = {value:g}: must be from {LOWEST_MHZ:g} to {HIGHEST_MHZ:g} MHz")
    return value


def _read_seeds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    found = re.fullmatch(r"(\d+)-(\d+)", value or "")
    seeds = range(int(found[1]), int(found[2]) + 1) if found else range(0)
    if value is not None and not seeds:
        raise InputError(f"--seeds = {value!r}: must be the first and the last, such as 1-5")
    if seeds and (seeds[-1] >= 1 << 31 or len(seeds) > MOST_SEEDS):
        raise InputError(f"--seeds = {value!r}: must be up to {MOST_SEEDS} seeds, the last below {1 << 31}")
    return tuple(seeds) or None


@cloup.command("build")
@spec_or_network_argument
@cloup.option_group(
    "What to build (one of the two)",
    cloup.option("--device", metavar="PART", help="Build the core alone for a part such as LFE5U-85F-6 or iCE40UP5K."),
    cloup.option("--board", metavar="NAME", help=f"Build what teaches or checks itself on one of {', '.join(BOARDS)}."),
)
@cloup.option_group(
    "How to build it",
    count_option("--seed", 0, help="Place with this seed.  [default: 1]"),
)
@cloup.option_group(
    "Options with --device",
    cloup.option("--seeds", metavar="A-B", callback=_read_seeds, help="Place with seeds A to B; report the median."),
    cloup.option("--frequency", type=float, metavar="MHZ", callback=_read_frequency, help="Ask for this clock."),
    cloup.option("--register-ports", is_flag=True, help="Put a register on every port, so that paths to it are timed."),
    cloup.option("--wide-luts", is_flag=True, help="On ECP5, use more LUTs, fewer of them one behind the other."),
    choice_option("--placer", PLACERS, help="Let nextpnr use this one, not heap; static takes twice the time."),
)
@host_group("Options with --board, for a learner")
@network_group(optimise_option)
@cloup.option_group(OUTPUT, file_option("-o", "--output", help="Write the bitstream into this file."), as_json)
def build_command(
    spec: LearnerSpec | LookupNetwork,
    device: str | None,
    board: str | None,
    seed: int | None,
    output: Path | None,
    as_json: bool,
    seeds: tuple[int, ...] | None,
    frequency: float | None,
    register_ports: bool,
    wide_luts: bool,
    placer: str | None,
    host: str | None,
    baud: int | None,
    optimise: str | None,
    **hardware: Any,
) -> None:
    """Synthesise, place and route; report size and speed.

    With --seeds the report is that of the seed in the middle, with the speeds of all. With --optimise a few settings
    are placed with the first seed, and the best is built; what repeats it is printed.
    """
    if isinstance(spec, LearnerSpec):
        check_only_for("network", {"optimise": optimise, **hardware})
        spec.warn()
    options = hardware_options(hardware) | host_options(spec, host, baud)
    if host is not None and board is None:
        raise InputError(f"--host = {host!r}: only a --board build takes it; leave it out, or use --board")
    if (device is None) == (board is None):
        raise InputError("build: name either --device (the core alone) or --board (a bitstream)")
    core: dict[str, Any] = {"placer": placer, "register_ports": register_ports, "wide_luts": wide_luts}
    if board is not None:
        if optimise is not None:
            raise InputError(
                f"--optimise = {optimise!r}: only a --device build takes it; leave it out, or use --device"
            )
        if frequency is not None:
            raise InputError(f"--frequency = {frequency:g}: a board has its own clock; leave it out, or use --device")
        for name, value in (core | {"seeds": seeds and f"{seeds[0]}-{seeds[-1]}"}).items():
            if value:
                given = f"--{name.replace('_', '-')}" + ("" if value is True else f" = {value!r}")
                raise InputError(f"{given}: only a --device build takes it; leave it out, or use --device")
        report = build_for_board(spec, board, 1 if seed is None else seed, output, **options)
        show(report.to_json(), as_json, lambda: show_report(report))
        return
    assert device is not None
    if output is not None:
        raise InputError(f"--output = {str(output)!r}: only a --board build has a bitstream; leave it out")
    if seeds and seed is not None:
        raise InputError(f"--seed = {seed}: --seeds names all of them; leave one of the two out")
    core |= {"frequency": frequency}
    found: Optimum | None = None
    if optimise is not None and isinstance(spec, LookupNetwork):
        first = seeds[0] if seeds else 1 if seed is None else seed
        found = find_optimum(spec, device, optimise, core | {"seed": first}, options)
        options, core["placer"] = dict(found.options), found.placer
    options |= core
    reports = [_build_core(spec, device, one, options) for one in seeds or (1 if seed is None else seed,)]
    speeds = [one.fmax_mhz for one in reports]
    report = sorted(reports, key=lambda one: one.fmax_mhz or 0)[(len(reports) - 1) // 2]
    more: dict[str, Any] = {"seeds": seeds, "fmax_mhz_by_seed": speeds} if seeds else {}
    more |= {"optimised": found.to_json()} if found else {}
    show(report.to_json() | more, as_json, lambda: show_report(report))
    if seeds and not as_json:
        told = ", ".join("unknown" if speed is None else f"{speed:.1f}" for speed in speeds)
        click.echo(f"This is the median of seeds {seeds[0]} to {seeds[-1]}, which give {told} MHz.")


def find_optimum(
    network: LookupNetwork, device: str, goal: str, made_with: dict[str, Any], options: dict[str, Any]
) -> Optimum:
    """Searches for the best setting, with a spinner, and says what repeats it."""
    with show_work(f"optimising {goal} for {device}") as progress:
        found = optimise_network(network, device, goal, progress=progress, **made_with, **options)
    say(f"best of {len(found.trials)} placed: {found.words}")
    return found


def _build_core(spec: LearnerSpec | LookupNetwork, device: str, seed: int, options: dict[str, Any]) -> Report:
    with show_work(f"building for {device}, seed {seed}") as progress:
        if isinstance(spec, LookupNetwork):
            return build_network(spec, device, seed=seed, progress=progress, **options)
        return build_learner(spec, device, seed=seed, progress=progress, **options)


def build_for_board(
    spec: LearnerSpec | LookupNetwork, board: str, seed: int, output: Path | None, **options: Any
) -> Report:
    """Build the bitstream with which a board teaches or checks itself, with a spinner; with ``baud``, that of a learner
    at the end of the board's serial port."""
    if board not in BOARDS:
        raise InputError(f"--board = {board!r}: unknown; use one of {', '.join(BOARDS)}")
    with show_work(f"building for {board}") as progress:
        if isinstance(spec, LookupNetwork):
            return build_self_check(spec, BOARDS[board], seed=seed, output=output, progress=progress, **options)
        build = build_linked if "baud" in options else build_exercise
        return build(spec, BOARDS[board], seed=seed, output=output, progress=progress, **options)


def show_report(report: Report) -> None:
    """Print what came of a build."""
    show_pairs(f"{report.device}, placed and routed", report.table())
