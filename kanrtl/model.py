"""The integer model: the numeric contract in numpy, and nothing else.

The same equations run in two kinds of numbers. With ``numeric="integer"`` every value is an integer code, rounded and
saturated exactly where the hardware does; it is what every other backend is compared with, bit for bit. With
``numeric="float64"`` the tables become the spline itself and nothing is rounded; it is what gradients are checked on.

For layer l with inputs i, nodes o and the window j of non-zero bases (Hoang, Gupta, Harris, arXiv 2602.02056):

- forward:    y_o = sum_i sum_j c[o,i,k_i+j] b_j(u_i)
- error:      g_o = dL/dy_o
- downstream: g_i = sum_o g_o sum_j c[o,i,k_i+j] db_j/dx(u_i), with the coefficients of the forward pass
- update:     c[o,i,k_i+j] -= g_o s_j, with steps s_j = eta b_j(u_i)

In the streaming schedule an update lands when it has come through the pipeline, on the coefficients as they are then.

Many learners of one shape run side by side (:class:`ModelBatch`); one alone is a batch of one (:class:`Model`). Inside,
the learner is the last axis of every array, ``(window, node, input, learner)`` where all are there: so what differs
between learners (shifts, bounds, rates) is one number per place of that axis. What no sample has to wait for is done
for all samples at once: locating them, the first layer's steps, the outputs, and counting what saturated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from . import noise
from .address_map import COUNTER_WIDTH, SATURATIONS
from .arithmetic import LayerArithmetic, Sigmoid
from .fixed import Codes, Narrowing
from .spec import LearnerSpec, SpecError
from .spline import Locator, basis_values, derivative_values

if TYPE_CHECKING:
    from .lookup import Frozen

__all__ = ["Model", "ModelBatch"]

Array = npt.NDArray[Any]
Numeric = Literal["integer", "float64"]

CHUNK = 1 << 16  # values of a kind that are kept until they are counted: they fit a cache


@dataclass
class _Located:
    """Where samples are in a layer's grid, and what follows from that alone; with or without a first axis of
    samples."""

    place: Codes  # (window, n_out, n_in, learners): of the coefficients, in their flat array
    basis: Array  # (window, 1, n_in, learners)
    derivative: Array | None  # the same; hidden layers only
    lanes: Codes | None  # (window, n_out, n_in, learners): memory bank of each coefficient, where noise is drawn

    def __getitem__(self, sample: int) -> _Located:
        derivative, lanes = self.derivative, self.lanes
        return _Located(
            self.place[sample],
            self.basis[sample],
            None if derivative is None else derivative[sample],
            None if lanes is None else lanes[sample],
        )


class _Rounded:
    """Values of one kind in one layer as they were rounded, kept until it is counted which did not fit the format."""

    def __init__(self, kind: str, narrowing: Narrowing | None, samples: int, *shape: int) -> None:
        self.kind = kind
        self._narrowing = narrowing  # None: real numbers, which are left as they are
        # Zero fits every format: what is never narrowed is not counted.
        self._values = np.zeros((samples, *shape) if narrowing else 0, dtype=np.int64)

    def narrow(self, samples: int | slice, value: Array, drawn: Codes | None = None) -> Array:
        if self._narrowing is None:
            return value
        return self._narrowing.saturate(self._narrowing.round(value, drawn, out=self._values[samples]))

    def outside(self, samples: slice = slice(None)) -> Array | None:
        """Whether any of a sample's values did not fit; shape ``(samples, learners)``. None if all did."""
        if self._narrowing is None:
            return None
        outside = self._narrowing.outside(self._values[samples])
        return np.any(outside, axis=tuple(range(1, outside.ndim - 1))) if outside.any() else None


