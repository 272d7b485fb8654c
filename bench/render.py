"""Writes what README.md and the pages of ``docs/`` show of ``bench/results``: ``python -m bench.render`` (``--check``:
only compare).

A page marks what it shows by comments, which stay::

    <!-- table: builds -->             a table of TABLES, up to <!-- end -->
    <!-- picture: grid -->             a picture of PICTURES that bench.draw has drawn, up to <!-- end -->
    <!-- value: t-no-registers.step_ns .1f -->31.7<!-- end -->   a number of a result, by its path, in a format
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kanrtl import LearnerSpec
from kanrtl.bus.register_map import RegisterMap
from kanrtl.bus.writers import DescribedMap
from kanrtl.bus.writers.map_table import write_markdown
from kanrtl.files import write_whole
from kanrtl.sim import PLANTS

from . import late_updates, learning_rates
from . import links as bench_links
from .plant_tables import plant_rows, track_rows

HERE = Path(__file__).parent
RESULTS = HERE / "results"
ROOT = HERE.parent
UNITS = ("ns", "µs", "s", "MHz", "M", "million", "%", "block")
IMAGES = ROOT / "docs" / "images"

# The peer's figures, measured by us or by its authors; sources in bench/peers.json.
PEERS: dict[str, Any] = json.loads((HERE / "peers.json").read_text())


BUILDS = (
    "t-no-registers",
    "t-no-registers-8",
    "t8-no-registers",
    "t-logic",
    "t8-logic",
    "t8-logic-8",
    "t-few-registers",
    "t-most-registers",
    "t-all-registers",
    "t-up5k",
    "two-layers",
    "board-ulx3s-85f",
    "board-icebreaker",
)
SIMULATIONS = ("simulate-1-1", "simulate-1-1-few-registers", "simulate-2-4-1")
SCHEDULES = (
    "t-streaming",
    "t-streaming-up5k",
    "t-shared",
    "two-layers-folded",
    "smallest-hx1k",
)
SCALE = ("large", "largest-85f", "largest-25f", "largest-up5k", "largest-hx8k", "largest-hx1k")
ESTIMATORS = ("chick-weights", "trump-approval", "friedman-drift")

LOOKUPS = (
    "lookup-moons",
    "lookup-moons-class",
    "lookup-moons-whole",
    "lookup-drybean",
    "lookup-drybean-whole",
    "lookup-drybean-class",
    "lookup-drybean-ns",
)
FROZENS = ("frozen-t8", "frozen-t8-6", "frozen-t8-4")
ADAPTS = ("adapt-switch", "adapt-slow")
FOLDED = (
    "folded-64-10-up5k",
    "folded-64-32-10-up5k",
    "folded-784-10-up5k",
    "folded-64-32-10",
    "folded-64-32-10-fast",
)

SIGNALS = ("signal-silverbox", "signal-laser", "signal-channel", "signal-qubit")

SELF_CHECKS = tuple(
    f"self-check-{network}-{board}" for network in ("moons", "drybean") for board in ("ulx3s-85f", "icebreaker")
)

CLASSIFIERS = (
    *("classify-digits-up5k", "classify-digits-25f", "classify-digits-hidden-up5k", "classify-digits-hidden-25f"),
    "classify-digits-dense-25f",
    *(f"classify-{name}-{device}" for name in ("wine", "breast-cancer") for device in ("up5k", "25f")),
)


def load(folder: Path, name: str) -> dict[str, Any]:
    """The result of a row."""
    return json.loads((folder / f"{name}.json").read_text())  # type: ignore[no-any-return]


def result(name: str) -> dict[str, Any]:
    return load(RESULTS, name)


def pages() -> list[Path]:
    """Every page that a reader is given."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keep_together(text: str) -> str:
    """A number stays in a line with its unit, and with the number that it is of."""
    text = re.sub(rf"(\d) ({'|'.join(UNITS)})(?!\w)", "\\1\N{NO-BREAK SPACE}\\2", text)
    return re.sub(r"(\d) (of|/) (?=\d)", "\\1\N{NO-BREAK SPACE}\\2\N{NO-BREAK SPACE}", text)


