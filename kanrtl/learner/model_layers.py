"""The equations of one layer, for many learners side by side, in integers and in real numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..numeric import lfsr as noise
from ..numeric.fixed import CodeNarrowing, Codes
from ..numeric.spline import Locator, basis_values, derivative_values
from ..numeric.stacking import shift_left, stack_attributes, stack_shifts
from .arithmetic import LayerArithmetic
from .losses import find_loss
from .spec import LearnerSpec

Array = npt.NDArray[Any]


@dataclass
class Located:
    """Where samples are in a layer's grid, and what follows from that alone; with or without a first axis of
    samples."""

    address: Codes  # (window, n_out, n_in, learners): of the coefficients, in their flat array
    basis: Array  # (window, 1, n_in, learners)
    derivative: Array | None  # the same; hidden layers only
    lanes: Codes | None  # (window, n_out, n_in, learners): memory bank of each coefficient, where noise is drawn
    x: Array  # (n_in, learners): as linear paths take it
    factors: Array | None  # (modulation, n_in, learners): what modulated edges multiply their curves by
    inside: Array | None  # (n_in, learners): whether x is on the grid, where that is looked at

    def __getitem__(self, sample: int) -> Located:
        derivative, lanes, factors, inside = self.derivative, self.lanes, self.factors, self.inside
        return Located(
            self.address[sample],
            self.basis[sample],
            None if derivative is None else derivative[sample],
            None if lanes is None else lanes[sample],
            self.x[sample],
            None if factors is None else factors[sample],
            None if inside is None else inside[sample],
        )


class Rounded:
    """Values of one kind in one layer as they were rounded, kept until it is counted which did not fit the format."""

    def __init__(self, kind: str, narrowing: CodeNarrowing | None, samples: int, *shape: int) -> None:
        self.kind = kind
        self._narrowing = narrowing  # None: real numbers, which are left as they are
        # Zero fits every format: what is never narrowed is not counted.
        self._values = np.zeros((samples, *shape) if narrowing else 0, dtype=np.int64)

    def narrow(self, samples: int | slice, value: Array, drawn: Codes | None = None) -> Array:
        """``value`` of some samples, rounded and saturated; stochastic rounding takes the noise ``drawn``."""
        if self._narrowing is None:
            return value
        return self._narrowing.saturate(self._narrowing.round(value, drawn, out=self._values[samples]))

    def equal(self, sample: int, before: Array) -> Array:
        """Whether the values of a sample are those that were ``before``, which fit the format."""
        equal: Array = self._values[sample] == before
        return equal

    def magnitude(self, samples: slice) -> Codes:
        """The sum of the magnitudes of all values of some samples, ``(learners,)``."""
        assert self._narrowing is not None
        values = np.abs(self._narrowing.saturate(self._values[samples]))
        summed: Codes = values.sum(axis=tuple(range(values.ndim - 1)))
        return summed

    def outside(self, samples: slice = slice(None)) -> Array | None:
        """Whether any of a sample's values did not fit; shape ``(samples, learners)``. None if all did."""
        if self._narrowing is None:
            return None
        outside = self._narrowing.outside(self._values[samples])
        return np.any(outside, axis=tuple(range(1, outside.ndim - 1))) if outside.any() else None


