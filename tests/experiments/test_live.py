"""A run that is looked at: what it keeps, what it obeys, how it ends; and its page, by bokeh's own server."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, connect
from kanrtl.errors import LinkError
from kanrtl.experiments.live_page import check_bokeh, create_server, describe_state
from kanrtl.experiments.live_run import LONGEST_HISTORY, MOST_EDGES, LiveRun, describe_counters
from kanrtl.sim import Recording, Track
from support.importable import foreign

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, learning_rate=0.3, table_size=16)
COUNTED = SPEC.replace(counts=["lost"])


def run_of(spec: LearnerSpec = SPEC, samples: int = 300) -> LiveRun:
    return LiveRun(connect(spec), Track(samples, 0))


def test_samples_are_taught_in_order_and_again() -> None:
    run, task = run_of(samples=30), Track(30, 0)
    run.advance(20)
    snapshot = run.advance(25)
    with connect(SPEC) as model:
        twice = np.tile(task.x, (2, 1)), np.tile(task.target, (2, 1))
        expected = model.learn_many(*(rows[:45] for rows in twice))
        assert np.array_equal(run.session.coefficients[0], model.coefficients[0])
    np.testing.assert_array_equal(snapshot.predictions, expected)
    np.testing.assert_array_equal(snapshot.targets, twice[1][:45])
    np.testing.assert_array_equal(snapshot.numbers, np.arange(45))
    np.testing.assert_allclose(snapshot.errors, ((expected - twice[1][:45]) ** 2)[:, 0])


def test_no_more_is_kept_than_is_looked_at() -> None:
    run = run_of()
    snapshot = run.advance(LONGEST_HISTORY + 50)
    assert len(snapshot.errors) == LONGEST_HISTORY
    assert (snapshot.numbers[0], snapshot.numbers[-1]) == (50, LONGEST_HISTORY + 49)


def test_curves_are_what_is_learned_and_where_it_was() -> None:
    run = run_of()
    before = run.snapshot.curves[0]
    assert before.visited is None
    (curve,) = run.advance(100).curves
    x = Track(300, 0).x[:100]
    assert curve.visited == (x.min(), x.max())
    assert np.abs(curve.y - before.y).max() > 0.5
    np.testing.assert_allclose(curve.y, run.session.predict_many(curve.x[:, None])[:, 0], atol=1e-3)


def test_edges_are_chosen_where_there_are_too_many() -> None:
    spec = SPEC.replace(layer_sizes=[1, 40, 1])
    run = run_of(spec)
    assert (len(run.snapshot.curves), run.edges) == (MOST_EDGES, 80)
    assert run.snapshot.curves[-1].layer == 1
    run.choose_edges(MOST_EDGES)
    curves = run.advance(1).curves
    assert [(curve.layer, curve.node, curve.source) for curve in curves] == [(1, 0, source) for source in range(8, 40)]


def test_knobs() -> None:
    run = run_of(COUNTED)
    run.freeze(True)
    before, snapshot = run.session.coefficients[0], run.advance(50)
    assert snapshot.frozen
    assert np.array_equal(run.session.coefficients[0], before)
    run.freeze(False)
    run.set_learning_rate(0.125)
    snapshot = run.advance(50)
    assert (snapshot.frozen, snapshot.learning_rate, snapshot.message) == (False, (0.125,), "")
    assert not np.array_equal(run.session.coefficients[0], before)
    run.pause(True)
    assert len(run.advance(50).errors) == 100
    run.pause(False)
    assert len(run.advance(50).errors) == 150


def test_what_cannot_be_done_is_told_and_the_run_goes_on() -> None:
    run = run_of()
    run.set_learning_rate(-1)
    snapshot = run.advance(5)
    assert snapshot.message.startswith("learning_rate = -1.0: ")
    assert not snapshot.failed
    run.set_linear_rate(0.1)
    assert "no layer of the spec has a linear path" in run.advance(5).message
    run.set_learning_rate(0.0003)
    assert "learning_rate" in run.advance(5).message  # a register holds no such rate, only others near it
    run.set_learning_rate(0.25)
    assert run.advance(5).message == ""
    assert len(run.snapshot.errors) == 20


def test_the_rate_of_one_layer_leaves_the_others_as_they_are() -> None:
    run = run_of(SPEC.replace(layer_sizes=[1, 2, 1], learning_rate=[0.25, 0.125], linear=True))
    run.set_learning_rate(0.0625)
    run.set_learning_rate(0.5, 1)
    run.set_linear_rate(0.0625, 1)
    first = run.session.linear_rate[0]
    snapshot = run.advance(5)
    assert snapshot.learning_rate == (0.0625, 0.5)
    assert snapshot.linear_rate == (first, 0.0625)


def test_a_fault_of_the_guard_is_seen_and_released() -> None:
    run = LiveRun(connect(SPEC.replace(guard={"window": 64, "copy_every": 4, "error": 0.01})), Track(300, 0))
    assert run.snapshot.fault == ()
    snapshot = run.advance(300)
    assert snapshot.fault == ("divergence",)
    assert "<b>fault: divergence</b>, 300 samples" in describe_state(snapshot)
    kept = run.session.coefficients[0]
    run.pause(True)
    assert "<b>fault: divergence, paused</b>" in describe_state(run.advance(1))
    assert np.array_equal(run.session.coefficients[0], kept)
    run.release()
    snapshot = run.advance(1)
    assert snapshot.fault == ()
    assert "<b>paused</b>" in describe_state(snapshot)


def test_counters() -> None:
    run = run_of(COUNTED.replace(update_rounding="half_up"))
    run.set_learning_rate(2**-12)
    counters = run.advance(200).counters
    assert counters["lost"] > 0
    assert describe_counters(run.snapshot)["lost updates"] == str(counters["lost"])
    run.pause(True)
    run.clear_counters()
    assert set(run.advance(0).counters.values()) == {0}


def test_a_logistic_learner_shows_probabilities() -> None:
    x = np.random.default_rng(0).permutation(np.linspace(-2, 2, 40))
    recording = Recording(x, (x > 0).astype(float), name="steps")
    run = LiveRun(connect(SPEC.replace(loss="logistic")), recording)
    snapshot = run.advance(60)
    assert ((snapshot.predictions > 0) & (snapshot.predictions < 1)).all()
    assert snapshot.errors[-1] < 0.25 < snapshot.errors[:20].max()


def test_gradients_that_are_computed_beside_it() -> None:
    run = run_of(SPEC.replace(loss="external"))
    assert run.advance(200).errors[-30:].mean() < 0.1


def test_a_cut_wire_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    run = LiveRun(connect(SPEC), Track(300, 0), say_end=told.append)
    run.advance(10)

    def fail(*_: Any) -> Any:
        raise LinkError("tcp://there: does not answer any more")

    monkeypatch.setattr(run.session.backend, "run", fail)
    monkeypatch.setattr(run.session, "_step", None)
    run.start()
    waits(lambda: run.snapshot.failed)
    run.stop()
    assert [run.snapshot.message] == told == ["tcp://there: does not answer any more"]
    assert len(run.snapshot.errors) == 10


def waits(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_thread_of_its_own() -> None:
    run = run_of()
    run.start()
    waits(lambda: len(run.snapshot.errors) > 30)
    run.stop()
    count = len(run.snapshot.errors)
    time.sleep(0.1)
    assert len(run.snapshot.errors) == count


def test_a_pace_that_no_backend_keeps_is_no_reason_to_wait() -> None:
    """What is seen and asked for comes every so often, however many samples are due by then."""
    run = LiveRun(connect(SPEC), Track(300, 0), 1e9)
    run.start()
    waits(lambda: len(run.snapshot.errors) > 30)
    run.freeze(True)
    waits(lambda: run.snapshot.frozen)
    run.stop()
    assert run.snapshot.per_second > 0


def test_as_many_samples_as_there_is_time_for() -> None:
    run, twin = run_of(), run_of()
    taught = int(run.advance(10**7, 0.02).numbers[-1]) + 1
    assert 0 < taught < 10**7
    assert run.advance(100, 0.0).numbers[-1] == taught - 1
    twin.advance(taught)
    assert np.array_equal(run.snapshot.predictions, twin.snapshot.predictions)


# The page.


class ServedPage:
    """The page of a run, which bokeh's server has in a thread, and the document of the only one who looks at it."""

    def __init__(self, run: LiveRun) -> None:
        from bokeh.client import pull_session

        self.run = run
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)
        self.address = f"http://localhost:{self._server.port}/"
        self._client = pull_session(url=self.address)
        (session,) = self._server.get_sessions("/")
        self.document = session.document

    def _serve(self) -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        self._server = create_server(self.run, "localhost", 0)
        self._server.start()
        self._ready.set()
        self._server.io_loop.start()
        self._server.stop()
        self._server.io_loop.close()

    def ask(self, question: Callable[[], Any]) -> Any:
        """What a function gives that runs where the document is changed, so that it is whole."""
        answer: queue.Queue[Any] = queue.Queue()
        self.document.add_next_tick_callback(lambda: answer.put(question()))
        return answer.get(timeout=60)

    def close(self) -> None:
        self._client.close()
        self._server.io_loop.add_callback(self._server.io_loop.stop)
        self._thread.join(60)


