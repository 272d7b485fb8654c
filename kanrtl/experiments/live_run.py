"""A learner that goes on learning while somebody looks at it and turns its knobs; without a picture of its own."""

from __future__ import annotations

import math
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Reals
from ..errors import InputError, LearningWarning, LinkError
from ..sessions.edge_curves import evaluate_edges, find_layer_inputs
from ..sessions.learner_session import Session
from ..sim.task import Task
from .fit_task import find_errors, fit_task
from .simulate_learner import teach

__all__ = ["LONGEST_HISTORY", "EdgeCurve", "LiveRun", "Snapshot"]

LONGEST_HISTORY = 1000
"""Samples that are looked back on."""

POINTS = 61
"""Points of an edge's curve."""

MOST_EDGES = 48
"""Edges whose curves are drawn together; a page has no room for more."""

REFRESHES = 20
"""Times a second that a run is looked at."""


@dataclass(frozen=True)
class EdgeCurve:
    """What an edge is now.

    Attributes
    ----------
    layer, node, source : int
        Which edge, each from 0 on.
    x, y : array
        Its curve over the grid, ``(points,)``.
    visited : (float, float) or None
        The lowest and the highest of its last inputs; None before the first.
    """

    layer: int
    node: int
    source: int
    x: Reals
    y: Reals
    visited: tuple[float, float] | None


@dataclass(frozen=True)
class Snapshot:
    """All that there is to see of a run at one time.

    Attributes
    ----------
    numbers : array
        The last samples, ``(n,)``, counted from 0.
    targets, predictions : array
        Of these, ``(n, n_out)``.
    errors : array
        The mean squared error of each, ``(n,)``, in the units of the task.
    curves : tuple of EdgeCurve
        Those of :data:`MOST_EDGES` edges at most, one after another.
    learning_rate, linear_rate : tuple of float
        What the registers hold.
    frozen, paused : bool
        Whether nothing is to be learned, and whether no samples are sent.
    fault : tuple of str
        What the guard has seen, while there is a fault, in which nothing is learned; empty without one.
    counters : dict
        What saturated, by kind; what the spec counts besides, such as lost updates; what was clipped before.
    full : tuple of str
        The counters that stand still at their highest value.
    per_second : float
        Samples a second, of late.
    message : str
        What came of the last that was asked for, or why the run has ended; empty where nothing is to be said.
    failed : bool
        Whether the run has ended.
    """

    numbers: Reals
    targets: Reals
    predictions: Reals
    errors: Reals
    curves: tuple[EdgeCurve, ...]
    learning_rate: tuple[float, ...]
    linear_rate: tuple[float, ...]
    frozen: bool
    paused: bool
    fault: tuple[str, ...]
    counters: dict[str, int]
    full: tuple[str, ...]
    per_second: float
    message: str
    failed: bool


