"""The guard: every fault is seen within two windows, frozen and restored, to the bit as the integers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib.wiring import connect
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from kanrtl import InputError, Learner, LearnerSpec
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.rtl.guard import IDLE_CYCLES, Guard
from kanrtl.loop import GuardedModel, GuardSettings
from kanrtl.numeric.bits import pack
from kanrtl.numeric.fixed import Codes
from support.components import convert, register_bits, simulate
from support.guarded_specs import PLAIN
from support.search import examples
from support.strategies import codes_in
from support.streams import Transfers, access, exchange, words_of
from support.tiers import thorough


@dataclass
class Run:
    guard: Guard
    found: dict[str, Transfers]
    coefficients: list[int]
    state: dict[str, int]


def run(
    spec: LearnerSpec,
    guarding: GuardSettings,
    x: Codes,
    target: Codes,
    learn: Any,
    made: Callable[[Guard], None] = lambda _: None,
    wait: int = 60,
    **options: Any,
) -> Run:
    """A guarded learner, connected by connect() alone; what it holds at the end is read through the guard."""
    m = Module()
    m.submodules.learner = learner = Learner(spec)
    m.submodules.guard = guard = Guard(spec, guarding)
    made(guard)
    connect(m, guard.learner_samples, learner.samples)
    connect(m, learner.predictions, guard.learner_predictions)
    connect(m, guard.learner_access, learner.access)
    m.d.comb += [
        learner.freeze.eq(guard.learner_freeze),
        guard.updated.eq(learner.updated),
        guard.gradient.eq(learner.gradient),
    ]
    x_bits, y_bits = spec.n_in * spec.formats.input.width, spec.n_out * spec.target_format.width
    samples = [
        pack(one, spec.formats.input) | pack(word, spec.target_format) << x_bits | int(taught) << (x_bits + y_bits)
        for one, word, taught in zip(x, target, learn, strict=True)
    ]
    coefficients: list[int] = []
    state: dict[str, int] = {}

    async def read(ctx: Any) -> None:
        port, addresses = guard.access, AddressMap.of(spec)
        await ctx.tick().repeat(wait)
        ctx.set(port.response.ready, 1)
        for layer_number, layer in enumerate(spec.layers):
            for node, source, index in np.ndindex(layer.n_out, layer.n_in, layer.coefficients):
                ctx.set(port.request.payload.address, addresses.coefficient(layer_number, node, source, index))
                ctx.set(port.request.valid, 1)
                await ctx.tick().until(port.request.ready)
                ctx.set(port.request.valid, 0)
                coefficients.append((await ctx.tick().sample(port.response.payload).until(port.response.valid))[0])
        state.update({name: ctx.get(getattr(guard, name)) for name in ("fault", "status", "error_sum")})
        state.update({f"counts{index}": ctx.get(guard.counts[index]) for index in range(4)})

    found = exchange(guard, {"samples": samples}, {"predictions": len(x)}, top=m, at_end=read, **options)
    return Run(guard, found, coefficients, state)


def flatten(model: GuardedModel) -> list[int]:
    return [int(code) for layer in model.coefficients for code in layer.ravel()]


def state_of(model: GuardedModel) -> dict[str, int]:
    names = ("divergence", "stagnation", "precision", "deadline")
    status = sum(1 << index for index, name in enumerate(names) if name in model.status)
    found = {"fault": int(model.fault), "status": status, "error_sum": model.error_sum}
    return found | {f"counts{index}": model.counts[name] for index, name in enumerate(names)}


CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"copy_every": 1, "error": 1.5}),
    ({"pipeline": "all_registers", "teaching": "with_sample"}, {"copy_every": 2, "rails": 2}),
    ({"layer_sizes": [1, 1, 1], "update_rounding": "stochastic"}, {"copy_every": 1, "error": 0.5}),
    ({"schedule": "streaming"}, {"copy_every": 1, "imprecise": 4}),
    ({"reuse_factor": 2, "layer_sizes": [2, 1]}, {"copy_every": 1}),
]


@settings(examples(3), phases=[Phase.explicit, Phase.reuse, Phase.generate])  # a counterexample is small as it is
@given(case=st.sampled_from(CASES), gaps=st.sampled_from([0.0, 0.3]), seed=st.integers(0, 2**32 - 1))
def test_guarded_learner_is_what_the_integers_say(case: Any, gaps: float, seed: int) -> None:
    """With predictions refused and samples missing at any cycle, and frozen where it fails."""
    fields, limits = case
    spec = PLAIN.replace(initial_coefficients="uniform", **fields)
    if spec.timing.streaming:
        gaps = 0.0  # when an update lands is a matter of cycles then
    guarding, random = GuardSettings(window=8, **limits), np.random.default_rng(seed)
    count = 60
    x = codes_in(spec.formats.input, random, (count, spec.n_in))
    target = codes_in(spec.target_format, random, (count, spec.n_out)) // random.choice([1, 4])
    learn = random.integers(0, 8, count) > 0
    model = GuardedModel(spec, guarding)
    predictions = model.run(x, target, learn)
    model.settle()
    model.finish()
    hardware = run(spec, guarding, x, target, learn, gaps=gaps, seed=seed)
    assert words_of(hardware.found["predictions"], spec.formats.output, spec.n_out) == predictions.tolist()
    assert hardware.coefficients == flatten(model)
    assert hardware.state == state_of(model)
    if not gaps:
        waited = np.diff(hardware.found["samples"].cycles)
        assert waited.max() <= hardware.guard.slot_cycles + spec.timing.interval


def healthy(count: int, seed: int = 0) -> tuple[Codes, Codes]:
    x = np.random.default_rng(seed).uniform(-2, 2, (count, 1))
    return PLAIN.formats.input.quantise(x), PLAIN.target_format.quantise(0.7 * np.sin(2 * x))


WINDOW = 16
BEFORE = 40 * WINDOW
"""Samples before each fault: enough to learn, and for copies to become good."""


def learn_well(spec: LearnerSpec, guarding: GuardSettings) -> GuardedModel:
    model = GuardedModel(spec, guarding)
    x, target = healthy(BEFORE)
    model.run(x, target, np.ones(BEFORE, dtype=bool))
    assert not model.fault
    return model


def mean_error(model: GuardedModel, spec: LearnerSpec) -> float:
    x, target = healthy(300, seed=5)
    y = model.run(x, target, np.zeros(300, dtype=bool))
    return float(np.abs(spec.formats.output.to_float(y - target)).mean())


WILD = 3.9
"""What a teacher that has gone wild asks for: nearly the end of the format."""


@pytest.mark.parametrize(
    ("signature", "fields", "limits"),
    [
        ("divergence", {}, {"error": 1.0}),
        ("divergence", {"coefficient_format": "SQ(2, 6)"}, {"rails": 8}),
        # Updates that are rounded to the nearest are lost in a learner that has learned, too.
        ("precision", {"gradient_format": "SQ(1, 6)", "update_rounding": "stochastic"}, {"imprecise": 8}),
    ],
)
def test_a_fault_is_seen_frozen_and_restored(signature: str, fields: Any, limits: Any) -> None:
    """Within two windows; without a guard the error stays."""
    spec, bound, count = PLAIN.replace(**fields), 0.15, 2 * WINDOW
    settings_here = GuardSettings(window=WINDOW, copy_every=4, **limits)
    guarded, free = learn_well(spec, settings_here), learn_well(spec, GuardSettings(window=WINDOW))
    assert mean_error(guarded, spec) < bound
    x, _ = healthy(count, seed=1)
    target = np.full((count, 1), spec.target_format.quantise(WILD))
    for model in (guarded, free):
        model.run(x, target, np.ones(count, dtype=bool))
    assert guarded.fault
    assert guarded.status == {signature}
    assert guarded.counts[signature] == 1
    assert mean_error(guarded, spec) < bound
    assert mean_error(free, spec) > 5 * bound
    # Frozen: what is taught changes nothing, until it is released.
    before = flatten(guarded)
    guarded.run(x, target, np.ones(count, dtype=bool))
    assert flatten(guarded) == before
    guarded.release()
    guarded.run(*healthy(8), np.ones(8, dtype=bool))
    assert flatten(guarded) != before
    assert not guarded.fault


def test_stagnation_is_seen() -> None:
    """The error is large, and every update rounds to nothing, as the rate is too small."""
    spec = PLAIN.replace(learning_rate=2**-10)
    limits = {"stagnant_error": 0.5, "stagnant_lost": 12}
    model = GuardedModel(spec, GuardSettings(window=WINDOW, copy_every=4, **limits))
    x, _ = healthy(BEFORE)
    model.run(x, np.zeros((BEFORE, 1), dtype=int), np.ones(BEFORE, dtype=bool))
    assert not model.fault  # nothing is to be learned: there is no error
    model.run(x[: 2 * WINDOW], np.full((2 * WINDOW, 1), 64), np.ones(2 * WINDOW, dtype=bool))
    assert model.status == {"stagnation"}
    assert model.fault


def test_a_missed_deadline_is_seen_and_the_start_restored() -> None:
    """No copy is good yet: then the spec's start is."""
    spec, slot = PLAIN.replace(initial_coefficients="uniform"), 20
    count, state = 6, []
    x, target = healthy(count)

    def pause(ctx: Any, _: int) -> None:
        state.append(ctx.get(guard_of[0].fault))

    guard_of: list[Guard] = []
    found = run(
        spec,
        GuardSettings(window=WINDOW, slot=slot),
        x,
        target,
        np.ones(count),
        gaps=0.0,
        wait=2 * slot,
        before={"samples": pause},
        made=guard_of.append,
    )
    assert not any(state)  # in time
    # Afterwards no sample came.
    assert found.state["status"] == 8
    assert found.state["fault"] == 1
    assert found.state["counts3"] == 1
    assert found.coefficients == [int(code) for code in spec.initial_codes()[0].ravel()]


