"""The register of what is taught, alone."""

import pytest

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.target_register import TargetRegister
from support.components import convert, record

PLAIN = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))


@pytest.mark.parametrize("spec", [PLAIN, PLAIN.replace(loss="external"), PLAIN.replace(teaching="after_prediction")])
def test_a_word_is_held_until_the_next(spec: LearnerSpec) -> None:
    dut = TargetRegister(spec)
    assert dut.latency == 1
    inputs = [{"word": 5, "take": 1}, {"word": 6, "take": 0}, {"word": 7}, {"take": 1}, {"take": 0}]
    assert record(dut, inputs, ["target"])["target"][1:] == [5, 5, 5, 7]


@pytest.mark.parametrize(
    ("fields", "formed"),
    [({}, True), ({"loss": "logistic"}, False), ({"loss": "external", "pipeline": "no_registers"}, False)],
)
def test_words_stream_to_where_they_meet_the_sums(fields: dict[str, str], formed: bool) -> None:
    spec = PLAIN.replace(schedule="streaming", **fields)
    dut = TargetRegister(spec)
    # An adder tree takes the target from time 1; another loss needs it with the sums.
    assert dut.latency == (1 if formed else spec.timing.prediction_latency)
    words = list(range(1, 20))
    found = record(dut, [{"word": word} for word in words], ["target"])["target"]
    assert found[dut.latency :] == words[: -dut.latency]


def test_it_can_be_synthesised_alone() -> None:
    for fields in ({}, {"schedule": "streaming", "loss": "logistic"}):
        convert(TargetRegister(PLAIN.replace(**fields)))
