"""The sequencer of the streaming schedule, alone."""

import numpy as np
import pytest

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.stream_sequencer import StreamSequencer
from kanrtl.learner.schedule import Schedule
from support.components import convert, record

STROBES = ("samples.ready", "load", "predictions.valid", "updated", "leap", "update", "take")


def streaming(**fields: object) -> LearnerSpec:
    return LearnerSpec(**{"layer_sizes": [2, 2, 1], "grid_range": (-2, 2), "schedule": "streaming"} | fields)


SPECS = {
    "single": streaming(pipeline="no_registers"),
    "full": streaming(),
    "block": streaming(memory="block", pipeline=[["update"], ["read", "change"]]),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_every_sample_has_its_strobes_in_time(spec: LearnerSpec) -> None:
    """Whatever the pauses between samples, and whichever of them are taught or frozen."""
    dut, schedule, random = StreamSequencer(spec), spec.timing, np.random.default_rng(1)
    assert isinstance(schedule, Schedule)
    assert (dut.latency, dut.prediction_latency) == (schedule.latency, schedule.prediction_latency)
    valid, learn, freeze = (random.random((3, 60)) < [[0.7], [0.6], [0.3]]).astype(int).tolist()
    inputs = [{"samples.valid": v, "learn": l, "freeze": f} for v, l, f in zip(valid, learn, freeze, strict=True)]
    found = record(dut, inputs, STROBES)
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


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
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
    spec, outputs = SPECS["single"], ("samples.ready", "requests.ready")
    busy = record(StreamSequencer(spec), [{"busy": 1, "samples.valid": 1, "requests.valid": 1}], outputs)
    assert busy == {"samples.ready": [0], "requests.ready": [0]}
    waiting = record(StreamSequencer(spec), [{"responding": 1, "requests.valid": 1}], outputs)
    assert waiting == {"samples.ready": [1], "requests.ready": [0]}
    dut, late = StreamSequencer(spec), 5
    inputs: list[dict[str, int]] = [{"requests.valid": 1}, {"requests.valid": 0, "busy": 1}, *[{}] * (late - 1)]
    found = record(dut, [*inputs, {"busy": 0}, *[{}] * dut.access_latency], ("done",))
    assert [cycle for cycle, bit in enumerate(found["done"]) if bit] == [dut.access_latency + late]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_it_can_be_synthesised_alone(spec: LearnerSpec) -> None:
    convert(StreamSequencer(spec))
