"""The session of a baseline: the calls of a learner's, on any backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, as_array, as_bool, check_finite, real_row, real_rows
from ..baselines.baseline_spec import BaselineSpec
from ..baselines.rate_limits import warn_of_rate
from ..errors import InputError, check_kind, join_choices
from ..files import as_path
from ..learner.address_map import COUNTER_WIDTH
from ..learner.losses import find_loss
from ..numeric.fixed import Codes
from .baseline_backends import BASELINE_BACKENDS, BaselineBackend
from .clipped_targets import ClippedTargets
from .closing import Closing
from .exclusive import exclusive
from .rate_codes import find_rate_codes
from .saved_baseline import SavedBaseline, write_baseline


@exclusive(besides=("backend",))
class BaselineSession(Closing):
    """A running baseline; made by :func:`connect_baseline`. A context manager, with those calls of
    :class:`kanrtl.Session` that are listed here, for real numbers, which are rounded to the formats of the spec as they
    come in (and saturated, which :attr:`status` counts; the first target for which that is so is warned of, as
    :exc:`kanrtl.LearningWarning`). Rates at which it may diverge, or learns nothing, are warned of, as
    :exc:`kanrtl.StabilityWarning` and :exc:`kanrtl.LearningWarning`."""

    def __init__(self, spec: BaselineSpec, backend: BaselineBackend) -> None:
        super().__init__()
        self.spec = spec
        self._backend: BaselineBackend = backend
        self._samples = self._inputs_saturated = 0
        self._takes_gradients = find_loss(spec.loss).takes_gradients
        self._pending: Codes | None = None
        field = "gradient" if self._takes_gradients else "target"
        self._clipped = ClippedTargets(spec.target_format, field, "set a wider target_range in the spec")
        warn_of_rate(spec, self.learning_rate)

    @property
    def backend(self) -> BaselineBackend:
        """What the baseline runs on; it takes and gives integer codes."""
        return self._backend

    def close(self) -> None:
        """End the baseline; what it has learned is lost, unless it was saved."""
        super().close()

    def predict(self, x: npt.ArrayLike) -> Reals:
        """The prediction, shape ``(n_out,)``, for inputs of shape ``(n_in,)``."""
        return self.predict_many(real_row("x", x, self.spec.n_in))[0]  # type: ignore[no-any-return]

    def learn(self, x: npt.ArrayLike, target: npt.ArrayLike) -> Reals:
        """Predict, then take one step towards ``target``, shape ``(n_out,)``; return the prediction made before it.

        With ``loss="external"`` there is no target: see :meth:`feedback`.
        """
        self._check_loss("learn", "predict, then feedback", gradients=False)
        rows = real_row("x", x, self.spec.n_in), real_row("target", target, self.spec.n_out)
        return self._teach_many(*rows, "target")[0]  # type: ignore[no-any-return]

    def feedback(self, gradient: npt.ArrayLike) -> None:
        """Take one step with a gradient dL/dy, shape ``(n_out,)``, that was computed elsewhere, for the last sample
        that was predicted.

        The sample is shown to the baseline again, which learns from it at the weights as they are now. Needs
        ``loss="external"``. Raises :exc:`InputError`, with nothing done, where no sample was predicted since the last
        step.
        """
        self._check_loss("feedback", "learn", gradients=True)
        if self._pending is None:
            raise InputError("feedback: there is no prediction to give it for; call predict first")
        row = real_row("gradient", gradient, self.spec.n_out)
        check_finite("gradient", row)
        self._run(self._pending, self._teaching_codes(row), learn=True)

    def predict_many(self, x: npt.ArrayLike) -> Reals:
        """Predictions ``(n, n_out)`` for inputs ``(n, n_in)``, one sample after another."""
        codes = self._input_codes(real_rows("x", x, self.spec.n_in))
        return self._run(codes, np.zeros((len(codes), self.spec.n_out), dtype=np.int64), learn=False)

    def learn_many(self, x: npt.ArrayLike, target: npt.ArrayLike) -> Reals:
        """Learn from samples ``(n, n_in)`` and targets ``(n, n_out)``, one after another; return the predictions, each
        made before its step."""
        self._check_loss("learn_many", "feedback_many", gradients=False)
        return self._teach_many(x, target, "target")

    def feedback_many(self, x: npt.ArrayLike, gradient: npt.ArrayLike) -> Reals:
        """Take one step for each of the samples ``(n, n_in)``, one after another, with gradients dL/dy ``(n, n_out)``
        that were computed elsewhere; return the predictions, each made before its step. Needs ``loss="external"``."""
        self._check_loss("feedback_many", "learn_many", gradients=True)
        return self._teach_many(x, gradient, "gradient")

    def _check_loss(self, call: str, other: str, *, gradients: bool) -> None:
        if gradients == self._takes_gradients:
            return
        mend = f'set loss = "external", or call {other}' if gradients else f"call {other}"
        raise InputError(f'{call}: the spec has loss = "{self.spec.loss}"; {mend}')

    def _teach_many(self, x: npt.ArrayLike, taught: npt.ArrayLike, field: str) -> Reals:
        reals, rows = real_rows("x", x, self.spec.n_in), real_rows(field, taught, self.spec.n_out)
        if len(reals) != len(rows):
            raise InputError(f"{field}: {len(rows)} rows for {len(reals)} samples; give one for each")
        check_finite(field, rows)
        codes = self._input_codes(reals)
        return self._run(codes, self._teaching_codes(rows), learn=True)

    def _teaching_codes(self, rows: Reals) -> Codes:
        self._clipped.note(self.spec.target_format.count_beyond(rows), rows)
        return self.spec.target_format.quantise(rows)

    def _input_codes(self, reals: Reals) -> Codes:
        # The highest code is an LSB below the end of a range that ends at a power of two, which is within it.
        low, high = self.spec.input_range
        self._inputs_saturated += self.spec.input_format.count_beyond(reals[(reals < low) | (reals > high)])
        return self.spec.input_format.quantise(reals)

    def _run(self, x: Codes, teaching: Codes, *, learn: bool) -> Reals:
        self._samples += len(x)
        if len(x):
            self._pending = None if learn else x[-1:]
        return self.spec.output_format.to_float(self._backend.run(x, teaching, np.full(len(x), learn)))

    @property
    def weights(self) -> list[Codes]:
        """Integer codes, one array ``(n_out, n_in + 1)`` for each layer; the last column holds the biases. May be
        assigned to."""
        return self._backend.read_weights()

    @weights.setter
    def weights(self, weights: list[npt.ArrayLike]) -> None:
        layers = self.spec.sums
        if not isinstance(weights, (list, tuple)) or len(weights) != len(layers):
            raise InputError(f"weights: give a list of arrays, one for each layer, here {len(layers)}")
        checked = []
        for index, (given, layer) in enumerate(zip(weights, layers, strict=True)):
            shape, format = (layer.n_out, layer.n_in + 1), layer.coefficient
            array = as_array(f"weights[{index}]", given, f"integer codes of shape {shape}")
            if array.shape != shape or array.dtype.kind not in "iu":
                raise InputError(f"weights[{index}]: must be integer codes of shape {shape}")
            if array.size and not format.minimum <= array.min() <= array.max() <= format.maximum:
                raise InputError(f"weights[{index}]: codes must be from {format.minimum} to {format.maximum}")
            checked.append(array.astype(np.int64))
        self._backend.write_weights(checked)
        self._pending = None

    @property
    def learning_rate(self) -> float:
        """The learning rate, as its register holds it. What is assigned is rounded to that."""
        return float(self.spec.rate_register.format.to_float(self._backend.read_rate()))

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        self._backend.write_rate(self._rate_code(rate))
        warn_of_rate(self.spec, self.learning_rate)

    def _rate_code(self, rate: float) -> int:
        mends = "give a higher learning_rate in the spec", "give a lower learning_rate in the spec"
        [code] = find_rate_codes("learning_rate", rate, 1, self.spec.rate_register.format, mends)
        return code

    @property
    def frozen(self) -> bool:
        """Whether samples are predicted but not learned. May be assigned to."""
        return self._backend.read_frozen()

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._backend.write_frozen(as_bool("frozen", frozen))

    def restore(self) -> None:
        """Forget everything: weights, learning rate and counters become what they were at the start, so that the same
        samples give the same bits again. It stays frozen if it is."""
        self._backend.write_weights(self.spec.initial_codes())
        self._backend.write_rate(self.spec.rate_register.code)
        self._pending = None
        self.clear_counters()

    def save(self, path: str | Path) -> None:
        """Write what was learned, with the spec, to an ``.npz`` file; the file is complete or not there."""
        write_baseline(as_path(path), self.spec, self.weights, self._backend.read_rate())

    def load(self, path: str | Path) -> None:
        """Take over weights and learning rate that :meth:`save` wrote, of a baseline of the same kind, sizes, ranges
        and widths, whose step may be another; else change nothing. The rate is rounded as one that is assigned is."""
        name = as_path(path)
        try:
            saved = SavedBaseline.read(name)
            saved.check_weights(self.spec)
            rate = self._rate_code(saved.learning_rate)
            self.weights = saved.weights  # type: ignore[assignment]
        except InputError as error:
            raise InputError(f"load: {str(path)!r}: {error}") from None
        self._backend.write_rate(rate)
        warn_of_rate(self.spec, self.learning_rate)

    def clear_counters(self) -> None:
        """Set to zero what :attr:`status` counts of values that saturated, in the baseline and before it."""
        self._backend.clear_saturations()
        self._inputs_saturated = self._clipped.count = 0

    @property
    def status(self) -> dict[str, Any]:
        """The counts and states by name, as :attr:`kanrtl.Session.status` has them; a counter that is full stays so
        until :meth:`clear_counters`."""
        timing, saturations = self.spec.timing, self._backend.read_saturations()
        return {
            "backend": self._backend.name,
            "samples": self._samples,
            "cycles": self._backend.cycles,
            "frozen": self.frozen,
            "saturations": saturations,
            "counters_full": [kind for kind, count in saturations.items() if count == (1 << COUNTER_WIDTH) - 1],
            "inputs_saturated": self._inputs_saturated,
            "targets_saturated": self._clipped.count,
            "latency": timing.latency,
            "prediction_latency": timing.prediction_latency,
            "interval": timing.interval,
            "observed": self._backend.observed,
        }


def connect_baseline(spec: BaselineSpec, backend: str = "model") -> BaselineSession:
    """Start a baseline, as :func:`kanrtl.connect` starts a learner.

    ``backend`` is ``"model"``, the integer model; ``"pysim"``, the hardware in Amaranth's simulator; or ``"native"``,
    the hardware compiled to machine code. All give the same bits. Raises :exc:`InputError` for another backend, and
    :exc:`ToolError` where ``"native"`` finds no C++ compiler.
    """
    check_kind("spec", spec, BaselineSpec, "the spec of a baseline; kanrtl.connect takes a LearnerSpec")
    if not isinstance(backend, str) or backend not in BASELINE_BACKENDS:
        raise InputError(f"backend = {backend!r}: must be {join_choices(map(repr, BASELINE_BACKENDS))}")
    return BaselineSession(spec, BASELINE_BACKENDS[backend](spec))
