"""What is reached through the access port stays as it was where reading it is interrupted."""

import numpy as np
import numpy.typing as npt
import pytest

from kanrtl import LearnerSpec, LinkError
from kanrtl.numeric.fixed import Codes
from kanrtl.sessions.backend import AddressedLearner

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=2, spline_order=1, update_rounding="stochastic")


class NoiseAlone(AddressedLearner):
    """A noise register behind an access port, which fails at some accesses, after so many of their requests."""

    name = "noise alone"

    def __init__(self, state: int, failures: dict[int, int]) -> None:
        super().__init__(SPEC)
        self.state, self._failures, self._accesses = state, failures, 0

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        raise NotImplementedError

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        done = self._failures.get(self._accesses, len(requests))
        self._accesses += 1
        answers = []
        for address, value in requests[:done]:
            assert address == self.addresses.noise
            if value is not None:
                self.state = (self.state << 16 | value) & 0xFFFF_FFFF
            answers.append(self.state >> 16 if value is None else value)
        if self._accesses - 1 in self._failures:
            raise LinkError("cut")
        return answers


STATES = [0x12345678, 0x00010000, 0x00000001, 0x7FFF7FFF, 0x9E3779B9]


@pytest.mark.parametrize("state", STATES)
def test_noise_is_as_it_was_when_it_was_read(state: int) -> None:
    learner = NoiseAlone(state, {})
    assert learner.read_noise() == learner.state == state


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("failures", [{0: 0}, {0: 1}, {1: 0}, {1: 1}, {1: 2}, {2: 0}, {2: 1}, {1: 1, 3: 1}], ids=str)
def test_noise_is_as_it_was_when_reading_it_failed(state: int, failures: dict[int, int]) -> None:
    learner = NoiseAlone(state, failures)
    with pytest.raises(LinkError, match="cut"):
        learner.read_noise()
    assert learner.state == state


@pytest.mark.parametrize(
    "failures", [{1: 1, 2: 0}, {1: 2, 2: 1}, {1: 1, 3: 0}, {2: 0, 3: 0}, {2: 1, 3: 0}, {2: 0, 4: 1}], ids=str
)
def test_noise_is_as_it_was_before_anything_is_learned(failures: dict[int, int]) -> None:
    """Where it could not be brought back at once."""
    learner = NoiseAlone(STATES[0], failures)
    with pytest.raises(LinkError, match="cut"):
        learner.read_noise()
    learner.settle_noise()
    assert learner.state == STATES[0]
    assert learner.read_noise() == learner.state == STATES[0]


def test_noise_that_is_written_is_not_brought_back() -> None:
    learner = NoiseAlone(STATES[0], {1: 1, 2: 0})
    with pytest.raises(LinkError, match="cut"):
        learner.read_noise()
    learner.write_noise(STATES[-1])
    assert learner.read_noise() == learner.state == STATES[-1]
