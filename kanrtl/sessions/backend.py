"""What a session asks of a backend; everything in integer codes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, RowBuffer
from ..learner.address_map import (
    CONTROL_FREEZE,
    CONTROL_RESTORE,
    GUARD_ADOPT,
    GUARD_FAULT,
    GUARD_RELEASE,
    SATURATIONS,
    AddressMap,
)
from ..learner.guard_report import GuardReport
from ..learner.guard_settings import LIMITS, SIGNATURES
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..numeric.fixed import Codes
from ..numeric.lfsr import initial_state
from ..progress import Progress
from ..simulators.native_step import RealPlaces
from ..simulators.trace import Trace

__all__ = [
    "FEEDBACK",
    "LEARN",
    "PREDICT",
    "AddressedLearner",
    "BackendKind",
    "LearnerBackend",
    "NetworkBackend",
    "NetworkStep",
    "Options",
    "Running",
    "SampleStep",
    "places_of",
]

PREDICT, LEARN, FEEDBACK = range(3)
"""Kinds of a :class:`SampleStep`, as :file:`native.cpp` knows them too."""


class Running(ABC):  # what can be asked of it is told by those below
    """Something that runs on a backend, whose ``name`` it has."""

    name: str

    @property
    def cycles(self) -> int | None:
        """The clock cycles since the start; None where nothing has a clock."""
        return None

    @property
    def observed(self) -> dict[str, list[int]]:
        """Every latency and interval seen so far at the ports, by kind, in clock cycles, sorted; empty without a
        clock."""
        return {}

    def close(self) -> None:  # noqa: B027  # most have nothing to end
        """End it. Nothing may be called afterwards."""

    def discard_trace(self) -> None:  # noqa: B027  # most have none
        """Leave the files of its trace as they were before it."""


class SampleStep(Protocol):
    """Sends a learner one sample in real numbers, which lie in buffers: for backends that are quicker than numpy is
    with arrays of a few numbers. It does the same as :meth:`LearnerBackend.run`.

    Attributes
    ----------
    x, teaching
        The inputs ``(n_in,)``, and targets or gradients ``(n_out,)``.
    predictions
        The predictions of the last call, ``(n_out,)``.
    codes
        The codes of the inputs, ``(1, n_in)``.
    """

    x: RowBuffer
    teaching: RowBuffer
    predictions: Reals
    codes: Codes

    def __call__(self, kind: int) -> int:
        """Predicts (:data:`PREDICT`), also learns (:data:`LEARN`), or learns with ``codes`` as they lie there, not from
        ``x`` (:data:`FEEDBACK`).

        Returns how many inputs were outside their format, plus 2**32 for every target or gradient that was; -1, with
        nothing done, where an input is NaN, or a target or gradient not finite or out of the range of its loss.
        """
        ...


def places_of(spec: LearnerSpec) -> RealPlaces:
    """Where a learner in machine code exchanges one sample at a time, with its formats and the range of its targets."""
    formats = spec.formats.input, spec.formats.output, spec.target_format
    return RealPlaces(spec.n_in, spec.n_out, *formats, find_loss(spec.loss).target_range, spec.input_period)


class LearnerBackend(Running):
    """One learner that runs on a backend; all values are integer codes."""

    compiled = False
    """Whether it runs in machine code, so that there is a C++ compiler."""

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec = spec

    def sample_step(self) -> SampleStep | None:
        """What sends one sample at a time, where the backend has anything quicker for that than :meth:`run`."""
        return None

    @abstractmethod
    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        """Send samples one after another, as fast as the learner takes them.

        ``x`` has shape ``(n, n_in)``; ``teaching``, targets or gradients, ``(n, n_out)`` and ``learn`` ``(n,)``:
        whether a sample is taught. Returns the predictions, ``(n, n_out)``.
        """

    def run_with_rates(self, x: Codes, teaching: Codes, rates: Codes) -> Codes:
        """Teach samples one after another, each with learning rates of its own; arrays as for :meth:`run`.

        ``rates`` has shape ``(n, registers)``: the content of the rate registers for each sample. Where it is all
        zero the sample is predicted and not taught. Before the registers change, all updates land; at the end
        they are as before.
        """
        before = self.read_learning_rates()
        predictions = np.empty((len(x), self.spec.n_out), dtype=np.int64)
        changes = np.flatnonzero((rates[1:] != rates[:-1]).any(axis=1)) + 1
        try:
            for start, stop in pairwise([0, *changes.tolist(), len(x)]):
                part = slice(start, stop)
                if start < stop:
                    self.write_learning_rates(rates[start].tolist())
                    taught = np.full(stop - start, rates[start].any())
                    predictions[part] = self.run(x[part], teaching[part], taught)
        except BaseException:
            with suppress(Exception):  # what ended the run is told, and not what follows from it
                self.write_learning_rates(before)
            raise
        self.write_learning_rates(before)
        return predictions

    @abstractmethod
    def read_coefficients(self) -> list[Codes]:
        """The coefficients, one array ``(n_out, n_in, coefficients)`` per layer: those of the bases, and w behind them
        where the layer has linear paths."""

    @abstractmethod
    def write_coefficients(self, coefficients: list[Codes]) -> None:
        """Set the coefficients, which are shaped as :meth:`read_coefficients` gives them. To a guard they are the good
        ones from now on."""

    @abstractmethod
    def read_learning_rates(self) -> list[int]:
        """The registers of rates, in the order of :attr:`kanrtl.LearnerSpec.rate_registers`."""

    @abstractmethod
    def write_learning_rates(self, rates: list[int]) -> None:
        """Set the registers of rates, all of them."""

    @abstractmethod
    def read_noise(self) -> int:
        """The state of the noise register; 0 where the learner has none."""

    @abstractmethod
    def write_noise(self, state: int) -> None:
        """Set the state of the noise register."""

    @abstractmethod
    def read_frozen(self) -> bool:
        """Whether samples are predicted but not learned."""

    @abstractmethod
    def write_frozen(self, frozen: bool) -> None:
        """Set whether samples are predicted but not learned."""

    @property
    @abstractmethod
    def learns(self) -> bool:
        """Whether samples are learned: neither frozen nor in a fault that the guard has seen, as far as is known here.
        Nothing is sent, and nothing waits, for that."""

    def stays_for(self, count: int) -> int:
        """For how many of the next ``count`` samples, one at the least, :attr:`learns` stays as it is."""
        return count

    def start_codes(self) -> list[Codes]:
        """The coefficients at the start, shaped as :meth:`read_coefficients` gives them."""
        return self.spec.initial_codes()

    def restore(self) -> None:
        """Bring coefficients, rates, the noise register and counters to what they were at the start."""
        spec = self.spec
        self.write_coefficients(self.start_codes())
        self.write_learning_rates([code for _, code in spec.rate_registers])
        if spec.update_rounding == "stochastic":
            self.write_noise(initial_state(spec.seed))
        self.clear_saturations()
        self.restart_guard()

    def restart_guard(self) -> None:
        """Bring the guard, if there is one, to where it was at the start; the coefficients as they are are the good
        ones."""
        if self.spec.guard is not None:
            self.release_guard()
            self.adopt()
            self.clear_guard()
            gradient = self.spec.formats.layers[-1].gradient
            self.write_limits(self.spec.guard.codes(self.spec.n_out, gradient, self.spec.counts))

    def read_guard(self) -> GuardReport:
        """What the guard says; as all that follows only where the spec has one."""
        raise NotImplementedError

    def write_limits(self, limits: Mapping[str, int]) -> None:
        """Set some of the guard's limits."""
        raise NotImplementedError

    def release_guard(self) -> None:
        """End a fault."""
        raise NotImplementedError

    def adopt(self) -> None:
        """Make the coefficients as they are the good ones, and begin a window."""
        raise NotImplementedError

    def clear_guard(self) -> None:
        """Set the counters of the guard to zero."""
        raise NotImplementedError

    @abstractmethod
    def read_saturations(self) -> dict[str, int]:
        """How many values have saturated, by kind (:data:`kanrtl.learner.address_map.SATURATIONS`), and what the spec
        counts besides, in its order."""

    @abstractmethod
    def clear_saturations(self) -> None:
        """Set all these counts to zero."""


