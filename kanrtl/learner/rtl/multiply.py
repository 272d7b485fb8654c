"""Products and sums of fixed-point values.

A product is left to synthesis as one ``*``, which the tools put into a DSP block, or written out as sums of
shifted terms where no block shall be spent: a multiplication by a constant, or by a short register.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format
from .pipeline_registers import Stages


def add_tree(terms: Sequence[Any]) -> Any:
    """The sum of values, added in pairs; widens as it needs."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return add_tree(terms[:half]) + add_tree(terms[half:])


def carry_chain_barrier(m: Module, total: Value, width: int) -> Value:
    """``total``, a signed sum that is to be added to others modulo ``2**width``, such that it stays one carry chain.

    Of sums that follow each other yosys makes one carry-save tree, which is larger, and deeper than a few chains. It
    does not where anything stands between them; this is removed only as LUTs are mapped. It stands at the highest bit
    that is used: yosys removes what stands at one that is not, unless it happens to look at the sum first.
    """
    exact = Signal(signed(min(len(total), width)), name="total")
    m.d.comb += exact.eq(total)
    sign = exact[-1] & (exact[-1] | exact[0])
    return Cat(exact[:-1], sign).as_signed()


def add_in_chains(m: Module, terms: Sequence[Value], width: int) -> Value:
    """The sum of signed terms modulo ``2**width``, added in pairs, by one carry chain each."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    low, high = (add_in_chains(m, part, width) for part in (terms[:half], terms[half:]))
    return carry_chain_barrier(m, low + high, width)


class ChainTerm(NamedTuple):
    """What is known of a signed term of a sum before it is synthesised."""

    width: int
    zeros: int = 0
    """How many of its lowest bits are constant zeros."""


def count_chains(parts: Parts, terms: Sequence[ChainTerm], width: int, times: int = 1) -> ChainTerm:
    """Count what :func:`add_in_chains` of so many terms takes; gives what is known of the sum.

    Nothing meets the bits of a term that are below another's, which bypass the adder.
    """
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    low, high = (count_chains(parts, part, width, times) for part in (terms[:half], terms[half:]))
    total = ChainTerm(min(max(low.width, high.width) + 1, width), min(low.zeros, high.zeros))
    parts.adder(total.width - max(low.zeros, high.zeros), times)
    return total


class Offset(NamedTuple):
    """What is added to a sum: a signed value, whose lowest ``zeros`` bits are constant zeros."""

    value: Value
    zeros: int = 0

    @classmethod
    def of(cls, constant: int) -> Offset:
        """A constant, with its trailing zeros counted."""
        zeros = (constant & -constant).bit_length() - 1 if constant else 0
        return cls(Const(constant, signed(constant.bit_length() + 1)), zeros)


def add_offsets(m: Module, terms: Sequence[Value], offsets: Sequence[Offset], *, widths: Sequence[int]) -> list[Value]:
    """The sum of signed ``terms`` and of each one of ``offsets``, by carry chains; each modulo two to the power of its
    width of ``widths``.

    Offsets are known before the terms: where the number of terms is not a power of two, the path through the tree is as
    long as without. Where it is, an offset takes a full adder for each bit before the last chain.
    """
    terms, ends, inside = list(terms), list(zip(offsets, widths, strict=True)), False
    while len(terms) > 1 + (not inside):
        if len(terms) % 2:
            last, inside = terms.pop(), True
            ends = [(Offset(carry_chain_barrier(m, last + offset.value, width)), width) for offset, width in ends]
        pairs = zip(terms[::2], terms[1::2], strict=True)
        terms = [carry_chain_barrier(m, first + second, max(widths)) for first, second in pairs]
    if len(terms) == 1:
        return [(terms[0] + offset.value)[:width].as_signed() for offset, width in ends]
    return [
        add_tree(terms)[:width].as_signed()
        if isinstance(offset.value, Const) and not offset.value.value
        else add_three(m, terms[0], terms[1], offset.value, width=width, zeros=offset.zeros).as_signed()
        for offset, width in ends
    ]


def count_offsets(terms: int, offsets: int) -> int:
    """The adders of :func:`add_offsets`."""
    adders, inside = 0, False
    while terms > 1 + (not inside):
        if terms % 2:
            terms, adders, inside = terms - 1, adders + offsets, True
        terms //= 2
        adders += terms
    return adders + offsets


def add_three(m: Module, a: Value, b: Value, c: Value, *, width: int, zeros: int) -> Value:
    """``a + b + c`` modulo ``2**width``, of signed values: a full adder for each bit, and one carry chain.

    The lowest ``zeros`` bits of ``c`` are constant zeros, and take no full adder.
    """

    zeros = min(zeros, len(a), len(b), width)  # below them a and b are taken as they are

    def high(value: Value) -> Value:
        extended = Cat(value, value[-1].replicate(max(0, width - len(value))))
        return extended[zeros:width]

    sums, carries = Signal(width - zeros, name="sums"), Signal(width - zeros, name="carries")
    x, y, z = high(a), high(b), high(c)
    m.d.comb += [sums.eq(x ^ y ^ z), carries.eq(x & y | x & z | y & z)]
    return (Cat(a[:zeros], sums) + Cat(b[:zeros], Const(0, 1), carries))[:width]


def shift_up(value: Value, bits: int) -> Value:
    """A signed value with so many zeros below it."""
    return Cat(Const(0, bits), value).as_signed() if bits else value


def multiply_by_constant(value: Value, constant: int) -> Value:
    """``value * constant`` for a positive constant as the fewest shifted additions and subtractions.

    Synthesis would spend a DSP block on a ``*`` with three bits or more, constant or not.
    """
    return add_tree(shifted_terms(value, constant))


def shifted_terms(value: Value, constant: int) -> list[Value]:
    """The fewest shifted ``value`` or ``-value`` that make ``value * constant``, for a positive constant.

    One for each canonical signed digit, of which no two neighbours are non-zero.
    """
    terms: list[Value] = []
    position = 0
    while constant:
        if constant & 1:
            digit = 2 - (constant & 3)
            shifted = Cat(Const(0, position), value)
            shifted = shifted.as_signed() if value.shape().signed else shifted
            terms.append(shifted if digit > 0 else -shifted)
            constant -= digit
        constant >>= 1
        position += 1
    return terms


def multiply(m: Module, a: FixedValue, b: FixedValue, *, in_logic: bool) -> FixedValue:
    """``a * b``, exact: left to synthesis, or written out."""
    return multiply_in_logic(m, a, b) if in_logic else a * b


def multiply_in_logic(
    m: Module, a: FixedValue, b: FixedValue, halfway: Callable[[Value, str], Value] = lambda value, _: value
) -> FixedValue:
    """``a * b``, exact, as a sum of one shifted term for each bit of the second operand.

    Where one is unsigned that is taken for the second, as its bits need no sign; otherwise the narrower. ``halfway``
    is given the two partial sums, each with a name, and may register them.
    """
    format = Format(a.format.signed or b.format.signed, a.format.i + b.format.i, a.format.f + b.format.f)
    if a.format.signed != b.format.signed:
        if b.format.signed:
            a, b = b, a
    elif b.format.signed and a.format.width < b.format.width:
        a, b = b, a
    zero = Const(0, a.format.as_shape())
    terms = [Mux(b.raw[bit], a.raw, zero) for bit in range(b.format.width)]
    if b.format.signed:
        terms[-1] = Mux(b.raw[-1], -a.raw, zero)
    half = (len(terms) + 1) // 2
    exact = halfway(_add_terms(m, terms[:half]), "low")
    if half < len(terms):
        exact = add_shifted(m, exact, halfway(_add_terms(m, terms[half:]), "high"), half)
    total = Signal(format.as_shape(), name="product_in_logic")
    m.d.comb += total.eq(exact)
    return FixedValue(format, total)


def _add_terms(m: Module, terms: Sequence[Value]) -> Value:
    """``sum(term[n] << n)``, added in pairs.

    Low bits that meet nothing bypass the adder. This also keeps yosys from turning the tree into one carry-save
    compressor, which for a product this short is three times as large and no faster.
    """
    if len(terms) == 1:
        return terms[0]
    half = (len(terms) + 1) // 2
    return add_shifted(m, _add_terms(m, terms[:half]), _add_terms(m, terms[half:]), half)


def add_shifted(m: Module, low: Value, high: Value, half: int) -> Value:
    """``low + (high << half)``, of which the lowest bits need no adder."""
    if len(low) < half and low.shape().signed:
        low = Cat(low, low[-1].replicate(half - len(low))).as_signed()
    above = low.shift_right(half) + high
    joined = Cat(low[:half], above)
    total = Signal(len(joined), name="partial_product")
    m.d.comb += total.eq(joined)
    return total.as_signed() if above.shape().signed else total


def multiply_window(
    m: Module, stages: Stages, factors: Sequence[FixedValue], values: Sequence[FixedValue], *, in_logic: bool, name: str
) -> list[Value]:
    """The products of an edge's factors with bases or derivatives, as they leave the stage ``multiply``.

    Factors that are differences are one less than the values, of which the first then has no product.
    """
    return [
        stages.end("multiply", multiply(m, factor, value, in_logic=in_logic), f"{name}_{bank}").raw
        for bank, (factor, value) in enumerate(zip(factors, values[len(values) - len(factors) :], strict=True))
    ]


def add_pairs(stages: Stages, products: Sequence[Value], width: int, name: str) -> list[Value]:
    """Each two products added, as they leave the stage ``add``; ``width`` bits hold every sum."""
    return [
        stages.end("add", add_tree(products[first : first + 2])[:width].as_signed(), f"{name}_{first}")
        for first in range(0, len(products), 2)
    ]
