"""The integer model against the numeric contract, the float model against scipy and finite differences."""

import re
from fractions import Fraction
from itertools import product
from math import floor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from kanrtl.errors import InputError, SpecError
from kanrtl.learner.address_map import COUNTER_WIDTH, SATURATIONS
from kanrtl.learner.arithmetic import LayerArithmetic
from kanrtl.learner.guard_model import GuardedModel
from kanrtl.learner.model_batch import ModelBatch
from kanrtl.learner.spec import LearnerSpec
from kanrtl.numeric.fixed import SQ, UQ, Format
from kanrtl.numeric.sigmoid import Sigmoid
from kanrtl.sessions.standalone_model import Model
from support.reference_arithmetic import extremes, reference_narrow
from support.search import examples
from support.strategies import codes_in, specs

Reals = npt.NDArray[np.float64]


class Reference:
    """The numeric contract in exact fractions: no widths, no arrays, rounded only where a format begins."""

    def __init__(self, spec: LearnerSpec, codes: list[npt.NDArray[np.int64]]) -> None:
        self.spec = spec
        self.coefficients = [
            {place: Fraction(int(code), 2**layer.formats.coefficient.f) for place, code in np.ndenumerate(layer_codes)}
            for layer, layer_codes in zip(spec.layers, codes, strict=True)
        ]
        self.word = spec.seed ^ 0x9E3779B9 or 1
        self.saturations = dict.fromkeys((*SATURATIONS, *spec.counts), 0)
        self.saturated: set[str] = set()

    def codes(self) -> list[list[int]]:
        return [
            [int(c * 2**layer.formats.coefficient.f) for c in coefficients.values()]
            for layer, coefficients in zip(self.spec.layers, self.coefficients, strict=True)
        ]

    @staticmethod
    def factors_of(layer: LayerArithmetic, c: dict[Any, Fraction]) -> dict[Any, Fraction]:
        """What of each coefficient is multiplied: guard bits are cut off."""
        lsb = Fraction(1, 2**layer.formats.factor.f)
        return {place: floor(value / lsb) * lsb for place, value in c.items()}

    def narrow(
        self, kind: str, exact: Fraction, format: Format, rounding: str | None = None, noise: Fraction = Fraction(0)
    ) -> Fraction:
        code, saturated = reference_narrow(exact, format, rounding or self.spec.rounding, noise=noise)
        if saturated:
            self.saturated.add(kind.removeprefix("linear_"))
        return Fraction(code, 2**format.f)

    def locate(self, layer: LayerArithmetic, x: Fraction) -> tuple[int, list[Fraction], list[Fraction]]:
        """The cell, the bases' values and their derivatives."""
        position = floor((x - Fraction(layer.grid_min)) / layer.cell_width * layer.table_size)
        if layer.locator.scale.bit_count() > 1:  # no power of two: the contract is the constant of the multiplication
            locator = layer.locator
            position = int(x * 2**layer.formats.input.f) * locator.scale + locator.offset >> locator.shift
        if layer.periodic:
            position %= layer.grid_size * layer.table_size
        clamped = min(max(position, 0), layer.grid_size * layer.table_size - 1)
        self.inside.append(position == clamped)
        cell, row = divmod(clamped, layer.table_size)
        basis = [Fraction(int(b), 2**layer.formats.basis.f) for b in layer.basis_table[row]]
        slope = [Fraction(int(d), 2**layer.derivative.f) * (position == clamped) for d in layer.derivative_table[row]]
        return cell, basis, slope

    def error(self, total: Fraction, y: Fraction, target: Fraction) -> Fraction:
        formats = self.spec.layers[-1].formats
        if self.spec.loss == "external":
            return self.limit(target)
        if self.spec.loss == "logistic":
            sigmoid = Sigmoid.of(formats.output, formats.gradient)
            rows = len(sigmoid.table)
            row = floor((y + sigmoid.reach) * rows / (2 * sigmoid.reach))
            total = Fraction(int(sigmoid.table[min(max(row, 0), rows - 1)]), 2**sigmoid.value.f)
        return self.limit(self.narrow("gradient", total - target, formats.gradient))

    def limit(self, gradient: Fraction) -> Fraction:
        code = round(Fraction(self.spec.gradient_limit) * 2 ** self.spec.layers[-1].formats.gradient.f)
        limit = Fraction(code, 2 ** self.spec.layers[-1].formats.gradient.f)
        if not limit or abs(gradient) <= limit:
            return gradient
        self.saturated.add("gradient")
        return limit if gradient > 0 else -limit

    def noise(self, lane: int, bits: int) -> Fraction:
        digits = f"{self.word:032b}"
        rotation = 7 * lane % 32
        return Fraction(int(digits[rotation:] + digits[:rotation], 2) % 2**bits, 2**bits)

    def leap(self) -> None:
        bits = f"{self.word:032b}"  # the latest last
        for _ in range(16):
            bits += str(sum(int(bits[-before]) for before in (23, 29, 30, 32)) % 2)
        self.word = int(bits[-32:], 2)

    def run(self, x: list[int], target: list[int] | None) -> list[int]:
        """Predicts, and learns if there is a target."""
        layers = self.spec.layers
        factors = [self.factors_of(layer, c) for layer, c in zip(layers, self.coefficients, strict=True)]
        self.saturated = set()
        values = [Fraction(code, 2 ** layers[0].formats.input.f) for code in x]
        located, inputs, totals = [], [], [Fraction(0)]
        self.inside: list[bool] = []  # by layer and input
        words = 1 + self.spec.modulation
        self.multipliers = [values[first : first + words - 1] for first in range(0, len(values), words)]
        values = values[words - 1 :: words]
        for layer, c in zip(layers, factors, strict=True):
            located.append([self.locate(layer, value) for value in values])
            inputs.append(values)
            if layer.modulation:
                totals = self.modulated(layer, c, located[-1])
                values = [self.narrow("activation", total, layer.formats.output) for total in totals]
                continue
            totals = [
                sum(
                    (
                        c[o, i, (cell + j) % layer.bases] * b
                        for i, (cell, basis, _) in enumerate(located[-1])
                        for j, b in enumerate(basis)
                    ),
                    Fraction(0),
                )
                for o in range(layer.n_out)
            ]
            if layer.linear:
                scaled = [x * Fraction(2) ** layer.linear.input_shift for x in values]
                totals = [
                    total + sum(c[o, i, layer.bases] * x for i, x in enumerate(scaled))
                    for o, total in enumerate(totals)
                ]
            values = [self.narrow("activation", total, layer.formats.output) for total in totals]
        if target is not None:
            targets = [Fraction(code, 2**self.spec.target_format.f) for code in target]
            gradients = [[self.error(*triple) for triple in zip(totals, values, targets, strict=True)]]
            for layer, c, places in list(zip(layers, factors, located, strict=True))[:0:-1]:
                below = []
                for i, (cell, _, slope) in enumerate(places):
                    exact = Fraction(0)
                    for o, gradient in enumerate(gradients[0]):
                        edge = sum((c[o, i, (cell + j) % layer.bases] * d for j, d in enumerate(slope)), Fraction(0))
                        if layer.linear:
                            edge += c[o, i, layer.bases] * Fraction(2) ** layer.linear.input_shift
                        exact += gradient * self.narrow("slope", edge, layer.formats.slope)
                    below.append(self.narrow("gradient", exact, layer.formats.downstream))
                gradients.insert(0, below)
            self.update(located, inputs, gradients)
        for kind in self.saturated:
            self.saturations[kind] += 1
        return [int(value * 2 ** layers[-1].formats.output.f) for value in values]

    def modulated(self, layer: LayerArithmetic, c: dict[Any, Fraction], places: list[Any]) -> list[Fraction]:
        """The sums of nodes whose edges multiply inputs."""
        totals = []
        curves = {
            (o, i): self.narrow(
                "coefficient",
                sum((c[o, i, (cell + j) % layer.bases] * b for j, b in enumerate(basis)), Fraction(0)),
                layer.formats.factor,
            )
            for o in range(layer.n_out)
            for i, (cell, basis, _) in enumerate(places)
        }
        for o in range(layer.n_out):
            total = Fraction(0)
            for i, u in enumerate(self.multipliers):
                if len(u) == 1:
                    total += u[0] * curves[o, i]
                elif o % 2 == 0:
                    total += u[0] * curves[o, i] - u[1] * curves[o + 1, i]
                else:
                    total += u[0] * curves[o, i] + u[1] * curves[o - 1, i]
            totals.append(total)
        return totals

    def note(self, kind: str) -> None:
        if kind in self.spec.counts:
            self.saturated.add(kind)

    def turned(self, layer: LayerArithmetic, gradients: list[Fraction], o: int, i: int) -> Fraction:
        """What the curve of an edge is taught by."""
        if not layer.modulation:
            return gradients[o]
        u = self.multipliers[i]
        exact = gradients[o] * u[0]
        if len(u) == 2:
            exact += gradients[o ^ 1] * u[1] * (-1 if o % 2 else 1)
        return self.narrow("gradient", exact, layer.formats.gradient)

    def update(self, located: list[Any], inputs: list[list[Fraction]], gradients: list[list[Fraction]]) -> None:
        first_lane, inside = 0, iter(self.inside)
        if not all(self.inside):
            self.note("outside")
        for layer, c, places, values, layer_gradients in zip(
            self.spec.layers, self.coefficients, located, inputs, gradients, strict=True
        ):
            formats, kind = layer.formats, self.spec.update_rounding
            rate = Fraction(layer.learning_rate_code, 2**formats.learning_rate.f)
            bits = min(32, max(0, layer.leak, formats.gradient.f + formats.step.f - formats.coefficient.f))
            kept = 1 - Fraction(bool(layer.leak), 2**layer.leak)
            for i, (cell, basis, _) in enumerate(places):
                steps = [self.narrow("step", rate * b, formats.step) for b in basis]
                turned = [self.turned(layer, layer_gradients, o, i) for o in range(layer.n_out)]
                if not next(inside) and layer.outside == "hold":
                    continue
                moved = set()
                for (o, gradient), (j, step) in product(enumerate(turned), enumerate(steps)):
                    lane = first_lane + (o * layer.n_in + i) * layer.banks + (cell + j) % layer.banks
                    place = o, i, (cell + j) % layer.bases
                    exact, noise = c[place] * kept - gradient * step, self.noise(lane, bits)
                    wide = Format(True, formats.coefficient.i + 40, formats.coefficient.f)
                    if self.narrow("none", exact, wide, kind, noise) != c[place]:
                        moved.add(o)
                    c[place] = self.narrow("coefficient", exact, formats.coefficient, kind, noise)
                if kind != "stochastic" and any(
                    gradient and rate and o not in moved for o, gradient in enumerate(turned)
                ):
                    self.note("lost")
            first_lane += layer.n_out * layer.n_in * layer.banks
            if layer.linear and formats.linear_rate and formats.linear_step:
                dropped = formats.gradient.f + formats.linear_step.f - formats.coefficient.f
                bits = min(32, max(0, layer.leak, dropped))
                for (i, x), (o, gradient) in product(enumerate(values), enumerate(layer_gradients)):
                    rate = Fraction(layer.linear.rate_code, 2**formats.linear_rate.f)
                    exact_step = rate * x * Fraction(2) ** layer.linear.input_shift
                    step = self.narrow("linear_step", exact_step, formats.linear_step)
                    noise = self.noise(first_lane + o * layer.n_in + i, bits)
                    exact = c[o, i, layer.bases] * kept - gradient * step
                    c[o, i, layer.bases] = self.narrow("coefficient", exact, formats.coefficient, kind, noise)
                first_lane += layer.n_out * layer.n_in
        if self.spec.update_rounding == "stochastic":
            self.leap()


