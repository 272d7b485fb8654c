"""Feedback error learning: a controller that teaches the learner what it had to do."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ..errors import InputError, SpecError, check_kind
from ..fabric.parts import Parts
from ..learner.address_map import COUNTER_WIDTH
from ..learner.losses import find_loss
from ..learner.rtl.learner_members import learner_members
from ..learner.spec import LearnerSpec
from ..numeric.fixed import SQ, Codes, FixedValue, Format, narrow
from .loop_part import LoopPart
from .vectors import (
    GAIN_FORMAT,
    as_codes,
    as_signed_format,
    check_exact,
    check_index,
    check_rounding,
    count_events,
    count_events_parts,
    count_narrowed_sum,
    initial_gains,
    narrow_codes,
    narrow_numbers,
    settings_stream,
    vector_stream,
    write_setting,
)

__all__ = ["FeedbackErrorLearner", "FeedbackErrorModel"]

GAINS = ("kp", "ki", "kd")


class FeedbackErrorLearner(LoopPart):
    """Stands around a learner: adds what it predicts, the feed-forward, to what a PID controller does, the feedback;
    and what the feedback had to do is the gradient that the learner is taught.

    Feedback error learning of Kawato, Furukawa and Suzuki (Biological Cybernetics 57, 1987): as the learner becomes an
    inverse model of what is controlled, nothing remains for the feedback to do. For every word, of each output::

        integral'  = saturate(integral + ki * error)
        feedback   = saturate(kp * error + integral' + kd * (error - error before))
        gradient   = narrow(-feedback)
        command    = saturate(feedback + prediction)

    Feedback and command are in the format of the command. The integral goes on to ``integral'`` except where one of the
    two has saturated and that would drive it further (conditional integration: Astrom and Hagglund, PID Controllers,
    1995, section 3.5); where both have, at opposite ends, the command decides, and its limit is left. The prediction is
    that made before the learner has learned from the sample.

    Parameters
    ----------
    spec
        The learner: ``loss="external"``, ``teaching="with_sample"``, and a schedule in which predictions can wait.
    error, command
        The formats of the control errors, setpoint minus measured, and of the commands; both signed.
    kp, ki, kd
        The gains that their registers begin with, and have after a reset: one for all outputs or one for each, each
        rounded to the nearest code. ``ki`` and ``kd`` are those of one sample: the sampling time is in them.
    gain_format
        Theirs, signed.
    rounding
        ``floor``, ``half_up`` or ``half_even``.

    Members
    -------
    x : In, stream of ``n_in`` inputs of the learner, such as the setpoint and its past
    errors : In, stream of ``n_out`` numbers in ``error``
    commands : Out, stream of ``n_out`` numbers in ``command``
    samples : Out, predictions : In
        For the learner's members of these names.
    learn : In(1)
        Whether to learn from the next word; it does where nothing drives this.
    settings : In, stream of ``channel``, ``number`` and ``code``
        Sets kp (``number`` 0), ki (1) or kd (2) of an output, as an integer code. It never waits.
    saturations : Out(16)
        Words of which any feedback, command, or gradient in a format with less reach than the command's, has saturated;
        stops at its highest value.
    clear : In(1)
        Sets that to zero.
    """

    def __init__(
        self,
        spec: LearnerSpec,
        error: Format | str,
        command: Format | str,
        *,
        kp: float | Sequence[float] = 0.0,
        ki: float | Sequence[float] = 0.0,
        kd: float | Sequence[float] = 0.0,
        gain_format: Format | str = GAIN_FORMAT,
        rounding: str = "half_up",
    ) -> None:
        check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
        if not find_loss(spec.loss).takes_gradients:
            raise SpecError.of("loss", spec.loss, 'feedback error learning teaches a gradient; use "external"')
        if spec.timing.after_prediction:
            raise SpecError.of("teaching", spec.teaching, 'the gradient goes with the sample; use "with_sample"')
        if spec.timing.streaming:
            raise SpecError.of("schedule", spec.schedule, 'the integral waits for each command; use "sequential"')
        self.spec = spec
        self.error = error = as_signed_format("error", error, "control errors")
        self.command = command = as_signed_format("command", command, "commands")
        self.gain_format = gain_format = as_signed_format("gain_format", gain_format, "gains")
        self.rounding = check_rounding(rounding)
        n = spec.n_out
        self._gains = [
            initial_gains(name, given, n, gain_format) for name, given in zip(GAINS, (kp, ki, kd), strict=True)
        ]
        # In a format of the same reach, of the lowest command alone one code is lost.
        self.clips = spec.target_format.i < command.i
        if command.i + error.f + gain_format.f < 0:
            mend = "give error or gain_format more fraction bits"
            raise InputError(f"command = {command}: reaches less than the least error times a gain; {mend}")
        self.integral_format = SQ(command.i + 1, error.f + gain_format.f)
        self._term = _product(SQ(error.i + 1, error.f), gain_format)
        self._exact = SQ(max(self._term.i + 1, self.integral_format.i) + 1, self.integral_format.f)
        for exact, narrowed in (
            (self._exact, command),
            (_negated(command), spec.target_format),
            (_sum(command, spec.formats.output), command),
        ):
            check_exact(exact, "FeedbackErrorLearner", ("error", "command", "gain_format"), narrowed)
        learner = learner_members(spec)
        super().__init__(
            {
                "x": In(vector_stream(spec.formats.input, spec.n_in)),
                "errors": In(vector_stream(error, n)),
                "commands": Out(vector_stream(command, n)),
                "samples": learner["samples"].flip(),
                "predictions": learner["predictions"].flip(),
                "learn": In(1, init=1),
                "settings": In(settings_stream(len(GAINS), n, gain_format.width)),
                "saturations": Out(COUNTER_WIDTH),
                "clear": In(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the one in which both words are taken to the one in which the command is offered, while
        nothing waits."""
        return self.spec.timing.prediction_latency + 3

    @property
    def interval(self) -> int:
        """Clock cycles from word to word, while nothing waits: the command before is known, and the learner takes the
        sample at once."""
        return max(self.latency, self.spec.timing.interval + 1)

    def model(self) -> FeedbackErrorModel:
        """The same in integers."""
        return FeedbackErrorModel(self, self._gains)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec, n = self.spec, self.spec.n_out
        phase = Signal(_Phase)
        x = Signal(self.x.payload.shape(), reset_less=True)
        learn = Signal(reset_less=True)
        feedback = Signal(data.ArrayLayout(self.command, n), reset_less=True)
        free, taken, commanded = Signal(), Signal(), Signal()
        sample, prediction = self.samples, self.predictions
        m.d.comb += [
            # A word goes to a learner that is ready, so that its command comes after the same number of cycles.
            free.eq((phase == _Phase.IDLE) & sample.ready),
            self.x.ready.eq(free & self.errors.valid),
            self.errors.ready.eq(free & self.x.valid),
            taken.eq(self.x.valid & self.x.ready),
            sample.valid.eq(phase == _Phase.OFFER),
            sample.payload.x.eq(x),
            sample.payload.learn.eq(learn),
            prediction.ready.eq((phase == _Phase.WAIT) & (~self.commands.valid | self.commands.ready)),
            commanded.eq(prediction.valid & prediction.ready),
        ]
        with m.If(taken):
            m.d.sync += [phase.eq(_Phase.OFFER), x.eq(self.x.payload), learn.eq(self.learn)]
        with m.If(sample.valid & sample.ready):
            m.d.sync += phase.eq(_Phase.WAIT)
        with m.If(commanded):
            m.d.sync += [phase.eq(_Phase.IDLE), self.commands.valid.eq(1)]
        with m.Elif(self.commands.ready):
            m.d.sync += self.commands.valid.eq(0)

        sums, followings = zip(*(self._control(m, output, taken, commanded) for output in range(n)), strict=True)
        narrowed, beyond = narrow_numbers(m, sums, self.command, self.rounding, "feedback")
        limited = Signal(n, reset_less=True)
        with m.If(taken):
            m.d.sync += [number.eq(result) for number, result in zip(feedback, narrowed, strict=True)]
            m.d.sync += limited.eq(beyond)
        zero = FixedValue(self.command, Signal(self.command.as_shape(), name="zero"))
        gradients, clipped = narrow_numbers(
            m, [zero - number for number in feedback], spec.target_format, self.rounding, "gradient"
        )
        m.d.comb += [number.eq(result) for number, result in zip(sample.payload.target, gradients, strict=True)]
        added = [number + y for number, y in zip(feedback, prediction.payload, strict=True)]
        commands, outside = narrow_numbers(m, added, self.command, self.rounding, "command")
        with m.If(commanded):
            m.d.sync += [number.eq(result) for number, result in zip(self.commands.payload, commands, strict=True)]
        for output, (integral, following) in enumerate(followings):
            upward = ~Mux(outside[output], added[output].raw[-1], feedback[output].raw[-1])
            drives = (following.raw != integral.raw) & ((following.raw > integral.raw) == upward)
            pushes = (outside[output] | limited[output]) & drives
            with m.If(commanded & ~pushes):
                m.d.sync += integral.eq(following)
        saturated = outside | limited | (clipped if self.clips else 0)
        count_events(m, commanded & saturated.any(), self.clear, self.saturations)
        return m

    def _control(self, m: Module, output: int, taken: Signal, commanded: Signal) -> Any:
        """The exact sum that is the feedback of an output, and its integral with what follows that."""
        gains = []
        for number, (name, codes) in enumerate(zip(GAINS, self._gains, strict=True)):
            init = float(self.gain_format.to_float(codes[output]))
            register = Signal(self.gain_format, name=f"{name}{output}", init=init)
            write_setting(m, self.settings, number, output, register)
            gains.append(register)
        kp, ki, kd = gains
        error = self.errors.payload[output]
        before = Signal(self.error, name=f"error_before{output}")
        integral = Signal(self.integral_format, name=f"integral{output}")
        following = Signal(self.integral_format, name=f"following{output}", reset_less=True)
        exact = integral + error * ki
        advanced = narrow(exact, exact.format.f, self.integral_format, self.rounding).result
        total = error * kp + (error - before) * kd + advanced
        with m.If(taken):
            m.d.sync += [before.eq(error), following.eq(advanced)]
        return total, (integral, following)

    def count(self, parts: Parts) -> None:
        spec, n = self.spec, self.spec.n_out
        parts.register(spec.n_in * spec.formats.input.width + 1 + n * self.error.width)
        own = 2 * self.command.width + 3 * self.gain_format.width + 2 * self.integral_format.width
        parts.register(n * (own + 1) + 3, moved=False)
        for factor in (self.error, self.error, SQ(self.error.i + 1, self.error.f)):
            parts.product(factor, self.gain_format, in_logic=False, times=n)
        parts.adder(self.error.width + 1, n)
        parts.sum(3, self._exact.width, n)
        count_narrowed_sum(parts, self._exact, self.command, self.rounding, n)
        parts.adder(self.integral_format.width, 2 * n)
        parts.counts["limit"] += self.integral_format.width * n
        parts.adder(self.command.width, n)
        count_narrowed_sum(parts, _negated(self.command), spec.target_format, self.rounding, n)
        command = _sum(self.command, spec.formats.output)
        parts.adder(command.width, n)
        count_narrowed_sum(parts, command, self.command, self.rounding, n)
        count_events_parts(parts)


class _Phase(enum.Enum):
    IDLE = 0
    OFFER = 1
    WAIT = 2


def _product(a: Format, b: Format) -> Format:
    return (a(Signal(a.as_shape())) * b(Signal(b.as_shape()))).format


def _sum(a: Format, b: Format) -> Format:
    return (a(Signal(a.as_shape())) + b(Signal(b.as_shape()))).format


def _negated(format: Format) -> Format:
    return SQ(format.i + 1, format.f)


class FeedbackErrorModel:
    """A :class:`FeedbackErrorLearner` in integer codes. For every word :meth:`step`, then the learner, then
    :meth:`command`.

    Attributes
    ----------
    integral : Codes, ``(n_out,)``
    saturations : int
        Words of which any feedback, command or gradient has saturated, as the hardware counts them, up to the counter's
        highest value.
    """

    def __init__(self, learner: FeedbackErrorLearner, gains: list[Codes]) -> None:
        self._learner = learner
        self._gains = [codes.copy() for codes in gains]
        n = learner.spec.n_out
        self.integral = np.zeros(n, dtype=np.int64)
        self._before, self._following, self._feedback = (np.zeros(n, dtype=np.int64) for _ in range(3))
        self._limited = self._clipped = np.zeros(n, dtype=bool)
        self.saturations = 0

    def write(self, output: int, number: int, code: int) -> None:
        """Set kp (``number`` 0), ki (1) or kd (2) of an output."""
        output = check_index("output", output, self._learner.spec.n_out)
        gains = self._gains[check_index("number", number, len(GAINS))]
        gains[output] = as_codes("code", [code], self._learner.gain_format, 1)[0]

    def step(self, errors: npt.ArrayLike) -> Codes:
        """The gradient ``(n_out,)`` that the learner is taught, for control errors ``(n_out,)``."""
        learner = self._learner
        error = as_codes("errors", errors, learner.error, learner.spec.n_out)
        kp, ki, kd = self._gains
        f = learner.integral_format.f
        self._following, _ = narrow_codes(self.integral + error * ki, f, learner.integral_format, learner.rounding)
        total = error * kp + (error - self._before) * kd + self._following
        self._before = error
        self._feedback, self._limited = narrow(total, f, learner.command, learner.rounding)
        taught = narrow(-self._feedback, learner.command.f, learner.spec.target_format, learner.rounding)
        self._clipped = taught.saturated & learner.clips
        gradients: Codes = taught.result
        return gradients

    def command(self, predicted: npt.ArrayLike) -> Codes:
        """The command ``(n_out,)``, when the learner has predicted so."""
        learner, format = self._learner, self._learner.command
        y_format = learner.spec.formats.output
        y = as_codes("predicted", predicted, y_format, learner.spec.n_out)
        f = max(format.f, y_format.f)
        exact = (self._feedback << (f - format.f)) + (y << (f - y_format.f))
        command: Codes
        command, outside = narrow(exact, f, format, learner.rounding)
        upward = np.where(outside, exact >= 0, self._feedback >= 0)
        change = self._following - self.integral
        pushes = (outside | self._limited) & (change != 0) & ((change > 0) == upward)
        self.integral = np.where(pushes, self.integral, self._following)
        saturated = bool((outside | self._limited | self._clipped).any())
        self.saturations = min(self.saturations + saturated, (1 << COUNTER_WIDTH) - 1)
        return command
