"""Formats that are derived: what is learned is learned equally well at every scale."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kanrtl.errors import SpecError
from kanrtl.learner.model_batch import ModelBatch
from kanrtl.learner.spec import LearnerSpec

SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)


def relative_errors(learners: list[LearnerSpec], inputs: list[float], targets: list[float]) -> list[float]:
    """Mean squared errors of a sine, once learned, in units of the square of its amplitude; scales by learner."""
    u = np.random.default_rng(4).uniform(-1, 1, (4000, 1))
    sine = np.sin(np.pi * u)
    x = [spec.formats.input.quantise(u * scale) for spec, scale in zip(learners, inputs, strict=True)]
    target = [spec.formats.output.quantise(sine * scale) for spec, scale in zip(learners, targets, strict=True)]
    predictions = ModelBatch(learners).learn_many(np.array(x), np.array(target))
    return [
        float(((spec.formats.output.to_float(codes) / scale - sine)[2000:] ** 2).mean())
        for spec, codes, scale in zip(learners, predictions, targets, strict=True)
    ]


@pytest.mark.parametrize("rate", [0.25, 2**-6])
def test_a_sine_is_learned_equally_well_on_grids_of_every_reach(rate: float) -> None:
    learners = [
        LearnerSpec(layer_sizes=[1, 1], grid_range=(-reach, reach), learning_rate=rate, seed=3) for reach in SCALES
    ]
    errors = relative_errors(learners, list(SCALES), [1.0] * len(SCALES))
    assert max(errors) < 1.3 * min(errors)
    assert max(errors) < (2e-4 if rate == 0.25 else 2e-3)


@given(
    low=st.floats(-1e6, 1e6),
    reach=st.floats(1e-3, 1e6),
    grid_size=st.integers(1, 40),
    table_size=st.sampled_from([1, 16, 64, 256]),
)
def test_every_row_has_an_input_and_where_bits_are_added_two(
    low: float, reach: float, grid_size: int, table_size: int
) -> None:
    """With one, rounding of inputs adds as much as three times the error of rows."""
    assume(low + reach > low)
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(low, low + reach), grid_size=grid_size, table_size=table_size)
    format, rows = spec.formats.input, grid_size * table_size
    codes = (Fraction(low + reach) - Fraction(low)) * 2**format.f
    assert codes >= rows * (2 if format.width > 16 and rows < 4096 else 1)


@pytest.mark.parametrize(
    ("grid_range", "format"),
    {
        (5, 5.001): "SQ(5, 21)",
        (5, 5.2): "SQ(5, 14)",
        (5, 5.2501): "SQ(5, 13)",
        (5, 5 + 2.0**-20): "SQ(5, 31)",
        (0, 0.3): "SQ(3, 13)",
        (0, 1): "SQ(6, 10)",
    }.items(),
)
def test_inputs_of_grids_far_from_zero(grid_range: tuple[float, float], format: str) -> None:
    assert str(LearnerSpec(layer_sizes=[1, 1], grid_range=grid_range).formats.input) == format


def test_a_sine_of_every_amplitude_is_learned_equally_well() -> None:
    learners = [
        LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1), learning_rate=0.25, target_range=(-scale, scale))
        for scale in SCALES
    ]
    errors = relative_errors(learners, [1.0] * len(SCALES), list(SCALES))
    assert max(errors) < 1.3 * min(errors)


def test_hidden_layers_learn_equally_well_on_grids_of_every_reach() -> None:
    """The first layer's own grid is what is scaled, and the outputs."""
    learners = [
        LearnerSpec(
            layer_sizes=[1, 2, 1],
            grid_range=[(-scale, scale), (-2, 2)],
            learning_rate=0.125,
            target_range=(-1, 1),
            seed=1,
        )
        for scale in SCALES
    ]
    errors = relative_errors(learners, list(SCALES), [1.0] * len(SCALES))
    assert max(errors) < 1.3 * min(errors)


@pytest.mark.parametrize(
    ("reach", "factor"), {0.1: "SQ(2, 14)", 0.25: "SQ(2, 14)", 1: "SQ(2, 14)", 4: "SQ(4, 12)"}.items()
)
def test_curves_that_are_multiplied_by_little_are_as_large_as_they_must(reach: float, factor: str) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(0, reach), target_range=(-reach, reach), modulated=True)
    assert str(spec.formats.factor) == factor
    assert str(LearnerSpec(layer_sizes=[1, 1], grid_range=(0, reach), modulated=True).formats.factor) == "SQ(6, 10)"