def speed(data: dict[str, Any]) -> str:
    """Frequency with the spread over seeds."""
    seeds = [value for value in data["fmax_mhz_by_seed"] if value is not None]
    if not seeds:
        return "not timed"
    spread = f" ({min(seeds):.1f} to {max(seeds):.1f})" if len(seeds) > 1 else ""
    kind = "" if data["fmax_kind"] == "measured" else f", {data['fmax_kind']}"
    return f"{data['fmax_mhz']:.1f} MHz{spread}{kind}"


def used(data: dict[str, Any]) -> list[str]:
    """LUT, FF, DSP, and what coefficients lie in."""
    return [*(str(data[kind]) for kind in ("lut", "ff", "dsp")), f"{data['bram']} block" if data["bram"] else "LUT RAM"]


def errors() -> str:
    data = result("track")
    named = {
        f"kanrtl, {data['backend']} and model": [*data["mse"], data["mse_all"]],
        "the same in float64": [*data["mse_float64"], data["mse_all_float64"]],
        **{peer["name"]: peer["mse"] for peer in PEERS["track"]},
    }
    return table(
        ["mean squared error before each update", "regime 1", "regime 2", "regime 3", "whole run"],
        [[name, *(f"{value:.5f}" for value in values)] for name, values in named.items()],
    )


def builds() -> str:
    rows = [
        [
            peer["name"],
            peer["device"],
            peer["cycles"],
            peer["speed"],
            peer["step"],
            peer["lut"],
            peer["ff"],
            peer["dsp"],
            peer["memory"],
            "",
        ]
        for peer in PEERS["builds"]
    ]
    for name in BUILDS:
        data = result(name)
        rows.append(
            [
                f"**{data['title']}**",
                data["device"],
                str(data["latency_cycles"]),
                speed(data),
                f"**{data['step_ns']:.1f} ns**",
                *used(data),
                f"`{name}`",
            ]
        )
    header = ["one learning step", "device", "cycles", "clock", "time", "LUT", "FF", "DSP", "memory", "row"]
    return table(header, rows)


def schedules() -> str:
    rows = []
    for name in SCHEDULES:
        data = result(name)
        rows.append(
            [
                f"**{data['title']}**",
                data["device"],
                speed(data),
                f"{data['latency_cycles']}, {data['interval_cycles']}",
                f"{data['step_ns']:.1f} ns",
                f"**{data['steps_per_second'] / 1e6:.1f} M**",
                *used(data),
                f"`{name}`",
            ]
        )
    header = ["", "device", "clock", "cycles: latency, interval", "latency", "steps a second"]
    return table([*header, "LUT", "FF", "DSP", "memory", "row"], rows)


def coefficients(spec: dict[str, Any]) -> int:
    """How many a learner of one layer has."""
    inputs, outputs = spec["layer_sizes"]
    return int(inputs * outputs * (spec["grid_size"] + spec["spline_order"]))


def scale() -> str:
    rows = []
    for name in SCALE:
        data = result(name)
        spec = data["spec"]
        inputs, outputs = spec["layer_sizes"]
        rows.append(
            [
                f"**{coefficients(spec):,}**",
                f"[{inputs}, {outputs}], {spec['grid_size']} cells",
                data["device"],
                data["title"],
                str(data["latency_cycles"]),
                speed(data),
                f"**{data['step_ns']:.0f} ns**",
                *(f"{data[kind]} of {data['capacity'][kind]}" for kind in ("lut", "dsp", "bram")),
                f"`{name}`",
            ]
        )
    header = ["coefficients", "layers", "device", "", "cycles", "clock", "time", "LUT", "DSP", "memory blocks", "row"]
    return table(header, rows)


def estimators() -> str:
    data = [result(name) for name in ESTIMATORS]
    columns = [column for one in data for column in (f"{one['title']}: MAE", "RMSE")]
    rows = []
    for index, model in enumerate(data[0]["models"]):
        scores = [one["models"][index] for one in data]
        name = f"**{model['name']}**" if "KANRegressor" in model["name"] else model["name"]
        rows.append([name, *(f"{score[kind]:#.3g}" for score in scores for kind in ("mae", "rmse"))])
    return table(["error of each prediction before its update", *columns], rows)


