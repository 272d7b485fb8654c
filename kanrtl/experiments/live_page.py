"""A page in a browser that shows a live run and turns its knobs. Needs bokeh, an extra."""

from __future__ import annotations

import html
import importlib.util
import logging
import math
import os
import socket
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError, join_choices
from .live_run import MOST_EDGES, LiveRun, Snapshot, describe_counters

__all__ = ["check_bokeh", "create_server", "describe_state", "fill_document"]

SHOWN = 120
"""Samples whose targets and predictions are drawn."""

MEAN = 50
"""Samples over which the line through the errors goes."""

PERIOD_MS = 400
"""Milliseconds between two looks of a page."""

MOST_OUTPUTS = 4
"""Outputs that have a figure of their own."""

TARGET, PREDICTION, VISITED = "#888888", "#c03a2b", "#3d85c6"


def check_bokeh() -> None:
    """Raise :exc:`kanrtl.InputError` where bokeh is not installed."""
    if importlib.util.find_spec("bokeh") is None:
        raise InputError("live: bokeh is not installed; run `pip install 'kanrtl[live]'`")


def create_server(run: LiveRun, address: str, port: int) -> Any:
    """Make the server of the page: a ``bokeh.server.server.Server``, which listens already.

    Raises
    ------
    InputError
        If bokeh is not installed, or the port cannot be used.
    """
    check_bokeh()
    from bokeh.server.server import Server  # an extra

    # A browser that is closed while something is on its way to it is no reason for a warning.
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    try:
        # bokeh leaves a socket open where a port is taken.
        socket.create_server((address, port)).close()
        return Server({"/": lambda document: fill_document(document, run)}, address=address, port=port)
    except OSError as error:
        raise InputError(f"--port = {port}: {os.strerror(error.errno or 0)}; choose another") from None


def fill_document(document: Any, run: LiveRun) -> None:
    """Put the page of a run into a bokeh document, which follows the run from then on."""
    from bokeh.layouts import column, gridplot, row  # an extra

    spec = run.session.spec
    outputs = [_Output(index) for index in range(min(spec.n_out, MOST_OUTPUTS))]
    errors = _Errors()
    edges = [_Edge(index) for index in range(min(run.edges, MOST_EDGES))]
    counters, state = _text(360, name="counters"), _text(900, name="state")
    parts: list[_Output | _Errors | _Edge] = [*outputs, errors, *edges]

    def follow() -> None:
        snapshot = run.snapshot
        for part in parts:
            part.follow(snapshot)
        counters.text, state.text = _count(snapshot), describe_state(snapshot)

    follow()
    grid = gridplot([edge.figure for edge in edges], ncols=min(6, max(1, len(edges))), toolbar_location=None)
    title = f"{run.task.name} on {run.session.status['backend']}: layers {list(spec.layer_sizes)}"
    document.title = f"kanrtl: {run.task.name}"
    document.add_root(
        column(
            _text(900, f"<h2>{html.escape(title)}</h2>"),
            row(*_controls(run)),
            state,
            row(column(*(output.figure for output in outputs)), errors.figure, counters),
            row(_text(400, "Edges, and (shaded) where their last inputs were"), *_choose_edges(run)),
            grid,
        )
    )
    document.add_periodic_callback(follow, PERIOD_MS)


def _text(width: int, content: str = "", name: str | None = None) -> Any:
    from bokeh.models import Div  # an extra

    return Div(text=content, width=width, name=name)


def _figure(title: str, width: int, height: int, **options: Any) -> Any:
    from bokeh.plotting import figure  # an extra

    return figure(title=title, width=width, height=height, toolbar_location=None, tools="", **options)


class _Output:
    """Target and prediction of an output."""

    def __init__(self, index: int) -> None:
        from bokeh.models import ColumnDataSource  # an extra

        self._index = index
        self._source = ColumnDataSource({"sample": [], "target": [], "prediction": []})
        title = f"output {index + 1}: target (points) and prediction (line)"
        self.figure = _figure(title, 460, 260, x_axis_label="sample")
        self.figure.scatter("sample", "target", source=self._source, color=TARGET, size=5)
        self.figure.line("sample", "prediction", source=self._source, color=PREDICTION)

    def follow(self, snapshot: Snapshot) -> None:
        self._source.data = {
            "sample": snapshot.numbers[-SHOWN:],
            "target": snapshot.targets[-SHOWN:, self._index],
            "prediction": snapshot.predictions[-SHOWN:, self._index],
        }


class _Errors:
    """The error of every sample, and its mean over the last."""

    def __init__(self) -> None:
        from bokeh.models import ColumnDataSource  # an extra

        self._source = ColumnDataSource({"sample": [], "error": [], "mean": []})
        self.figure = _figure("squared error before each step", 460, 260, x_axis_label="sample", y_axis_type="log")
        self.figure.scatter("sample", "error", source=self._source, color=TARGET, size=2)
        self.figure.line("sample", "mean", source=self._source, color=PREDICTION, width=2)

    def follow(self, snapshot: Snapshot) -> None:
        errors = snapshot.errors
        sums = np.concatenate([[0.0], np.cumsum(errors)])
        counts = np.minimum(np.arange(1, len(errors) + 1), MEAN)
        stops = np.arange(1, len(errors) + 1)
        # No error at all has no place on an axis of powers of ten.
        drawn = {"error": errors, "mean": (sums[stops] - sums[stops - counts]) / counts}
        self._source.data = {
            "sample": snapshot.numbers,
            **{name: np.where(values > 0, values, np.nan) for name, values in drawn.items()},
        }


