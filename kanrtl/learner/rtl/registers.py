"""Requests for registers, and the control register."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ..address_map import CONTROL_FREEZE, COUNTER_WIDTH, AddressMap
from ..spec import LearnerSpec
from .access_port import HeldRequest
from .saturation_counters import count_flags

__all__ = ["Registers", "count_registers"]


class Registers(wiring.Component):  # type: ignore[misc]
    """Finds the register of an address, and holds that of control.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    request : In, :class:`.HeldRequest`
    freeze : Out(1)
        The control register says that nothing is learned.
    rates : In
        The learning rate of every layer.
    write_rate : Out, one bit for every layer
        Its learning rate is written at the clock edge: early enough for the layer to be busy when the request would be
        done.
    counts : In
        A counter for every kind of saturation that the learner has.
    clear : Out, one bit for every such kind
        The counter becomes zero at the clock edge.
    noise_state : In(32), load_noise : Out(1)
        The noise register, and whether it is written at the clock edge; only with stochastic rounding.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        self._kinds = tuple(count_flags(spec))
        members: dict[str, Any] = {
            "request": In(HeldRequest(spec)),
            "freeze": Out(1),
            "rates": In(data.ArrayLayout(spec.formats.learning_rate, spec.n_layers)),
            "write_rate": Out(spec.n_layers),
            "counts": In(data.StructLayout(dict.fromkeys(self._kinds, COUNTER_WIDTH))),
            "clear": Out(data.StructLayout(dict.fromkeys(self._kinds, 1))),
        }
        if spec.plans[0].stochastic:
            members |= {"noise_state": In(NOISE_WIDTH), "load_noise": Out(1)}
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles from an address to what is read there: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, addresses = self.request, AddressMap.of(self._spec)
        number, write = request.address[:-1], request.done & request.write
        read = Signal(signed(addresses.data_width))

        def at(address: int) -> Any:
            return m.Case(address & ((1 << len(number)) - 1))

        with m.If(request.address[-1]), m.Switch(number):
            for index in range(self._spec.n_layers):
                with at(addresses.learning_rate(index)):
                    m.d.comb += read.eq(self.rates[index].raw)
                    m.d.comb += self.write_rate[index].eq(request.second & request.write)
            for kind in self._kinds:
                with at(addresses.saturations(kind)):
                    m.d.comb += [read.eq(self.counts[kind]), self.clear[kind].eq(write)]
            if self._spec.plans[0].stochastic:
                with at(addresses.noise):
                    m.d.comb += [read.eq(self.noise_state), self.load_noise.eq(write)]
            with at(addresses.control):
                m.d.comb += read.eq(self.freeze)
                with m.If(write):
                    m.d.sync += self.freeze.eq((request.data & CONTROL_FREEZE) != 0)
        m.d.comb += request.read.eq(Mux(request.write, 0, read))
        return m


def count_registers(parts: Parts, spec: LearnerSpec) -> None:
    """Counts what :class:`Registers` has."""
    parts.union(spec.formats.learning_rate.width, spec.n_layers + 1)
    parts.union(COUNTER_WIDTH, len(count_flags(spec)) + 1)
