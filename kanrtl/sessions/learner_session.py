"""The session of a learner: the same calls on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, as_bool, check_finite, check_range, check_weights, real_row, real_rows
from ..errors import InputError, LearningWarning, cut, warn_user
from ..files import as_path
from ..learner.address_map import COUNTER_WIDTH, SATURATIONS
from ..learner.arithmetic import checked_coefficients
from ..learner.losses import explain_target_range, find_loss
from ..learner.spec import LearnerSpec
from ..numeric.fixed import Codes, Format
from ..transfer.freeze import Frozen, freeze
from .backend import FEEDBACK, LEARN, PREDICT, LearnerBackend, SampleStep
from .clipped_targets import ClippedTargets
from .closing import Closing, SampleCount
from .exclusive import exclusive
from .guard_values import describe_guard, explain_fault, limit_codes, settings_of
from .rate_codes import find_least_codes, find_rate_codes, warn_of_idle_layers
from .sample_history import SampleHistory
from .sample_weights import check_highest, weigh_one, weigh_rates
from .saved_learner import SavedLearner, write_learner

__all__ = ["Session"]

_PLAIN = (float, int)
"""Weights that need no closer look."""


@exclusive(besides=("predict", "learn", "backend"))
class Session(Closing):
    """A running learner; made by :func:`connect`. A context manager.

    Values are real numbers; they are rounded to the formats of the spec as they come in (and saturated, which
    :attr:`status` counts; the first target for which that is so is warned of, as :exc:`kanrtl.LearningWarning`).
    Arrays for one sample may be given as numbers where they have one element. Calls from several threads are taken one
    after another.
    """

    def __init__(self, spec: LearnerSpec, backend: LearnerBackend) -> None:
        super().__init__()
        self.spec = spec
        self._backend: LearnerBackend = backend
        self._samples = SampleCount()
        self._inputs_saturated = 0
        self._clipped = ClippedTargets.of(spec)
        self._step = backend.sample_step()
        self._loss = find_loss(spec.loss)
        self._rate_formats = [register.format for register in spec.rate_registers]
        # Of a loss that is computed elsewhere: what was predicted, and the sample that feedback without a name is for.
        self._history = SampleHistory(spec.n_in) if self._loss.takes_gradients else None
        self._pending: int | None = None

    @cached_property
    def _least(self) -> list[int]:
        return find_least_codes(self.spec)

    def __repr__(self) -> str:
        return f"<Session of {self.spec!r} on {self._backend.name!r}, {self._samples.number} samples>"

    @property
    def backend(self) -> LearnerBackend:
        """What the learner runs on; it takes and gives integer codes."""
        return self._backend

    def close(self) -> None:
        """End the learner; what it has learned is lost unless it was saved."""
        self._step = None
        super().close()

    # Predict and learn.

    def predict(self, x: npt.ArrayLike) -> Reals:
        """The prediction, shape ``(n_out,)``, for inputs of shape ``(n_in,)``. With ``loss="logistic"`` it is the
        logit."""
        step = self._step
        with self._lock:
            if step is None:
                return self.predict_many(self._x_row(x))[0]  # type: ignore[no-any-return]
            if not step.x.fill(x):
                step.x.row[:] = self._x_row(x)
            self._take(step, PREDICT, x)
            self._remember(step.codes)
            return step.predictions.copy()

    def learn(self, x: npt.ArrayLike, target: npt.ArrayLike, *, weight: float | None = None) -> Reals:
        """Predict, then take one step towards ``target``, shape ``(n_out,)``; return the prediction made before
        it. ``weight`` scales the step, as in :meth:`learn_many`."""
        step = self._step
        with self._lock:
            if step is None or self._loss.takes_gradients:
                return self._learn_row(x, target, weight)
            if weight is not None and not (type(weight) in _PLAIN and weight == 1):
                return self._learn_weighted(step, x, target, weight)
            self._fill(step, x, target)
            self._take(step, LEARN, x, target)
            return step.predictions.copy()

    def _learn_row(self, x: npt.ArrayLike, target: npt.ArrayLike, weight: float | None) -> Reals:
        rows = self._x_row(x), self._out_row("target", target)
        return self.learn_many(*rows, weight=weight)[0]  # type: ignore[no-any-return]

    def _learn_weighted(self, step: SampleStep, x: npt.ArrayLike, target: npt.ArrayLike, weight: float) -> Reals:
        """:meth:`learn` with a weight; what takes one step does without arrays."""
        registers = self._backend.read_learning_rates()
        rates = weigh_one(weight, registers, self._rate_formats, self._least) if type(weight) in _PLAIN else None
        if rates is None:
            return self._learn_row(x, target, weight)
        self._fill(step, x, target)
        self._backend.write_learning_rates(rates)
        try:
            self._take(step, LEARN, x, target)
        finally:
            self._backend.write_learning_rates(registers)
        return step.predictions.copy()

    def _fill(self, step: SampleStep, x: npt.ArrayLike, target: npt.ArrayLike) -> None:
        """Put a sample and its target where a step takes them from."""
        if not (step.x.fill(x) and step.teaching.fill(target)):
            step.x.row[:], step.teaching.row[:] = self._x_row(x), self._out_row("target", target)

    def predict_many(self, x: npt.ArrayLike) -> Reals:
        """Predictions ``(n, n_out)`` for inputs ``(n, n_in)``, one sample after another."""
        reals = real_rows("x", x, self.spec.n_in)
        codes = self._codes(reals, self.spec.formats.input, self.spec.input_period)
        predictions = self._run(codes, np.zeros((len(codes), self.spec.n_out), dtype=np.int64), learn=False)
        self._remember(codes)
        return predictions

    def learn_many(self, x: npt.ArrayLike, target: npt.ArrayLike, *, weight: npt.ArrayLike | None = None) -> Reals:
        """Learn from samples ``(n, n_in)`` and targets ``(n, n_out)``, one after another; return the predictions,
        each made before its step. Targets out of the range of the loss are refused: with ``loss="logistic"`` those
        below 0 or above 1.

        ``weight``, a number or one for each sample, ``(n,)``, scales the steps. For a sample the registers of all
        rates hold what they held before times its weight, rounded to their format; a weight of 1 changes nothing.
        A sample whose rates are zero is predicted alone, with a warning where its weight is not. A weight for which
        the registers are too small is divided among as few equal steps, one after another, as they can hold. In the
        streaming schedule updates land before the registers change. Raises :exc:`InputError` where a weight is
        negative, not finite, or needs more than 1000 steps.
        """
        if self._loss.takes_gradients:
            mend = "call predict, then feedback with dL/dy, or feedback_many"
            raise InputError(f'learn: the spec has loss = "{self.spec.loss}"; {mend}')
        return self._teach_many(x, "target", target, weight)

    def feedback(self, gradient: npt.ArrayLike, *, sample: int | None = None) -> None:
        """Take one step with a gradient dL/dy, shape ``(n_out,)``, that was computed elsewhere: for the last sample
        that was predicted, or for the one that ``sample`` names.

        Samples are numbered from 0 as they are predicted; :attr:`last_sample` is the number of the last. The sample is
        shown to the learner again: the step is taken at the coefficients as they are now, which are those of its
        prediction unless something was taught in between. A sample that is named may be taught any number of times,
        the last one without a name once.

        Needs ``loss="external"``. Raises :exc:`InputError`, with nothing done, where there is no such sample, or it is
        so long ago that it is not remembered.
        """
        history = self._check_gradients("feedback", "learn")
        if sample is None:
            if self._pending is None:
                raise InputError("feedback: there is no prediction to give it for; call predict first")
            sample = self._pending
        codes = history.find(sample)
        step = self._step
        if step is None:
            row = self._out_row("gradient", gradient)
            self._run(codes, self._target_codes(row), learn=True)
        else:
            if not step.teaching.fill(gradient):
                step.teaching.row[:] = self._out_row("gradient", gradient)
            step.codes[:] = codes
            self._take(step, FEEDBACK, None, gradient, "gradient")
        if sample == self._pending:
            self._pending = None

    def feedback_many(self, x: npt.ArrayLike, gradient: npt.ArrayLike, *, weight: npt.ArrayLike | None = None) -> Reals:
        """Take one step for each of the samples ``(n, n_in)``, one after another, with gradients dL/dy ``(n, n_out)``
        that were computed elsewhere; return the predictions, each made before its step.

        In the sequential schedule the same, to the bit, as :meth:`predict` and :meth:`feedback` for one sample after
        another, in one call and with half the samples; in the streaming schedule samples follow each other as in
        :meth:`learn_many`. ``weight`` is that of :meth:`learn_many`. Needs ``loss="external"``.
        """
        self._check_gradients("feedback_many", "learn_many")
        return self._teach_many(x, "gradient", gradient, weight)

    @property
    def last_sample(self) -> int | None:
        """The number of the last sample that :meth:`predict` or :meth:`predict_many` was given, from 0; None before the
        first.

        Counted with ``loss="external"`` alone, where :meth:`feedback` names samples.
        """
        count = self._history.count if self._history is not None else 0
        return count - 1 if count else None

    def _check_gradients(self, name: str, other: str) -> SampleHistory:
        if self._history is None:
            raise InputError(f'{name}: the spec has loss = "{self.spec.loss}"; set loss = "external", or call {other}')
        return self._history

    def _remember(self, codes: Codes) -> None:
        if self._history is not None and len(codes):
            self._history.append(codes)
            self._pending = self._history.count - 1

    def _teach_many(self, x: npt.ArrayLike, field: str, values: npt.ArrayLike, weight: npt.ArrayLike | None) -> Reals:
        """:meth:`learn_many` with targets or gradients, whose name is ``field``."""
        x, teaching = real_rows("x", x, self.spec.n_in), real_rows(field, values, self.spec.n_out)
        if len(x) != len(teaching):
            raise InputError(f"{field}: {len(teaching)} rows for {len(x)} samples; give one for each")
        self._check_targets(field, teaching)
        weighed = None if weight is None else self._weigh(check_weights("weight", weight, len(x)))
        # Nothing is refused from here on: these count, and warn.
        codes = self._codes(x, self.spec.formats.input, self.spec.input_period)
        taught = self._target_codes(teaching)
        return self._run(codes, taught, learn=True) if weighed is None else self._run_weighted(codes, taught, *weighed)

    def _take(
        self,
        step: SampleStep,
        kind: int,
        x: npt.ArrayLike | None,
        teaching: npt.ArrayLike | None = None,
        field: str = "target",
    ) -> None:
        """Take one step with what lies in its buffers; ``x`` and ``teaching`` are what the user gave for them."""
        outside = step(kind)
        if outside < 0:  # one cannot be taken, and these raise
            if x is not None:
                self._x_row(x)
            if teaching is not None:
                self._out_row(field, teaching)
        self._samples.number += 1
        if outside:
            self._inputs_saturated += outside & 0xFFFFFFFF
            self._clipped.note(outside >> 32, step.teaching.row)

    def _run(self, x: Codes, teaching: Codes, *, learn: bool) -> Reals:
        self._samples.number += len(x)
        codes = self._backend.run(x, teaching, np.full(len(x), learn))
        return self.spec.formats.output.to_float(codes)

    def _weigh(self, weights: Reals) -> tuple[Codes, Codes] | None:
        """The steps of samples with these weights and their rates, as :func:`weigh_rates` gives them; None where all
        weights are 1."""
        if (weights == 1).all():
            return None
        registers = self._backend.read_learning_rates()
        check_highest("weight", weights, registers, self._rate_formats)
        return weigh_rates(weights, registers, self._rate_formats, self._least)

    def _run_weighted(self, x: Codes, teaching: Codes, steps: Codes, rates: Codes) -> Reals:
        self._samples.number += len(rates)
        codes = self._backend.run_with_rates(np.repeat(x, steps, axis=0), np.repeat(teaching, steps, axis=0), rates)
        return self.spec.formats.output.to_float(codes[np.cumsum(steps) - steps])

    def _x_row(self, x: npt.ArrayLike) -> Reals:
        return real_row("x", x, self.spec.n_in)

    def _out_row(self, field: str, values: npt.ArrayLike) -> Reals:
        row = real_row(field, values, self.spec.n_out)
        self._check_targets(field, row[0])
        return row

    def _check_targets(self, field: str, values: Reals) -> None:
        """Raise :exc:`InputError` where a target is not finite, or out of the range of the loss."""
        check_range(field, check_finite(field, values), self._loss.target_range, explain_target_range(self.spec.loss))

    def _codes(self, reals: Reals, format: Format, period: float | None = None) -> Codes:
        self._inputs_saturated += format.count_beyond(reals, period)
        return format.quantise(reals, period)

    def _target_codes(self, reals: Reals) -> Codes:
        self._clipped.note(self.spec.target_format.count_beyond(reals), reals)
        return self.spec.target_format.quantise(reals)

    # What it has learned.

    @property
    def coefficients(self) -> list[Codes]:
        """Integer codes, one array ``(n_out, n_in, bases)`` per layer: ``bases`` is ``grid_size + spline_order``, or
        ``grid_size`` where the layer is periodic; where it has linear paths w is one more, an edge's last. May be
        assigned to."""
        return self._backend.read_coefficients()

    @coefficients.setter
    def coefficients(self, coefficients: list[npt.ArrayLike]) -> None:
        self._backend.write_coefficients(checked_coefficients(self.spec.layers, coefficients))
        self._pending = None

    def freeze(
        self,
        bits: int | Sequence[int] | None = None,
        *,
        guard_bits: int | None = None,
        x: npt.ArrayLike | None = None,
    ) -> Frozen:
        """Make a :class:`kanrtl.LookupNetwork` of what has been learned so far, and say how near it is.

        By default it is the learner to the bit, where its outputs and sums fit the codes of tables, and else as near as
        those are, which is said with it. Parameters and errors are those of :func:`kanrtl.transfer.freeze`.
        """
        return freeze(self.spec, self.coefficients, bits, guard_bits=guard_bits, x=x)

    @property
    def learning_rate(self) -> tuple[float, ...]:
        """One per layer, as the registers hold it. A number assigned to it sets all layers.

        What is assigned is rounded to the nearest that a register holds, and read as that; where it is more than a
        thirty-second off there is a :exc:`kanrtl.LearningWarning`."""
        return self._rates("learning_rate")

    @learning_rate.setter
    def learning_rate(self, rate: float | tuple[float, ...]) -> None:
        self._set_rates("learning_rate", rate)

    @property
    def linear_rate(self) -> tuple[float, ...]:
        """The rates of the linear paths, one for each layer that has them, as the registers hold it. A number assigned
        to it sets all of them; it is rounded as :attr:`learning_rate` is."""
        return self._rates("linear_rate")

    @linear_rate.setter
    def linear_rate(self, rate: float | tuple[float, ...]) -> None:
        if not self.spec.linear_layers:
            raise InputError(f"linear_rate = {cut(rate)}: no layer of the spec has a linear path; set linear in it")
        self._set_rates("linear_rate", rate)

    def _rates_of(self, field: str) -> slice:
        """Where the registers of a field are among all that hold rates."""
        count = self.spec.n_layers
        return slice(count) if field == "learning_rate" else slice(count, None)

    def _rates(self, field: str) -> tuple[float, ...]:
        codes, registers = self._backend.read_learning_rates(), self.spec.rate_registers
        pairs = list(zip(registers, codes, strict=True))[self._rates_of(field)]
        return tuple(float(register.format.to_float(code)) for register, code in pairs)

    def _set_rates(self, field: str, given: float | tuple[float, ...]) -> None:
        registers = self.spec.rate_registers[self._rates_of(field)]
        codes = self._backend.read_learning_rates()
        codes[self._rates_of(field)] = find_rate_codes(field, given, len(registers), registers[0].format)
        self._backend.write_learning_rates(codes)
        self._warn_of_rates(codes)

    def _warn_of_rates(self, codes: Sequence[int]) -> None:
        """Warn where the last layer may diverge with these contents of the registers, or a layer learns nothing."""
        warn_of_idle_layers(self.spec, codes, self._least)
        rates = [
            float(register.format.to_float(code))
            for register, code in zip(self.spec.rate_registers, codes, strict=True)
        ]
        last = self.spec.n_layers - 1
        linear = rates[-1] if last in self.spec.linear_layers else None
        self.spec.stability_at(rates[last], linear).warn()

    @property
    def frozen(self) -> bool:
        """Whether samples are predicted but not learned. May be assigned to."""
        return self._backend.read_frozen()

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._backend.write_frozen(as_bool("frozen", frozen))

    @property
    def status(self) -> dict[str, Any]:
        """The counts and states by name.

        They are ``samples`` sent, clock ``cycles`` (None without a clock), ``frozen``, ``saturations`` in the learner
        by kind, ``counts`` of what the spec counts besides, and as ``counters_full`` the kinds whose counter stands
        still at its highest value, 65535, until :meth:`clear_counters`; ``inputs_saturated`` and ``targets_saturated``
        before they reached it, the ``latency``, ``prediction_latency`` and ``interval`` in cycles, and what was
        ``observed`` of these at the ports. With a guard also ``guard``: whether there is a ``fault``, what was ``seen``
        since the last release, ``counts`` of that, the mean ``error`` of the last window that was judged, and its
        ``limits``.
        """
        saturations = self._backend.read_saturations()
        schedule = self.spec.timing
        return {
            "backend": self._backend.name,
            "samples": self._samples.number,
            "cycles": self._backend.cycles,
            "frozen": self.frozen,
            "saturations": {kind: saturations[kind] for kind in SATURATIONS},
            "counts": {kind: saturations[kind] for kind in self.spec.counts},
            "counters_full": [kind for kind, count in saturations.items() if count == (1 << COUNTER_WIDTH) - 1],
            "inputs_saturated": self._inputs_saturated,
            "targets_saturated": self._clipped.count,
            "latency": schedule.latency,
            "prediction_latency": schedule.prediction_latency,
            "interval": schedule.interval,
            "observed": self._backend.observed,
            **({} if self.spec.guard is None else {"guard": describe_guard(self.spec, self._backend.read_guard())}),
        }

    # What guards it.

    def release(self) -> None:
        """End a fault that the guard has seen: the learner, which has its last good coefficients again, learns on.

        Raises :exc:`InputError` where the spec has no guard, as all that concerns it.
        """
        settings_of(self.spec, "release")
        self._backend.release_guard()

    def adopt(self) -> None:
        """Tell the guard that the coefficients as they are are good: it brings these back after the next fault. What is
        written by :attr:`coefficients`, :meth:`load` and :meth:`restore` is good already."""
        settings_of(self.spec, "adopt")
        self._backend.adopt()

    def set_limits(self, **limits: float) -> None:
        """Set limits of the guard, by the names and in the units of :class:`kanrtl.loop.GuardSettings`; the others
        stay."""
        self._backend.write_limits(limit_codes(self.spec, limits, self._backend.read_guard))

    def restore(self) -> None:
        """Forget everything: coefficients, rates, the noise of stochastic rounding and counters become what they were
        at the start, so that the same samples give the same bits again. It stays frozen if it is.

        A learner with ``initial="reset"`` does it by itself, in ``spec.restart_cycles`` clock cycles; into others
        everything is written.
        """
        self._backend.restore()
        self._inputs_saturated = self._clipped.count = 0
        self._pending = None

    def clear_counters(self) -> None:
        """Set to zero what :attr:`status` counts of values that saturated, in the learner and before, and of
        what its guard saw."""
        self._backend.clear_saturations()
        if self.spec.guard is not None:
            self._backend.clear_guard()
        self._inputs_saturated = self._clipped.count = 0

    # Files.

    def save(self, path: str | Path) -> None:
        """Write what was learned, with the spec, to an ``.npz`` file; the file is complete or not there.

        A guard starts anew in what is loaded. Limits that :meth:`set_limits` changed are not in the file: those that
        are to last belong in the spec. Nor is a fault, which is warned of, as :exc:`kanrtl.LearningWarning`.
        """
        name = as_path(path)
        if seen := explain_fault(self.spec, self._backend.read_guard):
            warn_user(f"save: {seen}, and a file does not hold that: what is loaded from it learns", LearningWarning)
        write_learner(name, self.spec, self._backend)

    def load(self, path: str | Path) -> None:
        """Take over what :meth:`save` wrote, if it is of the same sizes and grid, and this learner's formats are as
        fine and hold every value in it; else change nothing."""
        name = as_path(path)
        try:
            self._load(SavedLearner.read(name))
        except InputError as error:
            raise InputError(f"load: {str(path)!r}: {error}") from None

    def _load(self, saved: SavedLearner) -> None:
        for field in ("layer_sizes", "grid_range", "grid_size", "periodic", "spline_order", "modulated", "linear"):
            ours, theirs = (
                (getattr(spec, field) if field in ("layer_sizes", "modulated") else spec.per_layer(field))
                for spec in (self.spec, saved.spec)
            )
            if ours != theirs:
                raise InputError(f"{field} = {theirs}, but this learner has {ours}; load it into one with the same")
        coefficients, rates = saved.convert(self.spec)
        self._backend.write_coefficients(coefficients)
        self._backend.write_learning_rates(rates)
        if self.spec.update_rounding == "stochastic" and saved.noise is not None:
            self._backend.write_noise(saved.noise)
        self._pending = None
        self._warn_of_rates(rates)
