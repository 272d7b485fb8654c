"""The sequencers of both schedules, alone: every strobe in its cycle."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.learner.folded_schedule import FoldedSchedule
from kanrtl.learner.rtl.sequencer import Handshake, Sequencer, SequencerSignature, StreamSequencer
from kanrtl.learner.schedule import Schedule
from support.components import convert, record


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("kind", [Sequencer, StreamSequencer])
def test_both_sequencers_have_it(kind: type) -> None:
    schedule = "streaming" if kind is StreamSequencer else "sequential"
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2), schedule=schedule)
    members = [
        [(path, member.flow, member.shape) for path, member, _ in signature.flatten(signature.create())]
        for signature in (kind(spec).signature, SequencerSignature(spec))
    ]
    assert members[0] == members[1]
    assert len(kind(spec).take) == 1


def test_only_a_late_teacher_has_a_stream_of_its_own() -> None:
    specs = [
        LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2), teaching=teaching)
        for teaching in ("with_sample", "after_prediction")
    ]
    assert [set(SequencerSignature(spec).members) & {"teaching"} for spec in specs] == [set(), {"teaching"}]


def test_handshakes_connect() -> None:
    source, sink, m, found = Handshake().create(), Handshake().flip().create(), Module(), []
    connect(m, source, sink)

    async def bench(ctx: Any) -> None:
        for valid, ready in product((0, 1), repeat=2):
            ctx.set(source.valid, valid)
            ctx.set(sink.ready, ready)
            found.append((ctx.get(sink.valid), ctx.get(source.ready)))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == list(product((0, 1), repeat=2))


STROBES = ("samples.ready", "load", "predictions.valid", "updated", "leap", "take", "update")
LAYERS = {"layer_sizes": [2, 2, 1], "grid_range": (-2, 2)}
SPECS = {
    "single": LearnerSpec(**LAYERS),
    "full": LearnerSpec(**LAYERS, pipeline="all_registers"),
    "folded": LearnerSpec(**LAYERS, reuse_factor=[2, 2], pipeline="most_registers"),
    "folded, after_prediction": LearnerSpec(**LAYERS, reuse_factor=[4, 1], teaching="after_prediction"),
    "after_prediction": LearnerSpec(**LAYERS, pipeline="most_registers", teaching="after_prediction"),
}


def cycles(bits: list[int]) -> list[int]:
    """The cycles in which a bit is high."""
    return [cycle for cycle, bit in enumerate(bits) if bit]


def taught(spec: LearnerSpec) -> dict[str, int]:
    """Everybody offers and takes all the time."""
    offers = {"samples.valid": 1, "learn": 1, "predictions.ready": 1}
    return offers | ({"teaching.valid": 1} if spec.timing.after_prediction else {})


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_step_takes_the_same_cycles(spec: LearnerSpec) -> None:
    dut = Sequencer(spec)
    assert (dut.latency, dut.prediction_latency) == (spec.latency, spec.timing.prediction_latency)
    found = record(dut, [taught(spec)] + [{}] * (4 * dut.latency), STROBES)
    # Cycle 0 ends with the edge that takes the first sample.
    steps = range(0, 4 * dut.latency, dut.latency)
    assert cycles(found["samples.ready"]) == [*steps, 4 * dut.latency]
    assert cycles(found["load"]) == [step + dut.prediction_latency for step in steps]
    assert cycles(found["predictions.valid"]) == [
        step + dut.prediction_latency + 1 for step in steps if step + dut.prediction_latency < 4 * dut.latency
    ]
    assert cycles(found["updated"]) == [step + dut.latency for step in steps]
    assert found["leap"] == found["updated"]


@pytest.mark.parametrize("name", ["single", "full", "after_prediction"])
def test_layers_that_are_not_folded_take_samples_and_write_at_the_end(name: str) -> None:
    spec = SPECS[name]
    found = record(Sequencer(spec), [taught(spec)] + [{}] * (2 * spec.latency), STROBES)
    assert found["take"] == found["samples.ready"]  # the first layer's
    assert found["update"] == [0b11 * updated for updated in found["updated"]]


@pytest.mark.parametrize("name", ["folded", "folded, after_prediction"])
def test_folded_layers_begin_their_passes_a_cycle_ahead(name: str) -> None:
    spec = SPECS[name]
    schedule = spec.timing
    assert isinstance(schedule, FoldedSchedule)
    found = record(Sequencer(spec), [taught(spec)] + [{}] * (spec.latency - 1), STROBES)
    # The first cycle in which a sample, or a word, is held, is the one after it was taken.
    word = schedule.prediction_latency + 1 if schedule.after_prediction else 0
    for layer in range(2):
        assert cycles([bits >> layer & 1 for bits in found["take"]]) == [schedule.forward[layer]]
        assert cycles([bits >> layer & 1 for bits in found["update"]]) == [word + schedule.backward[layer]]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_what_is_not_learned_ends_with_its_prediction(spec: LearnerSpec) -> None:
    interval = spec.timing.prediction_interval
    found = record(Sequencer(spec), [taught(spec) | {"learn": 0}] + [{}] * (3 * interval), STROBES)
    assert cycles(found["samples.ready"]) == [0, interval, 2 * interval, 3 * interval]
    assert not any(found["updated"])
    assert not any(found["update"])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_what_was_frozen_when_it_was_taken_is_not_learned(spec: LearnerSpec) -> None:
    latency = spec.latency
    inputs: list[dict[str, int]] = [taught(spec) | {"freeze": 1}, {"freeze": 0}] + [{}] * (2 * latency - 1)
    found = record(Sequencer(spec), inputs, STROBES)
    assert cycles(found["samples.ready"]) == [0, latency, 2 * latency]
    assert cycles(found["updated"]) == [2 * latency]
    assert not any(found["update"][:latency])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_prediction_that_is_not_taken_stops_the_next_step(spec: LearnerSpec) -> None:
    dut, late = Sequencer(spec), 7
    due = dut.latency + dut.prediction_latency
    inputs = [taught(spec) | {"predictions.ready": 0}] + [{}] * (due + late - 1)
    inputs += [{"predictions.ready": 1}, {"predictions.ready": 0}] + [{}] * dut.latency
    found = record(dut, inputs[: 2 * dut.latency + late + 1], STROBES)
    assert cycles(found["load"])[:2] == [dut.prediction_latency, due + late]
    assert all(found["predictions.valid"][dut.prediction_latency + 1 :])
    assert cycles(found["updated"]) == [dut.latency, 2 * dut.latency + late]


def test_a_teacher_may_take_its_time() -> None:
    spec = SPECS["after_prediction"]
    dut, late = Sequencer(spec), 5
    asked = dut.prediction_latency + 1
    inputs = [taught(spec) | {"teaching.valid": 0}] + [{}] * (asked + late - 1) + [{"teaching.valid": 1}]
    found = record(dut, inputs + [{}] * spec.timing.teaching_latency, ("teaching.ready", "updated"))
    assert cycles(found["teaching.ready"]) == list(range(asked, asked + late + 1))
    assert cycles(found["updated"]) == [asked + late + spec.timing.teaching_latency]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_request_is_served_between_samples_before_the_next(spec: LearnerSpec) -> None:
    dut = Sequencer(spec)
    taken = spec.latency + 1  # a step has ended, and no sample was taken with that
    inputs: list[dict[str, int]] = [taught(spec), {"requests.valid": 1}] + [{}] * (taken + dut.access_latency)
    inputs[taken + 1] = {"requests.valid": 0}
    found = record(dut, inputs, ("requests.ready", "samples.ready", "serving", "second", "done"))
    assert [cycle for cycle in cycles(found["requests.ready"]) if cycle > 0] == [taken, taken + 1 + dut.access_latency]
    served = list(range(taken + 1, taken + 1 + dut.access_latency))
    assert cycles(found["serving"]) == served
    assert cycles(found["second"]) == [served[1]]
    assert cycles(found["done"]) == [served[-1]]
    assert cycles(found["samples.ready"]) == [0, served[-1] + 1]


def test_no_request_is_taken_while_an_answer_waits_and_samples_go_on() -> None:
    spec = SPECS["single"]
    inputs = [taught(spec) | {"requests.valid": 1, "responding": 1}] + [{}] * 8
    found = record(Sequencer(spec), inputs, ("requests.ready", "updated"))
    assert not any(found["requests.ready"])
    assert cycles(found["updated"]) == list(range(spec.latency, 9, spec.latency))


def test_nothing_goes_on_while_tables_are_made() -> None:
    spec, busy = SPECS["full"], 6
    dut = Sequencer(spec)
    inputs: list[dict[str, Any]] = [{"requests.valid": 1}, {"requests.valid": 0}, {}, {"busy": 1}, *[{}] * (busy - 1)]
    found = record(dut, [*inputs, {"busy": 0}, {}, {}], ("done", "serving"))
    assert cycles(found["done"]) == [dut.access_latency + busy]
    inputs = [taught(spec) | {"busy": 1, "requests.valid": 1}]
    found = record(Sequencer(spec), inputs, ("samples.ready", "requests.ready"))
    assert found == {"samples.ready": [0], "requests.ready": [0]}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_sequential_one_can_be_synthesised_alone(spec: LearnerSpec) -> None:
    convert(Sequencer(spec))


STREAM_STROBES = ("samples.ready", "load", "predictions.valid", "updated", "leap", "update", "take")


def streaming(**fields: object) -> LearnerSpec:
    return LearnerSpec(**{"layer_sizes": [2, 2, 1], "grid_range": (-2, 2), "schedule": "streaming"} | fields)


STREAMING = {
    "single": streaming(pipeline="no_registers"),
    "full": streaming(),
    "block": streaming(memory="block", pipeline=[["update"], ["read", "change"]]),
}


@pytest.mark.parametrize("spec", STREAMING.values(), ids=STREAMING)
def test_every_sample_has_its_strobes_in_time(spec: LearnerSpec) -> None:
    """Whatever the pauses between samples, and whichever of them are taught or frozen."""
    dut, schedule, random = StreamSequencer(spec), spec.timing, np.random.default_rng(1)
    assert isinstance(schedule, Schedule)
    assert (dut.latency, dut.prediction_latency) == (schedule.latency, schedule.prediction_latency)
    valid, learn, freeze = (random.random((3, 60)) < [[0.7], [0.6], [0.3]]).astype(int).tolist()
    inputs = [{"samples.valid": v, "learn": l, "freeze": f} for v, l, f in zip(valid, learn, freeze, strict=True)]
    found = record(dut, inputs, STREAM_STROBES)
    taught = [v & l & ~f for v, l, f in zip(valid, learn, freeze, strict=True)]

    def later(bits: list[int], edges: int) -> list[int]:
        """The edge that takes a sample has number 0: what has time ``edges`` happens so many cycles later."""
        return ([0] * edges + bits)[:60]

    assert found["samples.ready"] == [1] * 60
    assert found["load"] == later(valid, schedule.prediction_latency)
    assert found["predictions.valid"] == later(valid, schedule.prediction_latency + 1)
    assert found["updated"] == later(taught, schedule.latency)
    assert found["leap"] == later(taught, min(times.rounded for times in schedule.layers))
    for layer, (times, stages) in enumerate(zip(schedule.layers, schedule.stages, strict=True)):
        written = later(taught, times.changed - ("update" in stages))
        assert [bits >> layer & 1 for bits in found["update"]] == written
    assert not any(found["take"])


@pytest.mark.parametrize("spec", STREAMING.values(), ids=STREAMING)
def test_a_request_waits_until_no_sample_is_on_its_way(spec: LearnerSpec) -> None:
    dut = StreamSequencer(spec)
    length = dut.latency + dut.access_latency + 8
    inputs: list[dict[str, int]] = [{"samples.valid": 1, "learn": 1}, {"requests.valid": 1}] + [{}] * length
    found = record(dut, inputs, ("requests.ready", "samples.ready", "serving", "second", "done"))
    taken = found["requests.ready"].index(1, 1)  # in cycle 0 there is none yet
    assert taken >= dut.latency
    serving = range(taken + 1, taken + 1 + dut.access_latency)
    assert [cycle for cycle, bit in enumerate(found["serving"]) if bit][: dut.access_latency] == list(serving)
    assert found["second"].index(1) == serving[1]
    assert found["done"].index(1) == serving[-1]
    # The sample of cycle 0 was taken; no other while a request waits, or is served.
    assert [cycle for cycle, bit in enumerate(found["samples.ready"]) if bit] == [0]


def test_nothing_is_taken_while_tables_are_made_or_an_answer_waits() -> None:
    spec, outputs = STREAMING["single"], ("samples.ready", "requests.ready")
    busy = record(StreamSequencer(spec), [{"busy": 1, "samples.valid": 1, "requests.valid": 1}], outputs)
    assert busy == {"samples.ready": [0], "requests.ready": [0]}
    waiting = record(StreamSequencer(spec), [{"responding": 1, "requests.valid": 1}], outputs)
    assert waiting == {"samples.ready": [1], "requests.ready": [0]}
    dut, late = StreamSequencer(spec), 5
    inputs: list[dict[str, int]] = [{"requests.valid": 1}, {"requests.valid": 0, "busy": 1}, *[{}] * (late - 1)]
    found = record(dut, [*inputs, {"busy": 0}, *[{}] * dut.access_latency], ("done",))
    assert [cycle for cycle, bit in enumerate(found["done"]) if bit] == [dut.access_latency + late]


@pytest.mark.parametrize("spec", STREAMING.values(), ids=STREAMING)
def test_the_streaming_one_can_be_synthesised_alone(spec: LearnerSpec) -> None:
    convert(StreamSequencer(spec))
