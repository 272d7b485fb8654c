"""One meaning of fixed point in numpy, in Amaranth and in exact fractions."""

import re
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Shape, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kanrtl.numeric.fixed import SQ, UQ, FixedValue, Format, Overflow, Rounding, fits, narrow, rounding_constant
from support.reference_arithmetic import extremes, reference_narrow
from support.search import examples


def formats(most_integer: int = 6, most_fraction: int = 6) -> st.SearchStrategy[Format]:
    return st.one_of(
        st.builds(SQ, st.integers(1, most_integer), st.integers(0, most_fraction)),
        st.builds(UQ, st.integers(1, most_integer), st.integers(0, most_fraction)),
        st.builds(UQ, st.just(0), st.integers(1, most_fraction)),
    )


def codes_of(format: Format) -> st.SearchStrategy[int]:
    return st.one_of(st.sampled_from(extremes(format)), st.integers(format.minimum, format.maximum))


@pytest.fixture(scope="module")
def simulate() -> Callable[..., list[list[Any]]]:
    """Runs a combinational circuit: for every row of inputs, a row of what the outputs then read."""

    def run(inputs: Sequence[Any], outputs: Sequence[Any], rows: Iterable[Sequence[Any]]) -> list[list[Any]]:
        m = Module()
        ports = []
        for output in outputs:
            port = Signal(output.shape())
            m.d.comb += Value.cast(port).eq(Value.cast(output))
            ports.append(port)
        results = []

        async def bench(ctx: Any) -> None:
            for row in rows:
                for signal, value in zip(inputs, row, strict=True):
                    ctx.set(signal, value)
                results.append([ctx.get(port) for port in ports])

        simulator = Simulator(m)
        simulator.add_testbench(bench)
        simulator.run()
        return results

    return run


@examples(20)
@given(data=st.data())
def test_narrow_is_the_same_in_numpy_amaranth_and_fractions(
    simulate: Callable[..., list[list[Any]]], data: st.DataObject
) -> None:
    """Every rounding and overflow at once, for many values of one random input shape and format."""
    source = data.draw(formats())
    target = data.draw(formats())
    dropped = max(0, source.f - target.f)
    row = st.tuples(codes_of(source), st.integers(0, 2**dropped - 1))
    rows = data.draw(st.lists(row, min_size=20, max_size=40))
    value, noise = Signal(source.as_shape()), Signal(dropped)
    kinds = [(rounding, overflow) for rounding in Rounding for overflow in Overflow]

    outputs: list[Any] = []
    for rounding, overflow in kinds:
        narrowed = narrow(value, source.f, target, rounding, overflow, noise)
        outputs += [narrowed.result.raw, narrowed.saturated]
    simulated = np.array(simulate([value, noise], outputs, rows))

    codes, noises = np.array(rows, dtype=np.int64).T
    for index, (rounding, overflow) in enumerate(kinds):
        expected = np.array(
            [
                reference_narrow(Fraction(code, 2**source.f), target, rounding, overflow, Fraction(random, 2**dropped))
                for code, random in rows
            ]
        )
        in_numpy = narrow(codes, source.f, target, rounding, overflow, noises)
        np.testing.assert_array_equal(np.transpose(in_numpy), expected, f"numpy, {rounding}, {overflow}")
        in_amaranth = simulated[:, 2 * index : 2 * index + 2]
        np.testing.assert_array_equal(in_amaranth, expected, f"amaranth, {rounding}, {overflow}")


def test_narrow_takes_a_value_in_a_format(simulate: Callable[..., list[list[Any]]]) -> None:
    value = Signal(SQ(4, 4))
    narrowed = narrow(value, 4, SQ(3, 1), "half_even")
    rows = [[-8.0], [-0.25], [0.25], [0.75], [7.9375]]
    results = simulate([value], narrowed, rows)
    assert results == [[-4.0, 1], [0.0, 0], [0.0, 0], [1.0, 0], [3.5, 1]]


