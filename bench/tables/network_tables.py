"""Lookup networks: frozen, folded, classifiers and imported ones."""

from __future__ import annotations

import json

from ..stored import PEERS, result
from .markdown import speed, table

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

FOLDED = (
    "folded-64-10-up5k",
    "folded-64-32-10-up5k",
    "folded-784-10-up5k",
    "folded-64-32-10",
    "folded-64-32-10-fast",
)

SELF_CHECKS = tuple(
    f"self-check-{network}-{board}" for network in ("moons", "drybean") for board in ("ulx3s-85f", "icebreaker")
)

CLASSIFIERS = (
    *("classify-digits-up5k", "classify-digits-25f", "classify-digits-hidden-up5k", "classify-digits-hidden-25f"),
    "classify-digits-dense-25f",
    *(f"classify-{name}-{device}" for name in ("wine", "breast-cancer") for device in ("up5k", "25f")),
)


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
