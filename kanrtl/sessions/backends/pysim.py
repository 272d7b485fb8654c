"""The RTL in Amaranth's own simulator as a backend; it stands still between calls."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...learner.rtl.learner import Learner
from ...learner.spec import LearnerSpec
from ...lookup.network import LookupNetwork
from ...lookup.rtl.lookup_core import create_core, port_shapes
from ...numeric.bits import pack, unpack
from ...numeric.fixed import Codes
from ...progress import Progress
from ...simulators.amaranth_simulator import AmaranthSimulator, Teaching
from ...simulators.trace import Trace
from ..backend import AddressedLearner, BackendKind, Options
from ..simulated import Simulated, SimulatedNetwork, learner_ports, network_ports


class PysimLearner(Simulated, AddressedLearner):
    """A :class:`kanrtl.Learner` in Amaranth's simulator."""

    name = "pysim"

    def __init__(self, spec: LearnerSpec, trace: Trace | None = None, _progress: Progress | None = None) -> None:
        super().__init__(spec)
        self._dut = Learner(spec)
        self._simulator = self._pysim = AmaranthSimulator(self._dut, trace, learner_ports)

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        samples, words = self._payloads(x, teaching, learn)
        # A sequential learner is ready for another sample as it writes the update of the last.
        settling = self.spec.latency if self.spec.timing.streaming else 0
        outputs = self._pysim.run(samples, Teaching(words, settling))
        format = self.spec.formats.output
        codes = [unpack(bits, format, self.spec.n_out) for bits in outputs]
        return np.array(codes, dtype=np.int64).reshape(len(x), self.spec.n_out)

    def _payloads(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> tuple[list[int], list[int]]:
        """The words for the samples' stream, and those for the teaching stream where there is one."""
        spec = self.spec
        words = [pack(word, spec.target_format) for word in teaching]
        x_bits = spec.n_in * spec.formats.input.width
        samples = []
        with_sample = spec.teaching == "with_sample"
        for row, word, taught in zip(x, words, learn, strict=True):
            bits, width = pack(row, spec.formats.input), x_bits
            if with_sample:
                bits |= word << width
                width += spec.n_out * spec.target_format.width
            samples.append(bits | int(taught) << width)
        return samples, [] if with_sample else [word for word, taught in zip(words, learn, strict=True) if taught]

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        return self._pysim.access(self._dut.access, requests)


class PysimNetwork(SimulatedNetwork):
    """A :class:`kanrtl.LookupCore` in Amaranth's simulator."""

    name = "pysim"

    def __init__(
        self, network: LookupNetwork, options: Options, trace: Trace | None, _progress: Progress | None = None
    ) -> None:
        core = create_core(network, **options)
        self._sample, self._prediction = port_shapes(core)
        self._pysim = AmaranthSimulator(core, trace, lambda fragment: network_ports(network, fragment))
        super().__init__(network, self._pysim)

    def run(self, samples: Codes) -> Codes:
        count = self._network.n_predictions
        found = self._pysim.run([pack(row, self._sample) for row in samples])
        codes = [unpack(bits, self._prediction, count) for bits in found]
        return np.array(codes, dtype=np.int64).reshape(len(samples), count)


BACKEND = BackendKind(PysimLearner, PysimNetwork)
