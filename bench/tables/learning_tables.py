"""How well and how fast learners learn, in simulation."""

from __future__ import annotations

import numpy as np

from .. import late_updates, learning_rates
from ..stored import PEERS, result
from .markdown import table

SIMULATIONS = ("simulate-1-1", "simulate-1-1-few-registers", "simulate-2-4-1")

ESTIMATORS = ("chick-weights", "trump-approval", "friedman-drift")

ADAPTS = ("adapt-switch", "adapt-slow")


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


def estimators() -> str:
    data = [result(name) for name in ESTIMATORS]
    columns = [column for one in data for column in (f"{one['title']}: MAE", "RMSE")]
    rows = []
    for index, model in enumerate(data[0]["models"]):
        scores = [one["models"][index] for one in data]
        name = f"**{model['name']}**" if "KANRegressor" in model["name"] else model["name"]
        rows.append([name, *(f"{score[kind]:#.3g}" for score in scores for kind in ("mae", "rmse"))])
    return table(["error of each prediction before its update", *columns], rows)


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


def adapt() -> str:
    """Mean squared errors as the target moves on, by what a learner starts from."""
    data = [result(name) for name in ADAPTS]
    columns = [column for one in data for column in (f"{one['title']}: first 100 samples", "last 100", "all")]
    rows = []
    for index, model in enumerate(data[0]["models"]):
        errors = [one["models"][index][kind] for one in data for kind in ("mse_first", "mse_last", "mse")]
        rows.append([model["name"], *(f"{error:.5f}" for error in errors)])
    return table(["mean squared error before each update", *columns], rows)


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


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}" if ratio < 1000 else f"{ratio:.0e}"
