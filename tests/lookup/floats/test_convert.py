"""Files of trained KANs: what they are is seen, what they hold is converted, and what does not fit is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import SQ, InputError, LearnerSpec, LookupNetwork, connect
from kanrtl.lookup import FixedQuantiser, from_efficient_kan, from_kanele, from_pykan
from kanrtl.lookup.floats.convert import convert
from support.kan_checkpoints import efficient, kanele, pykan
from support.torch_files import tensors, write_archive

RANDOM = np.random.default_rng(3)
X = RANDOM.uniform(-1.9, 1.9, (60, 3))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A file of every kind."""
    paths = {}

    def put(name: str, content: dict[str, Any]) -> None:
        paths[name] = tmp_path / f"{name}.npz"
        np.savez(paths[name], **content)

    put("efficient-kan", efficient([3, 4, 2]))
    put("pykan", pykan([3, 2]))
    state, config = kanele([3, 2, 2], [5, 4, 6])
    put("bare kanele", state)
    put("kanele", state | {"config_json": np.array(json.dumps(config))})
    (tmp_path / "config.json").write_text(json.dumps(config))
    paths["config"] = tmp_path / "config.json"
    network = from_kanele(state, config)
    tables: dict[str, Any] = {"config_json": np.array(json.dumps(config)), "steps": np.array(network.steps)}
    entries = {}
    for number, layer in enumerate(network.layers):
        tables |= {f"L{number}_src": layer.source, f"L{number}_dst": layer.node, f"L{number}_table": layer.table}
        for source, node, table in zip(layer.source, layer.node, layer.table, strict=True):
            entries[f"{number}_{source}_{node}"] = {"acive": 1, "values_int": table.tolist()}
    put("kanele-tables", tables)
    paths["json"] = tmp_path / "truth_tables.json"
    paths["json"].write_text(json.dumps(entries))
    paths["network"] = tmp_path / "network.npz"
    network.with_output("argmax").save(paths["network"])
    return paths


def same(one: LookupNetwork, other: LookupNetwork) -> bool:
    return all(
        np.array_equal(getattr(ours, field), getattr(theirs, field))
        for ours, theirs in zip(one.layers, other.layers, strict=True)
        for field in ("source", "node", "table", "bias")
    )


def test_every_kind_is_known_by_its_names(files: dict[str, Path]) -> None:
    for kind in ("efficient-kan", "pykan", "kanele", "kanele-tables", "network"):
        steps = [0.25] * (2 if kind == "pykan" else 3) if kind in ("efficient-kan", "pykan") else None
        base = "silu" if kind == "pykan" else None
        assert convert(files[kind], steps=steps, base=base).kind == kind


def test_kanele_is_the_same_from_whichever_file(files: dict[str, Path]) -> None:
    expected = LookupNetwork.load(files["network"])
    for name, options in [
        ("kanele", {}),
        ("bare kanele", {"config": files["config"]}),
        ("kanele-tables", {}),
        ("json", {"config": files["config"]}),
        ("network", {}),
    ]:
        network = convert(files[name], **options).network
        assert same(network, expected), name
        assert network.bits == (5, 4, 6)
        if name != "json":  # which does not have them
            np.testing.assert_allclose(network.steps, expected.steps)
    assert convert(files["network"]).network.output == "argmax"
    assert convert(files["network"], output="raw").network.output == "raw"
    assert convert(files["kanele"]).network.output == "raw"


@pytest.mark.parametrize(("kind", "load"), [("efficient-kan", from_efficient_kan), ("pykan", from_pykan)])
def test_floats_are_quantised_as_asked(kind: str, load: Any, files: dict[str, Path]) -> None:
    kan = load(files[kind], "silu")
    count = len(kan.layer_sizes)
    steps = [0.1 * (place + 1) for place in range(count)]
    found = convert(files[kind], bits=[5], steps=steps, guard_bits=[1] * (count - 1), base="tanh", output="threshold")
    expected = load(files[kind], "tanh").quantise([5] * count, steps, guard_bits=[1] * (count - 1), output="threshold")
    assert same(found.network, expected)
    assert found.network.output == "threshold"
    assert convert(files[kind], steps=steps, base="silu").network.bits == (6,) * count


