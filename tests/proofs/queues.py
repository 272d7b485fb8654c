"""Nothing is lost, doubled or reordered in what keeps words for a while."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kanrtl.bus.rtl.prediction_queue import PredictionQueue
from kanrtl.link.rtl.byte_ring import ByteRing
from proofs.engine import Contract, keep

QUEUE_DEPTH, RING_DEPTH = 2, 4


class Queued(wiring.Component):
    """A queue behind a core that gives a prediction for every sample at some time, and beside it one word that may be
    any of the first, which has to come out in its turn as it went in."""

    def __init__(self, queue: PredictionQueue) -> None:
        self._queue = queue
        super().__init__(
            {"offered": In(1), "last": In(1), "gives": In(1), "prediction": In(2), "ready": In(1), "number": In(2)}
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.queue = queue = self._queue
        taken, given = self.offered & queue.room, queue.predictions.valid & queue.predictions.ready
        m.d.comb += [
            queue.taken.eq(taken),
            queue.last.eq(self.last),
            queue.source.valid.eq(self.gives),
            queue.source.payload.eq(self.prediction),
            queue.predictions.ready.eq(self.ready),
        ]
        ins, predicted, outs = (Signal(3, name=name) for name in ("ins", "predicted", "outs"))
        m.d.sync += [ins.eq(ins + taken), predicted.eq(predicted + self.gives), outs.eq(outs + given)]
        # A prediction has its sample before it.
        m.d.comb += [Assume(~self.gives | (predicted != ins)), Assert(~queue.predictions.valid | (outs != predicted))]
        known, number = Signal(), Signal(2)
        m.d.sync += [known.eq(1), number.eq(self.number)]
        with m.If(known):
            m.d.comb += Assume(self.number == number)
        flag, word = Signal(), Signal(2)
        with m.If(taken & (ins == self.number)):
            m.d.sync += flag.eq(self.last)
        with m.If(self.gives & (predicted == self.number)):
            m.d.sync += word.eq(self.prediction)
        payload = queue.predictions.payload
        with m.If(queue.predictions.valid & (outs == self.number)):
            m.d.comb += Assert((payload.last == flag) & (payload.prediction == word))
        keep(m, queue.predictions.valid, queue.predictions.ready, [payload], Assert)
        return m


class _Roomy(PredictionQueue):
    """A queue that lets in more than it holds."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.room.eq(1)
        return m


class Ringed(wiring.Component):
    """A ring beside registers with what was written into it; what is read is moved anywhere at any time."""

    def __init__(self, ring: ByteRing) -> None:
        self._ring = ring
        address = range(RING_DEPTH)
        super().__init__({"write": In(1), "byte": In(8), "ready": In(1), "move": In(1), "target": In(address)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.ring = ring = self._ring
        end, taken = Signal(range(RING_DEPTH)), ring.o.valid & ring.o.ready
        written = Array(Signal(8, name=f"written{index}") for index in range(RING_DEPTH))
        m.d.comb += [
            ring.write.eq(self.write),
            ring.address.eq(end),
            ring.byte.eq(self.byte),
            ring.end.eq(end),
            ring.o.ready.eq(self.ready),
            ring.move.eq(self.move),
            ring.target.eq(self.target),
            # It is not filled up to the byte that is read next.
            Assume(~self.write | ((end + 1)[: len(end)] != ring.position)),
        ]
        with m.If(self.write):
            m.d.sync += [end.eq(end + 1), written[end].eq(self.byte)]
        position = Signal(range(RING_DEPTH))
        with m.If(self.move):
            m.d.sync += position.eq(self.target)
        with m.Elif(taken):
            m.d.sync += position.eq(position + 1)
        m.d.comb += Assert(ring.position == position)
        with m.If(ring.o.valid):
            m.d.comb += [Assert(ring.o.payload == written[position]), Assert(position != end)]
        return m


class _Stale(ByteRing):
    """A ring that offers a byte again while the next is read."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        m.d.sync += self.o.valid.eq((self.position != self.end) & ~self.write & ~self.move)
        return m


CONTRACTS = [
    Contract(
        "queue of predictions",
        "predictions and their flags come out as they went in, none lost, doubled or out of its turn, and each waits",
        lambda fault: Queued((_Roomy if fault else PredictionQueue)(2, QUEUE_DEPTH, waits=False)),
        depth=9,
        unbounded=False,
    ),
    Contract(
        "ring of bytes",
        "the link's bytes are read as they were written, one after another, wherever reading is moved to",
        lambda fault: Ringed((_Stale if fault else ByteRing)(RING_DEPTH)),
        depth=10,
        unbounded=False,
    ),
]