class ModelLayer:
    """A layer of all learners: the constants of the equations."""

    dtype: Any
    # What is narrowed; real numbers are not.
    activation: CodeNarrowing | None = None
    slope: CodeNarrowing | None = None
    gradient: CodeNarrowing | None = None
    turned: CodeNarrowing | None = None
    curve: CodeNarrowing | None = None
    step: CodeNarrowing | None = None
    coefficient: CodeNarrowing | None = None
    linear_step: CodeNarrowing | None = None
    linear_coefficient: CodeNarrowing | None = None
    # What leaks of a coefficient: that many times its code, in the exact sum of an update; or that part of it.
    leak: Array

    def __init__(self, specs: Sequence[LearnerSpec], index: int, *, first_lane: int, draws: bool) -> None:
        layers = [spec.layers[index] for spec in specs]
        shape = layers[0]
        self._loss = find_loss(specs[0].loss)
        self.n_in, self.n_out, self.window = shape.n_in, shape.n_out, shape.window
        self.modulation = shape.modulation
        self.learners = len(layers)
        self.coefficients_shape = (self.n_out, self.n_in, shape.coefficients, self.learners)
        self.linear = shape.linear is not None
        self._holds = np.array([layer.holds for layer in layers])
        self.looks_outside = any(layer.holds for layer in layers) or any("outside" in spec.counts for spec in specs)
        self._hidden, self._draws = index > 0, draws
        size = int(np.prod(self.coefficients_shape))
        first_window = np.arange(size).reshape(self.coefficients_shape)[:, :, : self.window]
        self._first_address = np.ascontiguousarray(np.moveaxis(first_window, 2, 0))
        self._periodic, self._bases = shape.periodic, shape.bases
        self._banks = shape.banks
        edges = np.arange(self.n_out)[:, None] * self.n_in + np.arange(self.n_in)
        self._first_lane = (first_lane + edges * self._banks)[:, :, None]
        # Of every edge's w, the last of its coefficients: (n_out, n_in, learners), and its lane.
        self.weight_address = np.arange(size).reshape(self.coefficients_shape)[:, :, -1]
        self.weight_lanes = (first_lane + edges.size * self._banks + edges)[:, :, None]
        self._window = np.arange(self.window)[:, None, None, None]

    def _address(self, cell: Codes) -> tuple[Codes, Codes | None]:
        """Addresses and lanes of the windows of cells ``(..., n_in, learners)``."""
        cell = cell[..., None, None, :, :]
        lanes = self._first_lane + (cell + self._window) % self._banks if self._draws else None
        address = self._first_address + cell * self.learners
        if self._periodic:  # the window goes on at the first coefficient
            address = address - (cell + self._window >= self._bases) * (self._bases * self.learners)
        return address, lanes

    def locate(self, x: Array) -> Located:
        """For inputs ``(..., inputs, learners)``: of modulated edges those that multiply their curves come first."""
        if not self.modulation:
            return self._locate(x)
        pairs = x.reshape(*x.shape[:-2], self.n_in, 1 + self.modulation, self.learners)
        located = self._locate(pairs[..., -1, :])
        located.factors = np.moveaxis(pairs[..., :-1, :], -2, -3)
        return located

    def _locate(self, x: Array) -> Located:
        """For what lies on the grid, ``(..., n_in, learners)``."""
        raise NotImplementedError

    def learns(self, located: Located) -> Array | None:
        """Whether coefficients learn, ``(n_in, learners)``; None where all do."""
        if located.inside is None or not self._holds.any():
            return None
        learns: Array = located.inside | ~self._holds
        return learns

    def total(self, coefficients: Array, located: Located) -> Array:
        """The exact sums of the nodes, ``(n_out, learners)``, of one sample."""
        edges = self.sum(coefficients * located.basis, 0)
        if located.factors is not None:
            edges = self._modulate(self.curves(edges), located.factors, 1)
        return self.sum(edges, 1)

    def turn(self, gradient: Array, located: Located) -> Array:
        """dL/dy of every node, ``(n_out, learners)``, for its edges' curves, exact: ``(n_out, 1, learners)``, or
        ``(n_out, n_in, learners)`` where each of them is multiplied by an input."""
        gradient = gradient[:, None]
        return gradient if located.factors is None else self._modulate(gradient, located.factors, -1)

    @staticmethod
    def _modulate(values: Array, factors: Array, sign: int) -> Array:
        """Values of nodes times the factors of their inputs; of complex ones, in pairs of nodes, times the factors with
        a positive ``sign``, and times their conjugates with a negative one."""
        if len(factors) == 1:
            product: Array = values * factors[0]
            return product
        real, imaginary = values[::2], values[1::2]
        parts = [
            real * factors[0] - sign * (imaginary * factors[1]),
            imaginary * factors[0] + sign * (real * factors[1]),
        ]
        return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])

    def curves(self, edges: Array) -> Array:
        """The values of modulated edges' curves, rounded, of their exact sums ``(n_out, n_in, learners)``."""
        return edges

    def error(self, total: Array, target: Array) -> Array:
        """dL/dy, exact, of exact node sums and targets; last layer only."""
        raise NotImplementedError

    def factors(self, coefficients: Array) -> Array:
        """What of coefficients is multiplied."""
        raise NotImplementedError

    def changed(self, coefficients: Array, product: Array, learns: Array | None) -> Array:
        """Coefficients less what leaks of those that learn, and the product of gradient and step, exact."""
        raise NotImplementedError

    def weights_changed(self, weights: Array, product: Array) -> Array:
        """The same of every edge's w."""
        raise NotImplementedError

    def add_linear(self, total: Array, weights: Array, x: Array) -> Array:
        """Exact sums of nodes ``(n_out, learners)``, with those of w x."""
        raise NotImplementedError

    def add_weights(self, slope: Array, weights: Array) -> Array:
        """Exact slopes ``(n_out, n_in, learners)``, with w."""
        raise NotImplementedError

    def noise(self, states: Codes, lanes: Codes) -> Codes:
        """The noise of ``lanes`` in ``states`` of the registers behind stochastic rounding."""
        raise NotImplementedError

    def weight_noise(self, states: Codes) -> Codes:
        """The noise of every edge's w, ``(steps, n_out, n_in, learners)`` for states ``(steps, 1, 1, learners)``."""
        raise NotImplementedError

    @staticmethod
    def sum(values: Array, axis: int) -> Array:
        """The exact sum along an axis."""
        raise NotImplementedError


