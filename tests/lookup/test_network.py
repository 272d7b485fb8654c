"""The integer model of a lookup network, its quantisers, and its files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kanrtl
from kanrtl import SQ, UQ, InputError, LookupNetwork
from kanrtl.lookup import FixedQuantiser, Quantiser
from support.damaged import refused_or_harmless
from support.lookup_networks import codes_for, networks
from support.search import examples

TABLE = np.arange(4) * 3 - 5


NEEDED = ("steps", "offsets", "input_scale", "input_offset", "source_0", "node_0", "table_0", "bias_0")
"""Arrays without which a saved network is none."""


def small(**options: Any) -> LookupNetwork:
    """Two inputs of two bits, one node of three."""
    edges = {"source": [1, 0], "node": [0, 0], "table": [TABLE, [1, 0, 0, -2]]}
    return LookupNetwork.of([2, 1], [2, 3], [0.5, 0.25], [edges], **options)


def test_a_node_is_the_saturated_sum_of_its_tables() -> None:
    codes = np.array([[-2, -2], [1, 0], [0, 1], [-1, 1]])
    # Input 0 has the second table and input 1 the first: 1 - 5, -2 + 1, 0 + 4 -> 3, 0 + 4 -> 3.
    assert small().predict_codes(codes).tolist() == [[-4], [-1], [3], [3]]


def test_guard_bits_round_half_up_and_a_bias_counts_in_their_units() -> None:
    edges = {"source": [0], "node": [0], "table": [[-6, -2, 1, 5]], "bias": [1]}
    network = LookupNetwork.of([1, 2], [2, 8], [1, 1], [edges | {"bias": [1, -3]}], guard_bits=[2])
    # (-5, -1, 2, 6) / 4 and -3 / 4; ties go up.
    assert network.predict_codes([[-2], [-1], [0], [1]]).tolist() == [[-1, -1], [0, -1], [1, -1], [2, -1]]


def reference(network: LookupNetwork, codes: list[int]) -> list[int]:
    """One sample, edge by edge, in Python's own integers."""
    for layer in network.layers:
        sums = [int(bias) for bias in layer.bias]
        for source, node, table in zip(layer.source, layer.node, layer.table, strict=True):
            sums[node] += int(table[codes[source] + 2 ** (layer.bits_in - 1)])
        if layer.guard_bits:
            sums = [(total + 2 ** (layer.guard_bits - 1)) >> layer.guard_bits for total in sums]
        highest = 2 ** (layer.bits_out - 1) - 1
        codes = [min(max(total, -highest - 1), highest) for total in sums]
    if network.output == "argmax":
        return [codes.index(max(codes))]
    if network.output == "threshold":
        return [int(code > threshold) for code, threshold in zip(codes, network.thresholds, strict=True)]
    return codes


@examples(40)
@given(networks(), st.integers(0, 2**32 - 1))
def test_model_equals_a_sum_by_hand(network: LookupNetwork, seed: int) -> None:
    codes = codes_for(network, 6, seed)
    assert network.predict_codes(codes).tolist() == [reference(network, row) for row in codes.tolist()]


def test_output_stages() -> None:
    edges = {"source": [0, 0], "node": [0, 2], "table": [[0, 1, 2, 3], [0, 1, 1, 4]]}
    network = LookupNetwork.of([1, 3], [2, 4], [1, 0.5], [edges])
    x = np.arange(-2, 2)[:, None]
    assert network.predict(x).tolist() == [[0, 0, 0], [0.5, 0, 0.5], [1, 0, 0.5], [1.5, 0, 2]]
    assert network.with_output("argmax").predict(x).tolist() == [0, 0, 0, 2]
    assert network.with_output("threshold", [0, -1, 1]).predict(x).tolist() == [
        [0, 1, 0],
        [1, 1, 0],
        [1, 1, 0],
        [1, 1, 1],
    ]
    assert network.with_output("argmax").predict([1]) == 2


