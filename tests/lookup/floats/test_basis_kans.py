"""KANs of radial bases, Chebyshev polynomials and Fourier series, in the layouts of the programs that train them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebval

from kanrtl import InputError
from kanrtl.lookup import from_cheby_kan, from_fast_kan, from_fourier_kan
from kanrtl.lookup.floats.convert import convert
from kanrtl.lookup.floats.importers import read_state_dict
from kanrtl.lookup.floats.named_functions import BASES
from support.torch_files import tensors, write_archive

RANDOM = np.random.default_rng(8)
X = RANDOM.uniform(-2, 2, (30, 3))
SIZES = [(3, 4), (4, 2)]


def normal(*shape: int) -> Any:
    return RANDOM.normal(0, 0.5, shape)


def fast_kan(flat: bool = True) -> tuple[dict[str, Any], Any]:
    """A state dict as FastKAN names it, and what it computes."""
    state: dict[str, Any] = {}
    x = X
    for number, (n_in, n_out) in enumerate(SIZES):
        centres, weights = np.linspace(-2, 2, 5), normal(n_out, n_in, 5)
        own = {"rbf.grid": centres, "base_linear.weight": normal(n_out, n_in), "base_linear.bias": normal(n_out)}
        own |= {"spline_linear.weight": weights.reshape(n_out, -1)} if flat else {"spline_weight": weights}
        state |= {f"layers.{number}.{name}": value for name, value in own.items()}
        basis = np.exp(-((x[:, :, None] - centres) ** 2))  # the centres are one apart
        x = np.einsum("bin,oin->bo", basis, weights) + BASES["silu"](x) @ own["base_linear.weight"].T
        x = x + own["base_linear.bias"]
    return state, x


def cheby_kan(ours: bool) -> tuple[dict[str, Any], Any]:
    """A state dict as ChebyKAN names it, or ikan, and what it computes."""
    state: dict[str, Any] = {}
    x = X
    for number, (n_in, n_out) in enumerate(SIZES):
        weights, base, bias = normal(n_out, n_in, 5), normal(n_out, n_in), normal(n_out)
        name = f"layers.{number}." if ours else f"{number}."
        squashed = np.tanh(np.clip(x, -1, 1) if ours else x)
        state[f"{name}cheby_coeffs"] = weights if ours else weights.transpose(1, 0, 2)
        total = np.zeros((len(x), n_out))
        for node, source in np.ndindex(n_out, n_in):
            total[:, node] += chebval(squashed[:, source], weights[node, source])
        if ours:
            state |= {f"{name}base_weight": base, f"{name}bias": bias, f"{name}cheby_orders": np.arange(5.0)}
            total = total + BASES["silu"](x) @ base.T + bias
        x = total
    return state, x


def fourier_kan(ours: bool) -> tuple[dict[str, Any], Any]:
    """A state dict as FourierKAN names it, or ikan, and what it computes."""
    state: dict[str, Any] = {}
    x = X
    for number, (n_in, n_out) in enumerate(SIZES):
        weights, base, bias = normal(2, n_out, n_in, 3), normal(n_out, n_in), normal(n_out)
        name = f"layers.{number}." if ours else f"{number}."
        state[f"{name}{'fourier_coeffs' if ours else 'fouriercoeffs'}"] = weights
        state[f"{name}bias"] = bias if ours else bias[None]
        angles = x[:, :, None] * np.arange(1, 4)
        total = np.einsum("bif,oif->bo", np.cos(angles), weights[0]) + np.einsum(
            "bif,oif->bo", np.sin(angles), weights[1]
        )
        if ours:
            state[f"{name}base_weight"] = base
            total = total + BASES["silu"](x) @ base.T
        x = total + bias
    return state, x


CASES = {
    "fast-kan": (from_fast_kan, *fast_kan()),
    "fast-kan, first version": (from_fast_kan, *fast_kan(flat=False)),
    "cheby-kan": (from_cheby_kan, *cheby_kan(False)),
    "cheby-kan of ikan": (from_cheby_kan, *cheby_kan(True)),
    "fourier-kan": (from_fourier_kan, *fourier_kan(False)),
    "fourier-kan of ikan": (from_fourier_kan, *fourier_kan(True)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_imported_is_what_they_compute(name: str, tmp_path: Path) -> None:
    load, state, expected = CASES[name]
    np.testing.assert_allclose(load(state).evaluate(X)[-1], expected, atol=1e-9)
    path = write_archive(
        tmp_path / "a.pt", {"model": {f"module.{one}": value for one, value in tensors(state).items()}}
    )
    np.testing.assert_allclose(load(path).evaluate(X)[-1], expected, atol=1e-4)
    found = convert(path, x=X, bits=[8, 8, 12])
    assert found.kind == name.split(",")[0].split(" ")[0]
    assumed = [note.field for note in found.notes if note.kind == "assumed"]
    with_base = any("base_" in one for one in state)
    assert ("base" in assumed) == with_base
    assert ("layers.0.rbf.denominator" in assumed) == ("fast" in name)
    if with_base:
        other = load(state, "gelu")
        assert np.abs(other.evaluate(X)[-1] - expected).max() > 1e-3
        assert not [note for note in other.notes if note.field == "base"]


def called(state: dict[str, Any], word: str, first: int) -> dict[str, Any]:
    """The same with layers that are attributes of a model, such as chebykan1."""
    renamed = {}
    for name, value in state.items():
        number, _, field = name.removeprefix("layers.").partition(".")
        renamed[f"{word}{int(number) + first}.{field}"] = value
    return renamed


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_layers_may_be_attributes_of_a_model(name: str, first: int, tmp_path: Path) -> None:
    load, state, expected = CASES[name]
    named = called(state, "my_kan2_layer", first)
    np.testing.assert_allclose(load(named).evaluate(X)[-1], expected, atol=1e-9)
    path = write_archive(tmp_path / "a.pt", {"model": {f"net.{one}": value for one, value in tensors(named).items()}})
    assert convert(path, x=X, bits=8).kind == name.split(",")[0].split(" ")[0]


@pytest.mark.parametrize("kind", ["f2", "bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_numbers_of_few_bits_are_not_reckoned_with_in_few_bits(name: str, kind: str, tmp_path: Path) -> None:
    load, state, _ = CASES[name]
    path = write_archive(tmp_path / "a.pt", tensors(state, kind))
    rounded = {one: value.astype(np.float64) for one, value in read_state_dict(path).items()}
    np.testing.assert_allclose(load(path).evaluate(X)[-1], load(rounded).evaluate(X)[-1], atol=1e-12)


def silu(x: Any) -> Any:
    """As torch.nn.functional has it: FastKAN's default is this function, not a module."""
    return BASES["silu"](x)


