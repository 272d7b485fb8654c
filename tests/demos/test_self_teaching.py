"""The exercise: its inputs, targets and LEDs beside a dummy of a learner; then with a learner that learns."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.sim import Simulator
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kanrtl import LearnerSpec, Model, SpecError
from kanrtl.boards import BOARDS
from kanrtl.build import Device
from kanrtl.demos import self_teaching as exercise
from kanrtl.demos.self_teaching import BoardTop, Exercise, choose_input_span
from kanrtl.learner.rtl.learner import Learner
from kanrtl.numeric.fixed import narrow
from support.tiers import thorough

LEVELS = 7
DRIFT = 16  # samples for one step of the target's phase
PHASES = 64


class Dummy(wiring.Component):
    """Has a learner's ports; a testbench drives its outputs."""

    made: "Dummy"

    def __init__(self, spec: LearnerSpec) -> None:
        learner = Learner(spec)
        learner._MustUse__silence = True
        super().__init__(learner.signature)
        Dummy.made = self

    def elaborate(self, platform: Any) -> Module:
        return Module()


@pytest.fixture
def dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exercise, "Learner", Dummy)


@pytest.fixture
def short_average(monkeypatch: pytest.MonkeyPatch) -> int:
    """The average is over 16 samples; gives the logarithm of that."""
    monkeypatch.setattr(exercise, "AVERAGE_SHIFT", 4)
    return 4


def simulate(dut: Exercise, testbench: Callable[[Any], Any]) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


