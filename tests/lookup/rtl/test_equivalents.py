"""Networks that are built in place of others: they predict the same, and the one that is chosen takes no more."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LookupNetwork
from kanrtl.lookup.rtl.chosen_network import choose_network
from kanrtl.lookup.rtl.equivalents import list_equivalents
from kanrtl.lookup.rtl.folding import schedule_core
from kanrtl.lookup.rtl.network_plan import plan_layers
from support.lookup_networks import codes_for, networks, pair
from support.search import examples

ALL_CODES = np.array(list(itertools.product(range(-8, 8), repeat=2)))


@examples(30)
@given(networks(), st.integers(0, 2**32 - 1), st.booleans())
def test_all_predict_the_same(network: LookupNetwork, seed: int, muxes: bool) -> None:
    codes = codes_for(network, 300, seed)
    expected = network.predict_codes(codes)
    for one in list_equivalents(network, muxes):
        assert np.array_equal(one.predict_codes(codes), expected)


def test_what_only_falls_is_turned_to_rise() -> None:
    network = pair()
    last = network.layers[1]
    falling = {"source": [0, 1], "node": [0, 0], "table": last.table[:, ::-1]}
    first = {"source": network.layers[0].source, "node": network.layers[0].node, "table": network.layers[0].table}
    turned = LookupNetwork.of([2, 2, 1], [4, 5, 8], [1] * 3, [first, falling], output="threshold", thresholds=[7])
    for one in list_equivalents(turned, True):
        assert np.array_equal(one.predict_codes(ALL_CODES), turned.predict_codes(ALL_CODES))
    best, plans = choose_network(turned, schedule_core(turned, plan_layers(turned)), "ecp5", None)
    assert best is not turned
    assert any(np.array_equal(term.values, np.arange(len(term.values))) for term in plans[-1].terms)


def test_other_outputs_keep_their_codes() -> None:
    network = pair(output="raw")
    for one in list_equivalents(network, True):
        assert np.array_equal(one.predict_codes(ALL_CODES), network.predict_codes(ALL_CODES))


def test_a_threshold_that_nothing_is_above() -> None:
    network = pair().with_output("threshold", [127])
    assert all(np.array_equal(one.predict_codes(ALL_CODES), [[0]] * 256) for one in list_equivalents(network, True))
