"""The integer model: the numeric contract in numpy, and nothing else.

The same equations run in two kinds of numbers. With ``numeric="integer"`` every value is an integer code, rounded and
saturated exactly where the hardware does; it is what every other backend is compared with, bit for bit. With
``numeric="float64"`` the tables become the spline itself and nothing is rounded; it is what gradients are checked on.

For layer l with inputs i, nodes o and the window j of non-zero bases (Hoang, Gupta, Harris, arXiv 2602.02056):

- forward:    y_o = sum_i sum_j c[o,i,k_i+j] b_j(u_i), with all but the guard bits of c
- error:      g_o = dL/dy_o
- downstream: g_i = sum_o g_o sum_j c[o,i,k_i+j] db_j/dx(u_i), with the coefficients of the forward pass
- update:     c[o,i,k_i+j] -= g_o s_j, with steps s_j = eta b_j(u_i)
- modulated:  y_o = sum_i m_i f_oi with curves f_oi = sum_j c[o,i,k_i+j] b_j(u_i), each taught by g_o m_i; of complex
  edges m is complex, two nodes are one complex y, and each curve a complex f, taught by g conj(m)

In a layer with linear paths y_o also has sum_i w[o,i] x_i, with x as it came in, the slope also has w[o,i], inside and
outside of the grid, and w[o,i] -= g_o s, with the step s = eta_w x_i.

In the streaming schedule an update lands when it has come through the pipeline, on the coefficients as they are then.

Many learners of one shape run side by side (:class:`ModelBatch`); one alone is a batch of one (:class:`Model`). Inside,
the learner is the last axis of every array, ``(window, node, input, learner)`` where all are there: so what differs
between learners (shifts, bounds, rates) is one number per position on that axis. What no sample has to wait for is done
for all samples at once: locating them, the first layer's steps, the outputs, and counting what saturated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..arrays import check_unmasked
from ..errors import InputError, SpecError
from ..numeric import lfsr as noise
from ..numeric.fixed import Codes
from .address_map import COUNTER_WIDTH, SATURATIONS
from .linear_arithmetic import LinearArithmetic
from .model_layers import Array, IntegerLayer, Located, ModelLayer, RealLayer, Rounded
from .model_samples import ModelSamples, check_lengths
from .spec import LearnerSpec

Numeric = Literal["integer", "float64"]

CHUNK = 1 << 16  # values of a kind that are kept until they are counted: they fit a cache


class _Chunk:
    """Samples that go through the learners together, and what is kept of them until it is counted."""

    def __init__(self, layers: Sequence[ModelLayer], samples: int, learns: bool) -> None:
        def rounded(kind: str, layer: ModelLayer, *shape: int) -> Rounded:
            narrowing = getattr(layer, kind) if learns or kind == "activation" else None
            return Rounded(kind, narrowing, samples, *shape, layer.learners)

        self.activation = [rounded("activation", layer, layer.n_out) for layer in layers]
        self.gradient = [rounded("gradient", layer, layer.n_out) for layer in layers]
        self.slope = [rounded("slope", layer, layer.n_out, layer.n_in) for layer in layers]
        # What modulated edges are taught by; counted with the gradients.
        self.turned = [
            rounded("turned", layer, layer.n_out, layer.n_in) if layer.modulation else None for layer in layers
        ]
        self.step = [rounded("step", layer, layer.window, 1, layer.n_in) for layer in layers]
        self.coefficient = [rounded("coefficient", layer, layer.window, layer.n_out, layer.n_in) for layer in layers]
        self.linear_step = [self._linear("step", layer, samples, learns, layer.n_in) for layer in layers]
        self.linear_coefficient = [
            self._linear("coefficient", layer, samples, learns, layer.n_out, layer.n_in) for layer in layers
        ]
        # By sample and learner, whether any input was outside of its grid, and whether any edge's update was lost.
        self.outside, self.lost = (np.zeros((samples, layers[0].learners), dtype=bool) for _ in range(2))
        self.landed = [0] * len(layers)  # samples whose update has landed, by layer
        self.counted = 0  # samples whose saturated coefficients have been counted
        self.learned = 0  # samples that were taught: they come first in all arrays but those of activations

    @staticmethod
    def _linear(kind: str, layer: ModelLayer, samples: int, learns: bool, *shape: int) -> Rounded:
        narrowing = getattr(layer, f"linear_{kind}") if learns else None
        return Rounded(kind, narrowing, samples, *shape, layer.learners)


@dataclass
class _Update:
    """What one sample changes in one layer, before it has landed."""

    edge: int  # at which its sample was taken
    chunk: _Chunk
    sample: int  # in the chunk, of those that are learned
    address: Codes
    product: Array  # (window, n_out, n_in, learners)
    drawn: Codes | None  # noise, the same
    taught: Array | None  # (n_out, n_in, learners): which edges should move; None where lost updates are not counted
    weight_product: Array | None  # (n_out, n_in, learners), of linear paths
    weight_drawn: Codes | None
    learns: Array | None  # (n_in, learners): which inputs' coefficients are changed; None where all are


class _Pass(NamedTuple):
    """Where a sample is in a layer, and the factors of its windows ``(window, n_out, n_in, learners)``, and of its
    linear paths ``(n_out, n_in, learners)``, as the forward pass found them."""

    located: Located
    factors: Array
    weights: Array | None


class ModelBatch:
    """Learners of one shape, side by side; each as if it were alone.

    They share ``layer_sizes``, ``modulated``, ``grid_size``, ``periodic``, ``spline_order``, ``linear``, ``loss`` and,
    streaming, the delays that follow from the pipeline; all else may differ. Raises :exc:`SpecError` where they do not.
    Values are codes with ``numeric="integer"`` and real numbers with ``"float64"``.

    Attributes
    ----------
    learning_rates
        Shape ``(learners, layers)``: the content of the learning rate registers.
    linear_rates
        Shape ``(learners, layers)``: that of the linear paths' rate registers; 0 for a layer without.
    saturations
        For every learner, counts by kind (:data:`kanrtl.learner.address_map.SATURATIONS`, and what its spec counts
        besides), which stop at the hardware counters' highest value.
    noise_states
        Shape ``(learners,)``: the registers behind stochastic rounding.
    frozen
        While true, nothing that is taught is learned.
    error_sums
        Shape ``(learners,)``, if it is set to zeros: the sum of the magnitudes of dL/dy of all outputs over all steps
        since; integers only. None costs nothing.
    """

    def __init__(self, specs: Sequence[LearnerSpec], numeric: Numeric = "integer") -> None:
        _check_shapes(specs)
        if numeric not in ("integer", "float64"):
            raise InputError(f'numeric = {numeric!r}: must be "integer" or "float64"')
        self.specs = tuple(specs)
        self.numeric = numeric
        integer, (n_in, n_out) = numeric == "integer", (specs[0].n_in, specs[0].n_out)
        self._x = ModelSamples("x", n_in, [spec.formats.input for spec in specs], integer=integer)
        self._target = ModelSamples("target", n_out, [spec.target_format for spec in specs], integer=integer)
        self._stochastic = np.array([spec.update_rounding == "stochastic" for spec in specs])
        self._draws = numeric == "integer" and bool(self._stochastic.any())
        self._layers: list[ModelLayer] = []
        kind = IntegerLayer if numeric == "integer" else RealLayer
        # Lanes are numbered layer by layer, then by node, input and bank; behind these by node and input, for w.
        first_lane = 0
        for index, layer in enumerate(specs[0].layers):
            self._layers.append(kind(specs, index, first_lane=first_lane, draws=self._draws))
            first_lane += layer.lanes
        self._coefficients = [np.empty(layer.coefficients_shape, dtype=layer.dtype) for layer in self._layers]
        for learner, spec in enumerate(specs):
            for ours, codes, layer in zip(self._coefficients, spec.initial_codes(), spec.layers, strict=True):
                real = layer.formats.coefficient.to_float
                ours[..., learner] = codes if numeric == "integer" else real(codes)
        self.learning_rates: Array = np.array(
            [
                [layer.learning_rate_code if numeric == "integer" else layer.learning_rate for layer in spec.layers]
                for spec in specs
            ]
        )
        self.linear_rates: Array = np.array(
            [[_first_rate(layer.linear, numeric) if layer.linear else 0 for layer in spec.layers] for spec in specs]
        )
        self.noise_states = np.array([noise.initial_state(spec.seed) for spec in specs])
        self.saturations = [dict.fromkeys((*SATURATIONS, *spec.counts), 0) for spec in specs]
        self._counts_outside = numeric == "integer" and any("outside" in spec.counts for spec in specs)
        self._counts_lost = np.array(
            [numeric == "integer" and "lost" in spec.counts and spec.update_rounding != "stochastic" for spec in specs]
        )
        self.frozen = False
        self.error_sums: Codes | None = None
        self._waiting: list[deque[_Update]] = [deque() for _ in self._layers]
        self._flying: list[_Chunk] = []
        self._last_edge = -1

    @property
    def coefficients(self) -> list[Array]:
        """One array ``(learners, n_out, n_in, bases)`` per layer, with one more coefficient, w, where it is linear, and
        all updates that have landed.

        They are views: what is written to them is written to the learners. May be assigned to."""
        return [np.moveaxis(layer, -1, 0) for layer in self._coefficients]

    @coefficients.setter
    def coefficients(self, coefficients: Sequence[npt.ArrayLike]) -> None:
        own, arrays = self.coefficients, [np.asarray(layer) for layer in coefficients]
        found, wanted = ([layer.shape for layer in layers] for layers in (arrays, own))
        if found != wanted:
            raise InputError(f"coefficients: shapes {found}; must be {wanted}, an array for each layer")
        for ours, theirs in zip(own, arrays, strict=True):
            ours[...] = theirs

    def predict_many(self, x: npt.ArrayLike) -> Array:
        """Outputs ``(learners, samples, n_out)``; ``x`` as in :meth:`learn_many`."""
        x = self._x.check(x)
        return self.run(
            x, np.zeros((*x.shape[:2], self.specs[0].n_out), dtype=np.int64), np.zeros(x.shape[1], dtype=bool)
        )

    def learn_many(self, x: npt.ArrayLike, target: npt.ArrayLike) -> Array:
        """Learn from samples one after another; return the predictions, each made before its step,
        ``(learners, samples, n_out)``.

        ``x`` has shape ``(samples, n_in)``, the same for all learners, or ``(learners, samples, n_in)``; ``target``
        likewise, with ``n_out``. With ``loss="external"`` targets are dL/dy.
        """
        x = self._x.check(x)
        return self.run(x, target, np.ones(x.shape[1], dtype=bool))

    def check_samples(
        self, x: npt.ArrayLike, teaching: npt.ArrayLike, learn: npt.ArrayLike
    ) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Samples for :meth:`run` as arrays, each learner's own: ``(learners, samples, n_in)``, ``(learners, samples,
        n_out)`` and ``(samples,)``; raises :exc:`InputError` where they are not."""
        check_unmasked("learn", learn)
        x, teaching, learn = self._x.check(x), self._target.check(teaching), np.asarray(learn)
        check_lengths(x.shape[1], teaching.shape[1], learn)
        return x, teaching, learn

    def run(
        self,
        x: npt.ArrayLike,
        teaching: npt.ArrayLike,
        learn: npt.NDArray[np.bool_],
        edges: Sequence[int] | None = None,
    ) -> Array:
        """Predict samples one after another, and learn from those that ``learn``, of shape ``(samples,)``, names.

        Arrays as in :meth:`learn_many`. ``edges`` are the clock edges at which the samples are taken, each later than
        the one before, also of an earlier call. Updates are then seen :attr:`kanrtl.LearnerSpec.delays` edges later,
        the last after :meth:`settle`. Without ``edges`` all that is in flight lands before the first sample is taken,
        and every update before the next.
        """
        x, teaching, learn = self.check_samples(x, teaching, learn)
        # Samples first, learners last.
        x, teaching = x.transpose(1, 2, 0), teaching.transpose(1, 2, 0)
        if edges is None:
            self.settle()
            outputs = self._run(x, teaching, learn, range(len(x)), (1,) * len(self._layers))
            self.settle()
        else:
            if len(edges) != len(x):
                raise InputError(f"edges: {len(edges)} for {len(x)} samples; give one for each")
            before = self._last_edge
            for edge in edges:
                if edge <= before:
                    raise InputError(f"edge = {edge}: must be above that of the sample before, {before}")
                before = edge
            outputs = self._run(x, teaching, learn, edges, self.specs[0].delays)
        return outputs.transpose(2, 0, 1)

    def settle(self) -> None:
        """Wait until all updates have landed."""
        for index in range(len(self._layers)):
            self._land(index, self._last_edge)
        self._last_edge = -1
        self._count_landed()

    def gradients(self, x: npt.ArrayLike, target: npt.ArrayLike) -> list[Array]:
        """dL/dc for one sample, ``(learners, n_in)`` and ``(learners, n_out)``; one array per layer, shaped as
        :attr:`coefficients`. Changes nothing.

        That of an output is limited by ``gradient_limit``. Exact with ``numeric="float64"``; codes are not scaled to a
        common format, so integer models refuse.
        """
        if self.numeric != "float64":
            raise InputError('gradients need numeric="float64"')
        x, target = self._x.check_one(x), self._target.check_one(target)
        self.settle()
        chunk = _Chunk(self._layers, 1, learns=True)
        first = self._layers[0].locate(np.transpose(x))
        passes, total = self._forward(chunk, 0, first, -1, (1,) * len(self._layers))
        gradients = self._backward(chunk, 0, passes, total, np.transpose(target))
        result = []
        for layer, coefficients, (located, *_), gradient in zip(
            self._layers, self._coefficients, passes, gradients, strict=True
        ):
            complete = np.zeros_like(coefficients)
            complete.reshape(-1)[located.address] = layer.turn(gradient, located) * located.basis
            if layer.linear:
                complete[:, :, -1] = gradient[:, None] * located.x
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
        layers = self._layers
        taught = np.flatnonzero(learn)
        chunk = _Chunk(layers, len(x), learns=len(taught) > 0)
        first = layers[0].locate(x)
        first_steps = self._steps(chunk, 0, slice(len(taught)), first.basis[taught])
        states = self._states(len(taught))
        first_drawn = None if first.lanes is None else layers[0].noise(states, first.lanes[taught])
        first_linear = first.x[:0]
        if layers[0].linear:
            first_linear = self._linear_steps(chunk, 0, slice(len(taught)), first.x[taught])
        totals = np.empty_like(outputs)
        for sample, (edge, learns) in enumerate(zip(edges, learn.tolist(), strict=True)):
            self._last_edge = edge
            passes, total = self._forward(chunk, sample, first[sample], edge, delays)
            totals[sample] = total
            if not learns:
                continue
            number = chunk.learned
            gradients = self._backward(chunk, number, passes, total, teaching[sample])
            for index, ((located, *_), gradient) in enumerate(zip(passes, gradients, strict=True)):
                linear = weight_drawn = None
                if layers[index].linear:
                    linear = self._linear_steps(chunk, index, number, located.x) if index else first_linear[number]
                    linear = gradient[:, None] * linear
                    weight_drawn = layers[index].weight_noise(states[number, 0]) if self._draws else None
                if index == 0:
                    step, drawn = first_steps[number], None if first_drawn is None else first_drawn[number]
                else:
                    step = self._steps(chunk, index, number, located.basis)
                    drawn = None if located.lanes is None else layers[index].noise(states[number], located.lanes)
                turned = layers[index].turn(gradient, located)
                if (narrowing := chunk.turned[index]) is not None:
                    turned = narrowing.narrow(number, turned)
                product = turned * step
                moving: Array | None = None
                if (allowed := layers[index].learns(located)) is not None:
                    product = product * allowed
                if self._counts_lost.any():
                    moving = (turned != 0) & (self.learning_rates[:, index] != 0)
                    moving = moving if allowed is None else moving & allowed
                if self._counts_outside and located.inside is not None:
                    chunk.outside[number] |= ~located.inside.all(axis=0)
                of_window = (edge, chunk, number, located.address, product, drawn)
                update = _Update(*of_window, moving, linear, weight_drawn, allowed)
                self._waiting[index].append(update)
            chunk.learned += 1
        outputs[...] = chunk.activation[-1].narrow(slice(None), totals)
        if self.error_sums is not None and chunk.learned:
            self.error_sums = self.error_sums + chunk.gradient[-1].magnitude(slice(chunk.learned))
        of_gradients = [*chunk.gradient, *(kept for kept in chunk.turned if kept is not None)]
        for kind in (chunk.activation, chunk.slope, of_gradients, chunk.step + chunk.linear_step):
            self._count(kind)
        self._add("outside", chunk.outside)
        self._flying.append(chunk)
        self._count_landed()

    def _states(self, steps: int) -> Codes:
        """The noise registers at this many learning steps, ``(steps, 1, 1, 1, learners)``; they go on to the next."""
        states = noise.states_from(self.noise_states, steps + 1 if self._draws else 1)
        self.noise_states = np.where(self._stochastic, states[-1], self.noise_states)
        return states[:steps, None, None, None]

    def _forward(
        self, chunk: _Chunk, sample: int, located: Located, edge: int, delays: Sequence[int]
    ) -> tuple[list[_Pass], Array]:
        """For every layer where the sample is, and the factors there; and the exact sums of the last nodes."""
        passes = []
        for index, layer in enumerate(self._layers):
            self._land(index, edge - delays[index])
            flat = self._coefficients[index].reshape(-1)
            factors = layer.factors(flat.take(located.address))
            total = layer.total(factors, located)
            weights = None
            if layer.linear:
                weights = layer.factors(flat.take(layer.weight_address))
                total = layer.add_linear(total, weights, located.x)
            passes.append(_Pass(located, factors, weights))
            if index + 1 < len(self._layers):
                located = self._layers[index + 1].locate(chunk.activation[index].narrow(sample, total))
        return passes, total

    def _backward(self, chunk: _Chunk, number: int, passes: list[_Pass], total: Array, target: Array) -> list[Array]:
        """dL/dy of every layer's nodes, first layer first."""
        last = self._layers[-1]
        gradients = [chunk.gradient[-1].narrow(number, last.error(total, target))]
        for index in range(len(self._layers) - 1, 0, -1):
            layer, (located, factors, weights) = self._layers[index], passes[index]
            slope = layer.sum(factors * located.derivative, 0)
            if weights is not None:
                slope = layer.add_weights(slope, weights)
            slope = chunk.slope[index].narrow(number, slope)
            exact = layer.sum(gradients[0][:, None] * slope, 0)
            gradients.insert(0, chunk.gradient[index - 1].narrow(number, exact))
        return gradients

    def _steps(self, chunk: _Chunk, index: int, number: int | slice, basis: Array) -> Array:
        return chunk.step[index].narrow(number, self.learning_rates[:, index] * basis)

    def _linear_steps(self, chunk: _Chunk, index: int, number: int | slice, x: Array) -> Array:
        return chunk.linear_step[index].narrow(number, self.linear_rates[:, index] * x)

    def _land(self, index: int, edge: int) -> None:
        """Change the coefficients of layer ``index`` by all updates of samples up to ``edge``."""
        waiting = self._waiting[index]
        while waiting and waiting[0].edge <= edge:
            update = waiting.popleft()
            coefficients = self._coefficients[index].reshape(-1)
            before = coefficients.take(update.address)
            exact = self._layers[index].changed(before, update.product, update.learns)
            chunk = update.chunk
            coefficients[update.address] = chunk.coefficient[index].narrow(update.sample, exact, update.drawn)
            if update.taught is not None:
                still = chunk.coefficient[index].equal(update.sample, before).all(axis=0)
                chunk.lost[update.sample] |= (still & update.taught).any(axis=(0, 1)) & self._counts_lost
            if update.weight_product is not None:
                layer = self._layers[index]
                exact = layer.weights_changed(coefficients.take(layer.weight_address), update.weight_product)
                narrowed = chunk.linear_coefficient[index].narrow(update.sample, exact, update.weight_drawn)
                coefficients[layer.weight_address] = narrowed
            chunk.landed[index] += 1

    def _count_landed(self) -> None:
        """Count the coefficients that saturated, where an update has landed in all layers."""
        for chunk in self._flying:
            landed = min(chunk.landed)
            self._count(chunk.coefficient + chunk.linear_coefficient, slice(chunk.counted, landed))
            self._add("lost", chunk.lost[chunk.counted : landed])
            chunk.counted = landed
        self._flying = [chunk for chunk in self._flying if chunk.counted < chunk.learned]

    def _count(self, layers: Sequence[Rounded], samples: slice = slice(None)) -> None:
        """A sample counts once for a kind of value, in however many layers that saturated."""
        outside = [found for found in (layer.outside(samples) for layer in layers) if found is not None]
        if not outside:
            return
        self._add(layers[0].kind, np.logical_or.reduce(outside))

    def _add(self, kind: str, found: Array) -> None:
        """Add to counters what was found, ``(samples, learners)``, where they count that."""
        if not found.any():
            return
        for counters, count in zip(self.saturations, found.sum(axis=0).tolist(), strict=True):
            if kind in counters:
                counters[kind] = min(counters[kind] + count, (1 << COUNTER_WIDTH) - 1)


def _first_rate(linear: LinearArithmetic, numeric: Numeric) -> float:
    return linear.rate_code if numeric == "integer" else linear.linear_rate


def _check_shapes(specs: Sequence[LearnerSpec]) -> None:
    if not specs:
        raise InputError("specs: empty; give one or more")
    for spec in specs[1:]:
        for field, ours in shape_of(spec).items():
            if ours != (first := shape_of(specs[0])[field]):
                raise SpecError.of(field, ours, f"learners side by side have it in common, and the first has {first!r}")


def shape_of(spec: LearnerSpec) -> dict[str, Any]:
    """What the learners of a :class:`ModelBatch` have in common, by field of the spec."""
    return {
        "layer_sizes": spec.layer_sizes,
        "grid_size": spec.per_layer("grid_size"),
        "periodic": spec.per_layer("periodic"),
        "modulated": spec.modulated,
        "spline_order": spec.per_layer("spline_order"),
        "linear": spec.per_layer("linear"),
        "loss": spec.loss,
        "schedule": spec.schedule,
        "delays": spec.delays,
    }
