"""The learning rate registers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..address_map import AddressMap
from ..spec import LearnerSpec

__all__ = ["LearningRates", "count_learning_rates"]


class LearningRates(wiring.Component):  # type: ignore[misc]
    """The learning rate of every layer; it outlasts a reset, as the tables do that are made from it.

    Parameters
    ----------
    spec
        The learner; its rates are there from the start.

    Members
    -------
    write : In, one bit for every layer
        At the clock edge its rate becomes ``data``.
    data : In
        The low bits are a code of the rate.
    rates : Out, one rate for every layer
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        super().__init__(
            {
                "write": In(spec.n_layers),
                "data": In(signed(AddressMap.of(spec).data_width)),
                "rates": Out(data.ArrayLayout(spec.formats.learning_rate, spec.n_layers)),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the cycle of a write to that from which the rate is there."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format = self._spec.formats.learning_rate
        for index, layer in enumerate(self._spec.layers):
            first = float(format.to_float(layer.learning_rate_code))
            register = Signal(format, name=f"learning_rate{index}", init=first, reset_less=True)
            with m.If(self.write[index]):
                m.d.sync += register.raw.eq(self.data)
            m.d.comb += self.rates[index].eq(register)
        return m


def count_learning_rates(parts: Parts, spec: LearnerSpec) -> None:
    """Counts what :class:`LearningRates` has."""
    parts.register(spec.formats.learning_rate.width * spec.n_layers)
