"""Draws the pictures of README.md and docs/ from ``bench/results``: ``python -m bench.draw``.

Needs the extra ``plot``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from kanrtl.files import make_folder
from kanrtl.learner.stages import PRESETS
from kanrtl.plots.canvas import save_picture
from kanrtl.plots.search_plot import draw_search
from kanrtl.plots.sweep_plot import COLORS, draw_panel

from .fit import Build, builds, rows_built
from .render import PICTURES
from .row import Result
from .rows import FAMILIES
from .stored import PEERS, RESULTS, load

# Of the palette of kanrtl.plots.simulation_plot.
TIME, CLOCK, AREA, GREY = "#0072B2", "#D55E00", "#E69F00", "#444444"


def spread(results: Sequence[Result], of: Callable[[Result, float], float]) -> list[list[float]]:
    """How far the seeds reach below and above the figure ``of`` the median speed, as matplotlib wants its bars."""
    below, above = [], []
    for result in results:
        middle = of(result, result["fmax_mhz"])
        values = [of(result, speed) for speed in result["fmax_mhz_by_seed"] if speed is not None]
        below.append(middle - min(values))
        above.append(max(values) - middle)
    return [below, above]


def step_ns(result: Result, mhz: float) -> float:
    """Time of a learning step at a clock."""
    return float(result["latency_cycles"] * 1000 / mhz)


def draw_grid(results: Sequence[Result], figure: Figure) -> None:
    """Time of a step, and LUTs, against the size of the grid."""
    results = sorted(results, key=lambda result: result["spec"]["grid_size"])
    figure.set_size_inches(10, 3.9)
    time, area = figure.subplots(1, 2)
    sizes = [result["spec"]["grid_size"] for result in results]
    steps = [step_ns(result, result["fmax_mhz"]) for result in results]
    time.errorbar(
        sizes, steps, spread(results, step_ns), color=TIME, linewidth=1.5, capsize=4, zorder=1, label="worst, best seed"
    )
    luts = [result["lut"] for result in results]
    area.plot(sizes, luts, color=AREA, linewidth=1.5, zorder=1)
    for axes, values, color in ((time, steps, TIME), (area, luts, AREA)):
        _mark_memories(axes, results, values, color)
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set(xlabel="grid cells", ylim=(0, 1.25 * max(values)))
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.legend(frameon=False, loc="lower right", fontsize=10)
    _title(time, "one learning step, ns")
    _title(area, "LUT4")
    figure.suptitle(f"Layers {results[0]['spec']['layer_sizes']} on {results[0]['device']}", fontsize=12)


def _mark_memories(axes: Axes, results: Sequence[Result], values: Sequence[float], color: str) -> None:
    """A point for each result, filled or not by where its coefficients lie."""
    for block, face, label in ((False, color, "coefficients in LUTs"), (True, "white", "in block memory")):
        points = [
            (result["spec"]["grid_size"], value)
            for result, value in zip(results, values, strict=True)
            if (result["lutram"] == 0) == block
        ]
        if points:
            x, y = zip(*points, strict=True)
            axes.plot(x, y, "o", markersize=7, color=color, markerfacecolor=face, label=label, zorder=2)


def draw_pipeline(results: Sequence[Result], figure: Figure) -> None:
    """Time of a step, clock and LUTs by pipeline, the fewest registers on top."""
    order = list(PRESETS)
    results = sorted(results, key=lambda result: order.index(result["spec"]["pipeline"]), reverse=True)
    figure.set_size_inches(10, 0.9 + 0.62 * len(results))
    panels = figure.subplots(1, 3, sharey=True)
    cycles = [result["latency_cycles"] for result in results]
    names = [
        f"{result['spec']['pipeline']}\n{count} cycle{'' if count == 1 else 's'}"
        for result, count in zip(results, cycles, strict=True)
    ]
    speeds: list[tuple[str, str, Callable[[Result, float], float]]] = [
        ("one learning step, ns", TIME, step_ns),
        ("clock, MHz", CLOCK, lambda _, mhz: mhz),
    ]
    shown = [
        (title, color, [of(result, result["fmax_mhz"]) for result in results], spread(results, of))
        for title, color, of in speeds
    ]
    shown.append(("LUT4", AREA, [float(result["lut"]) for result in results], None))
    for axes, (title, color, values, bars) in zip(panels, shown, strict=True):
        axes.barh(names, values, 0.62, xerr=bars, color=color, error_kw={"ecolor": GREY, "capsize": 4})
        ink = "black" if color == AREA else "white"
        for row, value in enumerate(values):
            axes.text(0.02 * max(values), row, f"{value:.0f}", color=ink, va="center", fontsize=11, weight="bold")
        axes.set_xlim(0, 1.12 * max(map(sum, zip(values, bars[1], strict=True))) if bars else 1.05 * max(values))
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.tick_params(axis="y", length=0, labelsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        _title(axes, title)
    figure.suptitle(f"Function tracking on {results[0]['device']}; lines from the worst seed to the best", fontsize=12)


def draw_river(results: Sequence[Result], figure: Figure) -> None:
    """How the error of every estimator goes along the longest stream, which drifts."""
    result = max(results, key=lambda result: result["samples"])
    figure.set_size_inches(10, 3.9)
    axes = figure.subplots()
    styles = ((TIME, "-"), (CLOCK, "-"), (GREY, "-"), (GREY, "--"), (GREY, ":"))
    for model, (color, style) in zip(result["models"], styles, strict=True):
        blocks = model["mae_by_block"]
        ends = [min((index + 1) * model["block"], result["samples"]) for index in range(len(blocks))]
        name = model["name"].replace("\\", "")
        axes.plot(ends, blocks, style, color=color, linewidth=1.6, label=f"{name}: {model['mae']:#.3g}")
    axes.set(xlabel="sample", xlim=(0, result["samples"]), ylim=(0, None))
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower center", ncols=2, fontsize=9, title="mean absolute error over all samples")
    _title(axes, f"{result['title']}: mean absolute error of each {result['models'][0]['block']} predictions")


RATE_STYLES = ((TIME, "-"), (TIME, "--"), (CLOCK, "-"), (CLOCK, "--"), (GREY, "--"), (AREA, "--"), (AREA, "-"))


def draw_precision(results: Sequence[Result], figure: Figure) -> None:
    """Error against bits and against table rows, with the peer's."""
    figure.set_size_inches(10, 4.6)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    peer = PEERS["precision"]
    for axes, result in zip(panels, results, strict=True):
        draw_panel(axes, result)
        (axis, labels), *_ = result["axes"].items()
        sizes = [label for label in labels if str(label) in peer[axis]]
        for regime, color in enumerate(COLORS[: len(result["rows"][0]["mse"])]):
            errors = [peer[axis][str(size)][regime] for size in sizes]
            label = peer["name"] if regime == 0 else None
            axes.plot(sizes, errors, "--", marker="x", color=color, linewidth=1, alpha=0.8, label=label)
        axes.set_xlabel(result["title"])
    panels[0].set_ylabel("mean squared error, last 100 samples")
    panels[0].legend(frameon=False, fontsize=9)
    seeds, samples = results[0]["seeds"], results[0]["samples"]
    figure.suptitle(
        f"Function tracking, {samples} samples; mean, lowest and highest of {seeds} seeds; dotted: float64", fontsize=12
    )


