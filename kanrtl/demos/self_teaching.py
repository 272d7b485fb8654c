"""A learner with a teacher of its own, to see a chip learn without a host."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, floor, log2
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ..errors import SpecError
from ..fabric.blocks import Blocks
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..fabric.parts import Parts
from ..learner.estimate.estimate import Estimate, count_parts, estimate_parts
from ..learner.losses import find_loss
from ..learner.rtl.learner import Learner
from ..learner.rtl.noise_register import NoiseRegister, count_noise_register, lane_noise
from ..learner.rtl.pipeline_registers import hold
from ..learner.spec import LearnerSpec
from ..numeric.fixed import Format
from .outside_loss import OutsideLoss, count_outside_loss

WAVE_BITS = 6

AVERAGE_SHIFT = 10


class Exercise(wiring.Component):  # type: ignore[misc]
    """Teaches a learner a sine of its first input that slowly moves along the grid.

    Inputs are uniform noise over (the largest power of two within) the grid; the target of every output is a sine of
    64 steps, whose phase moves on by one step every ``drift_period`` samples. Sharing one period with the grid, the
    sine has no jump at its ends. With binary targets (``loss="logistic"``) the target is whether it is positive. With
    ``loss="external"`` the gradients of the squared error are computed outside of the learner (:class:`.OutsideLoss`).

    Parameters
    ----------
    spec
        Any whose edges are not modulated.
    levels
        LEDs of the error bar.
    drift_period
        Samples for one step of the phase; a power of two. At six million samples a second, 2**19 is a period in 6 s.

    Members
    -------
    freeze : In(1)
        While it is high nothing is learned; the target moves on.
    bar : Out(levels)
        LED n is lit where the mean absolute error is at least ``2**-(levels - n)``.
    alive : Out(1)
        Changes every ``drift_period`` updates.
    average : Out
        Mean absolute gradient of the first output over about a thousand samples, in the gradient's format.
    """

    def __init__(self, spec: LearnerSpec, *, levels: int, drift_period: int = 1 << 19) -> None:
        if spec.modulated:
            raise SpecError.of(
                "modulated", spec.modulated, "a board that teaches itself learns a curve of its first input; use false"
            )
        if drift_period < 2 or drift_period & (drift_period - 1):
            raise ValueError(f"drift_period = {drift_period}: must be a power of two, 2 or more")
        self._spec = spec
        self._drift_bits = drift_period.bit_length() - 1
        super().__init__(
            {
                "freeze": In(1),
                "bar": Out(levels),
                "alive": Out(1),
                "average": Out(spec.formats.layers[-1].gradient),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.learner = learner = Learner(self._spec)
        m.d.comb += learner.freeze.eq(self.freeze)
        if not learner.predictions.signature.always_ready:
            m.d.comb += learner.predictions.ready.eq(1)
        # The sample is taken to be learned.
        taken = Signal()
        position = self._offer_inputs(m, learner, taken)
        targets = self._form_targets(m, taken, position)
        if find_loss(self._spec.loss).takes_gradients:
            words = self._form_gradients(m, learner, taken, targets)
            error = words[0].raw
        else:
            m.d.comb += [
                learner.samples.valid.eq(1),
                learner.samples.payload.learn.eq(1),
                taken.eq(learner.samples.ready),
            ]
            # A gradient is known at every update; while frozen there is none, so the average looks at the last cycle
            # of every step.
            words, error = targets, learner.gradient[0].raw
        if self._spec.timing.after_prediction:
            m.d.comb += [learner.teaching.valid.eq(1), learner.teaching.payload.eq(words)]
        else:
            m.d.comb += learner.samples.payload.target.eq(words)
        self._show_error(m, learner, taken, error)
        return m

    def _offer_inputs(self, m: Module, learner: Learner, taken: Signal) -> Any:
        """Offer new noise with every sample; give the first input's position in its span, in 64 steps."""
        m.submodules.noise = noise = NoiseRegister(self._spec.seed, leaps=2)
        m.d.comb += noise.leap.eq(taken)
        start, bits = choose_input_span(self._spec)
        fields = [lane_noise(noise.state, source, bits) for source in range(self._spec.n_in)]
        for source, field in enumerate(fields):
            m.d.comb += learner.samples.payload.x[source].raw.eq(field + start)
        first = fields[0]
        return first[-WAVE_BITS:] if bits >= WAVE_BITS else first << (WAVE_BITS - bits)

    def _form_targets(self, m: Module, taken: Signal, position: Any) -> Any:
        """Give the targets of the sample that is taught: the sine at its ``position``, whose phase drifts with the
        number of samples."""
        format = self._spec.formats.output
        samples = Signal(self._drift_bits + WAVE_BITS)
        with m.If(taken):
            m.d.sync += samples.eq(samples + 1)
        m.submodules.wave = wave = memory.Memory(
            shape=format.width,
            depth=1 << WAVE_BITS,
            init=_wave(self._spec, format),
            attrs={"ram_style": "logic"},
        )
        port = wave.read_port(domain="comb")
        m.d.comb += port.addr.eq(position + samples[self._drift_bits :])
        # With a stream of its own, a word is asked for after its sample was taken: that sample's target is held.
        code = hold(m, port.data, taken, "held") if self._spec.timing.after_prediction else port.data
        targets = Signal(data.ArrayLayout(format, self._spec.n_out))
        m.d.comb += [targets[node].raw.eq(code) for node in range(self._spec.n_out)]
        return targets

    def _form_gradients(self, m: Module, learner: Learner, taken: Signal, targets: Any) -> Any:
        """Offer the sample to a learner that takes gradients, and give those of the squared error."""
        m.submodules.loss = loss = OutsideLoss(self._spec)
        m.d.comb += [
            loss.taken.eq(learner.samples.valid & learner.samples.ready),
            loss.predicted.eq(learner.predictions.valid),
            loss.outputs.eq(learner.predictions.payload),
            loss.targets.eq(targets),
            learner.samples.valid.eq(loss.offer),
            learner.samples.payload.learn.eq(loss.learn),
            taken.eq(loss.done),
        ]
        return loss.gradients

    def _show_error(self, m: Module, learner: Learner, taken: Signal, error: Any) -> None:
        """Average the gradient ``error``, for the bar, and count updates, for the sign of life."""
        magnitude = Mux(error < 0, ~error, error).as_unsigned()
        total = Signal(len(magnitude) + AVERAGE_SHIFT)
        with m.If(taken):
            m.d.sync += total.eq(total - (total >> AVERAGE_SHIFT) + magnitude)
        m.d.comb += self.average.raw.eq(total >> AVERAGE_SHIFT)
        for level, led in enumerate(self.bar):
            threshold = max(1, round(2.0 ** (self._spec.formats.layers[-1].gradient.f - (len(self.bar) - level))))
            m.d.comb += led.eq((total >> AVERAGE_SHIFT) >= threshold)
        updates = Signal(self._drift_bits)
        with m.If(learner.updated):
            m.d.sync += updates.eq(updates + 1)
            with m.If(updates == 0):
                m.d.sync += self.alive.eq(~self.alive)


