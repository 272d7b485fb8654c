"""Modulated edges: what they give, what teaches them, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kanrtl import InputError, Learner, LearnerSpec, Model, SpecError, connect
from kanrtl.demos.self_teaching import Exercise
from kanrtl.learner.spec_file import derived, to_toml
from kanrtl.lookup import FloatKAN
from kanrtl.verilog.learner_header import learner_header
from support.float_kans import random_kan

Reals = npt.NDArray[np.float64]

PAIRS: dict[str, Any] = {"layer_sizes": [2, 2], "grid_range": (0, 1), "grid_size": 4, "modulated": True}
COMPLEX = PAIRS | {"modulated": "complex"}


def float_model(sizes: list[int], modulated: object) -> Model:
    spec = LearnerSpec(layer_sizes=sizes, grid_range=(-1, 1), grid_size=4, table_size=4, modulated=modulated)
    model = Model(spec, numeric="float64")
    random = np.random.default_rng(1)
    model.coefficients = [random.uniform(-1, 1, layer.shape) for layer in model.coefficients]
    return model


@pytest.mark.parametrize(
    ("sizes", "modulated"), [([2, 1], True), ([2, 3, 1], True), ([2, 2], "complex"), ([2, 4, 1], "complex")]
)
def test_gradients_equal_finite_differences(sizes: list[int], modulated: object) -> None:
    model = float_model(sizes, modulated)
    random = np.random.default_rng(2)
    x, target = random.uniform(-0.9, 0.9, model.spec.n_in), random.uniform(-1, 1, sizes[-1])
    for coefficients, gradient in zip(model.coefficients, model.gradients(x, target), strict=True):
        assert np.abs(gradient).max() > 1e-3
        for place, value in np.ndenumerate(coefficients):
            losses = []
            for sign in (1, -1):
                coefficients[place] = value + sign * 1e-6
                losses.append(float(((model.predict(x) - target) ** 2).sum() / 2))
            coefficients[place] = value
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-6)


def test_an_edge_multiplies_its_second_input_by_its_curve() -> None:
    model, plain = float_model([2, 2], True), float_model([2, 2], False)
    assert (model.spec.n_in, plain.spec.n_in) == (4, 2)
    z, u = np.array([0.3, -0.6]), np.array([1.7, -0.4])
    curves = np.array([plain.predict([at, 0.0]) for at in z])  # with that of a second input that is always the same
    model.coefficients[0][:, 1] = plain.coefficients[0][:, 1] = 0
    curve = plain.predict([z[0], 0.0])
    assert curves.shape == (2, 2)
    np.testing.assert_allclose(model.predict([u[0], z[0], u[1], z[1]]), u[0] * curve, rtol=0, atol=1e-12)


def test_complex_edges_are_products_of_complex_numbers() -> None:
    model = float_model([3, 4], "complex")
    assert model.spec.n_in == 9
    random = np.random.default_rng(5)
    u, z = random.normal(0, 1, 3) + 1j * random.normal(0, 1, 3), random.uniform(-1, 1, 3)
    numbers = np.stack([u.real, u.imag, z], axis=1).ravel()
    found = model.predict(numbers)
    curves = np.empty((4, 3))
    for source in range(3):
        alone = np.zeros((3, 3))
        alone[:, 2], alone[source, 0] = z, 1
        curves[:, source] = model.predict(alone.ravel())
    expected = ((curves[::2] + 1j * curves[1::2]) * u).sum(axis=1)
    np.testing.assert_allclose(found[::2] + 1j * found[1::2], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"modulated": "polar"}, "modulated = 'polar': must be true, false or \"complex\""),
        ({"modulated": 1}, 'modulated = 1: must be true, false or "complex"'),
        (
            {"modulated": "complex", "layer_sizes": [2, 3]},
            'layer_sizes = [2, 3]: modulated = "complex" makes pairs of nodes, real and imaginary parts; use 4 for 3',
        ),
        (
            {"share_multipliers": True},
            "modulated = True: needs a multiplier of its own for every product; leave reuse_factor and "
            'share_multipliers at their defaults, and multiplier at "auto", "dsp" or "lut"',
        ),
        (
            {"edge_sums": "differences"},
            "edge_sums = 'differences': modulated edges are sums of products; use \"auto\" for the first layer",
        ),
        (
            {"activation_format": "SQ(6, 30)", "coefficient_format": "SQ(6, 30)"},
            "coefficient_format = SQ(6, 30): node_sum of layer 0 would need 73 bits, the limit is 62; "
            "narrow it or activation_format",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        LearnerSpec(**PAIRS | fields)
    assert str(refused.value) == message


def test_a_spec_file_says_it() -> None:
    spec = LearnerSpec(**COMPLEX)
    assert 'modulated = "complex"' in to_toml(spec)
    assert LearnerSpec.from_dict(spec.to_dict()) == spec
    (about,) = derived(spec)["layers"]
    assert about["coefficients"] == 2 * 2 * 7
    assert {"turned_sum", "node_sum"} <= set(about["formats"])


def test_there_is_no_lookup_network_of_it() -> None:
    spec = LearnerSpec(**PAIRS)
    kan: FloatKAN = random_kan([2, 2], 3, "zero", 0)
    with connect(spec, "model") as learner, pytest.raises(InputError, match=r"^modulated = True: a lookup network"):
        learner.freeze()
    with pytest.raises(InputError, match=r"^modulated = True: a trained network"):
        spec.start_from(kan)


@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_an_amplifier_is_learned(backend: str) -> None:
    """y = sum x[n-m] f_m(|x[n-m]|): gain that is compressed, phase that turns, and an echo."""
    random = np.random.default_rng(7)
    x = (random.normal(0, 0.25, 4000) + 1j * random.normal(0, 0.25, 4000)).clip(-0.7, 0.7)
    taps = np.stack([x, np.concatenate([[0], x[:-1]])], axis=1)
    size = np.abs(taps)
    y = (taps * (1 - 0.4 * size**2) * np.exp(0.5j * size) * [1, 0.3]).sum(axis=1)
    numbers = np.stack([taps.real, taps.imag, size], axis=2).reshape(len(x), -1)
    targets = np.stack([y.real, y.imag], axis=1)
    spec = LearnerSpec(
        **COMPLEX | {"learning_rate": 1.0, "activation_format": "SQ(2, 14)", "gradient_format": "SQ(2, 14)"}
    )
    with connect(spec, backend) as learner:
        errors = learner.learn_many(numbers, targets) - targets
    assert 10 * np.log10((errors[3000:] ** 2).sum() / (targets[3000:] ** 2).sum()) < -35


def test_a_board_does_not_teach_itself_such_edges() -> None:
    with pytest.raises(SpecError, match=r"^modulated = True: a board that teaches itself"):
        Exercise(LearnerSpec(**PAIRS), levels=4)


@pytest.mark.usefixtures("unelaborated")
def test_the_header_of_a_verilog_file_names_the_numbers_of_a_sample() -> None:
    plain, pairs, parts = (
        learner_header(Learner(LearnerSpec(**PAIRS | {"modulated": modulated})))
        for modulated in (False, True, "complex")
    )
    assert "f(z)" not in plain
    assert "x has u, z for every input" in pairs
    assert "x has Re u, Im u, z for every input" in parts
