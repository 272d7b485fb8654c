"""What holds requests and answers, alone: beside a sequencer and what is reached, both played by the test."""

from typing import Any

import pytest

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.access import Access
from support.components import convert, record

SPEC = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2))
REACHED = ("registers", "coefficients")


def request(address: int, write: int, data: int) -> dict[str, int]:
    payload = {"address": address, "write": write, "data": data}
    return {"port.request.valid": 1} | {f"port.request.payload.{name}": value for name, value in payload.items()}


@pytest.mark.parametrize(("write", "answer"), [(0, 0b0110), (1, 9)])
def test_an_answer_is_what_was_written_or_read_anywhere(write: int, answer: int) -> None:
    dut = Access(SPEC)
    assert dut.latency == 1
    inputs: list[dict[str, Any]] = [
        request(21, write, 9),
        {"requests.ready": 1},
        {"port.request.valid": 0, "requests.ready": 0, "serving": 1, "port.request.payload.address": 3},
        {"second": 1},
        {"second": 0, "done": 1, **dict.fromkeys([f"{name}.read" for name in REACHED], 0)},
        {"serving": 0, "done": 0},
        {"port.response.ready": 1},
        {"port.response.ready": 0},
    ]
    if not write:
        inputs[4] |= {"registers.read": 0b0100, "coefficients.read": 0b0010}
    outputs = ["requests.valid", "port.request.ready", "responding", "port.response.valid", "port.response.payload"]
    signals = ("address", "write", "data", "serving", "second", "done")
    held = [f"{name}.{signal}" for name in REACHED for signal in signals]
    found = record(dut, inputs, outputs + held)
    assert found["requests.valid"] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert found["port.request.ready"] == [0, 1, 0, 0, 0, 0, 0, 0]
    # From the cycle after it was done, until the answer is taken.
    assert found["port.response.valid"] == found["responding"] == [0, 0, 0, 0, 0, 1, 1, 0]
    assert found["port.response.payload"][5] == answer
    for name in REACHED:
        # What came with the request is held; data only while something is written.
        assert found[f"{name}.address"][2:5] == [21] * 3
        assert found[f"{name}.write"][2:5] == [write] * 3
        assert found[f"{name}.data"] == [0, 0, *[9 * write] * 3, 0, 0, 0]
        assert found[f"{name}.serving"] == [0, 0, 1, 1, 1, 0, 0, 0]
        assert found[f"{name}.second"] == [0, 0, 0, 1, 0, 0, 0, 0]
        assert found[f"{name}.done"] == [0, 0, 0, 0, 1, 0, 0, 0]


def test_it_can_be_synthesised_alone() -> None:
    convert(Access(SPEC))
