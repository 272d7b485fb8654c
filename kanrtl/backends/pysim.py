"""The learner's RTL in Amaranth's own simulator, cycle by cycle."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Fragment
from amaranth.sim import Simulator

from ..fixed import Codes, Format
from ..rtl.learner import Learner
from .base import AddressedBackend
from .trace import Trace, traced_ports

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["PysimBackend", "pack", "unpack"]


def pack(codes: npt.NDArray[np.int64], format: Format) -> int:
    """The bits of an array of codes as the ports carry it: the first element lowest."""
    mask = (1 << format.width) - 1
    return sum((int(code) & mask) << (place * format.width) for place, code in enumerate(codes))


def unpack(bits: int, format: Format, count: int) -> list[int]:
    """The ``count`` codes in ``bits``."""
    mask, top = (1 << format.width) - 1, 1 << (format.width - 1)
    fields = [(bits >> (place * format.width)) & mask for place in range(count)]
    return [field - (mask + 1) if format.signed and field & top else field for field in fields]


class PysimBackend(AddressedBackend):
    """Drives a :class:`kanrtl.Learner` in a simulation that stands still between calls."""

    name = "pysim"

    def __init__(self, spec: LearnerSpec, trace: Trace | None = None) -> None:
        super().__init__(spec)
        self._dut = Learner(spec)
        self._job: Callable[[Any], Awaitable[Any]] | None = None
        self._result: Any = None
        self._cycle = 0
        self._observer = Observer()
        fragment = Fragment.get(self._dut, None)
        self._simulator = Simulator(fragment)
        self._simulator.add_clock(1e-8)
        self._simulator.add_testbench(self._work)
        self._trace = trace
        if trace:
            ports = traced_ports(fragment)
            trace.begin(ports)
            self._traced = [port.value for port in ports]
            self._simulator.add_testbench(self._watch, background=True)

    async def _work(self, ctx: Any) -> None:
        while True:
            if self._job is None:
                await ctx.tick()
                self._cycle += 1
                continue
            self._result = await self._job(ctx)
            self._job = None

    async def _watch(self, ctx: Any) -> None:
        assert self._trace is not None
        while True:
            _, _, *values = await ctx.tick().sample(*self._traced)
            self._trace.cycle([int(value) for value in values])

    def close(self) -> None:
        if self._trace:
            self._trace.close()

    def _do(self, job: Callable[[Any], Awaitable[Any]]) -> Any:
        self._job = job
        while self._job is not None:
            self._simulator.advance()
        return self._result

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        samples, words = self._payloads(x, teaching, learn)
        outputs = self._do(lambda ctx: self._stream(ctx, samples, words))
        activation = self.spec.formats.activation
        codes = [unpack(bits, activation, self.spec.n_out) for bits in outputs]
        return np.array(codes, dtype=np.int64).reshape(len(x), self.spec.n_out)

    def _payloads(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> tuple[list[int], list[int]]:
        """The words for the samples' stream, and those for the teaching stream where there is one."""
        spec = self.spec
        words = [pack(word, spec.target_format) for word in teaching]
        x_bits = spec.n_in * spec.formats.activation.width
        samples = []
        with_sample = spec.teaching == "with_sample"
        for row, word, taught in zip(x, words, learn, strict=True):
            bits, width = pack(row, spec.formats.activation), x_bits
            if with_sample:
                bits |= word << width
                width += spec.n_out * spec.target_format.width
            samples.append(bits | int(taught) << width)
        return samples, [] if with_sample else [word for word, taught in zip(words, learn, strict=True) if taught]

    async def _stream(self, ctx: Any, samples: list[int], words: list[int]) -> list[int]:
        """Offers every word as early as it can be taken, and waits for the last update; gives the predictions' bits."""
        dut = self._dut
        payload, prediction = dut.samples.payload.as_value(), dut.predictions.payload.as_value()
        watched = [dut.samples.ready, dut.predictions.valid, prediction, dut.updated]
        if words:
            word = dut.teaching.payload.as_value()
            watched.append(dut.teaching.ready)
        predictions: list[int] = []
        sent = taught = taken_last = 0
        # A sequential learner is ready for another sample as it writes the update of the last.
        settling = self.spec.latency if self.spec.timing.streaming else 0
        learn_bit = len(payload) - 1
        done = not samples
        self._observer.idle()
        refusable = not dut.predictions.signature.always_ready
        if refusable:
            ctx.set(dut.predictions.ready, 1)
        while not done:
            offered, teaching = sent < len(samples), taught < len(words)
            ctx.set(dut.samples.valid, offered)
            if offered:
                ctx.set(payload, samples[sent])
            if words:
                ctx.set(dut.teaching.valid, teaching)
                ctx.set(word, words[min(taught, len(words) - 1)])
            _, _, ready, valid, bits, updated, *teaching_ready = await ctx.tick().sample(*watched)
            self._cycle += 1
            if valid:
                predictions.append(bits)
            taken = offered and ready
            self._observer.cycle(self._cycle, taken and bool(samples[sent] >> learn_bit), taken, valid, updated)
            sent += taken
            taken_last = self._cycle if taken else taken_last
            taught += bool(teaching and teaching_ready[0])
            done = ready and not offered and not teaching and len(predictions) == len(samples)
            done &= self._cycle >= taken_last + settling
        ctx.set(dut.samples.valid, 0)
        if refusable:
            ctx.set(dut.predictions.ready, 0)
        if words:
            ctx.set(dut.teaching.valid, 0)
        return predictions

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        return self._do(lambda ctx: self._access(ctx, requests))  # type: ignore[no-any-return]

    async def _access(self, ctx: Any, requests: list[tuple[int, int | None]]) -> list[int]:
        port = self._dut.access
        answers = []
        ctx.set(port.response.ready, 1)
        for address, value in requests:
            ctx.set(port.request.payload.address, address)
            ctx.set(port.request.payload.write, value is not None)
            ctx.set(port.request.payload.data, value or 0)
            ctx.set(port.request.valid, 1)
            await self._until(ctx, port.request.ready)
            ctx.set(port.request.valid, 0)
            answers.append(await self._until(ctx, port.response.valid, port.response.payload))
        ctx.set(port.response.ready, 0)
        return answers

    async def _until(self, ctx: Any, condition: Any, value: Any = 0) -> int:
        """Waits for the clock edge at which ``condition`` holds; gives ``value`` at that edge."""
        while True:
            _, _, met, sampled = await ctx.tick().sample(condition, value)
            self._cycle += 1
            self._observer.idle()
            if met:
                return int(sampled)

    @property
    def cycles(self) -> int:
        return self._cycle

    @property
    def observed(self) -> dict[str, list[int]]:
        return self._observer.sorted()


