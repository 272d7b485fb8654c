"""Where registers stand: of all choices the one with the shortest longest stage, and refusals of what cannot be."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, InputError, LookupNetwork
from kanrtl.lookup import Quantiser
from kanrtl.lookup.rtl.network_plan import plan_layers
from kanrtl.lookup.rtl.pipeline import Pipeline, choose_memories, count_levels, is_in_block_memory
from support.lookup_networks import chain, networks
from support.search import examples


def pipeline(network: LookupNetwork, **options: Any) -> Pipeline:
    return Pipeline.of(network, plan_layers(network), **options)


def names(found: Pipeline) -> list[str]:
    return [name for name, _ in found.positions]


@pytest.mark.parametrize("operands", range(1, 40))
def test_levels_are_how_often_pairs_can_be_made(operands: int) -> None:
    left, levels = operands, 0
    while left > 1:
        left, levels = -(-left // 2), levels + 1
    assert count_levels(operands) == levels


def test_nothing_has_no_levels() -> None:
    assert count_levels(0) == 0


def cost(found: Pipeline, registers: frozenset[str]) -> tuple[float, float]:
    """The longest stage, and the sum of squares of all."""
    stages = [0.0]
    for name, delay in found.positions:
        stages[-1] += delay
        if name in registers:
            stages.append(0.0)
    return max(stages), sum(stage * stage for stage in stages)


@examples(30)
@given(networks(max_bits=3, wide=False, max_nodes=3), st.data())
def test_no_other_choice_has_shorter_stages(network: LookupNetwork, data: st.DataObject) -> None:
    memory = [data.draw(st.sampled_from(["logic", "block"])) for _ in network.layers]
    order = names(pipeline(network, memory=memory))
    # A memory registers its address, and the prediction is registered.
    forced = {order[-1]}
    for index, plan in enumerate(plan_layers(network)):
        before = order.index(f"table{index}") - 1
        if memory[index] == "block" and plan.terms and before >= 0:
            forced.add(order[before])
    latency = data.draw(st.integers(len(forced), min(len(order), len(forced) + 3)))
    found = pipeline(network, memory=memory, latency=latency)
    assert found.least == len(forced)
    assert forced <= found.registers <= set(order)
    assert (found.latency, len(found.registers), found.interval) == (latency, latency, 1)
    free = [name for name in order if name not in forced]
    choices = [frozenset({*forced, *more}) for more in itertools.combinations(free, latency - len(forced))]
    longest, squares = min(cost(found, choice) for choice in choices)
    assert cost(found, found.registers) == (pytest.approx(longest), pytest.approx(squares))


@examples(30)
@given(networks(max_bits=3, wide=False), st.sampled_from(["auto", "block"]))
def test_by_default_a_prediction_takes_the_least_time(network: LookupNetwork, memory: str) -> None:
    found = pipeline(network, memory=memory)
    times = {}
    for latency in range(found.least, len(found.positions) + 1):
        other = pipeline(network, memory=memory, latency=latency)
        assert other.period > cost(other, other.registers)[0]
        times[latency] = latency * other.period
    assert (found.latency, times[found.latency]) == min(times.items(), key=lambda one: (one[1], one[0]))


def test_logic_alone_has_no_inner_register_by_default() -> None:
    assert pipeline(two_layers()).registers == {"node1"}
    # A memory's access takes a cycle, and what stands before it is cut so that no stage is much longer.
    found = pipeline(two_layers("argmax"), memory=["logic", "block"])
    assert {"node0", "compare3"} < found.registers


def two_layers(output: str = "raw") -> LookupNetwork:
    """Four inputs, three nodes of which each adds all, five outputs of three."""
    random = np.random.default_rng(0)
    edges = []
    for n_in, n_out in ((4, 3), (3, 5)):
        node, source = np.nonzero(np.ones((n_out, n_in)))
        edges.append({"source": source, "node": node, "table": random.integers(-8, 8, (len(node), 8))})
    return LookupNetwork.of([4, 3, 5], [3, 3, 3], [1, 1, 1], edges, output=output)


def test_positions_follow_the_sample() -> None:
    first = ["table0", "sum0.1", "sum0.2", "node0"]
    second = ["table1", "sum1.1", "sum1.2"]
    assert names(pipeline(two_layers())) == [*first, *second, "node1"]
    assert names(pipeline(two_layers("threshold"))) == [*first, *second, "compare1"]
    compared = ["compare1", "compare2", "compare3"]
    assert names(pipeline(two_layers("argmax"))) == [*first, *second, "node1", *compared]
    assert names(pipeline(two_layers("argmax"), whole_from=1)) == [*first, "whole"]
    assert names(pipeline(two_layers(), whole_from=0)) == ["whole"]
    quantiser = Quantiser.of([1.0] * 4, [0.0] * 4, 3, 4).fixed(SQ(3, 2))
    assert names(pipeline(two_layers().with_quantiser(quantiser))) == ["codes", *first, *second, "node1"]


def test_one_table_of_several_layers_has_a_register_before_it() -> None:
    found = pipeline(two_layers(), whole_from=1, latency=2)
    assert found.registers == {"node0", "whole"}
    assert pipeline(two_layers(), whole_from=0, latency=1).registers == {"whole"}


def test_a_multiplier_takes_longer_than_a_shift() -> None:
    delays = []
    for scale in (2.0, 3.3):
        quantiser = Quantiser.of([scale] * 4, [0.0] * 4, 3, 4).fixed(SQ(3, 2))
        delays.append(dict(pipeline(two_layers().with_quantiser(quantiser)).positions)["codes"])
    assert delays[0] < delays[1]


def test_memories_by_layer() -> None:
    plans = plan_layers(two_layers())
    assert choose_memories(plans, "block") == ("block", "block")
    assert choose_memories(plans, ["auto", "logic"]) == ("auto", "logic")
    with pytest.raises(InputError, match="memory: 3 values; give one for all, or 2, one for each layer"):
        choose_memories(plans, ["auto"] * 3)
    with pytest.raises(InputError, match="memory = 'rom': must be one of 'auto', 'logic', 'block'"):
        choose_memories(plans, ["auto", "rom"])


def test_wide_addresses_go_to_block_memory() -> None:
    narrow, wide, constant = (
        plan_layers(chain(table, (bits, 3, 3)))[0]
        for table, bits in (([0, 1] * 128, 8), ([0, 1] * 256, 9), ([1] * 512, 9))
    )
    assert not is_in_block_memory(narrow, "auto")
    assert is_in_block_memory(narrow, "auto", folded=True)
    assert is_in_block_memory(narrow, "block")
    assert is_in_block_memory(wide, "auto")
    assert not is_in_block_memory(wide, "logic")
    # Where there is no table, there is nothing to lie anywhere.
    assert not is_in_block_memory(constant, "block", folded=True)
    assert pipeline(chain([0, 1] * 256, (9, 3, 3))).block == (True, False)


def test_wrong_settings_are_refused() -> None:
    network = chain([0, 1, 2, 3, 3, 2, 1, 0])
    for arguments, message in [
        ({"latency": 0}, "latency = 0: must be an integer from 1 to"),
        ({"latency": 99}, "latency = 99"),
        ({"latency": 1.5}, "latency = 1.5"),
        ({"latency": 1, "memory": ["logic", "block"]}, "must be an integer from 2"),
        ({"memory": "flash"}, "memory = 'flash'"),
        ({"memory": ["logic"]}, "memory: 1 values"),
        ({"whole_from": 2}, "whole_from = 2: must be a layer from 0 to 1"),
    ]:
        with pytest.raises(InputError, match=message):
            pipeline(network, **arguments)
    edges = {"source": [0], "node": [0], "table": [np.arange(16)]}
    with pytest.raises(InputError, match="takes 5 codes of 4 bits"):
        pipeline(LookupNetwork.of([5, 1], [4, 4], [1, 1], [edges]), whole_from=0)
