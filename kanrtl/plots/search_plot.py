"""A picture of a search: score against size. Needs matplotlib, which the extra ``plot`` installs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .canvas import ERROR, FLOAT, PREDICTION, TARGET, check_picture, make_figure, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROOM = 0.12  # below the front, of how far it reaches

_APART = 1.35  # in LUTs, numbered points at least

_SHOWN = 0.25  # below the highest score; what is worse is of no use


def plot_search(data: Mapping[str, Any], path: Path) -> None:
    """Draw what :meth:`kanrtl.lookup.Search.as_dict` gives into a file, whose ending says the kind of picture.

    Raise :exc:`InputError` where no picture can be drawn.
    """
    check_picture(path)
    figure = make_figure(figsize=(7.2, 4.4))
    draw_search(figure.subplots(), data)
    save_picture(figure, path)


def draw_search(axes: Axes, data: Mapping[str, Any]) -> None:
    """Draw all networks that were tried, and those that no other beats, some with a number and their bits."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter  # matplotlib is an extra

    points = sorted(data["points"], key=lambda point: point["lut"])
    front = [point for point in points if point["on_front"]]
    high = max(data["float_score"], *(point["score"] for point in points))
    low = max(min(point["score"] for point in front), high - _SHOWN)
    margin = _ROOM * (high - low) or 0.01
    axes.plot(
        [point["lut"] for point in points],
        [point["score"] for point in points],
        "o",
        color="#bbbbbb",
        markersize=4,
        label="tried",
    )
    axes.step(
        [point["lut"] for point in front],
        [point["score"] for point in front],
        where="post",
        color=PREDICTION,
        linewidth=1.5,
        marker="o",
        markersize=6,
        label="no other is smaller and better",
    )
    axes.axhline(data["float_score"], color=FLOAT, linestyle="--", label="in floats, all edges")
    chosen = data.get("chosen")
    if chosen is not None:
        axes.plot(chosen["lut"], chosen["score"], "D", color=ERROR, markersize=8, label="taken")
    number, last = 0, None
    for point in front:
        if point["score"] >= low and (last is None or point["lut"] > _APART * last):
            number, last = number + 1, point["lut"]
            # Above and to the left of the front there is never a point.
            axes.annotate(
                str(number),
                (point["lut"], point["score"]),
                xytext=(-4, 3),
                textcoords="offset points",
                ha="right",
                va="bottom",
                fontsize=10,
                color=TARGET,
            )
            bits = "-".join(map(str, point["bits"]))
            name = f"bits {bits}, {point['edges']} edges"
            axes.plot([], [], linestyle="none", marker=f"${number}$", color=TARGET, label=name)
    axes.set(xscale="log", xlabel="LUT4, estimated", ylabel=data["measure"], ylim=(low - margin, high + margin))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(edgecolor="none", loc="lower right", fontsize=9)
