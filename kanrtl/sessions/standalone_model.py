"""A learner in numpy, for use without a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import as_array, as_bool, as_integer, check_finite
from ..errors import InputError, check_kind
from ..learner.arithmetic import check_codes, checked_coefficients, checked_layers
from ..learner.guard_model import WatchedBatch
from ..learner.model_batch import ModelBatch, Numeric
from ..learner.model_layers import Array
from ..learner.spec import LearnerSpec
from ..numeric.lfsr import WIDTH as NOISE_WIDTH
from ..transfer.freeze import Frozen, freeze


class Model:
    """A learner in numpy: a :class:`ModelBatch` of one. Values are codes with ``numeric="integer"`` and real numbers
    with ``"float64"``. Raises :exc:`InputError` for a spec with a guard, and for real numbers where codes are wanted.
    """

    def __init__(self, spec: LearnerSpec, numeric: Numeric = "integer") -> None:
        check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
        if spec.guard is not None:
            raise InputError(
                'guard: a model alone has none; use kanrtl.loop.GuardedModel or connect(spec, backend="model"), or '
                "spec.replace(guard=None)"
            )
        self.spec = spec
        self.numeric = numeric
        self._batch = ModelBatch([spec], numeric)

    def __repr__(self) -> str:
        return f"Model({self.spec!r}, {self.numeric!r})"

    @property
    def coefficients(self) -> list[Array]:
        """One array ``(n_out, n_in, bases)`` per layer, with one more coefficient, w, where it is linear; with all
        updates that have landed. May be assigned to."""
        return [layer[0] for layer in self._batch.coefficients]

    @coefficients.setter
    def coefficients(self, coefficients: Sequence[npt.ArrayLike]) -> None:
        if self.numeric == "integer":
            coefficients = checked_coefficients(self.spec.layers, coefficients)
        else:
            arrays = enumerate(checked_layers(self.spec.layers, coefficients))
            coefficients = [check_finite(f"coefficients[{index}]", array) for index, array in arrays]
        self._batch.coefficients = [np.asarray(layer)[None] for layer in coefficients]

    @property
    def learning_rates(self) -> Array:
        """The learning rate registers, one value per layer; may be assigned to."""
        return self._batch.learning_rates[0]  # type: ignore[no-any-return]

    @learning_rates.setter
    def learning_rates(self, rates: npt.ArrayLike) -> None:
        self._batch.learning_rates[0] = self._checked_rates("learning_rates", rates)

    @property
    def linear_rates(self) -> Array:
        """The rate registers of the linear paths, one value per layer, 0 where there is none; may be assigned to."""
        return self._batch.linear_rates[0]  # type: ignore[no-any-return]

    @linear_rates.setter
    def linear_rates(self, rates: npt.ArrayLike) -> None:
        self._batch.linear_rates[0] = self._checked_rates("linear_rates", rates)

    def _checked_rates(self, field: str, rates: npt.ArrayLike) -> npt.ArrayLike:
        shape = (self.spec.n_layers,)
        codes = as_array(field, rates, f"shape {shape}")
        if codes.shape != shape:
            raise InputError(f"{field}: shape {codes.shape}; must be {shape}, one for each layer")
        if self.numeric != "integer":
            if not ((codes >= 0) & np.isfinite(codes)).all():
                raise InputError(f"{field} = {codes.tolist()}: must be finite, 0 or more")
            return codes
        check_codes(field, codes)
        format = self.spec.formats.linear_rate if field == "linear_rates" else self.spec.formats.learning_rate
        highest = format.maximum if format else 0
        if codes.size and not 0 <= codes.min() <= codes.max() <= highest:
            raise InputError(f"{field}: codes from {codes.min()} to {codes.max()}; must be 0 to {highest}")
        return codes

    @property
    def saturations(self) -> dict[str, int]:
        """The counts by kind (:data:`kanrtl.learner.address_map.SATURATIONS`), up to the counters' highest value."""
        return self._batch.saturations[0]

    @property
    def noise_state(self) -> int:
        """The state of the register behind stochastic rounding; may be assigned to."""
        return int(self._batch.noise_states[0])

    @noise_state.setter
    def noise_state(self, state: int) -> None:
        if not 0 < as_integer("noise_state", state) < 1 << NOISE_WIDTH:
            raise InputError(f"noise_state = {state}: must be from 1 to {(1 << NOISE_WIDTH) - 1}")
        self._batch.noise_states[0] = state

    @property
    def frozen(self) -> bool:
        """While true, nothing that is taught is learned; may be assigned to."""
        return self._batch.frozen

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._batch.frozen = as_bool("frozen", frozen)

    def predict(self, x: npt.ArrayLike, edge: int | None = None) -> Array:
        """Outputs ``(n_out,)`` for inputs ``(n_in,)``; ``edge`` as in :meth:`learn`."""
        return self._one(x, np.zeros(self.spec.n_out, dtype=np.int64), False, edge)

    def learn(self, x: npt.ArrayLike, target: npt.ArrayLike, edge: int | None = None) -> Array:
        """Predict, then take one step; return the prediction ``(n_out,)`` made before it.

        ``target`` has shape ``(n_out,)``; with ``loss="external"`` it is dL/dy. ``edge`` is the clock edge at which the
        learner takes the sample; see :meth:`ModelBatch.run`.
        """
        return self._one(x, target, True, edge)

    def _one(self, x: npt.ArrayLike, target: npt.ArrayLike, learn: bool, edge: int | None) -> Array:
        outputs = self.run(*self._rows(x, target), np.array([learn]), None if edge is None else [edge])
        return outputs[0]  # type: ignore[no-any-return]

    def _rows(self, x: npt.ArrayLike, target: npt.ArrayLike) -> tuple[Array, Array]:
        """One sample and its target as rows of arrays; numbers where they have one element."""
        return _one_row("x", x, self.spec.n_in), _one_row("target", target, self.spec.n_out)

    def run(
        self,
        x: npt.ArrayLike,
        teaching: npt.ArrayLike,
        learn: npt.NDArray[np.bool_],
        edges: Sequence[int] | None = None,
    ) -> Array:
        """Run samples ``(samples, n_in)`` with ``teaching`` ``(samples, n_out)``; give ``(samples, n_out)``.

        See :meth:`ModelBatch.run`.
        """
        return self._batch.run(x, teaching, learn, edges)[0]  # type: ignore[no-any-return]

    def watch(self) -> WatchedBatch:
        """This learner as a guard watches it."""
        return WatchedBatch(self._batch)

    def settle(self) -> None:
        """Wait until all updates have landed."""
        self._batch.settle()

    def freeze(self, bits: int | Sequence[int] | None = None, **options: Any) -> Frozen:
        """Make a :class:`kanrtl.LookupNetwork` of what has been learned, with all updates that have not landed yet.

        Parameters are those of :func:`kanrtl.transfer.freeze`. Raises :exc:`InputError` for a model in floats.
        """
        if self.numeric != "integer":
            raise InputError(f'numeric = "{self.numeric}": has no integers to freeze; use a model with "integer"')
        self.settle()
        return freeze(self.spec, self.coefficients, bits, **options)

    def gradients(self, x: npt.ArrayLike, target: npt.ArrayLike) -> list[Array]:
        """dL/dc for one sample, one array per layer, shaped as :attr:`coefficients`; see
        :meth:`ModelBatch.gradients`."""
        return [layer[0] for layer in self._batch.gradients(*self._rows(x, target))]


def _one_row(field: str, values: npt.ArrayLike, count: int) -> Array:
    array = np.atleast_1d(as_array(field, values, f"shape ({count},)"))
    if array.shape != (count,):
        raise InputError(f"{field}: shape {array.shape}; must be ({count},)")
    return array[None]
