"""A frozen learner, against the learner itself."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_wine
from sklearn.exceptions import NotFittedError

from kanrtl import InputError, KANClassifier, KANRegressor, LearnerSpec, Model, connect
from kanrtl.lookup import FixedQuantiser, Scaling
from kanrtl.numeric.fixed import Codes
from kanrtl.sim import TASKS
from kanrtl.transfer import freeze
from support.search import examples
from support.strategies import Learned, learners

MOST_SAMPLES = 400


def learner_codes(spec: LearnerSpec, coefficients: list[Codes], x: Codes) -> Codes:
    """The learner's own predictions."""
    model = Model(spec)
    model.coefficients = coefficients
    return model.run(x, np.zeros((len(x), spec.n_out), np.int64), np.zeros(len(x), bool))


def inputs_for(spec: LearnerSpec, random: np.random.Generator) -> Codes:
    """All activations where they are few and there is one input; else random ones, with the ends."""
    format = spec.formats.input
    if spec.n_in == 1 and format.width <= 9:
        return np.arange(format.minimum, format.maximum + 1)[:, None]
    low, high = spec.per_layer("grid_range")[0]
    around = np.linspace(1.2 * low - 0.2 * high, 1.2 * high - 0.2 * low, 5)
    ends = np.concatenate([[format.minimum, format.maximum, 0, -1], format.quantise(around)])
    first, last = format.quantise([low, high])
    inside = random.integers(first, last + 1, (MOST_SAMPLES, spec.n_in))
    return np.concatenate([random.choice(ends, (40, spec.n_in)), inside])


@examples(40)
@given(learners(), st.none() | st.integers(1, 12), st.none() | st.integers(0, 12))
def test_no_prediction_leaves_the_bound(learner: Learned, bits: int | None, guard_bits: int | None) -> None:
    spec, coefficients, random = learner
    x = inputs_for(spec, random)
    frozen = freeze(spec, coefficients, bits, guard_bits=guard_bits, x=spec.formats.input.to_float(x[::20]))
    quantiser = frozen.network.quantiser
    assert isinstance(quantiser, FixedQuantiser)
    predictions = frozen.network.values_of(frozen.network.predict_codes(quantiser.codes_of_raw(x)))
    expected = spec.formats.output.to_float(learner_codes(spec, coefficients, x))
    assert np.abs(predictions - expected).max() <= frozen.bound
    assert frozen.max_error <= frozen.bound
    assert bool(frozen.reasons) == (not frozen.exact)
    if bits is not None:
        assert max(frozen.network.bits[:-1]) <= bits
    if bits is None and guard_bits is None:
        named = {reason.split()[0] for reason in frozen.reasons}
        assert named <= {"rounding:", "activation_format:", "bits:"}
        # Beside a linear path a table has an entry for each input, which may have more bits than an address.
        assert ("bits:" in named) <= any(layer.linear and layer.formats.input.width > 16 for layer in spec.layers)
        assert ("rounding:" in named) <= (spec.rounding == "half_even")
        assert ("activation_format:" in named) <= (spec.formats.output.width > 16)


@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
@pytest.mark.parametrize("grid", [5, 8])
def test_a_trained_tracker_is_frozen_to_the_bit_in_nine_address_bits(rounding: str, grid: int) -> None:
    task = TASKS["track"](1500, 0)
    fields = {"grid_size": grid, "table_size": 64, "learning_rate": 0.3, "rounding": rounding}
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), **fields)
    with connect(spec) as learner:
        learner.learn_many(task.x, task.target)
        frozen = learner.freeze(x=task.x)
        assert frozen.exact
        assert frozen.bound == frozen.max_error == 0
        assert frozen.network.bits == (9, 16)
        assert frozen.samples == 1500
        x = spec.formats.input.to_float(np.arange(-2200, 2200, 3))[:, None]
        assert np.array_equal(frozen.network.predict(x), learner.predict_many(x))


@pytest.mark.parametrize("bits", [None, 6])
def test_a_frozen_tracker_predicts_the_same_in_hardware(bits: int | None) -> None:
    task = TASKS["track"](900, 1)
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, learning_rate=0.3)
    with connect(spec) as learner:
        learner.learn_many(task.x, task.target)
        frozen = learner.freeze(bits)
        expected = learner.predict_many(task.x[:200])
    assert bits is None or frozen.bound < 0.05
    with connect(frozen.network, "pysim") as network:
        assert np.abs(network.predict(task.x[:200]) - expected).max() <= frozen.bound