def test_one_output_is_compared_with_none() -> None:
    edges = {"source": [0], "node": [0], "table": [[0, 1, 2, 3]]}
    network = LookupNetwork.of([1, 1], [2, 4], [1, 0.5], [edges])
    line = r"^output = 'argmax': there is 1 output, whose class is always 0; set output = \"threshold\" \("
    with pytest.raises(InputError, match=line):
        network.with_output("argmax")


def test_784_inputs_of_one_bit() -> None:
    random = np.random.default_rng(3)
    source = np.arange(784)
    table = random.integers(-3, 4, (784, 2))
    edges = {"source": source, "node": source % 10, "table": table}
    network = LookupNetwork.of([784, 10], [1, 8], [1, 1], [edges])
    codes = random.integers(-1, 1, (50, 784))
    expected = [[sum(table[j, row[j] + 1] for j in range(k, 784, 10)) for k in range(10)] for row in codes]
    assert np.array_equal(network.predict_codes(codes), np.clip(expected, -128, 127))


# Inputs.


def test_quantiser_rounds_half_to_even_and_saturates() -> None:
    quantiser = Quantiser.of([2.0, -1.0], [0.5, 0.0], 3, 2)
    x = np.array([[0.0, 0.5], [0.5, 1.5], [9.0, 9.0], [-np.inf, -np.inf]])
    assert quantiser.codes(x).tolist() == [[0, 0], [2, -2], [3, -4], [-4, 3]]


def test_an_input_whose_scale_is_zero_may_be_infinite() -> None:
    quantiser = Quantiser.of([0.0, 1.0], [2.0, 0.5], 3, 2)
    assert quantiser.codes(np.array([[np.inf, np.inf], [-np.inf, -np.inf]])).tolist() == [[2, 3], [2, -4]]


@examples(60)
@given(
    st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40)), min_size=1, max_size=3),
    st.integers(1, 10),
    st.builds(SQ, st.integers(1, 5), st.integers(0, 9)) | st.builds(UQ, st.integers(1, 5), st.integers(0, 9)),
    st.integers(4, 10),
)
def test_fixed_quantiser_differs_only_at_borders(
    affine: list[tuple[float, float]], bits: int, format: kanrtl.Format, fraction_bits: int
) -> None:
    exact = Quantiser.of(*np.array(affine).T, bits, len(affine))
    fixed = exact.fixed(format, fraction_bits)
    raw = np.unique(np.linspace(format.minimum, format.maximum, 50).astype(np.int64))[:, None].repeat(
        len(affine), axis=1
    )
    x = format.to_float(raw)
    codes, real = fixed.codes_of_raw(raw), x * exact.scale + exact.offset
    assert np.array_equal(fixed.codes(x), codes)
    border = np.abs(real - np.floor(real) - 0.5) <= 2.0**-fraction_bits
    assert ((codes == exact.codes(x)) | border).all()


def test_fixed_quantiser_of_powers_of_two_takes_no_multiplier() -> None:
    fixed = Quantiser.of([4.0, 0.5], 0.0, 6, 2).fixed(SQ(3, 5))
    assert all(scale & (scale - 1) == 0 for scale in fixed.scale)
    assert fixed.shift == 6


# Files.


@examples(15)
@given(networks())
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, network: LookupNetwork) -> None:
    path = tmp_path_factory.mktemp("saved") / "network.npz"
    network.save(path)
    loaded = LookupNetwork.load(path)
    assert (loaded.bits, loaded.steps, loaded.output) == (network.bits, network.steps, network.output)
    codes = codes_for(network, 20, 0)
    assert all(map(np.array_equal, loaded.layer_codes(codes), network.layer_codes(codes)))
    x = np.random.default_rng(1).normal(0, 2, (20, network.n_in))
    assert np.array_equal(loaded.predict(x), network.predict(x))