def random_coefficients(spec: LearnerSpec, random: np.random.Generator, draw: Any = codes_in) -> list[Any]:
    return [
        draw(layer.formats.coefficient, random, (layer.n_out, layer.n_in, layer.coefficients)) for layer in spec.layers
    ]


@examples(60)
@given(spec=specs(), data_seed=st.integers(0, 2**32 - 1))
def test_the_integer_model_is_the_contract(spec: LearnerSpec, data_seed: int) -> None:
    random = np.random.default_rng(data_seed)
    model = Model(spec)
    model.coefficients = random_coefficients(spec, random)
    reference = Reference(spec, model.coefficients)
    for _ in range(5):
        x = codes_in(spec.formats.input, random, (spec.n_in,))
        target = codes_in(spec.target_format, random, (spec.n_out,))
        if random.random() < 0.2:
            assert model.predict(x).tolist() == reference.run(x.tolist(), None)
        else:
            assert model.learn(x, target).tolist() == reference.run(x.tolist(), target.tolist())
        assert [layer.ravel().tolist() for layer in model.coefficients] == reference.codes()
        assert model.saturations == reference.saturations
        assert model.noise_state == reference.word


def test_a_float_model_limits_gradients_too() -> None:
    model = float_model([2, 2], 3, loss="squared", gradient_limit=0.25)
    y = model.predict([0.3, -0.4])
    near, far = (model.gradients([0.3, -0.4], y + np.array([error, -2 * error])) for error in (1, 5))
    for ours, theirs in zip(near, far, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    small = model.gradients([0.3, -0.4], y + np.array([0.125, 1]))
    np.testing.assert_allclose(small[0][0], near[0][0] / 2)


def float_model(sizes: list[int], orders: Any, seed: int = 1, **fields: Any) -> Model:
    spec = LearnerSpec(
        layer_sizes=sizes, grid_range=(-2.2, 2), grid_size=5, spline_order=orders, table_size=4, **fields
    )
    model = Model(spec, numeric="float64")
    random = np.random.default_rng(seed)
    model.coefficients = [random.uniform(-1, 1, layer.shape) for layer in model.coefficients]
    return model


def test_what_is_touched_leaks_in_floats_too() -> None:
    model = float_model([1, 1], 1, loss="external", leak=3, linear=True, outside="hold")
    before = model.coefficients[0][0, 0].copy()
    model.learn([0.1], [0.0])
    touched = np.isin(np.arange(len(before)), [2, 3, len(before) - 1])  # and w
    np.testing.assert_allclose(model.coefficients[0][0, 0], np.where(touched, before * 7 / 8, before))
    model.learn([5.0], [0.0])
    touched = np.arange(len(before)) == len(before) - 1
    np.testing.assert_allclose(model.coefficients[0][0, 0, -1], before[-1] * 49 / 64)
    np.testing.assert_allclose(
        model.coefficients[0][0, 0, :-1], np.where(touched, before, model.coefficients[0][0, 0])[:-1]
    )


def loss_of(model: Model, x: Reals, target: Reals) -> float:
    y = model.predict(x)
    if model.spec.loss == "squared":
        return float(((y - target) ** 2).sum() / 2)
    return float((np.logaddexp(0, y) - target * y).sum())  # cross entropy of sigmoid(y)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("sizes", [[3, 2], [2, 3, 2], [2, 3, 2, 1]])
def test_gradients_equal_finite_differences(sizes: list[int], order: int, loss: str, linear: bool) -> None:
    model = float_model(sizes, order, loss=loss, linear=linear)
    x, target = np.linspace(-1.4, 1.1, sizes[0]), np.linspace(0.2, 0.9, sizes[-1])
    check_gradients(model, x, target)


def test_gradients_of_linear_paths_go_on_outside_the_grid() -> None:
    """Of inputs beyond the grid, and of hidden values that are."""
    model = float_model([2, 3, 2, 1], 3, linear=True)
    model.coefficients[0][..., -1] *= 3
    x = np.array([4.1, -3.3])
    first = Model(model.spec.replace(layer_sizes=[2, 3]), "float64")
    first.coefficients = model.coefficients[:1]
    assert (np.abs(first.predict(x)) > 2.2).any()
    check_gradients(model, x, np.array([0.4]))
    gradient = model.gradients(x, [0.4])[0]
    assert np.abs(gradient[..., -1]).min() > 0


def check_gradients(model: Model, x: Reals, target: Reals) -> None:
    gradients = model.gradients(x, target)
    epsilon = 1e-6
    for coefficients, gradient in zip(model.coefficients, gradients, strict=True):
        differences = np.zeros_like(gradient)
        for place, value in np.ndenumerate(coefficients):
            losses = []
            for sign in (1, -1):
                coefficients[place] = value + sign * epsilon
                losses.append(loss_of(model, x, target))
            coefficients[place] = value
            differences[place] = (losses[0] - losses[1]) / (2 * epsilon)
        scale = np.abs(differences).max()
        assert scale > 1e-3
        np.testing.assert_allclose(gradient, differences, rtol=0, atol=1e-6 * scale)


def test_a_decided_output_has_no_logistic_gradient() -> None:
    model = float_model([1, 1], 3, loss="logistic")
    for value, target in [(-1000.0, 0.0), (1000.0, 1.0)]:
        model.coefficients[0][:] = value
        assert not model.gradients([0.5], [target])[0].any()
        assert model.gradients([0.5], [1 - target])[0].any()


def test_a_float_step_is_the_rate_times_the_gradient() -> None:
    model = float_model([2, 3, 1], 3, learning_rate=[0.25, 0.5], linear=[False, True], linear_rate=0.125)
    x, target = np.array([0.3, -0.9]), np.array([1.5])
    before, gradients = [c.copy() for c in model.coefficients], model.gradients(x, target)
    expected = model.predict(x)
    assert model.learn(x, target) == expected
    second = np.array([0.5] * 8 + [0.125])
    for after, start, gradient, rate in zip(model.coefficients, before, gradients, (0.25, second), strict=True):
        np.testing.assert_allclose(after, start - rate * gradient, rtol=0, atol=1e-15)


def scipy_layer(layer: LayerArithmetic, coefficients: Reals, x: Reals) -> Reals:
    width = float(layer.cell_width)
    knots = layer.grid_min + width * np.arange(-layer.spline_order, layer.grid_size + layer.spline_order + 1)
    clamped = np.clip(x, layer.grid_min, layer.grid_max)
    return np.array(
        [
            sum(BSpline(knots, edge, layer.spline_order)(at) for edge, at in zip(node, clamped, strict=True))
            for node in coefficients
        ]
    )


@pytest.mark.parametrize("orders", [[1, 3], [2, 2], [3, 1]])
def test_float_predictions_are_sums_of_scipy_splines(orders: list[int]) -> None:
    model = float_model([2, 3, 2], orders)
    for x in np.random.default_rng(0).uniform(-3, 3, (40, 2)):
        values = x
        for layer, coefficients in zip(model.spec.layers, model.coefficients, strict=True):
            values = scipy_layer(layer, coefficients, values)
        np.testing.assert_allclose(model.predict(x), values, rtol=0, atol=1e-12)


def test_wide_formats_approach_float() -> None:
    """A finer table and finer formats bring predictions while learning nearer to float64, in proportion."""

    def worst(table_size: int, fraction: int) -> float:
        spec = LearnerSpec(
            layer_sizes=[2, 2, 1],
            grid_range=(-2, 2),
            learning_rate=0.25,
            table_size=table_size,
            activation_format=SQ(6, fraction),
            coefficient_format=SQ(6, fraction),
            basis_format=UQ(1, fraction),
            update_rounding="half_up",
        )
        models = Model(spec), Model(spec, numeric="float64")
        random, differences = np.random.default_rng(0), []
        for x in random.uniform(-1.9, 1.9, (150, 2)):
            codes, target = spec.formats.activation.quantise(x), np.array([np.sin(x[0]) * x[1]])
            integer = models[0].learn(codes, spec.formats.activation.quantise(target))
            differences.append(spec.formats.activation.to_float(integer) - models[1].learn(x, target))
        assert not any(models[0].saturations.values())
        return float(np.abs(differences).max())

    coarse, fine = worst(32, 10), worst(512, 16)
    assert fine < 0.01
    assert fine < coarse / 8


@pytest.mark.parametrize(
    ("kind", "narrow"),
    [
        ("activation", SQ(3, 8)),
        ("slope", SQ(2, 8)),
        ("gradient", SQ(3, 8)),
        ("step", UQ(0, 12)),
        ("coefficient", SQ(5, 8)),
    ],
)
def test_saturations_are_counted_by_kind(kind: str, narrow: Format) -> None:
    """A prediction of 5, an error of 35, a slope of 2 and a step of 4/3: one format at a time cannot hold it."""
    wide = {
        "activation": SQ(8, 8),
        "coefficient": SQ(8, 8),
        "slope": SQ(8, 8),
        "gradient": SQ(8, 8),
        "step": UQ(8, 12),
    }
    formats = {f"{name}_format": format for name, format in (wide | {kind: narrow}).items()}
    spec = LearnerSpec(layer_sizes=[1, 1, 1], grid_range=(-2, 2), learning_rate=2.0, **formats)
    model = Model(spec)
    model.coefficients = [np.zeros((1, 1, 11), dtype=np.int64), np.arange(11).reshape(1, 1, 11) * 256]
    none = dict.fromkeys(SATURATIONS, 0)
    y = model.learn([0], spec.formats.activation.quantise([-30]))
    assert y.tolist() == [min(5 * 256 + 2, spec.formats.activation.maximum)]  # sampled half a table step on
    assert model.saturations == none | {kind: 1}
    model.coefficients[1][:] = 5 * 256
    model.predict([0])
    assert model.saturations == none | {kind: 2 if kind == "activation" else 1}


def listed_kinds(spec: LearnerSpec) -> list[frozenset[str]]:
    """What may saturate, by layer."""
    return [plan.saturating for plan in spec.plans]


def counted_kinds(model: Model) -> set[str]:
    return {kind for kind, count in model.saturations.items() if count}


def corners(format: Format, random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """The lowest and the highest code, mixed, or all of them one of the two."""
    both = extremes(format)
    return random.choice([both, both[:1], both[1:]][random.integers(3)], shape)


# Formats about as wide as what is narrowed to them: many a kind just fits, or just does not.
tight_specs = st.builds(
    lambda sizes, order, rounding, update_rounding, loss, fractions, integers, rate, guard: LearnerSpec(
        layer_sizes=sizes,
        grid_range=(-2, 2),
        grid_size=2,
        spline_order=order,
        learning_rate=rate,
        table_size=8,
        rounding=rounding,
        update_rounding=update_rounding,
        loss=loss,
        coefficient_format=SQ(2, fractions[0] + guard),
        factor_format=SQ(2, fractions[0]),
        activation_format=SQ(integers[0], fractions[1]),
        gradient_format=SQ(integers[1], fractions[2]),
        slope_format=SQ(integers[2], fractions[3]),
        step_format=UQ(integers[3], fractions[4]),
        basis_format=UQ(1, 6),
        initial_coefficients="zeros",
    ),
    sizes=st.lists(st.integers(1, 2), min_size=2, max_size=3),
    order=st.integers(1, 3),
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
    update_rounding=st.sampled_from(["floor", "half_up", "half_even", "stochastic"]),
    loss=st.sampled_from(["squared", "logistic", "external"]),
    fractions=st.tuples(*[st.integers(least, 10) for least in (2, 3, 3, 3, 5)]),
    integers=st.tuples(st.integers(3, 4), st.integers(3, 6), st.integers(2, 5), st.integers(0, 2)),
    rate=st.sampled_from([0.5, 0.9, 1.0, 1.9]),
    guard=st.integers(0, 4),
)


@examples(75)
@given(spec=st.one_of(tight_specs, specs()), data_seed=st.integers(0, 2**32 - 1))
def test_only_the_kinds_that_are_listed_saturate(spec: LearnerSpec, data_seed: int) -> None:
    """At corners of coefficients, inputs, targets and learning rates, and at random ones."""
    random = np.random.default_rng(data_seed)
    model, rate = Model(spec), spec.formats.learning_rate
    listed = frozenset[str]().union(*listed_kinds(spec))
    for _ in range(25):
        draw = corners if random.random() < 0.8 else codes_in
        model.coefficients = random_coefficients(spec, random, draw)
        model.learning_rates = [random.choice([1, rate.maximum]) for _ in spec.layers]
        x = codes_in(spec.formats.input, random, (spec.n_in,))
        if spec.formats.linear_rate:
            model.linear_rates = [random.choice([1, spec.formats.linear_rate.maximum]) for _ in spec.layers]
        model.learn(x, draw(spec.target_format, random, (spec.n_out,)))
    assert counted_kinds(model) <= listed


def places(layer: LayerArithmetic) -> tuple[npt.NDArray[np.int64], Any]:
    """Every input code in the grid of a layer, and the table rows that these reach: all of them."""
    format = layer.formats.input
    x = np.arange(format.minimum, format.maximum + 1)
    _, rows, inside = layer.locator.locate(x)
    assert set(rows[inside]) == set(range(layer.table_size))
    return x[inside], rows[inside]


@examples(150)
@given(spec=tight_specs)
def test_every_kind_listed_for_one_layer_saturates_somewhere(spec: LearnerSpec) -> None:
    spec = spec.replace(layer_sizes=spec.layer_sizes[:2], loss="squared")
    formats, layer = spec.formats, spec.layers[0]
    x, rows = places(layer)
    highest = np.full(spec.n_in, x[layer.basis_table[rows].max(axis=1).argmax()])
    model = Model(spec)
    model.learning_rates = [formats.learning_rate.maximum]
    for coefficient, target in product(extremes(formats.coefficient), extremes(formats.output)):
        model.coefficients[0][:] = coefficient
        model.learn(highest, np.full(spec.n_out, target))
    (listed,) = listed_kinds(spec)
    assert counted_kinds(model) | {"coefficient"} == listed


@examples(60)
@given(spec=tight_specs)
def test_a_coefficient_saturates_in_any_spec(spec: LearnerSpec) -> None:
    spec = spec.replace(layer_sizes=spec.layer_sizes[:2], loss="external")
    x, _ = places(spec.layers[0])
    for coefficient, gradient in [
        (spec.formats.coefficient.minimum, spec.formats.gradient.maximum),
        (spec.formats.coefficient.maximum, spec.formats.gradient.minimum),
    ]:
        model = Model(spec)
        model.learning_rates = [spec.formats.learning_rate.maximum]
        model.coefficients[0][:] = coefficient
        model.learn(np.full(spec.n_in, x[0]), np.full(spec.n_out, gradient))
        assert model.saturations["coefficient"] == 1
        assert "coefficient" in listed_kinds(spec)[0]


@examples(75)
@given(spec=tight_specs)
def test_a_slope_saturates_where_that_is_listed(spec: LearnerSpec) -> None:
    """The coefficients of the steepest row at the corner that its signs choose; none but hidden layers have slopes."""
    spec = spec.replace(layer_sizes=[1, *spec.layer_sizes[-2:]])
    layer = spec.layers[1]
    formats = layer.formats
    x, rows = places(layer)
    row = int(np.abs(layer.derivative_table).sum(axis=1).argmax())
    derivative = layer.derivative_table[row]
    hidden = x[rows == row][0]  # where that row begins in the first cell: a coefficient can be that
    saturates = False
    for rising in (False, True):
        model = Model(spec)
        model.coefficients[0][:] = formats.coefficient.quantise(formats.input.to_float(hidden))
        corner = np.where((derivative > 0) == rising, formats.coefficient.maximum, formats.coefficient.minimum)
        model.coefficients[1][..., : layer.window] = corner
        model.learn([0], np.zeros(spec.n_out, dtype=np.int64))
        factors = corner >> formats.guard_bits
        exact = Fraction(int((factors * derivative).sum()), 2**layer.slope_sum.f)
        expected = reference_narrow(exact, formats.slope, spec.rounding)[1]
        assert model.saturations["slope"] == expected
        saturates |= expected
    first, second = listed_kinds(spec)
    assert "slope" not in first
    if saturates:
        assert "slope" in second
    elif "slope" in second:  # listed as if the highest factor were one code higher
        span = int(np.abs(derivative).sum())
        bound = Fraction((formats.factor.maximum + 1) * span, 2**layer.slope_sum.f)
        assert any(reference_narrow(exact, formats.slope, spec.rounding)[1] for exact in (-bound, bound))


def test_saturation_counters_stop_at_their_highest_value() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), activation_format=SQ(3, 8))
    model = Model(spec)
    model.coefficients[0][:] = spec.formats.coefficient.quantise(3.99)
    model.learning_rates[0] = spec.formats.learning_rate.maximum
    model.saturations["gradient"] = 2**COUNTER_WIDTH - 2
    for expected in (2**COUNTER_WIDTH - 1, 2**COUNTER_WIDTH - 1):
        model.learn([0], [-1024])
        assert model.saturations["gradient"] == expected


