"""Whole loops, from a sensor's word to an actuator's: cycles, as simulated, and nanoseconds, after place and route.

Each is made of the parts of :mod:`kanrtl.loop` and a learner whose step takes one cycle, for the plants of which it is
the loop.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from kanrtl import SQ, Learner, LearnerSpec
from kanrtl.build import build_core
from kanrtl.learner.rtl.learner_members import learner_members
from kanrtl.loop import Canceller, FeedbackErrorLearner, LoopPart, Pairs, Scale, Taps, estimate_loop
from kanrtl.loop.vectors import vector_stream

from .plant_methods import DEVICE
from .row import Family, Progress, Result, Row, build_summary

__all__ = ["FAMILY", "LOOPS", "OPEN", "Cycles", "Loop", "LoopRow", "count_cycles"]

CONVERTER = SQ(1, 11)
"""Of a sensor's words: 12 bits, from -1 to 1."""

SEEDS = (1, 2, 3, 4, 5)
PAUSE = 12
"""Cycles from word to word at the least where latency is counted: more than any loop takes."""

RATES_MHZ = (1, 10)
"""Of a plant's samples: the actuator has its word, and it is learned, before the next."""


OPEN = ("settings", "learn", "saturations", "clear", "access", "freeze")
"""The members of parts and learner that are ports of a loop, too, as whoever uses one sets and reads them: without them
synthesis made constants of gains, and left out counters and the way to the coefficients."""


class Loop(LoopPart):
    """A loop as one component, with all its parts and its learner.

    Members
    -------
    i : In, stream
        A sensor's words.
    o : Out, stream
        An actuator's words.
    updated : Out(1)
        High in the cycle that ends with what is learned.

    Further streams have what the learner is taught; and there is what sets and reads the parts and the learner
    (:data:`OPEN`), each with the name of its part before its own.
    """

    def __init__(self, spec: LearnerSpec, members: dict[str, Any]) -> None:
        self.spec = spec
        owners = {type(part).__name__.lower(): part.signature.members for part in self.parts}
        self._ports = {
            f"{owner}_{name}": (owner, name, theirs[name])
            for owner, theirs in {**owners, "learner": learner_members(spec)}.items()
            for name in OPEN
            if name in theirs
        }
        ports = {port: member for port, (_, _, member) in self._ports.items()}
        super().__init__({**members, **ports, "updated": Out(1)})

    @property
    @abstractmethod
    def parts(self) -> tuple[LoopPart, ...]:
        """The parts in the order of a word through them, without the learner."""

    @property
    @abstractmethod
    def latency(self) -> int:
        """Clock cycles from the one in which a sensor's word is taken to the one in which an actuator's is offered."""

    @property
    @abstractmethod
    def learned_after(self) -> int:
        """Clock cycles from the one in which a sensor's word is taken to the one that ends with what is learned from
        it, where what it is taught is there."""

    @property
    def interval(self) -> int:
        """Clock cycles from word to word, where each comes as soon as it is taken."""
        return max([self.spec.interval, *(getattr(part, "interval", 1) for part in self.parts)])

    @property
    @abstractmethod
    def taught(self) -> str:
        """The name of the stream of what is taught."""

    def _assemble(self) -> tuple[Module, Any]:
        """A module with all parts, each connected to the next, and the learner."""
        m = Module()
        m.submodules += self.parts
        m.submodules.learner = learner = Learner(self.spec)
        owners = {type(part).__name__.lower(): part for part in self.parts} | {"learner": learner}
        for port, (owner, name, _) in self._ports.items():
            _lead_out(m, getattr(self, port), getattr(owners[owner], name), self.signature.members[port])
        m.d.comb += self.updated.eq(learner.updated)
        connect(m, flipped(self.i), self.parts[0].i)
        return m, learner

    def count(self, parts: Any) -> None:
        for part in self.parts:
            part.count(parts)


def _lead_out(m: Module, ours: Any, theirs: Any, member: Any) -> None:
    """Make a port of what is a member of a part."""
    if not member.is_port:
        connect(m, flipped(ours), theirs)
    elif member.flow is In:
        m.d.comb += theirs.eq(ours)
    else:
        m.d.comb += ours.eq(theirs)