def test_a_fixed_quantiser_is_loaded(tmp_path: Path) -> None:
    network = small()
    fixed = network.with_quantiser(network.quantiser.fixed(SQ(3, 4)))
    fixed.save(tmp_path / "network.npz")
    loaded = LookupNetwork.load(tmp_path / "network.npz")
    assert isinstance(loaded.quantiser, FixedQuantiser)
    assert loaded.quantiser.format == SQ(3, 4)
    x = np.random.default_rng(1).normal(0, 2, (50, 2))
    assert np.array_equal(loaded.predict(x), fixed.predict(x))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.npz"
    small().save(path)
    refused_or_harmless(path, lambda path: LookupNetwork.load(path).layers[0].table, every=7)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="not a saved network"):
        LookupNetwork.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": np.array("{}")}, "not a saved network"),
        ({"network": np.array("nonsense")}, "not a saved network"),
        ({"network": np.array(json.dumps({"format": "kanrtl lookup network 9"}))}, "is of format"),
        *(({name: None}, f": '{name}' is missing; give a file that LookupNetwork.save wrote$") for name in NEEDED),
        ({"network": np.array(json.dumps({"format": "kanrtl lookup network 1"}))}, "'layer_sizes' is missing"),
        ({"input_offset": np.array("text")}, ": quantiser.offset: not an array of numbers; give one number, or 2$"),
        ({"input_scale": np.ones(2, complex)}, ": quantiser.scale: not an array of numbers; give one number, or 2$"),
        ({"network": np.array('"nonsense"')}, "not a saved network"),
        ({"table_0": np.zeros((2, 3), np.int8)}, "table: shape"),
        ({"source_0": np.array([0, 7])}, "source: from 0 to 7"),
        ({"steps": np.array([1.0, -1.0])}, "step = -1.0"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "network.npz"
    small().save(path)
    with np.load(path) as content:
        arrays = {name: value for name, value in {**content, **change}.items() if value is not None}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message):
        LookupNetwork.load(path)


@pytest.mark.parametrize(
    ("about", "arrays", "message"),
    [
        ({"shift": 1.5}, {}, "quantiser.shift = 1.5: must be an integer from 0 to 62"),
        ({"shift": "1"}, {}, "quantiser.shift = '1': must be an integer from 0 to 62"),
        ({"bits": 2.0}, {}, "quantiser.bits = 2.0: must be an integer from 1 to 16"),
        ({"format": "SQ(200, 2)"}, {}, r"quantiser: its scale or offset is too large for inputs in SQ\(200, 2\)"),
        ({"format": "SQ(99999999999, 2)"}, {}, r"quantiser: .SQ\(99999999999, 2\). is not a format; write SQ\(i, f\)"),
        ({}, {"input_scale": np.full(2, 1 << 58)}, "quantiser: its scale or offset is too large for inputs in"),
        ({}, {"input_scale": np.ones((2, 2), int)}, r"quantiser.scale: shape \(2, 2\), type int64; give integers"),
        ({}, {"input_scale": np.ones((), int)}, r"quantiser.scale: shape \(\), type int64; give integers"),
        ({}, {"input_offset": np.ones(2)}, r"quantiser.offset: shape \(2,\), type float64; give integers"),
        ({"kind": "log"}, {}, "quantiser: the kind 'log' is not known; save it with this version"),
        ({"kind": "real", "bits": 2.0}, {}, "quantiser.bits = 2.0: must be an integer from 1 to 16"),
    ],
)
def test_a_file_with_a_wrong_quantiser_is_refused(
    tmp_path: Path, about: dict[str, Any], arrays: dict[str, Any], message: str
) -> None:
    path = tmp_path / "network.npz"
    network = small()
    network.with_quantiser(network.quantiser.fixed(SQ(3, 4))).save(path)
    with np.load(path) as content:
        saved = dict(content)
    description = json.loads(str(saved["network"]))
    description["quantiser"] |= about
    np.savez(path, **saved | arrays | {"network": np.array(json.dumps(description))})
    with pytest.raises(InputError, match=message):
        LookupNetwork.load(path)


def test_a_file_that_is_not_there_or_of_another_kind(tmp_path: Path, tracker: kanrtl.LearnerSpec) -> None:
    with pytest.raises(InputError, match="No such file"):
        LookupNetwork.load(tmp_path / "none.npz")
    with kanrtl.connect(tracker) as learner:
        learner.save(tmp_path / "learner.npz")
    with pytest.raises(InputError, match="not a saved network"):
        LookupNetwork.load(tmp_path / "learner.npz")