@pytest.mark.parametrize("numeric", ["integer", "float64"])
def test_a_frozen_model_predicts_and_does_not_learn(numeric: Any) -> None:
    spec = LearnerSpec(layer_sizes=[1, 2, 1], grid_range=(-2, 2), update_rounding="stochastic")
    model = Model(spec, numeric=numeric)
    x, target = np.array([300]), np.array([900])
    model.frozen = True
    before, state = [c.copy() for c in model.coefficients], model.noise_state
    assert model.learn(x, target).tolist() == model.predict(x).tolist()
    assert model.noise_state == state
    for old, new in zip(before, model.coefficients, strict=True):
        np.testing.assert_array_equal(old, new)
    model.frozen = False
    model.learn(x, target)
    assert any((old != new).any() for old, new in zip(before, model.coefficients, strict=True))


@examples(60)
@given(
    order=st.integers(1, 3),
    n_in=st.integers(1, 3),
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
    data_seed=st.integers(0, 2**32 - 1),
)
def test_outputs_stay_between_the_coefficients(order: int, n_in: int, rounding: str, data_seed: int) -> None:
    """The bases sum to exactly one: an output is between the sums of its edges' extreme coefficients."""
    spec = LearnerSpec(
        layer_sizes=[n_in, 2],
        grid_range=(-2, 1.7),
        grid_size=4,
        spline_order=order,
        table_size=16,
        activation_format=SQ(8, 8),
        coefficient_format=SQ(5, 8),
        rounding=rounding,
    )
    random = np.random.default_rng(data_seed)
    model = Model(spec)
    low = random.integers(-4096, 4096)
    high = random.integers(low, 4096)
    codes = random.integers(low, high + 1, (2, n_in, 4 + order))
    model.coefficients = [codes]
    for x in random.integers(-2000, 2000, (20, n_in)):
        y = model.predict(x)
        assert (codes.min(axis=2).sum(axis=1) <= y).all()
        assert (y <= codes.max(axis=2).sum(axis=1)).all()


