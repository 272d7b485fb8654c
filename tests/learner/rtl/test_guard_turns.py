"""The guard in a learner, at each cycle in which something can be asked of it: as the integers say, and deadlines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kanrtl import Learner, LearnerSpec
from kanrtl.learner.address_map import GUARD_ADOPT, GUARD_FAULT, AddressMap
from kanrtl.loop import GuardedModel
from kanrtl.numeric.fixed import Codes
from support.guarded_specs import PLAIN
from support.streams import access
from support.tiers import thorough

SCHEDULES: list[Any] = [
    {},
    thorough({"pipeline": "all_registers"}),
    {"schedule": "streaming"},
    thorough({"layer_sizes": [2, 1], "reuse_factor": 2}),
    thorough({"teaching": "after_prediction"}),
    thorough({"initial": "reset"}),
]


class Driver:
    """A guarded learner in a simulation: samples and accesses, one at a time."""

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec, self.learner, self.addresses = spec, Learner(spec), AddressMap.of(spec)
        self.ctx: Any = None

    def run(self, bench: Callable[[], Any]) -> None:
        """Run what is to be done, from when the learner takes samples."""

        async def begin(ctx: Any) -> None:
            self.ctx = ctx
            if not self.spec.timing.streaming:
                ctx.set(self.learner.predictions.ready, 1)
            await ctx.tick().repeat(2 + (self.learner.restart_cycles or 0))
            await bench()

        simulator = Simulator(self.learner)
        simulator.add_clock(1e-8)
        simulator.add_testbench(begin)
        if self.spec.timing.after_prediction:
            simulator.add_testbench(self._teach, background=True)
        simulator.run()

    async def _teach(self, ctx: Any) -> None:
        """The teacher answers in the fourth cycle in which it is asked."""
        teaching, asked = self.learner.teaching, 0
        while True:
            asked = asked + 1 if (await ctx.tick().sample(teaching.ready))[-1] else 0
            ctx.set(teaching.valid, asked == 3)

    def offer(self, code: int) -> None:
        """Offer a sample at 0.25, that is taught a target."""
        samples, layout = self.learner.samples, self.spec.formats.input
        for x in samples.payload.x:
            self.ctx.set(x.raw, int(layout.quantise(0.25)))
        (target,) = self.learner.teaching.payload if self.spec.timing.after_prediction else samples.payload.target
        self.ctx.set(target.raw, code)
        self.ctx.set(samples.payload.learn, 1)
        self.ctx.set(samples.valid, 1)

    async def take(self, code: int, quiet: int = 0) -> None:
        """Offer it until it is taken; this returns in the cycle after that, or so many later."""
        self.offer(code)
        await self.ctx.tick().until(self.learner.samples.ready)
        self.ctx.set(self.learner.samples.valid, 0)
        if quiet:
            await self.ctx.tick().repeat(quiet)

    async def access(self, address: int, data: int | None = None) -> int:
        return await access(self.ctx, self.learner.access, address, data)

    async def coefficients(self) -> list[int]:
        (layer,) = self.spec.layers
        return [
            await self.access(self.addresses.coefficient(0, node, source, index))
            for node, source, index in np.ndindex(layer.n_out, layer.n_in, layer.coefficients)
        ]


class Integers:
    """What the integers say of the same samples, of which each has landed before the next comes."""

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec, self.model = spec, GuardedModel(spec)

    def take(self, code: int) -> None:
        x: Codes = np.full((1, self.spec.n_in), self.spec.formats.input.quantise(0.25))
        self.model.run(x, np.array([[code]]), np.ones(1, dtype=bool))
        self.model.settle()

    def coefficients(self) -> list[int]:
        return [int(code) for layer in self.model.coefficients for code in layer.ravel()]


@pytest.mark.parametrize("fields", SCHEDULES)
def test_a_window_begins_with_adopt_in_whatever_cycle_that_comes(fields: dict[str, Any]) -> None:
    """What a step adds that has begun before is not of the window, and it is in what becomes good."""
    spec = PLAIN.replace(**fields, guard={"window": 8, "copy_every": 16, "error": 2.0}, learning_rate=2**-4)
    driver, integers = Driver(spec), Integers(spec)
    places, wild = driver.addresses, spec.target_format.maximum

    async def bench() -> None:
        for delay in range(spec.latency + 4):
            await driver.take(wild, delay)
            integers.take(wild)
            await driver.access(places.guard_status, GUARD_ADOPT)
            integers.model.adopt()
            for _ in range(8):
                await driver.take(64, spec.latency)
                integers.take(64)
            integers.model.finish()
            assert await driver.access(places.guard_error_sum) == integers.model.error_sum > 0
        assert not integers.model.fault
        while not integers.model.fault:
            await driver.take(wild, spec.latency)
            integers.take(wild)
        integers.model.finish()
        assert await driver.access(places.guard_status) & GUARD_FAULT
        assert await driver.coefficients() == integers.coefficients()  # what was adopted

    driver.run(bench)


@pytest.mark.parametrize("fields", SCHEDULES[:4])
def test_a_window_begins_with_release_in_whatever_cycle_that_comes(fields: dict[str, Any]) -> None:
    """A sample that is taken in that cycle is one before: counters are read after the next."""
    spec = PLAIN.replace(**fields, coefficient_format="SQ(1, 6)", guard={"window": 8, "copy_every": 16})
    driver, integers = Driver(spec), Integers(spec)
    places, wild = driver.addresses, spec.target_format.maximum

    async def learn(count: int) -> None:
        for _ in range(count):
            await driver.take(wild, spec.latency)
            integers.take(wild)

    async def limit(name: str, code: int) -> None:
        await driver.access(places.guard_limit(name), code)
        integers.model.finish()
        integers.model.limits[name] = code

    async def bench() -> None:
        await learn(16)  # each step is at the end of a coefficient by now
        await driver.access(places.guard_status, GUARD_ADOPT)
        integers.model.adopt()
        for delay in (-1, 0, 1, spec.latency):
            await limit("rails", 7)
            await learn(8)
            await limit("rails", 8)
            assert integers.model.fault
            assert await driver.access(places.guard_status) & GUARD_FAULT
            released = driver.learner.guard_release
            for cycle in range(-1, spec.latency + 1):
                driver.ctx.set(released, cycle == delay)
                if cycle == 0:
                    driver.offer(wild)
                    assert driver.ctx.get(driver.learner.samples.ready)
                await driver.ctx.tick()
                driver.ctx.set(driver.learner.samples.valid, 0)
                if cycle == 0 and delay != -1:
                    integers.take(wild)
                if cycle == delay:
                    integers.model.release()
                if cycle == 0 and delay == -1:
                    integers.take(wild)
            driver.ctx.set(released, 0)
            await learn(8)
            integers.model.finish()
            status = await driver.access(places.guard_status)
            assert bool(status & GUARD_FAULT) == integers.model.fault
            assert await driver.access(places.guard_count("divergence")) == integers.model.counts["divergence"]

    driver.run(bench)


SLOT = 20
TIMED = PLAIN.replace(guard={"window": 8, "slot": SLOT})


def faults(bench: Callable[[Driver], Any]) -> None:
    """Run what watches a guard for deadlines alone."""
    driver = Driver(TIMED)
    driver.run(lambda: bench(driver))


@pytest.mark.parametrize("distance", [SLOT - 1, SLOT, SLOT + 1])
def test_a_sample_is_late_after_its_slot(distance: int) -> None:
    async def bench(driver: Driver) -> None:
        ctx, learner = driver.ctx, driver.learner
        await ctx.tick().repeat(2 * SLOT)
        assert not ctx.get(learner.guard_fault)  # none is awaited before the first
        await driver.take(0)
        await ctx.tick().repeat(distance - 1)
        assert not ctx.get(learner.guard_fault)
        driver.offer(0)
        assert ctx.get(learner.samples.ready)
        await ctx.tick()
        ctx.set(learner.samples.valid, 0)
        assert ctx.get(learner.guard_fault) == (distance > SLOT)

    faults(bench)


def test_a_missed_deadline_is_seen_once_and_none_is_awaited_after_its_release() -> None:
    async def bench(driver: Driver) -> None:
        ctx, learner, places = driver.ctx, driver.learner, driver.addresses
        for count in (1, 2):
            await driver.take(0)
            await ctx.tick().repeat(SLOT)
            assert not ctx.get(learner.guard_fault)
            await ctx.tick()
            assert ctx.get(learner.guard_fault)
            assert await driver.access(places.guard_status, GUARD_FAULT) == GUARD_FAULT
            assert not ctx.get(learner.guard_fault)
            await ctx.tick().repeat(3 * SLOT)
            assert not ctx.get(learner.guard_fault)
            assert await driver.access(places.guard_count("deadline")) == count

    faults(bench)


def test_a_slot_begins_where_its_limit_is_written() -> None:
    """Also where that is less than what has passed since the last sample."""

    async def bench(driver: Driver) -> None:
        ctx, learner, slot = driver.ctx, driver.learner, driver.addresses.guard_limit("slot")
        await driver.access(slot, 1000)
        await driver.take(0)
        await ctx.tick().repeat(300)
        await driver.access(slot, 100)
        await ctx.tick().repeat(98)
        assert not ctx.get(learner.guard_fault)
        await ctx.tick().repeat(4)
        assert ctx.get(learner.guard_fault)
        # None is looked at where it is off.
        await driver.access(slot, 0)
        await driver.access(driver.addresses.guard_status, GUARD_FAULT)
        await driver.take(0)
        await ctx.tick().repeat(300)
        assert not ctx.get(learner.guard_fault)

    faults(bench)
