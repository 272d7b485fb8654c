"""The update of a single coefficient, in layers of any kind."""

from __future__ import annotations

from typing import Any, cast

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import UQ, FixedValue, Format, Overflow, Rounding, narrow, rounding_constant
from ..plan import LayerPlan
from .narrowing import resize, rounding_bits
from .pipeline_registers import delay, name_signal


class CoefficientUpdate(wiring.Component):  # type: ignore[misc]
    """``coefficient - product``, rounded once and saturated: the update of one coefficient, in layers of any kind. With
    a leak, less that part of the coefficient too.

    What rounds it stands in the bits below the coefficient, where that is a constant or noise, and nothing leaks.

    Parameters
    ----------
    plan
        How the layer is built. With ``registers_change`` a register stands behind the product, with
        ``registers_update`` another behind the difference. With ``writes_late`` a result may be changed again in the
        cycle in which it is there. In a layer that is not folded what is written from outside comes on top of zeros.
    linear
        Whether it is w of a linear path that is changed.

    Members
    -------
    coefficient : In, ``registers_change`` cycles after the product; zero with ``again``
    product : In, dL/dy times step, exact
    noise : In, the highest of as many bits as are dropped, with the product; no bits without stochastic rounding
    leaks : In(1), with the coefficient: that part of it is lost; only with a leak, in folded layers and where a bank
        may have nothing to learn
    again : In(1), with the coefficient: change what ``result`` is now instead; only with ``writes_late``
    access_write : In(1), give ``access_data`` instead of the update; not in folded layers
    access_data : In, zero where ``access_write`` is low; not in folded layers
    result : Out, coefficient, ``latency`` cycles after the product
    saturated : Out(1), with ``result``
    still : Out(1), with ``result``: it is the coefficient as it was; only where lost updates are counted
    """

    def __init__(self, plan: LayerPlan, *, linear: bool = False) -> None:
        self._plan = plan
        self._arithmetic = plan.linear if linear else plan.layer
        format = plan.layer.formats.coefficient
        members: dict[str, Any] = {
            "coefficient": In(format),
            "product": In(self._arithmetic.update_product),
            "noise": In(self._arithmetic.noise_bits if plan.stochastic else 0),
            "result": Out(format),
            "saturated": Out(1),
        }
        if plan.counts_lost and not linear:
            members["still"] = Out(1)
        if plan.writes_late:
            members["again"] = In(1)
        if not plan.folded:
            members |= {"access_write": In(1), "access_data": In(format)}
        if has_leaks(plan, linear=linear):
            members["leaks"] = In(1)
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
        if "still" in self.signature.members:
            before = delay(m, coefficient.raw, int(plan.registers_update), "before")
            m.d.comb += self.still.eq(~outside & (narrowed.raw == before))
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
        low = rounding_bits(rounding, self._arithmetic.dropped_bits, self.noise)
        if low is not None:
            rounding = Rounding.FLOOR
        if plan.layer.leak:
            coefficient = self._leak(m, coefficient)
        if plan.layer.leak and low is not None:
            # What is kept of the coefficient has bits of its own there.
            move = UQ(-format.f, format.f + len(low))(low) - product
            exact = coefficient + name_signal(m, move, "move", registered=plan.registers_change)
        elif low is not None and plan.registers_change:
            # A coefficient has no bits below its own, so the product alone decides how the difference is rounded.
            width = self._arithmetic.move(plan.rounding).width
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

    def _leak(self, m: Module, coefficient: FixedValue) -> FixedValue:
        """The coefficient less what it loses, exact."""
        format, leak = coefficient.format, self._plan.layer.leak
        lost = Signal(coefficient.raw.shape(), name="lost")
        m.d.comb += lost.eq(coefficient.raw)
        if "leaks" in self.signature.members:
            m.d.comb += lost.eq(coefficient.raw & self.leaks.replicate(format.width).as_signed())
        kept = Cat(Const(0, leak), coefficient.raw).as_signed() - lost
        kept = name_signal(m, resize(kept, Format(True, format.i, format.f + leak)), "kept")
        return cast(FixedValue, kept)


def has_leaks(plan: LayerPlan, *, linear: bool) -> bool:
    """Whether a coefficient, or the w of a linear path, leaks in some steps alone."""
    return bool(plan.layer.leak) and (plan.folded or (plan.leaks_by_bank and not linear))


def count_coefficient_update(parts: Parts, plan: LayerPlan, times: int, *, linear: bool = False) -> None:
    """Count what ``times`` :class:`CoefficientUpdate` have."""
    layer, rounding = plan.linear if linear else plan.layer, Rounding(plan.update_rounding)
    coefficient = plan.layer.formats.coefficient
    exact = layer.update_sum
    dropped = layer.dropped_bits
    simple = rounding == Rounding.STOCHASTIC or rounding_constant(rounding, dropped) is not None
    if layer.leak:
        parts.adder(coefficient.width + layer.leak, times)
        if has_leaks(plan, linear=linear):
            parts.choice(coefficient.width, times=times)
        if simple:
            parts.adder(layer.update_product.width + 1, times)
    if simple and dropped and plan.registers_change and not layer.leak:
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