@pytest.mark.parametrize(("numeric", "one"), [("integer", 1024), ("float64", 1.0)])
@pytest.mark.parametrize("hidden", [-1.5, 1.5])
def test_a_clamped_value_passes_no_gradient_but_its_coefficients_learn(numeric: Any, one: float, hidden: float) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1, 1], grid_range=[(-2, 2), (-1, 1)], learning_rate=1.0)
    model = Model(spec, numeric=numeric)
    guarded = one * 2**4 if numeric == "integer" else one
    model.coefficients[0][:] = hidden * guarded  # beyond the second grid
    model.coefficients[1][:] = np.arange(11) * (guarded / 8)  # a slope everywhere
    first, second = (c.copy() for c in model.coefficients)
    model.learn([0], [3 * one])
    np.testing.assert_array_equal(model.coefficients[0], first)
    changed = np.flatnonzero(model.coefficients[1] != second)
    assert set(changed) <= ({0, 1, 2, 3} if hidden < 0 else {7, 8, 9, 10})
    assert len(changed) >= 3

    model.coefficients[0][:] = 0.5 * guarded  # within it
    within = model.coefficients[0].copy()
    model.learn([0], [3 * one])
    assert (model.coefficients[0] != within).any()


def test_a_clamped_input_learns_at_the_border() -> None:
    model = Model(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=1.0))
    for _ in range(40):
        model.learn([5 * 1024], [1024])
    assert model.predict([5 * 1024]).tolist() == model.predict([2 * 1024]).tolist()
    assert abs(int(model.predict([5 * 1024])[0]) - 1024) <= 1
    assert model.predict([0]).tolist() == [0]


