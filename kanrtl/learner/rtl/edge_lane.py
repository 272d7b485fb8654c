"""The products of an edge of a folded layer, and the multipliers that its passes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format
from ..plan import LayerPlan
from .multiply import add_tree, multiply, shift_up
from .narrowing import Narrowing, count_narrowing, flag_layout, resize
from .pass_sequencer import StepFlow, StepTimes, count_delay


class SerialMultiplier(wiring.Component):  # type: ignore[misc]
    """``a * b``, one bit of ``b`` a cycle.

    The product's register takes ``b``'s bits in its low end as they wait, and gives them up as the product moves in:
    beside it there is one adder as wide as ``a``.

    Parameters
    ----------
    a, b
        Shapes of the operands; ``a`` is signed.
    cycles
        Bits of ``b`` that are gone through: all of them, or more.

    Members
    -------
    a : In, held for ``cycles`` cycles
    b : In, taken with ``start``
    start : In(1), high in the first of them
    last : In(1), high in the last of them: the highest bit of a signed ``b`` is negative; with an unsigned ``b`` it
        changes nothing
    product : Out, ``latency`` cycles after ``start``, until the next begins
    """

    def __init__(self, a: Shape, b: Shape, cycles: int) -> None:
        assert a.signed
        assert cycles >= b.width
        self._cycles = cycles
        super().__init__(
            {
                "a": In(a),
                "b": In(b),
                "start": In(1),
                "last": In(1),
                "product": Out(Shape(a.width + cycles, signed=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``start`` to the product."""
        return self._cycles

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        extended = Signal(Shape(self._cycles, self.b.shape().signed))
        m.d.comb += extended.eq(self.b)
        waiting = Mux(self.start, extended, self.product[: self._cycles])[: self._cycles]
        so_far = self.product[self._cycles :].as_signed()
        zero = Const(0, 1)
        addend = Mux(waiting[0], self.a, zero)
        if self.b.shape().signed:
            # Minus a as its complement, and one carried in: a negative bit costs no second adder.
            minus = Signal()
            m.d.comb += minus.eq(self.last & waiting[0])
            addend = (addend ^ minus.replicate(len(self.a)).as_signed()) + minus
        total = Signal(Shape(len(self.a) + 1, signed=True))
        m.d.comb += total.eq(Mux(self.start, zero, so_far) + addend)
        m.d.sync += self.product.eq(Cat(waiting[1:], total))
        return m


def count_serial_multiplier(parts: Parts, a: Format, b: Format, cycles: int, times: int) -> None:
    """Count what ``times`` :class:`SerialMultiplier` have."""
    parts.register((a.width + cycles) * times, moved=False)
    # The waiting bits, the term that the next of them gives, the sum so far or none, and their adder.
    parts.counts["serial"] += (cycles + (3 + b.signed) * a.width + 1) * times


Operands = tuple[Format, Format]


def product_format(a: Format, b: Format) -> Format:
    """The format of an exact product, of which ``a`` is signed."""
    return Format(True, a.i + b.i, a.f + b.f)


def _common_format(formats: Sequence[Format]) -> Format:
    """What holds the codes of all of them."""
    signed = any(format.signed for format in formats)
    return Format(signed, max(format.width + (signed and not format.signed) for format in formats), 0)