@pytest.mark.parametrize("grid", [5, 8])
def test_two_frozen_layers_predict_the_same_in_hardware(grid: int) -> None:
    spec = two_layers(grid_size=grid, grid_range=[(-2, 2), (-1, 1)], activation_format="SQ(4, 8)")
    random = np.random.default_rng(grid)
    x = random.uniform(-2.2, 2.2, (40, 2))
    with connect(spec) as learner:
        learner.learn_many(x, np.sin(2 * x))
        frozen = learner.freeze(x=x)
        expected = learner.predict_many(x)
    assert frozen.exact
    with connect(frozen.network, "pysim") as network:
        assert np.array_equal(network.predict(x), expected)


def two_layers(**fields: Any) -> LearnerSpec:
    return LearnerSpec(**{"layer_sizes": [2, 3, 2], "grid_range": (-2, 2), "table_size": 64, "seed": 5} | fields)


def test_hidden_positions_are_addresses_where_they_are_a_power_of_two_of_activations() -> None:
    frozen = freeze(two_layers(grid_size=8), two_layers(grid_size=8).initial_codes())
    assert frozen.exact
    assert frozen.network.bits[0] == 9
    assert frozen.network.bits[1] <= 9


def test_hidden_activations_are_addresses_where_positions_are_not() -> None:
    spec = two_layers(grid_size=5)
    exact = freeze(spec, spec.initial_codes())
    near = freeze(spec, spec.initial_codes(), 9)
    assert exact.exact
    assert 9 < exact.network.bits[1] <= 12
    assert 0 < near.bound < 0.05
    assert near.rms_error < 0.003
    assert near.reasons == (f"bits: layer 1 takes {exact.network.bits[1]} address bits to be exact, and has 9",)


def test_ties_to_the_even_are_named() -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2), rounding="half_even", coefficient_format="SQ(6, 11)")
    coefficients = [layer.copy() for layer in spec.initial_codes()]
    coefficients[0][0, 0] = 1  # half an activation's LSB
    frozen = freeze(spec, coefficients)
    assert frozen.bound == frozen.max_error == spec.formats.output.lsb
    assert frozen.reasons == ("rounding: layer 0 sends ties to the even code, and a sum of tables up",)


