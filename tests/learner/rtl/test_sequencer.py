"""The sequencer of the sequential schedule, alone: every strobe in its cycle."""

from typing import Any

import pytest

from kanrtl import LearnerSpec
from kanrtl.learner.folded_schedule import FoldedSchedule
from kanrtl.learner.rtl.sequencer import Sequencer
from support.components import convert, record

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
def test_it_can_be_synthesised_alone(spec: LearnerSpec) -> None:
    convert(Sequencer(spec))