class Relu:
    """As a module of torch is called by its class."""


def test_the_base_function_of_a_model_is_read_from_its_layers() -> None:
    state, expected = fast_kan()

    def model(*functions: Any) -> Any:
        layers = [SimpleNamespace(base_activation=function) for function in functions]
        return SimpleNamespace(layers=layers, state_dict=lambda: state)

    found = from_fast_kan(model(silu, silu))
    np.testing.assert_allclose(found.evaluate(X)[-1], expected, atol=1e-12)
    assert not [note for note in found.notes if note.field == "base"]
    for functions in ((Relu(), Relu()), (Relu, Relu)):
        other = from_fast_kan(model(*functions)).evaluate(X)[-1]
        np.testing.assert_array_equal(other, from_fast_kan(state, base="relu").evaluate(X)[-1])
    with pytest.raises(InputError, match=r"^base_activation = \['Relu', 'silu'\]: cannot be represented"):
        from_fast_kan(model(silu, Relu()))
    with pytest.raises(InputError, match=r"^base_activation = '<lambda>': cannot be represented"):
        from_fast_kan(model(lambda x: x, lambda x: x))


def test_the_width_of_radial_bases_can_be_given() -> None:
    state, expected = fast_kan()
    assert np.abs(from_fast_kan(state, denominator=0.5).evaluate(X)[-1] - expected).max() > 1e-3
    assert [note.field for note in from_fast_kan(state, "silu", denominator=1.0).notes] == []
    np.testing.assert_allclose(from_fast_kan(state, denominator=1.0).evaluate(X)[-1], expected, atol=1e-9)


