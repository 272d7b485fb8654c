"""What a core takes at the least: never more than is estimated of its plan, and nothing of what a plan leaves out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LookupNetwork
from kanrtl.build import Device
from kanrtl.lookup.rtl.bound import Bound, _follow, bound_core
from kanrtl.lookup.rtl.network_estimate import estimate_network
from kanrtl.lookup.rtl.network_plan import plan_layers

ECP5 = Device.parse("LFE5U-25F")


def dense(sizes: list[int], bits: list[int], **options: Any) -> LookupNetwork:
    """Every edge, noise in its table."""
    random, edges = np.random.default_rng(0), []
    for index in range(len(sizes) - 1):
        node, source = np.nonzero(np.ones((sizes[index + 1], sizes[index])))
        half = 1 << (bits[index + 1] - 2)
        table = random.integers(-half, half, (len(node), 1 << bits[index]))
        edges.append({"source": source, "node": node, "table": table})
    return LookupNetwork.of(sizes, bits, [1] * len(sizes), edges, **options)


@pytest.mark.parametrize("options", [{}, {"memory": "block"}, {"reuse_factor": 6}, {"memory": "logic"}], ids=str)
@pytest.mark.parametrize("device", ["LFE5U-25F", "iCE40HX1K"])
@pytest.mark.parametrize("output", ["raw", "argmax", "threshold"])
def test_it_is_below_the_estimate(device: str, options: dict[str, Any], output: str) -> None:
    network, part = dense([5, 3, 2], [4, 4, 5], output=output), Device.parse(device)
    bound, found = bound_core(network, part, **options), estimate_network(network, part, **options)
    assert 0 < bound.lut + bound.bram
    assert bound.lut <= found.lut
    assert bound.bram <= found.bram


def test_adders_are_counted_by_hand() -> None:
    # Three tables whose values span 3, 7 and 15, and a constant one: adders of two and of three bits at the least.
    table = np.outer([3, 7, 15, 0], [0, 1])
    edges = {"source": [0, 1, 2, 3], "node": [0] * 4, "table": table}
    network = LookupNetwork.of([4, 1], [1, 6], [1, 1], [edges])
    assert bound_core(network, ECP5) == Bound(2 + 3, 0)
    assert bound_core(network, ECP5, whole_from=0) == Bound(0, 0)


def test_a_table_alone_holds_no_more_than_its_node_gives() -> None:
    """Entries of twenty bits, of a node of four: in blocks no more than these."""
    edges = {"source": [0], "node": [0], "table": [np.linspace(-1 << 19, 1 << 19, 1 << 12).astype(int)]}
    network = LookupNetwork.of([1, 1], [12, 4], [1, 1], [edges])
    assert bound_core(network, ECP5).bram == 1
    assert estimate_network(network, ECP5).bram == 1


def test_what_nobody_takes_is_not_counted() -> None:
    whole = dense([4, 2, 1], [4, 4, 4])
    first, last = whole.layers
    edges = [{"source": layer.source, "node": layer.node, "table": layer.table.copy()} for layer in (first, last)]
    edges[1]["table"][1] = 5
    cut = LookupNetwork.of([4, 2, 1], [4, 4, 4], [1, 1, 1], edges)
    none = LookupNetwork.of([4, 2, 1], [4, 4, 4], [1, 1, 1], [edges[0], edges[1] | {"table": 0 * last.table}])
    assert bound_core(none, ECP5) == Bound(0, 0)
    assert 0 < bound_core(cut, ECP5).lut < bound_core(whole, ECP5).lut


def test_parameters_that_cannot_be() -> None:
    network = dense([3, 2], [4, 4])
    with pytest.raises(InputError, match=r"^memory = 'rom': must be one of"):
        bound_core(network, ECP5, memory="rom")
    wrong: list[dict[str, Any]] = [
        {"reuse_factor": [1, 2]},
        {"reuse_factor": "2"},
        {"reuse_factor": 0},
        {"whole_from": 9},
    ]
    assert [bound_core(network, ECP5, **one) for one in wrong] == [Bound(0, 0)] * 4
    assert Bound(10, 3).find_shortage(ECP5) is None
    assert Bound(10**6, 10**6).find_shortage(ECP5) == "bram"
    assert Bound(10**6, 0).find_shortage(ECP5) == "lut"


@pytest.mark.parametrize("guard", [0, 2])
def test_addresses_that_are_reached_are_those_of_the_plan(guard: int) -> None:
    network = dense([4, 3, 2], [4, 5, 4], guard_bits=[guard, guard])
    plan = plan_layers(network)[1]
    _, _, reached, _ = _follow(network.layers[0], np.ones((4, 16), dtype=bool))
    assert not (reached & ~plan.reachable).any()
    assert reached.sum() > plan.reachable.sum() / 2