# Refusals.

EDGES: dict[str, Any] = {"source": [0], "node": [0], "table": [[0, 1, 2, 3]]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1], [2], [1], []), "layer_sizes"),
        (
            ([1, 1], [2], [1, 1], [EDGES]),
            "bits: 1 values; give one for all, or 2, one for the inputs and for each layer",
        ),
        (([1, 1], [2, 3], [1], [EDGES]), "steps: 1 values; give one for all, or 2"),
        (([1, 1], [2, 3], [1, 1], []), "edges: 0 entries"),
        (([1, 1], [2, 17], [1, 1], [EDGES]), "bits_out = 17"),
        (([1, 1], [0, 3], [1, 1], [EDGES]), "bits_in = 0"),
        (([1, 1], [2, 3], [0, 1], [EDGES]), r"steps\[0\] = 0"),
        (([1, 1], [2, 3], [1, 1], [{"source": [0], "node": [0]}]), "'table' is missing"),
        (([1, 1], [2, 3], [1, 1], [EDGES | {"tabel": 1}]), "'tabel' is not known"),
        (([1, 1], [2, 3], [1, 1], [EDGES | {"source": [1]}]), "source: from 1 to 1; must lie between 0 and 0"),
        (([1, 1], [2, 3], [1, 1], [EDGES | {"node": [0, 0]}]), "node: 2 nodes for 1 sources"),
        (([1, 1], [2, 3], [1, 1], [EDGES | {"table": [[0, 1]]}]), r"table: shape \(1, 2\); must be \(1, 4\)"),
        (([1, 1], [2, 3], [1, 1], [EDGES | {"table": [[0, 1, 2.5, 3]]}]), "table: type float64"),
        (([1, 1], [2, 3], [1, 1], [EDGES | {"table": [[0, 1, 2, 2**31]]}]), "31 bits"),
        (([1, 1], [2, 3], [1, 1], [EDGES | {"bias": [1, 2]}]), "bias: shape"),
        (([1, 1], [2, 3], [1, 1], [{"source": [0, 0], "node": [0, 0], "table": [[0] * 4] * 2}]), "is there twice"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LookupNetwork.of(*arguments)


def test_wrong_calls_are_refused() -> None:
    network = small()
    for wrong, message in [
        (lambda: network.predict([[1, 2, 3]]), r"x: shape \(1, 3\); must be \(n, 2\)"),
        (lambda: network.predict([[1, np.nan]]), r"x\[0, 1\] = nan"),
        (lambda: network.predict("no"), "not an array"),
        (lambda: network.predict(np.zeros((1, network.n_in), dtype=complex)), "x: not an array of numbers"),
        (lambda: network.predict(np.zeros((1, network.n_in), dtype="M8[s]")), "x: not an array of numbers"),
        (lambda: network.predict_codes([[2, 0]]), "codes: from 0 to 2; 2 bits hold -2 to 1"),
        (lambda: network.predict_codes([[0.5, 0]]), "codes: type float64"),
        (lambda: network.predict_codes([[1, 0], [1]]), r"codes: rows of different lengths; must be \(n, 2\)"),
        (lambda: network.predict_codes(np.ma.array([[1, 0]], mask=[[0, 1]])), r"codes\[0, 1\] is masked"),
        (lambda: network.with_output("softmax"), "output = 'softmax'"),
        (lambda: network.with_output("threshold", [9]), r"thresholds\[0\] = 9: must be an integer from -4 to 3"),
        (lambda: network.with_output("argmax", [0]), r'set output = "threshold" \(--stage threshold\)$'),
        (lambda: network.with_output("raw", np.array([0])), "thresholds: output = .raw. has none; leave them out"),
        (lambda: network.with_output("raw", np.array([0, 1])), "thresholds: output = .raw. has none; leave them out"),
        (lambda: network.with_output("raw", 0), "thresholds: is of type int; give a list, or leave it out"),
        (lambda: network.quantiser.fixed(SQ(1, 99999)), r"too large for inputs in SQ\(1, 99999\); give fewer bits"),
        (lambda: Quantiser.of(1, 0, 2.5, 2), "quantiser.bits = 2.5: must be an integer"),
        (lambda: network.with_quantiser(Quantiser.of(1, 0, 3, 2)), "quantiser: makes 2 codes of 3 bits"),
        (lambda: Quantiser.of([1, np.inf], 0, 2, 2), "quantiser.scale: not all"),
    ]:
        with pytest.raises(InputError, match=message):
            wrong()


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("layer_sizes", None, "layer_sizes: is of type NoneType; give a list"),
        ("edges", 7, "edges: is of type int; give a list"),
        ("edges", [7], "edges[0]: is of type int; give a mapping with source, node and table"),
        ("thresholds", 5, "thresholds: is of type int; give a list, or leave it out"),
        ("guard_bits", 1.5, "edges[0].guard_bits = 1.5: must be an integer from 0 to 30"),
        ("bits", {2: 3}, "edges[0].bits_in = {2: 3}: must be an integer from 1 to 16"),
    ],
)
def test_wrong_kinds_are_refused(name: str, value: Any, line: str) -> None:
    edges = [{"source": [1, 0], "node": [0, 0], "table": [TABLE, [1, 0, 0, -2]]}]
    right = {"layer_sizes": [2, 1], "bits": [2, 3], "steps": [0.5, 0.25], "edges": edges}
    with pytest.raises(InputError, match=f"^{re.escape(line)}$"):
        LookupNetwork.of(**{**right, name: value})


