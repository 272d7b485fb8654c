"""The integer model in machine code as a backend: no clock, no hardware; a compiler runs once for all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import InputError, TraceError
from ...learner.address_map import ON_DEMAND, SATURATIONS
from ...learner.spec import LearnerSpec
from ...lookup.network import LookupNetwork
from ...numeric.fixed import Codes
from ...progress import Progress
from ...simulators.trace import Trace
from ..backend import BackendKind, NetworkBackend, Options, SampleStep
from ..compiled_learner import CompiledLearner
from ..guarded_backend import GuardedBackend

__all__ = ["BACKEND", "CompiledModel"]


class CompiledModel(GuardedBackend):
    """A learner in machine code: the arithmetic of :class:`kanrtl.Model`, to the bit.

    One library serves every spec; it is compiled once, in a second or two.
    """

    name = "compiled"
    compiled = True

    def __init__(self, spec: LearnerSpec, trace: Trace | None = None, _progress: Progress | None = None) -> None:
        if trace is not None:
            raise TraceError('trace: backend "compiled" has no signals; use "pysim" or "native"')
        super().__init__(spec)
        self._learner = CompiledLearner(spec)
        if spec.guard:
            self.watch(self._learner)

    def sample_step(self) -> SampleStep | None:
        # Machine code knows nothing of a guard, which looks at every sample.
        return None if self.spec.guard else self._learner.step

    def run_alone(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        return self._learner.run(x, teaching, learn)

    def run_with_rates(self, x: Codes, teaching: Codes, rates: Codes) -> Codes:
        if self.spec.guard:
            return super().run_with_rates(x, teaching, rates)
        before = self.read_learning_rates()
        try:
            return self._learner.run(x, teaching, np.any(rates, axis=1), rates)
        finally:
            self.write_learning_rates(before)

    def stored_coefficients(self) -> list[Codes]:
        return self._learner.coefficients

    def read_coefficients(self) -> list[Codes]:
        self.reach()
        return [layer.copy() for layer in self._learner.coefficients]

    def write_coefficients(self, coefficients: list[Codes]) -> None:
        self.reach()
        for ours, theirs in zip(self._learner.coefficients, coefficients, strict=True):
            ours[...] = theirs
        self.adopt()

    def read_learning_rates(self) -> list[int]:
        self.reach()
        return [int(rate) for rate in self._learner.learning_rates]

    def write_learning_rates(self, rates: list[int]) -> None:
        self.reach()
        self._learner.learning_rates[:] = rates

    def read_noise(self) -> int:
        self.reach()
        return int(self._learner.noise[0]) if self.spec.update_rounding == "stochastic" else 0

    def write_noise(self, state: int) -> None:
        self.reach()
        self._learner.noise[0] = state or 1

    def read_frozen(self) -> bool:
        self.reach()
        return self.frozen

    @property
    def frozen(self) -> bool:
        return bool(self._learner.frozen[0])

    def write_frozen(self, frozen: bool) -> None:
        self.reach()
        self._learner.frozen[0] = frozen

    def read_saturations(self) -> dict[str, int]:
        self.reach()
        counts = dict(zip((*SATURATIONS, *ON_DEMAND), self._learner.saturations.tolist(), strict=True))
        return {kind: counts[kind] for kind in (*SATURATIONS, *self.spec.counts)}

    def clear_saturations(self) -> None:
        self.reach()
        self._learner.saturations[:] = 0
        self.note_cleared()

    def close(self) -> None:
        self._learner.close()


def _refuse_network(
    _network: LookupNetwork, _options: Options, _trace: Trace | None, _progress: Progress | None
) -> NetworkBackend:
    raise InputError('backend = "compiled": runs learners only; use "model", "pysim" or "native" for a network')


BACKEND = BackendKind(CompiledModel, _refuse_network)
