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
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import noise
from .address_map import COUNTER_WIDTH, SATURATIONS
from .arithmetic import LayerArithmetic, Sigmoid
from .fixed import Format, narrow
from .spec import LearnerSpec
from .spline import basis_values, derivative_values

__all__ = ["Model"]

Array = npt.NDArray[Any]


@dataclass
class _Pass:
    """What a layer's forward pass leaves for its backward pass; ``a`` is the window's place in the coefficients."""

    place: tuple[Array, Array, Array]
    coefficients: Array  # (n_out, n_in, window)
    basis: Array  # (n_in, window)
    derivative: Array  # (n_in, window)
    lanes: Array  # (n_in, window): memory bank of each coefficient
    total: Array  # (n_out,) exact node sums


@dataclass
class _Update:
    """What one sample changes in one layer, before it has landed."""

    edge: int  # at which its sample was taken
    place: tuple[Array, Array, Array]
    product: Array  # (n_out, n_in, window)
    lanes: Array  # (n_out, n_in, window)
    noise_state: int
    step: _Step


@dataclass
class _Step:
    """What is counted once for all layers."""

    landing: int  # layers whose update has not landed
    saturated: bool = False  # whether any coefficient was


class _Integer:
    """Numbers as codes."""

    dtype: Any = np.int64

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec = spec
        self.saturated = dict.fromkeys(SATURATIONS, 0)
        self.noise_state = noise.initial_state(spec.seed)
        self.sigmoid = Sigmoid.of(spec.formats.activation, spec.formats.gradient)

    def narrow(self, kind: str, value: Array, fraction: int, format: Format) -> Array:
        result, saturated = narrow(value, fraction, format, self.spec.rounding)
        self.saturated[kind] |= bool(np.any(saturated))
        return result  # type: ignore[no-any-return]

    def locate(self, layer: LayerArithmetic, x: Array) -> tuple[Array, Array, Array]:
        cell, row, inside = layer.locator.locate(x)
        return cell, layer.basis_table[row], np.where(inside[..., None], layer.derivative_table[row], 0)

    def error(self, layer: LayerArithmetic, total: Array, y: Array, target: Array) -> Array:
        formats = self.spec.formats
        if self.spec.loss == "external":
            return target
        if self.spec.loss == "logistic":
            probability, fraction = self.sigmoid.table[self.sigmoid.row(y)], self.sigmoid.value.f
        else:
            probability, fraction = total, layer.node_sum.f
        common = max(fraction, formats.activation.f)
        exact = (probability << (common - fraction)) - (target << (common - formats.activation.f))
        return self.narrow("gradient", exact, common, formats.gradient)

    def changed(self, layer: LayerArithmetic, coefficients: Array, update: _Update) -> Array:
        coefficient, fraction = self.spec.formats.coefficient, layer.update_sum.f
        exact = (coefficients << (fraction - coefficient.f)) - (update.product << (fraction - layer.update_product.f))
        drawn = noise.lane_noise(update.noise_state, update.lanes, layer.noise_bits)
        result, saturated = narrow(exact, fraction, coefficient, self.spec.update_rounding, noise=drawn)
        update.step.saturated |= bool(np.any(saturated))
        return result  # type: ignore[no-any-return]

    def step_done(self) -> None:
        if self.spec.update_rounding == "stochastic":
            self.noise_state = noise.leap(self.noise_state)


class _Float:
    """Numbers as they are: nothing is rounded, nothing saturates."""

    dtype: Any = np.float64

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec = spec
        self.saturated = dict.fromkeys(SATURATIONS, 0)
        self.noise_state = 0

    def narrow(self, kind: str, value: Array, fraction: int, format: Format) -> Array:
        return value

    def locate(self, layer: LayerArithmetic, x: Array) -> tuple[Array, Array, Array]:
        width = float(layer.cell_width)
        t = (x - layer.grid_min) / width
        inside = (t >= 0) & (t < layer.grid_size)
        clamped = np.clip(t, 0, layer.grid_size)
        cell = np.minimum(clamped.astype(np.int64), layer.grid_size - 1)
        u = clamped - cell
        derivative = derivative_values(layer.spline_order, u) / width
        return cell, basis_values(layer.spline_order, u), np.where(inside[..., None], derivative, 0)

    def error(self, layer: LayerArithmetic, total: Array, y: Array, target: Array) -> Array:
        if self.spec.loss == "external":
            return target
        if self.spec.loss == "logistic":
            y = (1 + np.tanh(y / 2)) / 2  # sigmoid(y), without the overflow of exp(-y)
        return y - target

    def changed(self, layer: LayerArithmetic, coefficients: Array, update: _Update) -> Array:
        return coefficients - update.product

    def step_done(self) -> None:
        pass