def test_what_floats_do_not_hold_is_refused_when_outputs_are_scaled() -> None:
    edges = [{"source": [0], "node": [0], "table": [list(range(-8, 8))]}]
    network = LookupNetwork.of([1, 1], 4, [1.0, 1e300], edges)
    assert network.scale_outputs(1e7).predict([1.0]).tolist() == [1e300 * 1e7]
    for scale, line in ((1e10, "scale: not all numbers are finite"), (1e-320, "scale = 0.0: must be a number above 0")):
        small = network.scale_outputs(1e-310) if scale < 1 else network
        with pytest.raises(InputError, match=f"^scale_outputs: {line}"):
            small.scale_outputs(scale)
    with pytest.raises(InputError, match=r"^scale_outputs: offset: not all numbers are finite"):
        network.scale_outputs(1.0, np.inf)
    # A step is finite, and what the lowest code stands for is not.
    for scale, offset in ((2.3e7, 0.0), (1e7, -1.5e308)):
        with pytest.raises(InputError, match=r"^scale_outputs: some outputs would be infinite; give a smaller scale"):
            network.scale_outputs(scale, offset)


@pytest.mark.parametrize(
    ("field", "value", "line"),
    [
        ("source", [[0], [0, 1]], "rows of different lengths; give integers, one for each edge"),
        ("table", [[0, 1], [0]], "rows of different lengths; must have shape"),
        ("source", np.ma.array([0], mask=True), "is masked"),
        ("table", np.ma.array([[0, -1]], mask=[[0, 1]]), "[0, 1] is masked"),
        ("bias", np.ma.array([7], mask=True), "is masked"),
    ],
)
def test_what_an_edge_has_is_whole(field: str, value: Any, line: str) -> None:
    edges = {"source": [0], "node": [0], "table": [[0, -1]], field: value}
    with pytest.raises(InputError, match=rf"^edges\[0\]\.{field}:? ?{re.escape(line)}"):
        LookupNetwork.of([1, 1], 1, 0.5, [edges])


def test_a_format_is_no_text() -> None:
    with pytest.raises(InputError, match=r"^format: is of type str; give a Format, such as SQ"):
        Quantiser.of(1.0, 0.0, 4, 1).fixed("SQ(3, 5)")  # type: ignore[arg-type]  # what is tested
