"""The numeric contract in machine code: what :file:`compiled_learner.cpp` has to know of a learner."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..learner.address_map import COUNTER_WIDTH, ON_DEMAND, SATURATIONS
from ..learner.losses import find_loss
from ..learner.model_layers import IntegerLayer
from ..learner.spec import LearnerSpec
from ..numeric import lfsr
from ..numeric.fixed import CodeNarrowing, Codes
from ..simulators.native_step import NativeStep
from ..simulators.shared_library import load_library
from .backend import places_of

SAMPLES = 1 << 14
"""The most samples that go through in one call, so that a run can be interrupted."""

_SOURCES = (
    Path(__file__).parents[1] / "simulators" / "reals.cpp",
    Path(__file__).with_name("compiled_learner.cpp"),
)

_INTEGER, _POINTER = ctypes.c_int64, ctypes.c_void_p


def _integers(*names: str) -> list[tuple[str, Any]]:
    return [(name, _INTEGER) for name in names]


def _pointers(*names: str) -> list[tuple[str, Any]]:
    return [(name, _POINTER) for name in names]


class _Narrowing(ctypes.Structure):
    _fields_ = _integers("left", "right", "term", "even", "minimum", "maximum")

    @classmethod
    def of(cls, narrowing: CodeNarrowing | None) -> _Narrowing:
        return cls(*(int(getattr(narrowing, name)[0]) for name, _ in cls._fields_))


_NARROWED = ("activation", "slope", "gradient", "step", "coefficient", "curve", "turned")


class _Linear(ctypes.Structure):
    _fields_ = [
        *_integers("present", "first_lane", "spline_up", "product_up", "slope_up", "weight_up", "change_up"),
        *_integers("leak", "noise_bits", "noise_up"),
        *((name, _Narrowing) for name in ("step", "weight")),
        *_pointers("rate"),
    ]


class _Layer(ctypes.Structure):
    _fields_ = [
        *_integers("n_in", "n_out", "window", "bases", "banks", "first_lane", "modulation"),
        *_integers("scale", "offset", "shift", "end", "row_bits", "periodic"),
        *_integers("coefficient_up", "product_up", "leak", "guard_bits", "noise_bits", "noise_up", "delay", "holds"),
        *((name, _Narrowing) for name in _NARROWED),
        *_pointers("coefficients", "rate", "basis", "derivative"),
        ("linear", _Linear),
    ]


class _Loss(ctypes.Structure):
    _fields_ = [
        *_integers("reads_outputs", "uses_value", "row_bits", "row_shift", "value_up", "target_up"),
        *_pointers("table"),
    ]


class _State(ctypes.Structure):
    _fields_ = [
        *_integers("layers", "stochastic", "counter_limit", "counts_outside", "counts_lost"),
        *_pointers("layer"),
        ("loss", _Loss),
        *_pointers("noise", "frozen", "saturations", "errors"),
    ]


class CompiledLearner:
    """A learner in machine code; what it has learned lies in arrays that may be read and written between calls.

    Raises :exc:`InputError` where it has a loss that machine code does not know, and :exc:`ToolError` where there is no
    C++ compiler, or it fails.

    Attributes
    ----------
    coefficients
        One array ``(n_out, n_in, coefficients)`` per layer.
    learning_rates, noise, frozen, saturations
        The registers: those of :attr:`kanrtl.LearnerSpec.rate_registers`, then shapes ``(1,)``, ``(1,)``, and ``(7,)``
        in the order of :data:`kanrtl.learner.address_map.SATURATIONS` and then of
        :data:`~kanrtl.learner.address_map.ON_DEMAND`.
    step
        Sends one sample at a time.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._n_out = spec.n_out
        self._kept: list[Any] = []  # what machine code has the address of
        self.coefficients = [np.array(codes, dtype=np.int64, order="C") for codes in spec.initial_codes()]
        self.learning_rates = np.array([register.code for register in spec.rate_registers], dtype=np.int64)
        self.noise = np.array([lfsr.initial_state(spec.seed)], dtype=np.int64)
        self.frozen = np.zeros(1, dtype=np.int64)
        self.saturations = np.zeros(len(SATURATIONS) + len(ON_DEMAND), dtype=np.int64)
        self._errors = np.zeros(1, dtype=np.int64)
        loss = _loss(spec)
        layers = self._layers(spec)
        self._kept += [loss, layers]
        table = loss.table
        state = _State(
            len(layers),
            spec.update_rounding == "stochastic",
            (1 << COUNTER_WIDTH) - 1,
            "outside" in spec.counts,
            "lost" in spec.counts and spec.update_rounding != "stochastic",
            ctypes.addressof(layers),
            _Loss(
                find_loss(spec.loss).reads_outputs,
                loss.uses_value,
                loss.row_bits,
                loss.row_shift,
                loss.value_up,
                loss.target_up,
                None if table is None else self._keep(table),
            ),
            *(array.ctypes.data for array in (self.noise, self.frozen, self.saturations, self._errors)),
        )
        self._library = load_compiled()
        self._learner = ctypes.c_void_p(self._library.kanrtl_begin(ctypes.byref(state)))
        self._end = weakref.finalize(self, self._library.kanrtl_end, self._learner)
        self.step = NativeStep(self._library, self._learner, self._end, None, places_of(spec))

    def _keep(self, array: Codes) -> int:
        """The address of an array's content, which stays where it is."""
        kept = np.ascontiguousarray(array, dtype=np.int64)
        self._kept.append(kept)
        return int(kept.ctypes.data)

    def _layers(self, spec: LearnerSpec) -> Any:
        draws = spec.update_rounding == "stochastic"
        delays = spec.delays if spec.timing.streaming else (1,) * spec.n_layers
        layers, first_lane = [], 0
        for index, layer in enumerate(spec.layers):
            narrowings = IntegerLayer([spec], index, first_lane=first_lane, draws=draws)
            locator, formats = layer.locator, layer.formats
            layers.append(
                _Layer(
                    *(layer.n_in, layer.n_out, layer.window, layer.bases, layer.banks, first_lane, layer.modulation),
                    *(locator.scale, locator.offset, locator.shift, locator.end, locator.row_bits, locator.periodic),
                    layer.update_sum.f - formats.coefficient.f,
                    layer.update_sum.f - layer.update_product.f,
                    int(narrowings.leak[0]),
                    formats.guard_bits,
                    layer.noise_bits if draws else 0,
                    layer.dropped_bits - layer.noise_bits,
                    delays[index],
                    layer.holds,
                    *(_Narrowing.of(getattr(narrowings, name)) for name in _NARROWED),
                    self.coefficients[index].ctypes.data,
                    self.learning_rates[index:].ctypes.data,
                    self._keep(layer.basis_table),
                    self._keep(layer.derivative_table),
                    self._linear(spec, index, narrowings, first_lane, draws=draws),
                )
            )
            first_lane += layer.lanes
        return (_Layer * len(layers))(*layers)

    def _linear(
        self, spec: LearnerSpec, index: int, narrowings: IntegerLayer, first_lane: int, *, draws: bool
    ) -> _Linear:
        """The linear paths of a layer; all zeros where it has none."""
        layer = spec.layers[index]
        linear, formats = layer.linear, layer.formats
        if linear is None:
            return _Linear()
        register = spec.n_layers + spec.linear_layers.index(index)
        return _Linear(
            1,
            first_lane + layer.n_out * layer.n_in * layer.banks,
            layer.node_sum.f - formats.factor.f - formats.basis.f,
            layer.node_sum.f - linear.product.f,
            layer.slope_shift,
            linear.update_sum.f - linear.coefficient.f,
            linear.update_sum.f - linear.update_product.f,
            int(narrowings.weight_leak[0]),
            linear.noise_bits if draws else 0,
            linear.dropped_bits - linear.noise_bits,
            _Narrowing.of(narrowings.linear_step),
            _Narrowing.of(narrowings.linear_coefficient),
            self.learning_rates[register:].ctypes.data,
        )

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_], rates: Codes | None = None) -> Codes:
        """See :meth:`kanrtl.sessions.backend.LearnerBackend.run`; raise :exc:`RuntimeError` once it is closed.

        ``rates``, shape ``(n, registers)``, is what the rate registers become for each sample, and keep at the end;
        before they change, all updates land.
        """
        if not self._end.alive:
            raise RuntimeError("this learner is closed")
        x, teaching = (np.ascontiguousarray(array, dtype=np.int64) for array in (x, teaching))
        taught = np.ascontiguousarray(learn, dtype=np.uint8)
        rates = None if rates is None else np.ascontiguousarray(rates, dtype=np.int64)
        predictions = np.empty((len(x), self._n_out), dtype=np.int64)
        try:
            for start in range(0, len(x), SAMPLES):
                part = slice(start, start + SAMPLES)
                arrays = (array[part].ctypes.data for array in (x, teaching, taught, predictions))
                own = None if rates is None else rates[part].ctypes.data
                self._library.kanrtl_run(self._learner, len(x[part]), *arrays, own)
        finally:
            self._library.kanrtl_settle(self._learner)
        return predictions

    # As a guard watches it: every run ends with all updates landed.

    def run_watched(
        self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_], edges: Sequence[int] | None, *, frozen: bool
    ) -> Codes:
        """See :class:`kanrtl.learner.guard_rules.WatchedLearner`, as for all that follows."""
        before = int(self.frozen[0])
        self.frozen[0] = before or frozen
        try:
            return self.run(x, teaching, learn)
        finally:
            self.frozen[0] = before

    def settle(self) -> None:
        """Do nothing: all has landed."""

    def watched_coefficients(self) -> list[Codes]:
        """The coefficients themselves."""
        return self.coefficients

    def read_counter(self, kind: str) -> int:
        """A counter of the learner."""
        return int(self.saturations[(*SATURATIONS, *ON_DEMAND).index(kind)])

    def clear_counter(self, kind: str) -> None:
        """Set that to zero."""
        self.saturations[(*SATURATIONS, *ON_DEMAND).index(kind)] = 0

    def take_errors(self) -> int:
        """The sum of errors since the last call."""
        found = int(self._errors[0])
        self._errors[0] = 0
        return found

    def close(self) -> None:
        """Free its memory; nothing can be run afterwards."""
        self._end()


def _loss(spec: LearnerSpec) -> Any:
    gradient = find_loss(spec.loss).compiled(spec.layers[-1])
    if gradient is None:
        raise InputError(f'backend = "compiled": does not know loss = "{spec.loss}"; use "model" or "native"')
    return gradient


@cache
def load_compiled() -> ctypes.CDLL:
    """Load the library that all compiled learners share; raise :exc:`ToolError` as
    :func:`kanrtl.simulators.shared_library.load_library`."""
    library = load_library(*_SOURCES)
    types: dict[str, tuple[Any, list[Any]]] = {
        "begin": (_POINTER, [_POINTER]),
        "end": (None, [_POINTER]),
        "bind": (None, [_POINTER, _POINTER]),
        "run": (None, [_POINTER, ctypes.c_size_t, *[_POINTER] * 5]),
        "settle": (None, [_POINTER]),
        "step": (_INTEGER, [_POINTER, ctypes.c_int]),
    }
    for name, (result, arguments) in types.items():
        function = getattr(library, f"kanrtl_{name}")
        function.restype, function.argtypes = result, arguments
    return library
