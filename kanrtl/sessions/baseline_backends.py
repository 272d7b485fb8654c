"""Baselines on every backend that a learner runs on without a wire; everything in integer codes."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..baselines.baseline_addresses import BaselineAddresses
from ..baselines.baseline_spec import SATURATING, BaselineSpec
from ..baselines.kinds import create_learner, create_model
from ..learner.address_map import CONTROL_FREEZE
from ..numeric.bits import pack, unpack
from ..numeric.fixed import Codes
from ..simulators.amaranth_simulator import AmaranthSimulator, Teaching
from ..simulators.native_simulator import NativeSimulator
from ..simulators.trace import Port, ports_of
from .backend import Running
from .simulated import Simulated, learner_macros


class BaselineBackend(Running):
    """One baseline that runs on a backend."""

    def __init__(self, spec: BaselineSpec) -> None:
        self.spec = spec

    @abstractmethod
    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        """Send samples; arrays as for :meth:`kanrtl.baselines.baseline_model.BaselineModel.run`."""

    @abstractmethod
    def read_weights(self) -> list[Codes]:
        """The weights, one array ``(n_out, n_in + 1)`` for each layer."""

    @abstractmethod
    def write_weights(self, weights: list[Codes]) -> None:
        """Set the weights."""

    @abstractmethod
    def read_rate(self) -> int:
        """The learning rate register."""

    @abstractmethod
    def write_rate(self, code: int) -> None:
        """Set the learning rate register."""

    @abstractmethod
    def read_frozen(self) -> bool:
        """Whether samples are predicted but not learned."""

    @abstractmethod
    def write_frozen(self, frozen: bool) -> None:
        """Set whether samples are predicted but not learned."""

    @abstractmethod
    def read_saturations(self) -> dict[str, int]:
        """How many values have saturated, by kind."""

    @abstractmethod
    def clear_saturations(self) -> None:
        """Set these counters to zero."""


class ModelBaseline(BaselineBackend):
    """The integer model of a baseline."""

    name = "model"

    def __init__(self, spec: BaselineSpec) -> None:
        super().__init__(spec)
        self._model = create_model(spec)

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        return self._model.run(x, teaching, learn)

    def read_weights(self) -> list[Codes]:
        return self._model.weights

    def write_weights(self, weights: list[Codes]) -> None:
        self._model.weights = weights

    def read_rate(self) -> int:
        return self._model.learning_rate

    def write_rate(self, code: int) -> None:
        self._model.learning_rate = code

    def read_frozen(self) -> bool:
        return self._model.frozen

    def write_frozen(self, frozen: bool) -> None:
        self._model.frozen = frozen

    def read_saturations(self) -> dict[str, int]:
        return dict(self._model.saturations)

    def clear_saturations(self) -> None:
        self._model.saturations = dict.fromkeys(SATURATING, 0)


class _AddressedBaseline(BaselineBackend):
    """A baseline in hardware, whose insides are reached through its port ``access``."""

    def __init__(self, spec: BaselineSpec) -> None:
        super().__init__(spec)
        self.addresses = BaselineAddresses.of(spec)

    @abstractmethod
    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        """Do reads (``(address, None)``) and writes (``(address, value)``) in order; give the answer to each."""

    def read_weights(self) -> list[Codes]:
        codes = np.array(self.access([(address, None) for address in self.spec.weight_numbers]), dtype=np.int64)
        ends = np.cumsum([layer.weights for layer in self.spec.sums])
        parts = np.split(codes, ends[:-1])
        return [part.reshape(layer.n_out, -1) for part, layer in zip(parts, self.spec.sums, strict=True)]

    def write_weights(self, weights: list[Codes]) -> None:
        codes = np.concatenate([layer.ravel() for layer in weights]).tolist()
        self.access(list(zip(self.spec.weight_numbers, codes, strict=True)))

    def _read(self, number: int) -> int:
        return self.access([(self.addresses.register(number), None)])[0]

    def _write(self, number: int, value: int) -> None:
        self.access([(self.addresses.register(number), value)])

    def read_rate(self) -> int:
        return self._read(self.addresses.rate_number)

    def write_rate(self, code: int) -> None:
        self._write(self.addresses.rate_number, code)

    def read_frozen(self) -> bool:
        return bool(self._read(self.addresses.control_number) & CONTROL_FREEZE)

    def write_frozen(self, frozen: bool) -> None:
        self._write(self.addresses.control_number, CONTROL_FREEZE if frozen else 0)

    def read_saturations(self) -> dict[str, int]:
        return {kind: self._read(self.addresses.counter_number(kind)) for kind in SATURATING}

    def clear_saturations(self) -> None:
        for kind in SATURATING:
            self._write(self.addresses.counter_number(kind), 0)


def _ports(fragment: Any) -> list[Port]:
    return list(ports_of(fragment.origins[0], "baseline", "{}"))


class PysimBaseline(Simulated, _AddressedBaseline):
    """A baseline in Amaranth's simulator."""

    name = "pysim"

    def __init__(self, spec: BaselineSpec) -> None:
        super().__init__(spec)
        self._dut = create_learner(spec)
        self._simulator = self._pysim = AmaranthSimulator(self._dut, None, _ports)

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        spec = self.spec
        x_bits, target_bits = spec.n_in * spec.input_format.width, spec.n_out * spec.target_format.width
        samples = [
            pack(row, spec.input_format)
            | pack(word, spec.target_format) << x_bits
            | int(taught) << x_bits + target_bits
            for row, word, taught in zip(x, teaching, learn, strict=True)
        ]
        outputs = self._pysim.run(samples, Teaching([], 0))
        codes = [unpack(bits, spec.output_format, spec.n_out) for bits in outputs]
        return np.array(codes, dtype=np.int64).reshape(len(x), spec.n_out)

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        return self._pysim.access(self._dut.access, requests)


class NativeBaseline(Simulated, _AddressedBaseline):
    """A baseline whose hardware is compiled to machine code."""

    name = "native"

    def __init__(self, spec: BaselineSpec) -> None:
        super().__init__(spec)
        key = ["baseline", spec.to_dict()]
        self._simulator = self._native = NativeSimulator(
            key, lambda: create_learner(spec), lambda _: self._macros(), _ports
        )

    def _macros(self) -> dict[str, int]:
        spec = self.spec
        formats = spec.input_format, spec.output_format, spec.target_format
        return learner_macros(spec.n_in, spec.n_out, *formats, self.addresses)

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        return self._native.run(x, self.spec.n_out, teaching, learn.astype(np.int64))

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        return self._native.access(requests)


BASELINE_BACKENDS: dict[str, Callable[[BaselineSpec], BaselineBackend]] = {
    "model": ModelBaseline,
    "pysim": PysimBaseline,
    "native": NativeBaseline,
}
"""What runs baselines, by name."""