def choose_input_span(spec: LearnerSpec) -> tuple[int, int]:
    """Give the first code and the number of bits of the inputs: the largest power of two in the middle of the first
    layer's grid."""
    low, high = spec.per_layer("grid_range")[0]
    format = spec.formats.input
    first, end = int(np.ceil(low / format.lsb)), int(np.floor(high / format.lsb))
    bits = max(1, min(32, floor(log2(max(2, end - first)))))
    return first + (end - first - (1 << bits)) // 2, bits


def _wave(spec: LearnerSpec, format: Format) -> list[int]:
    sine = np.sin(2 * np.pi * (np.arange(1 << WAVE_BITS) + 0.5) / (1 << WAVE_BITS))
    values = (sine > 0).astype(float) if find_loss(spec.loss).binary_targets else sine
    return [int(code) & ((1 << format.width) - 1) for code in format.quantise(values)]


class BoardTop(Elaboratable):  # type: ignore[misc]
    """An :class:`Exercise` on a board: one LED blinks while it learns, the others are the bar of its error, and a
    button freezes it.

    ``board`` is a :class:`kanrtl.boards.Board`.
    """

    def __init__(self, spec: LearnerSpec, board: Any) -> None:
        self._board = board
        if len(board.leds) < 2:
            raise SpecError(f"board = {board.name!r}: has {len(board.leds)} LED(s); the exercise needs two or more")
        self._exercise = Exercise(spec, levels=len(board.leds) - 1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        leds = self._board.request_leds(platform)
        m.submodules.exercise = exercise = self._exercise
        m.d.comb += [leds[0].eq(exercise.alive), Cat(leds[1:]).eq(exercise.bar)]
        button = self._board.request_button(platform)
        if button is not None:
            m.submodules.button = FFSynchronizer(button, exercise.freeze)
        return m


def estimate_exercise(spec: LearnerSpec, device: Device, leds: int) -> Estimate:
    """What ``spec`` takes with its teacher, an :class:`Exercise` that drives so many LEDs."""
    spec = spec.for_device(device)
    parts = count_exercise(spec, FAMILIES[device.family].blocks, leds, multiplies=bool(device.dsp))
    found = estimate_parts(spec, device, parts)
    # No such build is in the fit.
    return replace(found, lut_margin=2 * found.lut_margin)


DRIFT_BITS = 19
"""The logarithm of the exercise's own period."""


def count_exercise(spec: LearnerSpec, fabric: Blocks, leds: int, *, multiplies: bool) -> Parts:
    """Count what an :class:`Exercise` with so many LEDs and its learner have. Nothing there looks at a prediction, or
    reaches for a coefficient or a register: synthesis removes what would serve that."""
    parts = count_parts(spec, fabric, multiplies=multiplies, reached=False)
    formats, samples = spec.formats, DRIFT_BITS + WAVE_BITS
    count_noise_register(parts, leaps=2)
    if find_loss(spec.loss).takes_gradients:
        count_outside_loss(parts, spec)
    parts.adder(formats.input.width, spec.n_in)
    parts.counts["counter"] += samples + DRIFT_BITS
    parts.register(samples + DRIFT_BITS, moved=False)
    parts.counts["truth table"] += ceil(formats.output.width * (1 << WAVE_BITS) / 16)
    average = formats.layers[-1].gradient.width + AVERAGE_SHIFT
    parts.sum(3, average)
    parts.register(average, moved=False)
    # Their thresholds are powers of two.
    parts.union(1, formats.layers[-1].gradient.width, leds)
    return parts