@pytest.mark.parametrize(
    ("fields", "factor"),
    [
        ({"output_format": "SQ(2, 14)", "target_range": (-1, 1)}, "SQ(6, 10)"),
        ({"activation_format": "SQ(2, 14)", "target_range": (-1, 1)}, "SQ(6, 10)"),
        ({"output_format": "SQ(2, 14)"}, "SQ(2, 14)"),
        ({"factor_format": "SQ(3, 13)", "target_range": (-1, 1)}, "SQ(3, 13)"),
        ({"layer_sizes": [1, 2, 1], "grid_range": [(-1 / 16, 1 / 16), (-8, 8)]}, "SQ(9, 7)"),
    ],
)
def test_curves_of_modulated_edges_heed_what_is_given(fields: dict[str, Any], factor: str) -> None:
    spec = LearnerSpec(**{"layer_sizes": [1, 1], "grid_range": (-1 / 16, 1 / 16), "modulated": True, **fields})
    assert str(spec.formats.layers[0].factor) == factor


@pytest.mark.parametrize(
    "fields",
    [
        {"grid_range": [(-64, 64), (-64, 64)], "target_range": (-0.05, 0.05)},
        {"grid_range": [(-0.25, 0.25), (-8, 8)], "target_range": (-0.01, 0.01)},
    ],
)
def test_steps_of_linear_paths_leave_room_for_exact_sums(fields: dict[str, Any]) -> None:
    learner = LearnerSpec(layer_sizes=[1, 4, 1], learning_rate=[2**-10, 0.0625], linear=[True, False], **fields)
    linear = learner.layers[0].linear
    assert linear
    assert linear.update_sum.width == 62


@pytest.mark.parametrize("rate", [1e-9, 1e-14])
def test_steps_of_lowest_rates_have_formats(rate: float) -> None:
    """Bits are left where no room is for them beside the gradients; exact sums are then refused by name."""
    fields = {"layer_sizes": [1, 4, 1], "grid_range": [(-64, 64), (-8, 8)], "linear": [True, False]}
    with pytest.raises(SpecError, match=r"^linear_|^gradient_format = .* would need"):
        LearnerSpec(linear_rate=rate, target_range=(-1e-6, 1e-6), **fields)
    assert LearnerSpec(linear_rate=1e-9, target_range=(-1e6, 1e6), **fields).formats.layers[0].linear_step


def test_inputs_of_grids_very_far_from_zero_leave_room_for_positions() -> None:
    fields = {"grid_size": 16, "table_size": 256, "periodic": True}
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(1e5, 1e5 + 1e5 / 65536), **fields)
    assert spec.layers[0].position.width <= 62


@pytest.mark.parametrize(("reach", "step"), {1e-3: "SQ(-12, 28)", 2: "SQ(-7, 23)", 1000: "SQ(-13, 29)"}.items())
def test_steps_of_linear_paths_suit_low_rates(reach: float, step: str) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-reach, reach), linear=True, learning_rate=2**-12)
    assert str(spec.formats.layers[0].linear_step) == step
    smallest = spec.layers[0].smallest_linear_rate(spec.rounding, spec.update_rounding)
    assert smallest
    linear = spec.layers[0].linear
    assert linear
    assert smallest <= linear.linear_rate / 16


def test_hidden_layers_learn_as_well_with_a_range_of_targets() -> None:
    """Grids of usual inputs reach less far than their formats; gradients and slopes are for what they reach."""
    x = np.random.default_rng(0).uniform(-1, 1, (3000, 2))
    target = 0.8 * np.sin(4 * x[:, :1]) * np.cos(2 * x[:, 1:])
    reaches, fields = (1, 2, 4), {"layer_sizes": [2, 4, 1], "target_range": (-1, 1), "learning_rate": 2**-4}
    learners = [LearnerSpec(grid_range=(-reach, reach), **fields) for reach in reaches]
    inputs, targets = np.array([x * reach for reach in reaches]), np.array([target] * len(reaches))
    formats = learners[0].formats
    codes = formats.input.quantise(inputs), formats.output.quantise(targets)
    found = formats.output.to_float(ModelBatch(learners).learn_many(*codes))
    exact = ModelBatch(learners, "float64").learn_many(inputs, targets)
    errors, least = (((each - target)[:, 1000:] ** 2).mean(axis=(1, 2)) for each in (found, exact))
    assert (errors < 1.05 * least).all()
