"""The update of coefficients: of a single one, and of those of a layer of either kind."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format, Overflow, Rounding, narrow, rounding_constant
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.lfsr import lane_rotation
from ..plan import LayerPlan
from .coefficients import lane_layout, window_layout
from .multiply import multiply
from .narrowing import Narrowing, flag_layout, rounding_bits
from .noise_register import lane_noise
from .pass_sequencer import StepTimes, choose
from .pipeline_registers import Stages, name_signal, wire_members


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
    noise : In, the highest of as many bits as are dropped, with the product; no bits without stochastic rounding
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


class LayerUpdate(wiring.Component):  # type: ignore[misc]
    """Multiplies the steps of a layer that is not folded with its gradients, and updates every coefficient.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    gradient : In, for each node, at time ``gradient``; of modulated edges for each ``[node][input]``, at ``turned``
    steps : In, for each ``[input][bank]``, at time ``step``
    coefficients : In, for each ``[node][input][bank]``, to be updated: at time ``changed``, before the register after
        ``update``
    again : In, for each ``[input][bank]``, with the coefficient: change ``write`` instead; only with ``writes_late``
    noise : In(32), state of the noise register, at time ``rounded``; only with stochastic rounding
    access_write : In(1), write ``access_data`` instead of updates
    access_data : In, coefficient; zero where ``access_write`` is low
    write : Out, updated coefficients, at time ``changed``
    saturated : Out, which of them saturate, at time ``changed``
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        window = window_layout(layer, formats.coefficient)
        count = layer.n_out * layer.n_in * layer.banks
        each = data.ArrayLayout(formats.gradient, layer.n_in) if layer.modulation else formats.gradient
        members: dict[str, Any] = {
            "gradient": In(data.ArrayLayout(each, layer.n_out)),
            "steps": In(data.ArrayLayout(data.ArrayLayout(formats.step, layer.banks), layer.n_in)),
            "coefficients": In(window),
            "access_write": In(1),
            "access_data": In(formats.coefficient),
            "write": Out(window),
            "saturated": Out(flag_layout(plan.saturating, coefficient=count)),
        }
        if plan.writes_late:
            members["again"] = In(data.ArrayLayout(layer.banks, layer.n_in))
        if plan.stochastic:
            members["noise"] = In(NOISE_WIDTH)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from the later of ``gradient`` and ``steps`` to ``write``."""
        plan = self._plan
        return plan.ends("product") + plan.registers_change + plan.registers_update

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, times = self._plan, self._plan.layer, self._plan.times
        stages = Stages(m, plan.schedule, plan.index)
        narrowing = Narrowing(plan.rounding, plan.saturating)
        met = plan.multiplied
        steps = [
            [stages.meet(step, times.step, met, f"step{source}_{bank}") for bank, step in enumerate(banks)]
            for source, banks in enumerate(self.steps)
        ]
        gradients = [
            [stages.meet(gradient, times.turned, met, f"gradient{node}")] * layer.n_in
            if not layer.modulation
            else [
                stages.meet(one, times.turned, met, f"gradient{node}_{source}") for source, one in enumerate(gradient)
            ]
            for node, gradient in enumerate(self.gradient)
        ]
        edges = [(node, source) for node in range(layer.n_out) for source in range(layer.n_in)]
        for lane, (node, source, bank) in enumerate((*edge, bank) for edge in edges for bank in range(layer.banks)):
            name = f"{node}_{source}_{bank}"
            product = multiply(m, gradients[node][source], steps[source][bank], in_logic=plan.in_logic)
            m.submodules[f"coefficient{name}"] = update = CoefficientUpdate(plan)
            m.d.comb += [
                update.coefficient.eq(self.coefficients[node][source][bank]),
                update.product.eq(stages.end("product", product, f"change{name}")),
                self.write[node][source][bank].eq(update.result),
            ]
            wire_members(m, update, self, "access_write", "access_data")
            if plan.stochastic:
                m.d.comb += update.noise.eq(lane_noise(self.noise, plan.first_lane + lane, layer.noise_bits))
            if plan.writes_late:
                m.d.comb += update.again.eq(self.again[source][bank])
            narrowing.note("coefficient", update.saturated)
        narrowing.report(m, self.saturated)
        return m


def count_layer_update(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`LayerUpdate` has, except what delays steps."""
    layer, formats = plan.layer, plan.layer.formats
    edges = layer.n_in * layer.n_out * layer.banks
    step = Format(False, min(plan.step_bits, formats.step.width), 0)
    parts.product(formats.gradient, step, in_logic=plan.in_logic, times=edges)
    if plan.ends("product") and plan.in_logic:
        parts.register(layer.update_product.width * edges, moved=False)
    count_coefficient_update(parts, plan, edges)