def signals() -> str:
    """What is learned of each stream, by every method."""
    rows = []
    for name in SIGNALS:
        data = result(name)
        for index, method in enumerate(data["methods"]):
            title = f"**{data['title']}** (`{name}`)" if index == 0 else ""
            ours = "spec" in method and not method["name"].endswith("float64")
            error = f"{method['error']:#.3g}"
            chosen = method["chosen"] or ""
            if isinstance(chosen, dict):
                chosen = ", ".join(f"{field} {value:g}" for field, value in chosen.items())
            elif chosen:
                chosen = ", ".join(f"{value:g}" for value in chosen)
            cells = [title, method["name"], f"**{error}**" if ours else error, data["unit"], chosen]
            rows.append([cell.replace("_", " ") if cell is chosen else cell for cell in cells])
    return table(["stream", "method", "error", "of what", "chosen on the first part"], rows)


def calls() -> str:
    data = result("calls")
    times = [
        [name, f"{data['microseconds'][name]:.1f}", f"{data['ratios'][name]:.2f}"] for name in data["microseconds"]
    ]
    return table(["one sample", "microseconds", "to river's, scaled"], times)


def fits() -> str:
    rates = result("calls")["samples_per_second"]
    return table(["fit on layers [1, 1]", "samples a second"], [[name, f"{rate:,.0f}"] for name, rate in rates.items()])


def precision() -> str:
    peer = PEERS["precision"]
    lines = []
    for name, axis, unit in (("precision-bits", "bits", "bits"), ("precision-table", "table_size", "table rows")):
        for row in result(name)["rows"]:
            size = str(row["point"][axis])
            ours = [*row["mse"], *row["mse_float64"]]
            theirs = [f"{error:.4f}" for error in peer[axis].get(size, ())] or ["-"] * len(row["mse"])
            lines.append([f"{size} {unit}", *(f"{error:.4f}" for error in ours), *theirs])
    regimes = [", regime 1", "2", "3"]
    names = ("kanrtl", "float64", peer["name"])
    return table(
        ["", *(f"{name}{regime}" if regime[0] == "," else regime for name in names for regime in regimes)], lines
    )


def simulations() -> str:
    rows = []
    for name in SIMULATIONS:
        data = result(name)
        rows.append(
            [
                f"**{data['title']}**",
                f"{data['pysim']['cycles_per_second']:,}",
                f"{data['native']['cycles_per_second']:,}",
                f"**{data['native_to_pysim']:,.0f}**",
                f"{data['verilator']['cycles_per_second']:,}",
                f"{data['model']['steps_per_second']:,}",
                f"**{data['native']['steps_per_second']:,}**",
                f"{data['first_start_processor']:.1f} s, {data['second_start']:.2f} s",
                f"`{name}`",
            ]
        )
    header = ["", "pysim, cycles a second", "native", "ratio", "Verilator, without Python"]
    return table([*header, "model, steps a second", "native, steps a second", "start: first, later", "row"], rows)


def estimates() -> str:
    """What the estimate says of the learners that were built, beside what they take."""
    from .fit import rows_built  # they need this module
    from .rows import ROWS

    rows = []
    for build in rows_built():
        found, built = build.spec.estimate(build.device), build.measured
        exact = {name: f"{getattr(found, name)} / {built[name]}" for name in ("dsp", "bram", "lutram")}
        cycles = f"{found.latency} / {result(build.name)['latency_cycles']}"
        error = f"{100 * (found.lut / built['lut'] - 1):+.0f} %"
        lut, ff = (f"{getattr(found, name)} / {built[name]}" for name in ("lut", "ff"))
        rows.append(
            [ROWS[build.name].title, build.device, lut, f"**{error}**", ff, *exact.values(), cycles, f"`{build.name}`"]
        )
    header = ["estimate / build", "device", "LUT", "error", "FF", "DSP", "memory blocks", "LUTs as memory", "cycles"]
    return table([*header, "row"], rows)