# Fields that learners side by side need not have in common; pipeline and memories decide the delays.
OWN = (
    "target_range",
    "activation_format",
    "input_format",
    "output_format",
    "coefficient_format",
    "factor_format",
    "basis_format",
    "slope_format",
    "gradient_format",
    "step_format",
    "rounding",
    "update_rounding",
    "table_size",
    "seed",
    "initial_coefficients",
)


def for_layers(spec: LearnerSpec, field: str, other: LearnerSpec) -> Any:
    """A field of a spec for one that may have more layers or fewer."""
    value = getattr(spec, field)
    each = isinstance(value, tuple) and field != "target_range"
    return [value[index % len(value)] for index in range(other.n_layers)] if each else value


@st.composite
def side_by_side(draw: st.DrawFn) -> list[LearnerSpec]:
    first = draw(specs(max_edges=9))
    others = draw(st.lists(specs(max_edges=2), max_size=4))
    rates = draw(st.lists(st.sampled_from([1.0, 0.125, 0.3, 3.0]), min_size=len(others), max_size=len(others)))
    ranges = draw(st.lists(st.sampled_from([(-2, 2), (0, 1), (-1.3, 1.7)]), min_size=len(others), max_size=len(others)))
    return [first] + [
        first.replace(
            learning_rate=rate, grid_range=grid_range, **{field: for_layers(other, field, first) for field in OWN}
        )
        for other, rate, grid_range in zip(others, rates, ranges, strict=True)
    ]


