"""What the heads of files with a bus, or with plain ports, say of cycles, streams and addresses."""

import pytest

from kanrtl import Learner, LearnerSpec
from kanrtl.bus.shells import SHELLS
from kanrtl.verilog.learner_header import access_lines
from kanrtl.verilog.shell_header import shell_header

SPEC = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2), schedule="streaming")


@pytest.mark.parametrize(
    ("bus", "added", "until"),
    [
        ("axi", 1, "its prediction is valid"),
        ("axi-lite", 4, "the write to submit"),
        ("wishbone", 4, "irq can tell of the prediction"),
    ],
)
def test_cycles_are_those_of_the_pins_too(bus: str, added: int, until: str) -> None:
    inner = SPEC.timing.prediction_latency
    head = shell_header(SHELLS[bus](Learner(SPEC)))
    assert f"In the core: sample to prediction {inner} cycles" in head
    [line] = [line for line in head.splitlines() if line.startswith("At the pins: ")]
    assert f"{inner + added} cycles until" in line
    assert until in line


def test_a_stream_is_named_where_it_is() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    without, with_one = (
        shell_header(SHELLS["axi"](Learner(spec.replace(teaching=teaching))))
        for teaching in ("with_sample", "after_prediction")
    )
    assert "AXI4-Stream (samples, predictions) and" in without
    assert "teacher is not looked at" not in without
    assert "AXI4-Stream (samples, predictions, teaching) and" in with_one
    assert "teacher is not looked at" in with_one


@pytest.mark.parametrize(
    ("bus", "changes", "awaited"),
    [
        ("axi", {"teaching": "after_prediction", "schedule": "sequential"}, "the teacher or a prediction to be taken"),
        ("axi", {"schedule": "sequential"}, "a prediction to be taken"),
        ("axi", {}, None),
        ("wishbone", {"teaching": "after_prediction", "schedule": "sequential"}, "the teacher"),
        ("axi-lite", {"schedule": "sequential"}, None),
    ],
)
def test_what_an_access_waits_for_in_vain(bus: str, changes: dict[str, str], awaited: str | None) -> None:
    head = shell_header(SHELLS[bus](Learner(SPEC.replace(**changes))))
    lines = [line for line in head.splitlines() if "is refused after" in line]
    begin = "An access to coefficients, rates and counters is refused after 1024 cycles in which the learner waits for "
    assert lines == ([] if awaited is None else [f"{begin}{awaited}."])


@pytest.mark.parametrize("guard", [None, {"error": 0.5}])
def test_plain_ports_have_the_addresses_of_the_access_port(guard: dict[str, float] | None) -> None:
    spec = SPEC.replace(guard=guard)
    head = shell_header(SHELLS["plain"](Learner(spec))).splitlines()
    assert "A prediction cannot be refused: it is valid for one cycle." in head
    assert not any(line.startswith("At the pins") for line in head)
    wanted = access_lines(spec)
    assert head[-len(wanted) :] == wanted
    assert any("learning rate 0" in line for line in wanted)
