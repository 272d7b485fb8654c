"""Which of the networks that predict the same is built: one that takes no more, and gives the same codes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LookupCore, LookupNetwork
from kanrtl.lookup.rtl.cells import CELLS
from kanrtl.lookup.rtl.chosen_network import choose_network
from kanrtl.lookup.rtl.core_area import CoreArea, count_core
from kanrtl.lookup.rtl.folding import schedule_core
from kanrtl.lookup.rtl.network_plan import LookupLayerPlan, plan_layers
from support.lookup_networks import networks, pair, published
from support.search import examples

ALL_CODES = np.array(list(itertools.product(range(-8, 8), repeat=2)))


def run_plans(plans: tuple[LookupLayerPlan, ...], codes: np.ndarray) -> np.ndarray:
    """What hardware of these plans, whose last layer is compared, tells of input codes."""
    addresses = codes + (1 << plans[0].bits_in - 1)
    for plan in plans:
        sums = [
            node.constant + sum(plan.terms[term].values[addresses[:, plan.terms[term].source]] for term in node.terms)
            for node in plan.nodes
        ]
        if plan is plans[-1]:
            return np.stack([total >> node.above for total, node in zip(sums, plan.nodes, strict=True)], axis=1)
        rounded = np.stack(sums, axis=1) >> plan.guard_bits
        below = np.array([node.pages_below for node in plan.nodes]) << plan.bits_out
        addresses = np.clip(rounded - below, 0, (1 << plan.bits_out) - 1)
    raise AssertionError


@pytest.mark.parametrize("family", sorted(CELLS))
@pytest.mark.parametrize("guard_bits", [0, 2])
def test_a_pair_is_compared_by_ranks(family: str, guard_bits: int) -> None:
    network = pair(guard_bits=guard_bits)
    core = LookupCore(network, 2, family=family)
    core._MustUse__silence = True
    assert np.array_equal(run_plans(core.plans, ALL_CODES), network.predict_codes(ALL_CODES))
    plain = plan_layers(network, CELLS[family].muxes)
    luts = []
    for plans in (plain, core.plans):
        area = CoreArea(family)
        count_core(network, plans, core.schedule, None, area)
        luts.append(area.lut)
    assert luts[1] < luts[0]
    if guard_bits:  # without, saturating five bits takes no more than tables of six
        assert not core.plans[0].saturates
        assert core.plans[0].guard_bits == 0
    # One table is its address as it stands, which takes nothing.
    rises = [np.array_equal(term.values, np.arange(len(term.values))) for term in core.plans[1].terms]
    assert any(rises)


@examples(6)
@given(networks(max_bits=4, wide=False, max_nodes=3), st.sampled_from(sorted(CELLS)))
def test_the_chosen_one_takes_no_more(network: LookupNetwork, family: str) -> None:
    schedule = schedule_core(network, plan_layers(network), family=family)
    best, plans = choose_network(network, schedule, family, None)
    assert plans is plan_layers(best, CELLS[family].muxes)
    assert choose_network(network, schedule, family, None)[0] is best
    if best is network:
        return
    counted = []
    for one in (network, best):
        area = CoreArea(family)
        count_core(one, plan_layers(one, CELLS[family].muxes), schedule, None, area)
        counted.append(area.lut)
    assert counted[1] < counted[0]


@pytest.mark.parametrize(
    ("options", "family"),
    [({"memory": "block"}, "ecp5"), ({"whole_from": 1}, "ecp5"), ({"reuse_factor": 2}, "ecp5"), ({}, "any")],
)
def test_memories_one_table_and_folding_are_built_as_they_are(options: dict[str, object], family: str) -> None:
    network = pair()
    schedule = schedule_core(network, plan_layers(network), family=family, **options)
    assert choose_network(network, schedule, family, options.get("whole_from"))[0] is network


def test_published_moons() -> None:
    network, _ = published("Moons", output="threshold")
    core = LookupCore(network, 1, family="ecp5")
    core._MustUse__silence = True
    codes = np.array(list(itertools.product(range(-32, 32), repeat=2)))
    assert np.array_equal(run_plans(core.plans, codes), network.predict_codes(codes))
    area = CoreArea("ecp5")
    count_core(network, core.plans, core.schedule, None, area)
    assert area.lut <= 90