def network_estimates() -> str:
    """What the estimate says of networks drawn at random, beside what is built of them."""
    rows = []
    for one in result("network-areas")["networks"]:
        found, built = one["estimated"], one["built"]
        about = [f"{name.replace('_', ' ')} {json.dumps(value)}" for name, value in one["options"].items()]
        about += ["quantised"] if one["quantised"] else []
        about += [one["curve"], one["output"]]
        error = f"{100 * (found['lut'] / built['lut'] - 1):+.0f} %"
        others = [f"{found[name]} / {built[name]}" for name in ("ff", "dsp", "bram")]
        sizes = f"{one['sizes']}, {one['bits']} bits"
        rows.append(
            [sizes, ", ".join(about), one["device"], f"{found['lut']} / {built['lut']}", f"**{error}**", *others]
        )
    return table(["estimate / build", "", "device", "LUT", "error", "FF", "DSP", "memory blocks"], rows)


def lookup() -> str:
    """Frozen networks, each beside the published generator's RTL through the same tools (one seed)."""
    rows = []
    for name in ("Moons", "DryBean"):
        for peer in PEERS["lookup"]:
            if peer["name"].startswith(name):
                time = f"{peer['cycles'] * 1000 / peer['fmax_mhz']:.1f} ns"
                speed_there = f"{peer['fmax_mhz']:.1f} MHz"
                rows.append(
                    [
                        peer["name"],
                        "",
                        str(peer["cycles"]),
                        speed_there,
                        time,
                        str(peer["lut"]),
                        str(peer["ff"]),
                        "0",
                        "",
                    ]
                )
        for row in LOOKUPS:
            data = result(row)
            if data["network"] == name:
                held = data["held_out"]
                rows.append(
                    [
                        f"**{data['title']}**",
                        f"{held['right']} of {held['rows']}",
                        str(data["latency_cycles"]),
                        speed(data),
                        f"**{data['step_ns']:.1f} ns**",
                        f"**{data['lut']}**",
                        str(data["ff"]),
                        str(data["bram"]),
                        f"`{row}`",
                    ]
                )
    return table(["", "held-out rows right", "cycles", "clock", "latency", "LUT", "FF", "memory blocks", "row"], rows)


def adapt() -> str:
    """Mean squared errors as the target moves on, by what a learner starts from."""
    data = [result(name) for name in ADAPTS]
    columns = [column for one in data for column in (f"{one['title']}: first 100 samples", "last 100", "all")]
    rows = []
    for index, model in enumerate(data[0]["models"]):
        errors = [one["models"][index][kind] for one in data for kind in ("mse_first", "mse_last", "mse")]
        rows.append([model["name"], *(f"{error:.5f}" for error in errors)])
    return table(["mean squared error before each update", *columns], rows)


def amplifier() -> str:
    """The error of models of a power amplifier, by method."""
    data = result("power-amplifier")
    rows = []
    for method in data["methods"]:
        ours = "spec" in method and not method["name"].endswith("float64")
        error = f"{method['error']:.1f} dB"
        rate = f"{method['chosen']['learning_rate']:g}" if method["chosen"] else ""
        rows.append([method["name"], f"**{error}**" if ours else error, rate])
    return table(["four taps, two passes", "error of the test part", "rate"], rows)


def rates() -> str:
    """Errors over those of float64 at the same rate, by rounding and rate."""
    lines = []
    for row in learning_rates.FAMILY.rows:
        data = result(row.name)
        title = data["title"]
        exact = np.array(data["float64"])
        lines.append([f"{title}: error of float64", *(f"{error:.1e}" for error in exact)])
        for kind, errors in data["errors"].items():
            lines.append([kind, *(_times(ratio) for ratio in np.array(errors) / exact)])
    header = [f"2^{round(np.log2(rate))}" for rate in learning_rates.RATES]
    return table(["times the error of float64 at the rate", *header], lines)


def late() -> str:
    """A filter in both schedules, each at its own best rate."""
    rows = []
    for row in late_updates.FAMILY.rows:
        data = result(row.name)
        found = data["schedules"]
        chosen = [found[schedule]["chosen"] for schedule in ("sequential", "streaming")]
        cells = [cell for each in chosen for cell in (f"{each['error']:.6f}", f"{each['learning_rate']:.3g}")]
        rows.append([data["title"], *cells, f"**{data['ratio']:.2f}**"])
    return table(["filter of five taps", "sequential", "rate", "streaming", "rate", "times"], rows)


