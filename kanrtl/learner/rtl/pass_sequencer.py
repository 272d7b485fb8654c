"""The steps of a folded layer's passes, one after another, and what moves along with them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..folded_schedule import Passes
from ..plan import LayerPlan


def choose(values: Sequence[Value], index: Value) -> Value:
    """One of ``values``, all of the same shape; where there is no other, ``index`` is not looked at."""
    return values[0] if len(values) == 1 else Array(values)[index]


class StepFlow:
    """Delays what the steps carry, so that it meets again what has taken longer.

    A value keeps still for the ``step_cycles`` of its step. An offset is a number of cycles after a step's beginning.

    Parameters
    ----------
    passes
        Of the layer.
    step
        Bit ``t`` is high in the cycle ``t`` cycles after a step's beginning; only looked at with serial multipliers.
    """

    def __init__(self, m: Module, passes: Passes, step: Value) -> None:
        self._m = m
        self._passes = passes
        self._step = step

    def delay(self, value: Any, since: int, until: int, name: str) -> Any:
        """``value``, which is there at offset ``since``, at offset ``until``."""
        cycles = self._passes.step_cycles
        while since < until:
            # Through a serial multiplication, one register that is loaded at the end of a step does for many.
            whole = cycles > 1 and until - since >= cycles
            since += cycles if whole else 1
            later = Signal(value.shape(), name=f"{name}_{since}", reset_less=True)
            with self._m.If(self._step[since - 1] if whole else 1):
                self._m.d.sync += later.eq(value)
            value = later
        return value

    def meet(self, value: Any, since: int, until: int, name: str) -> Any:
        """As :meth:`delay`, for a value that follows from the sample and the step alone: a single step leaves it as it
        is."""
        return value if self._passes.steps == 1 else self.delay(value, since, until, name)

    def follow(self, value: Any, offsets: Iterable[int], name: str) -> dict[int, Any]:
        """``value``, which is there as a step begins, at several offsets, through registers in common."""
        cycles = self._passes.step_cycles
        found = {0: value}

        def at(offset: int) -> Any:
            if offset not in found:
                since = offset - (cycles if offset >= cycles else 1)
                found[offset] = self.delay(at(since), since, offset, name)
            return found[offset]

        return {offset: at(offset) for offset in offsets}


def count_delay(parts: Parts, passes: Passes, bits: int, since: int, until: int) -> None:
    """Count what :meth:`StepFlow.delay` takes."""
    cycles, span = passes.step_cycles, max(0, until - since)
    parts.register(bits * (sum(divmod(span, cycles)) if cycles > 1 else span))


class Pass(enum.Enum):
    """What a pass does with the steps that it takes."""

    FORWARD = 0
    SLOPES = 1
    UPDATE = 2


def split_index(index: Value, count: int, lanes: int) -> tuple[Value, Value]:
    """The part and the lane of an input or a node, of which there are ``count``."""
    if lanes == 1:
        return index, Const(0, 1)
    if lanes == count:
        return Const(0, 1), index
    parts = Array(Const(n // lanes, range(count)) for n in range(count))
    return parts[index], Array(Const(n % lanes, range(count)) for n in range(count))[index]


class StepTimes(wiring.Signature):  # type: ignore[misc]
    """When the steps of a folded layer are where: offsets are those of :class:`.Passes`.

    Members
    -------
    step : Out, bit ``t``: a step of any pass, or an access, began ``t`` cycles ago
    forward : Out, bit ``t``: a step of the forward pass did, up to ``multiplied``
    update : Out, bit ``t``: a step of the pass that updates did, up to ``written``
    slopes : Out, bit ``t``: a step of the pass that computes slopes did, up to ``gathered``; not in the first layer
    multiplies : Out, for each pass that shares a multiplier with the forward pass, whether that is its own while its
        operands are there, at ``stepped`` or at ``read``; only with shared multipliers
    input_part, node_part : Out, the part of the inputs, and that of the nodes, of the step that is at an offset: by the
        offset's name, and ``begun``
    writing : Out(1), a coefficient is written from outside: as by an update that moves by nothing
    """

    def __init__(self, plan: LayerPlan) -> None:
        passes = plan.passes
        inputs, nodes = _offsets(plan)
        members: dict[str, Any] = {
            "step": Out(max(passes.multiplied, passes.written, passes.gathered) + 1),
            "forward": Out(passes.multiplied + 1),
            "update": Out(passes.written + 1),
            "input_part": Out(data.StructLayout(dict.fromkeys(inputs, range(passes.inputs)))),
            "node_part": Out(data.StructLayout(dict.fromkeys(nodes, range(passes.nodes)))),
            "writing": Out(1),
        }
        if passes.hidden:
            members["slopes"] = Out(passes.gathered + 1)
        if passes.shared:
            members["multiplies"] = Out(data.StructLayout(dict.fromkeys(_sharing(passes), 1)))
        super().__init__(members)


def _offsets(plan: LayerPlan) -> tuple[dict[str, int], dict[str, int]]:
    """The offsets at which it matters which part of the inputs, and of the nodes, a step has."""
    passes = plan.passes
    inputs = {"begun": 0, "multiplied": passes.multiplied}
    nodes = {"begun": 0, "multiplied": passes.multiplied, "stepped": passes.stepped}
    if passes.hidden:
        inputs["gathered"] = passes.gathered
        nodes |= {"sloped": passes.sloped, "gathered": passes.gathered}
    if plan.stochastic:
        inputs["written"] = nodes["written"] = passes.written
    return inputs, nodes


def _sharing(passes: Passes) -> dict[str, int]:
    """The passes that share a multiplier with the forward pass, and when their operands are there."""
    return {"update": passes.stepped} | ({"slopes": passes.read} if passes.hidden else {})


class PassSequencer(wiring.Component):  # type: ignore[misc]
    """Goes through the steps of a folded layer's passes.

    Forwards with the inputs innermost, backwards with the nodes, so that one sum after the other is completed. Where
    multipliers are shared a hidden layer goes backwards twice, for the slopes and then for the update.

    From outside, a coefficient is reached as by a step of the update. What that writes has the time to pass a register,
    and then delays no update.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    begin_forward : In(1), the forward pass begins in the next cycle
    begin_backward : In(1), the backward pass begins in the next cycle
    access_enable : In(1), a coefficient is reached from outside; not while there are steps
    access_write : In(1), and written: ``writing`` of the times is that a cycle later
    access_input, access_output : In, which input and node it is of; with ``access_enable``
    times : Out, see :class:`StepTimes`
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        super().__init__(
            {
                "begin_forward": In(1),
                "begin_backward": In(1),
                "access_enable": In(1),
                "access_write": In(1),
                "access_input": In(range(plan.layer.n_in)),
                "access_output": In(range(plan.layer.n_out)),
                "times": Out(StepTimes(plan)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``begin_forward`` or ``begin_backward`` to the beginning of the first step."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes, times = self._plan.layer, self._plan.passes, self.times
        running, asked = Signal(), Signal()
        passing = Signal(Pass)
        cycle = Signal(range(passes.step_cycles))
        part_in, part_out = Signal(range(passes.inputs)), Signal(range(passes.nodes))
        last_in, last_out = part_in == passes.inputs - 1, part_out == passes.nodes - 1
        forward = passing == Pass.FORWARD

        with m.If(running):
            m.d.sync += cycle.eq(cycle + 1)
        with m.If(running & (cycle == passes.step_cycles - 1)):
            m.d.sync += cycle.eq(0)
            with m.If(forward | last_out):
                m.d.sync += part_in.eq(Mux(last_in, 0, part_in + 1))
            with m.If(~forward | last_in):
                m.d.sync += part_out.eq(Mux(last_out, 0, part_out + 1))
            with m.If(last_in & last_out):
                m.d.sync += [running.eq(passing == Pass.SLOPES), passing.eq(Pass.UPDATE)]
        with m.If(self.begin_forward | self.begin_backward):
            backward = Pass.SLOPES if passes.hidden and passes.shared else Pass.UPDATE
            m.d.sync += [
                running.eq(1),
                passing.eq(Mux(self.begin_forward, Pass.FORWARD, backward)),
                cycle.eq(0),
                part_in.eq(0),
                part_out.eq(0),
            ]
        m.d.sync += [asked.eq(self.access_enable), times.writing.eq(self.access_write)]
        with m.If(self.access_enable):
            m.d.sync += [
                passing.eq(Pass.UPDATE),
                part_in.eq(split_index(self.access_input, layer.n_in, passes.input_lanes)[0]),
                part_out.eq(split_index(self.access_output, layer.n_out, passes.node_lanes)[0]),
            ]

        def delay_pulse(pulse: Value, *members: Signal) -> None:
            """Drive ``members`` with the pulse, and in each further bit with what it was a cycle before."""
            now, later = Signal(), Signal(max(map(len, members)) - 1)
            m.d.comb += [now.eq(pulse), *(member.eq(Cat(now, later)) for member in members)]
            m.d.sync += later.eq(Cat(now, later))

        begins = running & (cycle == 0)
        delay_pulse(begins | asked, times.step)
        delay_pulse(begins & forward, times.forward)
        if passes.hidden and passes.shared:
            delay_pulse(begins & (passing == Pass.SLOPES), times.slopes)
        alike = [times.slopes] if passes.hidden and not passes.shared else []
        delay_pulse(begins & (passing == Pass.UPDATE), times.update, *alike)
        flow = StepFlow(m, passes, times.step)
        parts_of_step = ((times.input_part, part_in), (times.node_part, part_out))
        for (member, part), offsets in zip(parts_of_step, _offsets(self._plan), strict=True):
            found = flow.follow(part, offsets.values(), part.name)
            m.d.comb += [member[name].eq(found[offset]) for name, offset in offsets.items()]
        if passes.shared:
            at_work = running | (asked & self.access_enable)
            for name, offset in _sharing(passes).items():
                mine = at_work & (passing == Pass[name.upper()])
                m.d.comb += times.multiplies[name].eq(flow.delay(mine, 0, offset, f"{name}_multiplies"))
        return m


def count_pass_sequencer(parts: Parts, plan: LayerPlan) -> None:
    """Count what a :class:`PassSequencer` has."""
    passes = plan.passes
    bits = [(count - 1).bit_length() for count in (passes.inputs, passes.nodes, passes.step_cycles)]
    parts.counts["counter"] += sum(bits)
    parts.register(sum(bits) + 5 + passes.multiplied + passes.written * (1 + passes.hidden), moved=False)
    count_delay(parts, passes, bits[0] + bits[1], 0, passes.written)