class ControlLoop(Loop):
    """Scale and feedback-error learner: what is wanted comes in, commands go out, and the control errors teach."""

    def __init__(self, spec: LearnerSpec) -> None:
        self.scale = Scale(CONVERTER, spec.formats.input, channels=spec.n_in)
        self.control = FeedbackErrorLearner(spec, CONVERTER, spec.formats.output, kp=2.0, kd=0.5)
        ports = self.control.signature.members
        members = {"i": In(vector_stream(CONVERTER, spec.n_in)), "o": ports["commands"], "errors": ports["errors"]}
        super().__init__(spec, members)

    taught = "errors"

    @property
    def parts(self) -> tuple[LoopPart, ...]:
        return self.scale, self.control

    @property
    def latency(self) -> int:
        return self.scale.latency + self.control.latency

    @property
    def learned_after(self) -> int:
        return self.scale.latency + 1 + self.spec.latency

    def elaborate(self, platform: Any) -> Module:
        m, learner = self._assemble()
        connect(m, self.scale.o, self.control.x)
        connect(m, flipped(self.errors), self.control.errors)
        connect(m, self.control.samples, learner.samples)
        connect(m, learner.predictions, self.control.predictions)
        connect(m, self.control.commands, flipped(self.o))
        return m


class CancellerLoop(Loop):
    """Taps, scale and canceller: a reference comes in, and what cannot be predicted of what is measured goes out."""

    def __init__(self, spec: LearnerSpec) -> None:
        self.taps = Taps(CONVERTER, spec.n_in)
        self.scale = Scale(CONVERTER, spec.formats.input, channels=spec.n_in)
        self.canceller = Canceller(spec)
        ports = self.canceller.signature.members
        members = {"i": In(vector_stream(CONVERTER, 1)), "o": ports["o"], "measured": ports["measured"]}
        super().__init__(spec, members)

    taught = "measured"

    @property
    def parts(self) -> tuple[LoopPart, ...]:
        return self.taps, self.scale, self.canceller

    @property
    def latency(self) -> int:
        return sum(part.latency for part in self.parts)  # type: ignore[attr-defined]

    @property
    def learned_after(self) -> int:
        return self.taps.latency + self.scale.latency + self.spec.latency

    def elaborate(self, platform: Any) -> Module:
        m, learner = self._assemble()
        connect(m, self.taps.o, self.scale.i)
        connect(m, self.scale.o, self.canceller.x)
        connect(m, flipped(self.measured), self.canceller.measured)
        connect(m, self.canceller.samples, learner.samples)
        connect(m, learner.predictions, self.canceller.predictions)
        connect(m, self.canceller.o, flipped(self.o))
        return m


class ReadoutLoop(Loop):
    """Parts in front of a learner, whose predictions go out, and which is taught after them by a stream."""

    def __init__(self, spec: LearnerSpec, parts: tuple[Any, ...]) -> None:
        self._parts = parts
        learner = learner_members(spec)
        first = parts[0].signature.members["i"]
        super().__init__(spec, {"i": first, "o": learner["predictions"], "teaching": learner["teaching"]})

    taught = "teaching"

    @property
    def parts(self) -> tuple[LoopPart, ...]:
        return self._parts

    @property
    def latency(self) -> int:
        return sum(part.latency for part in self._parts) + self.spec.timing.prediction_latency + 1  # type: ignore[no-any-return]

    @property
    def learned_after(self) -> int:
        return sum(part.latency for part in self._parts) + self.spec.latency  # type: ignore[no-any-return]

    def elaborate(self, platform: Any) -> Module:
        m, learner = self._assemble()
        for part, following in zip(self._parts, self._parts[1:], strict=False):
            connect(m, part.o, following.i)
        last = self._parts[-1].o
        m.d.comb += [
            learner.samples.payload.x.eq(last.payload),
            learner.samples.payload.learn.eq(1),
            learner.samples.valid.eq(last.valid),
            last.ready.eq(learner.samples.ready),
        ]
        connect(m, learner.predictions, flipped(self.o))
        connect(m, flipped(self.teaching), learner.teaching)
        return m


def _control(n_in: int, n_out: int) -> Loop:
    return ControlLoop(_spec([n_in, n_out], loss="external"))


def _spec(layer_sizes: list[int], **fields: Any) -> LearnerSpec:
    about = {"grid_range": (-1, 1), "target_range": (-1, 1), "learning_rate": 0.25, "pipeline": "no_registers"}
    return LearnerSpec(**{"layer_sizes": layer_sizes, "grid_size": 8, **about, **fields})


def _readout(n_in: int, *, taps: bool) -> Loop:
    spec = _spec([n_in, 1], teaching="after_prediction")
    scale = Scale(CONVERTER, spec.formats.input, channels=n_in)
    return ReadoutLoop(spec, (Taps(CONVERTER, n_in), scale) if taps else (scale,))


def _amplifier() -> Loop:
    spec = _spec([2, 2], grid_range=(0, 1), modulated="complex", teaching="after_prediction")
    format = spec.formats.input
    return ReadoutLoop(spec, (Pairs(format), Taps(format, 2, channels=3)))