def links() -> str:
    """T at the end of a board's serial port: size, rate, and what a damaged line did."""
    rows = []
    for row in bench_links.FAMILY.rows:
        if not isinstance(row, bench_links.Linked):
            continue
        data = result(row.name)
        quiet, damaged = data["quiet"], data["damaged"]
        rows.append(
            [
                data["title"],
                f"{data['lut']} / {data['lut_of_t']}",
                f"{data['bram']}",
                f"{data['fmax_mhz']:.1f} / {data['clock_mhz']:g} MHz",
                f"{quiet['samples_per_second']:,}",
                f"{100 * quiet['share_of_wire']:.0f} %",
                f"{damaged['differing']} of {damaged['samples']:,}",
                f"{damaged['recoveries']:,}",
                f"`{row.name}`",
            ]
        )
    head = ["board", "LUT, and of T alone", "memory blocks", "clock", "taught samples a second"]
    return table([*head, "of the wire", "differing on a damaged line", "recoveries", "row"], rows)


def link_rates() -> str:
    """What a line of each rate carries."""
    data = result("link-rates")
    rows = [
        [
            f"{one['baud']:,}",
            f"{one['samples_per_second']:,}",
            f"{one['share_of_wire']:.0%}",
            f"{one['one_at_a_time_per_second']:,}",
        ]
        for one in data["rates"]
    ]
    columns = ["taught samples a second in batches", "of the line carries samples", "one at a time, without an adapter"]
    return table(["baud", *columns], rows)


def fuzzed_links() -> str:
    """What fuzzed frames and bytes did to a device and to a host."""
    data = result("fuzz-link")
    device, host = data["device"], data["host"]
    rows = [
        [
            "device",
            f"{device['items']:,}",
            f"{device['bytes_sent']:,}",
            f"{device['obeyed']:,}, {device['learned']:,} samples",
            f"{device['differing']}",
        ],
        [
            "host",
            f"{host['items']:,}",
            f"{host['bytes_sent']:,}",
            f"{host['obeyed']:,} answers",
            f"{host['differing']}",
        ],
    ]
    return table(["side", "frames and streams", "bytes", "whole and in turn", "differing"], rows)


def control_tasks() -> str:
    """Steps until tasks of gymnasium are solved, by formats and seed."""
    rows, seeds = [], list[str]()
    for name in ("cart-pole", "acrobot"):
        data = result(name)
        for kind, trainings in data["trainings"].items():
            steps = ["-" if one["solved_after"] is None else f"{one['solved_after']:,}" for one in trainings]
            rows.append([data["title"], f"{data['solved']:g}", kind, *steps])
            seeds = [f"steps, seed {one['seed']}" for one in trainings]
    return table(["task", "solved at a mean return of", "formats", *seeds], rows)


def plants() -> str:
    """Every plant under every method, and what each takes."""
    return table(*plant_rows(RESULTS, sorted(PLANTS)))


def trackers() -> str:
    """Function tracking by learners, polynomials and perceptrons."""
    return table(*track_rows(RESULTS))


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}" if ratio < 1000 else f"{ratio:.0e}"


def frozen() -> str:
    """Learners as frozen networks, beside a learner itself."""
    rows = []
    for name in (*FROZENS, "t8-no-registers"):
        data = result(name)
        learner = name not in FROZENS
        rows.append(
            [
                "the learner itself, learning" if learner else data["title"],
                "" if learner else f"{data['bound']:.4f}",
                "" if learner else f"{data['rms_error']:.4f}",
                str(data["latency_cycles"]),
                speed(data),
                f"**{data['step_ns']:.1f} ns**",
                f"**{data['lut']}**",
                *(str(data[kind]) for kind in ("ff", "dsp", "bram")),
                f"`{name}`",
            ]
        )
    header = ["", "error at most", "RMS", "cycles", "clock", "latency", "LUT", "FF", "DSP", "memory blocks", "row"]
    return table(header, rows)


def self_checks() -> str:
    """Bitstreams of frozen networks that check themselves, generator and checksum counted."""
    rows = []
    for name in SELF_CHECKS:
        data = result(name)
        used, there = data["lut"], data["capacity"]["lut"]
        rows.append(
            [
                f"**{data['network']}**, {data['output']}",
                data["board"],
                f"{used} of {there}",
                str(data["bram"]),
                str(data["latency_cycles"]),
                f"{data['clock_mhz']:g} MHz",
                speed(data),
                f"`{name}`",
            ]
        )
    return table(["", "board", "LUT", "memory blocks", "cycles", "clock", "possible", "row"], rows)


