"""A learner with its scaling: real samples in, real predictions out, on any backend.

:mod:`kanrtl.estimators.online_estimator` gives it the APIs of scikit-learn and of river.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..arrays import Reals
from ..errors import InputError, LearningWarning, ToolError, warn_user
from ..folders import temporary_folder
from ..learner.spec import LearnerSpec
from ..learner.stages import rename_presets
from ..numeric.fixed import Format
from ..sessions.compiled_learner import load_compiled
from ..sessions.connect import connect
from ..sessions.guard_values import changed_limits, explain_fault
from ..sessions.learner_session import Session
from ..sessions.sample_weights import check_highest, find_highest
from ..sessions.saved_learner import write_learner
from .scaling import RunningScale

SpecMaker = Callable[[int, int], LearnerSpec]
"""Gives the spec for a number of inputs and one of outputs."""


@dataclass(frozen=True)
class OutputStart:
    """What an output of a grown learner starts from: ``sign`` times output ``like`` (None: zero), plus ``bias``."""

    like: int | None
    sign: int = 1
    bias: float = 0.0


@cache
def _without_compiler() -> str | None:
    """Why nothing can be compiled; None where it can."""
    try:
        load_compiled()
    except ToolError as error:
        return str(error)
    return None


def choose_backend(name: str) -> str:
    """The backend that a parameter ``backend`` names: for ``"auto"`` the fastest there is for one learner.

    It warns where that is numpy's.
    """
    if name != "auto":
        return name
    missing = _without_compiler()
    if missing is None:
        return "compiled"
    warn_user(
        f'backend = "auto": learning in numpy, which gives the same bits some fifty times slower, as nothing can be '
        f"compiled: {missing}",
        RuntimeWarning,
    )
    return "model"


def set_kept(session: Session, limits: Mapping[str, float], *, frozen: bool) -> None:
    """Give a new session what the file of one does not hold: the limits of its guard that the user has set, and whether
    it is frozen."""
    if limits:  # without a guard there are none
        session.set_limits(**limits)
    session.frozen = frozen


def _leave_out(x: Reals, target: Reals, weights: Reals | None) -> tuple[Reals, Reals, Reals | None]:
    """The same without the samples whose weight is 0; no weights where all that are left are 1."""
    if weights is None:
        return x, target, None
    kept = weights > 0
    x, target, weights = x[kept], target[kept], weights[kept]
    return x, target, None if (weights == 1).all() else weights


class OnlineLearner:
    """A :class:`kanrtl.Session` behind running scales.

    Every sample first moves the scales and is then learned, but for a session that is frozen, or whose guard has seen a
    fault: there it moves nothing, and predictions stay. Coefficients stay as they are when a scale moves, so what
    has been learned moves along with the data, and hardware never has to be written to for it.

    Parameters
    ----------
    design
        Gives the spec for a number of inputs and one of outputs.
    inputs, targets
        The scales; their columns are the inputs and outputs. ``targets`` is None where targets are probabilities.
    n_out
        The number of outputs.
    backend
        As for :func:`choose_backend`.
    """

    def __init__(
        self, design: SpecMaker, inputs: RunningScale, targets: RunningScale | None, n_out: int, backend: str
    ) -> None:
        self.inputs = inputs
        self.targets = targets
        self.backend = backend
        self._attach(connect(design(len(inputs.mean), n_out), choose_backend(backend)))

    def _attach(self, session: Session) -> None:
        self.session = session
        _ = session.frozen  # a device may be; from now on its backend knows
        if session.backend.compiled:
            self.inputs.compile()
            if self.targets is not None:
                self.targets.compile()

    def predict(self, x: Reals) -> Reals:
        """Predictions ``(n, n_out)`` for inputs ``(n, n_in)``, which may hold NaN for what is missing."""
        predictions = self.session.predict_many(self.inputs.to_unit(x))
        return predictions if self.targets is None else self.targets.from_unit(predictions)

    def learn(self, x: Reals, target: Reals, weights: Reals | None = None) -> None:
        """Learn from samples ``(n, n_in)`` with targets ``(n, n_out)`` one after another.

        ``weights``, ``(n,)``, are those of :meth:`kanrtl.Session.learn_many`. Samples of weight 0 are left out, also of
        the scales, in which all others count once.
        """
        if weights is not None:
            self.check_highest("sample_weight", weights)
        x, target, weights = _leave_out(x, target, weights)
        # A guard may see a fault among them, and a weight may be several samples to it.
        alone = weights is not None and self.session.spec.guard is not None
        start = 0
        while start < len(x):
            stop = start + (1 if alone else self.session.backend.stays_for(len(x) - start))
            part = slice(start, stop)
            unit, taught = self._scale(x[part], target[part])
            self.session.learn_many(unit, taught, weight=None if weights is None else weights[part])
            start = stop

    def _scale(self, x: Reals, target: Reals) -> tuple[Reals, Reals]:
        """Samples and targets, scaled, which have moved the scales where they will be learned."""
        if self.session.backend.learns:
            return self.inputs.learn_many(x), target if self.targets is None else self.targets.learn_many(target)
        return self.inputs.to_unit(x), target if self.targets is None else self.targets.to_unit(target)

    def find_highest(self) -> float:
        """See :func:`kanrtl.sessions.sample_weights.find_highest`; for the rates that are in the registers now."""
        return find_highest(*self._registers())

    def check_highest(self, field: str, weights: Reals) -> None:
        """See :func:`kanrtl.sessions.sample_weights.check_highest`; for the rates that are in the registers now."""
        check_highest(field, weights, *self._registers())

    def _registers(self) -> tuple[list[int], list[Format]]:
        """The codes and the formats of all registers of rates."""
        formats = [register.format for register in self.session.spec.rate_registers]
        return self.session.backend.read_learning_rates(), formats

    def predict_row(self) -> Reals:
        """The prediction ``(n_out,)`` for the inputs that lie in ``inputs.row``: as :meth:`predict`, but quicker."""
        prediction = self.session.predict(self.inputs.scale_row(False))
        return prediction if self.targets is None else self.targets.from_unit(prediction)

    def learn_row(self, target: Reals, weight: float | None = None) -> None:
        """Learn from the inputs that lie in ``inputs.row`` with a target ``(n_out,)``: as :meth:`learn`, but
        quicker. The ``weight`` is above 0, or None for 1."""
        learns = self.session.backend.learns
        if self.targets is not None:
            self.targets.row.row[:] = target
            target = self.targets.scale_row(learns)
        self.session.learn(self.inputs.scale_row(learns), target, weight=weight)

    def train(
        self, x: Reals, target: Reals, weights: Reals | None, epochs: int, random: np.random.RandomState
    ) -> Iterator[int]:
        """Go through samples ``(n, n_in)`` with targets ``(n, n_out)`` ``epochs`` times, each time shuffled.

        The scales are those of all samples, known before and not moved any more; ``weights`` are as in :meth:`learn`.
        Gives the number of each epoch that is done.
        """
        x, target, weights = _leave_out(x, target, weights)
        self.inputs.learn_many(x)
        x = self.inputs.to_unit(x)
        if self.targets is not None:
            self.targets.learn_many(target)
            target = self.targets.to_unit(target)
        for epoch in range(epochs):
            order = random.permutation(len(x))
            self.session.learn_many(x[order], target[order], weight=None if weights is None else weights[order])
            yield epoch + 1

    def outputs(self) -> list[OutputStart]:
        """The outputs as they are, for :meth:`grow`."""
        return [OutputStart(index) for index in range(self.session.spec.n_out)]

    def grow(self, design: SpecMaker, n_in: int, outputs: list[OutputStart]) -> None:
        """Become a learner with more inputs or other outputs, which predicts as before where those play no part.

        It stays frozen if it is; a rate that the user has set keeps its ratio to that of the spec, which may depend on
        the number of inputs, and limits of a guard that the user has set stay.
        New inputs start from zero coefficients. The bases of an edge sum to one, so a bias is a constant added to their
        coefficients.

        Raises :exc:`InputError`, with nothing changed, while the guard has seen a fault, which would be lost.
        """
        if seen := self._explain_fault():
            raise InputError(
                f"{seen}, which a learner with a new feature or class would forget; call session_.release() before"
            )
        old = self.session.coefficients
        session = connect(design(n_in, len(outputs)), choose_backend(self.backend))
        formats, bases = session.spec.formats.layers[-1], session.spec.layers[-1].bases
        coefficient, guard_bits = formats.coefficient, formats.guard_bits
        first = old[0]
        old[0] = np.concatenate([first, np.zeros((len(first), n_in - first.shape[1], first.shape[2]), np.int64)], 1)
        last = old[-1]
        grown = []
        for output in outputs:
            source = np.zeros_like(last[0]) if output.like is None else last[output.like].copy()
            if output.sign < 0:  # the factors become their negatives, the guard bits below them stay
                guard = source & ((1 << guard_bits) - 1)
                source = guard - (source - guard)
            source[:, :bases] += int(coefficient.quantise(output.bias / last.shape[1]))
            grown.append(np.clip(source, coefficient.minimum, coefficient.maximum))
        session.coefficients = [*old[:-1], np.array(grown)]
        session.backend.write_learning_rates(self._scale_rates(session.spec))
        if session.spec.update_rounding == "stochastic":
            session.backend.write_noise(self.session.backend.read_noise())
        set_kept(session, self.limits(), frozen=self.session.frozen)
        self.session.close()
        self.inputs.grow(n_in)
        self._attach(session)

    def _scale_rates(self, spec: LearnerSpec) -> list[int]:
        """The registers of rates for a learner of another ``spec``, in the ratio to the spec's that they have here."""
        codes = []
        held, before = self.session.backend.read_learning_rates(), self.session.spec.rate_registers
        for code, old, new in zip(held, before, spec.rate_registers, strict=True):
            scaled = round(new.code * code / old.code) if code != old.code and old.code else new.code
            codes.append(min(max(scaled, min(code, 1)), new.format.maximum))  # none is lost that is not zero
        return codes

    def _explain_fault(self) -> str | None:
        return explain_fault(self.session.spec, self.session.backend.read_guard)

    def limits(self) -> dict[str, float]:
        """The limits of the guard that the user has set, which copies keep."""
        return changed_limits(self.session.spec, self.session.backend.read_guard)

    def to_bytes(self) -> bytes:
        """The content of the file that :meth:`kanrtl.Session.save` writes."""
        with temporary_folder() as folder:
            path = folder / "learned.npz"
            write_learner(path, self.session.spec, self.session.backend)
            return path.read_bytes()

    def is_copied_frozen(self) -> bool:
        """Whether a copy is frozen: if this is, or its guard has seen a fault, of which it warns: a copy has a guard
        that starts anew."""
        if seen := self._explain_fault():
            warn_user(
                f"{seen}, and a copy does not hold that: it is frozen until its session_.frozen is set to False",
                LearningWarning,
            )
            return True
        return self.session.frozen

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle is made from; the backend itself may be a device."""
        state = self.session.spec.to_dict(), self.to_bytes(), self.is_copied_frozen(), self.limits()
        return self.__dict__ | {"session": state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Former versions do not say whether it was frozen, nor its limits.
        saved = dict(zip(("spec", "learned", "frozen", "limits"), state["session"], strict=False))
        session = connect(LearnerSpec.from_dict(rename_presets(saved["spec"])), choose_backend(state["backend"]))
        with temporary_folder() as folder:
            path = folder / "learned.npz"
            path.write_bytes(saved["learned"])
            session.load(path)
        set_kept(session, saved.get("limits", {}), frozen=saved.get("frozen", False))
        self.__dict__ = state
        self._attach(session)
