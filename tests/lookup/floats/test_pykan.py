"""pykan's checkpoints: its own files, its versions, and the base function that its state dicts do not hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import yaml
from scipy.interpolate import BSpline

from kanrtl import InputError
from kanrtl.lookup import from_efficient_kan, from_pykan
from kanrtl.lookup.floats.convert import convert
from kanrtl.lookup.floats.named_functions import BASES
from support.kan_checkpoints import efficient, pykan
from support.torch_files import tensors, write_archive

RANDOM = np.random.default_rng(5)
X = RANDOM.uniform(-0.9, 0.9, (40, 3))


def pykan_config(sizes: list[int], base: str = "silu", **changes: Any) -> dict[str, Any]:
    """What ``saveckpt`` of pykan 0.2 writes beside the weights."""
    names = {
        f"symbolic.funs_name.{layer}": [["0"] * sizes[layer] for _ in range(sizes[layer + 1])]
        for layer in range(len(sizes) - 1)
    }
    fields = {"grid": 4, "k": 3, "mult_arity": 2, "grid_range": [-1, 1], "symbolic_enabled": True, "device": "cpu"}
    return {"base_fun_name": base, "width": [[size, 0] for size in sizes], **fields, **names, **changes}


def save_pykan(path: Path, state: dict[str, Any], config: dict[str, Any] | str) -> Path:
    """Write the three files of a checkpoint, and give the name that pykan calls it by."""
    text = config if isinstance(config, str) else yaml.dump(config)
    path.with_name(f"{path.name}_config.yml").write_text(text)
    write_archive(path.with_name(f"{path.name}_state"), tensors(state, "f8"))
    write_archive(path.with_name(f"{path.name}_cache_data"), tensors({"x": np.zeros((4, 3))})["x"])
    return path


@pytest.mark.parametrize("base", ["silu", "identity", "zero"])
def test_the_base_function_is_read_from_the_configuration_beside(base: str, tmp_path: Path) -> None:
    state = pykan([3, 2, 1])
    path = save_pykan(tmp_path / "0.1", state, pykan_config([3, 2, 1], base))
    expected = from_pykan(state, base).evaluate(X)[-1]
    for name in ("0.1", "0.1_state", "0.1_config.yml"):
        found = from_pykan(tmp_path / name)
        np.testing.assert_allclose(found.evaluate(X)[-1], expected, rtol=1e-12)
        assert [(note.kind, note.field, note.value) for note in found.notes] == [("read", "base", base)]
    assert convert(path, x=X).kind == "pykan"
    # What the user says counts more; a configuration elsewhere must be named.
    assert from_pykan(path, "tanh").layers[0].base == "tanh"
    (tmp_path / "moved.pt").write_bytes((tmp_path / "0.1_state").read_bytes())
    assert from_pykan(tmp_path / "moved.pt", config=tmp_path / "0.1_config.yml").layers[0].base == base
    assert convert(tmp_path / "moved.pt", x=X, config=tmp_path / "0.1_config.yml").floats is not None


def test_the_base_function_is_asked_for() -> None:
    state = pykan([3, 2, 1])
    with pytest.raises(InputError, match=r"base: pykan's state dict does not hold its base function.*--base-function"):
        from_pykan(state)
    with pytest.raises(InputError, match="base = 'sine': cannot be represented; it must be one of silu, gelu"):
        from_pykan(state, "sine")
    without = {name: value * (not name.endswith("scale_base")) for name, value in state.items()}
    found = from_pykan(without)  # nothing to ask: no base weight is other than zero
    np.testing.assert_array_equal(found.evaluate(X)[-1], from_pykan(without, "silu").evaluate(X)[-1])
    assert found.notes == ()
    masked = {name: value * (not name.endswith(".mask")) for name, value in state.items()}
    assert not from_pykan(masked).layers[0].edges.any()


def test_what_the_wrong_base_function_costs() -> None:
    state = pykan([3, 1])
    right = from_pykan(state, "zero").evaluate(X)[-1]
    assert np.abs(from_pykan(state, "silu").evaluate(X)[-1] - right).max() > 0.1 * right.std()


def test_efficient_kan_has_a_default_that_is_said() -> None:
    state = efficient([3, 2])
    (note,) = from_efficient_kan(state).notes
    assert (note.kind, note.field, note.value) == ("assumed", "base", "silu")
    assert from_efficient_kan(state, "silu").notes == ()
    assert from_efficient_kan(state | {"layers.0.base_weight": np.zeros((2, 3))}).notes == ()
    told = {"state_dict": state, "hyper_parameters": {"base_activation": "nn.GELU"}}
    kan = from_efficient_kan(told)
    assert kan.layers[0].base == "gelu"
    assert [note.kind for note in kan.notes] == ["dropped", "read"]
    with pytest.raises(InputError, match=r"base: .* is 'gelu', .* is 'silu'; say which holds"):
        from_efficient_kan(told | {"config": {"base_activation": "SiLU"}})
    with pytest.raises(InputError, match=r"hyper_parameters.base_activation = 'nn.PReLU': cannot be represented"):
        from_efficient_kan({"state_dict": state, "hyper_parameters": {"base_activation": "nn.PReLU"}})


def test_configurations_hold_nothing_that_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "run"
    config = yaml.dump(pykan_config([3, 2]))
    # pykan writes the module itself after prune_input.
    module = config.replace("base_fun_name: silu", "base_fun_name: !!python/object:torch.nn.modules.activation.SiLU {}")
    assert from_pykan(save_pykan(tmp_path / "a", pykan([3, 2]), module)).layers[0].base == "silu"
    spy = f"{config}spy: !!python/object/apply:os.system ['touch {mark}']\n"
    assert from_pykan(save_pykan(tmp_path / "b", pykan([3, 2]), spy)).layers[0].base == "silu"
    assert not mark.exists()


_LAUGHS = "a0: &a0 [1, 1]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
"""A billion times the same two numbers, in 500 bytes."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"base_fun_name": "sine"}, r"a_config.yml: base_fun_name = 'sine': cannot be represented"),
        ({"width": [[5, 0], [2, 0], [1, 0]]}, r"width = .*: but the state dict has \[3, 2, 1\]; give the config that"),
        (
            {"width": [3, 1]},
            r"width = \[3, 1\]: but the state dict has \[3, 2, 1\]; give the config that belongs to it",
        ),
        ({"width": [[3, 0], [1, 1], [1, 0]]}, r"width\[1\] = \[1, 1\]: multiplication nodes cannot be represented"),
        ("{", "config: .*a_config.yml': is not YAML"),
        ("width: 2024-13-45", "config: .*a_config.yml': is not YAML"),
        ("grid: 3", "config: .*a_config.yml': has neither width nor base_fun_name"),
        (f"{_LAUGHS}width: [*a9, [*a9, *a9]]", "config: .*a_config.yml': more than 1048576 values"),
        ("width: &a [*a]", "config: .*a_config.yml': more than 1048576 values"),
    ],
)
def test_what_a_configuration_tells_is_refused_by_name(change: Any, message: str, tmp_path: Path) -> None:
    config = change if isinstance(change, str) else pykan_config([3, 2, 1], base="silu") | change
    path = save_pykan(tmp_path / "a", pykan([3, 2, 1]), config)
    with pytest.raises(InputError, match=message):
        from_pykan(path)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("sin", np.sin),
        ("x^2", lambda x: x**2),
        ("1/x^3", lambda x: 1 / x**3),
        ("x^1.5", lambda x: x**1.5),
        ("1/sqrt(x)", lambda x: x**-0.5),
        ("exp", np.exp),
        ("gaussian", lambda x: np.exp(-x * x)),
        ("sgn", np.sign),
        ("x", lambda x: x),
        ("0", np.zeros_like),
    ],
)
def test_symbolic_functions(name: str, function: Any, tmp_path: Path) -> None:
    state = pykan([3, 2])
    splines = from_pykan(state, "silu").evaluate(X)[-1]
    scale = state["node_scale_0"] * state["subnode_scale_0"]
    affine = np.zeros((2, 3, 4))
    affine[1, 1] = [0.5, 2.0, 1.5, -0.75]
    affine[0, 2] = [1.0, 1.5, -1.0, 0.25]
    state |= {"symbolic_fun.0.mask": np.array([[0, 0, 1], [0, 1, 0]]), "symbolic_fun.0.affine": affine}
    names = {"symbolic.funs_name.0": [["0", "0", "exp"], ["0", name, "0"]]}
    path = save_pykan(tmp_path / "a", state, pykan_config([3, 2], **names))
    splines[:, 1] += scale[1] * (1.5 * function(0.5 * X[:, 1] + 2.0) - 0.75)
    splines[:, 0] += scale[0] * (-np.exp(X[:, 2] + 1.5) + 0.25)
    found = from_pykan(path)
    np.testing.assert_allclose(found.evaluate(X)[-1], splines, atol=1e-9)
    assert found.layers[0].edges[1, 1]
    assert found.layers[0].edges[0, 2]
    network = found.calibrate(X, [10, 14]).quantise(found)  # a table is a table
    assert np.abs(network.predict(X) - splines).max() < 0.05 * splines.std()


