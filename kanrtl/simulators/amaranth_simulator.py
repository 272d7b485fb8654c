"""RTL in Amaranth's own simulator, cycle by cycle, with latencies and intervals measured at the ports."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Const, Fragment
from amaranth.sim import Simulator

from ..tools.garbage import collect_rarely
from .trace import Port, Trace


class Observer:
    """Measures latencies and intervals from what happens at the ports.

    An interval counts from one sample to the next only while samples are offered without a pause. Between pauses either
    all that is taught is learned, or nothing.
    """

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = {"latency": set(), "interval": set(), "prediction_latency": set()}
        self._unpredicted: deque[int] = deque()
        self._untaught: deque[int] = deque()
        self._last: tuple[int, bool] | None = None

    def cycle(self, now: int, taken: bool, predicted: bool, taught: bool | None = None, updated: bool = False) -> None:
        """Take note of clock edge number ``now`` and of the transfers that happened at it.

        ``taught`` is None where nothing ever is, so that all samples follow each other alike.
        """
        if updated and self._untaught:
            self.seen["latency"].add(now - self._untaught.popleft())
        if predicted:
            # The prediction was loaded at the edge before the one that takes it.
            self.seen["prediction_latency"].add(now - 1 - self._unpredicted.popleft())
        if taken:
            if self._last and self._last[1]:
                self.seen["interval"].add(now - self._last[0])
            self._last = (now, taught is not False)
            self._unpredicted.append(now)
            if taught:
                self._untaught.append(now)

    def idle(self) -> None:
        """Take note of a clock edge at which no sample was offered."""
        self._last = None
        self._untaught.clear()


@dataclass(frozen=True)
class Teaching:
    """What the samples of a run are taught."""

    words: list[int]
    """Words for the teaching stream, one for each sample that is learned from; none where they travel with samples."""
    settling: int
    """Cycles from the last sample to its update, where the next may come before."""


class AmaranthSimulator:
    """A component that takes ``samples`` and gives ``predictions``, in a simulation that stands still between calls.

    A call that an exception ends leaves Amaranth's simulator wherever it was: nothing can be called after that but
    :meth:`close`, which leaves the files of the trace as they were.

    Parameters
    ----------
    dut
        The component.
    trace
        Where to trace it to; None for nowhere.
    ports
        Gives the ports of the elaborated component that are worth tracing.

    Attributes
    ----------
    cycles
        The clock cycles since the start.
    """

    def __init__(self, dut: Any, trace: Trace | None, ports: Callable[[Any], list[Port]]) -> None:
        self._dut = dut
        self._job: Callable[[Any], Awaitable[Any]] | None = None
        self._result: Any = None
        self._begun = self._broken = False
        self.cycles = 0
        self._observer = Observer()
        with collect_rarely():
            fragment = Fragment.get(dut, None)
            self._simulator = Simulator(fragment)
        self._simulator.add_clock(1e-8)
        self._trace = trace
        if trace:
            traced = ports(fragment)
            trace.begin(traced)
            self._traced = [port.value for port in traced]

    def _begin(self) -> None:
        """Add the testbenches. Python would warn of those that never run."""
        self._begun = True
        self._simulator.add_testbench(self._work)
        if self._trace:
            self._simulator.add_testbench(self._watch, background=True)

    async def _work(self, ctx: Any) -> None:
        while True:
            if self._job is None:
                await ctx.tick()
                self.cycles += 1
                continue
            self._result = await self._job(ctx)
            self._job = None

    async def _watch(self, ctx: Any) -> None:
        assert self._trace is not None
        while True:
            _, _, *values = await ctx.tick().sample(*self._traced)
            self._trace.cycle([int(value) for value in values])

    def close(self) -> None:
        """End the simulation and complete its trace."""
        if self._broken:
            self.discard_trace()
        if self._trace:
            self._trace.close()

    def discard_trace(self) -> None:
        """Leave the files of the trace as they were."""
        if self._trace:
            self._trace.discard()

    def do(self, job: Callable[[Any], Awaitable[Any]]) -> Any:
        """Let the clock run for ``job``, which is given the context of a testbench; return its result.

        Raises
        ------
        RuntimeError
            If an exception has ended a call before.
        """
        if self._broken:
            raise RuntimeError("this simulation was interrupted in the middle of a call; connect anew")
        self._broken = True  # whatever ends this before it is done
        if not self._begun:
            self._begin()
        self._job = job
        while self._job is not None:
            self._simulator.advance()
        self._broken = False
        return self._result

    def run(self, samples: list[int], teaching: Teaching | None = None) -> list[int]:
        """Send the bits of samples one after another, as fast as they are taken; give the bits of the predictions.

        A learner is also given its ``teaching``; then the last update is waited for.
        """
        return self.do(lambda ctx: self._stream(ctx, samples, teaching))  # type: ignore[no-any-return]

    async def _stream(self, ctx: Any, samples: list[int], teaching: Teaching | None) -> list[int]:
        dut = self._dut
        words, settling = (teaching.words, teaching.settling) if teaching else ([], 0)
        payload, prediction = dut.samples.payload.as_value(), dut.predictions.payload.as_value()
        watched = [dut.samples.ready, dut.predictions.valid, prediction, dut.updated if teaching else Const(0)]
        if words:
            word = dut.teaching.payload.as_value()
            watched.append(dut.teaching.ready)
        predictions: list[int] = []
        sent = taught = taken_last = 0
        learn_bit = len(payload) - 1
        done = not samples
        self._observer.idle()
        refusable = not dut.predictions.signature.always_ready
        if refusable:
            ctx.set(dut.predictions.ready, 1)
        while not done:
            offered, teaches = sent < len(samples), taught < len(words)
            ctx.set(dut.samples.valid, offered)
            if offered:
                ctx.set(payload, samples[sent])
            if words:
                ctx.set(dut.teaching.valid, teaches)
                ctx.set(word, words[min(taught, len(words) - 1)])
            _, _, ready, valid, bits, updated, *teaching_ready = await ctx.tick().sample(*watched)
            self.cycles += 1
            if valid:
                predictions.append(bits)
            taken = bool(offered and ready)
            learned = teaching is not None and taken and bool(samples[sent] >> learn_bit)
            self._observer.cycle(self.cycles, taken, bool(valid), learned if teaching else None, bool(updated))
            sent += taken
            taken_last = self.cycles if taken else taken_last
            taught += bool(teaches and teaching_ready[0])
            done = not offered and not teaches and len(predictions) == len(samples)
            # A learner that is ready for another sample has done all that the last one asked for.
            done &= teaching is None or bool(ready and self.cycles >= taken_last + settling)
        ctx.set(dut.samples.valid, 0)
        if refusable:
            ctx.set(dut.predictions.ready, 0)
        if words:
            ctx.set(dut.teaching.valid, 0)
        return predictions

    def access(self, port: Any, requests: list[tuple[int, int | None]]) -> list[int]:
        """Do reads (``(address, None)``) and writes (``(address, value)``) through a port of streams ``request`` and
        ``response``, in order; give the answer to each."""
        return self.do(lambda ctx: self._access(ctx, port, requests))  # type: ignore[no-any-return]

    async def _access(self, ctx: Any, port: Any, requests: list[tuple[int, int | None]]) -> list[int]:
        answers = []
        ctx.set(port.response.ready, 1)
        for address, value in requests:
            ctx.set(port.request.payload.address, address)
            ctx.set(port.request.payload.write, value is not None)
            ctx.set(port.request.payload.data, value or 0)
            ctx.set(port.request.valid, 1)
            await self.until(ctx, port.request.ready)
            ctx.set(port.request.valid, 0)
            answers.append(await self.until(ctx, port.response.valid, port.response.payload))
        ctx.set(port.response.ready, 0)
        return answers

    async def until(self, ctx: Any, condition: Any, value: Any = 0) -> int:
        """Wait for the clock edge at which ``condition`` holds; return ``value`` at that edge."""
        while True:
            _, _, met, sampled = await ctx.tick().sample(condition, value)
            self.cycles += 1
            self._observer.idle()
            if met:
                return int(sampled)

    def observed(self, kinds: Iterable[str]) -> dict[str, list[int]]:
        """Every value seen so far in cycles, sorted, by its kind: ``latency``, ``prediction_latency``, ``interval``."""
        return {kind: sorted(self._observer.seen[kind]) for kind in kinds}
