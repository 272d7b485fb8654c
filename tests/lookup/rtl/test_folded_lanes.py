"""A folded layer alone: its nodes, and the cycles in which they are there."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from amaranth.hdl import Cat, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LookupNetwork
from kanrtl.lookup.lookup_layer import LookupLayer
from kanrtl.lookup.rtl.folded_lanes import build_folded_layer
from kanrtl.lookup.rtl.folding import LayerFold
from kanrtl.lookup.rtl.network_plan import LookupLayerPlan, NodePlan, plan_layers
from kanrtl.lookup.rtl.nodes import Operand, saturate_sum
from kanrtl.lookup.rtl.tables import Tables
from support.components import simulate
from support.lookup_networks import networks
from support.search import examples


class Layer(wiring.Component):  # type: ignore[misc]
    """A folded layer with ports."""

    def __init__(self, index: int, fold: LayerFold) -> None:
        plan = fold.plan
        self.index, self.fold, self.asked = index, fold, set[tuple[int, int]]()
        super().__init__(
            {
                "start": In(1),
                "values": In(data.ArrayLayout(plan.bits_in, len(plan.reachable))),
                "done": Out(1),
                "nodes": Out(data.ArrayLayout(plan.bits_out, len(plan.nodes))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m, plan = Module(), self.fold.plan

        def node_value(index: int, number: int, node: NodePlan, total: Operand) -> Value:
            assert node is plan.nodes[number]
            self.asked.add((index, number))
            return saturate_sum(plan, node, total)

        values = [Value.cast(self.values[source]) for source in range(len(plan.reachable))]
        done, nodes = build_folded_layer(m, self.index, self.fold, self.start, values, node_value, Tables(m, "any"))
        m.d.comb += [self.done.eq(done), self.nodes.as_value().eq(Cat(nodes))]
        return m


def run(
    layer: LookupLayer, component: Layer, codes: npt.NDArray[np.int64], begins: list[int]
) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """Gives, by the cycle in which the layer is done, the addresses that it has; and those that it should have."""
    fold, half = component.fold, 1 << (layer.bits_in - 1)
    # The first layer takes codes, all others addresses.
    values = codes % (1 << layer.bits_in) if component.index == 0 else codes + half
    found: dict[int, list[int]] = {}

    async def bench(ctx: Any) -> None:
        sample = dict(zip(begins, values.tolist(), strict=True))
        for cycle in range(begins[-1] + fold.latency + 2 * fold.steps + 3):
            ctx.set(component.start, cycle in sample)
            for source in range(layer.n_in):
                # Between two samples inputs are anything.
                ctx.set(component.values[source], sample[cycle][source] if cycle in sample else cycle % 2)
            if ctx.get(component.done):
                found[cycle] = [ctx.get(component.nodes[node]) for node in range(layer.n_out)]
            await ctx.tick()

    simulate(component, bench)
    addresses = (layer.evaluate(codes) + (1 << (layer.bits_out - 1))).tolist()
    return found, {begin + fold.latency: row for begin, row in zip(begins, addresses, strict=True)}


def reachable_codes(plan: LookupLayerPlan, count: int, random: np.random.Generator) -> npt.NDArray[np.int64]:
    half = 1 << (plan.bits_in - 1)
    return np.stack([random.choice(np.flatnonzero(row), count) - half for row in plan.reachable], axis=1)


@examples(30)
@given(networks(max_bits=4, wide=False), st.data())
def test_nodes_are_those_of_the_model(network: LookupNetwork, data: st.DataObject) -> None:
    """Samples as soon as there is room for one, and now and then later."""
    network = network.with_output("raw")
    index = data.draw(st.integers(0, len(network.layers) - 1))
    layer, plan = network.layers[index], plan_layers(network)[index]
    reuse_factor = data.draw(st.integers(1, max(1, sum(len(node.terms) for node in plan.nodes))))
    block = reuse_factor > 1 or data.draw(st.booleans())
    fold = LayerFold.of(index, plan, reuse_factor, block, data.draw(st.booleans()))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    codes = reachable_codes(plan, 6, random)
    gaps = random.choice([0, 0, 1, 5], len(codes) - 1)
    begins = [3, *(3 + np.cumsum(fold.steps + gaps)).tolist()]
    component = Layer(index, fold)
    found, expected = run(layer, component, codes, begins)
    if index + 1 < len(network.layers):  # what nothing takes is a constant, whatever the model has
        taken = {term.source for term in plan_layers(network)[index + 1].terms}
        for row, number in itertools.product(expected.values(), set(range(layer.n_out)) - taken):
            address = plan.nodes[number].address
            assert address is not None
            row[number] = address
    assert found == expected
    assert component.asked == {(index, number) for number in range(layer.n_out)}


def full(n_in: int, n_out: int) -> LookupNetwork:
    node, source = np.nonzero(np.ones((n_out, n_in)))
    entries = np.random.default_rng(1).integers(-6, 6, (len(node), 8))
    return LookupNetwork.of([n_in, n_out], [3, 4], [1, 1], [{"source": source, "node": node, "table": entries}])


@pytest.mark.parametrize(
    ("reuse_factor", "steps", "lanes", "latency"),
    [
        (1, 1, 6, 1 + 2 + 3),  # six lanes: three levels of sums
        (2, 2, 3, 2 + 2 + 2),
        (6, 6, 1, 6 + 2),
        (12, 12, 1, 12 + 2),  # two passes, each for two nodes
        (24, 24, 1, 24 + 2),
    ],
)
def test_cycles(reuse_factor: int, steps: int, lanes: int, latency: int) -> None:
    network = full(6, 4)
    (layer,), (plan,) = network.layers, plan_layers(network)
    fold = LayerFold.of(0, plan, reuse_factor, block=True, word_register=True)
    assert (fold.steps, len(fold.lanes)) == (steps, lanes)
    codes = reachable_codes(plan, 3, np.random.default_rng(2))
    found, expected = run(layer, Layer(0, fold), codes, [0, steps, 2 * steps])
    assert list(found) == [latency, latency + steps, latency + 2 * steps]
    assert found == expected