class IntegerLayer(ModelLayer):
    """Numbers as codes."""

    dtype = np.int64

    def __init__(self, specs: Sequence[LearnerSpec], index: int, *, first_lane: int, draws: bool) -> None:
        super().__init__(specs, index, first_lane=first_lane, draws=draws)
        layers = [spec.layers[index] for spec in specs]
        roundings = [spec.rounding for spec in specs]
        formats = [layer.formats for layer in layers]

        def narrowing(fractions: Iterable[int], name: str, roundings: Sequence[str]) -> CodeNarrowing:
            targets = [getattr(learner, name) for learner in formats]
            return CodeNarrowing.stack(
                [
                    CodeNarrowing.of(fraction - format.f, format, rounding)
                    for fraction, format, rounding in zip(fractions, targets, roundings, strict=True)
                ]
            )

        self._output = narrowing((layer.node_sum.f for layer in layers), "output", roundings)
        self.activation = self._output
        self.curve = self._curve = narrowing((layer.edge_sum.f for layer in layers), "factor", roundings)
        self.turned = narrowing((layer.turned_sum.f for layer in layers), "gradient", roundings)
        self.slope = narrowing((layer.slope_sum.f for layer in layers), "slope", roundings)
        self.step = narrowing((layer.step_product.f for layer in layers), "step", roundings)
        updates = [spec.update_rounding for spec in specs]
        self.coefficient = narrowing((layer.update_sum.f for layer in layers), "coefficient", updates)
        self._noise_bits = np.array(
            [layer.noise_bits * (kind == "stochastic") for layer, kind in zip(layers, updates, strict=True)]
        )
        self._noise_up = np.array([layer.dropped_bits - layer.noise_bits for layer in layers])
        self._guard_bits = np.array([learner.guard_bits for learner in formats])
        # What the sums are aligned by.
        self._coefficient_up = stack_shifts(layer.update_sum.f - layer.formats.coefficient.f for layer in layers)
        self._product_up = stack_shifts(layer.update_sum.f - layer.update_product.f for layer in layers)
        self.leak = np.array([layer.leak and 1 << layer.dropped_bits - layer.leak for layer in layers])
        if self.linear:
            self._narrow_linear(layers, narrowing, roundings, updates)
        locators = [layer.locator for layer in layers]
        self._locators = stack_attributes(locators, "scale", "offset", "shift", "end", "row_bits")
        self._locators.table_size = np.array([layer.table_size for layer in layers])
        self._locators.periodic = self._periodic
        self._tables(layers)
        if index < specs[0].n_layers - 1:
            fractions = [spec.layers[index + 1].downstream_sum.f for spec in specs]
        else:
            fractions = [self._loss.gradient_format(layer).f for layer in layers]
            self._gradient_of_loss = self._loss.in_integers(layers)
        self.gradient = narrowing(fractions, "gradient", roundings)
        limits = [layer.gradient_limit for layer in layers]
        if any(limits):
            lowest = [
                bound if limit is None else -limit for limit, bound in zip(limits, self.gradient.minimum, strict=True)
            ]
            highest = [
                bound if limit is None else limit for limit, bound in zip(limits, self.gradient.maximum, strict=True)
            ]
            self.gradient = replace(self.gradient, minimum=np.array(lowest), maximum=np.array(highest))

    def _narrow_linear(
        self, layers: Sequence[LayerArithmetic], narrowing: Any, roundings: Sequence[str], updates: Sequence[str]
    ) -> None:
        """How the values of linear paths are aligned and narrowed."""
        linear = [layer.linear for layer in layers if layer.linear]
        self.linear_step = narrowing((one.step_product.f for one in linear), "linear_step", roundings)
        self.linear_coefficient = narrowing((one.update_sum.f for one in linear), "coefficient", updates)
        self._weight_noise_bits = np.array(
            [one.noise_bits * (kind == "stochastic") for one, kind in zip(linear, updates, strict=True)]
        )
        self._weight_noise_up = np.array([one.dropped_bits - one.noise_bits for one in linear])
        self._weight_up = stack_shifts(one.update_sum.f - one.coefficient.f for one in linear)
        self._weight_product_up = stack_shifts(one.update_sum.f - one.update_product.f for one in linear)
        self.weight_leak = np.array([one.leak and 1 << one.dropped_bits - one.leak for one in linear])
        self._linear_up = stack_shifts(
            layer.node_sum.f - one.product.f for layer, one in zip(layers, linear, strict=True)
        )
        self._spline_up = stack_shifts(
            layer.node_sum.f - layer.formats.factor.f - layer.formats.basis.f for layer in layers
        )
        self._slope_up = stack_shifts(layer.slope_shift for layer in layers)

    def _tables(self, layers: Sequence[LayerArithmetic]) -> None:
        """The tables of all learners in one, each once."""
        rows = dict[tuple[int, int], int]()
        bases, derivatives, first_rows, count = [], [], [], 0
        for layer in layers:
            basis, derivative = layer.basis_table, layer.derivative_table
            key = id(basis), id(derivative)  # both are cached
            if key not in rows:
                rows[key] = count
                count += len(basis)
                bases.append(basis)
                derivatives.append(derivative)
            first_rows.append(rows[key])
        self._basis = np.concatenate(bases).T.ravel()
        self._derivative = np.concatenate(derivatives).T.ravel()
        self._first_row = np.arange(self.window)[:, None, None, None] * count + np.array(first_rows)

    def curves(self, edges: Array) -> Array:
        return self._curve.saturate(self._curve.round(edges))

    def _locate(self, x: Array) -> Located:
        cell, row, inside = Locator.locate(self._locators, x)
        address, lanes = self._address(cell)
        rows = row[..., None, None, :, :] + self._first_row
        derivative = self._derivative.take(rows) * inside[..., None, None, :, :] if self._hidden else None
        return Located(
            address, self._basis.take(rows), derivative, lanes, x, None, inside if self.looks_outside else None
        )

    def error(self, total: Array, target: Array) -> Array:
        value = self._output.saturate(self._output.round(total)) if self._loss.reads_outputs else total
        return self._gradient_of_loss(value, target)

    def factors(self, coefficients: Array) -> Array:
        return coefficients >> self._guard_bits if self._guard_bits.any() else coefficients

    def changed(self, coefficients: Array, product: Array, learns: Array | None) -> Array:
        exact: Array = shift_left(coefficients, self._coefficient_up) - shift_left(product, self._product_up)
        if self.leak.any():
            exact = exact - coefficients * (self.leak if learns is None else self.leak * learns)
        return exact

    def weights_changed(self, weights: Array, product: Array) -> Array:
        exact: Array = shift_left(weights, self._weight_up) - shift_left(product, self._weight_product_up)
        if self.weight_leak.any():
            exact = exact - weights * self.weight_leak
        return exact

    def add_linear(self, total: Array, weights: Array, x: Array) -> Array:
        products = np.add.reduce(weights * x, 1)
        exact: Array = shift_left(total, self._spline_up) + shift_left(products, self._linear_up)
        return exact

    def add_weights(self, slope: Array, weights: Array) -> Array:
        exact: Array = slope + shift_left(weights, self._slope_up)
        return exact

    def noise(self, states: Codes, lanes: Codes) -> Codes:
        drawn: Codes = noise.lane_noise(states, lanes, self._noise_bits) << self._noise_up
        return drawn

    def weight_noise(self, states: Codes) -> Codes:
        drawn: Codes = noise.lane_noise(states, self.weight_lanes, self._weight_noise_bits) << self._weight_noise_up
        return drawn

    @staticmethod
    def sum(values: Array, axis: int) -> Array:
        return np.add.reduce(values, axis)  # type: ignore[no-any-return]


