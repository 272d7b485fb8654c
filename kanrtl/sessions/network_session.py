"""The session of a lookup network: the same calls on any backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..lookup.network import LookupNetwork
from ..lookup.quantiser import FixedQuantiser
from ..numeric.fixed import Codes
from .backend import NetworkBackend
from .closing import Closing, SampleCount
from .exclusive import exclusive

_ROWS = frozenset({list, tuple, np.ndarray})
"""What a single sample is given as; other kinds, and numbers alone, are looked at more closely."""


@exclusive(besides=("predict",))
class LookupSession(Closing):
    """A running lookup network; made by :func:`kanrtl.connect`. A context manager. Calls from several threads are taken
    one after another."""

    _constants = ("network",)

    def __init__(self, network: LookupNetwork, backend: NetworkBackend) -> None:
        super().__init__()
        self.network = network
        self._backend: NetworkBackend = backend
        self._samples = SampleCount()
        self._step = backend.sample_step()
        self._last = network.layers[-1] if network.output == "raw" else None
        self._is_row = network.n_predictions > 1

    def close(self) -> None:
        """End the network."""
        self._step = None
        super().close()

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Predictions for real samples, with the shapes and errors of :meth:`LookupNetwork.predict`."""
        with self._lock:
            step = self._step
            if step is not None and type(x) in _ROWS and step.x.fill(x) and step() >= 0:
                self._samples.number += 1
                if self._last is not None:
                    return self._last.real_values(step.predictions)
                return step.predictions.copy() if self._is_row else step.predictions[0]
            return self._predict_rows(x)

    def _predict_rows(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        self._check_open()
        rows, single = self.network.real_rows(x)
        quantiser = self.network.quantiser
        samples = quantiser.raw_codes(rows) if isinstance(quantiser, FixedQuantiser) else quantiser.codes(rows)
        result = self.network.values_of(self._run(samples))
        return result[0] if single else result

    def predict_codes(self, codes: npt.ArrayLike) -> Codes:
        """Output codes for input codes, with the shapes and errors of :meth:`LookupNetwork.predict_codes`.

        Raises :exc:`InputError` also where the component quantises, and so takes no codes.
        """
        quantiser = self.network.quantiser
        if isinstance(quantiser, FixedQuantiser):
            raise InputError(f"predict_codes: this network takes inputs in {quantiser.format}; call predict")
        return self._run(self.network.check_codes(codes))

    def _run(self, samples: Codes) -> Codes:
        self._samples.number += len(samples)
        return self._backend.run(samples)

    @property
    def status(self) -> dict[str, Any]:
        """``samples`` so far, clock ``cycles`` (None without a clock), and the ``latency`` and ``interval`` that were
        ``observed`` at the ports."""
        return {
            "backend": self._backend.name,
            "samples": self._samples.number,
            "cycles": self._backend.cycles,
            "observed": self._backend.observed,
        }