def folding() -> str:
    """Random networks folded onto few table ports."""
    rows = []
    for row in FOLDED:
        data = result(row)
        rows.append(
            [
                f"[{data['title']}], {data['bits'][0]}-bit inputs",
                str(data["edges"]),
                data["device"],
                str(data["reuse_factor"]),
                str(data["lut"]),
                f"{data['bram']} of {data['capacity']['bram']}",
                speed(data),
                str(data["interval_cycles"]),
                f"**{data['steps_per_second'] / 1e6:.2f} million/s**",
                f"{data['step_ns'] / 1000:.2f} µs",
                f"`{row}`",
            ]
        )
    header = ["network", "edges", "device", "reuse factor", "LUT", "memory blocks", "clock", "interval", "inferences"]
    return table([*header, "latency", "row"], rows)


def classify() -> str:
    """The project's own classifiers on two chips; what is of the network and not of the chip is there once."""
    rows = []
    before = None
    for name in CLASSIFIERS:
        data = result(name)
        held, folds = data["held_out"]["accuracy"], data["cross_validation"]["accuracy"]
        layers = f"{data['layer_sizes']}, {data['estimated']['edges']} edges, bits {data['bits']}"
        means = [100 * sum(folds[kind]) / len(folds[kind]) for kind in ("floats", "untuned", "tables")]
        network = [
            f"**{data['title']}**: {layers}",
            *(f"{mean:.1f} %" for mean in means[:-1]),
            f"**{means[-1]:.1f} %**",
            f"{100 * held['floats']:.1f} %, {100 * held['tables']:.1f} % of {data['held_out']['rows']}",
        ]
        rows.append(
            [
                *(network if data["example"] != before else [""] * len(network)),
                data["device"],
                f"**{data['lut']}**",
                str(data["ff"]),
                speed(data),
                str(data["latency_cycles"]),
                f"**{data['step_ns']:.0f} ns**",
                f"`{name}`",
            ]
        )
        before = data["example"]
    header = [
        "cross-validated accuracy",
        "floats",
        "tables",
        "tables trained on",
        "held out: floats, tables trained on",
    ]
    return table([*header, "device", "LUT", "FF", "clock", "cycles", "latency", "row"], rows)


def compatibility() -> str:
    """Every kind of file by every foreign tool: yes, or why not."""
    from .compatibility import FAMILY  # they need this module

    return _verdicts([row.name for row in FAMILY.rows])


def shells() -> str:
    """Every core behind a bus by every foreign tool: yes, or why not."""
    from .shells import FAMILY  # they need this module

    return _verdicts([row.name for row in FAMILY.rows])


def socs() -> str:
    """A learner in a SoC, placed and routed."""
    data = result("litex-ulx3s")
    clock = f"{data['fmax_mhz']:.1f} / {data['clock_mhz']:g} MHz"
    sizes = [str(data[name]) for name in ("lut", "ff", "dsp", "bram")]
    tools = ", ".join(f"{name} {version}" for name, version in data["tools"].items() if name != "amaranth")
    row = [data["title"], *sizes, clock, f"`{data['row']}`"]
    head = ["what", "LUT", "FF", "DSP", "memory blocks", "clock, and that of the board", "row"]
    return f"{table(head, [row])}\n\n{tools}."


