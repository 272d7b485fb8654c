"""dL/dy of the last layer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...numeric.fixed import FixedValue, narrow
from ...numeric.sigmoid import Sigmoid
from ..arithmetic import LayerArithmetic

__all__ = ["Loss"]


class Loss(wiring.Component):  # type: ignore[misc]
    """The gradient of the loss at the network's outputs; combinational.

    - ``squared``, L = (y - t)^2 / 2: the exact node sum minus the target, narrowed once, so that neither the
    rounding nor
      the saturation of y limits it;
    - ``logistic``, the cross entropy of sigmoid(y): sigmoid(y) - target, by table;
    - ``external``: what the teacher sends.

    Members
    -------
    total : In, ``n_out`` exact node sums
    y : In, ``n_out`` activations
    target : In, ``n_out`` targets (activation format), or gradients with ``external``
    gradient : Out, ``n_out`` gradients
    saturated : Out(1), any gradient saturates
    """

    def __init__(self, layer: LayerArithmetic, loss: str, rounding: str) -> None:
        self._layer = layer
        self._loss = loss
        self._rounding = rounding
        formats = layer.formats
        target = formats.gradient if loss == "external" else formats.activation
        super().__init__(
            {
                "total": In(data.ArrayLayout(layer.node_sum, layer.n_out)),
                "y": In(data.ArrayLayout(formats.activation, layer.n_out)),
                "target": In(data.ArrayLayout(target, layer.n_out)),
                "gradient": Out(data.ArrayLayout(formats.gradient, layer.n_out)),
                "saturated": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self._loss == "external":
            m.d.comb += self.gradient.eq(self.target)
            return m
        bits = []
        for node in range(self._layer.n_out):
            output = self._sigmoid(m, node) if self._loss == "logistic" else self.total[node]
            exact = output - self.target[node]
            error = Signal(exact.shape(), name=f"error{node}")
            m.d.comb += error.eq(exact)
            gradient, saturated = narrow(error, error.format.f, self._layer.formats.gradient, self._rounding)
            m.d.comb += self.gradient[node].eq(gradient)
            bits.append(saturated)
        m.d.comb += self.saturated.eq(Cat(bits).any())
        return m

    def _sigmoid(self, m: Module, node: int) -> FixedValue:
        """sigmoid(y) of a node, from a table of its own."""
        formats = self._layer.formats
        sigmoid = Sigmoid.of(formats.activation, formats.gradient)
        rom = memory.Memory(
            shape=sigmoid.value.width,
            depth=1 << sigmoid.row_bits,
            init=[int(value) for value in sigmoid.table],
            attrs={"ram_style": "logic"},
        )
        m.submodules[f"sigmoid{node}"] = rom
        port = rom.read_port(domain="comb")
        step = self.y[node].raw >> sigmoid.row_shift
        half = 1 << (sigmoid.row_bits - 1)
        clamped = Mux(step < -half, Const(-half, sigmoid.row_bits), Mux(step >= half, half - 1, step))
        # Rows count from the lowest y: the sign bit is turned over.
        m.d.comb += port.addr.eq(clamped[: sigmoid.row_bits] ^ half)
        return FixedValue(sigmoid.value, port.data)