def test_a_symbolic_function_without_a_known_name_is_refused(tmp_path: Path) -> None:
    state = pykan([3, 2]) | {"symbolic_fun.0.mask": np.array([[0, 0, 0], [0, 1, 0]])}
    names = {"symbolic.funs_name.0": [["0", "0", "0"], ["0", "Bessel", "0"]]}
    path = save_pykan(tmp_path / "a", state, pykan_config([3, 2], **names))
    with pytest.raises(
        InputError, match=r"the function from 1 to 1 is symbolic \(Bessel\), which cannot be represented"
    ):
        from_pykan(path)
    with pytest.raises(
        InputError, match=r"from 1 to 1 is symbolic, and its name is not in a state dict; give NAME_config"
    ):
        from_pykan(state, "silu")


def test_training_data_is_no_network(tmp_path: Path) -> None:
    save_pykan(tmp_path / "a", pykan([3, 2]), pykan_config([3, 2]))
    with pytest.raises(InputError, match=r"a_cache_data': training data of pykan; give '.*a_state'"):
        from_pykan(tmp_path / "a_cache_data")
    with pytest.raises(InputError, match=r"b_state': No such file"):
        from_pykan(tmp_path / "b_state")


# pykan 0.0.


def one_row(sizes: list[int], size: int = 5, order: int = 3) -> dict[str, Any]:
    """A state dict as pykan 0.0 names it: a row of all edges, node by node, on grids without outer knots."""
    state: dict[str, npt.NDArray[Any]] = {}
    for layer in range(len(sizes) - 1):
        n_in, n_out = sizes[layer : layer + 2]
        count = n_in * n_out
        grid = np.sort(RANDOM.uniform(-1, 1, (n_in, size + 1)), axis=1)
        grid[:, 0], grid[:, -1] = -1 - np.arange(n_in), 1 + np.arange(n_in)
        state |= {
            f"biases.{layer}.weight": RANDOM.normal(0, 1, (1, n_out)),
            f"act_fun.{layer}.grid": np.tile(grid, (n_out, 1)),
            f"act_fun.{layer}.coef": RANDOM.normal(0, 1, (count, size + order)),
            f"act_fun.{layer}.scale_base": RANDOM.normal(0, 1, count),
            f"act_fun.{layer}.scale_sp": RANDOM.normal(0, 1, count),
            f"act_fun.{layer}.mask": (RANDOM.random(count) < 0.7).astype(float),
            f"symbolic_fun.{layer}.mask": np.zeros((n_out, n_in)),
            f"symbolic_fun.{layer}.affine": np.zeros((n_out, n_in, 4)),
        }
    return state


