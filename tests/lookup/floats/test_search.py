"""Pruning by effect, sizes without synthesis, and the search of accuracy against size."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kanrtl import InputError, LookupNetwork
from kanrtl.lookup import (
    FloatKAN,
    FloatLayer,
    NamedFunctions,
    Search,
    edge_effects,
    from_mlp,
    initial_kan,
    network_size,
    prune,
    search,
    train,
)
from support.float_kans import kans, random_kan, samples
from support.lookup_networks import networks
from support.search import examples


@examples(25)
@given(kans(), st.integers(0, 2**32 - 1))
def test_an_effect_is_the_rise_of_the_error_without_the_edge(kan: FloatKAN, seed: int) -> None:
    x = samples(kan, 50)
    effects = edge_effects(kan, x)
    exact = kan.evaluate(x)
    variance = exact[-1].var(axis=0).sum()
    assume(variance > 1e-6)
    for layer, found in zip(kan.layers, effects, strict=True):
        assert not found[~layer.edges].any()
    index = int(np.random.default_rng(seed).integers(len(kan.layers)))
    layer = kan.layers[index]
    values = kan.scale_inputs(x) if index == 0 else exact[index - 1]
    for node, source in np.argwhere(layer.edges)[:3]:
        edges, bias = layer.edges.copy(), layer.bias.copy()
        edges[node, source] = False
        bias[node] += layer.edge_values(int(source), values[:, source])[node].mean()
        layers = [*kan.layers[:index], replace(layer, edges=edges, bias=bias), *kan.layers[index + 1 :]]
        without = replace(kan, layers=tuple(layers)).evaluate(x)[-1]
        expected = ((without - exact[-1]) ** 2).mean(axis=0).sum() / variance
        assert effects[index][node, source] == pytest.approx(expected, rel=1e-6, abs=1e-9)


@examples(25)
@given(kans(), st.integers(1, 12))
def test_pruning_leaves_so_many_edges_at_most(kan: FloatKAN, edges: int) -> None:
    x = samples(kan, 50)
    pruned = prune(kan, x, edges=edges)
    there = [layer.edges for layer in pruned.layers]
    before = [layer.edges for layer in kan.layers]
    assert sum(int(mask.sum()) for mask in there) <= max(edges, 1)
    assert not any((mask & ~old).any() for mask, old in zip(there, before, strict=True))
    for first, second in pairwise(there):
        # Nothing leads nowhere, and nothing comes from nowhere.
        assert np.array_equal(first.any(axis=1), second.any(axis=0))
    total = sum(int(mask.sum()) for mask in before)
    if edges >= total and all(
        np.array_equal(first.any(axis=1), second.any(axis=0)) for first, second in pairwise(before)
    ):
        assert np.allclose(pruned.evaluate(x)[-1], kan.evaluate(x)[-1])


def test_pruning_drops_what_plays_no_part() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (400, 6))
    kan = train(initial_kan([6, 1], x), x, np.sin(3 * x[:, 1]) + x[:, 4], epochs=100).kan
    assert np.flatnonzero(kan.prune(x, edges=2).layers[0].edges[0]).tolist() == [1, 4]
    by_threshold = kan.prune(x, threshold=0.05)
    assert np.flatnonzero(by_threshold.layers[0].edges[0]).tolist() == [1, 4]
    assert ((by_threshold.evaluate(x)[-1] - kan.evaluate(x)[-1]) ** 2).mean() < 0.01


def line_layer(weights: Any, bias: Any = None) -> FloatLayer:
    """A layer of straight lines."""
    return FloatLayer.of_functions("line", NamedFunctions.of("identity", np.shape(weights)[1]), weights, bias=bias)


@pytest.mark.parametrize("edges", [1, 2, 4, 5, 9])
def test_pruning_leaves_so_many_of_equal_effects_and_the_best_of_others(edges: int) -> None:
    random = np.random.default_rng(0)
    kan = FloatKAN.of([line_layer(random.normal(size=(1, 10)))])
    x = random.normal(size=(50, 10))
    x[:, 3:] = 0.5  # seven edges do nothing
    there = kan.prune(x, edges=edges).layers[0].edges[0]
    assert there.sum() == edges
    assert there[:3].sum() == min(edges, 3)
    equal = FloatKAN.of([line_layer(np.ones((1, 10)))])
    assert np.flatnonzero(equal.prune(x[:, :1].repeat(10, 1), edges=edges).layers[0].edges[0]).tolist() == [
        *range(edges)
    ]


def test_pruning_drops_nodes_that_are_always_zero_first() -> None:
    random = np.random.default_rng(0)
    weights = [random.normal(size=(6, 3)), random.normal(size=(1, 6))]
    kan = from_mlp(weights, "relu", biases=[[-50] * 3 + [0] * 3, [0]])  # the first three nodes never are above zero
    x = random.normal(size=(80, 3))
    pruned = kan.prune(x, edges=14)
    assert 12 <= sum(int(layer.edges.sum()) for layer in pruned.layers) <= 14
    assert np.allclose(pruned.evaluate(x)[-1], kan.evaluate(x)[-1])


def test_pruning_tells_where_nothing_is_left() -> None:
    random = np.random.default_rng(0)
    first = line_layer(np.ones((3, 2)))
    kan = FloatKAN.of([first, FloatLayer.of_functions("last", NamedFunctions.of("relu", 3), np.ones((2, 3)))])
    x = random.normal(size=(50, 2))
    (note,) = kan.prune(x, edges=1).notes
    assert str(note) == "edges = 12 (the 1 that do most lead from no input to an output; leave more)"
    assert not kan.prune(x, edges=12).notes


def test_pruning_refuses_samples_for_which_a_node_is_no_number() -> None:
    kan = FloatKAN.of([FloatLayer.of_callables("log", [[np.log]])])
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=r"x\[1\]: node 0 of layer 0 gives nan"):
        kan.prune([[1.0], [-1.0]], edges=1)


# Sizes.


def test_a_size_counts_what_is_left_of_tables_and_sums() -> None:
    ramp = np.arange(8)
    edges = {
        "source": [0, 0, 1, 1],
        "node": [0, 1, 0, 1],
        # The first two are one but for an offset, and the last is a constant.
        "table": [ramp, ramp + 5, (ramp == 6).astype(int), np.full(8, 4)],
        # The lowest sums are the lowest codes, so that no constant is left to add.
        "bias": [-128, -137],
    }
    network = LookupNetwork.of([2, 2], [3, 8], [1, 1], [edges])
    # A ramp is the address itself. The other table is a function of three bits; its sum with the ramp has four.
    assert network_size(network).as_dict() == {"edges": 3, "table_bits": 8 * 3 + 8 * 1, "lut": 1 + 4}
    # Two codes of eight bits are compared, and one of them and an index are chosen.
    assert network_size(network.with_output("argmax")).lut == 5 + 8 + 8 + 1
    # A threshold is a bit of the sum, and what no sum reaches is nothing at all.
    assert network_size(network.with_output("threshold", [-125, -125])).lut == 1 + 4
    assert network_size(network.with_output("threshold")).as_dict() == {"edges": 0, "table_bits": 0, "lut": 0}


@examples(25)
@given(networks(max_bits=5, wide=False), st.integers(1, 3))
def test_a_constant_edge_costs_nothing(network: LookupNetwork, value: int) -> None:
    layers = []
    for layer in network.layers:
        source, node = np.meshgrid(np.arange(layer.n_in), np.arange(layer.n_out))
        pairs = {*zip(layer.source.tolist(), layer.node.tolist(), strict=True)}
        missing = [pair for pair in zip(source.ravel(), node.ravel(), strict=True) if pair not in pairs]
        # As much less in the bias as the new edges add.
        bias = layer.bias.copy()
        for _, to in missing:
            bias[to] -= value
        layers.append(
            {
                "source": [*layer.source, *(pair[0] for pair in missing)],
                "node": [*layer.node, *(pair[1] for pair in missing)],
                "table": np.concatenate(
                    [layer.table, np.full((len(missing), 1 << layer.bits_in), value, dtype=np.int64)]
                ),
                "bias": bias,
            }
        )
    same = LookupNetwork.of(
        network.layer_sizes,
        network.bits,
        network.steps,
        layers,
        guard_bits=[layer.guard_bits for layer in network.layers],
        output=network.output,
        thresholds=network.thresholds or None,
    )
    assert network_size(same) == network_size(network)


def test_more_bits_take_more() -> None:
    kan = random_kan([4, 3], 3, "silu", 0)
    x = samples(kan, 100)
    sizes = [network_size(kan.calibrate(x, bits).quantise(kan)) for bits in ([3, 4], [5, 4], [5, 8])]
    assert sizes[0].lut < sizes[1].lut < sizes[2].lut
    assert sizes[0].table_bits < sizes[1].table_bits < sizes[2].table_bits


# The search.


@pytest.fixture(scope="module")
def classes() -> tuple[FloatKAN, Any, Any]:
    """Two of five inputs tell three classes apart."""
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (250, 5))
    y = (x[:, 0] + x[:, 1] ** 2 > 0.2).astype(int) + (x[:, 0] > 0.6)
    return train(initial_kan([5, 3], x), x, y, loss="cross_entropy", epochs=40).kan, x, y


@pytest.fixture(scope="module")
def found(classes: tuple[FloatKAN, Any, Any]) -> Search:
    kan, x, y = classes
    return search(kan, x, y, bits=6, output="argmax", loss=0.05)


def test_a_front_rises_and_nothing_beats_it(found: Search) -> None:
    front = found.front
    assert len(front) >= 3
    for smaller, larger in pairwise(front):
        assert smaller.size.lut < larger.size.lut
        assert smaller.score < larger.score
    for point in found.points:
        assert any(one.size.lut <= point.size.lut and one.score >= point.score for one in front)


def test_scores_are_those_of_the_networks(found: Search, classes: tuple[FloatKAN, Any, Any]) -> None:
    kan, x, y = classes
    assert found.float_score == (kan.evaluate(x)[-1].argmax(axis=1) == y).mean()
    for point in found.front:
        network = point.quantise("argmax")
        assert (network.predict(x) == y).mean() == point.score
        assert network_size(network) == point.size
        assert network.bits == point.bits


def test_the_best_is_small_enough_and_good_enough(found: Search) -> None:
    assert found.best() is found.front[-1]
    close = found.best(tolerance=0.02)
    assert close.score >= found.float_score - 0.02
    assert all(point.score < found.float_score - 0.02 for point in found.points if point.size.lut < close.size.lut)
    # The inputs that tell nothing are not paid for.
    assert close.size.edges < found.points[0].size.edges
    limit = found.front[1].size.lut
    assert found.best(max_lut=limit) is found.front[1]
    with pytest.raises(InputError, match="max_lut = 1: the smallest network that was tried takes"):
        found.best(max_lut=1)
    with pytest.raises(InputError, match="tolerance = -1: the best within the limit scores"):
        found.best(tolerance=-1)
    with pytest.raises(InputError, match=r"^tolerance = nan: must be a number$"):
        found.best(tolerance=float("nan"))
    with pytest.raises(InputError, match=r"^max_lut = '9': must be an integer"):
        found.best(max_lut="9")  # type: ignore[arg-type]  # what is tested


def test_a_report(found: Search, tmp_path: Path) -> None:
    content = json.loads(json.dumps(found.as_dict()))
    assert content["measure"] == "accuracy"
    assert sum(point["on_front"] for point in content["points"]) == len(found.front)
    picture = tmp_path / "front.png"
    found.plot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match=r"unknown kind of picture"):
        found.plot(tmp_path / "front.txt")


@pytest.mark.thorough
def test_without_y_the_floats_are_the_measure() -> None:
    kan = random_kan([2, 2, 1], 2, "tanh", 4)
    x = samples(kan, 80)
    messages: list[str] = []
    found = kan.search(x, bits=[7, 7, 8], guard_bits=[1], loss=0.05, progress=messages.append)
    assert (found.measure, found.float_score) == ("R2", 1.0)
    assert found.points[0].bits == (7, 7, 8)
    assert found.points[0].guard_bits == (1, 0)
    assert found.best().score == pytest.approx(1 - found.best().error)
    assert messages
    threshold = kan.search(x, bits=4, output="threshold", loss=0.02)
    assert threshold.float_score == 1.0


def test_an_output_that_is_compared_with_zero_keeps_two_bits() -> None:
    kan = FloatKAN.of([line_layer([[1.0]])])
    x = np.linspace(-1, 1, 40)[:, None]
    for call in (lambda: search(kan, x, output="argmax"), lambda: kan.quantise([4, 4], 0.5, output="argmax")):
        with pytest.raises(InputError, match=r"^output = 'argmax': there is 1 output, whose class is always 0; set"):
            call()
    found = search(kan, x, bits=[3, 2], least_bits=1, output="threshold", loss=1)
    assert {point.bits for point in found.points} >= {(3, 2), (2, 2)}
    assert {point.bits[1] for point in found.points} == {2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": [4]}, "bits: 1 values; give one for all, or 2"),
        ({"bits": 17}, "bits = 17"),
        ({"guard_bits": [1]}, "guard_bits: 1 values; give one for all, or 0, one for each hidden layer"),
        ({"output": "softmax"}, "output = 'softmax': must be one of 'raw', 'argmax', 'threshold'"),
        ({"output": "threshold"}, "output = 'threshold': the KAN has 3 outputs; use 'argmax'"),
        ({"y": [1, 2]}, r"y: shape \(2,\) for 250 samples"),
        ({"y": 0}, r"y: shape \(\) for 250 samples"),
        ({"y": np.arange(250) % 3 + 1}, "y: holds 3, but the classes of stage argmax are 0 to 2; number them so"),
        ({"y": np.arange(250) % 2 + 5}, "y: holds 5, but the classes of stage argmax are 0 to 2; number them so"),
        ({"y": np.arange(250) % 2 * 2 - 1}, "y: holds -1, but the classes of stage argmax are 0 to 2"),
        ({"y": ["a", "b"] * 125}, "y: not an array of numbers; give what is to be predicted, for classes those from 0"),
        ({"y": [0, np.nan] * 125}, r"y\[1\] = nan: give a number"),
        ({"y": ["a", "b"] * 125, "output": "raw"}, "y: not an array of numbers"),
        ({"method": "luck"}, "method = 'luck'"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    classes: tuple[FloatKAN, Any, Any], change: dict[str, Any], message: str
) -> None:
    kan, x, y = classes
    with pytest.raises(InputError, match=message):
        search(kan, **{"x": x, "y": y, "output": "argmax"} | change)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda kan, x: kan.prune(x), "threshold, edges: give one of the two"),
        (lambda kan, x: kan.prune(x, edges=0), "edges = 0: must be 1 or more"),
        (lambda kan, x: kan.prune(x, threshold=-1), "threshold = -1: must be a number, 0 or more"),
        (lambda kan, x: kan.prune(x[:, 1:], edges=3), "x: shape"),
    ],
)
def test_what_cannot_be_pruned_is_refused(
    classes: tuple[FloatKAN, Any, Any], call: Callable[[FloatKAN, Any], Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        call(*classes[:2])


def test_a_factor_of_all_weights_changes_nothing(classes: tuple[FloatKAN, Any, Any]) -> None:
    """Also one with which their sum is more than a number can be."""
    kan, x, y = classes
    weights = np.random.default_rng(0).integers(1, 4, len(x)).astype(float)
    few, many = (search(kan, x, y, bits=3, output="argmax", loss=0.01, weights=weights * by) for by in (1.0, 2.0**1020))
    assert few.float_score == many.float_score
    assert [point.score for point in few.points] == [point.score for point in many.points]