class Observer:
    """Measures latencies and intervals from what happens at the ports.

    An interval counts from one sample to the next only while samples are offered without a pause. Between pauses either
    all that is taught is learned, or nothing.
    """

    def __init__(self) -> None:
        self._seen: dict[str, set[int]] = {"latency": set(), "interval": set(), "prediction_latency": set()}
        self._unpredicted: deque[int] = deque()
        self._untaught: deque[int] = deque()
        self._last: tuple[int, bool] | None = None

    def cycle(self, now: int, taught: bool, taken: bool, predicted: bool, updated: bool) -> None:
        """One clock edge, number ``now``, and which transfers happened at it."""
        if updated and self._untaught:
            self._seen["latency"].add(now - self._untaught.popleft())
        if predicted:
            # The prediction was loaded at the edge before the one that takes it.
            self._seen["prediction_latency"].add(now - 1 - self._unpredicted.popleft())
        if taken:
            if self._last and self._last[1]:
                self._seen["interval"].add(now - self._last[0])
            self._last = (now, taught)
            self._unpredicted.append(now)
            if taught:
                self._untaught.append(now)

    def idle(self) -> None:
        """One clock edge at which no sample was offered."""
        self._last = None
        self._untaught.clear()

    def sorted(self) -> dict[str, list[int]]:
        return {name: sorted(values) for name, values in self._seen.items()}