@pytest.fixture
def page() -> Iterator[ServedPage]:
    """The page of a learner with hidden nodes."""
    foreign("bokeh", "live")
    page = ServedPage(run_of(COUNTED.replace(layer_sizes=[1, 2, 1])))
    yield page
    page.close()


def test_a_page_follows_its_run_and_turns_its_knobs(page: ServedPage) -> None:
    from bokeh.models import ColumnDataSource

    run, document = page.run, page.document

    def columns(*names: str) -> list[dict[str, Any]]:
        """What the figures with these columns show now."""
        found = page.ask(lambda: [dict(one.data) for one in document.select({"type": ColumnDataSource})])
        return [data for data in found if set(data) == {*names}]

    def tells(name: str, words: str) -> bool:
        return words in page.ask(lambda: document.get_model_by_name(name).text)

    assert document.title == "kanrtl: track"
    before = columns("x", "y")
    assert len(before) == 4
    run.advance(120)
    waits(lambda: len(columns("sample", "error", "mean")[0]["error"]) == 120)
    assert max(np.abs(new["y"] - old["y"]).max() for new, old in zip(columns("x", "y"), before, strict=True)) > 0.1

    rates = run.session.learning_rate
    page.ask(lambda: document.get_model_by_name("freeze").update(active=True))
    page.ask(lambda: document.get_model_by_name("learning rate 1").update(value=0.125))
    page.ask(lambda: document.get_model_by_name("learning rate 2").update(value=None))  # it is emptied
    kept = run.session.coefficients
    assert run.advance(50).frozen
    assert run.session.learning_rate == (0.125, rates[1])
    assert all(np.array_equal(*pair) for pair in zip(run.session.coefficients, kept, strict=True))
    waits(lambda: tells("state", "<b>frozen</b>, 170 samples"))
    assert tells("counters", "<td>lost updates</td>")


def test_bokeh_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"^live: bokeh is not installed; run `pip install 'kanrtl\[live\]'`$"):
        check_bokeh()


def test_a_port_that_is_taken(page: ServedPage) -> None:
    port = int(page.address.rpartition(":")[2].rstrip("/"))
    with pytest.raises(InputError, match=rf"^--port = {port}: Address already in use; choose another$"):
        create_server(page.run, "localhost", port)
