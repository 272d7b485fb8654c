"""A learner at the end of a line, pins and all, against the model: whatever happens on the way."""

import random

import numpy as np
import pytest

from kanrtl import InputError, SpecError, connect
from kanrtl.boards import BOARDS
from kanrtl.errors import LinkError
from kanrtl.experiments.verify import compare_linked
from kanrtl.link.frame_codec import encode_frame
from kanrtl.link.host_link import HostLink
from kanrtl.link.layout import Kind
from kanrtl.link.rtl.learner_link import LearnerLink, SerialLearner
from kanrtl.sessions.linked_learner import LinkedLearner
from kanrtl.sim import TASKS
from kanrtl.virtual.simulated_wire import SimulatedWire, damage_bytes
from support.linked_boards import CLOCK_HZ, connect_line, simulate_line, tracker


@pytest.fixture(autouse=True)
def optimised(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  keeps what is compiled
    """There are many cycles in a byte: to compile a little longer saves much."""
    monkeypatch.setenv("CXXFLAGS", "-O1 -fno-sanitize=all")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("schedule", "share", "samples"), [("sequential", 0.0, 500), ("sequential", 0.01, 200), ("streaming", 0.01, 200)]
)
def test_it_learns_as_the_model_does(schedule: str, share: float, samples: int) -> None:
    """Also where one byte in a hundred is damaged, both ways: no update is made twice, and none is lost."""
    task, spec = TASKS["track"](samples, 0), tracker().replace(schedule=schedule)
    line = connect_line(spec, damage_bytes(share) if share else None)
    model = connect(spec)
    assert np.array_equal(line.learn_many(task.x, task.target), model.learn_many(task.x, task.target))
    assert np.array_equal(line.coefficients[0], model.coefficients[0])
    assert np.array_equal(line.predict_many(task.x[:9]), model.predict_many(task.x[:9]))


@pytest.mark.thorough
def test_most_of_the_line_carries_samples() -> None:
    """Both ways together: what is measured is time on the simulated line, which repeats exactly."""
    task, wire = TASKS["track"](2000, 0), simulate_line(tracker())
    learner = LinkedLearner(HostLink(wire))
    start = wire.now()
    codes = [learner.spec.formats.input.quantise(values) for values in (task.x, task.target)]
    learner.run(*codes, np.full(2000, True))
    sample_bytes, byte_seconds = 4, 10 / 3_000_000
    assert 2000 * sample_bytes * byte_seconds / (wire.now() - start) > 0.85


def fuzz(seed: int, count: int) -> bytes:
    """Bytes that mean nothing, and frames that do, cut, damaged or in no order."""
    chance, stream = random.Random(seed), bytearray()
    for _ in range(count):
        content = bytes([chance.choice([*Kind, 8, 200]), chance.randrange(1, 256)]) + chance.randbytes(
            chance.randrange(9)
        )
        frame = bytearray(encode_frame(content))
        for _ in range(chance.choice([0, 1, 1, 2])):
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        stream += chance.choice([frame, frame[: chance.randrange(len(frame))], chance.randbytes(chance.randrange(40))])
    return bytes(stream)


@pytest.mark.parametrize("seed", range(2))
def test_after_anything_the_next_host_is_answered_and_nothing_was_learned(seed: int) -> None:
    """Numbers begin at 1, so that no request of it is in turn."""
    wire = simulate_line(tracker())
    wire.send(fuzz(seed, 300))
    while wire.receive(0.001):
        pass
    learner = LinkedLearner(HostLink(wire))
    assert [layer.tolist() for layer in learner.read_coefficients()] == [np.zeros((1, 1, 8)).tolist()]
    assert learner.spec == tracker()


def test_a_host_that_dies_in_the_middle_leaves_a_device_for_the_next() -> None:
    """What it sent in whole frames is learned, once."""
    task, wire = TASKS["track"](400, 0), simulate_line(tracker())
    first = LinkedLearner(HostLink(wire))
    x, target = (first.spec.formats.input.quantise(values) for values in (task.x, task.target))
    first.run(x[:200], target[:200], np.full(200, True))
    learned = b"".join(row.tobytes() for row in np.concatenate([target, x], axis=1).astype("<i2")[200:240])
    number = 0
    wire.send(encode_frame(bytes([Kind.HELLO, 0])) + encode_frame(bytes([Kind.LEARN, number]) + learned) + b"\x30half")
    second = LinkedLearner(HostLink(wire))
    model = connect(tracker())
    model.backend.run(x[:240], target[:240], np.full(240, True))
    assert np.array_equal(second.read_coefficients()[0], model.coefficients[0])


class Cut(SimulatedWire):
    """A wire that can be cut."""

    cut = False

    def send(self, content: bytes) -> None:
        if not self.cut:
            super().send(content)


def test_a_device_that_is_silent_is_given_up_and_found_again() -> None:
    wire = simulate_line(tracker())
    wire.__class__ = Cut
    link = HostLink(wire, patience=0.05)
    learner = LinkedLearner(link)
    x = np.zeros((5, 1), dtype=np.int64)
    learner.run(x, x, np.full(5, True))
    wire.cut = True
    with pytest.raises(LinkError) as failure:
        learner.run(x, x, np.full(5, True))
    told = "simulated wire: does not answer any more: 0 of 5 samples are done, of the others it is not known"
    assert str(failure.value) == told
    wire.cut = False
    assert learner.run(x, x, np.full(5, True)).shape == (5, 1)


def test_nobody_is_there() -> None:
    wire = simulate_line(tracker())
    wire.__class__ = Cut
    wire.cut = True
    with pytest.raises(LinkError) as failure:
        HostLink(wire, patience=0.05)
    line = (
        "simulated wire: nothing there answers; see that the board is loaded with a bitstream that has a link, and that"
    )
    assert str(failure.value) == f"{line} the rate is the one it was built for"


def test_a_bitstream_of_another_spec_is_told_by_a_field() -> None:
    line = r"^learning_rate = 0.1: the bitstream has a learner with 0.3; give its spec, or build it anew$"
    with pytest.raises(SpecError, match=line):
        compare_linked(tracker().replace(learning_rate=0.1), BOARDS["icebreaker"], simulate_line(tracker()), 1)


def test_a_spec_that_is_given_must_be_that_of_the_device() -> None:
    link = HostLink(simulate_line(tracker()))
    assert LinkedLearner(link, tracker().replace(pipeline="all_registers", memory="block")).spec == tracker()
    with pytest.raises(InputError) as failure:
        LinkedLearner(link, tracker().replace(grid_size=6))
    line = "grid_size = 6: the learner at simulated wire was built with 5; give its spec, or none"
    assert str(failure.value) == line
    with pytest.raises(InputError, match=r"^initial_coefficients = .* was built with others; give its spec, or none$"):
        LinkedLearner(link, tracker().replace(initial_coefficients="uniform"))


@pytest.mark.usefixtures("unelaborated")
def test_latencies() -> None:
    assert LearnerLink(tracker()).latency == SerialLearner(tracker(), CLOCK_HZ, 3_000_000).latency == 2