class AddressedLearner(LearnerBackend):
    """A learner whose insides are reached through its access port (:mod:`kanrtl.learner.address_map`)."""

    def __init__(self, spec: LearnerSpec) -> None:
        super().__init__(spec)
        self.addresses = AddressMap.of(spec)
        # The high half of the noise register, while this may lie in its low half: between the accesses that read it.
        self._noise_high: int | None = None
        # What was written or answered last.
        self._frozen = self._fault = False

    @abstractmethod
    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        """Do reads (``(address, None)``) and writes (``(address, value)``) in order; give the answer to each."""

    def _coefficient_addresses(self) -> list[int]:
        return [
            self.addresses.coefficient(number, node, source, index)
            for number, layer in enumerate(self.spec.layers)
            for node in range(layer.n_out)
            for source in range(layer.n_in)
            for index in range(layer.coefficients)
        ]

    def read_coefficients(self) -> list[Codes]:
        values = self.access([(address, None) for address in self._coefficient_addresses()])
        arrays, start = [], 0
        for layer in self.spec.layers:
            shape = (layer.n_out, layer.n_in, layer.coefficients)
            stop = start + layer.n_out * layer.n_in * layer.coefficients
            arrays.append(np.array(values[start:stop], dtype=np.int64).reshape(shape))
            start = stop
        return arrays

    def write_coefficients(self, coefficients: list[Codes]) -> None:
        values = [int(value) for layer in coefficients for value in layer.ravel()]
        self.access(list(zip(self._coefficient_addresses(), values, strict=True)))
        if self.spec.guard is not None:
            self.adopt()

    def _rate_addresses(self) -> list[int]:
        return [
            *(self.addresses.learning_rate(layer) for layer in range(self.spec.n_layers)),
            *(self.addresses.linear_rate(layer) for layer in self.spec.linear_layers),
        ]

    def read_learning_rates(self) -> list[int]:
        return self.access([(address, None) for address in self._rate_addresses()])

    def write_learning_rates(self, rates: list[int]) -> None:
        self.access(list(zip(self._rate_addresses(), rates, strict=True)))

    def read_noise(self) -> int:
        if self.spec.update_rounding != "stochastic":
            return 0
        self.settle_noise()
        address = self.addresses.noise
        (high,) = self.access([(address, None)])
        self._noise_high = high
        try:
            # The halves change places: neither is lost, whatever is obeyed of this.
            _, low = self.access([(address, high), (address, None)])
            self.access([(address, low)])
        except BaseException:
            with suppress(Exception):  # what ended it is told, and not what follows from it
                self.settle_noise()
            raise
        self._noise_high = None
        return high << 16 | low

    def settle_noise(self) -> None:
        """Bring the noise register to what it was, if reading it ended early; before anything is learned."""
        if self._noise_high is None:
            return
        address = self.addresses.noise
        (found,) = self.access([(address, None)])
        # Where it is the same, nothing was obeyed, or the halves are equal.
        if found != self._noise_high:
            self.access([(address, found)])
        self._noise_high = None

    def write_noise(self, state: int) -> None:
        self._noise_high = None
        state = state or 1
        self.access([(self.addresses.noise, state >> 16), (self.addresses.noise, state & 0xFFFF)])

    def read_frozen(self) -> bool:
        self._frozen = bool(self.access([(self.addresses.control, None)])[0] & CONTROL_FREEZE)
        return self._frozen

    def write_frozen(self, frozen: bool) -> None:
        self.access([(self.addresses.control, CONTROL_FREEZE if frozen else 0)])
        self._frozen = frozen

    @property
    def learns(self) -> bool:
        return not (self._frozen or self._fault)

    def restore(self) -> None:
        if not self.spec.restarts:
            super().restore()
            return
        frozen = CONTROL_FREEZE if self.read_frozen() else 0
        # The second is answered when it is done.
        self.access([(self.addresses.control, frozen | CONTROL_RESTORE), (self.addresses.control, None)])
        self._noise_high = None
        self.restart_guard()

    def read_guard(self) -> GuardReport:
        places = self.addresses
        addresses = [places.guard_status, places.guard_error_sum]
        addresses += [places.guard_limit(name) for name in LIMITS] + [places.guard_count(name) for name in SIGNATURES]
        status, error_sum, *others = self.access([(address, None) for address in addresses])
        self._fault = bool(status & GUARD_FAULT)
        return GuardReport(
            self._fault,
            tuple(name for index, name in enumerate(SIGNATURES) if status >> index & 1),
            dict(zip(SIGNATURES, others[len(LIMITS) :], strict=True)),
            error_sum,
            dict(zip(LIMITS, others, strict=False)),
        )

    def write_limits(self, limits: Mapping[str, int]) -> None:
        self.access([(self.addresses.guard_limit(name), code) for name, code in limits.items()])

    def release_guard(self) -> None:
        self.access([(self.addresses.guard_status, GUARD_RELEASE)])
        self._fault = False

    def adopt(self) -> None:
        self.access([(self.addresses.guard_status, GUARD_ADOPT)])

    def clear_guard(self) -> None:
        self.access([(self.addresses.guard_count(name), 0) for name in SIGNATURES])

    def read_saturations(self) -> dict[str, int]:
        kinds = (*SATURATIONS, *self.spec.counts)
        counts = self.access([(self.addresses.saturations(kind), None) for kind in kinds])
        return dict(zip(kinds, counts, strict=True))

    def clear_saturations(self) -> None:
        self.access([(self.addresses.saturations(kind), 0) for kind in (*SATURATIONS, *self.spec.counts)])