@pytest.mark.parametrize("order", [1, 3])
def test_one_row_of_edges(order: int) -> None:
    state = one_row([3, 2], order=order)
    total = np.tile(state["biases.0.weight"], (len(X), 1))
    for node in range(2):
        for source in range(3):
            edge = node * 3 + source
            grid = state["act_fun.0.grid"][edge]
            step = (grid[-1] - grid[0]) / (len(grid) - 1) * np.arange(1, order + 1)
            knots = np.concatenate([grid[0] - step[::-1], grid, grid[-1] + step])
            spline = BSpline(knots, state["act_fun.0.coef"][edge], order)(X[:, source])
            value = state["act_fun.0.scale_base"][edge] * BASES["silu"](X[:, source])
            value += state["act_fun.0.scale_sp"][edge] * spline
            total[:, node] += state["act_fun.0.mask"][edge] * value
    np.testing.assert_allclose(from_pykan(state, "silu").evaluate(X)[-1], total, atol=1e-9)
    assert from_pykan(one_row([3, 2, 4, 1]), "silu").layer_sizes == (3, 2, 4, 1)
    del state["symbolic_fun.0.mask"]  # the biases tell how many nodes there are
    np.testing.assert_allclose(from_pykan(state, "silu").evaluate(X)[-1], total, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"act_fun.0.grid": np.tile(np.arange(6.0), (6, 1)) + np.arange(6)[:, None]},
            "node 1 has other knots than node 0",
        ),
        ({"act_fun.0.scale_sp": np.ones(5)}, r"act_fun\.0\.scale_sp: shape \(5,\); pykan 0\.0 has \(6,\)"),
        ({"act_fun.0.coef": np.ones((5, 8))}, r"act_fun\.0\.coef: shape \(5, 8\): not a row of n_in edges"),
        ({"symbolic_fun.0.mask": np.eye(2, 3)}, "from 0 to 0 is symbolic, and its name is not in a state dict"),
    ],
)
def test_one_row_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_pykan(one_row([3, 2]) | change, "silu")


class Model:
    """A model of pykan as it is in memory."""

    input_id = np.arange(3)
    base_fun_name = "identity"

    def __init__(self, state: dict[str, Any], names: list[list[str]] | None = None) -> None:
        self._state = state
        self.symbolic_fun = [type("Symbolic", (), {"funs_name": names or []})()]

    def state_dict(self) -> dict[str, Any]:
        return self._state


def test_models_in_memory() -> None:
    state = pykan([3, 2])
    assert from_pykan(Model(state)).layers[0].base == "identity"
    assert from_pykan(Model(state)).notes == ()
    symbolic = Model(state | {"symbolic_fun.0.mask": np.eye(2, 3)}, [["cosh", "0", "0"], ["0", "sin", "0"]])
    with pytest.raises(InputError, match=r"from 0 to 0 is symbolic \(cosh\)"):
        from_pykan(symbolic)
    other = Model(state)
    other.base_fun_name = "hardshrink"
    with pytest.raises(InputError, match="base_fun = 'hardshrink': cannot be represented"):
        from_pykan(other)