@pytest.mark.parametrize(
    ("load", "state", "message"),
    [
        (
            from_fast_kan,
            fast_kan()[0] | {"layers.0.layernorm.weight": np.ones(3)},
            "layernorm.weight: a layer norm takes in all",
        ),
        (from_fast_kan, {"layers.0.rbf.grid": np.ones(3)}, r"layers\.0\.spline_linear\.weight: missing"),
        (from_cheby_kan, {"layers.0.cheby_coeffs": np.ones((2, 3))}, r"cheby_coeffs: shape \(2, 3\); must have 3 axes"),
        (
            from_cheby_kan,
            cheby_kan(True)[0] | {"layers.1.scale": np.ones(1)},
            r"layers\.1\.scale: cannot be represented",
        ),
        (
            from_cheby_kan,
            {"kan1.cheby_coeffs": np.ones((2, 3, 4)), "kan3.cheby_coeffs": np.ones((3, 1, 4))},
            r"kan2\.cheby_coeffs: missing from the state dict",
        ),
        (
            from_cheby_kan,
            {"kan1.cheby_coeffs": np.ones((2, 3, 4)), "last2.cheby_coeffs": np.ones((3, 1, 4))},
            r"last2\.cheby_coeffs: its place among kan1 and others is not told; name layers by one word and a number",
        ),
        (
            from_fourier_kan,
            {"layers.0.fouriercoeffs": np.ones((2, 1, 1, 3)), "layers.00.fouriercoeffs": np.ones((2, 1, 1, 3))},
            r"layers\.00\.fouriercoeffs: cannot be represented",
        ),
        (
            from_cheby_kan,
            {"0.cheby_coeffs": np.ones((2, 3, 4)), "1.weight": np.ones(3)},
            r"layers\.1\.weight: cannot be",
        ),
        (
            from_fast_kan,
            fast_kan()[0] | {"layers.0.spline_linear.weight": np.ones((4, 16))},
            r"layers\.0\.spline_linear\.weight: shape \(4, 16\); must be \(n_out, n_in \* 5\)",
        ),
        (
            from_fast_kan,
            fast_kan()[0] | {"layers.0.rbf.grid": np.ones(())},
            r"rbf\.grid: shape \(\); must have 1 axes",
        ),
        (
            from_fast_kan,
            {"layers.0.rbf.grid": np.ones(1), "layers.0.spline_linear.weight": np.ones((4, 3))},
            r"layers\.0\.rbf\.grid: one centre does not tell the width of its base; give denominator",
        ),
        (
            from_fast_kan,
            fast_kan()[0] | {"layers.0.base_linear.weight": np.ones((4, 2))},
            r"layers\.0\.base_linear\.weight: shape \(4, 2\); must be \(4, 3\)",
        ),
        (
            from_fast_kan,
            fast_kan()[0] | {"layers.0.base_linear.bias": np.ones(1)},
            r"layers\.0\.bias: shape \(1,\); must be \(4,\)",
        ),
        (
            from_cheby_kan,
            cheby_kan(True)[0] | {"layers.0.base_weight": np.ones(4)},
            r"layers\.0\.base_weight: shape \(4,\); must be \(4, 3\)",
        ),
        (
            from_cheby_kan,
            {"layers.0.cheby_coeffs": np.full((2, 3, 4), "x")},
            r"layers\.0\.weights: not an array of numbers",
        ),
        (
            from_fourier_kan,
            {"0.fouriercoeffs": np.ones((1, 3, 4, 5))},
            r"layers\.0\.fouriercoeffs: shape \(1, 3, 4, 5\); must be \(2, n_out, n_in, frequencies\)",
        ),
        (from_fourier_kan, {}, r"layers\.0\.fouriercoeffs: missing"),
        (from_fourier_kan, cheby_kan(True)[0], r"cheby_coeffs: cannot be represented"),
        (
            from_fourier_kan,
            {"0.fouriercoeffs": np.ones((2, 3, 4, 5)), "2.fouriercoeffs": np.ones((2, 1, 3, 5))},
            r"layers\.1\.fouriercoeffs: missing",
        ),
    ],
)
def test_what_cannot_be_represented_is_refused_by_name(load: Any, state: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(state)