@pytest.mark.parametrize(
    ("initial", "after", "released"),
    [("memory", 1, False), ("memory", 9, False), ("memory", 9, True), ("reset", 9, False)],
)
def test_a_reset_ends_a_fault_only_where_it_restores_everything(initial: str, after: int, released: bool) -> None:
    """Coefficients stay as they are otherwise, so the good ones are written back from the beginning."""
    spec = PLAIN.replace(initial=initial, counts=[], guard={"window": 8, "copy_every": 1, "error": 1.0})
    first, outlasts = spec.initial_codes()[0].ravel().tolist(), initial == "memory"
    addresses, learner, reset = AddressMap.of(spec), Learner(spec), Signal()
    x = codes_in(spec.formats.input, np.random.default_rng(0), (80, 1))
    target = np.repeat([[40], [-200]], 40, axis=0)
    model, copy_cycles = GuardedModel(spec), Guard(spec.replace(guard=None)).copy_cycles
    samples = learner.samples

    async def bench(ctx: Any) -> None:
        ctx.set(learner.predictions.ready, 1)
        ctx.set(samples.payload.learn, 1)
        await ctx.tick().repeat(200)  # what restores everything takes its time
        await access(ctx, learner.access, addresses.guard_limit("imprecise"), 5)
        taught = 0
        while not ctx.get(learner.guard_fault):
            ctx.set(samples.payload.x[0].raw, int(x[taught, 0]))
            ctx.set(samples.payload.target[0].raw, int(target[taught, 0]))
            ctx.set(samples.valid, 1)
            await ctx.tick().until(samples.ready)
            ctx.set(samples.valid, 0)
            await ctx.tick().repeat(20)
            taught += 1
        seen = ctx.get(learner.guard_status)
        model.run(x[:taught], target[:taught], np.ones(taught, dtype=bool))
        model.finish()
        assert model.fault
        assert flatten(model) != first
        await ctx.tick().repeat(after)
        ctx.set(reset, 1)
        await ctx.tick().repeat(2)
        ctx.set(reset, 0)
        ctx.set(learner.guard_release, released)
        await ctx.tick().repeat(3)
        assert ctx.get(learner.guard_fault) == outlasts  # not before the good copy is back
        await ctx.tick().repeat(IDLE_CYCLES + copy_cycles)
        assert ctx.get(learner.guard_fault) == (outlasts and not released)
        assert ctx.get(learner.guard_status) == (seen if outlasts and not released else 0)
        held = [await access(ctx, learner.access, addresses.coefficient(0, 0, 0, index)) for index in range(len(first))]
        assert held == (flatten(model) if outlasts else first)
        assert await access(ctx, learner.access, addresses.guard_limit("imprecise")) == (5 if outlasts else 0)
        ctx.set(learner.guard_release, 1)
        await ctx.tick().repeat(2)
        assert not ctx.get(learner.guard_fault)

    simulate(ResetInserter(reset)(learner), bench)