class _Layer:
    """A layer of all learners: the constants of the equations."""

    dtype: Any
    # What is narrowed; real numbers are not, nor is a gradient that the teacher gives.
    activation: Narrowing | None = None
    slope: Narrowing | None = None
    gradient: Narrowing | None = None
    step: Narrowing | None = None
    coefficient: Narrowing | None = None

    def __init__(self, specs: Sequence[LearnerSpec], index: int, *, first_lane: int, draws: bool) -> None:
        layers = [spec.layers[index] for spec in specs]
        shape = layers[0]
        self.loss = specs[0].loss
        self.n_in, self.n_out, self.window = shape.n_in, shape.n_out, shape.window
        self.learners = len(layers)
        self.coefficients_shape = (self.n_out, self.n_in, shape.bases, self.learners)
        self._hidden, self._draws = index > 0, draws
        size = int(np.prod(self.coefficients_shape))
        first_window = np.arange(size).reshape(self.coefficients_shape)[:, :, : self.window]
        self._first_place = np.ascontiguousarray(np.moveaxis(first_window, 2, 0))
        self._banks = shape.banks
        edges = np.arange(self.n_out)[:, None] * self.n_in + np.arange(self.n_in)
        self._first_lane = (first_lane + edges * self._banks)[:, :, None]
        self._window = np.arange(self.window)[:, None, None, None]

    def _place(self, cell: Codes) -> tuple[Codes, Codes | None]:
        """Places and lanes of the windows of cells ``(..., n_in, learners)``."""
        cell = cell[..., None, None, :, :]
        lanes = self._first_lane + (cell + self._window) % self._banks if self._draws else None
        return self._first_place + cell * self.learners, lanes

    def locate(self, x: Array) -> _Located:
        """For inputs ``(..., n_in, learners)``."""
        raise NotImplementedError

    def error(self, total: Array, target: Array) -> Array:
        """dL/dy, exact, of exact node sums and targets as :meth:`target` gives them; last layer only."""
        raise NotImplementedError

    def target(self, target: Array) -> Array:
        """Targets as :meth:`error` takes them."""
        raise NotImplementedError

    def changed(self, coefficients: Array, product: Array) -> Array:
        """Coefficients less the product of gradient and step, exact."""
        raise NotImplementedError

    def noise(self, states: Codes, lanes: Codes) -> Codes:
        raise NotImplementedError

    @staticmethod
    def sum(values: Array, axis: int) -> Array:
        raise NotImplementedError