class RealLayer(ModelLayer):
    """Numbers as they are: nothing is rounded, nothing saturates."""

    dtype = np.float64

    def __init__(self, specs: Sequence[LearnerSpec], index: int, *, first_lane: int, draws: bool) -> None:
        super().__init__(specs, index, first_lane=first_lane, draws=draws)
        layers = [spec.layers[index] for spec in specs]
        self._order, self._grid_size = layers[0].spline_order, layers[0].grid_size
        self._grid_min = np.array([layer.grid_min for layer in layers])
        self._cell_width = np.array([float(layer.cell_width) for layer in layers])
        # What inputs are taken times for linear paths.
        self._input_scale = np.array([2.0**layer.linear.input_shift if layer.linear else 1.0 for layer in layers])
        self._limits = np.array([spec.gradient_limit or np.inf for spec in specs])
        self.leak = np.array([2.0**-layer.leak if layer.leak else 0.0 for layer in layers])

    def _locate(self, x: Array) -> Located:
        t = (x - self._grid_min) / self._cell_width
        if self._periodic:
            t = np.mod(t, self._grid_size)  # of a tiny negative number the grid's size itself
        inside = self._periodic | ((t >= 0) & (t < self._grid_size))
        clamped = np.clip(t, 0, self._grid_size)
        # What has diverged is in no cell, and stays what it is.
        cell = np.minimum(np.nan_to_num(clamped).astype(np.int64), self._grid_size - 1)
        u = clamped - cell
        address, lanes = self._address(cell)
        derivative = None
        if self._hidden:
            exact = derivative_values(self._order, u) / self._cell_width[:, None]
            derivative = self._windows(np.where(inside[..., None], exact, 0))
        return Located(
            address,
            self._windows(basis_values(self._order, u)),
            derivative,
            lanes,
            x * self._input_scale,
            None,
            inside if self.looks_outside else None,
        )

    @staticmethod
    def _windows(values: Array) -> Array:
        """Values ``(..., n_in, learners, window)`` with their axes in the order of :class:`Located`."""
        return np.moveaxis(values, -1, -3)[..., None, :, :]

    def error(self, total: Array, target: Array) -> Array:
        return np.clip(self._loss.in_reals(total, target), -self._limits, self._limits)

    def factors(self, coefficients: Array) -> Array:
        return coefficients

    def changed(self, coefficients: Array, product: Array, learns: Array | None) -> Array:
        changed: Array = coefficients * (1 - (self.leak if learns is None else self.leak * learns)) - product
        return changed

    def weights_changed(self, weights: Array, product: Array) -> Array:
        changed: Array = weights * (1 - self.leak) - product
        return changed

    def add_linear(self, total: Array, weights: Array, x: Array) -> Array:
        exact: Array = total + self.sum(weights * x, 1)
        return exact

    def add_weights(self, slope: Array, weights: Array) -> Array:
        exact: Array = slope + weights * self._input_scale
        return exact

    @staticmethod
    def sum(values: Array, axis: int) -> Array:
        # In the same order whatever the shape, so that a learner gives the same bits in a batch of any size.
        return np.add.accumulate(values, axis).take(-1, axis)  # type: ignore[no-any-return]
