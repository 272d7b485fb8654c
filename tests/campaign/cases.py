"""A case of the campaign: a learner or a network with all that is done to it, which a file can hold; and what is wrong
with what its backends make of it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from amaranth.hdl import UnusedElaboratable

from kanrtl import LearnerSpec, LookupNetwork, StabilityWarning, boards
from kanrtl.errors import BuildError, InputError, SpecError
from kanrtl.experiments.exercise import Operation, compare_learners
from kanrtl.experiments.verify import verify, verify_bitstream
from kanrtl.learner.rtl.guard import Guard
from kanrtl.sessions.backends.model import ModelLearner, ModelNetwork
from kanrtl.sessions.backends.native import NativeLearner, NativeNetwork, design_native
from kanrtl.sessions.backends.pysim import PysimLearner, PysimNetwork
from kanrtl.simulators.cxxrtl import Design

LEARNERS = {"native": NativeLearner, "pysim": PysimLearner}
NETWORKS = {"native": NativeNetwork, "pysim": PysimNetwork}


class RefusedError(Exception):
    """There is no such hardware."""


MOST_READ = 150
"""Coefficients that a slow simulator reads back in seconds."""


@dataclass(frozen=True)
class LearnerCase:
    spec: LearnerSpec
    operations: list[Operation]

    def to_json(self) -> dict[str, Any]:
        return {"spec": self.spec.to_dict(), "operations": [operation.to_json() for operation in self.operations]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> LearnerCase:
        operations = [Operation.from_json(operation) for operation in content["operations"]]
        return cls(LearnerSpec.from_dict(content["spec"]), operations)

    @property
    def is_short(self) -> bool:
        """Whether a slow simulator can read it back."""
        return sum(layer.n_in * layer.n_out * layer.coefficients for layer in self.spec.layers) <= MOST_READ

    def shorten(self) -> LearnerCase:
        """The same with two samples of each run, and what it writes before the last one or two."""
        runs = [
            Operation("run", operation.x[:2], operation.teaching[:2], operation.learn[:2])
            for operation in self.operations
            if operation.kind == "run"
        ]
        writes = [operation for operation in self.operations if operation.kind not in ("run", "freeze", "clear")]
        return LearnerCase(self.spec, [*runs[:1], *writes[-2:], *runs[-1:]])

    def find_fault(self, backends: list[str]) -> str | None:
        """What differs from the model, or among the backends in the cycles that they take; None where nothing does."""
        cycles = {}
        for name in backends:
            with quiet(), closing(LEARNERS[name](self.spec)) as learner:
                difference, _ = compare_learners(ModelLearner(self.spec), learner, self.operations)
                if difference is not None:
                    return f"{name} differs from the model: {difference}"
                declared = {
                    "latency": self.spec.latency,
                    "prediction_latency": self.spec.timing.prediction_latency,
                    "interval": self.spec.interval,
                }
                for kind, seen in learner.observed.items():
                    # A guard keeps samples waiting, while it looks at the learner.
                    waits = self._guard_waits() if kind == "interval" else 0
                    if seen and not declared[kind] == min(seen) <= max(seen) <= declared[kind] + waits:
                        return f"{name} has {kind} {seen} instead of {declared[kind]}"
                cycles[name] = learner.cycles
        return f"cycles differ: {cycles}" if len(set(cycles.values())) > 1 else None

    def _guard_waits(self) -> int:
        """The most clock cycles for which a sample waits for a guard."""
        settings = self.spec.guard
        return 0 if settings is None else Guard(self.spec, settings, addressed=True).slot_cycles

    def find_fault_in_netlist(self, device: str) -> str | None:
        try:
            found = verify(self.spec, device, 60)
        except (SpecError, BuildError):  # there is no such learner on the device
            raise RefusedError from None
        return None if found.difference is None else f"the netlist for {device}: {found.difference}"

    def find_fault_in_bitstream(self, board: str) -> str | None:
        try:
            found = verify_bitstream(self.spec, boards.get(board), 60)
        except (SpecError, BuildError):  # it does not fit, or is of what cannot be read back
            raise RefusedError from None
        return None if found.complaint is None else f"the bitstream for {board} {found.complaint}"

    def design(self) -> Design:
        """What native compiles."""
        return design_native(self.spec)


@dataclass(frozen=True)
class NetworkCase:
    network: LookupNetwork
    options: dict[str, Any]
    samples: list[list[int]]

    def to_json(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            self.network.save(Path(folder) / "network.npz")
            content = (Path(folder) / "network.npz").read_bytes()
        return {"network": base64.b64encode(content).decode(), "options": self.options, "samples": self.samples}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> NetworkCase:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "network.npz").write_bytes(base64.b64decode(content["network"]))
            return cls(LookupNetwork.load(Path(folder) / "network.npz"), content["options"], content["samples"])

    @property
    def is_short(self) -> bool:
        """Whether a slow simulator can read it back: nothing is."""
        return True

    def shorten(self) -> NetworkCase:
        """The same with ten samples."""
        return NetworkCase(self.network, self.options, self.samples[:10])

    def find_fault(self, backends: list[str]) -> str | None:
        samples = np.array(self.samples, dtype=np.int64)
        expected = ModelNetwork(self.network, {}, None).run(samples)
        cycles = {}
        for name in backends:
            try:
                backend = NETWORKS[name](self.network, self.options, None, None)
            except InputError:  # there is no core with these options
                raise RefusedError from None
            with closing(backend):
                found = backend.run(samples)
                wrong = np.flatnonzero((found != expected).any(axis=1))
                if len(wrong):
                    row = int(wrong[0])
                    return f"{name}, sample {row}: {found[row].tolist()} instead of {expected[row].tolist()}"
                cycles[name] = backend.cycles, json.dumps(backend.observed)
        return f"cycles differ: {cycles}" if len(set(cycles.values())) > 1 else None

    def find_fault_in_netlist(self, device: str) -> str | None:
        try:
            found = verify(self.network, device, 200, **self.options)
        except (InputError, BuildError):
            raise RefusedError from None
        return None if found.difference is None else f"the netlist for {device}: {found.difference}"

    def find_fault_in_bitstream(self, board: str) -> str | None:
        raise RefusedError  # a board has a link to a learner alone

    def design(self) -> Design:
        """What native compiles."""
        return design_native(self.network, self.options)


Case = LearnerCase | NetworkCase


def read_case(path: Path) -> Case:
    content = json.loads(path.read_text())
    return LearnerCase.from_json(content) if "spec" in content else NetworkCase.from_json(content)


def identify(case: Case) -> str:
    """What tells a case from others."""
    if isinstance(case, LearnerCase):
        digest = hashlib.sha256(json.dumps(case.to_json()).encode())
    else:  # a saved network has the time in it
        digest = hashlib.sha256(json.dumps([case.options, case.samples]).encode())
        for name, array in case.network.arrays():
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:12]


def describe(case: Case) -> str:
    """The spec file, or what the network is, and the stimulus."""
    if isinstance(case, LearnerCase):
        told = io.StringIO()
        told.write("".join(f"{name} = {json.dumps(value)}\n" for name, value in case.spec.to_dict().items()))
        told.write("".join(f"{json.dumps(operation.to_json())}\n" for operation in case.operations))
        return told.getvalue()
    return f"{case.network!r}\n{json.dumps(case.options)}\n{json.dumps(case.samples)}\n"


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        warnings.simplefilter("ignore", UnusedElaboratable)  # guards that are asked for their cycles alone
        yield