class _IntegerLayer(_Layer):
    """Numbers as codes."""

    dtype = np.int64

    def __init__(self, specs: Sequence[LearnerSpec], index: int, *, first_lane: int, draws: bool) -> None:
        super().__init__(specs, index, first_lane=first_lane, draws=draws)
        layers = [spec.layers[index] for spec in specs]
        roundings = [spec.rounding for spec in specs]
        formats = [layer.formats for layer in layers]

        def narrowing(fractions: Iterable[int], name: str, roundings: Sequence[str]) -> Narrowing:
            targets = [getattr(learner, name) for learner in formats]
            return Narrowing.stack(
                [
                    Narrowing.of(fraction - format.f, format, rounding)
                    for fraction, format, rounding in zip(fractions, targets, roundings, strict=True)
                ]
            )

        self._output = narrowing((layer.node_sum.f for layer in layers), "activation", roundings)
        self.activation = self._output
        self.slope = narrowing((layer.slope_sum.f for layer in layers), "slope", roundings)
        self.step = narrowing((layer.step_product.f for layer in layers), "step", roundings)
        updates = [spec.update_rounding for spec in specs]
        self.coefficient = narrowing((layer.update_sum.f for layer in layers), "coefficient", updates)
        self._noise_bits = np.array(
            [layer.noise_bits * (kind == "stochastic") for layer, kind in zip(layers, updates, strict=True)]
        )
        # What the sums are aligned by.
        self._coefficient_up = _shift(layer.update_sum.f - layer.formats.coefficient.f for layer in layers)
        self._product_up = _shift(layer.update_sum.f - layer.update_product.f for layer in layers)
        self._locators = _stack([layer.locator for layer in layers], "scale", "offset", "shift", "end", "row_bits")
        self._locators.table_size = np.array([layer.table_size for layer in layers])
        self._tables(layers)
        if index < specs[0].n_layers - 1:
            fractions = [spec.layers[index + 1].downstream_sum.f for spec in specs]
            self.gradient = narrowing(fractions, "gradient", roundings)
        elif self.loss != "external":
            self.gradient = narrowing(self._loss(layers), "gradient", roundings)

    def _tables(self, layers: Sequence[LayerArithmetic]) -> None:
        """The tables of all learners in one, each once."""
        rows = dict[tuple[int, int], int]()
        bases, derivatives, first_rows, count = [], [], [], 0
        for layer in layers:
            basis, derivative = layer.basis_table, layer.derivative_table
            place = id(basis), id(derivative)  # both are cached
            if place not in rows:
                rows[place] = count
                count += len(basis)
                bases.append(basis)
                derivatives.append(derivative)
            first_rows.append(rows[place])
        self._basis = np.concatenate(bases).T.ravel()
        self._derivative = np.concatenate(derivatives).T.ravel()
        self._first_row = np.arange(self.window)[:, None, None, None] * count + np.array(first_rows)

    def _loss(self, layers: Sequence[LayerArithmetic]) -> list[int]:
        """The constants of the loss; gives the fraction bits of its exact gradient."""
        values = [layer.node_sum.f for layer in layers]
        if self.loss == "logistic":
            sigmoids = [Sigmoid.of(layer.formats.activation, layer.formats.gradient) for layer in layers]
            values = [sigmoid.value.f for sigmoid in sigmoids]
            self._sigmoids = _stack(sigmoids, "row_bits", "row_shift")
            self._sigmoid_table = np.concatenate([sigmoid.table for sigmoid in sigmoids])
            self._sigmoid_first = np.cumsum([0] + [len(sigmoid.table) for sigmoid in sigmoids[:-1]])
        activations = [layer.formats.activation.f for layer in layers]
        common = [max(pair) for pair in zip(values, activations, strict=True)]
        self._value_up = _shift(c - value for c, value in zip(common, values, strict=True))
        self._target_up = _shift(c - activation for c, activation in zip(common, activations, strict=True))
        return common

    def locate(self, x: Array) -> _Located:
        cell, row, inside = Locator.locate(self._locators, x)
        place, lanes = self._place(cell)
        rows = row[..., None, None, :, :] + self._first_row
        derivative = self._derivative.take(rows) * inside[..., None, None, :, :] if self._hidden else None
        return _Located(place, self._basis.take(rows), derivative, lanes)

    def error(self, total: Array, target: Array) -> Array:
        if self.loss == "external":
            return target
        if self.loss == "logistic":
            y = self._output.saturate(self._output.round(total))
            total = self._sigmoid_table.take(Sigmoid.row(self._sigmoids, y) + self._sigmoid_first)
        return _shifted(total, self._value_up) - target

    def target(self, target: Array) -> Array:
        return target if self.loss == "external" else _shifted(target, self._target_up)

    def changed(self, coefficients: Array, product: Array) -> Array:
        return _shifted(coefficients, self._coefficient_up) - _shifted(product, self._product_up)

    def noise(self, states: Codes, lanes: Codes) -> Codes:
        return noise.lane_noise(states, lanes, self._noise_bits)

    @staticmethod
    def sum(values: Array, axis: int) -> Array:
        return np.add.reduce(values, axis)  # type: ignore[no-any-return]


class _FloatLayer(_Layer):
    """Numbers as they are: nothing is rounded, nothing saturates."""

    dtype = np.float64

    def __init__(self, specs: Sequence[LearnerSpec], index: int, *, first_lane: int, draws: bool) -> None:
        super().__init__(specs, index, first_lane=first_lane, draws=draws)
        layers = [spec.layers[index] for spec in specs]
        self._order, self._grid_size = layers[0].spline_order, layers[0].grid_size
        self._grid_min = np.array([layer.grid_min for layer in layers])
        self._cell_width = np.array([float(layer.cell_width) for layer in layers])

    def locate(self, x: Array) -> _Located:
        t = (x - self._grid_min) / self._cell_width
        inside = (t >= 0) & (t < self._grid_size)
        clamped = np.clip(t, 0, self._grid_size)
        cell = np.minimum(clamped.astype(np.int64), self._grid_size - 1)
        u = clamped - cell
        place, lanes = self._place(cell)
        derivative = None
        if self._hidden:
            exact = derivative_values(self._order, u) / self._cell_width[:, None]
            derivative = self._windows(np.where(inside[..., None], exact, 0))
        return _Located(place, self._windows(basis_values(self._order, u)), derivative, lanes)

    @staticmethod
    def _windows(values: Array) -> Array:
        """Values ``(..., n_in, learners, window)`` with their axes in the order of :class:`_Located`."""
        return np.moveaxis(values, -1, -3)[..., None, :, :]

    def error(self, total: Array, target: Array) -> Array:
        if self.loss == "external":
            return target
        if self.loss == "logistic":
            total = (1 + np.tanh(total / 2)) / 2  # sigmoid(y), without the overflow of exp(-y)
        return total - target

    def target(self, target: Array) -> Array:
        return target

    def changed(self, coefficients: Array, product: Array) -> Array:
        return coefficients - product

    @staticmethod
    def sum(values: Array, axis: int) -> Array:
        # In the same order whatever the shape, so that a learner gives the same bits in a batch of any size.
        return np.add.accumulate(values, axis).take(-1, axis)  # type: ignore[no-any-return]


