"""Trained KANs of other programs: what is imported is what they compute."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.interpolate import BSpline

import kanrtl
from kanrtl import InputError
from kanrtl.lookup import (
    FloatKAN,
    FloatLayer,
    connect_network,
    from_efficient_kan,
    from_kanele,
    from_kanele_tables,
    from_pykan,
)
from kanrtl.lookup.floats.importers import kanele_packed_tables, read_state_dict
from kanrtl.lookup.floats.named_functions import BASES
from kanrtl.lookup.floats.sampled_functions import bases
from support.kan_checkpoints import RANDOM, efficient, kanele, knots, pykan
from support.lookup_networks import published_folder
from support.torch_files import tensors, write_archive

SCALE = "brevitas_module.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"

# Splines.


@pytest.mark.parametrize("order", [0, 1, 3, 10])
def test_bases_are_those_of_scipy(order: int) -> None:
    grid = knots(6, order, 1)[0]
    x = np.concatenate([np.linspace(-2, 2, 101)[:-1], grid[order : order + 6]])
    expected = BSpline.design_matrix(x, grid, order).toarray()
    np.testing.assert_allclose(bases(x, grid, order), expected, atol=1e-12)


def test_outside_the_knots_only_the_base_is_left() -> None:
    layer = FloatLayer.of("layer", knots=knots(4, 3, 1), coefficients=np.ones((1, 1, 7)), base_weights=2.0)
    assert layer.evaluate(np.array([[9.0]]))[0, 0] == 2 * BASES["silu"](np.array([9.0]))[0]


def test_activations() -> None:
    x = np.array([-800.0, -1.0, 0.0, 2.0, 800.0])
    np.testing.assert_allclose(BASES["silu"](x), [0, -0.2689414213699951, 0, 1.7615941559557649, 800], atol=1e-15)
    np.testing.assert_allclose(BASES["gelu"](x), [0, -0.15865525393145707, 0, 1.9544997361036416, 800], atol=1e-15)


# Plain arrays and quantising.


def test_tables_are_rounded_values_of_edges() -> None:
    kan = FloatKAN.of([FloatLayer.of("layer", base="identity", **plain())], [2.0, 0.5], 0.25)
    network = kan.quantise([5, 6], [0.25, 0.125], guard_bits=[2])
    layer = network.layers[0]
    x = (np.arange(32) - 16) * 0.25
    for source, node, table in zip(layer.source, layer.node, layer.table, strict=True):
        exact = kan.layers[0].edge_values(int(source), x)[node] / 0.125 * 4
        assert np.array_equal(table, np.clip(np.rint(exact), -128, 127))
    np.testing.assert_allclose(layer.bias, [12, -6])
    x = RANDOM.uniform(-1, 1, (300, 2))
    # Each of two edges is half a quarter of an LSB off, the node half an LSB; inputs are rounded too.
    steps = np.rint((x * kan.input_scale + kan.input_offset) / 0.25) * 0.25
    real = kan.layers[0].evaluate(np.clip(steps, -4, 3.75))
    inside = np.abs(real) < 3.5
    assert np.abs(network.predict(x) - real)[inside].max() <= (0.5 + 2 * 0.125) * 0.125 + 1e-9


def plain() -> dict[str, Any]:
    coefficients = np.random.default_rng(2).normal(0, 0.5, (2, 2, 8))
    return {
        "knots": knots(5, 3, 1),
        "coefficients": coefficients,
        "base_weights": [[0.5, -0.5], [0.0, 1.0]],
        "scales": [[1.0, 2.0], [0.5, 1.0]],
        "bias": [0.375, -0.1875],
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base": "bessel"}, "base = 'bessel': cannot be represented"),
        ({"knots": [3, 2, 1]}, "knots: shape"),
        ({"knots": knots(5, 3, 1)[:, ::-1]}, "ascending"),
        ({"coefficients": [[1, 2], [3, 4]]}, "coefficients: shape"),
        ({"coefficients": np.full((2, 2, 8), np.nan)}, "finite"),
        ({"base_weights": [[1, 2, 3]]}, "base_weights: shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FloatLayer.of("layer", **(plain() | change))


# efficient-kan.


def test_efficient_kan() -> None:
    state = efficient([3, 4, 2])
    kan = from_efficient_kan(state)
    x = RANDOM.uniform(-1.9, 1.9, (50, 3))
    for layer in range(2):
        spline = np.stack(
            [
                BSpline(state[f"layers.{layer}.grid"][j], state[f"layers.{layer}.spline_weight"][:, j].T, 3)(x[:, j])
                for j in range(x.shape[1])
            ],
            axis=2,
        )
        expected = (spline * state[f"layers.{layer}.spline_scaler"]).sum(axis=2) + BASES["silu"](x) @ state[
            f"layers.{layer}.base_weight"
        ].T
        np.testing.assert_allclose(kan.layers[layer].evaluate(x), expected, atol=1e-9)
        x = RANDOM.uniform(-1.9, 1.9, (50, 4))


def test_efficient_kan_refuses_what_it_does_not_know() -> None:
    state = efficient([2, 1])
    with pytest.raises(InputError, match=r"layers\.0\.norm: cannot be represented"):
        from_efficient_kan(state | {"layers.0.norm": np.ones(2)})
    with pytest.raises(InputError, match=r"layers\.0\.spline_weight: missing"):
        from_efficient_kan({name: value for name, value in state.items() if "spline_weight" not in name})
    with pytest.raises(InputError, match=r"layers\.0\.grid: missing"):
        from_efficient_kan({})
    for field in ("base_weight", "spline_scaler", "spline_selector"):
        with pytest.raises(InputError, match=rf"layers\.0\.{field}: shape \(1,\); must be \(1, 2\)"):
            from_efficient_kan(state | {f"layers.0.{field}": np.ones(1)})
    with pytest.raises(InputError, match=r"layers\.0\.knots: shape \(2, \d+, 1\); must be \(2, knots\)"):
        from_efficient_kan(state | {"layers.0.grid": np.asarray(state["layers.0.grid"])[..., None]})


# KANELÉ.


@pytest.mark.parametrize(
    ("sizes", "bits", "size", "order", "base", "norm"),
    [
        ([3, 2, 2], [5, 4, 6], 5, 3, "nn.SiLU", True),
        ([2, 3], [6, 5], 40, 10, "nn.GELU", False),
        ([784, 4, 3], [1, 6, 8], 3, 2, "nn.SiLU", True),
    ],
)
def test_kanele_from_floats_and_from_tables(sizes, bits, size, order, base, norm, tmp_path: Path) -> None:
    state, config = kanele(sizes, bits, size, order, base, norm)
    np.savez(tmp_path / "state.npz", config_json=json.dumps(config), **state)
    network = from_kanele(tmp_path / "state.npz")
    assert network.bits == tuple(bits)
    assert network.steps[:2] == (2.0 / 2 ** (bits[0] - 1), 3.0 / 2 ** (bits[1] - 1))
    pruned = sum(int((state[f"layers.{layer}.spline_selector"] == 0).sum()) for layer in range(len(sizes) - 1))
    assert network.edges == sum(a * b for a, b in pairwise(sizes)) - pruned
    tables = {
        f"{number}_{source}_{node}": {"acive": 1, "values_int": table.tolist()}
        for number, layer in enumerate(network.layers)
        for source, node, table in zip(layer.source, layer.node, layer.table, strict=True)
    }
    tables["0_0_0"] = tables.get("0_0_0", {"acive": 0, "values_int": []})
    with gzip.open(tmp_path / "truth_tables.json.gz", "wt") as file:
        json.dump(tables, file)
    again = from_kanele_tables(tmp_path / "truth_tables.json.gz", config, steps=network.steps)
    codes = RANDOM.integers(-(1 << (bits[0] - 1)), 1 << (bits[0] - 1), (50, sizes[0]))
    assert np.array_equal(again.predict_codes(codes), network.predict_codes(codes))


def test_kanele_input_is_normalised_before_it_is_rounded() -> None:
    state, config = kanele([2, 1], [6, 6])
    network = from_kanele(state, config)
    field = {name.rpartition(".")[2]: value for name, value in state.items() if ".pre_transforms.0." in name}
    x = RANDOM.normal(0.7, 0.5, (200, 2))
    z = (x - field["running_mean"]) / np.sqrt(field["running_var"] + 1e-5) * field["weight"] + field["bias"] - 0.25
    expected = np.clip(np.rint(z / (2.0 / 32)), -32, 31)
    assert np.array_equal(network.quantiser.codes(x), expected)


def test_kanele_checkpoints_as_they_are_saved(tmp_path: Path) -> None:
    state, config = kanele([3, 2], [5, 4])
    expected = from_kanele(state, config)
    beside = {"epoch": 7, "optimizer_state_dict": {"state": {}}, "threshold": np.float64(0.25), "auc": np.float32(0.5)}
    for number, content in enumerate(
        [
            {"model_state_dict": tensors(state, "f8"), **beside},
            {"model_state_dict": {f"module.{name}": value for name, value in tensors(state, "f8").items()}, **beside},
        ]
    ):
        path = write_archive(tmp_path / f"{number}.pt", content)
        network = from_kanele(path, config)
        assert all(
            np.array_equal(one.table, other.table) for one, other in zip(network.layers, expected.layers, strict=True)
        )
        assert [note.field for note in network.notes if note.kind == "dropped"] == ["epoch", "threshold", "auc"]
        # The configuration in the checkpoint itself.
        path = write_archive(tmp_path / f"{number}.pt", {**content, "config": config})
        assert np.array_equal(from_kanele(path).layers[0].table, expected.layers[0].table)


@pytest.mark.parametrize(
    ("change", "config", "message"),
    [
        (
            {"layers.0.output_quantizer.pre_transforms.0.weight": np.ones(1)},
            {},
            "pre_transforms.*cannot be represented",
        ),
        ({}, {"base_activation": "nn.GLU"}, "base_activation = 'nn.GLU': cannot be represented"),
        ({}, {"layers": [2, 2]}, "but the state dict has"),
        ({}, {"layers_bitwidth": [6]}, "layers_bitwidth"),
        ({}, {"layers_bitwidth": 6}, "layers_bitwidth = 6: give a list of integers"),
        ({}, {"layers_bitwidth": [6, 2.7]}, r"layers_bitwidth\[1\] = 2.7: must be an integer from 1 to 16"),
        ({}, {"layers": "21"}, "layers = '21': give a list of integers"),
        ({f"input_layer.{SCALE}": np.ones(2)}, {}, r"scaling_impl\.value: shape \(2,\); must be \(\)"),
        ({f"input_layer.{SCALE}": np.array("x")}, {}, r"scaling_impl\.value: not an array of numbers"),
        ({"input_layer.pre_transforms.x.bias": np.ones(2)}, {}, r"pre_transforms\.x\.bias: cannot be represented"),
        ({"input_layer.pre_transforms.1.bias": np.ones(3)}, {}, r"pre_transforms\.1\.bias: shape \(3,\); must be"),
        ({}, {"spline_order": 2}, "spline_order = 2: but layer 0 has 3"),
        ({"layers.0.spline_selector": np.full((1, 2), 0.5)}, {}, "spline_selector: a value between 0 and 1"),
        ({"input_layer.pre_transforms.2.conv": np.ones(2)}, {}, "conv: cannot be represented"),
        ({"input_layer.other": np.ones(2)}, {}, "input_layer.other: cannot be represented"),
    ],
)
def test_kanele_refuses_by_name(change: dict[str, Any], config: dict[str, Any], message: str) -> None:
    state, settings = kanele([2, 1], [6, 6])
    with pytest.raises(InputError, match=message):
        from_kanele(state | change, settings | config)


def test_the_scale_of_a_quantiser_may_be_an_array_of_one_number() -> None:
    state, config = kanele([2, 1], [6, 6])
    name = f"input_layer.{SCALE}"
    assert from_kanele(state | {name: np.reshape(state[name], 1)}, config).steps == from_kanele(state, config).steps


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"layers_bitwidth": [2]}, r"layers_bitwidth = \[2\]: give 2 numbers"),
        ({"layers_bitwidth": [2, 0]}, r"layers_bitwidth\[1\] = 0: must be an integer"),
        ({"layers_bitwidth": [2, "a"]}, r"layers_bitwidth\[1\] = 'a': must be an integer"),
        ({"layers": 2}, "layers = 2: give a list of integers"),
        ({"layers": [1, 1.9]}, r"layers\[1\] = 1.9: must be an integer"),
    ],
)
def test_configurations_of_tables_are_refused_by_name(config: dict[str, Any], message: str) -> None:
    tables = {"0_0_0": {"acive": 1, "values_int": [0, 1, 2, 3]}}
    settings = {"layers": [1, 1], "layers_bitwidth": [2, 4]} | config
    with pytest.raises(InputError, match=message):
        from_kanele_tables(tables, settings)
    with pytest.raises(InputError, match=message):
        kanele_packed_tables({"L0_src": [0], "L0_dst": [0], "L0_table": [[0, 1, 2, 3]]}, settings)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    state, config = kanele([2, 1], [6, 6])
    with pytest.raises(InputError, match="no config_json"):
        from_kanele(state)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match="config: is not JSON"):
        from_kanele(state, tmp_path / "bad.json")
    with pytest.raises(InputError, match="is not JSON, or damaged"):
        from_kanele_tables(tmp_path / "bad.json", config)
    with pytest.raises(InputError, match="No such file"):
        from_kanele_tables(tmp_path / "none.json", config)
    for name in ("1_0_0", f"0_{'9' * 5000}_0"):
        with pytest.raises(InputError, match="is not layer_input_node"):
            from_kanele_tables({name: {"acive": 1, "values_int": [0] * 64}}, config)
    with pytest.raises(InputError, match="has no values_int"):
        from_kanele_tables({"0_0_0": {"acive": 1}}, config)
    with pytest.raises(InputError, match="has no values_int"):
        from_kanele_tables({"0_0_0": 7}, config)
    with pytest.raises(InputError, match="torch"):
        read_state_dict(tmp_path / "bad.json")


def test_entries_out_of_range_are_clipped_and_counted() -> None:
    config = {"layers": [1, 2, 1], "layers_bitwidth": [2, 4, 3]}
    tables = {
        "0_0_0": {"acive": 1, "values_int": [10, 7, -8, -9]},
        "0_0_1": {"acive": 1, "values_int": [0, 1, 2, 3]},
        "1_0_0": {"acive": 1, "values_int": [4] * 16},
        "1_1_0": {"acive": 0, "values_int": [99] * 16},
    }
    network = from_kanele_tables(tables, config, steps=[1, 1, 1])
    assert network.layers[0].table.tolist() == [[7, 7, -8, -8], [0, 1, 2, 3]]
    assert set(network.layers[1].table.flat) == {3}
    assert [(note.kind, note.field, note.value) for note in network.notes] == [
        ("clipped", "layers.0 tables", 2),
        ("clipped", "layers.1 tables", 16),
    ]
    assert "4 bits hold -8 to 7, found -9 to 10" in str(network.notes[0])
    packed = {"config_json": np.array(json.dumps(config)), "steps": np.ones(3)}
    for number, layer in enumerate([{"0_0_0", "0_0_1"}, {"1_0_0"}]):
        names = sorted(layer)
        packed |= {
            f"L{number}_src": np.array([int(name.split("_")[1]) for name in names]),
            f"L{number}_dst": np.array([int(name.split("_")[2]) for name in names]),
            f"L{number}_table": np.array([tables[name]["values_int"] for name in names]),
        }
    assert kanele_packed_tables(packed).notes == network.notes
    (note,) = from_kanele_tables({"0_0_0": tables["0_0_1"]}, {"layers": [1, 1], "layers_bitwidth": [2, 4]}).notes
    assert (note.kind, note.field, note.value) == ("assumed", "steps", [1.0, 1.0])
    with pytest.raises(InputError, match="table"):
        from_kanele_tables(tables | {"0_0_1": {"acive": 1, "values_int": [1, 2, 3]}}, config)


@pytest.mark.parametrize(("name", "output", "right"), [("DryBean", "argmax", 2506), ("Moons", "threshold", 1947)])
def test_published_networks(name: str, output: str, right: int) -> None:
    kanele_folder = published_folder()
    network = from_kanele(kanele_folder / f"{name}.state_dict.npz")
    folder = kanele_folder / "native" / name
    published = from_kanele_tables(folder / "truth_tables.json.gz", folder / "config.json")
    for own, theirs in zip(network.layers, published.layers, strict=True):
        assert np.array_equal(own.source, theirs.source)
        assert np.array_equal(own.node, theirs.node)
        assert np.array_equal(own.table, theirs.table)
    tables = np.load(kanele_folder / f"{name}.tables.npz", allow_pickle=False)
    np.testing.assert_allclose(network.steps, tables["steps"], rtol=1e-6)
    codes = tables["xvec_in"].astype(np.int64) - (1 << (network.bits[0] - 1))
    assert len(codes) == 2048
    assert np.array_equal(network.quantiser.codes(tables["xfeat"].astype(float)), codes[: len(tables["xfeat"])])
    layers = network.layer_codes(codes)
    assert all(np.array_equal(layer, tables[f"xvec_l{number}"]) for number, layer in enumerate(layers))
    with connect_network(network, "pysim") as session:
        assert np.array_equal(session.predict_codes(codes[:200]), layers[-1][:200])
    test = np.load(kanele_folder / f"{name}.test.npz", allow_pickle=False)
    assert int((network.with_output(output).predict(test["X"]) == test["y"]).sum()) == right


# pykan.


def test_pykan() -> None:
    state = pykan([3, 2])
    layer = from_pykan(state, "silu").layers[0]
    x = RANDOM.uniform(-1.9, 1.9, (40, 3))
    total = np.zeros((40, 2))
    for j in range(3):
        for k in range(2):
            spline = BSpline(state["act_fun.0.grid"][j], state["act_fun.0.coef"][j, k], 3)(x[:, j])
            edge = (
                state["act_fun.0.scale_base"][j, k] * BASES["silu"](x[:, j])
                + state["act_fun.0.scale_sp"][j, k] * spline
            )
            total[:, k] += state["act_fun.0.mask"][j, k] * edge
    inner = state["subnode_scale_0"] * total + state["subnode_bias_0"]
    np.testing.assert_allclose(layer.evaluate(x), state["node_scale_0"] * inner + state["node_bias_0"], atol=1e-9)
    assert layer.edges.sum() == state["act_fun.0.mask"].sum()


def test_pykan_refuses_by_name() -> None:
    state = pykan([3, 2, 1])
    for change, message in [
        ({"symbolic_fun.0.mask": np.eye(2, 3)}, "from 0 to 0 is symbolic, and its name is not in a state dict"),
        ({"node_bias_0": np.zeros(1), "node_scale_0": np.ones(1)}, "act_fun.0: multiplication nodes"),
        ({"act_fun.0.coef": np.zeros((6, 7))}, "pykan 0.0 has"),
        ({"act_fun.0.coef": np.zeros(7)}, r"pykan has \(n_in, n_out, grid \+ k\)"),
        ({"act_fun.0.scale_base": np.ones((3, 1))}, r"act_fun\.0\.scale_base: shape \(3, 1\); must be \(3, 2\)"),
        ({"act_fun.0.scale_sp": np.array("x")}, r"act_fun\.0\.scale_sp: not an array of numbers"),
        ({"act_fun.0.mask": np.ones((2, 3))}, r"act_fun\.0\.mask: shape \(2, 3\); must be \(3, 2\)"),
        ({"subnode_scale_0": np.ones(4)}, r"subnode_scale_0: shape \(4,\); must be \(2,\)"),
        ({"node_bias_0": np.ones((2, 1))}, r"node_bias_0: shape \(2, 1\); must be \(2,\)"),
        ({"node_bias_1": np.ones(())}, r"node_bias_1: shape \(\); must be \(1,\)"),
        (
            {"symbolic_fun.0.mask": np.ones((2, 3)), "symbolic_fun.0.affine": np.full((2, 3, 4), "x")},
            r"symbolic_fun\.0\.affine: not an array of numbers",
        ),
        ({"extra": np.zeros(2)}, "extra: cannot be represented"),
    ]:
        with pytest.raises(InputError, match=message):
            from_pykan(state | change, "silu")

    class Pruned:
        input_id = np.array([0, 2])

        def state_dict(self) -> dict[str, Any]:
            return state

    with pytest.raises(InputError, match="input_id: pruned inputs"):
        from_pykan(Pruned())


def test_an_imported_network_is_connected() -> None:
    network = from_efficient_kan(efficient([2, 2])).quantise([6, 8], [0.0625, 0.125])
    with kanrtl.connect(network) as session:
        assert session.predict([0.5, -0.5]).shape == (2,)
