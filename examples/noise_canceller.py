"""A whole loop as one component: cancels a disturbance that comes to a sensor by a curved path, as an adaptive filter.

    kanrtl verilog examples/noise_canceller.py:loop --name noise_canceller
    python examples/noise_canceller.py

A reference of the disturbance goes through taps and a scale to a learner, which predicts from it what the sensor
measures; what it cannot predict is the signal, and goes out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Module
from amaranth.lib.wiring import In, connect, flipped

import kanrtl
from kanrtl.fabric.parts import Parts
from kanrtl.loop import Canceller, LoopPart, Scale, Taps
from kanrtl.loop.vectors import vector_stream
from kanrtl.numeric.fixed import Codes

CONVERTER = kanrtl.SQ(1, 11)
"""Of the converter's words: 12 bits, from -1 to 1."""

SPEC = kanrtl.LearnerSpec(layer_sizes=[3, 1], grid_range=(-2, 2), grid_size=4, learning_rate=1 / 16)


class NoiseCanceller(LoopPart):
    """Taps, scale, learner and canceller, connected.

    Members
    -------
    reference : In, stream of one number in the converter's format
        The disturbance, before it takes its path.
    measured : In, stream of one number in the format of the learner's targets
    o : Out, stream of one number in that of its outputs
        What remains of what is measured.
    """

    def __init__(self, spec: kanrtl.LearnerSpec = SPEC) -> None:
        self.spec = spec
        self.taps = Taps(CONVERTER, spec.n_in)
        self.scale = Scale(CONVERTER, spec.formats.input, channels=spec.n_in, gain=1.5)
        self.canceller = Canceller(spec)
        members = self.canceller.signature.members
        super().__init__(
            {"reference": In(vector_stream(CONVERTER, 1)), "measured": members["measured"], "o": members["o"]}
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the one in which a word of the sensor is taken to the one in which what remains of it is
        offered."""
        return self.taps.latency + self.scale.latency + self.canceller.latency

    @property
    def learned_after(self) -> int:
        """Clock cycles from the one in which a word is taken to the one that ends with what is learned from it."""
        return self.taps.latency + self.scale.latency + self.spec.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.taps, m.submodules.scale, m.submodules.canceller = self.taps, self.scale, self.canceller
        m.submodules.learner = learner = kanrtl.Learner(self.spec)
        connect(m, flipped(self.reference), self.taps.i)
        connect(m, self.taps.o, self.scale.i)
        connect(m, self.scale.o, self.canceller.x)
        connect(m, flipped(self.measured), self.canceller.measured)
        connect(m, self.canceller.samples, learner.samples)
        connect(m, learner.predictions, self.canceller.predictions)
        connect(m, self.canceller.o, flipped(self.o))
        return m

    def count(self, parts: Parts) -> None:
        for part in (self.taps, self.scale, self.canceller):
            part.count(parts)

    def run_model(self, reference: Codes, measured: Codes) -> Codes:
        """What remains, ``(n, 1)``, of ``measured`` ``(n, 1)`` with a ``reference`` ``(n, 1)``, all in codes."""
        taps, scale, canceller = self.taps.model(), self.scale.model(), self.canceller.model()
        learner = kanrtl.Model(self.spec)
        remaining = []
        for word, target in zip(reference, measured, strict=True):
            remaining.append(canceller.step(target, learner.learn(scale.step(taps.step(word)), target)))
        return np.array(remaining)


def loop() -> NoiseCanceller:
    """The component that ``kanrtl verilog`` writes."""
    return NoiseCanceller()


def main() -> None:
    """Run the loop's integer model, and say what remains of the disturbance."""
    canceller, random = NoiseCanceller(), np.random.default_rng(0)
    disturbance = random.uniform(-1, 1, 6002)
    path = 0.6 * disturbance[2:] - 0.3 * disturbance[1:-1] ** 2 + 0.2 * np.sin(3 * disturbance[:-2])
    signal = 0.1 * np.sin(0.05 * np.arange(6000))
    reference = CONVERTER.quantise(disturbance[2:, None])
    measured = SPEC.target_format.quantise((path + signal)[:, None])
    remaining = SPEC.formats.output.to_float(canceller.run_model(reference, measured))[:, 0]
    before, after = np.std(path[-2000:]), np.std((remaining - signal)[-2000:])
    print(f"disturbance {before:.3f} rms, remains {after:.3f} rms, {20 * np.log10(before / after):.1f} dB less")
    print(f"{canceller.latency} cycles from sensor to output, {canceller.learned_after} until it is learned")


if __name__ == "__main__":
    main()