LOOPS: dict[str, tuple[str, Callable[[], Loop]]] = {
    "control-2-1": ("feedback-error learning, servo and plasma", lambda: _control(2, 1)),
    "control-2-2": ("feedback-error learning, cavity", lambda: _control(2, 2)),
    "control-4-2": ("feedback-error learning, mirror", lambda: _control(4, 2)),
    "equaliser": ("taps, scale and learner, channel", lambda: _readout(5, taps=True)),
    "readout": ("scale and learner, qubit", lambda: _readout(2, taps=False)),
    "amplifier": ("pairs, taps and learner, model of an amplifier", _amplifier),
    "canceller": ("taps, scale and canceller, noise", lambda: CancellerLoop(_spec([3, 1]))),
}
"""What each loop is, and how it is made."""


@dataclass(frozen=True)
class Cycles:
    """Cycles, as simulated.

    Attributes
    ----------
    latency, learned
        For every word that comes when the loop waits for it: from the cycle in which a sensor's word is taken to that
        in which an actuator's is offered, and to that which ends with what is learned.
    interval
        For every word that comes as soon as it is taken: to the cycle in which the next is.
    """

    latency: list[int]
    learned: list[int]
    interval: list[int]


def count_cycles(loop: Loop, words: int = 20, *, seed: int = 0) -> Cycles:
    """Simulate a loop that is given random words, and what teaches it; as many with pauses of different lengths between
    them as without a pause after these."""
    m = Module()
    m.domains.sync = ClockDomain()
    m.submodules.loop = loop
    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    random = np.random.default_rng(seed)
    seen: dict[str, list[int]] = {"i": [], "o": [], "updated": []}

    def randomise(ctx: Any, payload: Any) -> None:
        bits = len(Value.cast(payload))
        ctx.set(Value.cast(payload), int.from_bytes(random.bytes(bits // 8 + 1), "little") % (1 << bits))

    async def drive(ctx: Any) -> None:
        taught = getattr(loop, loop.taught)
        ctx.set(loop.o.ready, 1)
        ctx.set(taught.valid, 1)
        cycle = following = 0
        while len(seen["updated"]) < 2 * words:
            ctx.set(loop.i.valid, cycle >= following)
            randomise(ctx, loop.i.payload)
            randomise(ctx, taught.payload)
            signals = loop.i.valid & loop.i.ready, loop.o.valid, loop.updated
            _, _, *found = await ctx.tick().sample(*signals)
            for name, now in zip(seen, found, strict=True):
                if now:
                    seen[name].append(cycle)
            if found[0] and len(seen["i"]) < words:
                following = cycle + int(random.integers(PAUSE, 2 * PAUSE))
            cycle += 1

    simulator.add_testbench(drive)
    simulator.run()
    taken = seen["i"]

    def since(name: str) -> list[int]:
        return [after - before for before, after in zip(taken[:words], seen[name], strict=False)]

    # The first words without a pause find room that there is no more after them.
    return Cycles(since("o"), since("updated"), np.diff(taken[words + 2 : 2 * words]).tolist())


@dataclass(frozen=True)
class LoopRow(Row):
    """A loop simulated, and placed and routed with a register on every port."""

    make: Callable[[], Loop]
    seeds: tuple[int, ...] = SEEDS

    def measure(self, progress: Progress) -> Result:
        progress("simulating")
        loop, cycles = self.make(), count_cycles(self.make())
        # The same for every word.
        [latency], [learned], [interval] = (set(found) for found in (cycles.latency, cycles.learned, cycles.interval))
        facts = {"latency_cycles": learned, "interval_cycles": interval}
        reports = [
            build_core(
                self.make(), device=DEVICE, seed=seed, name="loop", facts=facts, register_ports=True, progress=progress
            ).to_json()
            for seed in self.seeds
        ]
        summary = build_summary(reports)
        cycle = 1000 / summary["fmax_mhz"]
        found = estimate_loop(loop.spec, loop.parts, DEVICE)
        return {
            "device": DEVICE,
            "seeds": list(self.seeds),
            "actuator_cycles": latency,
            "learned_cycles": learned,
            "estimated_lut": found.lut,
            "estimated_dsp": found.dsp,
            **summary,
            "cycle_ns": cycle,
            "actuator_ns": latency * cycle,
            "learned_ns": learned * cycle,
            "interval_ns": interval * cycle,
            "deadlines": {str(rate): max(latency, learned) * cycle <= 1000 / rate for rate in RATES_MHZ},
        }


FAMILY = Family(
    "loops",
    f"whole loops on {DEVICE}, from a sensor's word to an actuator's",
    tuple(LoopRow(f"loop-{name}", title, make) for name, (title, make) in LOOPS.items()),
)
