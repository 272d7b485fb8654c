"""Tables in logic, in cells and in block memory: at every address their values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.fabric.families import block_width
from kanrtl.lookup.rtl.network_plan import Term
from kanrtl.lookup.rtl.tables import Tables
from support.cell_netlist import settled, synthesised
from support.components import convert, evaluate, simulate
from support.lookup_networks import SHAPES, table
from support.search import examples
from support.tiers import thorough

FAMILIES = ["any", "ecp5", "ice40"]


def terms_of(seed: int, bits: int, shapes: list[str], limit: int = 12) -> list[Term]:
    random = np.random.default_rng(seed)
    tables = [table(random, shape, 1 << bits, limit) for shape in shapes]
    return [Term(0, one - one.min()) for one in tables]


class InTables(wiring.Component):  # type: ignore[misc]
    """Tables of one address; their values one behind the other, the first lowest."""

    def __init__(self, terms: list[Term], family: str, *, block: bool) -> None:
        self.terms, self.family, self.block = terms, family, block
        self.widths = [term.width for term in terms]
        super().__init__({"address": In((len(terms[0].values) - 1).bit_length()), "values": Out(sum(self.widths))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        tables = Tables(m, self.family)
        values = (tables.block if self.block else tables.logic)(self.address, self.terms, "made")
        assert [len(value) for value in values] == self.widths
        m.d.comb += self.values.eq(Cat(values))
        return m

    def expected(self) -> list[int]:
        """By address."""
        words = [0] * len(self.terms[0].values)
        for term, low in zip(self.terms, np.cumsum([0, *self.widths]), strict=False):
            words = [word | int(value) << int(low) for word, value in zip(words, term.values, strict=True)]
        return words


@examples(30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
def test_logic(seed: int, bits: int, shapes: list[str]) -> None:
    terms = terms_of(seed, bits, shapes)
    m, address = Module(), Signal(bits)
    values = Tables(m, "any").logic(address, terms, "made")
    assert [len(value) for value in values] == [term.width for term in terms]
    rows = [(row,) for row in range(1 << bits)]
    assert evaluate(values, [address], rows, m) == list(zip(*(term.values.tolist() for term in terms), strict=True))


def test_equal_bits_are_made_once() -> None:
    def selects(tables: list[list[int]]) -> int:
        return convert(InTables([Term(0, np.array(one)) for one in tables], "any", block=False)).count("cell $shift")

    assert selects([[0, 1, 1, 0]]) == 1
    assert selects([[0, 1, 1, 0], [0, 3, 3, 0]]) == 1
    assert selects([[0, 1, 1, 0], [1, 0, 0, 1]]) == 2
    # A bit that is the same everywhere is none.
    assert selects([[2, 3, 3, 2]]) == 1


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_wide_addresses_are_left_to_synthesis(family: str) -> None:
    """Amaranth's simulator does not know cells, so there are none."""
    (term,) = terms_of(4, 7, ["noise"])
    m, address = Module(), Signal(7)
    (value,) = Tables(m, family).logic(address, [term], "made")
    assert evaluate([value], [address], [(row,) for row in range(128)], m) == [(one,) for one in term.values.tolist()]


@pytest.mark.parametrize(
    ("family", "device", "kinds"),
    [("ecp5", "LFE5U-25F", {"LUT4", "PFUMX"}), thorough("ice40", "iCE40UP5K", {"SB_LUT4"})],
)
def test_cells(family: str, device: str, kinds: set[str], tmp_path: Path) -> None:
    """Noise of six bits, shapes that share bits, and one that is one everywhere in its lowest bit."""
    terms = terms_of(1, 6, ["noise", "smooth", "steep"])
    terms.append(Term(0, terms[1].values * 2 + 1))
    component = InTables(terms, family, block=False)
    module = synthesised(component, tmp_path, device)
    assert {cell["type"] for cell in module["cells"].values()} == kinds | ({"L6MUX21"} if family == "ecp5" else set())
    inputs = [sum((row >> bit & 1) << row for row in range(64)) for bit in range(6)]
    found = settled(module, {"address": inputs}, 64)["values"]
    assert [sum((bit >> row & 1) << place for place, bit in enumerate(found)) for row in range(64)] == (
        component.expected()
    )


@examples(20)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 9),
    st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4),
    st.sampled_from(FAMILIES),
    st.sampled_from([2, 12, 3000]),
)
def test_block_memory_gives_a_row_one_cycle_later(
    seed: int, bits: int, shapes: list[str], family: str, limit: int
) -> None:
    component = InTables(terms_of(seed, bits, shapes, limit), family, block=True)
    addresses = np.random.default_rng(seed).integers(0, 1 << bits, 40).tolist()
    seen = []

    async def bench(ctx: Any) -> None:
        for address in addresses:
            ctx.set(component.address, address)
            await ctx.tick()
            # The memory has the address now, whatever comes behind it.
            ctx.set(component.address, address ^ 1)
            seen.append(ctx.get(component.values))

    simulate(component, bench)
    words = component.expected()
    assert seen == [words[address] for address in addresses]


def memory_widths(family: str, rows: npt.NDArray[np.int64]) -> list[int]:
    """Of the memories that hold the columns of ``rows``."""
    text = convert(InTables([Term(0, column) for column in rows.T], family, block=True))
    return [int(width) for width in re.findall(r"memory width (\d+)", text)]


@pytest.mark.parametrize("family", ["ecp5", "ice40"])
def test_a_memory_is_one_block(family: str) -> None:
    """Of 512 words in all 41 bits wide: parts as wide as a block, and a rest."""
    rows = np.tile(np.array([(1 << 20) - 1, (1 << 21) - 1]), (512, 1))
    width = block_width(family, 512)
    assert width is not None
    assert memory_widths(family, rows) == [width] * (41 // width) + [41 % width] * bool(41 % width)
    assert memory_widths("any", rows) == [41]


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("family", FAMILIES)
def test_a_sum_has_the_width_that_it_is_given(family: str) -> None:
    assert len(Tables(Module(), family).add(Signal(3), Signal(2), 4)) == 4


def test_a_family_adds_in_its_own_cells() -> None:
    class Sum(wiring.Component):  # type: ignore[misc]
        def __init__(self, family: str) -> None:
            self.family = family
            super().__init__({"one": In(3), "other": In(3), "total": Out(4)})

        def elaborate(self, platform: Any) -> Module:
            m = Module()
            m.d.comb += self.total.eq(Tables(m, self.family).add(self.one, self.other, 4))
            return m

    cells = {"any": "cell $add", "ecp5": "cell \\CCU2C", "ice40": "cell \\SB_CARRY"}
    for family in FAMILIES:
        text = convert(Sum(family))
        assert {name for name, cell in cells.items() if cell in text} == {family}
