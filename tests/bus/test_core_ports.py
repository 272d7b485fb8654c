"""What a shell has to know of a core."""

import pytest
from amaranth.lib.wiring import Out

from kanrtl.bus.core_ports import CorePorts
from support.small_cores import create_learner, create_network


@pytest.mark.usefixtures("unelaborated")
def test_cores_are_told_apart() -> None:
    learner, late = CorePorts(create_learner("no registers")), CorePorts(create_learner("after prediction"))
    streaming = CorePorts(create_learner("streaming"))
    network, folded = CorePorts(create_network("raw")), CorePorts(create_network("folded"))
    assert [one.after_prediction for one in (learner, late, streaming, network, folded)] == [0, 1, 0, 0, 0]
    assert [one.waits for one in (learner, late, streaming, network, folded)] == [1, 1, 0, 0, 1]
    assert [one.spec is None for one in (learner, late, streaming, network, folded)] == [0, 0, 0, 1, 1]
    assert streaming.depth == streaming.core.prediction_latency + 3


@pytest.mark.usefixtures("unelaborated")
def test_streams_are_as_their_driver_sees_them() -> None:
    ports = CorePorts(create_learner("after prediction"))
    for name in ("samples", "teaching", "predictions"):
        assert ports.stream(name).members["valid"].flow is Out, name