def draw_rates(results: Sequence[Result], figure: Figure) -> None:
    """Error against the learning rate, by how updates are rounded."""
    figure.set_size_inches(10, 4.2)
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    for axes, result in zip(panels, results, strict=True):
        for (kind, errors), (color, style) in zip(result["errors"].items(), RATE_STYLES, strict=True):
            axes.loglog(result["rates"], errors, style, color=color, linewidth=1.6, base=2, label=kind)
        axes.loglog(result["rates"], result["float64"], "-", color="black", linewidth=1.6, base=2, label="float64")
        axes.set_yscale("log", base=10)
        axes.set(xlabel="learning rate")
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        _title(axes, result["title"])
    panels[0].set_ylabel("mean squared error")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="outside lower center", ncols=3)


def draw_late(results: Sequence[Result], figure: Figure) -> None:
    """Error against the learning rate in both schedules, and up to where the late one is stable."""
    figure.set_size_inches(10, 3.8)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for axes, result in zip(panels, results, strict=True):
        for (schedule, found), color in zip(result["schedules"].items(), COLORS, strict=False):
            label = f"{schedule}, seen {found['delay']} samples later" if found["delay"] > 1 else schedule
            axes.loglog(result["rates"], found["errors"], color=color, linewidth=1.6, base=2, label=label)
        late = result["schedules"]["streaming"]
        axes.axvspan(late["stable_learning_rate"], max(result["rates"]), color="#eeeeee", label="warned of")
        axes.axvline(
            late["critical_learning_rate"], color="black", linewidth=0.8, linestyle=":", label="inputs at rest"
        )
        axes.set_yscale("log", base=10)
        axes.set(xlabel="learning rate", ylim=(5e-5, 2), xlim=(min(result["rates"]), max(result["rates"])))
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        _title(axes, result["title"].replace(", ", ",\n"))
    panels[0].set_ylabel("mean squared error")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="outside lower center", ncols=4)


def draw_adapt(results: Sequence[Result], figure: Figure) -> None:
    """How the error of a frozen network and of learners goes as the target moves."""
    figure.set_size_inches(10, 4.2)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for axes, result in zip(panels, results, strict=True):
        ends = [(index + 1) * result["block"] for index in range(len(result["models"][0]["mse_by_block"]))]
        for model, (color, style) in zip(result["models"], ((GREY, "--"), (TIME, "-"), (CLOCK, "-")), strict=True):
            axes.plot(ends, model["mse_by_block"], style, color=color, linewidth=1.6, label=model["name"])
        axes.set(xlabel="sample", xlim=(0, result["samples"]), yscale="log")
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        _title(axes, result["title"])
    panels[0].set_ylabel(f"mean squared error of {results[0]['block']} predictions")
    panels[-1].legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(0.1, 1))
    seeds, bits = len(results[0]["seeds"]), results[0]["bits"]
    figure.suptitle(f"Function tracking; mean of {seeds} seeds; frozen into tables of {bits} address bits", fontsize=12)


