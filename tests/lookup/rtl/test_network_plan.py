"""Plans of layers: what is left out never happens, what is built gives the model's codes."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LookupNetwork
from kanrtl.lookup.rtl.network_plan import Term, list_whole_terms, plan_layers
from support.lookup_networks import chain, codes_for, networks
from support.search import examples


@examples(40)
@given(networks(max_nodes=3), st.integers(0, 2**32 - 1), st.sampled_from([None, True, False]))
def test_plan_leaves_out_only_what_never_happens(network: LookupNetwork, seed: int, muxes: bool | None) -> None:
    codes = codes_for(network, 200, seed)
    plans = plan_layers(network, muxes)
    for plan, layer, following in zip(plans, network.layers, [*plans[1:], None], strict=True):
        taken = range(layer.n_out) if following is None else {term.source for term in following.terms}
        addresses = codes + (1 << (layer.bits_in - 1))
        assert plan.reachable[np.arange(layer.n_in), addresses].all()
        sums = np.array(
            [
                [
                    node.constant + sum(plan.terms[term].values[row[plan.terms[term].source]] for term in node.terms)
                    for node in plan.nodes
                ]
                for row in addresses
            ]
        )
        codes = layer.evaluate(codes)
        for number, node in enumerate(plan.nodes):
            if number not in taken:
                assert following is not None
                assert following.reachable[number, node.address]
                continue
            if node.address is not None:
                found = codes[:, number] + (1 << (layer.bits_out - 1))
                if network.output == "threshold" and plan is plans[-1]:
                    limit = network.thresholds[number] + (1 << (layer.bits_out - 1))
                    assert ((found > limit) == (node.address > limit)).all()
                else:
                    assert (found == node.address).all()
                continue
            assert sums[:, number].max() <= node.highest
            if node.above is not None:
                assert plan is plans[-1]
                above = codes[:, number] > network.thresholds[number]
                assert np.array_equal(sums[:, number] >> node.above, above)
                continue
            found = (sums[:, number] >> layer.guard_bits) - (node.pages_below << layer.bits_out)
            assert np.array_equal(
                np.clip(found, 0, (1 << layer.bits_out) - 1), codes[:, number] + (1 << (layer.bits_out - 1))
            )


@pytest.mark.parametrize("muxes", [None, True])
def test_nodes_that_nothing_takes_are_constants(muxes: bool | None) -> None:
    rising = np.arange(-4, 4)
    edges = [
        {"source": [0, 1, 1, 0, 1], "node": [0, 0, 1, 2, 2], "table": [rising, rising, rising, rising, -1 - rising]},
        {"source": [0, 1], "node": [0, 1], "table": [rising, rising]},
        {"source": [0, 1], "node": [0, 0], "table": [0 * rising, rising]},
    ]
    plans = plan_layers(LookupNetwork.of([2, 3, 2, 1], [3] * 4, [1] * 4, edges), muxes)
    assert [[node.address is None for node in plan.nodes] for plan in plans] == [
        [False, True, False],
        [False, True],
        [True],
    ]
    assert [[term.source for term in plan.terms] for plan in plans] == [[1], [1], [1]]
    assert [plan.fan_in for plan in plans] == [1, 1, 1]


def test_codes_that_never_occur_need_no_table() -> None:
    plans = plan_layers(chain([0, 0, 0, 0, 0, 0, 2, 2]))
    assert np.flatnonzero(plans[1].reachable[0]).tolist() == [4, 6]
    assert len(set(plans[1].terms[0].values)) == 2


def two(table: list[int], other: list[int], bits: int) -> LookupNetwork:
    """Two tables of two bits that are added."""
    return LookupNetwork.of([2, 1], [2, bits], [1, 1], [{"source": [0, 1], "node": [0, 0], "table": [table, other]}])


def test_nothing_saturates_that_cannot() -> None:
    assert not plan_layers(two([-4, -3, 0, 2], [0, 0, 0, 1], 3))[0].saturates
    assert plan_layers(two([-5, -3, 0, 2], [0, 0, 0, 1], 3))[0].saturates
    assert plan_layers(two([-4, -3, 0, 3], [0, 0, 0, 1], 3))[0].saturates
    assert not plan_layers(chain([-5, -3, -2, -1, 0, 1, 2, 9]))[0].saturates


def test_equal_tables_of_one_input_are_built_once() -> None:
    table = np.array([0, 3, 1, 2])
    edges = {"source": [0, 0, 0], "node": [0, 1, 2], "table": [table, table + 2, table * 0 + 1]}
    plan = plan_layers(LookupNetwork.of([1, 3], [2, 4], [1, 1], [edges]))[0]
    assert len(plan.terms) == 1
    assert plan.nodes[2].address == 8 + 1


def test_a_table_is_as_narrow_as_what_it_spans() -> None:
    edges = {"source": [0, 1], "node": [0, 0], "table": [[100, 101, 102, 103], [-90, -90, -90, -89]]}
    plan = plan_layers(LookupNetwork.of([2, 1], [2, 8], [1, 1], [edges]))[0]
    # 1 and 2 bits; the sum begins at 128 + 10, which the wider table takes in.
    assert min(term.width for term in plan.terms) == 1
    assert plan.nodes[0].constant == 0


@examples(30)
@given(networks(max_bits=3, wide=False, max_nodes=3))
def test_an_address_is_reachable_if_any_inputs_lead_there(network: LookupNetwork) -> None:
    """All inputs that a layer can have, each by itself, are tried."""
    plans = plan_layers(network)
    assert plans[0].reachable.all()
    for plan, following, layer in zip(plans, plans[1:], network.layers, strict=False):
        half = 1 << (layer.bits_in - 1)
        inputs = itertools.product(*(np.flatnonzero(row) - half for row in plan.reachable))
        found = layer.evaluate(np.array(list(inputs))) + (1 << (layer.bits_out - 1))
        for node, addresses in enumerate(found.T):
            assert np.flatnonzero(following.reachable[node]).tolist() == np.unique(addresses).tolist()


def test_a_wide_sum_is_followed_by_its_range() -> None:
    """Sums of more than 16 bits: no code between the lowest and the highest is left out."""
    edges = [
        {"source": [0], "node": [0], "table": [[0, 40 << 16]], "bias": [-20 << 16]},
        {"source": [0], "node": [0], "table": [np.arange(64) - 32]},
    ]
    plans = plan_layers(LookupNetwork.of([1, 1, 1], [1, 6, 6], [1, 1, 1], edges, guard_bits=[16, 0]))
    assert np.flatnonzero(plans[1].reachable[0]).tolist() == list(range(32 - 20, 32 + 20 + 1))


def test_a_term_by_code() -> None:
    term = Term(3, np.array([0, 1, 5, 2]))
    assert (term.highest, term.width) == (5, 3)
    # The addresses 0 to 3 are the codes -2 to 1; as they stand, codes are 0, 1, -2, -1.
    assert term.by_code().values.tolist() == [5, 2, 0, 1]
    assert term.by_code().source == 3


def test_what_a_plan_tells_of_its_nodes() -> None:
    identity = [0, 1, 2, 3]
    edges = {"source": [0, 1, 2, 0], "node": [0, 0, 0, 1], "table": [identity, identity, identity, [0, 9, 0, 0]]}
    (plan,) = plan_layers(LookupNetwork.of([3, 2], [2, 4], [1, 1], [edges]))
    assert plan.fan_in == 3
    # Sums begin at the address of zero, eight: up to 8 + 9; the other's only table holds addresses, up to 15.
    assert [node.highest for node in plan.nodes] == [17, 15]
    assert plan.sum_width == 5
    assert plan.saturates
    assert [node.pages_below for node in plan.nodes] == [0, 0]


def test_sums_below_the_lowest_code_are_pages_below() -> None:
    (plan,) = plan_layers(two([-25, -8, 0, 7], [0, 0, 0, 1], 4))
    (node,) = plan.nodes
    # -25 is at address -17, two pages of 16 below the first.
    assert (node.pages_below, node.highest) == (2, 8 + 8 + 2 * 16)
    assert sum(term.values for term in plan.terms).tolist() == [-17 + 32, 32, 8 + 32, 16 + 32]


@pytest.mark.parametrize(
    ("guard_bits", "table", "addresses"),
    [
        (0, [-25, -8, 0, 7], [0, 0, 8, 15]),
        (1, [-25, -3, 4, 5], [0, 8 - 1, 8 + 2, 8 + 3]),
        (3, [99, 4, 3, -5], [15, 9, 8, 8 - 1]),
    ],
)
def test_a_table_alone_holds_addresses(guard_bits: int, table: list[int], addresses: list[int]) -> None:
    """Rounded and saturated, unless another node adds the same table."""
    edges = {"source": [0], "node": [0], "table": [table]}
    (plan,) = plan_layers(LookupNetwork.of([1, 1], [2, 4], [1, 1], [edges], guard_bits=[guard_bits]))
    assert plan.terms[0].values.tolist() == [address << guard_bits for address in addresses]
    (node,) = plan.nodes
    assert (node.constant, node.pages_below, node.highest) == (0, 0, max(addresses) << guard_bits)
    assert not plan.saturates
    edges = {"source": [0, 0, 1], "node": [0, 1, 1], "table": [table, table, [0, 1, 0, 0]]}
    (plan,) = plan_layers(LookupNetwork.of([2, 2], [2, 4], [1, 1], [edges], guard_bits=[guard_bits]))
    assert len(plan.terms) == 2


def test_a_network_is_planned_once_for_each_kind_of_chip() -> None:
    network = chain([0, 1, 2, 3, 3, 2, 1, 0])
    assert plan_layers(network) is plan_layers(network)
    assert plan_layers(network, True) is plan_layers(network, muxes=True)
    assert plan_layers(network, True) is not plan_layers(network, False)


@examples(30)
@given(networks(max_bits=3, wide=False, max_nodes=3), st.data())
def test_whole_tables_give_the_predictions(network: LookupNetwork, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(network.layers) - 1))
    layer, width = network.layers[start], network.bits[-1]
    terms = list_whole_terms(network, start, width)
    assert len(terms) == network.n_predictions
    assert all(len(term.values) == 1 << layer.n_in * layer.bits_in for term in terms)
    codes = codes_for(network, 50, data.draw(st.integers(0, 2**32 - 1)))
    taken = codes if start == 0 else network.layer_codes(codes)[start - 1]
    for row, prediction in zip(taken, network.predict_codes(codes), strict=True):
        # The first layer takes codes in two's complement, all others addresses.
        numbers = [
            int(code) % (1 << layer.bits_in) if start == 0 else int(code) + (1 << layer.bits_in - 1) for code in row
        ]
        address = sum(number << layer.bits_in * index for index, number in enumerate(numbers))
        assert [int(term.values[address]) for term in terms] == [int(one) % (1 << width) for one in prediction]


def sixteen(limit: int, guard_bits: int, output: str, kind: str) -> LookupNetwork:
    """Sixteen tables of four bits with entries as far as ``limit``, and a node of one bit."""
    random = np.random.default_rng(9)
    noise, limits = random.integers(-limit, limit + 1, (16, 16)), random.choice([-limit, limit], (16, 16))
    tables = noise if kind == "noise" else limits
    edges = {"source": np.arange(16), "node": np.zeros(16, dtype=int), "table": tables}
    thresholds = [-1] if output == "threshold" else None
    return LookupNetwork.of(
        [16, 1], [4, 1], [1, 1], [edges], guard_bits=[guard_bits], output=output, thresholds=thresholds
    )


@pytest.mark.parametrize("output", ["threshold", "raw"])
@pytest.mark.parametrize(
    ("limit", "guard_bits", "kind"),
    [(2**31 - 1, 0, "limits"), (2**31 - 1, 30, "noise"), (2**16, 16, "noise")],
)
def test_planning_takes_no_more_than_what_is_built(limit: int, guard_bits: int, kind: str, output: str) -> None:
    """Sums and offsets of which there are many more than entries of tables are not listed one by one."""
    network = sixteen(limit, guard_bits, output, kind)
    tracemalloc.start()
    for muxes in (None, True, False):
        (plan,) = plan_layers(network, muxes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 64 << 20
    codes = codes_for(network, 300, 3)
    (node,) = plan.nodes
    sums = node.constant + sum(plan.terms[term].values[codes[:, plan.terms[term].source] + 8] for term in node.terms)
    found = sums >> node.above if node.above is not None else (sums >> guard_bits) - 2 * node.pages_below
    expected = network.predict_codes(codes)[:, 0]
    assert np.array_equal(np.clip(found, 0, 1), expected if output == "threshold" else expected + 1)
    assert len(np.unique(expected)) == 2
