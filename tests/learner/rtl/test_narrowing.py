"""Rounding, saturation, and the record of it, against fractions."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from amaranth.hdl import Const, Elaboratable, Fragment, Module, Shape, Signal
from amaranth.lib import data
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.narrowing import Narrowing, count_narrowing, flag_layout, resize, rounding_bits
from kanrtl.numeric.fixed import SQ, FixedValue, Format
from support.components import simulate
from support.layers import plan_of
from support.reference_arithmetic import reference_narrow
from support.search import examples

FORMAT = SQ(3, 2)


class Narrowed(Elaboratable):  # type: ignore[misc]
    """Two values of one kind, the second of which counts while ``when`` is high, and one of another."""

    def __init__(self, value: Format, rounding: str, saturating: frozenset[str]) -> None:
        self.values = [Signal(value, name=f"value{n}") for n in range(3)]
        self.when = Signal()
        self.results = [Signal(FORMAT, name=f"result{n}") for n in range(3)]
        self.saturated = Signal(flag_layout(saturating, slope=2, step=1))
        self._narrowing = Narrowing(rounding, saturating)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        narrow, (first, second, other) = self._narrowing.narrow, self.values
        results = [
            narrow("slope", first, FORMAT),
            narrow("slope", second, FORMAT, when=self.when),
            narrow("step", other, FORMAT, "floor"),
        ]
        m.d.comb += [signal.eq(result) for signal, result in zip(self.results, results, strict=True)]
        self._narrowing.report(m, self.saturated)
        return m


@examples(30)
@given(
    value=st.builds(Format, st.booleans(), st.integers(1, 5), st.integers(0, 5)),
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
    saturating=st.sets(st.sampled_from(["slope", "step", "gradient"])).map(frozenset),
    data=st.data(),
)
def test_values_are_narrowed_and_what_saturates_is_noted(
    value: Format, rounding: str, saturating: frozenset[str], data: st.DataObject
) -> None:
    dut = Narrowed(value, rounding, saturating)
    codes = st.lists(st.integers(value.minimum, value.maximum), min_size=3, max_size=3)

    async def bench(ctx: Any) -> None:
        for drawn, when in data.draw(st.lists(st.tuples(codes, st.booleans()), max_size=8)):
            ctx.set(dut.when, when)
            outside = []
            for signal, code, result, kind in zip(
                dut.values, drawn, dut.results, ("slope", "slope", "step"), strict=True
            ):
                ctx.set(signal.raw, code)
                exact = Fraction(code, 1 << value.f)
                overflow = "saturate" if kind in saturating else "wrap"
                expected, beyond = reference_narrow(exact, FORMAT, "floor" if kind == "step" else rounding, overflow)
                assert ctx.get(result.raw) == expected
                outside.append(beyond)
            if "slope" in saturating:
                assert ctx.get(dut.saturated.slope) == outside[0] | (outside[1] and when) << 1
            if "step" in saturating:
                assert ctx.get(dut.saturated.step) == outside[2]

    simulate(dut, bench)


def test_flags_that_are_not_asked_for_are_refused() -> None:
    narrowing, m = Narrowing("floor", frozenset({"slope"})), Module()
    narrowing.note("slope", Signal())
    narrowing.note("step", Signal())
    assert list(narrowing.flags) == ["slope"]
    with pytest.raises(AssertionError, match="1 values of kind slope"):
        narrowing.report(m, Signal(data.StructLayout({"slope": 2})))
    Fragment.get(m, None)  # used


def test_a_kind_that_cannot_saturate_has_no_flags() -> None:
    assert dict(flag_layout(frozenset({"slope"}), slope=3, step=2)) == {"slope": data.Field(3, 0)}
    assert flag_layout(frozenset({"slope"}), slope=0).size == 0


class Resized(Elaboratable):  # type: ignore[misc]
    def __init__(self, bits: int, format: Format) -> None:
        self.total, self.result = Signal(Shape(bits, signed=True)), Signal(format)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        resized: FixedValue = resize(self.total, self.result.format)
        m.d.comb += self.result.eq(resized)
        return m


@given(bits=st.integers(1, 10), format=st.builds(SQ, st.integers(1, 5), st.integers(0, 5)), code=st.integers())
@examples(30)
def test_a_sum_that_fits_keeps_its_value(bits: int, format: Format, code: int) -> None:
    dut, width = Resized(bits, format), min(bits, format.width)
    code = (code & ((1 << width) - 1)) - (1 << width - 1)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.total, code)
        assert ctx.get(dut.result.raw) == code

    simulate(dut, bench)


def test_what_rounding_adds() -> None:
    noise, found = Signal(4, init=11), []
    # Where more is dropped than there is noise, that is the highest of it.
    drawn = [rounding_bits("stochastic", dropped, noise) for dropped in (4, 6)]

    async def bench(ctx: Any) -> None:
        found.extend((ctx.get(each), len(each)) for each in drawn if each is not None)

    simulator = Simulator(Module())
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [(11, 4), (11 << 2, 6)]
    assert rounding_bits("half_even", 4, noise) is None
    assert rounding_bits("half_up", 0, noise) is None
    for rounding, value in (("floor", 0), ("half_up", 8)):
        added = rounding_bits(rounding, 4, noise)
        assert isinstance(added, Const)
        assert (added.value, len(added)) == (value, 4)


def test_only_what_can_saturate_is_counted() -> None:
    plan = plan_of(1)
    layer = plan.layer
    assert "gradient" in plan.saturating
    assert "step" not in plan.saturating
    counts = []
    for kind in ("gradient", "step"):
        parts = Parts(FAMILIES["ice40"].blocks, multiplies=True)
        count_narrowing(parts, plan, kind, layer.downstream_sum, layer.formats.gradient, 3)
        counts.append((parts.counts["limit"], parts.counts["adder"]))
    (limited, adders), (unlimited, others) = counts
    assert (limited, unlimited) == (3 * layer.formats.gradient.width, 0)
    assert adders == others > 0
