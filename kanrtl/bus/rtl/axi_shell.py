"""A core behind AXI4-Stream, and AXI4-Lite for everything else."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from ..byte_layout import ByteLayout
from ..core_ports import Core, CorePorts
from ..register_map import RegisterMap
from .axi_lite import AxiLitePins, AxiLiteSlave
from .prediction_queue import PredictionQueue
from .register_decoder import PATIENCE, RegisterDecoder

__all__ = ["AxiShell", "AxiStreamPins"]


class AxiStreamPins(wiring.Signature):  # type: ignore[misc]
    """The pins of a master on AXI4-Stream, by their names in the standard (ARM IHI 0051).

    Parameters
    ----------
    size
        Bytes of a transfer.
    """

    def __init__(self, size: int) -> None:
        super().__init__({"tdata": Out(8 * size), "tvalid": Out(1), "tready": In(1), "tlast": Out(1)})


class AxiShell(wiring.Component):  # type: ignore[misc]
    """A core whose samples, teaching and predictions are AXI4-Streams, and whose registers are behind AXI4-Lite.

    One transfer is one sample, one word of the teacher or one prediction. Its numbers have whole bytes of their own, in
    the order of the core's payload; what comes out is sign extended, and of what comes in the bits above a number's are
    not looked at. TLAST of a sample comes out with its prediction; that of the teacher is not looked at. A prediction
    may always be let wait: for cores that cannot wait, samples are not taken then.

    Parameters
    ----------
    core : Learner or LookupCore
        What is behind the bus; it becomes a part of the shell.
    patience
        Clock cycles for which an access waits for a core that waits for the teacher or for its predictions to be taken,
        before it is refused.

    Attributes
    ----------
    map : RegisterMap
        What lies where.
    layouts : dict of ByteLayout
        The bytes of ``samples``, ``predictions`` and, where it is there, ``teaching``.

    Members
    -------
    s_axis_samples_tdata, ... : see :class:`AxiStreamPins`
    s_axis_teaching_tdata, ... : only with ``teaching="after_prediction"``
    m_axis_predictions_tdata, ...
    s_axil_awaddr, ... : see :class:`.AxiLitePins`
    irq : Out(1)
        See :class:`.RegisterDecoder`.
    freeze : In(1), updated : Out(1); only for a learner
    guard_fault : Out(1), guard_status : Out(4), guard_release : In(1); only for a learner with a guard
        As of :class:`kanrtl.Learner`.
    """

    def __init__(self, core: Core, patience: int = PATIENCE) -> None:
        self.core, self.patience = core, patience
        self._ports = CorePorts(core)
        self.map = RegisterMap.of(self._ports.described, streams=True)
        names = {"samples": "x", "predictions": "y", "teaching": "target"}
        self.layouts = {
            name: ByteLayout.of(getattr(core, name).payload.shape(), root)
            for name, root in names.items()
            if name in core.signature.members
        }
        members: dict[str, Any] = {}
        for name, layout in self.layouts.items():
            out = name == "predictions"
            for pin, member in AxiStreamPins(layout.size).members.items():
                members[f"{'m' if out else 's'}_axis_{name}_{pin}"] = member if out else member.flip()
        for pin, member in AxiLitePins(self.map.address_width).members.items():
            members[f"s_axil_{pin}"] = member.flip()
        super().__init__({**members, "irq": Out(1), **self._ports.pins})

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge from which its prediction is valid."""
        latency = self.core.latency if self._ports.spec is None else self.core.prediction_latency
        return int(latency) + (not self._ports.waits)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        ports, core = self._ports, self.core
        m.submodules.core = core
        m.submodules.slave = slave = AxiLiteSlave(self.map.address_width)
        m.submodules.decoder = decoder = RegisterDecoder(self.map, ports.spec, self.patience)
        connect(m, slave.bus, decoder.bus)
        for pin, member in AxiLitePins(self.map.address_width).members.items():
            outer, inner = getattr(self, f"s_axil_{pin}"), getattr(slave.pins, pin)
            m.d.comb += inner.eq(outer) if member.flow is Out else outer.eq(inner)
        self._connect_streams(m, decoder)
        m.d.comb += self.irq.eq(decoder.irq)
        if ports.spec is not None:
            connect(m, decoder.access, core.access)
        ports.connect_pins(m, self)
        ports.connect_events(m, decoder.occurred)
        return m

    def _connect_streams(self, m: Module, decoder: RegisterDecoder) -> None:
        """Lead samples into the core, and predictions out of it."""
        ports, core, layouts = self._ports, self.core, self.layouts
        m.submodules.queue = queue = PredictionQueue(core.predictions.payload.shape(), ports.depth, ports.waits)
        ports.connect(m, "predictions", queue.source)
        offered = queue.predictions
        m.d.comb += [
            Value.cast(core.samples.payload).eq(layouts["samples"].narrow(self.s_axis_samples_tdata)),
            core.samples.valid.eq(self.s_axis_samples_tvalid & queue.room),
            self.s_axis_samples_tready.eq(core.samples.ready & queue.room),
            queue.taken.eq(self.s_axis_samples_tvalid & self.s_axis_samples_tready),
            queue.last.eq(self.s_axis_samples_tlast),
            self.m_axis_predictions_tdata.eq(layouts["predictions"].widen(offered.payload.prediction)),
            self.m_axis_predictions_tvalid.eq(offered.valid),
            self.m_axis_predictions_tlast.eq(offered.payload.last),
            offered.ready.eq(self.m_axis_predictions_tready),
            decoder.status.ready.eq(self.s_axis_samples_tready),
            decoder.status.predicted.eq(offered.valid),
            decoder.occurred.predicted.eq(offered.valid & offered.ready),
        ]
        waits: Value = offered.valid & ~offered.ready if ports.waits else Const(0)
        if ports.after_prediction:
            m.d.comb += [
                Value.cast(core.teaching.payload).eq(layouts["teaching"].narrow(self.s_axis_teaching_tdata)),
                core.teaching.valid.eq(self.s_axis_teaching_tvalid),
                self.s_axis_teaching_tready.eq(core.teaching.ready),
                decoder.status.awaits_teaching.eq(core.teaching.ready),
            ]
            waits = waits | (core.teaching.ready & ~core.teaching.valid)
        m.d.comb += decoder.waits.eq(waits)