@examples(25)
@given(
    learners=side_by_side(),
    data_seed=st.integers(0, 2**32 - 1),
    chunk=st.sampled_from([1, 100, 1 << 16]),
    with_edges=st.booleans(),
)
def test_learners_side_by_side_are_as_if_alone(
    learners: list[LearnerSpec], data_seed: int, chunk: int, with_edges: bool
) -> None:
    """Bit for bit, in however many calls and chunks samples come; alone, each comes by itself."""
    random = np.random.default_rng(data_seed)
    batch, alone = ModelBatch(learners), [Model(spec) for spec in learners]
    batch.coefficients = [
        np.array(layer) for layer in zip(*(random_coefficients(spec, random) for spec in learners), strict=True)
    ]
    for index, model in enumerate(alone):
        model.coefficients = [layers[index] for layers in batch.coefficients]
    edge = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kanrtl.learner.model_batch.CHUNK", chunk)
        for _ in range(3):
            count = random.integers(1, 12)
            x = np.array([codes_in(spec.formats.input, random, (count, spec.n_in)) for spec in learners])
            word = np.array([codes_in(spec.target_format, random, (count, spec.n_out)) for spec in learners])
            learn = random.random(count) < 0.8
            edges = (edge + np.cumsum(random.integers(1, 4, count))).tolist() if with_edges else None
            edge = edges[-1] if edges else edge
            batch.frozen = bool(random.random() < 0.2)
            together = batch.run(x, word, learn, edges)
            for index, model in enumerate(alone):
                model.frozen = batch.frozen
                for sample in range(count):
                    at = edges[sample] if edges else None
                    row = x[index, sample]
                    y = model.learn(row, word[index, sample], at) if learn[sample] else model.predict(row, at)
                    assert together[index, sample].tolist() == y.tolist()
    batch.settle()
    for index, model in enumerate(alone):
        model.settle()
        assert [layer[index].tolist() for layer in batch.coefficients] == [c.tolist() for c in model.coefficients]
        assert batch.saturations[index] == model.saturations
        assert batch.noise_states[index] == model.noise_state


@pytest.mark.parametrize("sizes", [[1, 1], [9, 2, 1]])
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_float_learners_side_by_side_are_as_if_alone(sizes: list[int], loss: str) -> None:
    """To the last bit, though sums in floating point depend on their order."""
    spec = LearnerSpec(layer_sizes=sizes, grid_range=(-2, 2), loss=loss, initial_coefficients="uniform")
    learners = [spec.replace(seed=seed, learning_rate=0.01 * (1 + seed)) for seed in range(7)]
    random = np.random.default_rng(3)
    x, target = random.uniform(-2, 2, (30, sizes[0])), random.uniform(0, 1, (30, sizes[-1]))
    batch = ModelBatch(learners, numeric="float64")
    together = batch.learn_many(x, target)
    for index, one in enumerate(learners):
        model = Model(one, numeric="float64")
        assert together[index].tolist() == [model.learn(*sample).tolist() for sample in zip(x, target, strict=True)]
        for ours, theirs in zip(batch.coefficients, model.coefficients, strict=True):
            np.testing.assert_array_equal(ours[index], theirs)


