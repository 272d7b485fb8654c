"""Predictions that a reader may let wait, each with the flag that came with its sample."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Shape, ShapeLike, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

__all__ = ["PredictionQueue"]


class PredictionQueue(wiring.Component):  # type: ignore[misc]
    """Keeps the flag of every sample until its prediction is taken, and holds the predictions of a core that cannot
    wait.

    As many samples are let in as there is room for their predictions, so that none is lost; it is enough for one sample
    in every cycle, as long as the reader takes a prediction in every cycle.

    Parameters
    ----------
    shape
        That of a prediction.
    depth
        Samples that may be taken while their predictions are not: as many as the core has in it at once, and two more,
        as one is let in while the oldest goes.
    waits
        Whether the core can be made to wait. Then it holds its predictions itself.

    Members
    -------
    room : Out(1)
        A sample may be taken.
    taken : In(1)
        A sample is taken, at the clock edge; ``last`` is its flag.
    last : In(1)
    source : In, stream
        The predictions of the core.
    predictions : Out, stream of ``prediction`` and ``last``
    """

    def __init__(self, shape: ShapeLike, depth: int, waits: bool) -> None:
        self._shape, self._depth, self._waits = shape, depth, waits
        offered = data.StructLayout({"prediction": shape, "last": 1})
        super().__init__(
            {
                "room": Out(1),
                "taken": In(1),
                "last": In(1),
                "source": In(stream.Signature(shape, always_ready=not waits)),
                "predictions": Out(stream.Signature(offered)),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles that a prediction takes through it."""
        return 0 if self._waits else 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        offered = self.predictions
        m.submodules.flags = flags = SyncFIFO(width=1, depth=self._depth)
        m.d.comb += [
            self.room.eq(flags.w_rdy),
            flags.w_en.eq(self.taken),
            flags.w_data.eq(self.last),
            flags.r_en.eq(offered.valid & offered.ready),
            offered.payload.last.eq(flags.r_data),
        ]
        prediction = Value.cast(offered.payload.prediction)
        if self._waits:
            m.d.comb += [
                offered.valid.eq(self.source.valid),
                prediction.eq(self.source.payload),
                self.source.ready.eq(offered.ready),
            ]
            return m
        m.submodules.held = held = SyncFIFO(width=Shape.cast(self._shape).width, depth=self._depth)
        m.d.comb += [
            held.w_en.eq(self.source.valid),
            held.w_data.eq(self.source.payload),
            offered.valid.eq(held.r_rdy),
            prediction.eq(held.r_data),
            held.r_en.eq(offered.ready),
        ]
        return m