def draw_signals(results: Sequence[Result], figure: Figure) -> None:
    """Errors on measured signals, each in parts of that of RLS."""
    figure.set_size_inches(10, 4.2)
    axes = figure.subplots()
    styles = {"kanrtl": ("o", TIME, "kanrtl"), "NLMS": ("s", GREY, "NLMS"), "poly": ("^", CLOCK, "polynomial, RLS")}
    told = set()
    for index, result in enumerate(results):
        rls = next(method["error"] for method in result["methods"] if method["name"] == "RLS")
        for method in result["methods"]:
            start = next((start for start in styles if method["name"].startswith(start)), None)
            if start is None:
                continue
            mark, color, label = styles[start]
            exact = method["name"].endswith("float64")
            label = "the same in float64" if exact else label
            axes.plot(
                index,
                method["error"] / rls,
                mark,
                color=color,
                markersize=11 if exact else 7,
                markerfacecolor="none" if exact else color,
                label=None if label in told else label,
            )
            told.add(label)
    axes.axhline(1, color=GREY, linewidth=1)
    axes.set(yscale="log", ylabel="error in parts of RLS's", xlim=(-0.5, len(results) - 0.5))
    axes.set_xticks(
        range(len(results)), [f"{result['title']}\n{result['unit']}".replace(", ", ",\n") for result in results]
    )
    axes.grid(axis="y", color="#dddddd", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncols=4)


def draw_front(results: Sequence[Result], figure: Figure) -> None:
    """Held-out accuracy against estimated LUTs, a panel for each example."""
    figure.set_size_inches(10, 4.4)
    panels = figure.subplots(1, len(results), sharey=True, squeeze=False)[0]
    for axes, result in zip(panels, results, strict=True):
        draw_search(axes, result)
        axes.set_ylabel("")
        _title(axes, f"{result['title']}, layers {result['layer_sizes']}")
    panels[0].set_ylabel("accuracy on samples held out")


def _title(axes: Any, text: str) -> None:
    axes.set_title(text, loc="left", fontsize=11)


DRAWINGS: dict[str, Callable[[Sequence[Result], Figure], None]] = {
    "grid": draw_grid,
    "pipeline": draw_pipeline,
    "river": draw_river,
    "precision": draw_precision,
    "rates": draw_rates,
    "late": draw_late,
    "adapt": draw_adapt,
    "front": draw_front,
    "signals": draw_signals,
}
"""By family."""


def draw(family: str, results: Path, picture: Path) -> bool:
    """Draw a family from what there is of it in the folder ``results``; False if there is nothing to show, as where no
    build has a speed."""
    rows = next(one for one in FAMILIES if one.name == family).rows
    found = [load(results, row.name) for row in rows if (results / f"{row.name}.json").exists()]
    shown = [result for result in found if result.get("fmax_mhz", True)]
    if not shown:
        return False
    figure = Figure(layout="constrained")
    DRAWINGS[family](shown, figure)
    make_folder(picture.parent)
    save_picture(figure, picture, metadata={"Software": None})
    return True


def draw_estimate(found: Sequence[Build], figure: Figure) -> None:
    """LUTs by estimate against those by build, learners alone; the rows of the bench are marked."""
    figure.set_size_inches(10, 4.6)
    rows = {build.name for build in rows_built()}
    panels = figure.subplots(1, 2)
    for axes, family, color in zip(panels, ("ecp5", "ice40"), (TIME, CLOCK), strict=True):
        own = [build for build in found if build.family == family and build.as_derived]
        limits = [f(build.measured["lut"] for build in own) for f in (min, max)]
        ends = [0.8 * limits[0], 1.25 * limits[1]]
        axes.plot(ends, ends, color=GREY, linewidth=1)
        axes.fill_between(ends, [0.85 * end for end in ends], [1.15 * end for end in ends], color="#dddddd", zorder=0)
        for marked, face, label in ((False, "white", "built for the fit"), (True, color, "row of the bench")):
            points = [
                (build.measured["lut"], build.spec.estimate(build.device).lut)
                for build in own
                if (build.name in rows) == marked
            ]
            x, y = zip(*points, strict=True)
            axes.plot(x, y, "o", markersize=6, color=color, markerfacecolor=face, label=label)
        axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="LUT4 built")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(ScalarFormatter())
            axis.set_minor_formatter(NullFormatter())
        axes.legend(frameon=False, loc="upper left", fontsize=10)
        _title(axes, f"LUT4 estimated, {'ECP5' if family == 'ecp5' else 'iCE40'}; the band is 15 %")


def main() -> None:
    figure = Figure(layout="constrained")
    draw_estimate(builds(), figure)
    save_picture(figure, PICTURES["estimate"].path, metadata={"Software": None})
    for family in DRAWINGS:
        if not draw(family, RESULTS, PICTURES[family].path):
            print(f"no results of {family!r}: run `python -m bench {family}`")


if __name__ == "__main__":
    main()