def test_samples_are_shared_or_each_learner_s_own() -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2))
    x, target = np.arange(10).reshape(5, 2) * 300 - 1400, np.arange(5)[:, None] * 100
    shared, own = ModelBatch([spec] * 3), ModelBatch([spec] * 3)
    outputs = shared.learn_many(x, target)
    assert outputs.shape == (3, 5, 1)
    assert outputs.tolist() == own.learn_many(np.array([x] * 3), np.array([target] * 3)).tolist()
    assert outputs[1:].tolist() == [outputs[0].tolist()] * 2
    assert shared.predict_many(x).tolist() == own.predict_many(np.array([x] * 3)).tolist()
    assert shared.predict_many(x).tolist() != outputs.tolist()
    assert shared.learn_many(x[:0], target[:0]).shape == (3, 0, 1)


def test_the_widest_sums_of_learners_side_by_side_do_not_wrap() -> None:
    """A learner of the widest formats beside one of narrow ones, at the corners of both: as in exact fractions."""
    wide = LearnerSpec(
        layer_sizes=[1, 1],
        grid_range=(-2, 2),
        activation_format=SQ(6, 26),
        coefficient_format=SQ(6, 26),
        basis_format=UQ(1, 24),
        gradient_format=SQ(7, 20),
        step_format=UQ(1, 29),
        learning_rate=0.9,
        update_rounding="stochastic",
    )
    narrow = wide.replace(activation_format=SQ(3, 4), coefficient_format=SQ(2, 3), basis_format=UQ(1, 6))
    assert max(format.width for format in wide.layers[0].exact_formats().values()) > 58
    learners = [wide, narrow, wide]
    for signs in product((0, 1), repeat=2):
        batch = ModelBatch(learners)
        for index, spec in enumerate(learners):
            batch.coefficients[0][index] = extremes(spec.formats.coefficient)[signs[0]]
        references = [Reference(spec, [batch.coefficients[0][index]]) for index, spec in enumerate(learners)]
        targets = [extremes(spec.formats.output)[signs[1]] for spec in learners]
        x = [int(spec.formats.input.quantise(0.3)) for spec in learners]
        for _ in range(3):
            outputs = batch.learn_many(np.array(x)[:, None, None], np.array(targets)[:, None, None])
            expected = [one.run([code], [target]) for one, code, target in zip(references, x, targets, strict=True)]
            assert outputs[:, 0].tolist() == expected
            for index, one in enumerate(references):
                assert [batch.coefficients[0][index].ravel().tolist()] == one.codes()
                assert batch.saturations[index] == one.saturations


def test_only_learners_of_one_shape_go_side_by_side() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    for changes, message in [
        ({"grid_size": 4}, "grid_size = (4,): learners side by side have it in common, and the first has (8,)"),
        ({"loss": "logistic"}, "loss = 'logistic': learners side by side have it in common, and the first has 's"),
        ({"layer_sizes": [1, 2]}, "layer_sizes = (1, 2): learners side by side have it in common"),
    ]:
        with pytest.raises(SpecError, match="^" + re.escape(message)):
            ModelBatch([spec, spec.replace(**changes)])
    with pytest.raises(ValueError, match=r"^specs: empty; give one or more$"):
        ModelBatch([])


def test_refusals() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    with pytest.raises(ValueError, match=re.escape('numeric = \'float\': must be "integer" or "float64"')):
        Model(spec, numeric="float")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=re.escape('gradients need numeric="float64"')):
        Model(spec).gradients([0], [0])


PAIR = LearnerSpec(layer_sizes=[2, 2], grid_range=(-2, 2), linear=True)
TAUGHT = np.ones(2, dtype=bool)


@pytest.mark.parametrize("numeric", ["integer", "float64"])
@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda model: model.predict([1]), "x: shape (1,); must be (2,)"),
        (lambda model: model.predict([1, 2, 3]), "x: shape (3,); must be (2,)"),
        (lambda model: model.predict(1), "x: shape (1,); must be (2,)"),
        (lambda model: model.predict(["a", "b"]), "x: not an array of numbers; give shape (2,)"),
        (lambda model: model.learn([1, 2], [3]), "target: shape (1,); must be (2,)"),
        (lambda model: model.learn([1, 2], [3, 4, 5]), "target: shape (3,); must be (2,)"),
        (lambda model: model.run([1, 2], [[1, 2]], TAUGHT), "x: shape (2,); must be (n, 2)"),
        (
            lambda model: model.run([[1, 2]] * 2, [[1, 2]], TAUGHT),
            "target: 1 rows for 2 samples; give one for each",
        ),
        (
            lambda model: model.run([[1, 2]] * 2, [[1, 2]] * 2, np.ma.array(TAUGHT, mask=[False, True])),
            "learn[1] is masked; give a number, or leave the row out",
        ),
        (
            lambda model: model.run([[1, 2]] * 2, [[1, 2]] * 2, TAUGHT[:1]),
            "learn: shape (1,); must be (2,), one for each sample",
        ),
        (
            lambda model: model.run([[1, 2]] * 2, [[1, 2]] * 2, [np.nan, 1.0]),
            "learn: of type float64; must be True or False, one for each sample",
        ),
        (lambda model: setattr(model, "frozen", "no"), "frozen = 'no': must be True or False"),
        (
            lambda model: model.run([[1, 2]] * 2, [[1, 2]] * 2, TAUGHT, [3]),
            "edges: 1 for 2 samples; give one for each",
        ),
        (
            lambda model: model.run([[1, 2]] * 2, [[1, 2]] * 2, TAUGHT, [3, 3]),
            "edge = 3: must be above that of the sample before, 3",
        ),
        (
            lambda model: setattr(model, "coefficients", [[1]]),
            "coefficients[0]: shape (1,); must be (2, 2, 12)",
        ),
        (
            lambda model: setattr(model, "learning_rates", [1, 2]),
            "learning_rates: shape (2,); must be (1,), one for each layer",
        ),
        (
            lambda model: setattr(model, "noise_state", 0),
            "noise_state = 0: must be from 1 to 4294967295",
        ),
    ],
)
def test_what_no_model_takes_is_refused_in_one_line(call: Any, line: str, numeric: Any) -> None:
    model = Model(PAIR, numeric)
    with pytest.raises(InputError) as caught:
        call(model)
    assert str(caught.value) == line
    assert not any(layer.any() for layer in model.coefficients)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda model: model.predict([np.nan, 0]), "x[0, 0] = nan: give a number"),
        (lambda model: setattr(model, "linear_rates", [-1]), "linear_rates = [-1]: must be finite, 0 or more"),
        (lambda model: model.gradients([1], [1, 2]), "x: shape (1,); must be (2,)"),
        (
            lambda model: setattr(model, "coefficients", [np.full((2, 2, 12), np.nan)]),
            "coefficients[0][0, 0, 0] = nan: give a finite number",
        ),
    ],
)
def test_what_no_float_model_takes_is_refused_in_one_line(call: Any, line: str) -> None:
    with pytest.raises(InputError) as caught:
        call(Model(PAIR, "float64"))
    assert str(caught.value) == line