Options = Mapping[str, Any]
"""Parameters of :class:`~kanrtl.lookup.rtl.lookup_core.LookupCore` beside the network."""


class NetworkStep(Protocol):
    """Sends a network one sample in real numbers, which lie in a buffer: for single samples it is quicker than
    :meth:`NetworkBackend.run`, and does the same.

    Attributes
    ----------
    x
        The inputs ``(n_in,)``.
    predictions
        The prediction of the last call as the ports carry it, ``(n_predictions,)``.
    """

    x: RowBuffer
    predictions: Codes

    def __call__(self) -> int:
        """Predicts. Returns less than zero, with nothing done, where one of the inputs becomes no number."""
        ...


class NetworkBackend(Running):
    """One lookup network that runs on a backend."""

    def sample_step(self) -> NetworkStep | None:
        """What sends one sample at a time, where the backend has anything quicker for that than :meth:`run`."""
        return None

    @abstractmethod
    def run(self, samples: Codes) -> Codes:
        """Predictions ``(n, n_predictions)`` for samples ``(n, n_in)``, both as the ports carry them."""


@dataclass(frozen=True)
class BackendKind:
    """What starts a learner on a backend, and what a network.

    Both are also given where to trace to, or None, and whom to tell what takes a while.
    """

    learner: Callable[[LearnerSpec, Trace | None, Progress | None], LearnerBackend]
    network: Callable[[LookupNetwork, Options, Trace | None, Progress | None], NetworkBackend]
