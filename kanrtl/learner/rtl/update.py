"""The update of coefficients."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format, Overflow, Rounding, narrow, rounding_constant
from ..plan import LayerPlan
from .narrowing import rounding_bits
from .pipeline_registers import name_signal

__all__ = ["CoefficientUpdate", "count_coefficient_update"]


class CoefficientUpdate(wiring.Component):  # type: ignore[misc]
    """``coefficient - product``, rounded once and saturated: the update of one coefficient, in layers of any kind.

    What rounds it stands in the bits below the coefficient, where that is a constant or noise.

    Parameters
    ----------
    plan
        How the layer is built. With ``registers_change`` a register stands behind the product, with
        ``registers_update`` another behind the difference. With ``writes_late`` a result may be changed again in the
        cycle in which it is there. In a layer that is not folded what is written from outside comes on top of zeros.

    Members
    -------
    coefficient : In, ``registers_change`` cycles after the product; zero with ``again``
    product : In, dL/dy times step, exact
    noise : In, as many bits as are dropped, with the product; no bits without stochastic rounding
    again : In(1), with the coefficient: change what ``result`` is now instead; only with ``writes_late``
    access_write : In(1), give ``access_data`` instead of the update; not in folded layers
    access_data : In, zero where ``access_write`` is low; not in folded layers
    result : Out, coefficient, ``latency`` cycles after the product
    saturated : Out(1), with ``result``
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer = plan.layer
        format = layer.formats.coefficient
        members: dict[str, Any] = {
            "coefficient": In(format),
            "product": In(layer.update_product),
            "noise": In(layer.noise_bits if plan.stochastic else 0),
            "result": Out(format),
            "saturated": Out(1),
        }
        if plan.writes_late:
            members["again"] = In(1)
        if not plan.folded:
            members |= {"access_write": In(1), "access_data": In(format)}
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``product`` to ``result``."""
        return self._plan.registers_change + self._plan.registers_update

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, format = self._plan, self.coefficient.format
        rounded, negative = Signal(format.width), Signal()

        def saturate(clear: Value, name: str) -> Value:
            """The rounded result, or the bound that it is beyond; zero where ``clear`` is high."""
            zeros, ones = Signal(name=f"{name}_zeros"), Signal(name=f"{name}_ones")
            m.d.comb += [
                zeros.eq(clear | (self.saturated & negative)),
                ones.eq(~clear & self.saturated & ~negative),
            ]
            bits = format.width - 1
            magnitude = (rounded[:-1] & ~zeros.replicate(bits)) | ones.replicate(bits)
            return Cat(magnitude, Mux(self.saturated, negative, rounded[-1]) & ~clear)

        coefficient: FixedValue = self.coefficient
        if plan.writes_late:
            unwritten = saturate(~self.again, "again")
            coefficient = FixedValue(format, (coefficient.raw.as_unsigned() | unwritten).as_signed())
        changed, rounding = self._subtract(m, coefficient)
        overflow = Overflow.SATURATE if plan.folded else Overflow.WRAP
        narrowed, outside = narrow(changed, changed.format.f, format, rounding, overflow)
        m.d.comb += self.saturated.eq(outside)
        if plan.folded:
            m.d.comb += self.result.eq(narrowed)
        else:
            m.d.comb += [rounded.eq(narrowed.raw), negative.eq(changed.raw[-1])]
            # What comes from outside comes on top of zeros: a LUT4 for each bit.
            written = saturate(self.access_write, "written")
            m.d.comb += self.result.raw.eq(written | self.access_data.raw.as_unsigned())
        return m

    def _subtract(self, m: Module, coefficient: FixedValue) -> tuple[FixedValue, str]:
        """The difference, and how it is still to be rounded."""
        plan, format, product = self._plan, self.coefficient.format, self.product
        rounding: str = plan.update_rounding
        low = rounding_bits(rounding, product.format.f - format.f, self.noise)
        if low is not None:
            rounding = Rounding.FLOOR
        if low is not None and plan.registers_change:
            # A coefficient has no bits below its own, so the product alone decides how the difference is rounded.
            width = plan.layer.move(plan.rounding).width
            moved = (low.as_unsigned() - product.raw >> len(low))[:width].as_signed()
            move = FixedValue(Format(True, len(moved) - format.f, format.f), moved)
            exact = coefficient + name_signal(m, move, "move", registered=True)
        else:
            if low is not None:
                # What rounding adds is narrower than what it drops: it stands in the bits below the coefficient, for
                # nothing.
                coefficient = FixedValue(Format(True, format.i, product.format.f), Cat(low, coefficient.raw))
            if plan.registers_change:
                # With a reset it stays out of an iCE40's SB_MAC16: of two registers behind a product that go in there
                # yosys 0.70 loses the product.
                register = Signal(product.shape(), name="change_product")
                m.d.sync += register.eq(product)
                product = register
            exact = coefficient - product
        return name_signal(m, exact, "changed", registered=plan.registers_update), rounding


def count_coefficient_update(parts: Parts, plan: LayerPlan, times: int) -> None:
    """Count what ``times`` :class:`CoefficientUpdate` have."""
    layer, rounding = plan.layer, Rounding(plan.update_rounding)
    coefficient = layer.formats.coefficient
    exact = layer.update_sum
    dropped = layer.noise_bits
    simple = rounding == Rounding.STOCHASTIC or rounding_constant(rounding, dropped) is not None
    if simple and dropped and plan.registers_change:
        move = layer.move(plan.rounding)
        # Noise, or a constant, less the product: what it borrows decides how the rest is rounded.
        parts.adder(move.width + dropped, times)
        parts.adder(coefficient.width + 1, times)
        parts.register(move.width * times, moved=False)
        if plan.registers_update:
            parts.register((coefficient.width + 1) * times, moved=False)
        over = 1
    else:
        parts.adder(exact.width, times)
        over = exact.width - exact.f - coefficient.i
        if plan.registers_change:
            parts.register(layer.update_product.width * times)
        if plan.registers_update:
            parts.register(exact.width * times, moved=False)
    parts.narrowed(
        Format(True, coefficient.i + over, exact.f),
        coefficient,
        rounding,
        saturates=True,
        times=times,
        rounds=not simple,
    )
