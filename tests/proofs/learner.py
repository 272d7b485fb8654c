"""What a learner promises at its ports, whatever comes and whatever its arithmetic gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.learner import Learner
from proofs.engine import Contract, keep

SMALL = LearnerSpec(
    layer_sizes=[1, 1],
    grid_range=(-2, 2),
    grid_size=2,
    spline_order=1,
    table_size=4,
    activation_format="SQ(3, 3)",
    table_memory="logic",
    pipeline="most_registers",
    update_rounding="half_up",
)
STREAMING = SMALL.replace(schedule="streaming", pipeline="auto")
AFTER = SMALL.replace(teaching="after_prediction")
FOLDED = SMALL.replace(layer_sizes=[2, 1], reuse_factor=2, table_memory="auto", pipeline="auto")

Break = Callable[[Module, "Observed"], None]
State = Callable[[Module, Any, "Observed"], None]


class Observed(Learner):
    """A learner that shows when it tells a layer to update, with something added that breaks a promise, or nothing."""

    def __init__(self, spec: LearnerSpec, add: Break | None) -> None:
        super().__init__(spec)
        self._add = add
        self.updates = Signal(spec.n_layers)

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.updates.eq(m.submodules.sequencer.update)
        if self._add is not None:
            self._add(m, self)
        return m


class Surrounded(wiring.Component):
    """A learner with free inputs, and what must hold of it."""

    def __init__(self, spec: LearnerSpec, learner: Observed, state: State) -> None:
        self._learner, self._state = learner, state
        self._address = len(learner.access.request.payload.address)
        members = {
            "sample": In(len(learner.samples.payload.as_value())),
            "sample_valid": In(1),
            "prediction_ready": In(1),
            "freeze": In(1),
            "address": In(self._address),
            "write": In(1),
            "request_valid": In(1),
            "response_ready": In(1),
        }
        if spec.timing.after_prediction:
            members |= {"word": In(len(learner.teaching.payload.as_value())), "word_valid": In(1)}
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.learner = learner = self._learner
        request = learner.access.request
        m.d.comb += [
            learner.samples.payload.as_value().eq(self.sample),
            learner.samples.valid.eq(self.sample_valid),
            learner.freeze.eq(self.freeze),
            request.payload.address.eq(self.address),
            request.payload.write.eq(self.write),
            request.valid.eq(self.request_valid),
            learner.access.response.ready.eq(self.response_ready),
        ]
        if not learner.predictions.signature.always_ready:
            m.d.comb += learner.predictions.ready.eq(self.prediction_ready)
        if hasattr(self, "word"):
            m.d.comb += [learner.teaching.payload.as_value().eq(self.word), learner.teaching.valid.eq(self.word_valid)]
        self._state(m, self, learner)
        return m


def surround(spec: LearnerSpec, state: State, broken: Break) -> Callable[[bool], Surrounded]:
    """A function that makes the design of a contract: as it is, or with what breaks it."""
    return lambda fault: Surrounded(spec, Observed(spec, broken if fault else None), state)


# Streams.


def keep_predictions(m: Module, _top: Any, learner: Observed) -> None:
    predictions = learner.predictions
    keep(m, predictions.valid, predictions.ready, [Value.cast(predictions.payload)], Assert, "prediction")


def keep_answers(m: Module, _top: Any, learner: Observed) -> None:
    response = learner.access.response
    keep(m, response.valid, response.ready, [Value.cast(response.payload)], Assert, "response")


def withdraw(m: Module, learner: Observed) -> None:
    with m.If(learner.samples.valid):
        m.d.comb += learner.access.response.valid.eq(0)


def overwrite(m: Module, learner: Observed) -> None:
    with m.If(learner.samples.valid & learner.samples.ready):
        m.d.sync += Value.cast(learner.predictions.payload).eq(0)


def count_words(m: Module, _top: Any, learner: Observed) -> None:
    """As many predictions as samples were taken, none before its sample; at most two are on their way."""
    taken = learner.samples.valid & learner.samples.ready
    given = learner.predictions.valid & learner.predictions.ready
    under_way = Signal(3)
    m.d.sync += under_way.eq(under_way + taken - given)
    m.d.comb += [Assert(under_way <= 2), Assert(~learner.predictions.valid | (under_way != 0))]


def match_words(m: Module, _top: Any, learner: Observed) -> None:
    """As many words of the teacher are taken as samples to learn were, none before its sample; one is on its way."""
    taken = learner.samples.valid & learner.samples.ready & learner.samples.payload.learn
    taught = learner.teaching.valid & learner.teaching.ready
    open_words = Signal(2)
    m.d.sync += open_words.eq(open_words + taken - taught)
    m.d.comb += [Assert(open_words <= 1), Assert(~taught | (open_words == 1))]


def take_any_word(m: Module, learner: Observed) -> None:
    with m.If(learner.predictions.valid):
        m.d.comb += learner.teaching.ready.eq(1)


def flow_in_order(spec: LearnerSpec) -> State:
    """Where samples stream, each has its prediction after exactly the cycles of the spec, and nothing else has one."""
    shown = spec.timing.prediction_latency + 1

    def state(m: Module, _top: Any, learner: Observed) -> None:
        past = _remember(m, learner.samples.valid & learner.samples.ready, shown, "past")
        m.d.comb += Assert(learner.predictions.valid == past[shown - 1])

    return state


def take_unready(m: Module, learner: Observed) -> None:
    """A sample is taken where none may be."""
    m.d.comb += learner.samples.ready.eq(1)


def offer_twice(m: Module, learner: Observed) -> None:
    again, before = Signal(), Signal()
    m.d.sync += [before.eq(learner.predictions.valid & learner.predictions.ready), again.eq(before)]
    with m.If(before & ~again):
        m.d.comb += learner.predictions.valid.eq(1)


# Time.


def _remember(m: Module, event: Any, cycles: int, name: str) -> Signal:
    """Whether an event was so many cycles ago: bit 0 stands for the cycle before this one."""
    past = Signal(cycles, name=name)
    m.d.sync += past.eq(Cat(event, past))
    return past


def answer_in_time(spec: LearnerSpec) -> State:
    """Where predictions are taken at once and every sample is taught: its update ends exactly ``latency`` cycles after
    it was taken, nothing else is updated, and the next is taken exactly ``interval`` cycles after it, if one waits."""
    latency, interval, shown = spec.latency, spec.interval, spec.timing.prediction_latency + 1

    def state(m: Module, top: Any, learner: Observed) -> None:
        taken = learner.samples.valid & learner.samples.ready
        m.d.comb += [Assume(top.prediction_ready), Assume(~top.request_valid), Assume(learner.samples.payload.learn)]
        taught = _remember(m, taken & ~learner.freeze, latency, "taught")
        past = _remember(m, taken, max(interval, shown), "past")
        m.d.comb += [
            Assert(learner.updated == taught[latency - 1]),
            Assert(learner.predictions.valid == past[shown - 1]),
            Assert(learner.samples.ready == ~past[: interval - 1].any()),
        ]

    return state


def update_late(m: Module, learner: Observed) -> None:
    late = Signal()
    m.d.sync += late.eq(learner.predictions.valid)
    m.d.comb += learner.updated.eq(late)


def wait_longer(m: Module, learner: Observed) -> None:
    """The next sample is taken a cycle after the update of the last is written."""
    with m.If(m.submodules.sequencer.updated):
        m.d.comb += learner.samples.ready.eq(0)


def serve_in_time(spec: LearnerSpec) -> State:
    """Where predictions and answers are taken at once, a request is answered within a step and an access."""
    most = spec.latency + spec.timing.access_cycles + 2

    def state(m: Module, top: Any, learner: Observed) -> None:
        request, response = learner.access.request, learner.access.response
        keep(m, request.valid, request.ready, [Value.cast(request.payload)], Assume, "request")
        open_request, waits = Signal(), Signal(range(most + 2))
        with m.If(request.valid & request.ready):
            m.d.sync += open_request.eq(1)
        with m.Elif(response.valid):
            m.d.sync += open_request.eq(0)
        m.d.sync += waits.eq(Mux((request.valid | open_request) & ~response.valid, waits + 1, 0))
        m.d.comb += [Assume(top.prediction_ready), Assume(top.response_ready), Assert(waits <= most)]

    return state


def forget_a_request(m: Module, learner: Observed) -> None:
    with m.If(learner.access.request.payload.address == 1):
        m.d.comb += learner.access.response.valid.eq(0)


# What is frozen.


def write_nothing_frozen(m: Module, top: Any, learner: Observed) -> None:
    """A learner that is frozen, and not written to, writes no coefficient: no layer is told to, and nothing is said to
    be updated."""
    m.d.comb += [Assume(top.freeze), Assume(~top.request_valid), Assert(~learner.updated), Assert(learner.updates == 0)]


def thaw(m: Module, _learner: Observed) -> None:
    m.d.comb += m.submodules.sequencer.freeze.eq(0)


def _contracts() -> list[Contract]:
    two_steps = 2 * SMALL.latency + 6
    return [
        Contract(
            "predictions wait",
            "a prediction stays as it is until it is taken",
            surround(SMALL, keep_predictions, overwrite),
            depth=two_steps,
            unbounded=True,
            values=False,
        ),
        Contract(
            "answers wait",
            "the answer to an access stays as it is until it is taken",
            surround(SMALL, keep_answers, withdraw),
            depth=two_steps,
            unbounded=False,
            values=False,
        ),
        Contract(
            "a prediction for a sample",
            "no prediction is lost or doubled, and none comes before its sample",
            surround(SMALL, count_words, offer_twice),
            depth=two_steps,
            unbounded=False,
            values=False,
        ),
        Contract(
            "a prediction for a sample, teacher answers later",
            "the same with after_prediction",
            surround(AFTER, count_words, offer_twice),
            depth=2 * AFTER.latency + 6,
            unbounded=False,
            values=False,
        ),
        Contract(
            "latency and interval",
            "a sample is predicted, learned and followed by the next in exactly the cycles that the spec says",
            surround(SMALL, answer_in_time(SMALL), update_late),
            depth=two_steps,
            unbounded=False,
            values=False,
        ),
        Contract(
            "access in time",
            "every request is answered within a step and an access",
            surround(SMALL, serve_in_time(SMALL), forget_a_request),
            depth=two_steps + SMALL.timing.access_cycles,
            unbounded=False,
            values=False,
        ),
        Contract(
            "interval, folded",
            "the same where a layer is folded",
            surround(FOLDED, answer_in_time(FOLDED), wait_longer),
            depth=2 * FOLDED.latency + 6,
            unbounded=False,
            values=False,
        ),
        Contract(
            "a prediction for a sample, streaming",
            "where samples stream, each has its prediction in exactly the cycles that the spec says",
            surround(STREAMING, flow_in_order(STREAMING), take_unready),
            depth=2 * STREAMING.latency + 6,
            unbounded=False,
            values=False,
        ),
        Contract(
            "a word for a sample",
            "no word of a teacher who answers later is lost or taken twice, and none is before its sample",
            surround(AFTER, match_words, take_any_word),
            depth=2 * AFTER.latency + 6,
            unbounded=False,
            values=False,
        ),
        Contract(
            "access in time, folded",
            "every request is answered within a step and an access where a layer is folded",
            surround(FOLDED, serve_in_time(FOLDED), forget_a_request),
            depth=2 * FOLDED.latency + 6 + FOLDED.timing.access_cycles,
            unbounded=False,
            values=False,
        ),
        Contract(
            "frozen",
            "a learner that is frozen updates nothing",
            surround(SMALL, write_nothing_frozen, thaw),
            depth=26,  # a counter that power-up never sets goes round in the states that induction begins in
            unbounded=True,
            values=False,
        ),
        Contract(
            "frozen, streaming",
            "the same where samples stream",
            surround(STREAMING, write_nothing_frozen, thaw),
            depth=STREAMING.latency + 4,
            unbounded=True,
            values=False,
        ),
    ]


CONTRACTS = _contracts()