def test_narrow_keeps_the_shape_of_codes() -> None:
    result, saturated = narrow(np.arange(-6, 6).reshape(3, 4), 1, SQ(2, 0), "floor")
    assert result.tolist() == [[-2, -2, -2, -2], [-1, -1, 0, 0], [1, 1, 1, 1]]
    assert saturated.tolist() == [[True, True, False, False], [False] * 4, [False, False, True, True]]


def test_narrow_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match=re.escape("stochastic rounding needs noise")):
        narrow(1, 4, SQ(4, 2), "stochastic")
    with pytest.raises(ValueError, match=re.escape("'nearest' is not a valid Rounding")):
        narrow(1, 4, SQ(4, 2), "nearest")
    with pytest.raises(ValueError, match=re.escape("'clip' is not a valid Overflow")):
        narrow(1, 4, SQ(4, 2), "floor", "clip")


@examples(200)
@given(
    beyond=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    fraction=st.integers(0, 4),
    format=formats(3, 3),
    rounding=st.sampled_from(Rounding),
)
def test_fits_where_no_number_between_saturates(
    beyond: tuple[int, int], fraction: int, format: Format, rounding: Rounding
) -> None:
    """From about the lowest number of the format to about the highest."""
    ends = [code * 2**fraction // 2**format.f + more for code, more in zip(extremes(format), beyond, strict=True)]
    low, high = sorted(ends)
    noises = 2 ** max(0, fraction - format.f) if rounding is Rounding.STOCHASTIC else 1
    saturated = [
        reference_narrow(Fraction(code, 2**fraction), format, rounding, noise=Fraction(noise, noises))[1]
        for code in range(low, high + 1)
        for noise in range(noises)
    ]
    assert fits(low, high, fraction, format, rounding) == (not any(saturated))


@pytest.mark.parametrize(
    ("low", "high", "rounding", "expected"),
    [
        (-32, 31, "floor", True),
        (-33, 31, "floor", False),
        (-32, 32, "floor", False),
        (-34, 29, "half_up", True),
        (-35, 29, "half_up", False),
        (-34, 30, "half_up", False),
        (-34, 29, "half_even", True),
        (-32, 30, "half_even", False),
        (-32, 28, "stochastic", True),
        (-33, 28, "stochastic", False),
        (-32, 29, "stochastic", False),
    ],
)
def test_fits_to_the_last_code(low: int, high: int, rounding: str, expected: bool) -> None:
    """SQ(4, 0) spans -8 to 7, in codes of two fraction bits -32 to 28."""
    assert fits(low, high, 2, SQ(4, 0), rounding) is expected


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("dropped", [-2, 0, 1, 2, 5])
def test_rounding_constant_is_what_narrow_adds(rounding: Rounding, dropped: int) -> None:
    format, codes = SQ(12, 4), np.arange(-200, 200)
    fraction = format.f + dropped
    noises = np.arange(2 ** max(0, dropped)) if rounding is Rounding.STOCHASTIC else [0]
    rounded = [narrow(codes, fraction, format, rounding, noise=noise).result for noise in noises]

    def adds(constant: int) -> bool:
        cut = narrow(codes + constant, fraction, format, "floor").result
        return all((cut == result).all() for result in rounded)

    constant = rounding_constant(rounding, dropped)
    assert constant == rounding_constant(rounding.value, dropped)
    if constant is None:
        assert not any(adds(other) for other in range(2**dropped))
    else:
        assert adds(constant)


@examples(30)
@given(data=st.data())
def test_arithmetic_is_exact(simulate: Callable[..., list[list[Any]]], data: st.DataObject) -> None:
    own, other = data.draw(formats()), data.draw(formats())
    wider = Format(True, max(own.i, other.i) + 1, max(own.f, other.f))
    wrapping = Format(other.signed, max(1, other.i), own.f)
    rows = data.draw(st.lists(st.tuples(codes_of(own), codes_of(other)), min_size=10, max_size=40))
    reals = [(Fraction(a, 2**own.f), Fraction(b, 2**other.f)) for a, b in rows]
    a, b = Signal(own), Signal(other)
    outputs = [a + b, a - b, a * b, a.extend(wider), b.extend(wider), a.wrap(wrapping)]
    wrap = [reference_narrow(x, wrapping, "floor", "wrap")[0] for x, _ in reals]
    expected = [[x + y, x - y, x * y, x, y, Fraction(code, 2**own.f)] for (x, y), code in zip(reals, wrap, strict=True)]
    assert simulate([a, b], outputs, reals) == expected


@pytest.mark.parametrize(
    ("result", "format"),
    [
        (Signal(SQ(4, 2)) + Signal(SQ(3, 5)), SQ(5, 5)),
        (Signal(UQ(4, 2)) + Signal(UQ(3, 5)), UQ(5, 5)),
        (Signal(SQ(4, 2)) + Signal(UQ(4, 2)), SQ(6, 2)),
        (Signal(UQ(4, 2)) - Signal(UQ(4, 0)), SQ(5, 2)),
        (Signal(SQ(4, 2)) - Signal(UQ(2, 2)), SQ(5, 2)),
        (Signal(SQ(4, 2)) * Signal(SQ(3, 5)), SQ(7, 7)),
        (Signal(SQ(4, 2)) * Signal(UQ(3, 5)), SQ(7, 7)),
        (Signal(UQ(4, 2)) * Signal(UQ(0, 5)), UQ(4, 7)),
    ],
)
def test_results_widen_as_they_need(result: FixedValue, format: Format) -> None:
    assert result.shape() == result.format == format
    assert len(result.raw) == format.width
    assert result.raw.shape() == format.as_shape()


@settings(max_examples=60)
@given(format=formats(40, 40), spaces=st.sampled_from(["", " "]))
def test_format_parses_what_it_prints(format: Format, spaces: str) -> None:
    assert Format.parse(repr(format)) == Format.parse(str(format)) == format
    assert Format.parse(f"{spaces}{str(format).replace(' ', spaces)}{spaces}") == format
    assert format.as_shape() == Shape(format.i + format.f, format.signed)


@settings(max_examples=100)
@given(format=formats(20, 20), real=st.floats(-1e7, 1e7))
def test_quantise_takes_the_nearest_code(format: Format, real: float) -> None:
    code = int(format.quantise(real))
    assert (
        code,
        not format.holds(round(Fraction(real) * 2**format.f) * Fraction(1, 2**format.f)),
    ) == reference_narrow(Fraction(real), format, "half_even")
    assert format.to_float(code) == float(Fraction(code, 2**format.f)) == format.from_bits(code % 2**format.width)


def test_limits() -> None:
    signed, unsigned = SQ(3, 2), UQ(3, 2)
    assert (signed.minimum, signed.maximum, signed.lsb) == (-16, 15, 0.25)
    assert (unsigned.minimum, unsigned.maximum, unsigned.lsb) == (0, 31, 0.25)
    assert signed.holds(-4)
    assert signed.holds(Fraction(15, 4))
    assert not signed.holds(3.76)
    assert not signed.holds(-4.01)


@pytest.mark.parametrize(
    "text",
    ["", "SQ(3)", "SQ(3, -1)", "Q(3, 2)", "SQ(3.0, 2)", "UQ(1, 8) x", f"SQ({'9' * 5000}, 3)", f"SQ(3, {'9' * 5000})"],
)
def test_parse_refuses(text: str) -> None:
    message = f"{text!r} is not a format; write SQ(i, f) for signed or UQ(i, f) for unsigned"
    with pytest.raises(ValueError, match=re.escape(message)):
        Format.parse(text)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: SQ(-8, 8),
            ValueError,
            "SQ(-8, 8): fraction bits must be at least 0, and with the integer bits at least 1",
        ),
        (
            lambda: UQ(0, 0),
            ValueError,
            "UQ(0, 0): fraction bits must be at least 0, and with the integer bits at least 1",
        ),
        (lambda: UQ(4, -1), ValueError, "UQ(4, -1): fraction bits must be at least 0"),
        (lambda: SQ(2, 2).const(0.3), ValueError, "0.3 has no exact code in SQ(2, 2); round it: format.to_float("),
        (lambda: SQ(2, 2).const(2), ValueError, "2 has no exact code in SQ(2, 2)"),
        (lambda: UQ(2, 2).const(-0.25), ValueError, "-0.25 has no exact code in UQ(2, 2)"),
        (lambda: SQ(2, 2).const(float("nan")), ValueError, "nan has no exact code in SQ(2, 2)"),
        (lambda: SQ(2, 2).const(float("-inf")), ValueError, "-inf has no exact code in SQ(2, 2)"),
        (
            lambda: SQ(2, 2).quantise([0.5, np.nan]),
            ValueError,
            "not a number (NaN) cannot be given in SQ(2, 2)",
        ),
        (
            lambda: SQ(2, 2).quantise(np.ma.array([0.5, 1.0], mask=[False, True])),
            ValueError,
            "a masked number cannot be given in SQ(2, 2)",
        ),
        (
            lambda: SQ(2, 2).quantise([[0.5], [np.ma.array([0.5, 1.0], mask=[False, True])]]),
            ValueError,
            "a masked number cannot be given in SQ(2, 2)",
        ),
        (
            lambda: SQ(2, 2).quantise(np.array([0.5 + 1j])),
            ValueError,
            "a complex number cannot be given in SQ(2, 2); give its parts",
        ),
        (
            lambda: Signal(SQ(4, 4)).eq(Signal(SQ(5, 4))),
            TypeError,
            "cannot assign SQ(5, 4) to SQ(4, 4): narrow it first",
        ),
        (lambda: Signal(SQ(4, 4)).eq(0.03), ValueError, "0.03 has no exact code in SQ(4, 4)"),
        (lambda: FixedValue(SQ(4, 4), Signal(9)), TypeError, "SQ(4, 4) is 8 bits wide, the value 9"),
        (
            lambda: Signal(SQ(4, 4)).extend(SQ(4, 3)),
            TypeError,
            "SQ(4, 3) does not hold every value of SQ(4, 4)",
        ),
        (
            lambda: Signal(UQ(4, 4)).extend(SQ(4, 4)),
            TypeError,
            "SQ(4, 4) does not hold every value of UQ(4, 4)",
        ),
        (
            lambda: Signal(SQ(4, 4)).extend(UQ(9, 4)),
            TypeError,
            "UQ(9, 4) does not hold every value of SQ(4, 4)",
        ),
        (
            lambda: Signal(SQ(4, 4)).wrap(SQ(3, 5)),
            TypeError,
            "SQ(3, 5) and SQ(4, 4) differ in fraction bits",
        ),
    ],
)
def test_refusals(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        make()


@settings(max_examples=60)
@given(integer_bits=st.integers(1, 12), width=st.integers(50, 62), signed=st.booleans(), real=st.floats(-1e5, 1e5))
@example(integer_bits=3, width=55, signed=True, real=4.0)
@example(integer_bits=3, width=62, signed=False, real=np.inf)
def test_wide_formats_saturate_at_their_ends(integer_bits: int, width: int, signed: bool, real: float) -> None:
    """Their highest code is no float64."""
    format = Format(signed, integer_bits, width - integer_bits)
    low, high = format.minimum, format.maximum
    exact = Fraction(real) * 2**format.f if np.isfinite(real) else Fraction(high + 1)
    reals = np.array([real])
    assert int(format.quantise(real)) == min(max(round(exact), low), high)
    assert format.is_beyond(format.nearest(reals)).tolist() == [not low <= round(exact) <= high]
    assert format.count_beyond(reals) == (not low <= round(exact) <= high)


def test_infinity_saturates_when_quantised() -> None:
    assert SQ(2, 2).quantise([np.inf, -np.inf]).tolist() == [7, -8]


class Recorder(wiring.Component):  # type: ignore[misc]
    """Copies a fixed-point port to a register, an array of two, and a row of a memory."""

    sample: In(SQ(3, 4))  # type: ignore[valid-type]
    address: In(2)  # type: ignore[valid-type]
    latest: Out(SQ(3, 4), init=-1.5)  # type: ignore[valid-type]
    pair: Out(data.ArrayLayout(SQ(3, 4), 2), init=[0.25, -0.5])  # type: ignore[valid-type]
    stored: Out(SQ(3, 4))  # type: ignore[valid-type]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.rows = rows = memory.Memory(shape=SQ(3, 4), depth=4, init=[1.25, -4, 3.9375])
        read = rows.read_port(domain="comb")
        m.d.comb += [read.addr.eq(self.address), self.stored.eq(read.data)]
        m.d.sync += [self.latest.eq(self.sample), self.pair[0].eq(self.pair[1]), self.pair[1].eq(self.sample)]
        return m


def test_format_is_a_shape_of_ports_arrays_and_memories() -> None:
    dut = Recorder()
    assert dut.signature.members["sample"].shape == SQ(3, 4)

    async def bench(ctx: Any) -> None:
        assert ctx.get(dut.latest) == -1.5
        assert [ctx.get(dut.pair[index]) for index in range(2)] == [0.25, -0.5]
        stored = []
        for address in range(4):
            ctx.set(dut.address, address)
            stored.append(ctx.get(dut.stored))
        assert stored == [1.25, -4.0, 3.9375, 0.0]
        ctx.set(dut.sample, -2.0625)
        _, _, latest, pair = await ctx.tick().sample(dut.latest, dut.pair)
        assert (latest, [pair[0], pair[1]]) == (-1.5, [0.25, -0.5])
        assert [ctx.get(dut.latest), ctx.get(dut.pair[0]), ctx.get(dut.pair[1])] == [-2.0625, -0.5, -2.0625]
        assert ctx.get(dut.latest.raw) == -33

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


def test_wide_formats_read_as_fractions() -> None:
    """A float has 53 bits; what is wider is not rounded behind the reader's back."""
    assert SQ(4, 60).from_bits(2**64 - 1) == Fraction(-1, 2**60)
    assert isinstance(SQ(4, 49).from_bits(1), float)


def test_what_is_beyond_comes_back_by_whole_periods() -> None:
    format = SQ(3, 2)  # -4 to 3.75, codes -16 to 15
    around = [4.0, -4.25, 35.99, -1e9, 3.9, 1e300, np.inf, -np.inf]
    assert format.quantise(around, 32.0).tolist() == [-16, 15, -16, 0, -16, 0, 15, -16]
    assert format.quantise([4.0, 5.0, -4.25, 3.75], 10.3).tolist() == [6, 10, -7, 15]
    assert format.nearest([4.0, np.nan]).tolist()[0] == 16
    with pytest.raises(ValueError, match="NaN"):
        format.quantise([4.0, np.nan], 32.0)


@pytest.mark.parametrize("bits", [6.0, "6", True, None, np.float64(6)])
def test_formats_have_whole_bits(bits: Any) -> None:
    with pytest.raises(ValueError, match=rf"^i = {re.escape(repr(bits))}: a format has whole bits; give an integer$"):
        SQ(bits, 10)
    with pytest.raises(ValueError, match=r"^f = "):
        UQ(1, bits)


def test_bits_of_numpy_are_plain_ones() -> None:
    format = SQ(np.int64(6), np.uint8(10))
    assert format == SQ(6, 10)
    assert (type(format.i), type(format.f), hash(format)) == (int, int, hash(SQ(6, 10)))
