"""What sequencers have in common."""

from itertools import product
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.sequencer import Sequencer
from kanrtl.learner.rtl.sequencer_signature import Handshake, SequencerSignature
from kanrtl.learner.rtl.stream_sequencer import StreamSequencer


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
