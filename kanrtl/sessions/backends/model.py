"""The integer model as a backend: no clock, no hardware."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...errors import TraceError
from ...learner.spec import LearnerSpec
from ...lookup.network import LookupNetwork
from ...lookup.quantiser import FixedQuantiser
from ...lookup.rtl.folding import drop_defaults, schedule_core
from ...lookup.rtl.network_plan import plan_layers
from ...lookup.single_sample import MOST_EDGES, SingleSample
from ...numeric.fixed import Codes
from ...progress import Progress
from ...simulators.trace import Trace
from ..backend import BackendKind, NetworkBackend, NetworkStep, Options
from ..guarded_backend import GuardedBackend
from ..standalone_model import Model


def _refuse_trace(trace: Trace | None) -> None:
    if trace is not None:
        raise TraceError('trace: backend "model" has no signals; use "pysim" or "native"')


class ModelLearner(GuardedBackend):
    """A learner in numpy: :class:`kanrtl.sessions.standalone_model.Model`."""

    name = "model"

    def __init__(self, spec: LearnerSpec, trace: Trace | None = None, _progress: Progress | None = None) -> None:
        _refuse_trace(trace)
        super().__init__(spec)
        self._model = Model(spec.replace(guard=None) if spec.guard else spec)
        if spec.guard:
            self.watch(self._model.watch())

    def run_alone(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        predictions = self._model.run(x, teaching, learn, range(len(x)) if self.spec.timing.streaming else None)
        self._model.settle()
        return predictions

    def stored_coefficients(self) -> list[Codes]:
        return self._model.coefficients

    def read_coefficients(self) -> list[Codes]:
        self.reach()
        return [layer.copy() for layer in self._model.coefficients]

    def write_coefficients(self, coefficients: list[Codes]) -> None:
        self.reach()
        self._model.coefficients = coefficients
        self.adopt()

    def read_learning_rates(self) -> list[int]:
        self.reach()
        rates = [*self._model.learning_rates, *self._model.linear_rates[list(self.spec.linear_layers)]]
        return [int(rate) for rate in rates]

    def write_learning_rates(self, rates: list[int]) -> None:
        self.reach()
        self._model.learning_rates = rates[: self.spec.n_layers]
        self._model.linear_rates[list(self.spec.linear_layers)] = rates[self.spec.n_layers :]

    def read_noise(self) -> int:
        self.reach()
        return self._model.noise_state if self.spec.update_rounding == "stochastic" else 0

    def write_noise(self, state: int) -> None:
        self.reach()
        self._model.noise_state = state or 1

    def read_frozen(self) -> bool:
        self.reach()
        return self.frozen

    @property
    def frozen(self) -> bool:
        return self._model.frozen

    def write_frozen(self, frozen: bool) -> None:
        self.reach()
        self._model.frozen = frozen

    def read_saturations(self) -> dict[str, int]:
        self.reach()
        return dict(self._model.saturations)

    def clear_saturations(self) -> None:
        self.reach()
        self._model.saturations.update(dict.fromkeys(self._model.saturations, 0))
        self.note_cleared()


class ModelNetwork(NetworkBackend):
    """A lookup network in numpy."""

    name = "model"

    def __init__(
        self, network: LookupNetwork, options: Options, trace: Trace | None, _progress: Progress | None = None
    ) -> None:
        _refuse_trace(trace)
        # Planning a large network takes seconds: only where there is something that it may not allow.
        if chosen := drop_defaults(network, options):
            schedule_core(network, plan_layers(network), **chosen)
        self._network = network

    def run(self, samples: Codes) -> Codes:
        quantiser = self._network.quantiser
        codes = quantiser.codes_of_raw(samples) if isinstance(quantiser, FixedQuantiser) else samples
        return self._network.predict_codes(codes)

    def sample_step(self) -> NetworkStep | None:
        return SingleSample(self._network) if self._network.edges <= MOST_EDGES else None


BACKEND = BackendKind(ModelLearner, ModelNetwork)