class LiveRun:
    """Teaches a learner the samples of a task, again and again, and keeps what is worth to be seen.

    Whoever looks takes :attr:`snapshot`, at any time and from any thread. What is asked for by :meth:`freeze` and the
    others is done before the next samples.

    Parameters
    ----------
    session
        The learner, on any backend.
    task
        What it learns, scaled to it; from the beginning again at its end.
    samples_per_second
        As many are sent, if the backend is quick enough.
    say_end
        Called with the reason where the run ends by itself, once.

    Raises
    ------
    InputError
        If the task does not fit the learner.
    """

    def __init__(
        self,
        session: Session,
        task: Task,
        samples_per_second: float = 200.0,
        say_end: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.session, self.task, self._say_end = session, fit_task(session.spec, task), say_end
        self.samples_per_second = samples_per_second
        self._sent = 0
        self._x, self._target, self._predicted, self._error = (deque[Reals](maxlen=LONGEST_HISTORY) for _ in range(4))
        self._asked: deque[Callable[[], None]] = deque()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._first_edge = 0
        self._at_once = 1
        self._paused, self._failed, self._message, self._per_second = False, False, "", 0.0
        self.snapshot = self._look()

    @property
    def edges(self) -> int:
        """How many edges there are, also those that are not among the curves, as there are too many."""
        return sum(layer.n_in * layer.n_out for layer in self.session.spec.layers)

    # What can be asked for.

    def freeze(self, frozen: bool) -> None:
        """Ask that nothing is learned any more, or that it is again."""
        self._ask(lambda: setattr(self.session, "frozen", frozen))

    def pause(self, paused: bool) -> None:
        """Ask that no samples are sent, or that they are again."""
        self._ask(lambda: setattr(self, "_paused", paused))

    def release(self) -> None:
        """Ask that a fault that the guard has seen ends, as :meth:`kanrtl.Session.release` does it."""
        self._ask(self.session.release)

    def set_learning_rate(self, rate: float, place: int = 0) -> None:
        """Ask for another learning rate: of all that :attr:`kanrtl.Session.learning_rate` gives, the one at a place."""
        self._ask(lambda: self._set_rate("learning_rate", rate, place))

    def set_linear_rate(self, rate: float, place: int = 0) -> None:
        """Ask for another rate of linear paths, as :meth:`set_learning_rate`."""
        self._ask(lambda: self._set_rate("linear_rate", rate, place))

    def _set_rate(self, name: str, rate: float, place: int) -> None:
        # The others are as they are by then, whoever has set them.
        rates = list(getattr(self.session, name))
        rates[place : place + 1] = [rate]
        setattr(self.session, name, tuple(rates))

    def choose_edges(self, first: int) -> None:
        """Ask for the curves from this edge on, counted from 0 through all layers."""
        self._ask(lambda: setattr(self, "_first_edge", first))

    def clear_counters(self) -> None:
        """Ask that all counters begin at 0 again."""
        self._ask(self.session.clear_counters)

    def _ask(self, request: Callable[[], None]) -> None:
        self._asked.append(request)

    # The run itself.

    def advance(self, samples: int, seconds: float = math.inf) -> Snapshot:
        """Do what was asked for, teach so many samples, or those that there is time for, and look.

        Where the learner is gone, as at the end of a cut wire, the run has ended, and the message says why.
        """
        try:
            while self._asked:
                self._obey(self._asked.popleft())
            if not self._paused:
                self._teach(samples, seconds)
            self.snapshot = self._look()
        except LinkError as error:
            self._end(str(error))
        return self.snapshot

    def _end(self, message: str) -> None:
        self._failed, self._message = True, message
        self._ended.set()
        self.snapshot = Snapshot(**{**vars(self.snapshot), "failed": True, "message": message})
        self._say_end(message)

    def _obey(self, request: Callable[[], None]) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", LearningWarning)
            try:
                request()
            except InputError as error:
                self._message = str(error)
                return
        self._message = "; ".join(str(warning.message) for warning in caught)

    def _teach(self, samples: int, seconds: float) -> None:
        """Teach the next samples of the task, up to its end at most at once.

        Where time is short, as many at once as take a part of it, and not those that are left when it is over.
        """
        begun = time.monotonic()
        while samples > 0:
            before = time.monotonic()
            if before >= begun + seconds:
                break
            start = self._sent % self.task.samples
            at_once = samples if seconds == math.inf else min(samples, self._at_once)
            rows = slice(start, min(start + at_once, self.task.samples))
            x, target = self.task.x[rows], self.task.target[rows]
            predicted = teach(self.session, x, target)
            shown = self._in_range(predicted)
            self._x.extend(x)
            self._target.extend(target)
            self._predicted.extend(shown)
            self._error.extend(np.mean(find_errors(self.session.spec, self.task, predicted, rows) ** 2, axis=1))
            self._sent += len(x)
            samples -= len(x)
            quick = time.monotonic() - before < seconds / 8
            self._at_once = min(2 * self._at_once, self.task.samples) if quick else max(1, self._at_once // 2)

    def _in_range(self, predicted: Reals) -> Reals:
        """Predictions as targets are given: of a logistic loss the probabilities."""
        if self.session.spec.loss == "logistic":
            return 1 / (1 + np.exp(-predicted))
        return predicted

    def _look(self) -> Snapshot:
        session, status = self.session, self.session.status
        counters = {**status["saturations"], **status["counts"]}
        counters |= {name: status[name] for name in ("inputs_saturated", "targets_saturated")}
        n_out = session.spec.n_out
        return Snapshot(
            numbers=np.arange(self._sent - len(self._x), self._sent, dtype=float),
            targets=np.array(self._target).reshape(-1, n_out),
            predictions=np.array(self._predicted).reshape(-1, n_out),
            errors=np.array(self._error, dtype=float),
            curves=self._find_curves(),
            learning_rate=session.learning_rate,
            linear_rate=session.linear_rate if session.spec.linear_layers else (),
            frozen=status["frozen"],
            paused=self._paused,
            fault=_list_faults(status),
            counters=counters,
            full=tuple(status["counters_full"]),
            per_second=self._per_second,
            message=self._message,
            failed=self._failed,
        )

    def _find_curves(self) -> tuple[EdgeCurve, ...]:
        spec, coefficients = self.session.spec, self.session.coefficients
        recent = np.array(self._x).reshape(len(self._x), spec.n_in)
        inputs = find_layer_inputs(spec, coefficients, recent)
        curves: list[EdgeCurve] = []
        passed = 0
        for number, (layer, own, seen) in enumerate(zip(spec.layers, coefficients, inputs, strict=True)):
            x = np.linspace(layer.grid_min, layer.grid_max, POINTS)
            phi = evaluate_edges(layer, own, np.repeat(x[:, None], layer.n_in, axis=1))
            for node in range(layer.n_out):
                for source in range(layer.n_in):
                    passed += 1
                    if passed <= self._first_edge:
                        continue
                    if len(curves) == MOST_EDGES:
                        return tuple(curves)
                    span = (float(seen[:, source].min()), float(seen[:, source].max())) if len(seen) else None
                    curves.append(EdgeCurve(number, node, source, x, phi[:, node, source], span))
        return tuple(curves)

    # A thread of its own.

    def start(self) -> None:
        """Go on in a thread, at the pace that was asked for, until :meth:`stop`."""
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the samples that it is at."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _go_on(self) -> None:
        last = time.monotonic()
        due = 0.0
        while not self._ended.is_set():
            due = min(due + self.samples_per_second / REFRESHES, self.samples_per_second)
            before = self._sent
            try:
                self.advance(int(due), 1 / REFRESHES)
            except Exception as error:  # whatever it is, whoever looks is to see it
                self._end(f"{type(error).__name__}: {error}")
                raise
            self._ended.wait(max(0.0, last + 1 / REFRESHES - time.monotonic()))
            due = 0.0 if self._paused else due - (self._sent - before)
            now = time.monotonic()
            rate = (self._sent - before) / max(now - last, 1e-6)
            self._per_second += (rate - self._per_second) / REFRESHES
            last = now


def _list_faults(status: dict[str, Any]) -> tuple[str, ...]:
    """What the guard has seen, while there is a fault."""
    guard = status.get("guard")
    return tuple(guard["seen"]) if guard and guard["fault"] else ()


def describe_counters(snapshot: Snapshot) -> dict[str, str]:
    """The counters as a page shows them: by name, with a sign where one stands still."""
    names: dict[str, Any] = {"lost": "lost updates", "outside": "outside of a grid"}
    return {
        names.get(kind, kind.replace("_", " ")): f"{count}{' or more' if kind in snapshot.full else ''}"
        for kind, count in snapshot.counters.items()
    }