class _Edge:
    """The curve of one of the edges that are chosen."""

    def __init__(self, index: int) -> None:
        from bokeh.models import BoxAnnotation, ColumnDataSource  # an extra

        self._index = index
        self._source = ColumnDataSource({"x": [], "y": []})
        self.figure = _figure("", 220, 170)
        self._visited = BoxAnnotation(fill_color=VISITED, fill_alpha=0.15, left=0, right=0, visible=False)
        self.figure.add_layout(self._visited)
        self.figure.line("x", "y", source=self._source, color=PREDICTION, width=2)

    def follow(self, snapshot: Snapshot) -> None:
        self.figure.visible = self._index < len(snapshot.curves)
        if not self.figure.visible:
            return
        curve = snapshot.curves[self._index]
        self.figure.title.text = _name_edge(curve.layer, curve.source, curve.node)
        self._source.data = {"x": curve.x, "y": curve.y}
        if curve.visited is not None:
            self._visited.update(left=curve.visited[0], right=curve.visited[1], visible=True)


def _name_edge(layer: int, source: int, node: int) -> str:
    return f"layer {layer + 1}: {source + 1} to {node + 1}"


def _choose_edges(run: LiveRun) -> list[Any]:
    """What chooses among edges that have no room together."""
    from bokeh.models import Select  # an extra

    if run.edges <= MOST_EDGES:
        return []
    names = [
        _name_edge(number, source, node)
        for number, layer in enumerate(run.session.spec.layers)
        for node in range(layer.n_out)
        for source in range(layer.n_in)
    ]
    options = [
        (str(first), f"{first + 1} to {min(first + MOST_EDGES, run.edges)} of {run.edges}, from {names[first]} on")
        for first in range(0, run.edges, MOST_EDGES)
    ]
    chosen = Select(value="0", options=options, name="edges", width=320)
    chosen.on_change("value", lambda _name, _old, new: run.choose_edges(int(new)))
    return [chosen]


def _controls(run: LiveRun) -> list[Any]:
    from bokeh.models import Button, NumericInput, Toggle  # an extra

    freeze = Toggle(label="freeze", name="freeze", width=90, active=run.snapshot.frozen)
    freeze.on_change("active", lambda _name, _old, new: run.freeze(bool(new)))
    pause = Toggle(label="pause", name="pause", width=90, active=run.snapshot.paused)
    pause.on_change("active", lambda _name, _old, new: run.pause(bool(new)))
    clear = Button(label="clear counters", width=120)
    clear.on_click(run.clear_counters)

    knobs: list[Any] = [freeze, pause, clear]
    if run.session.spec.guard is not None:
        release = Button(label="release", name="release", width=90)
        release.on_click(run.release)
        knobs.append(release)

    def inputs(label: str, rates: tuple[float, ...], ask: Callable[[float, int], None]) -> list[Any]:
        made = []
        for number, rate in enumerate(rates):
            title = f"{label}, layer {number + 1}" if len(rates) > 1 else label
            value = float(f"{rate:.6g}")
            one = NumericInput(title=title, name=f"{label} {number + 1}", value=value, mode="float", width=130)
            # Of a field that is empty there is no number yet.
            one.on_change("value", lambda _name, _old, new, number=number: None if new is None else ask(new, number))
            made.append(one)
        return made

    rates = inputs("learning rate", run.snapshot.learning_rate, run.set_learning_rate)
    rates += inputs("linear rate", run.snapshot.linear_rate, run.set_linear_rate)
    return [*knobs, *rates]


def _count(snapshot: Snapshot) -> str:
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td style='text-align:right; padding-left:1em'>{html.escape(count)}</td></tr>"
        for name, count in describe_counters(snapshot).items()
    )
    lost = "" if "lost" in snapshot.counters else '<p>Lost updates are counted with counts = ["lost"] in the spec.</p>'
    return f"<b>saturated and lost</b><table>{rows}</table>{lost}"


def describe_state(snapshot: Snapshot) -> str:
    """What a run does, as a line of HTML."""
    doing = "ended" if snapshot.failed else "paused" if snapshot.paused else "frozen" if snapshot.frozen else "learning"
    if snapshot.fault and not snapshot.failed:
        # Frozen or not, nothing is learned until it is released.
        doing = f"fault: {join_choices(snapshot.fault, 'and')}" + (", paused" if snapshot.paused else "")
    last = snapshot.errors[-MEAN:]
    error = f", mean squared error {last.mean():.3g}" if len(last) and math.isfinite(last.mean()) else ""
    sent = int(snapshot.numbers[-1]) + 1 if len(snapshot.numbers) else 0
    rates = ", ".join(f"{rate:g}" for rate in (*snapshot.learning_rate, *snapshot.linear_rate))
    told = (
        f"<b>{doing}</b>, {sent} samples, {snapshot.per_second:.0f} a second{error}; registers hold the rates {rates}"
    )
    return told + (f"<br>{html.escape(snapshot.message)}" if snapshot.message else "")