@pytest.mark.parametrize(
    ("fields", "limits"),
    [({}, {"stagnant_error": 0.3, "stagnant_lost": 32}), thorough({"update_rounding": "stochastic"}, {"imprecise": 4})],
)
def test_no_false_alarm_on_a_healthy_stream(fields: Any, limits: Any) -> None:
    guarding = GuardSettings(window=64, copy_every=4, error=1.0, rails=4, **limits)
    model = GuardedModel(PLAIN.replace(**fields), guarding)
    x, target = healthy(20_000)
    model.run(x, target, np.ones(len(x), dtype=bool))
    assert not model.fault
    assert not any(model.counts.values())


@pytest.mark.parametrize("fields", [{}, {"layer_sizes": [2, 3, 2], "counts": []}])
def test_it_is_counted_to_the_flip_flop(fields: Any) -> None:
    dut = Guard(PLAIN.replace(**fields))
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    dut.count(parts)
    assert parts.counts["register"] == register_bits(convert(dut))
    depth = 256 if fields else 16  # two copies of 12 edges with 7 coefficients, or of one
    assert [(memory.name, memory.depth, memory.width) for memory in parts.memories] == [("shadow", depth, 9)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"window": 100}, r"window = 100: must be a power of two from 8 to 32768"),
        ({"copy_every": 0}, r"copy_every = 0: must be an integer from 1 to 32768"),
        ({"rails": -1}, r"rails = -1: must be a number of steps of a window, 0 to 2048"),
        ({"slot": 1.5}, r"slot = 1.5: must be a number of clock cycles below 2147483648"),
        ({"stagnant_error": 0.5}, r"stagnant_lost = 0: stagnation is a high error while .*"),
        ({"error": 99.0}, r"error = 99.0: the learner's errors are between 0 and \d+"),
        ({"errors": 1}, r"errors = 1: a guard has no such setting; it has window, .*"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Guard(PLAIN, given)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (PLAIN.replace(guard={"error": 0.5}), r"guard = {'error': 0.5}: the learner of this spec has that guard .*"),
        ("x", "spec: is of type str; give a LearnerSpec"),
        (None, "spec: is of type NoneType; give a LearnerSpec"),
    ],
)
def test_a_guard_beside_its_learner_takes_the_spec_of_one_without(spec: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Guard(spec, {"error": 0.5})


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.float64])
def test_numbers_of_numpy_are_plain_ones(kind: Any) -> None:
    given = {"error": kind(1), "window": np.int64(16), "rails": np.uint8(3), "slot": np.int32(5)}
    settings = GuardSettings.of(given)
    assert settings == GuardSettings(error=1, window=16, rails=3, slot=5)
    assert {type(value) for value in settings.to_dict().values()} <= {int, float}
    for name in ("slot", "error"):
        with pytest.raises(InputError, match=f"^{name} = .*: must be a number"):
            GuardSettings.of({name: np.bool_(True)})


def test_what_is_lost_must_be_counted() -> None:
    with pytest.raises(InputError, match=r'^imprecise = 4: needs a spec with counts = \["lost"\]$'):
        Guard(PLAIN.replace(counts=[]), {"imprecise": 4})