def count_coefficient_update(parts: Parts, plan: LayerPlan, times: int) -> None:
    """Count what ``times`` :class:`CoefficientUpdate` have."""
    layer, rounding = plan.layer, Rounding(plan.update_rounding)
    coefficient = layer.formats.coefficient
    exact = layer.update_sum
    dropped = layer.dropped_bits
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


class FoldedUpdate(wiring.Component):  # type: ignore[misc]
    """Changes the coefficients of a step, or gives what is written from outside.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    old : In, coefficients by node lane, input lane and bank
    change : In, what is subtracted, likewise
    noise : In(32), state of the noise register; only with stochastic rounding
    access_data : In, the coefficient that is written from outside
    times : In, see :class:`.StepTimes`; all others are there at offset ``written``
    new : Out, changed coefficients, in the same cycle; or what is written from outside
    saturated : Out, a bit for each, in a step of the update
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, passes = plan.layer, plan.passes
        window = lane_layout(plan, layer.formats.coefficient)
        lanes = passes.node_lanes * passes.input_lanes * layer.banks
        members: dict[str, Any] = {
            "old": In(window),
            "change": In(lane_layout(plan, layer.update_product)),
            "access_data": In(layer.formats.coefficient),
            "times": In(StepTimes(plan)),
            "new": Out(window),
            "saturated": Out(flag_layout(plan.saturating, coefficient=lanes)),
        }
        if plan.stochastic:
            members["noise"] = In(NOISE_WIDTH)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``old`` and ``change`` to ``new``: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes, writing = self._plan.layer, self._plan.passes, self.times.writing
        noise = self._rotate_noise(m) if self._plan.stochastic else Const(0, NOISE_WIDTH)
        flags = []
        for node in range(passes.node_lanes):
            for source in range(passes.input_lanes):
                for bank in range(layer.banks):
                    m.submodules[f"update{node}_{source}_{bank}"] = update = CoefficientUpdate(self._plan)
                    old, change = self.old[node][source][bank], self.change[node][source][bank]
                    chosen = Mux(writing, self.access_data.raw, old.raw)[: old.format.width]
                    if self._plan.serial:  # it multiplies when a step begins, not when something is written
                        change = FixedValue(change.format, Mux(writing, 0, change.raw)[: change.format.width])
                    lane = self._plan.first_lane + (node * layer.n_in + source) * layer.banks + bank
                    m.d.comb += [
                        update.coefficient.raw.eq(chosen),
                        update.product.eq(change),
                        update.noise.eq(lane_noise(noise, lane, len(update.noise))),
                        self.new[node][source][bank].eq(update.result),
                    ]
                    flags.append(update.saturated & self.times.update[passes.written])
        m.d.comb += self.saturated.coefficient.eq(Cat(flags))
        return m

    def _rotate_noise(self, m: Module) -> Value:
        """The noise, rotated as far as the lanes of the step are numbered on from those of the first.

        Numbers grow evenly from part to part, and so does the rotation.
        """
        layer, passes = self._plan.layer, self._plan.passes
        noise: Value = self.noise
        for part, parts, lanes in (
            (self.times.input_part.written, passes.inputs, passes.input_lanes * layer.banks),
            (self.times.node_part.written, passes.nodes, passes.node_lanes * layer.n_in * layer.banks),
        ):
            rotated = [noise.rotate_left(lane_rotation(number * lanes)) for number in range(parts)]
            noise = name_signal(m, choose(rotated, part), "rotated")
        return noise


def count_folded_update(parts: Parts, plan: LayerPlan) -> None:
    """Count what a :class:`FoldedUpdate` has."""
    passes, layer = plan.passes, plan.layer
    lanes = passes.node_lanes * passes.input_lanes * layer.banks
    count_coefficient_update(parts, plan, lanes)
    parts.choice(layer.formats.coefficient.width, times=lanes)
