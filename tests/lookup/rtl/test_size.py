"""Sizes by hand, and of a single table against what its bits depend on."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kanrtl import LookupNetwork
from kanrtl.lookup.rtl.size import Size, network_size
from support.lookup_networks import SHAPES, networks, table
from support.search import examples


def layer(tables: list[Any], bits: tuple[int, int], nodes: int = 1, **options: Any) -> LookupNetwork:
    """One layer with an edge from every input to each of ``nodes``; the tables of a node follow each other."""
    n_in = len(tables) // nodes
    edges = {"source": list(range(n_in)) * nodes, "node": np.repeat(np.arange(nodes), n_in), "table": tables}
    return LookupNetwork.of([n_in, nodes], bits, [1, 1], [edges], **options)


@examples(30)
@example(39, 1, "narrow")  # its entries are 16 and 15
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.sampled_from(SHAPES))
def test_a_single_table(seed: int, bits: int, shape: str) -> None:
    """Its bits are those of the next layer's address; a bit that depends on k inputs takes 2**(k - 4) LUTs, and where
    an entry is more than a code of five bits, 15, these five saturate at one end."""
    entries = table(np.random.default_rng(seed), shape, 1 << bits, 16)
    address = entries + 16
    size = network_size(layer([entries], (bits, 5)))
    if np.ptp(entries) == 0:
        assert size == Size(0, 0, 0)
        return
    width, lut, functions = int(address.max()).bit_length(), 0, set()
    for place in range(width):
        rows = (address >> place & 1).tolist()
        support = sum(any(rows[row] != rows[row ^ 1 << one] for row in range(1 << bits)) for one in range(bits))
        function = frozenset([tuple(rows), tuple(1 - row for row in rows)])
        if support > 1 and function not in functions:
            lut += 1 << max(0, support - 4)
        functions.add(function)
    lut += (5 + 1) if entries.max() > 15 else 0
    assert size == Size(edges=1, table_bits=width << bits, lut=lut)


def test_a_sum_takes_a_lut_for_each_bit() -> None:
    # Tables of single bits of the address cost nothing. The sum is from 8 to 14, of four bits.
    assert network_size(layer([[0, 1, 2, 3]] * 2, (2, 4))) == Size(edges=2, table_bits=4 * (4 + 2), lut=4)
    # From 8 to 17: pairs of 3 + 3 in three bits, then all in five; it saturates at one end, four bits and one more.
    assert network_size(layer([[0, 1, 2, 3]] * 3, (2, 4))).lut == 3 + 5 + (4 + 1)


def test_saturation_takes_a_lut_for_each_bit_and_each_end() -> None:
    # Beside the bits of the sum, which begins a page of sixteen higher where it saturates below.
    ends = {"none": (-8, 7, 4), "low": (-9, 7, 5), "high": (-8, 8, 5), "both": (-9, 8, 6)}
    luts = {
        name: network_size(layer([[low, high - 1], [0, 1]], (1, 4))).lut - width
        for name, (low, high, width) in ends.items()
    }
    assert luts == {"none": 0, "low": 5, "high": 5, "both": 6}
    # A table alone holds what is left.
    assert [network_size(layer([[low, high]], (1, 4))).lut for low, high, _ in ends.values()] == [0] * 4


def test_the_output_stage() -> None:
    tables = [[-8, 7], [-7, 7], [-6, 7]]
    network = layer(tables, (1, 4), nodes=3)
    assert network_size(network).lut == 0
    # Twice a comparison of four bits, and what chooses four bits and an index of two.
    assert network_size(network.with_output("argmax")).lut == 2 * (4 + 4 + 2)
    assert network_size(network.with_output("threshold", [0, 0, 0])).lut == 0


def test_equal_tables_are_counted_once() -> None:
    # Alone the table takes in that the sum begins at eight, and has four bits.
    assert network_size(layer([[0, 1, 1, 0]], (2, 4))) == Size(edges=1, table_bits=4 * 4, lut=1)
    # What two nodes share stays one bit wide; each of them adds eight.
    assert network_size(layer([[0, 1, 1, 0]] * 2, (2, 4), nodes=2)) == Size(edges=2, table_bits=4 * 1, lut=1 + 2 * 4)


def test_codes_that_never_occur_are_not_counted() -> None:
    edges = [
        {"source": [0], "node": [0], "table": [[-2, -2, 1, 1]]},
        {"source": [0], "node": [0], "table": [[0, 7, 7, 1]]},
    ]
    chained = network_size(LookupNetwork.of([1, 1, 1], [2, 2, 4], [1, 1, 1], edges))
    # The first table has the addresses 0 and 3 of two bits; only these occur in the second, whose values have four.
    assert chained.table_bits == 4 * 2 + 2 * 4


@examples(30)
@given(networks(max_bits=4, wide=False))
def test_edges_are_those_that_are_not_constant(network: LookupNetwork) -> None:
    network = network.with_output("raw").head(1)
    (first,) = network.layers
    assert network_size(network).edges == sum(np.ptp(one) > 0 for one in first.table)


def test_numbers_by_name() -> None:
    assert Size(3, 14, 15).as_dict() == {"edges": 3, "table_bits": 14, "lut": 15}
