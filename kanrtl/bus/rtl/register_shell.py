"""Shells whose bus is all there is: samples go in and predictions come out through registers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect

from ..core_ports import Core, CorePorts
from ..register_map import RegisterMap
from .axi_lite import AxiLitePins, AxiLiteSlave
from .number_registers import NumberRegisters
from .register_decoder import PATIENCE, RegisterDecoder
from .wishbone_slave import WishbonePins, WishboneSlave

__all__ = ["AxiLiteShell", "WishboneShell"]


class _RegisterShell(wiring.Component):  # type: ignore[misc]
    """What shells without streams have in common."""

    _prefix: str

    def __init__(self, core: Core, patience: int = PATIENCE) -> None:
        self.core, self.patience = core, patience
        self._ports = CorePorts(core)
        self.map = RegisterMap.of(self._ports.described, streams=False)
        members: dict[str, Any] = {
            f"{self._prefix}_{name}": member.flip() for name, member in self._pins().members.items()
        }
        super().__init__({**members, "irq": Out(1), **self._ports.pins})

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes the write to ``submit`` to the edge from which :attr:`irq` can tell of
        the prediction, which can then be read."""
        latency = self.core.latency if self._ports.spec is None else self.core.prediction_latency
        return int(latency) + 4

    def _pins(self) -> wiring.Signature:
        raise NotImplementedError

    def _slave(self) -> Any:
        raise NotImplementedError

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        ports, core = self._ports, self.core
        m.submodules.core = core
        m.submodules.slave = slave = self._slave()
        m.submodules.decoder = decoder = RegisterDecoder(self.map, ports.spec, self.patience)
        teaching = ports.stream("teaching") if ports.after_prediction else None
        m.submodules.numbers = numbers = NumberRegisters(
            self.map, ports.stream("samples"), ports.stream("predictions"), teaching
        )
        connect(m, slave.bus, decoder.bus)
        connect(m, decoder.local, numbers.local)
        for name, member in self._pins().members.items():
            outer, inner = getattr(self, f"{self._prefix}_{name}"), getattr(slave.pins, name)
            m.d.comb += inner.eq(outer) if member.flow is Out else outer.eq(inner)
        ports.connect(m, "samples", numbers.samples)
        ports.connect(m, "predictions", numbers.predictions)
        m.d.comb += [
            decoder.status.ready.eq(core.samples.ready),
            decoder.status.predicted.eq(numbers.predicted),
            decoder.status.pending.eq(numbers.pending),
            decoder.occurred.predicted.eq(core.predictions.valid),
            self.irq.eq(decoder.irq),
        ]
        if ports.spec is not None:
            connect(m, decoder.access, core.access)
        ports.connect_pins(m, self)
        ports.connect_events(m, decoder.occurred)
        if ports.after_prediction:
            ports.connect(m, "teaching", numbers.teaching)
            awaits = core.teaching.ready
            m.d.comb += [decoder.status.awaits_teaching.eq(awaits), decoder.waits.eq(awaits)]
        return m


class WishboneShell(_RegisterShell):
    """A core behind Wishbone B4, for classic and for pipelined masters.

    Parameters
    ----------
    core : Learner or LookupCore
        What is behind the bus; it becomes a part of the shell.
    patience
        Clock cycles for which an access waits for a core that waits for the teacher's word, before it is refused.

    Attributes
    ----------
    map : RegisterMap
        What lies where.

    Members
    -------
    wb_cyc, wb_stb, ... : see :class:`.WishbonePins`
        Addresses count words.
    irq : Out(1)
        See :class:`.RegisterDecoder`.
    freeze : In(1), updated : Out(1); only for a learner
    guard_fault : Out(1), guard_status : Out(4), guard_release : In(1); only for a learner with a guard
        As of :class:`kanrtl.Learner`.
    """

    _prefix = "wb"

    def _pins(self) -> wiring.Signature:
        return WishbonePins(self.map.address_width - 2)

    def _slave(self) -> WishboneSlave:
        return WishboneSlave(self.map.address_width - 2)


class AxiLiteShell(_RegisterShell):
    """A core behind AXI4-Lite alone.

    Parameters and members are those of :class:`WishboneShell`, except for the pins ``s_axil_awaddr``, ... of
    :class:`.AxiLitePins`, whose addresses count bytes.
    """

    _prefix = "s_axil"

    def _pins(self) -> wiring.Signature:
        return AxiLitePins(self.map.address_width)

    def _slave(self) -> AxiLiteSlave:
        return AxiLiteSlave(self.map.address_width)