def _verdicts(names: Sequence[str]) -> str:
    """What tools say of the files of some rows, of those that have been measured."""
    data = [result(name) for name in names if (RESULTS / f"{name}.json").is_file()]
    if not data:
        return "None of these rows has been measured with this version yet."
    tools = list(dict.fromkeys(tool for one in data for tool in one["verdicts"] if ", " not in tool))
    # Both yosys at one flow share a cell where they agree, or where only one was asked.
    flows = list(dict.fromkeys(tool.partition(", ")[0] for one in data for tool in one["verdicts"] if ", " in tool))
    rows = []
    for one in data:
        verdicts = one["verdicts"]
        cells = [verdicts.get(tool, "") for tool in tools]
        for flow in flows:
            said = {name: verdicts.get(f"{flow}, {name.lower()}") for name in ("native", "YoWASP")}
            said = {name: verdict for name, verdict in said.items() if verdict is not None}
            differ = len(set(said.values())) > 1
            cells.append(
                "; ".join(f"{name}: {verdict}" for name, verdict in said.items())
                if differ
                else next(iter(said.values()))
            )
        rows.append([one["title"], str(one["samples"] or ""), *cells, f"`{one['row']}`"])
    versions = {name: version for one in data for name, version in one["tools"].items() if name != "amaranth"}
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        table(["what is in the file", "samples", *(f"`{name}`" for name in (*tools, *flows)), "row"], rows)
        + f"\n\n{told}."
    )


def registers() -> str:
    """The register map of the learner that ``kanrtl spec`` writes, behind Wishbone."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    map = RegisterMap.of(spec, streams=False)
    text = write_markdown(DescribedMap(map, "learner", 0, "Registers of a learner behind Wishbone"))
    return text.partition("\n\n")[2].rstrip()  # without the title


def summary() -> str:
    """What README.md shows of builds: the fastest step, the most steps, the smallest chip, the most coefficients, and a
    learner that was frozen."""
    words = (
        ("t-no-registers", "learns, a step in one cycle"),
        ("t-streaming", "learns, a sample every cycle"),
        ("t-up5k", "learns, on a small chip"),
        ("large", f"learns, {coefficients(result('large')['spec']):,} coefficients"),
        ("frozen-t8", "predicts what was learned, frozen"),
    )
    rows = []
    for name, what in words:
        data = result(name)
        device = data["device"].removesuffix("-6")
        rate = f"{data['steps_per_second'] / 1e6:.1f} million"
        used = [str(data[kind]) for kind in ("lut", "dsp")]
        rows.append([what, device, f"**{data['step_ns']:.1f} ns**", rate, *used, f"`{name}`"])
    return table(["", "device", "latency", "samples a second", "LUT", "DSP", "row"], rows)


def boards() -> str:
    """The boards that can be built for."""
    from kanrtl.boards import BOARDS
    from kanrtl.build import Device

    rows = []
    for board in BOARDS.values():
        part = Device.parse(board.device)
        chip = [board.device, f"{board.clock_mhz:g} MHz", str(part.lut), str(part.dsp), str(part.bram)]
        rows.append([f"`{board.name}`", *chip, board.fits])
    return table(["board", "device", "clock", "LUT", "DSP", "memory blocks", "what fits"], rows)


def programming() -> str:
    """What loads a bitstream into each board, and for how long it stays."""
    from kanrtl.boards import BOARDS

    rows: dict[tuple[str, str], list[str]] = {}
    for board in BOARDS.values():
        command = " ".join([board.flasher, *board.flasher_options, "FILE"])
        memory = "its flash" if board.keeps_bitstream else "the FPGA alone"
        rows.setdefault((f"`{command}`", memory), []).append(f"`{board.name}`")
    return table(["command", "into", "boards"], [[*how, ", ".join(names)] for how, names in rows.items()])


def presets() -> str:
    """What a learner's ``pipeline`` can be by a name, the fewest registers on top."""
    from kanrtl.learner.stages import PRESETS, STAGES

    rows = []
    for name, stages in PRESETS.items():
        others = [stage for stage in STAGES if stage not in stages]
        words = ", ".join(stages) or "none"
        if len(others) < len(stages):
            words = f"all but {', '.join(others)}" if others else "all"
        rows.append([f'`"{name}"`', words])
    return table(["`pipeline`", "stages that end in a register"], rows)


def imports() -> str:
    """Checkpoints of other programs: how far what is imported is from the library's predictions."""
    rows = []
    for case in result("import-checkpoints")["cases"]:
        files, refused = case["checkpoints"], case["refused"]
        difference = case["largest_difference"]
        rows.append(
            [
                case["family"],
                case["library"],
                str(len(files)) if files else "refused",
                next(iter(refused.values())).partition(";")[0]
                if refused
                else f"{difference:.1e}"
                if difference
                else "0",
            ]
        )
    return table(["KANs of", "library", "checkpoints", "largest difference, or why it is refused"], rows)