def sine(spec: LearnerSpec, x: np.ndarray, sample: np.ndarray) -> np.ndarray:
    """The target, had it no steps."""
    start, bits = choose_input_span(spec)
    lsb = spec.formats.input.lsb
    return np.sin(2 * np.pi * ((x - start * lsb) / (lsb * 2**bits) + (sample // DRIFT) / PHASES))


# With a dummy


@pytest.mark.parametrize("grid_range", [(-2, 2), (-1.3, 1.7), (0.1, 3.6), (-30, -1), (0, 0.9)])
@pytest.mark.usefixtures("dummy")
def test_inputs_fill_the_grid_and_the_target_drifts(grid_range: tuple[float, float]) -> None:
    spec = LearnerSpec(layer_sizes=[2, 2], grid_range=grid_range)
    dut = Exercise(spec, levels=LEVELS, drift_period=DRIFT)
    seen = []

    async def testbench(ctx: Any) -> None:
        samples = Dummy.made.samples
        ctx.set(samples.ready, 1)
        for _ in range(PHASES * DRIFT // 2):
            assert ctx.get(samples.valid)
            assert ctx.get(samples.payload.learn)
            assert ctx.get(Dummy.made.predictions.ready)
            payload = samples.payload
            seen.append([ctx.get(value[place].raw) for value in (payload.x, payload.target) for place in range(2)])
            await ctx.tick()

    simulate(dut, testbench)
    codes = np.array(seen).T
    first, second = spec.formats.input.to_float(codes[:2])
    target, other_target = spec.formats.output.to_float(codes[2:])
    low, high = grid_range
    for x in (first, second):
        assert x.min() >= low
        assert x.max() < high
        assert np.ptp(x) > 0.48 * (high - low)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15
    assert np.array_equal(target, other_target)
    # Half a step of the 64 that the sine has.
    assert (
        np.abs(target - sine(spec, first, np.arange(len(first)))).max() <= np.pi / PHASES + 2 * spec.formats.output.lsb
    )


@settings(deadline=None)
@example(-2, 4, 10)
@given(st.floats(-30, 29), st.floats(0.02, 60), st.integers(6, 20))
def test_span_lies_in_the_grid(low: float, width: float, fraction: int) -> None:
    high = min(low + width, 31)
    assume((high - low) * 2**fraction >= 8)
    spec = LearnerSpec(
        layer_sizes=[1, 1], grid_range=(low, high), grid_size=1, activation_format=f"SQ(6, {fraction})", table_size=1
    )
    lsb = spec.formats.input.lsb
    start, bits = choose_input_span(spec)
    if (high - low) / lsb >= 4:
        assert low <= start * lsb
        assert (start + 2**bits - 1) * lsb < high
        assert lsb * 2**bits > (high - low - 2 * lsb) / 2


@pytest.mark.usefixtures("dummy")
def test_a_sample_that_is_not_taken_stays() -> None:
    dut = Exercise(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2)), levels=LEVELS, drift_period=2)

    async def testbench(ctx: Any) -> None:
        samples = Dummy.made.samples
        offered = []
        for ready in (0, 0, 0, 1, 0):
            ctx.set(samples.ready, ready)
            offered.append(ctx.get(samples.payload.as_value()))
            await ctx.tick()
        assert len(set(offered[:4])) == 1
        assert offered[4] != offered[0]

    simulate(dut, testbench)


@pytest.mark.usefixtures("dummy")
def test_teaching_gives_the_target_of_the_sample_before() -> None:
    """The sample on offer is already the next one when the learner asks for its target."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), teaching="after_prediction")
    dut = Exercise(spec, levels=LEVELS, drift_period=DRIFT)
    x, targets = [], []

    async def testbench(ctx: Any) -> None:
        learner = Dummy.made
        for _ in range(4 * DRIFT):
            ctx.set(learner.samples.ready, 1)
            x.append(ctx.get(learner.samples.payload.x[0].raw))
            await ctx.tick()
            ctx.set(learner.samples.ready, 0)
            await ctx.tick()
            assert ctx.get(learner.teaching.valid)
            targets.append(ctx.get(learner.teaching.payload[0].raw))

    simulate(dut, testbench)
    first, target = spec.formats.input.to_float(x), spec.formats.output.to_float(targets)
    room = np.pi / PHASES + 2 * spec.formats.output.lsb
    assert np.abs(target - sine(spec, first, np.arange(len(first)))).max() <= room


@pytest.mark.usefixtures("dummy")
def test_logistic_targets_are_zero_and_one() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), loss="logistic")
    dut = Exercise(spec, levels=LEVELS, drift_period=1 << 19)
    x, targets = [], []

    async def testbench(ctx: Any) -> None:
        samples = Dummy.made.samples
        ctx.set(samples.ready, 1)
        for _ in range(100):
            x.append(ctx.get(samples.payload.x[0].raw))
            targets.append(ctx.get(samples.payload.target[0].raw))
            await ctx.tick()

    simulate(dut, testbench)
    one = spec.formats.activation.quantise(1)
    assert targets == [one if code < 0 else 0 for code in x]  # the sine's first half is the lower half of the grid


@pytest.mark.usefixtures("dummy")
def test_bar_is_a_thermometer_of_the_mean_absolute_gradient(short_average: int) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    gradient = spec.formats.gradient
    dut = Exercise(spec, levels=LEVELS, drift_period=DRIFT)
    random = np.random.default_rng(3)
    # From none to the largest, of either sign, and back to none.
    scale = np.concatenate([np.geomspace(1, gradient.maximum, 150), np.zeros(150)])
    codes = np.rint(scale * random.choice([-1, 1], len(scale)) * random.uniform(0.5, 1, len(scale))).astype(int)
    taken = random.random(len(codes)) < 0.8
    bars = []

    async def testbench(ctx: Any) -> None:
        total = 0
        for code, take in zip(codes, taken, strict=True):
            ctx.set(Dummy.made.gradient[0].raw, int(code))
            ctx.set(Dummy.made.samples.ready, int(take))
            await ctx.tick()
            if take:
                total += (~code if code < 0 else code) - (total >> short_average)
            average = total >> short_average
            assert ctx.get(dut.average.raw) == average
            lit = [average * gradient.lsb >= 2.0 ** -(LEVELS - led) for led in range(LEVELS)]
            assert ctx.get(dut.bar) == sum(on << led for led, on in enumerate(lit))
            assert lit == sorted(lit, reverse=True)
            bars.append(ctx.get(dut.bar))

    simulate(dut, testbench)
    assert {(1 << leds) - 1 for leds in range(LEVELS + 1)} == set(bars)
    assert bars[0] == bars[-1] == 0


@pytest.mark.usefixtures("dummy")
def test_alive_changes_with_every_drift_period_of_updates() -> None:
    dut = Exercise(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2)), levels=LEVELS, drift_period=4)
    alive = []

    async def testbench(ctx: Any) -> None:
        for updated in [1, 0] * 8 + [0] * 8 + [1] * 8:
            ctx.set(Dummy.made.updated, updated)
            await ctx.tick()
            if updated or not alive:
                alive.append(ctx.get(dut.alive))
            assert ctx.get(dut.alive) == alive[-1]

    simulate(dut, testbench)
    assert alive == [1, 1, 1, 1, 0, 0, 0, 0] * 2


# With a learner


def means(spec: LearnerSpec, freeze: dict[int, int], updates: int, every: int) -> tuple[list[int], list[int]]:
    """The average after every ``every`` samples, and how often the LED of life changed in the meantime."""
    dut = Exercise(spec, levels=LEVELS, drift_period=DRIFT)
    averages, changes = [], []

    async def testbench(ctx: Any) -> None:
        if spec.restart_cycles:
            await ctx.tick().repeat(spec.restart_cycles)
        for sample in range(0, updates, every):
            ctx.set(dut.freeze, freeze.get(sample, ctx.get(dut.freeze)))
            changed = 0
            for _ in range(every * spec.interval):
                alive = ctx.get(dut.alive)
                await ctx.tick()
                changed += ctx.get(dut.alive) != alive
            averages.append(ctx.get(dut.average.raw))
            changes.append(changed)

    simulate(dut, testbench)
    return averages, changes


SMALL = LearnerSpec(
    layer_sizes=[1, 1],
    grid_range=(-2, 2),
    spline_order=1,
    grid_size=8,
    table_size=16,
    learning_rate=0.5,
    activation_format="SQ(3, 6)",
    pipeline="no_registers",
)


@pytest.mark.usefixtures("short_average")
def test_learns_forgets_while_frozen_and_learns_again() -> None:
    """The error falls from the start; while frozen it grows, as the target moves away; then it falls again."""
    averages, changes = means(SMALL, {256: 1, 640: 0}, 800, 32)
    start, learned, frozen, again = averages[0], averages[7], averages[19], averages[24]
    assert learned < start / 2
    assert frozen > 3 * learned
    assert again < frozen / 3
    assert changes == [2] * 8 + [0] * 12 + [2] * 5


@pytest.mark.parametrize(
    "changes",
    [
        {"teaching": "after_prediction"},
        {"loss": "logistic", "learning_rate": 4.0},
        {"loss": "external"},
        thorough({"initial": "reset"}),
        thorough({"loss": "external", "teaching": "after_prediction"}),
        {"loss": "external", "schedule": "streaming", "pipeline": "few_registers"},
    ],
    ids=lambda changes: ", ".join(map(str, changes.values())),
)
@pytest.mark.usefixtures("short_average")
def test_variants_learn(changes: dict[str, Any]) -> None:
    averages, _ = means(SMALL.replace(**changes), {}, 2048 if "schedule" in changes else 256, 16)
    assert 0 < sum(averages[-4:]) / 4 < 0.6 * max(averages[:3])


@pytest.mark.parametrize("teaching", ["with_sample", "after_prediction"])
@pytest.mark.parametrize("pipeline", ["no_registers", "all_registers"])
def test_gradients_are_those_of_the_samples_that_are_taught(teaching: str, pipeline: str) -> None:
    """Beside the integer model, which is shown what goes into the learner."""
    spec = SMALL.replace(layer_sizes=[1, 2], loss="external", teaching=teaching, pipeline=pipeline)
    dut, model = Exercise(spec, levels=LEVELS, drift_period=DRIFT), Model(spec)
    learner = exercise.Learner(spec)  # a stand-in that the exercise takes, so that its ports are seen
    wave = np.array(exercise._wave(spec, spec.formats.output))
    wave = np.where(wave >> (spec.formats.output.width - 1), wave - (1 << spec.formats.output.width), wave)
    start, bits = choose_input_span(spec)
    taught: list[int] = []

    async def testbench(ctx: Any) -> None:
        x = 0
        for _ in range(800):
            taken = ctx.get(learner.samples.valid & learner.samples.ready)
            payload = learner.samples.payload
            words = learner.teaching if teaching == "after_prediction" else learner.samples
            word = words.payload if teaching == "after_prediction" else words.payload.target
            told = ctx.get(words.valid & words.ready)
            if told and (teaching == "after_prediction" or ctx.get(payload.learn)):
                x = x if teaching == "after_prediction" else ctx.get(payload.x[0].raw)
                position = ((x - start) >> (bits - exercise.WAVE_BITS)) + len(taught) // DRIFT
                error = model.predict([x])[:, None] - wave[position % PHASES]
                expected = narrow(error, spec.formats.output.f, spec.target_format, spec.rounding).result[:, 0]
                assert [ctx.get(word[node].raw) for node in range(2)] == expected.tolist()
                model.learn([x], expected)
                taught.append(x)
            if taken:
                x = ctx.get(payload.x[0].raw)
            await ctx.tick()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exercise, "Learner", lambda _: learner)
        simulate(dut, testbench)
    assert len(taught) > 30  # beyond the first step of the target's phase
    assert len(set(taught)) > 20
    assert model.coefficients[0].any()


# Refusals and boards


@pytest.mark.parametrize("period", [0, 1, 12])
@pytest.mark.usefixtures("unelaborated")
def test_refuses_other_periods(period: int) -> None:
    with pytest.raises(ValueError, match=rf"^drift_period = {period}: must be a power of two, 2 or more$"):
        Exercise(SMALL, levels=3, drift_period=period)


@pytest.mark.usefixtures("unelaborated")
def test_refuses_a_board_with_one_led() -> None:
    board = replace(BOARDS["icestick"], leds=BOARDS["icestick"].leds[:1])
    with pytest.raises(SpecError, match=r"^board = 'icestick': has 1 LED\(s\); the exercise needs two or more$"):
        BoardTop(SMALL, board)


@pytest.mark.parametrize("name", ["ulx3s-85f", "icebreaker"])
def test_board_top_elaborates(name: str) -> None:
    board = BOARDS[name]
    plan = board.platform().prepare(BoardTop(SMALL.for_device(Device.parse(board.device)), board))
    netlist = plan.files["top.il"]
    text = netlist.decode() if isinstance(netlist, bytes) else netlist
    for resource in (*board.leds, board.button):
        assert resource is None or f"{resource[0]}_{resource[1]}" in text
    assert "kanrtl/learner/rtl/learner.py" in text