def _stack(objects: Sequence[Any], *names: str) -> Any:
    """One object whose attributes are those of all, along a last axis: equations written for one serve many."""
    return SimpleNamespace(**{name: np.array([getattr(one, name) for one in objects]) for name in names})


def _shift(bits: Iterable[int]) -> Codes | None:
    """None where nothing is shifted at all."""
    array = np.array(list(bits))
    return array if array.any() else None


def _shifted(values: Array, bits: Codes | None) -> Array:
    return values if bits is None else values << bits


class _Chunk:
    """Samples that go through the learners together, and what is kept of them until it is counted."""

    def __init__(self, layers: Sequence[_Layer], samples: int, learns: bool) -> None:
        def rounded(kind: str, layer: _Layer, *shape: int) -> _Rounded:
            narrowing = getattr(layer, kind) if learns or kind == "activation" else None
            return _Rounded(kind, narrowing, samples, *shape, layer.learners)

        self.activation = [rounded("activation", layer, layer.n_out) for layer in layers]
        self.gradient = [rounded("gradient", layer, layer.n_out) for layer in layers]
        self.slope = [rounded("slope", layer, layer.n_out, layer.n_in) for layer in layers]
        self.step = [rounded("step", layer, layer.window, 1, layer.n_in) for layer in layers]
        self.coefficient = [rounded("coefficient", layer, layer.window, layer.n_out, layer.n_in) for layer in layers]
        self.landed = [0] * len(layers)  # samples whose update has landed, by layer
        self.counted = 0  # samples whose saturated coefficients have been counted
        self.learned = 0  # samples that were taught: they come first in all arrays but those of activations


@dataclass
class _Update:
    """What one sample changes in one layer, before it has landed."""

    edge: int  # at which its sample was taken
    chunk: _Chunk
    sample: int  # in the chunk, of those that are learned
    place: Codes
    product: Array  # (window, n_out, n_in, learners)
    drawn: Codes | None  # noise, the same