def test_angles_beyond_the_format_are_told_of() -> None:
    """A session takes them modulo the range, and a network does not."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1), periodic=True, initial_coefficients="uniform")
    with connect(spec) as session:
        within, beyond = session.freeze(x=[[0.3], [-3.0]]), session.freeze(x=[[40.3]])
        assert within.max_error == within.bound == 0
        assert beyond.max_error == abs(session.predict([40.3]) - beyond.network.predict([[40.3]])[0])[0] > 0
    assert str(beyond).endswith(f"the learner to the bit, for angles that {spec.formats.input} holds")


def test_fewer_bits_cost_accuracy() -> None:
    fields = {"table_size": 64, "initial_coefficients": "uniform", "seed": 1}
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), **fields)
    everywhere = np.arange(-2, 2, 1 / 128)[:, None]  # an input at each position
    found = [freeze(spec, spec.initial_codes(), bits, x=everywhere) for bits in (9, 7, 5, 3)]
    errors = [one.rms_error for one in found]
    assert errors[0] == 0
    assert errors == sorted(errors)
    assert errors[-1] > 0.02
    lsb = spec.formats.output.lsb
    assert all(one.max_error <= one.bound <= one.max_error + lsb for one in found)
    assert "error at most" in str(found[-1])
    assert "to the bit" in str(found[0])
    assert [one.network.bits[0] for one in found] == [9, 7, 5, 3]


def test_bits_for_each_layer() -> None:
    spec = two_layers(grid_size=8)
    assert freeze(spec, spec.initial_codes(), [6, 5]).network.bits[:2] == (6, 5)


def test_outputs_of_more_bits_than_a_code() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), activation_format="SQ(6, 14)", grid_size=4)
    small = [np.full((1, 1, 7), 9 << 4)]
    large = [np.arange(7).reshape(1, 1, 7) * (80_000 << 4)]
    assert freeze(spec, small).exact
    frozen = freeze(spec, large)
    assert 0 < frozen.max_error <= frozen.bound < 16 * spec.formats.output.lsb
    assert frozen.reasons == ("activation_format: outputs need 20 bits, and a code has 16",)


@pytest.mark.parametrize("hidden", [None, (3,)])
@pytest.mark.parametrize("grid", [5, 8])
def test_a_frozen_regressor_predicts_unscaled(hidden: tuple[int, ...] | None, grid: int) -> None:
    x, y = load_diabetes(return_X_y=True)
    x = np.column_stack([100 * x[:, :4] + 7, np.full(len(x), 3.0)])  # the last tells nothing
    estimator = KANRegressor(hidden, grid_size=grid, epochs=1, random_state=0).fit(x, y)
    frozen = estimator.freeze(X=x)
    assert np.allclose(frozen.network.predict(x)[:, 0], estimator.predict(x), rtol=0, atol=1e-9)
    assert frozen.max_error < 1e-9
    assert frozen.samples == len(x)
    assert frozen.reasons == ("scaling: real inputs on the border between two codes may become either",)
    coarse = estimator.freeze(5, X=x)
    errors = np.abs(coarse.network.predict(x)[:, 0] - estimator.predict(x))
    assert 0.1 < errors.max() == pytest.approx(coarse.max_error)
    assert coarse.max_error <= coarse.bound


@pytest.mark.parametrize("classes", [2, 3])
def test_a_frozen_classifier_gives_its_classes(classes: int) -> None:
    x, y = load_wine(return_X_y=True)
    x, names = x[y < classes], np.array(["red", "white", "other"])[y[y < classes]]
    estimator = KANClassifier(epochs=1, random_state=0).fit(x, names)
    frozen = estimator.freeze(X=x)
    assert np.array_equal(estimator.classes_[frozen.network.predict(x)], estimator.predict(x))
    assert frozen.max_error == 0
    few = estimator.freeze(4).network
    assert np.mean(estimator.classes_[few.predict(x)] == estimator.predict(x)) > 0.95


@examples(15)
@given(learners(), st.none() | st.integers(1, 10))
def test_scaling_keeps_the_bound(learner: Learned, bits: int | None) -> None:
    spec, coefficients, random = learner
    scale = 2.0 ** random.uniform(-6, 6, spec.n_in) * random.choice([-1, 1], spec.n_in)
    scaling = Scaling(scale, random.uniform(-2, 2, spec.n_in), 7.5, -1000.0)
    inputs = inputs_for(spec, random)[::10]
    # On the borders between activations too.
    real = spec.formats.input.to_float(inputs) + spec.formats.input.lsb * random.choice([0, 0.3, 0.5], inputs.shape)
    x = scaling.unscale(real)
    frozen = freeze(spec, coefficients, bits, x=x, scaling=scaling)
    own = x * scaling.scale + scaling.offset
    taken = spec.formats.input.quantise(own, spec.input_period)
    expected = spec.formats.output.to_float(learner_codes(spec, coefficients, taken)) * 7.5 - 1000
    errors = np.abs(frozen.network.predict(x) - expected)
    # The network has no angles: it saturates where a session comes around.
    held = (spec.formats.input.quantise(own) == taken).all(axis=1)
    assert errors[held].max(initial=0.0) <= frozen.bound * (1 + 1e-9) + 1e-9
    assert frozen.max_error == errors.max()


@pytest.mark.parametrize("bits", [None, 5])
def test_each_output_of_a_regression_keeps_its_scale(bits: int | None) -> None:
    x = np.random.default_rng(0).normal(size=(60, 2))
    estimator = KANRegressor(epochs=1).fit(x, np.sin(x) * [1, 50] + [0, 900])
    frozen = estimator.freeze(bits, X=x)
    errors = np.abs(frozen.network.predict(x) - estimator.predict(x))
    assert frozen.max_error == pytest.approx(errors.max(), abs=1e-9)
    assert errors.max() <= frozen.bound + 1e-9
    assert (frozen.max_error == 0) == (bits is None)


def test_what_an_estimator_cannot_freeze_is_named() -> None:
    x = np.random.default_rng(0).normal(size=(20, 2))
    several = KANRegressor(epochs=1).fit(x, x * [1, 0])
    with pytest.raises(InputError, match=r"^freeze: every target of output 1 so far is 0; learn others$"):
        several.freeze()
    with pytest.raises(InputError, match=r"^freeze: every target so far is 3; learn others$"):
        KANRegressor(epochs=1).fit(x, np.full(20, 3.0)).freeze()
    one = KANClassifier()
    one.learn_one({"a": 1.0}, "only")
    with pytest.raises(InputError, match=r"^freeze: there is one class so far, 'only'"):
        one.freeze()
    with pytest.raises(NotFittedError):
        KANRegressor().freeze()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bits": 17}, "bits = 17: must be an integer from 1 to 16"),
        ({"bits": [4]}, "bits: 1 values; give one for all, or 2, one for each layer"),
        ({"bits": [4, 0]}, "bits[1] = 0: must be an integer from 1 to 16"),
        ({"guard_bits": -1}, "guard_bits = -1: must be an integer from 0 to 30"),
        (
            {"scaling": Scaling(np.ones(2), np.zeros(2), output_scale=0.0)},
            "scaling.output_scale = 0.0: must be a number above 0",
        ),
        (
            {"scaling": Scaling(np.ones(3), np.zeros(2))},
            "quantiser.scale: shape (3,); give one number, or 2",
        ),
        ({"x": [[1.0]]}, "x: shape (1, 1); must be (n, 2)"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        freeze(two_layers(), two_layers().initial_codes(), **arguments)
    assert str(caught.value) == message


def test_sums_that_no_entry_holds_are_refused() -> None:
    spec = two_layers(coefficient_format="SQ(36, 2)", basis_format="UQ(1, 9)")
    coefficients = [np.full_like(layer, 1 << 36) for layer in spec.initial_codes()]
    with pytest.raises(InputError, match=r"^coefficient_format = SQ\(36, 2\): an edge reaches 1.71799e\+10, more"):
        freeze(spec, coefficients)


def test_the_widest_activations() -> None:
    """Their products with the constants of a grid that is no power of two are the largest numbers there are."""
    fields = {"grid_range": [(-1.3, 1.7), (0.1, 3.6)], "grid_size": 3, "coefficient_format": "SQ(3, 8)"}
    spec = two_layers(activation_format="SQ(4, 28)", table_size=16, **fields)
    frozen = freeze(spec, spec.initial_codes(), x=np.random.default_rng(0).uniform(-2, 2, (300, 2)))
    assert frozen.max_error <= frozen.bound < 0.1
    wider = two_layers(activation_format="SQ(4, 29)", table_size=16, **fields)
    with pytest.raises(InputError, match=r"^activation_format = SQ\(4, 29\): is 33 bits wide, the limit is 32$"):
        freeze(wider, wider.initial_codes())


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"target_range": (2.9e9, 3.1e9)},
            "target_range = (2900000000.0, 3100000000.0): makes codes of 34 bits, ",
        ),
        ({"grid_range": (1e9, 1e9 + 1)}, "grid_range = (1000000000.0, 1000000001.0): makes codes of 43 bits, in SQ("),
        ({"output_format": "SQ(4, 30)"}, "output_format = SQ(4, 30): is 34 bits wide, the limit is 32"),
    ],
)
def test_codes_that_are_too_wide_are_refused_by_what_makes_them(fields: dict[str, Any], line: str) -> None:
    spec = LearnerSpec(**{"layer_sizes": [1, 1], "grid_range": (-1, 1), **fields})
    with pytest.raises(InputError, match=f"^{re.escape(line)}"):
        freeze(spec, spec.initial_codes())


def test_a_model_of_real_numbers_is_refused() -> None:
    with pytest.raises(InputError, match=r'^numeric = "float64": '):
        Model(two_layers(), "float64").freeze()


def test_a_model_is_frozen_with_all_updates_that_are_under_way() -> None:
    spec = two_layers(schedule="streaming")
    model = Model(spec)
    x = spec.formats.input.quantise(np.random.default_rng(0).uniform(-2, 2, (20, 2)))
    model.run(x, x, np.ones(20, bool), range(20))
    frozen = model.freeze()
    assert frozen.exact
    with connect(spec) as session:
        session.coefficients = model.coefficients
        real = spec.formats.input.to_float(x)
        assert np.array_equal(frozen.network.predict(real), session.predict_many(real))
