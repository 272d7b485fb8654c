"""What a learner at the end of a wire is brought back to, where its spec does not tell all."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, StabilityWarning, connect
from kanrtl.bus.identification import Identification
from kanrtl.link.host_link import HostLink
from kanrtl.link.identification_rom import read_identification, write_identification
from kanrtl.sessions.linked_learner import LinkedLearner
from support.timed_line import TimedLine

ZEROS = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=2, spline_order=1)
ARRAYS = ZEROS.replace(initial_coefficients=[np.full((1, 1, 3), 0.5)])


def connect_to(spec: LearnerSpec, given: LearnerSpec | None = None) -> LinkedLearner:
    """A session's side of a link to a device that was built of ``spec``."""
    pieces = iter([write_identification(spec)])
    device = read_identification(lambda: next(pieces))
    assert device.identification == Identification.of(spec)
    link: Any = SimpleNamespace(name="a board", device=device)
    return LinkedLearner(cast(HostLink, link), given)


def test_where_it_began_is_in_the_spec_that_it_sends() -> None:
    assert np.array_equal(connect_to(ZEROS).start_codes()[0], ZEROS.initial_codes()[0])


def test_arrays_do_not_travel_and_are_those_of_the_given_spec() -> None:
    learner = connect_to(ARRAYS)
    with pytest.raises(
        InputError, match=r"^restore: the learner at a board was built with arrays as .*; connect with its"
    ):
        learner.restore()
    assert np.array_equal(connect_to(ARRAYS, ARRAYS).start_codes()[0], ARRAYS.initial_codes()[0])
    assert ARRAYS.initial_codes()[0].any()


def test_rates_of_a_device_that_may_diverge_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ZEROS.replace(learning_rate=3.0)
    monkeypatch.setattr("kanrtl.sessions.connect.open_transport", lambda _address: TimedLine(spec, 3_000_000))
    for given in (("tcp://board:1",), (spec, "tcp://board:1")):
        with pytest.warns(StabilityWarning, match="^learning_rate = 3: diverges"):
            connect(*given).close()