def commands() -> str:
    """The command lines that give the figures of every row again."""
    from .rows import ROWS  # they need this module

    rows = [
        [f"`{row.name}`", "<br>".join(f"`{command}`" for command in row.commands), row.needs] for row in ROWS.values()
    ]
    return table(["row", "commands", "what they need besides"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "presets": presets,
    "summary": summary,
    "boards": boards,
    "programming": programming,
    "errors": errors,
    "builds": builds,
    "schedules": schedules,
    "scale": scale,
    "estimators": estimators,
    "signals": signals,
    "calls": calls,
    "fits": fits,
    "precision": precision,
    "rates": rates,
    "late": late,
    "control": control_tasks,
    "links": links,
    "link_rates": link_rates,
    "fuzzed_links": fuzzed_links,
    "plants": plants,
    "trackers": trackers,
    "simulations": simulations,
    "estimates": estimates,
    "network-estimates": network_estimates,
    "lookup": lookup,
    "adapt": adapt,
    "amplifier": amplifier,
    "frozen": frozen,
    "self_checks": self_checks,
    "folding": folding,
    "classify": classify,
    "imports": imports,
    "compatibility": compatibility,
    "shells": shells,
    "soc": socs,
    "registers": registers,
    "commands": commands,
}


@dataclass(frozen=True)
class Picture:
    """A picture in ``docs/images``, and what it shows, for who cannot see it."""

    name: str
    text: str

    @property
    def path(self) -> Path:
        return IMAGES / self.name

    def link(self, page: Path) -> str:
        """What shows it on a page; nothing if it has not been drawn."""
        if not self.path.exists():
            return ""
        return f"![{self.text}]({Path(os.path.relpath(self.path, page.parent)).as_posix()})\n"


PICTURES = {
    "grid": Picture("bench-grid.png", "Time of a learning step and LUTs against the number of grid cells"),
    "pipeline": Picture("bench-pipeline.png", "Time of a learning step, clock and LUTs by pipeline"),
    "river": Picture("bench-river.png", "Error of estimators along a stream that drifts three times"),
    "precision": Picture("bench-precision.png", "Error of function tracking against bits and against table rows"),
    "rates": Picture("bench-rates.png", "Error against learning rate by rounding of updates, beside float64"),
    "late": Picture("bench-late.png", "Error of a filter against learning rate in both schedules"),
    "adapt": Picture("bench-adapt.png", "Error over time of a frozen network and of learners, as the target moves"),
    "signals": Picture(
        "bench-signals.png", "Errors on measured signals of learners and other methods, in parts of RLS's"
    ),
    "front": Picture("bench-front.png", "Accuracy of digit classifiers against estimated LUTs"),
    "estimate": Picture("bench-estimate.png", "Estimated LUTs against built, for both families"),
}


def value(path: str, spec: str) -> str:
    """A number of a result, such as ``t-no-registers.step_ns``, in a format such as ``.1f``."""
    found: Any = result(path.partition(".")[0])
    for name in path.split(".")[1:]:
        found = found[int(name) if isinstance(found, list) else name]
    return format(found, spec)


def render(text: str, page: Path) -> str:
    """The text of a page with everything that is marked made anew."""

    def fill(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        body = f"{keep_together(TABLES[name]())}\n" if kind == "table" else PICTURES[name].link(page)
        return f"<!-- {kind}: {name} -->\n{body}<!-- end -->"

    def number(match: re.Match[str]) -> str:
        return f"<!-- value: {match[1]} {match[2]} -->{value(match[1], match[2])}<!-- end -->"

    text = re.sub(r"<!-- (table|picture): ([\w-]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)
    return re.sub(r"<!-- value: (\S+) (\S+) -->.*?<!-- end -->", number, text)


def main() -> None:
    texts = {page: page.read_text() for page in pages()}
    stale = {page: new for page, old in texts.items() if (new := render(old, page)) != old}
    if stale and "--check" in sys.argv[1:]:
        names = ", ".join(str(page.relative_to(ROOT)) for page in stale)
        sys.exit(f"not what bench/results says: {names}; run `make tables`")
    for page, new in stale.items():
        write_whole(page, new.encode())


if __name__ == "__main__":
    main()
