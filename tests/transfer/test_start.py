"""Learners that start from a trained network."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from kanrtl import InputError, LearnerSpec, LookupNetwork, connect
from kanrtl.lookup import FixedQuantiser, FloatKAN, FloatLayer, Quantiser, Start, to_learner
from kanrtl.sim import TASKS
from kanrtl.transfer import freeze
from support.search import examples
from support.strategies import Learned, learners

Reals = npt.NDArray[np.float64]


def kan(
    random: np.random.Generator, sizes: list[int], *, cells: int = 5, order: int = 3, kept: float = 1, **fields: Any
) -> FloatKAN:
    """Random edges, with knots over -1 to 1, and in hidden layers over three times as much, so that no value is beyond
    them: there the spline ends, and an edge jumps."""
    layers = []
    for index, (n_in, n_out) in enumerate(pairwise(sizes)):
        reach = 3 if index else 1
        knots = (np.arange(-order, cells + order + 1) * 2 / cells - 1) * reach
        layers.append(
            FloatLayer.of(
                "layer",
                knots=knots,
                coefficients=random.normal(0, 0.4, (n_out, n_in, cells + order)),
                base_weights=random.normal(0, 0.4, (n_out, n_in)),
                edges=random.random((n_out, n_in)) < kept,
                bias=random.normal(0, 0.2, n_out),
            )
        )
    return FloatKAN.of(layers, **fields)


def predictions(start: Start, x: Reals) -> Reals:
    """Of the learner itself."""
    with connect(start.spec) as learner:
        assert all(np.array_equal(a, b) for a, b in zip(learner.coefficients, start.coefficients, strict=True))
        return learner.predict_many(x)


def spec_for(sizes: list[int], **fields: Any) -> LearnerSpec:
    return LearnerSpec(**{"layer_sizes": sizes, "grid_range": (-1, 1), "grid_size": 8} | fields)


@examples(20)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([[1, 1], [3, 2], [2, 3, 1], [1, 2, 2]]),
    st.sampled_from(["floor", "half_up", "half_even"]),
    st.sampled_from([5, 8]),
)
def test_a_learner_starts_where_training_ended(seed: int, sizes: list[int], rounding: str, grid: int) -> None:
    random = np.random.default_rng(seed)
    trained = kan(random, sizes, kept=0.8)
    spec = spec_for(
        sizes,
        grid_range=[(-1, 1)] + [(-3, 3)] * (len(sizes) - 2),
        grid_size=grid,
        rounding=rounding,
        activation_format="SQ(4, 12)",
    )
    start = spec.start_from(trained)
    x = random.uniform(-1, 1, (300, sizes[0]))
    errors = predictions(start, x) - trained.evaluate(x)[-1]
    # Splines on the same cells differ by the base function's part alone; what is reported is what is found.
    assert np.sqrt(np.mean(errors**2)) < 1.6 * start.error.rms + spec.formats.output.lsb
    assert start.error.rms < 0.03
    assert len(start.layers) == spec.n_layers


def test_the_reported_error_is_that_of_the_running_learner() -> None:
    random = np.random.default_rng(3)
    trained = kan(random, [2, 3, 2])
    x = random.uniform(-1, 1, (200, 2))
    start = spec_for([2, 3, 2], grid_size=4).start_from(trained, x)
    errors = predictions(start, x) - trained.evaluate(x)[-1]
    assert start.error.max == np.abs(errors).max()
    assert start.error.rms == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert start.samples == 200
    assert f"{start.error.max:.3g} at most, over 200 samples (layer 0" in str(start)


def test_coefficients_on_the_same_grid_are_those_of_the_spline() -> None:
    random = np.random.default_rng(1)
    knots = np.arange(-3, 12) * 0.25 - 1
    coefficients = random.uniform(-1, 1, (1, 1, 11))
    layer = FloatLayer.of("layer", knots=knots, coefficients=coefficients)
    spec = spec_for([1, 1], table_size=256, activation_format="SQ(4, 14)", basis_format="UQ(1, 15)")
    start = to_learner(FloatKAN.of([layer]), spec)
    reals = spec.formats.coefficient.to_float(start.coefficients[0])
    assert np.abs(reals - coefficients).max() < 0.01
    x = random.uniform(-1, 1, (100, 1))
    assert np.abs(predictions(start, x)[:, 0] - BSpline(knots, coefficients[0, 0], 3)(x[:, 0])).max() < 0.01


@pytest.mark.parametrize("reach", [1e-3, 1.0, 100.0])
def test_a_linear_path_takes_what_goes_on_beyond_the_grid(reach: float) -> None:
    """Of edges with the identity as their base function, whose splines end; on grids of every scale."""
    random = np.random.default_rng(2)
    cells, order = 6, 3
    inner = (np.arange(-order, cells + order + 1) * 2 / cells - 1) * reach / 2
    trained = FloatKAN.of(
        [
            FloatLayer.of(
                "layer",
                knots=inner,
                coefficients=random.normal(0, 0.2, (2, 2, cells + order)),
                base_weights=np.array([[0.5, -1.0], [0.0, 2.0]]) / reach,
                base="identity",
            )
        ]
    )
    spec = spec_for([2, 2], grid_range=(-1.5 * reach, 1.5 * reach), grid_size=36, linear=True)
    (layer,) = spec.layers
    x = random.uniform(-2.5 * reach, 2.5 * reach, (200, 2))
    start = spec.start_from(trained, x)
    assert layer.linear
    weights = spec.formats.coefficient.to_float(start.coefficients[0][:, :, -1]) * 2.0**layer.linear.input_shift
    np.testing.assert_allclose(weights * reach, [[0.5, -1.0], [0.0, 2.0]], atol=0.01)
    assert np.abs(predictions(start, x) - trained.evaluate(x)[-1]).max() < 0.05
    assert start.error.max < 0.05


def test_inputs_may_be_scaled_in_the_network() -> None:
    trained = kan(np.random.default_rng(4), [2, 1], input_scale=[2.0, -0.5], input_offset=[0.5, 0.25])
    start = spec_for([2, 1], grid_range=(-2, 2.5), grid_size=32).start_from(trained)
    low, high = [-0.75, -1.5], [0.25, 2.5]
    x = np.random.default_rng(0).uniform(low, high, (100, 2))
    assert np.abs(predictions(start, x) - trained.evaluate(x)[-1]).max() < 0.05


def test_hidden_values_beyond_the_grid_are_brought_into_it() -> None:
    """Where they would be clamped, the learner could not follow the network at all."""
    random = np.random.default_rng(6)
    first = FloatLayer.of(
        "layer",
        knots=[[-1.0, 1.0]],
        coefficients=np.zeros((2, 1, 1)),
        base_weights=[[6.0], [1.0]],
        base="identity",
        bias=[8.0, 0.0],
    )
    second = FloatLayer.of(
        "layer", knots=[[-20.0, 20.0]], coefficients=np.zeros((1, 2, 1)), base_weights=[[0.1, 0.3]], base="tanh"
    )
    start = spec_for([1, 2, 1]).start_from(FloatKAN.of([first, second]))
    x = random.uniform(-1, 1, (200, 1))
    expected = 0.1 * np.tanh(8 + 6 * x) + 0.3 * np.tanh(x)
    assert np.abs(predictions(start, x) - expected).max() < 0.01
    assert abs(start.coefficients[0]).max() < 1.5 / start.spec.formats.coefficient.lsb


def test_the_fit_is_best_where_samples_are() -> None:
    trained = kan(np.random.default_rng(8), [1, 1], cells=16)
    spec = spec_for([1, 1], grid_size=3)
    x = np.random.default_rng(0).uniform(-0.3, 0.1, (500, 1))
    everywhere, here = spec.start_from(trained), spec.start_from(trained, x)
    errors = [np.abs(predictions(start, x) - trained.evaluate(x)[-1]).mean() for start in (everywhere, here)]
    assert errors[1] < errors[0] / 2


@examples(15)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([[1, 1], [2, 2], [2, 3, 1], [3, 2, 2, 1]]),
    st.sampled_from([5, 8]),
    st.sampled_from(["floor", "half_up", "half_even"]),
)
def test_what_was_frozen_to_the_bit_comes_back(seed: int, sizes: list[int], grid: int, rounding: str) -> None:
    spec = LearnerSpec(
        layer_sizes=sizes,
        grid_range=(-2, 2),
        grid_size=grid,
        rounding=rounding,
        initial_coefficients="uniform",
        seed=seed,
    )
    with connect(spec) as learner:
        frozen = learner.freeze()
        x = np.random.default_rng(seed).uniform(-2, 2, (200, sizes[0]))
        before = learner.predict_many(x)
    start = spec.start_from(frozen.network)
    lsb = spec.formats.output.lsb
    errors = np.abs(predictions(start, x) - before)
    # Coefficients come back within an LSB or so; steep edges behind them make more of it, layer by layer.
    limit = spec.n_layers * lsb
    assert np.sqrt(np.mean(errors**2)) <= limit
    assert start.error.rms <= limit


def frozen_of(spec: LearnerSpec, scale: float = 1.0) -> tuple[list[Any], LookupNetwork]:
    """Coefficients of a learner that has learned something, and the network of them."""
    random = np.random.default_rng(0)
    reals = [scale * random.uniform(-1, 1, codes.shape) for codes in spec.initial_codes()]
    codes = [layer.formats.coefficient.quantise(real) for layer, real in zip(spec.layers, reals, strict=True)]
    return codes, freeze(spec, codes).network


@pytest.mark.parametrize("reach", [2, 10, 11, 16, 100])
def test_a_frozen_linear_learner_comes_back_on_any_grid(reach: float) -> None:
    """Its tables end where its format does, and have steps between codes."""
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-reach, reach), linear=True)
    codes, network = frozen_of(spec, 0.25)
    x = np.random.default_rng(1).uniform(-reach, reach, (300, 2))
    guard = spec.formats.layers[0].guard_bits
    for samples in (None, x):
        start = spec.start_from(network, samples)
        assert np.array_equal(start.coefficients[0][..., -1] >> guard, codes[0][..., -1] >> guard)
        assert start.error.max <= spec.formats.output.lsb
        assert start.error.rms < spec.formats.output.lsb / 2


@pytest.mark.parametrize(
    ("fields", "remains"),
    [
        ({"input_format": "SQ(3, 13)"}, True),
        ({"input_format": "SQ(3, 8)", "grid_range": (-3, 1)}, True),
        ({"input_format": "SQ(3, 8)", "grid_range": (-4, 1)}, True),
        ({"input_format": "SQ(2, 14)"}, False),
    ],
    ids=["narrow", "uneven", "one side", "none"],
)
def test_a_slope_is_looked_for_where_the_format_leaves_room(fields: dict[str, Any], remains: bool) -> None:
    spec = LearnerSpec(**{"layer_sizes": [2, 1], "grid_range": (-2, 2), "linear": True} | fields)
    codes, network = frozen_of(spec, 0.25)
    start = spec.start_from(network)
    guard = spec.formats.layers[0].guard_bits
    assert np.array_equal(start.coefficients[0][..., -1] >> guard, codes[0][..., -1] >> guard) == remains
    assert start.error.rms < (0.25 if remains else 4) * spec.formats.output.lsb


@pytest.mark.parametrize("rounding", ["half_up", "floor"])
def test_slopes_of_hidden_layers_come_back_from_as_far_as_their_nodes_reach(rounding: str) -> None:
    spec = LearnerSpec(layer_sizes=[2, 2, 1], grid_range=[(-2, 2), (-1, 1)], linear=True, rounding=rounding)
    codes, network = frozen_of(spec, 0.25)
    start = spec.start_from(network, np.random.default_rng(1).uniform(-2, 2, (300, 2)))
    for layer, ours, theirs in zip(spec.layers, start.coefficients, codes, strict=True):
        guard = layer.formats.guard_bits
        assert np.abs((ours[..., -1] >> guard) - (theirs[..., -1] >> guard)).max() <= 1
    assert start.error.rms < 0.5 * spec.formats.output.lsb


def test_a_frozen_periodic_learner_comes_back_on_a_grid_between_codes() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-np.pi, np.pi), periodic=True)
    _, network = frozen_of(spec)
    assert spec.start_from(network).error.max == 0


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("middle", [0.0, 1.3], ids=["around", "apart"])
@pytest.mark.parametrize("grid", [(-0.125, 0.375), (-0.5, 0.5), (-0.1, 0.3)])
def test_a_frozen_learner_with_a_periodic_hidden_layer_comes_back(
    grid: tuple[float, float], middle: float, order: int
) -> None:
    """Its tables end where no activation comes, inside one period, and samples beyond the seam leave a gap."""
    random = np.random.default_rng(0)
    spec = LearnerSpec(
        layer_sizes=[2, 3, 1],
        grid_range=[(-1, 1), grid],
        grid_size=[8, 4],
        spline_order=[3, order],
        periodic=[False, True],
        initial_coefficients=[
            (middle / 2 + random.uniform(-0.4, 0.4, (3, 2, 11))).tolist(),
            random.uniform(-0.4, 0.4, (1, 3, 4)).tolist(),
        ],
    )
    start = spec.start_from(freeze(spec, spec.initial_codes()).network)
    assert start.error.max <= 2 * spec.formats.output.lsb
    assert start.layers[0].max <= spec.formats.output.lsb  # so the activations are those that they were


def test_a_periodic_edge_may_be_constant_where_its_activations_end() -> None:
    """Its table does not tell how far they go."""
    spec = LearnerSpec(
        layer_sizes=[1, 1, 1],
        grid_range=[(-1, 1), (-0.125, 0.375)],
        grid_size=[1, 8],
        spline_order=1,
        periodic=[False, True],
        initial_coefficients=[[[[-0.375, 0.0625]]], [[[0.0, 0.2, 0.3, 0.1, 0.4, 0.4, 0.4, 0.0]]]],
    )
    start = spec.start_from(freeze(spec, spec.initial_codes()).network)
    assert start.error.max <= 2 * spec.formats.output.lsb


def test_inputs_that_saturate_on_a_linear_path_lie_outside() -> None:
    straight = FloatLayer.of(
        "layer", knots=[[-1.0, 1.0]], coefficients=[[[0.0]]], base_weights=[[0.1]], base="identity"
    )
    spec = spec_for([1, 1], linear=True, activation_format="SQ(6, 10)", grid_range=(-20, 20))
    trained = FloatKAN.of([straight])
    assert spec.start_from(trained, np.linspace(-31, 31, 50)[:, None]).error.max < 0.002
    message = refused(trained, spec, x=np.linspace(-62, 62, 50)[:, None])
    assert message.startswith("grid_range = (-20.0, 20.0): 48 % of input 0 lies outside")


@examples(20)
@given(learners(), st.none() | st.integers(2, 9))
def test_any_frozen_learner_is_fitted_with_the_error_reported(learner: Learned, bits: int | None) -> None:
    spec, coefficients, random = learner
    low, high = spec.per_layer("grid_range")[0]
    x = random.uniform(low, high, (60, spec.n_in))
    network = freeze(spec, coefficients, bits, x=x).network
    try:
        start = spec.start_from(network, x)
    except InputError as error:
        # Edges of which rounding, saturation or few addresses have left steps that no smooth one follows.
        if not str(error).startswith("coefficient_format = "):
            raise
        return
    assert start.error.max == np.abs(predictions(start, x) - network.predict(x)).max()


@pytest.mark.parametrize("bits", [None, 7])
def test_a_frozen_tracker_starts_at_its_error_and_follows_the_drift(bits: int | None) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, learning_rate=0.3)
    before, after = TASKS["track"](1500, 0), TASKS["track"](1500, 1)
    with connect(spec) as learner:
        learner.learn_many(before.x[:500], before.target[:500])
        frozen = learner.freeze(bits).network
    errors = {"frozen": frozen.predict(after.x) - after.target}
    for name, first in (("started", spec.start_from(frozen).spec), ("new", spec)):
        with connect(first) as learner:
            errors[name] = learner.learn_many(after.x, after.target) - after.target
    first_hundred = {name: float(np.mean(error[:100] ** 2)) for name, error in errors.items()}
    regimes = {name: after.regime_errors(error) for name, error in errors.items()}
    assert first_hundred["started"] < 1.3 * first_hundred["frozen"] < 0.02 * first_hundred["new"]
    for regime in (1, 2):
        assert regimes["started"][regime] < 0.01 < 0.1 < regimes["frozen"][regime]
        assert regimes["started"][regime] == pytest.approx(regimes["new"][regime], rel=0.1)


def test_a_network_with_codes_of_its_own_is_learned() -> None:
    """Such as a published one: real inputs are quantised, hidden codes are few."""
    trained = kan(np.random.default_rng(2), [2, 3, 1])
    x = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    network = trained.quantise([7, 6, 8], [2 / 127, 4 / 63, 4 / 255], guard_bits=[2, 0])
    assert isinstance(network.quantiser, Quantiser)
    start = spec_for([2, 3, 1], grid_range=(-2, 2), grid_size=20).start_from(network)
    errors = predictions(start, x)[:, 0] - network.predict(x)[:, 0]
    assert np.sqrt(np.mean(errors**2)) < 0.05 < np.std(network.predict(x))


def test_a_spec_with_a_start_is_a_spec_like_any_other() -> None:
    trained = kan(np.random.default_rng(2), [2, 3, 1])
    start = spec_for([2, 3, 1]).start_from(trained)
    again = LearnerSpec.from_dict(start.spec.to_dict())
    assert all(np.array_equal(a, b) for a, b in zip(again.initial_codes(), start.coefficients, strict=True))
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    with connect(start.spec, "pysim") as learner:
        assert np.array_equal(learner.predict_many(x), predictions(start, x))


def refused(network: FloatKAN | LookupNetwork, spec: LearnerSpec, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        spec.start_from(network, **options)
    return str(caught.value)


def test_something_else_is_refused() -> None:
    with pytest.raises(InputError, match=r"^network: is of type dict; give a FloatKAN or a LookupNetwork$"):
        spec_for([1, 1]).start_from({})  # type: ignore[arg-type]


def test_inputs_beyond_the_grid_are_refused_with_how_many() -> None:
    trained = kan(np.random.default_rng(5), [1, 1])
    message = refused(trained, spec_for([1, 1], grid_range=(-0.5, 0.5)))
    assert message.startswith("grid_range = (-0.5, 0.5): 5")
    assert (
        "% of input 0 lies outside, where the network is not constant: inputs go from -0.9996 to 0.9991; widen it"
        in message
    )
    trained.layers[0].edges[:] = False  # a constant, so nothing is lost
    assert spec_for([1, 1], grid_range=(-0.5, 0.5)).start_from(trained).error.max < 0.001


def test_data_beyond_the_grid_are_refused_with_how_many() -> None:
    trained = kan(np.random.default_rng(5), [1, 1])
    x = np.concatenate([np.zeros((60, 1)), np.full((40, 1), 3.0)])
    spec = spec_for([1, 1])
    assert refused(trained, spec, x=x).startswith("grid_range = (-1.0, 1.0): 40 % of input 0 lies outside")
    assert spec.start_from(trained, x, max_outside=0.5).error.max > 0.1


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"layer_sizes": [1, 2]}, {}, "layer_sizes = [1, 2]: the network has [1, 1]; give the same"),
        ({}, {"x": np.zeros((0, 1))}, "x: no samples; give some, or leave it out"),
        ({}, {"max_outside": 1.5}, "max_outside = 1.5: must be from 0 to below 1"),
        ({}, {"max_outside": "a"}, "max_outside = 'a': must be from 0 to below 1"),
        ({}, {"x": [[0.5], [np.inf]]}, "x[1, 0] = inf: give a finite number"),
        (
            {"activation_format": "SQ(2, 8)"},
            {},
            "activation_format = SQ(2, 8): 51 % of the network's outputs do not fit: they go from -3.999 to 4; add "
            "integer bits",
        ),
        (
            {"activation_format": "SQ(6, 8)", "coefficient_format": "SQ(2, 8)"},
            {},
            "coefficient_format = SQ(2, 8): the edge from input 0 to node 0 of layer 0 takes coefficients from -4.993 "
            "to 4.978; add integer bits",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(change: dict[str, Any], options: dict[str, Any], message: str) -> None:
    steep = FloatLayer.of("layer", knots=[[-1.0, 1.0]], coefficients=[[[0.0]]], base_weights=[[4.0]], base="identity")
    assert refused(FloatKAN.of([steep]), spec_for([1, 1]).replace(**change), **options) == message


def test_offsets_of_a_frozen_learner_are_kept_in_its_file(tmp_path: Any) -> None:
    spec = spec_for([2, 3, 1], grid_range=(0.1, 3.6))
    network = freeze(spec, spec.initial_codes()).network
    assert isinstance(network.quantiser, FixedQuantiser)
    network.save(tmp_path / "frozen.npz")
    again = LookupNetwork.load(tmp_path / "frozen.npz")
    offsets = [layer.offset for layer in network.layers]
    assert offsets == [layer.offset for layer in again.layers]
    assert offsets[0] != 0 == offsets[1]