class SharedMultiplier(wiring.Component):  # type: ignore[misc]
    """``a * b``, exact, for several uses that never meet: by a multiplier, in logic, or a bit of ``b`` a cycle.

    Parameters
    ----------
    uses
        Formats of ``a`` and ``b``, by the names of the uses; ``a`` is signed.
    plan
        How the layer multiplies.

    Members
    -------
    a, b : In, operands by use; with a serial multiplier ``a`` is held for its cycles
    chosen : In, a bit for each use but the first: its operands are multiplied, those of the first where none is high
    start, last : In(1), as those of :class:`.SerialMultiplier`; they matter only to it
    product : Out, by use, ``latency`` cycles after its operands
    """

    def __init__(self, uses: Mapping[str, Operands], plan: LayerPlan) -> None:
        self._plan = plan
        self._a, self._b = (_common_format([use[side] for use in uses.values()]).as_shape() for side in (0, 1))
        self._first, *self._others = uses
        super().__init__(
            {
                "a": In(data.StructLayout({name: a for name, (a, _) in uses.items()})),
                "b": In(data.StructLayout({name: b for name, (_, b) in uses.items()})),
                "chosen": In(data.StructLayout(dict.fromkeys(self._others, 1))),
                "start": In(1),
                "last": In(1),
                "product": Out(data.StructLayout({name: product_format(a, b) for name, (a, b) in uses.items()})),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the operands to their product: none, or those of a serial multiplication."""
        return self._plan.passes.step_cycles if self._plan.serial else 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        a, b = self.a[self._first].raw, self.b[self._first].raw
        for name in self._others:
            a, b = (Mux(self.chosen[name], side[name].raw, other) for side, other in ((self.a, a), (self.b, b)))
        multiplicand, multiplier = Signal(self._a), Signal(self._b)
        m.d.comb += [multiplicand.eq(a), multiplier.eq(b)]
        if self._plan.serial:
            m.submodules.serial = serial = SerialMultiplier(self._a, self._b, self.latency)
            m.d.comb += [
                serial.a.eq(multiplicand),
                serial.b.eq(multiplier),
                serial.start.eq(self.start),
                serial.last.eq(self.last),
            ]
            exact = serial.product
        else:
            operands = [FixedValue(Format(v.shape().signed, len(v), 0), v) for v in (multiplicand, multiplier)]
            result = multiply(m, *operands, in_logic=self._plan.in_logic).raw
            exact = Signal(result.shape(), name="exact")
            m.d.comb += exact.eq(result)
        m.d.comb += [self.product[name].raw.eq(exact) for name in (self._first, *self._others)]
        return m


def count_shared_multiplier(parts: Parts, plan: LayerPlan, uses: Sequence[Operands], times: int) -> None:
    """Count what ``times`` :class:`SharedMultiplier` have, with the registers behind them."""
    a, b = (_common_format([use[side] for use in uses]) for side in (0, 1))
    parts.choice(a.width + b.width, len(uses), times)
    if plan.serial:
        count_serial_multiplier(parts, a, b, plan.passes.step_cycles, times)
        return
    parts.product(a, b, in_logic=plan.in_logic, times=times)
    if plan.ends("multiply") and plan.in_logic:
        parts.register((a.width + b.width) * times, moved=False)


class _Use(NamedTuple):
    """What a pass multiplies, from offset ``offset``, for use at ``end``."""

    a: FixedValue
    b: FixedValue
    offset: int
    end: int


class EdgeLane(wiring.Component):  # type: ignore[misc]
    """All products of an edge, which is another one in each step: forwards, backwards, and for its update.

    One multiplier for each bank and pass, or where they are shared for each bank; beside them that of the gradient
    which goes down to the edge's input. A linear path has those of one bank more. Serial ones begin when the step is at
    their operands.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    factor, basis : In, by bank, at offset ``read``
    derivative : In, as those; not in the first layer
    move : In, learning rate times basis by bank, at ``stepped``
    gradient : In, dL/dy of the edge's node, at ``stepped``
    slope_gradient : In, the same at ``sloped``; not in the first layer
    weight, x : In, factor and input of the linear path, at ``read``; linear_move : In, its rate times x, at ``stepped``
    times : In, see :class:`.StepTimes`
    product : Out, coefficient times basis by bank, at ``multiplied``
    change : Out, gradient times move by bank, at ``written``
    downstream : Out, gradient times slope, at ``gathered``; not in the first layer
    linear_product : Out, w x, at ``multiplied``; linear_change : Out, gradient times its move, at ``written``
    saturated : Out, a bit for the slope
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        members: dict[str, Any] = {
            "factor": In(data.ArrayLayout(formats.factor, layer.banks)),
            "basis": In(data.ArrayLayout(formats.basis, layer.banks)),
            "move": In(data.ArrayLayout(formats.step, layer.banks)),
            "gradient": In(formats.gradient),
            "times": In(StepTimes(plan)),
            "product": Out(data.ArrayLayout(product_format(formats.factor, formats.basis), layer.banks)),
            "change": Out(data.ArrayLayout(layer.update_product, layer.banks)),
            "saturated": Out(flag_layout(plan.saturating, slope=int(plan.hidden))),
        }
        if plan.hidden:
            members |= {
                "derivative": In(data.ArrayLayout(layer.derivative, layer.banks)),
                "slope_gradient": In(formats.gradient),
                "downstream": Out(product_format(formats.gradient, formats.slope)),
            }
        if layer.linear:
            members |= {
                "weight": In(formats.factor),
                "x": In(layer.linear.input),
                "linear_move": In(layer.linear.step),
                "linear_product": Out(layer.linear.product),
                "linear_change": Out(layer.linear.update_product),
            }
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from a factor to its product."""
        return self._plan.passes.multiplied - self._plan.passes.read

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes = self._plan.layer, self._plan.passes
        flow = StepFlow(m, passes, self.times.step)
        rises = []
        for bank in range(layer.banks):
            uses = {
                "forward": _Use(self.factor[bank], self.basis[bank], passes.read, passes.multiplied),
                "update": _Use(self.gradient, self.move[bank], passes.stepped, passes.written),
            }
            if passes.hidden:
                rise = _Use(self.factor[bank], self.derivative[bank], passes.read, passes.multiplied)
                uses["slopes"] = rise
            products = self._multiply_shared(m, flow, uses, f"{bank}")
            m.d.comb += [self.product[bank].eq(products["forward"]), self.change[bank].eq(products["update"])]
            rises += [products["slopes"].raw] if passes.hidden else []
        if layer.linear:
            uses = {
                "forward": _Use(self.weight, self.x, passes.read, passes.multiplied),
                "update": _Use(self.gradient, self.linear_move, passes.stepped, passes.written),
            }
            products = self._multiply_shared(m, flow, uses, "linear")
            m.d.comb += [self.linear_product.eq(products["forward"]), self.linear_change.eq(products["update"])]
            weight = flow.delay(self.weight, passes.read, passes.multiplied, "weight")
            rises += [shift_up(weight.raw, layer.slope_shift)] if passes.hidden else []
        if passes.hidden:
            narrowing = Narrowing(self._plan.rounding, self._plan.saturating)
            total = flow.delay(resize(add_tree(rises), layer.slope_sum), passes.multiplied, passes.sloped, "slope_sum")
            slope = narrowing.narrow("slope", total, layer.formats.slope, when=self.times.slopes[passes.sloped])
            use = _Use(self.slope_gradient, slope, passes.sloped, passes.gathered)
            m.d.comb += self.downstream.eq(self._multiply(m, flow, {"slopes": use}, "downstream")["slopes"])
            narrowing.report(m, self.saturated)
        return m

    def _multiply_shared(self, m: Module, flow: StepFlow, uses: dict[str, _Use], name: str) -> dict[str, FixedValue]:
        """The products of all uses: by one multiplier where passes share them, else by one each."""
        shares = [uses] if self._plan.passes.shared else [{each: use} for each, use in uses.items()]
        products: dict[str, FixedValue] = {}
        for share in shares:
            products |= self._multiply(m, flow, share, name)
        return products

    def _multiply(self, m: Module, flow: StepFlow, uses: dict[str, _Use], name: str) -> dict[str, FixedValue]:
        """The products of passes that share a multiplier, each as it is wanted."""
        operands = {each: (use.a.format, use.b.format) for each, use in uses.items()}
        m.submodules[f"{'_'.join(uses)}{name}"] = multiplier = SharedMultiplier(operands, self._plan)
        last = self._plan.passes.step_cycles - 1
        starts = [(getattr(self.times, each), use.offset) for each, use in uses.items()]
        m.d.comb += [
            multiplier.start.eq(Cat(began[offset] for began, offset in starts).any()),
            multiplier.last.eq(Cat(began[offset + last] for began, offset in starts).any()),
            *(multiplier.a[each].eq(use.a) for each, use in uses.items()),
            *(multiplier.b[each].eq(use.b) for each, use in uses.items()),
            *(multiplier.chosen[each].eq(self.times.multiplies[each]) for each in list(uses)[1:]),
        ]
        return {
            each: flow.delay(multiplier.product[each], use.offset + multiplier.latency, use.end, f"{each}{name}")
            for each, use in uses.items()
        }


def count_edge_lanes(parts: Parts, plan: LayerPlan) -> None:
    """Count what all :class:`EdgeLane` of a layer have."""
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    edges = passes.input_lanes * passes.node_lanes
    uses = [(formats.factor, formats.basis), (formats.gradient, formats.step)]
    if passes.hidden:
        uses.append((formats.factor, layer.derivative))
    for share in [uses] if passes.shared else [[use] for use in uses]:
        count_shared_multiplier(parts, plan, share, edges * layer.banks)
    if layer.linear:
        linear = layer.linear
        uses = [(formats.factor, linear.input), (formats.gradient, linear.step)]
        for share in [uses] if passes.shared else [[use] for use in uses]:
            count_shared_multiplier(parts, plan, share, edges)
        if passes.hidden:
            parts.adder(layer.slope_sum.width, edges)
            count_delay(parts, passes, formats.factor.width * edges, passes.read, passes.multiplied)
    if passes.hidden:
        count_shared_multiplier(parts, plan, [(formats.gradient, formats.slope)], edges)
        parts.sum(layer.banks, layer.slope_sum.width, edges)
        count_delay(parts, passes, layer.slope_sum.width * edges, passes.multiplied, passes.sloped)
        count_narrowing(parts, plan, "slope", layer.slope_sum, formats.slope, edges)