class Model:
    """A learner in numpy. Values are codes with ``numeric="integer"`` and real numbers with ``"float64"``.

    Attributes
    ----------
    coefficients
        One array ``(n_out, n_in, bases)`` per layer, with all updates that have landed; may be assigned to.
    learning_rates
        One value per layer: the content of the learning rate registers.
    saturations
        Counts by kind (:data:`kanrtl.address_map.SATURATIONS`), which stop at the hardware counters' highest value.
    frozen
        While true, nothing that is taught is learned.
    """

    def __init__(self, spec: LearnerSpec, numeric: Literal["integer", "float64"] = "integer") -> None:
        self.spec = spec
        self.numeric = numeric
        codes = spec.initial_codes()
        self._numbers: _Integer | _Float
        if numeric == "integer":
            self._numbers = _Integer(spec)
            self.coefficients: list[Array] = codes
            self.learning_rates: list[Any] = [layer.learning_rate_code for layer in spec.layers]
        elif numeric == "float64":
            self._numbers = _Float(spec)
            self.coefficients = [spec.formats.coefficient.to_float(code) for code in codes]
            self.learning_rates = [layer.learning_rate for layer in spec.layers]
        else:
            raise ValueError(f'numeric = {numeric!r}: must be "integer" or "float64"')
        self.saturations = dict.fromkeys(SATURATIONS, 0)
        self.frozen = False
        self._in_flight: list[deque[_Update]] = [deque() for _ in spec.layers]
        self._last_edge = -1
        # Lanes are numbered layer by layer, then by node, input and bank.
        self._first_lane = np.cumsum([0] + [layer.n_out * layer.n_in * layer.banks for layer in spec.layers])

    @property
    def noise_state(self) -> int:
        """State of the register behind stochastic rounding."""
        return self._numbers.noise_state

    @noise_state.setter
    def noise_state(self, state: int) -> None:
        self._numbers.noise_state = state

    def predict(self, x: npt.ArrayLike, edge: int | None = None) -> Array:
        """Outputs ``(n_out,)`` for inputs ``(n_in,)``; ``edge`` as in :meth:`learn`."""
        self._begin(edge)
        y = self._forward(np.asarray(x, dtype=self._numbers.dtype))[1]
        self._count(self._numbers.saturated)
        return y

    def learn(self, x: npt.ArrayLike, target: npt.ArrayLike, edge: int | None = None) -> Array:
        """Predicts, then takes one step; returns the prediction ``(n_out,)`` made before it.

        ``target`` has shape ``(n_out,)``; with ``loss="external"`` it is dL/dy. ``edge`` is the clock edge at which the
        learner takes the sample, later than the last one's. Updates are then seen
        :attr:`kanrtl.LearnerSpec.delays` edges later, the last after :meth:`settle`.
        Without ``edge`` all that is in flight lands before the sample is taken, and its own update before this returns.
        """
        numbers = self._numbers
        self._begin(edge)
        passes, y = self._forward(np.asarray(x, dtype=numbers.dtype))
        if not self.frozen:
            gradients = self._backward(passes, y, np.asarray(target, dtype=numbers.dtype))
            self._update(passes, gradients)
            numbers.step_done()
        self._count(numbers.saturated)
        if edge is None:
            self.settle()
        return y

    def settle(self) -> None:
        """Waits until all updates have landed."""
        for index in range(self.spec.n_layers):
            self._land(index, self._last_edge)
        self._last_edge = -1

    def _begin(self, edge: int | None) -> None:
        """A new sample."""
        self._numbers.saturated = dict.fromkeys(SATURATIONS, 0)
        if edge is None:
            self.settle()
            edge = 0
        if edge <= self._last_edge:
            raise ValueError(f"edge = {edge}: must be above that of the sample before, {self._last_edge}")
        self._last_edge = edge

    def _land(self, index: int, edge: int) -> None:
        """Changes the coefficients of layer ``index`` by all updates of samples up to ``edge``."""
        waiting, coefficients = self._in_flight[index], self.coefficients[index]
        while waiting and waiting[0].edge <= edge:
            update = waiting.popleft()
            old = coefficients[update.place]
            coefficients[update.place] = self._numbers.changed(self.spec.layers[index], old, update)
            update.step.landing -= 1
            if not update.step.landing:
                self._count({"coefficient": update.step.saturated})

    def gradients(self, x: npt.ArrayLike, target: npt.ArrayLike) -> list[Array]:
        """dL/dc for one sample, one array ``(n_out, n_in, bases)`` per layer; changes nothing.

        Exact with ``numeric="float64"``; codes are not scaled to a common format, so integer models refuse.
        """
        if self.numeric != "float64":
            raise ValueError('gradients need numeric="float64"')
        self._begin(None)
        passes, y = self._forward(np.asarray(x, dtype=np.float64))
        result = [np.zeros_like(coefficients) for coefficients in self.coefficients]
        gradients = self._backward(passes, y, np.asarray(target, dtype=np.float64))
        for total, passed, gradient in zip(result, passes, gradients, strict=True):
            total[passed.place] = gradient[:, None, None] * passed.basis
        return result

    def _count(self, kinds: Mapping[str, int]) -> None:
        for kind, saturated in kinds.items():
            self.saturations[kind] = min(self.saturations[kind] + saturated, (1 << COUNTER_WIDTH) - 1)

    def _forward(self, x: Array) -> tuple[list[_Pass], Array]:
        passes = []
        for index, layer in enumerate(self.spec.layers):
            self._land(index, self._last_edge - self.spec.delays[index])
            cell, basis, derivative = self._numbers.locate(layer, x)
            window = cell[:, None] + np.arange(layer.window)  # (n_in, window)
            place = (np.arange(layer.n_out)[:, None, None], np.arange(layer.n_in)[:, None], window)
            coefficients = self.coefficients[index][place]
            total = (coefficients * basis).sum(axis=(1, 2))
            passes.append(_Pass(place, coefficients, basis, derivative, window % layer.banks, total))
            x = self._numbers.narrow("activation", total, layer.node_sum.f, layer.formats.activation)
        return passes, x

    def _backward(self, passes: list[_Pass], y: Array, target: Array) -> list[Array]:
        """dL/dy of every layer's nodes, first layer first."""
        layers = self.spec.layers
        gradient = self._numbers.error(layers[-1], passes[-1].total, y, target)
        gradients = [gradient]
        for layer, passed in zip(layers[:0:-1], passes[:0:-1], strict=True):
            exact = (passed.coefficients * passed.derivative).sum(axis=2)
            slope = self._numbers.narrow("slope", exact, layer.slope_sum.f, layer.formats.slope)
            exact = (gradient[:, None] * slope).sum(axis=0)
            gradient = self._numbers.narrow("gradient", exact, layer.downstream_sum.f, layer.formats.gradient)
            gradients.insert(0, gradient)
        return gradients

    def _update(self, passes: list[_Pass], gradients: list[Array]) -> None:
        taken = _Step(self.spec.n_layers)
        for index, (layer, passed, gradient) in enumerate(zip(self.spec.layers, passes, gradients, strict=True)):
            step = self._numbers.narrow(
                "step", self.learning_rates[index] * passed.basis, layer.step_product.f, layer.formats.step
            )
            edges = np.arange(layer.n_out)[:, None, None] * layer.n_in + np.arange(layer.n_in)[:, None]
            lanes = self._first_lane[index] + edges * layer.banks + passed.lanes
            product = gradient[:, None, None] * step
            update = _Update(self._last_edge, passed.place, product, lanes, self._numbers.noise_state, taken)
            self._in_flight[index].append(update)