def test_steps_follow_from_samples(files: dict[str, Path]) -> None:
    found = convert(files["efficient-kan"], bits=[10, 10, 12], x=X)
    kan = from_efficient_kan(files["efficient-kan"])
    assert same(found.network, kan.calibrate(X, [10, 10, 12]).quantise(kan))
    kan.save(files["network"])
    again = convert(files["network"], bits=[10, 10, 12], x=X)
    assert again.kind == "float-kan"
    assert same(again.network, found.network)
    told = found.to_json()
    assert told["samples"] == 60
    assert 0 < told["rms_difference"] < 0.05 * told["rms_nodes"]
    coarse = convert(files["efficient-kan"], bits=[4], x=X).to_json()
    assert coarse["rms_difference"] > 5 * told["rms_difference"]
    assert coarse["table_bits"] < told["table_bits"] / 50


def test_quantiser_in_hardware(files: dict[str, Path]) -> None:
    network = convert(files["kanele"], input_format=SQ(3, 6)).network
    assert isinstance(network.quantiser, FixedQuantiser)
    assert network.quantiser.format == SQ(3, 6)
    network.save(files["network"])
    with pytest.raises(InputError, match="has a quantiser in hardware"):
        convert(files["network"], input_format=SQ(3, 6))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("efficient-kan", {}, r"steps \(--steps\): give them, or samples \(--data\) from which they follow"),
        ("efficient-kan", {"bits": [3, 3], "x": X}, "bits: 2 values; give one for all, or 3"),
        ("efficient-kan", {"bits": [99], "x": X}, r"bits\[0\] = 99"),
        ("efficient-kan", {"x": X[:, :2]}, r"x: shape \(60, 2\); must be \(n, 3\)"),
        ("efficient-kan", {"x": X * np.nan}, r"x\[0, 0\] = nan: give a finite number"),
        ("efficient-kan", {"x": X, "base": "bessel"}, "base = 'bessel': cannot be represented"),
        ("efficient-kan", {"x": X, "config": "config.json"}, "config: not for 'efficient-kan'"),
        ("efficient-kan", {"x": X, "output": "softmax"}, "output = 'softmax'"),
        ("efficient-kan", {"x": X, "guard_bits": [-9]}, "^guard_bits = -9: must be an integer from 0 to 30"),
        ("efficient-kan", {"steps": [1], "guard_bits": [2, 2.5]}, r"guard_bits\[1\] = 2.5: must be an integer"),
        ("network", {"entry": "ema"}, "entry: not for 'network': its file holds one network; leave it out"),
        ("kanele-tables", {"entry": "ema"}, "entry: not for 'kanele-tables'"),
        ("json", {"entry": "ema", "config": "config.json"}, "entry: not for 'kanele-tables'"),
        ("kanele", {"bits": [4]}, "bits: not for 'kanele': its codes are set"),
        ("kanele", {"base": "silu"}, "base: not for 'kanele': it tells its own"),
        ("bare kanele", {}, "config: the state dict has no config_json"),
        ("json", {}, "config: truth_tables.json does not have it"),
        ("network", {"thresholds": [1]}, "thresholds: output = 'argmax' has none"),
        ("pykan", {"kind": "efficient-kan", "x": X}, "cannot be represented"),
        ("pykan", {"kind": "onnx"}, "kind = 'onnx': must be one of 'kanele'"),
        ("json", {"kind": "pykan"}, "kind = 'pykan': .* can only be truth tables"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, options: dict[str, Any], message: str, files: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=message):
        convert(files[name], **options)


@pytest.mark.parametrize("name", ["network", "kan", "L0_table"])
def test_a_container_may_be_called_as_a_saved_network_is(name: str, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "a.pt", {name: tensors(efficient([3, 2]))})
    for entry in (None, name):
        assert convert(path, x=X, entry=entry).kind == "efficient-kan"