def test_codes_beyond_their_formats_are_refused() -> None:
    narrow = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2), input_format="SQ(3, 5)", output_format="SQ(2, 4)")
    model, batch = Model(narrow), ModelBatch([narrow.replace(input_format="SQ(4, 6)"), narrow])
    model.learn([-128, 127], [31])
    for sample, line in (
        (([128, 0], [0]), "x: codes from 0 to 128 do not fit SQ(3, 5) (-128 to 127)"),
        (([1 << 50, -129], [0]), f"x: codes from -129 to {1 << 50} do not fit SQ(3, 5) (-128 to 127)"),
        (([0, 0], [-33]), "target: codes from -33 to -33 do not fit SQ(2, 4) (-32 to 31)"),
    ):
        with pytest.raises(InputError) as caught:
            model.learn(*sample)
        assert str(caught.value) == line
    x = np.zeros((2, 3, 2), dtype=int)
    x[0] = 500
    batch.predict_many(x)
    for wrong in (x[::-1], x[0]):
        with pytest.raises(InputError, match=r"^x: codes from 500 to 500 do not fit SQ\(3, 5\) \(-128 to 127\)$"):
            batch.predict_many(wrong)
    with pytest.raises(InputError, match=r"^x: shape \(3, 3, 2\); must be \(n, 2\) or \(2, n, 2\)$"):
        batch.predict_many(np.zeros((3, 3, 2), dtype=int))
    with pytest.raises(InputError, match=r"^coefficients: shapes \[\(1, 11\)\]; must be \[\(2, 1, 2, 11\)\]"):
        batch.coefficients = [np.zeros((1, 11), dtype=int)]


def test_a_guarded_model_refuses_samples_before_it_begins() -> None:
    model = GuardedModel(PAIR)
    samples = np.ones((20, 2), dtype=int)
    with pytest.raises(InputError, match=r"^target: 19 rows for 20 samples; give one for each$"):
        model.run(samples, samples[1:], np.ones(20, dtype=bool))
    with pytest.raises(InputError, match=r"^x: codes from 1 to 1048576 do not fit SQ"):
        model.run(np.append(samples[1:], [[1 << 20, 1]], axis=0), samples, np.ones(20, dtype=bool))
    assert not model.coefficients[0].any()


def test_integer_models_refuse_real_numbers() -> None:
    model = Model(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2)))
    real = r": type float64; give integer codes \(Format.quantise\)$"
    for sample, field in (([0.9], [2]), "x"), (([1], [1.9]), "target"):
        with pytest.raises(InputError, match=f"^{field}{real}"):
            model.learn(*sample)
    with pytest.raises(InputError, match=f"^x{real}"):
        model.predict([0.9])
    with pytest.raises(InputError, match=rf"^coefficients\[0\]{real}"):
        model.coefficients = [np.full(layer.shape, 0.7) for layer in model.coefficients]
    with pytest.raises(InputError, match=r"^coefficients\[0\]: codes from 99999999 to 99999999 do not fit SQ"):
        model.coefficients = [np.full(layer.shape, 99999999) for layer in model.coefficients]
    with pytest.raises(InputError, match=f"^learning_rates{real}"):
        model.learning_rates = [0.25]
    with pytest.raises(InputError, match=r"^learning_rates: codes from 65536 to 65536; must be 0 to \d+$"):
        model.learning_rates = [1 << 16]
    with pytest.raises(InputError, match=r"^linear_rates: codes from 1 to 1; must be 0 to 0$"):
        model.linear_rates = [1]
    assert not model.coefficients[0].any()


@pytest.mark.parametrize("update_rounding", ["floor", "half_up", "half_even", "stochastic"])
@pytest.mark.parametrize("rate", [0.5, 2.0**-9])
def test_the_smallest_learning_rate_is_the_first_that_moves_a_coefficient(update_rounding: str, rate: float) -> None:
    spec = LearnerSpec(
        layer_sizes=[1, 1],
        grid_range=(-2, 2),
        learning_rate=rate,
        coefficient_format="SQ(6, 4)",
        update_rounding=update_rounding,
    )
    check_smallest_rate(spec)


@pytest.mark.parametrize(
    "fields",
    [{"gradient_limit": 0.25}, {"gradient_limit": 2.0**-8, "modulated": True}],
    ids=["plain", "modulated"],
)
def test_the_smallest_learning_rate_heeds_the_limit_of_gradients(fields: dict[str, Any]) -> None:
    check_smallest_rate(
        LearnerSpec(
            layer_sizes=[1, 1],
            grid_range=(-2, 2),
            learning_rate=0.5,
            coefficient_format="SQ(6, 4)",
            update_rounding="half_up",
            **fields,
        )
    )


def check_smallest_rate(spec: LearnerSpec) -> None:
    smallest = spec.layers[0].smallest_learning_rate(spec.rounding, spec.update_rounding)
    assert smallest is not None
    code = int(spec.formats.learning_rate.quantise(smallest))
    x = np.arange(64)[:, None] * 8  # every row of the table
    if spec.modulated:
        x = np.insert(x, 0, spec.formats.input.minimum, axis=1)

    def moves(code: int) -> bool:
        for sign, end in product((1, -1), (spec.formats.output.minimum, spec.formats.output.maximum)):
            model = ModelBatch([spec])
            model.learning_rates[:] = code
            model.coefficients = [np.full_like(layer, sign * 500)[None] for layer in spec.initial_codes()]
            for _ in range(100 if spec.update_rounding == "stochastic" else 1):
                model.learn_many(x, np.full((64, 1), end))
            if (model.coefficients[0] != sign * 500).any():
                return True
        return False

    assert moves(code)
    assert code == 1 or not moves(code - 1)
