"""LMS filters in integers: against the rule in fractions, and against what is known of convergence."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.polynomial.chebyshev import chebval

from kanrtl import SpecError
from kanrtl.baselines import LmsSpec, create_model
from kanrtl.baselines.polynomial import evaluate_products, find_products
from kanrtl.baselines.sum_arithmetic import find_narrowing
from kanrtl.numeric.fixed import SQ, narrow
from kanrtl.sim import TASKS
from support.reference_arithmetic import reference_narrow

RANGES = {"input_range": (-2, 2), "target_range": (-3, 3)}


@pytest.mark.parametrize("rounding", ["half_up", "half_even", "floor"])
@pytest.mark.parametrize("normalisation", ["none", "power_of_two", "table"])
def test_a_step_is_the_rule_in_fractions(normalisation: str, rounding: str) -> None:
    spec = LmsSpec(n_in=3, n_out=2, normalisation=normalisation, rounding=rounding, learning_rate=0.7, **RANGES)
    model, [layer] = create_model(spec), spec.sums
    random = np.random.default_rng(1)
    model.weights = [random.integers(-(2**18), 2**18, (2, 4))]
    before = model.weights[0].tolist()
    x = random.integers(-(2**15), 2**15, 3)
    target = random.integers(-(2**15), 2**15, 2)
    y = model.run(x[None], target[None], np.array([True]))[0]

    def value(code: int, format: object) -> Fraction:
        return Fraction(int(code), 2**format.f)

    features = [value(code, spec.unit_format) for code in x] + [Fraction(1)]
    rate = value(spec.rate_register.code, spec.rate_register.format)
    if normalisation != "none":
        energy = sum(feature**2 for feature in features)
        energy = Fraction(int(energy * 2**12), 2**12)
        power = next(power for power in range(4) if 2**power <= energy < 2 ** (power + 1))
        factor = Fraction(1, 2 ** (power + 1))
        if normalisation == "table":
            row = int((energy / 2**power - 1) * 16)
            factor = Fraction(round(256 / (1 + (row + 0.5) / 16)), 256) / 2**power
        rate = value(reference_narrow(rate * factor, spec.step_size_format, rounding)[0], spec.step_size_format)
    for node in range(2):
        factors = [value(code >> 4, layer.factor) for code in before[node]]
        total = sum(factor * feature for factor, feature in zip(factors, features, strict=True))
        assert y[node] == reference_narrow(total, spec.output_format, rounding)[0]
        error = total - value(target[node], spec.target_format)
        gradient = value(reference_narrow(error, spec.gradient_format, rounding)[0], spec.gradient_format)
        step = value(reference_narrow(gradient * rate, spec.step_format, rounding)[0], spec.step_format)
        expected = [
            reference_narrow(value(code, layer.coefficient) - step * feature, layer.coefficient, rounding)[0]
            for code, feature in zip(before[node], features, strict=True)
        ]
        assert model.weights[0][node].tolist() == expected


@pytest.mark.parametrize("chebyshev", [True, False])
def test_products_are_polynomials(chebyshev: bool) -> None:
    unit, feature = SQ(1, 23), SQ(2, 22)
    products = find_products(2, 7, chebyshev=chebyshev, mixed=True)
    assert max(found.level for found in products) == 4  # x^4 y^3 of x^4, of x^2
    assert len(products) + 2 == 9 * 8 // 2 - 1
    x = np.random.default_rng(0).uniform(-1, 1, 2)
    found = feature.to_float(evaluate_products(unit.quantise(x).tolist(), unit, feature, products, "half_up"))

    def single(value: float, power: int) -> float:
        return float(chebval(value, [0] * power + [1])) if chebyshev else value**power

    exponents = [pair for pair in product(range(8), repeat=2) if 0 < sum(pair) <= 7]
    expected = [single(x[0], a) * single(x[1], b) for a, b in exponents]
    assert np.sort(found) == pytest.approx(np.sort(expected), abs=2e-5)


@pytest.mark.parametrize("mixed", [True, False])
def test_features_are_inputs_and_products(mixed: bool) -> None:
    for n_in, degree in product(range(1, 5), range(1, 5)):
        spec = LmsSpec(n_in=n_in, degree=degree, mixed=mixed)
        assert spec.n_features == n_in + len(spec.products)


def test_a_polynomial_follows_a_function_that_switches() -> None:
    task = TASKS["track"](1500, 0)
    errors = {}
    for polynomials in ("chebyshev", "powers"):
        spec = LmsSpec(n_in=1, degree=5, polynomials=polynomials, learning_rate=0.25, **RANGES)
        codes = spec.input_format.quantise(task.x), spec.target_format.quantise(task.target)
        y = create_model(spec).run(*codes, np.ones(1500, dtype=bool))
        errors[polynomials] = float(np.mean((spec.output_format.to_float(y) - task.target) ** 2))
    assert errors["chebyshev"] < 0.02 < 0.1 < errors["powers"] < 0.11


@pytest.mark.parametrize("normalisation", ["power_of_two", "table"])
def test_a_normalised_filter_is_stable_where_the_other_is_not(normalisation: str) -> None:
    random = np.random.default_rng(0)
    x = random.choice([-2, 2], (300, 12))
    target = x @ random.uniform(-0.1, 0.1, (12, 1))
    errors = {}
    for name in ("none", normalisation):
        spec = LmsSpec(n_in=12, normalisation=name, learning_rate=0.8, **RANGES)
        codes = spec.input_format.quantise(x), spec.target_format.quantise(target)
        model = create_model(spec)
        y = model.run(*codes, np.ones(300, dtype=bool))
        errors[name] = float(np.mean((spec.output_format.to_float(y) - target)[-100:] ** 2))
    assert errors[normalisation] < 1e-5 < 1 < errors["none"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_in": 0}, "n_in = 0: must be an integer from 1 to 256"),
        ({"n_in": 1, "loss": np.array(["squared", "external"])}, "loss = array("),
        ({"n_in": 2, "degree": 1.5}, "degree = 1.5: must be an integer from 1 to 9"),
        ({"n_in": 1, "input_range": (1, 1)}, "input_range = (1, 1): must be two numbers, the lowest first"),
        ({"n_in": 1, "input_range": (0, 1e6)}, "input_range = (0, 1000000.0): must reach between 2**-12 and 2**12"),
        ({"n_in": 1, "learning_rate": 0}, "learning_rate = 0: must be a number from 2**-16 to 8"),
        ({"n_in": 1, "rounding": "stochastic"}, "rounding = 'stochastic': must be 'floor', 'half_up' or 'half_even'"),
        ({"n_in": 1, "pipeline": ["read"]}, "pipeline = ['read']: must be a preset or a list of stages: features, sum"),
        ({"n_in": 1, "mixed": 1}, "mixed = 1: must be true or false"),
        (
            {"n_in": 30, "degree": 3, "mixed": True},
            "n_in = 30, n_out = 1, degree = 3, mixed = True: makes 5456 weights; at most 1024 are built",
        ),
        (
            {"n_in": 256, "degree": 9, "mixed": True},
            "n_in = 256, n_out = 1, degree = 9, mixed = True: makes 15481400876017505 weights; at most 1024 are built",
        ),
        ({"n_in": 1, "input_range": (0, 10**400)}, "input_range = (0, 1000"),
        (
            {"n_in": 1, "input_range": (0, float("inf"))},
            "input_range = (0, inf): must be two numbers, the lowest first",
        ),
        ({"n_in": 1, "learning_rate": 10**400}, "learning_rate = 1000"),
        ({"n_in": 1, "learning_rate": float("nan")}, "learning_rate = nan: must be a number from 2**-16 to 8"),
        ({"n_in": 1, "pipeline": [["sum"]]}, "pipeline = [['sum']]: must be a preset or a list of stages: features"),
        ({"n_in": 1, "width": 8, "target_range": (-99, 99)}, "width = 8: leaves weights no fraction"),
        ({"n_in": 1, "normalisation": "yes"}, "normalisation = 'yes': must be 'none', 'power_of_two' or 'table'"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as raised:
        LmsSpec(**fields)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("rounding", ["half_up", "half_even", "floor"])
@pytest.mark.parametrize("dropped", [-2, 0, 1, 5])
def test_a_code_is_narrowed_as_arrays_are(dropped: int, rounding: str) -> None:
    format, codes = SQ(2, 3), np.arange(-2000, 2000)
    narrowed = narrow(codes, format.f + dropped, format, rounding)
    found = [find_narrowing(dropped, format, rounding)(code) for code in codes.tolist()]
    assert found == list(zip(narrowed.result.tolist(), narrowed.saturated.tolist(), strict=True))