@pytest.mark.parametrize("path", [".", "", "/", ".."])
def test_folders_are_refused(path: str) -> None:
    for load in (convert, from_pykan):
        with pytest.raises(InputError, match="Is a directory; give the file of a trained network"):
            load(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    with pytest.raises(InputError, match=r"other.npz': not known by its names \(weights\); say what it is"):
        convert(tmp_path / "other.npz")
    with connect(LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1))) as learner:
        learner.save(tmp_path / "learner.npz")
    with pytest.raises(InputError, match=r"learner.npz': a saved learner; give the network that its freeze"):
        convert(tmp_path / "learner.npz")
    with pytest.raises(InputError, match=r"none.npz': No such file"):
        convert(tmp_path / "none.npz")
    with pytest.raises(InputError, match=r"model.onnx': not a kind of file that is known"):
        convert(tmp_path / "model.onnx")
    (tmp_path / "model.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"model.pt': not a whole .npz or .pt file"):
        convert(tmp_path / "model.pt")


def test_what_is_assumed_clipped_or_dropped_is_said(files: dict[str, Path], tmp_path: Path) -> None:
    state, config = kanele([3, 2], [5, 4])
    np.savez(tmp_path / "scaled.npz", config_json=json.dumps(config), **state, scaler_mean=np.zeros(3))
    told = convert(tmp_path / "scaled.npz").to_json()["notes"]
    assert json.loads(json.dumps(told)) == told
    assert told[0] == {
        "kind": "dropped",
        "field": "scaler_mean",
        "value": "array (3,)",
        "reason": "inputs must be scaled before the network",
    }
    found = convert(files["efficient-kan"], bits=[6], steps=[0.1, 0.01, 0.01])
    assumed, *clipped = found.notes
    assert (assumed.kind, assumed.field, assumed.value) == ("assumed", "base", "silu")
    assert [note.field for note in clipped] == ["layers.0 tables", "layers.1 tables"]
    assert found.floats is not None
    for layer, note in zip(
        found.floats.quantise([6] * 3, [0.1, 0.01, 0.01], saturate=False).layers, clipped, strict=True
    ):
        assert note.value == ((layer.table < -32) | (layer.table > 31)).sum() > 0
    # They go with the network, into its file and through what is made of it.
    found.network.with_output("argmax").save(tmp_path / "saved.npz")
    assert LookupNetwork.load(tmp_path / "saved.npz").notes == found.notes
    assert convert(tmp_path / "saved.npz").to_json()["notes"] == found.to_json()["notes"]
    found.floats.save(tmp_path / "floats.npz")
    assert convert(tmp_path / "floats.npz", bits=[12], steps=[0.1, 0.1, 0.1]).notes[0] == assumed


def test_one_of_several_networks(tmp_path: Path) -> None:
    one = efficient([2, 1])
    both = {
        f"{name}.{field}": value * scale for name, scale in (("old", 1), ("new", 1.5)) for field, value in one.items()
    }
    np.savez(tmp_path / "two.npz", **both)
    with pytest.raises(InputError, match=r"two.npz': holds 2 networks, in 'old', 'new'; say which is meant: entry"):
        convert(tmp_path / "two.npz", steps=[0.1, 0.1])
    network = convert(tmp_path / "two.npz", entry="new", steps=[0.1, 0.1]).network
    assert same(
        network, from_efficient_kan({field: value * 1.5 for field, value in one.items()}).quantise([6, 6], [0.1, 0.1])
    )


def test_a_dense_network_is_converted(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    weights = [random.normal(size=(5, 3)), random.normal(size=(2, 5))]
    np.savez(tmp_path / "dense.npz", **{"0.weight": weights[0], "0.bias": np.ones(5), "2.weight": weights[1]})
    found = convert(tmp_path / "dense.npz", activations=["tanh"], bits=[8, 8, 8], x=X, output="argmax")
    assert (found.kind, found.network.output) == ("mlp", "argmax")
    exact = np.tanh(X @ weights[0].T + 1) @ weights[1].T
    assert found.floats is not None
    np.testing.assert_allclose(found.floats.evaluate(X)[-1], exact)
    assert (found.network.predict(X) == exact.argmax(axis=1)).mean() > 0.95
    with pytest.raises(InputError, match="activations: arrays do not have them"):
        convert(tmp_path / "dense.npz", x=X)
    np.savez(tmp_path / "efficient.npz", **efficient([3, 2]))
    with pytest.raises(InputError, match="activations: not for 'efficient-kan'"):
        convert(tmp_path / "efficient.npz", x=X, activations=["relu"])