class ModelBatch:
    """Learners of one shape, side by side; each as if it were alone.

    They share ``layer_sizes``, ``grid_size``, ``spline_order``, ``loss`` and, streaming, the delays that follow from
    the pipeline; all else may differ. Raises :exc:`SpecError` where they do not. Values are codes with
    ``numeric="integer"`` and real numbers with ``"float64"``.

    Attributes
    ----------
    learning_rates
        Shape ``(learners, layers)``: the content of the learning rate registers.
    saturations
        For every learner, counts by kind (:data:`kanrtl.address_map.SATURATIONS`), which stop at the hardware counters'
        highest value.
    noise_states
        Shape ``(learners,)``: the registers behind stochastic rounding.
    frozen
        While true, nothing that is taught is learned.
    """

    def __init__(self, specs: Sequence[LearnerSpec], numeric: Numeric = "integer") -> None:
        _check_shapes(specs)
        if numeric not in ("integer", "float64"):
            raise ValueError(f'numeric = {numeric!r}: must be "integer" or "float64"')
        self.specs = tuple(specs)
        self.numeric = numeric
        self._stochastic = np.array([spec.update_rounding == "stochastic" for spec in specs])
        self._draws = numeric == "integer" and bool(self._stochastic.any())
        self._layers: list[_Layer] = []
        kind = _IntegerLayer if numeric == "integer" else _FloatLayer
        first_lane = 0  # lanes are numbered layer by layer, then by node, input and bank
        for index, layer in enumerate(specs[0].layers):
            self._layers.append(kind(specs, index, first_lane=first_lane, draws=self._draws))
            first_lane += layer.n_out * layer.n_in * layer.banks
        self._coefficients = [np.empty(layer.coefficients_shape, dtype=layer.dtype) for layer in self._layers]
        for learner, spec in enumerate(specs):
            for ours, codes in zip(self._coefficients, spec.initial_codes(), strict=True):
                ours[..., learner] = codes if numeric == "integer" else spec.formats.coefficient.to_float(codes)
        self.learning_rates: Array = np.array(
            [
                [layer.learning_rate_code if numeric == "integer" else layer.learning_rate for layer in spec.layers]
                for spec in specs
            ]
        )
        self.noise_states = np.array([noise.initial_state(spec.seed) for spec in specs])
        self.saturations = [dict.fromkeys(SATURATIONS, 0) for _ in specs]
        self.frozen = False
        self._waiting: list[deque[_Update]] = [deque() for _ in self._layers]
        self._flying: list[_Chunk] = []
        self._last_edge = -1

    @property
    def coefficients(self) -> list[Array]:
        """One array ``(learners, n_out, n_in, bases)`` per layer, with all updates that have landed. They are views:
        what is written to them is written to the learners. May be assigned to."""
        return [np.moveaxis(layer, -1, 0) for layer in self._coefficients]

    @coefficients.setter
    def coefficients(self, coefficients: Sequence[npt.ArrayLike]) -> None:
        for ours, theirs in zip(self.coefficients, coefficients, strict=True):
            ours[...] = theirs

    def predict_many(self, x: npt.ArrayLike) -> Array:
        """Outputs ``(learners, samples, n_out)``; ``x`` as in :meth:`learn_many`."""
        x = self._per_learner(x)
        return self.run(x, np.zeros((*x.shape[:2], self.specs[0].n_out)), np.zeros(x.shape[1], dtype=bool))

    def learn_many(self, x: npt.ArrayLike, target: npt.ArrayLike) -> Array:
        """Learns from samples one after another; returns the predictions, each made before its step,
        ``(learners, samples, n_out)``.

        ``x`` has shape ``(samples, n_in)``, the same for all learners, or ``(learners, samples, n_in)``; ``target``
        likewise, with ``n_out``. With ``loss="external"`` targets are dL/dy.
        """
        x = self._per_learner(x)
        return self.run(x, target, np.ones(x.shape[1], dtype=bool))

    def _per_learner(self, values: npt.ArrayLike) -> Array:
        array = np.asarray(values, dtype=self._layers[0].dtype)
        if array.ndim == 3:
            return array
        return array[None] if len(self.specs) == 1 else np.broadcast_to(array, (len(self.specs), *array.shape))

    def run(
        self,
        x: npt.ArrayLike,
        teaching: npt.ArrayLike,
        learn: npt.NDArray[np.bool_],
        edges: Sequence[int] | None = None,
    ) -> Array:
        """Predicts samples one after another, and learns from those that ``learn``, of shape ``(samples,)``, names.

        Arrays as in :meth:`learn_many`. ``edges`` are the clock edges at which the samples are taken, each later than
        the one before, also of an earlier call. Updates are then seen :attr:`kanrtl.LearnerSpec.delays` edges later,
        the last after :meth:`settle`. Without ``edges`` all that is in flight lands before the first sample is taken,
        and every update before the next.
        """
        # Samples first, learners last.
        x, teaching = (self._per_learner(values).transpose(1, 2, 0) for values in (x, teaching))
        if edges is None:
            self.settle()
            outputs = self._run(x, teaching, learn, range(len(x)), (1,) * len(self._layers))
            self.settle()
        else:
            before = self._last_edge
            for edge in edges:
                if edge <= before:
                    raise ValueError(f"edge = {edge}: must be above that of the sample before, {before}")
                before = edge
            outputs = self._run(x, teaching, learn, edges, self.specs[0].delays)
        return outputs.transpose(2, 0, 1)

    def settle(self) -> None:
        """Waits until all updates have landed."""
        for index in range(len(self._layers)):
            self._land(index, self._last_edge)
        self._last_edge = -1
        self._count_landed()

    def gradients(self, x: npt.ArrayLike, target: npt.ArrayLike) -> list[Array]:
        """dL/dc for one sample, ``(learners, n_in)`` and ``(learners, n_out)``; one array ``(learners, n_out, n_in,
        bases)`` per layer. Changes nothing.

        Exact with ``numeric="float64"``; codes are not scaled to a common format, so integer models refuse.
        """
        if self.numeric != "float64":
            raise ValueError('gradients need numeric="float64"')
        self.settle()
        chunk = _Chunk(self._layers, 1, learns=True)
        first = self._layers[0].locate(np.transpose(x))
        passes, total = self._forward(chunk, 0, first, -1, (1,) * len(self._layers))
        gradients = self._backward(chunk, 0, passes, total, np.transpose(target))
        result = []
        for coefficients, (located, _), gradient in zip(self._coefficients, passes, gradients, strict=True):
            complete = np.zeros_like(coefficients)
            complete.reshape(-1)[located.place] = gradient[:, None] * located.basis
            result.append(np.moveaxis(complete, -1, 0))
        return result

    def _run(
        self, x: Array, teaching: Array, learn: npt.NDArray[np.bool_], edges: Sequence[int], delays: Sequence[int]
    ) -> Array:
        """Shapes ``(samples, n_in, learners)``, ``(samples, n_out, learners)``, ``(samples,)`` twice; gives the
        outputs, ``(samples, n_out, learners)``."""
        if self.frozen:
            learn = np.zeros(len(x), dtype=bool)
        last = self._layers[-1]
        outputs = np.empty((len(x), last.n_out, last.learners), dtype=last.dtype)
        size = max(1, CHUNK // max(layer.window * layer.n_out * layer.n_in * layer.learners for layer in self._layers))
        for start in range(0, len(x), size):
            part = slice(start, start + size)
            self._run_chunk(x[part], teaching[part], learn[part], edges[part], delays, outputs[part])
        return outputs

    def _run_chunk(
        self,
        x: Array,
        teaching: Array,
        learn: npt.NDArray[np.bool_],
        edges: Sequence[int],
        delays: Sequence[int],
        outputs: Array,
    ) -> None:
        layers, last = self._layers, self._layers[-1]
        taught = np.flatnonzero(learn)
        chunk = _Chunk(layers, len(x), learns=len(taught) > 0)
        first = layers[0].locate(x)
        first_steps = self._steps(chunk, 0, slice(len(taught)), first.basis[taught])
        states = self._states(len(taught))
        first_drawn = None if first.lanes is None else layers[0].noise(states, first.lanes[taught])
        targets = last.target(teaching)
        totals = np.empty_like(outputs)
        for sample, (edge, learns) in enumerate(zip(edges, learn.tolist(), strict=True)):
            self._last_edge = edge
            passes, total = self._forward(chunk, sample, first[sample], edge, delays)
            totals[sample] = total
            if not learns:
                continue
            place = chunk.learned
            gradients = self._backward(chunk, place, passes, total, targets[sample])
            for index, ((located, _), gradient) in enumerate(zip(passes, gradients, strict=True)):
                if index == 0:
                    step, drawn = first_steps[place], None if first_drawn is None else first_drawn[place]
                else:
                    step = self._steps(chunk, index, place, located.basis)
                    drawn = None if located.lanes is None else layers[index].noise(states[place], located.lanes)
                update = _Update(edge, chunk, place, located.place, gradient[:, None] * step, drawn)
                self._waiting[index].append(update)
            chunk.learned += 1
        outputs[...] = chunk.activation[-1].narrow(slice(None), totals)
        for kind in (chunk.activation, chunk.slope, chunk.gradient, chunk.step):
            self._count(kind)
        self._flying.append(chunk)
        self._count_landed()

    def _states(self, steps: int) -> Codes:
        """The noise registers at this many learning steps, ``(steps, 1, 1, 1, learners)``; they go on to the next."""
        states = noise.states_from(self.noise_states, steps + 1 if self._draws else 1)
        self.noise_states = np.where(self._stochastic, states[-1], self.noise_states)
        return states[:steps, None, None, None]

    def _forward(
        self, chunk: _Chunk, sample: int, located: _Located, edge: int, delays: Sequence[int]
    ) -> tuple[list[tuple[_Located, Array]], Array]:
        """For every layer where the sample is, and the coefficients there; and the exact sums of the last nodes."""
        passes = []
        for index, layer in enumerate(self._layers):
            self._land(index, edge - delays[index])
            coefficients = self._coefficients[index].reshape(-1).take(located.place)
            passes.append((located, coefficients))
            total = layer.sum(layer.sum(coefficients * located.basis, 0), 1)
            if index + 1 < len(self._layers):
                located = self._layers[index + 1].locate(chunk.activation[index].narrow(sample, total))
        return passes, total

    def _backward(
        self, chunk: _Chunk, place: int, passes: list[tuple[_Located, Array]], total: Array, target: Array
    ) -> list[Array]:
        """dL/dy of every layer's nodes, first layer first."""
        last = self._layers[-1]
        gradients = [chunk.gradient[-1].narrow(place, last.error(total, target))]
        for index in range(len(self._layers) - 1, 0, -1):
            layer, (located, coefficients) = self._layers[index], passes[index]
            slope = chunk.slope[index].narrow(place, layer.sum(coefficients * located.derivative, 0))
            exact = layer.sum(gradients[0][:, None] * slope, 0)
            gradients.insert(0, chunk.gradient[index - 1].narrow(place, exact))
        return gradients

    def _steps(self, chunk: _Chunk, index: int, place: int | slice, basis: Array) -> Array:
        return chunk.step[index].narrow(place, self.learning_rates[:, index] * basis)

    def _land(self, index: int, edge: int) -> None:
        """Changes the coefficients of layer ``index`` by all updates of samples up to ``edge``."""
        waiting = self._waiting[index]
        while waiting and waiting[0].edge <= edge:
            update = waiting.popleft()
            coefficients = self._coefficients[index].reshape(-1)
            exact = self._layers[index].changed(coefficients.take(update.place), update.product)
            chunk = update.chunk
            coefficients[update.place] = chunk.coefficient[index].narrow(update.sample, exact, update.drawn)
            chunk.landed[index] += 1

    def _count_landed(self) -> None:
        """Counts the coefficients that saturated, where an update has landed in all layers."""
        for chunk in self._flying:
            landed = min(chunk.landed)
            self._count(chunk.coefficient, slice(chunk.counted, landed))
            chunk.counted = landed
        self._flying = [chunk for chunk in self._flying if chunk.counted < chunk.learned]

    def _count(self, layers: Sequence[_Rounded], samples: slice = slice(None)) -> None:
        """A sample counts once for a kind of value, in however many layers that saturated."""
        outside = [found for found in (layer.outside(samples) for layer in layers) if found is not None]
        if not outside:
            return
        counts = np.logical_or.reduce(outside).sum(axis=0)
        for learner, count in enumerate(counts.tolist()):
            counters, kind = self.saturations[learner], layers[0].kind
            counters[kind] = min(counters[kind] + count, (1 << COUNTER_WIDTH) - 1)


def _check_shapes(specs: Sequence[LearnerSpec]) -> None:
    if not specs:
        raise ValueError("specs: empty; give one or more")
    for spec in specs[1:]:
        for field, ours in shape_of(spec).items():
            if ours != (first := shape_of(specs[0])[field]):
                raise SpecError.of(field, ours, f"learners side by side have it in common, and the first has {first!r}")


def shape_of(spec: LearnerSpec) -> dict[str, Any]:
    """What the learners of a :class:`ModelBatch` have in common, by field of the spec."""
    return {
        "layer_sizes": spec.layer_sizes,
        "grid_size": spec.per_layer("grid_size"),
        "spline_order": spec.per_layer("spline_order"),
        "loss": spec.loss,
        "schedule": spec.schedule,
        "delays": spec.delays,
    }


class Model:
    """A learner in numpy: a :class:`ModelBatch` of one. Values are codes with ``numeric="integer"`` and real numbers
    with ``"float64"``.

    Attributes
    ----------
    coefficients
        One array ``(n_out, n_in, bases)`` per layer, with all updates that have landed; may be assigned to.
    learning_rates
        One value per layer: the content of the learning rate registers.
    saturations
        Counts by kind (:data:`kanrtl.address_map.SATURATIONS`), which stop at the hardware counters' highest value.
    noise_state
        State of the register behind stochastic rounding.
    frozen
        While true, nothing that is taught is learned.
    """

    def __init__(self, spec: LearnerSpec, numeric: Numeric = "integer") -> None:
        self.spec = spec
        self.numeric = numeric
        self._batch = ModelBatch([spec], numeric)

    @property
    def coefficients(self) -> list[Array]:
        return [layer[0] for layer in self._batch.coefficients]

    @coefficients.setter
    def coefficients(self, coefficients: Sequence[npt.ArrayLike]) -> None:
        self._batch.coefficients = [np.asarray(layer)[None] for layer in coefficients]

    @property
    def learning_rates(self) -> Array:
        return self._batch.learning_rates[0]  # type: ignore[no-any-return]

    @learning_rates.setter
    def learning_rates(self, rates: npt.ArrayLike) -> None:
        self._batch.learning_rates[0] = rates

    @property
    def saturations(self) -> dict[str, int]:
        return self._batch.saturations[0]

    @property
    def noise_state(self) -> int:
        return int(self._batch.noise_states[0])

    @noise_state.setter
    def noise_state(self, state: int) -> None:
        self._batch.noise_states[0] = state

    @property
    def frozen(self) -> bool:
        return self._batch.frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._batch.frozen = frozen

    def predict(self, x: npt.ArrayLike, edge: int | None = None) -> Array:
        """Outputs ``(n_out,)`` for inputs ``(n_in,)``; ``edge`` as in :meth:`learn`."""
        return self._one(x, np.zeros(self.spec.n_out), False, edge)

    def learn(self, x: npt.ArrayLike, target: npt.ArrayLike, edge: int | None = None) -> Array:
        """Predicts, then takes one step; returns the prediction ``(n_out,)`` made before it.

        ``target`` has shape ``(n_out,)``; with ``loss="external"`` it is dL/dy. ``edge`` is the clock edge at which the
        learner takes the sample; see :meth:`ModelBatch.run`.
        """
        return self._one(x, target, True, edge)

    def _one(self, x: npt.ArrayLike, target: npt.ArrayLike, learn: bool, edge: int | None) -> Array:
        outputs = self.run(
            np.asarray(x)[None], np.asarray(target)[None], np.array([learn]), None if edge is None else [edge]
        )
        return outputs[0]  # type: ignore[no-any-return]

    def run(
        self,
        x: npt.ArrayLike,
        teaching: npt.ArrayLike,
        learn: npt.NDArray[np.bool_],
        edges: Sequence[int] | None = None,
    ) -> Array:
        """As :meth:`ModelBatch.run`, for ``(samples, n_in)`` and ``(samples, n_out)``; gives ``(samples, n_out)``."""
        return self._batch.run(x, teaching, learn, edges)[0]  # type: ignore[no-any-return]

    def settle(self) -> None:
        """Waits until all updates have landed."""
        self._batch.settle()

    def freeze(self, bits: int | Sequence[int] | None = None, **options: Any) -> Frozen:
        """What has been learned, with all updates under way, as a :class:`kanrtl.LookupNetwork`; parameters as for
        :func:`kanrtl.lookup.freeze`."""
        from .lookup import freeze
        from .session import InputError

        if self.numeric != "integer":
            raise InputError(f'numeric = "{self.numeric}": has no integers to freeze; use a model with "integer"')
        self.settle()
        return freeze(self.spec, self.coefficients, bits, **options)

    def gradients(self, x: npt.ArrayLike, target: npt.ArrayLike) -> list[Array]:
        """dL/dc for one sample, one array ``(n_out, n_in, bases)`` per layer; see :meth:`ModelBatch.gradients`."""
        return [layer[0] for layer in self._batch.gradients(np.asarray(x)[None], np.asarray(target)[None])]
