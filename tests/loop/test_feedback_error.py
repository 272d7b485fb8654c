"""A controller that teaches the learner what it had to do: bits, cycles, anti-windup, and that it helps."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, UQ, InputError, Learner, LearnerSpec, LearningWarning, Model, SpecError
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.loop.feedback_error import FeedbackErrorLearner
from kanrtl.numeric.fixed import Format
from support.components import convert, register_bits
from support.search import examples
from support.strategies import codes_in
from support.streams import bits_of, exchange, words_of

SMALL = LearnerSpec(
    layer_sizes=[1, 1],
    grid_range=(-2, 2),
    grid_size=4,
    table_size=16,
    learning_rate=0.25,
    activation_format="SQ(3, 8)",
    gradient_format="SQ(3, 8)",
    loss="external",
)
ERROR, COMMAND = SQ(3, 6), SQ(2, 7)


@examples(4)
@given(
    pipeline=st.sampled_from(["no_registers", "all_registers"]),
    outputs=st.integers(1, 2),
    command=st.sampled_from([COMMAND, SQ(5, 5)]),
    gains=st.tuples(*[st.integers(-2048, 2048).map(lambda code: code / 1024)] * 3),
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
    gaps=st.sampled_from([0.0, 0.3, 0.7]),
    seed=st.integers(0, 2**32 - 1),
)
def test_commands_are_what_the_integers_give(
    pipeline: str, outputs: int, command: Format, gains: tuple[float, ...], rounding: str, gaps: float, seed: int
) -> None:
    spec = SMALL.replace(pipeline=pipeline, layer_sizes=[1, outputs], initial_coefficients="uniform")
    random = np.random.default_rng(seed)
    x = codes_in(spec.formats.input, random, (10, 1))
    errors = codes_in(ERROR, random, (10, outputs))
    m = Module()
    m.submodules.learner = learner = Learner(spec)
    m.submodules.dut = dut = FeedbackErrorLearner(
        spec, ERROR, command, rounding=rounding, **dict(zip(("kp", "ki", "kd"), gains, strict=True))
    )
    connect(m, dut.samples, learner.samples)
    connect(m, learner.predictions, dut.predictions)
    sent = {"x": bits_of(x, spec.formats.input), "errors": bits_of(errors, ERROR)}
    counted: list[int] = []

    async def count(ctx: Any) -> None:
        counted.append(ctx.get(dut.saturations))

    found = exchange(dut, sent, {"commands": 10}, top=m, gaps=gaps, seed=seed, at_end=count)
    model, network, expected = dut.model(), Model(spec), []
    for row, error in zip(x, errors, strict=True):
        gradient = model.step(error)
        expected.append(model.command(network.learn(row, gradient)).tolist())
    assert words_of(found["commands"], command, outputs) == expected
    assert counted == [model.saturations]
    if not gaps:
        taken = found["x"].cycles
        assert [b - a for a, b in zip(taken, found["commands"].cycles, strict=True)] == [dut.latency] * 10
        assert np.diff(taken).tolist() == [dut.interval] * 9


def test_the_integral_stops_while_the_command_is_at_its_limit() -> None:
    """With a constant error the command saturates; as the error turns, it leaves the limit at once."""
    model = FeedbackErrorLearner(SMALL, ERROR, COMMAND, ki=0.25).model()
    commands = []
    for error in [64] * 40 + [-64] * 3:
        model.step([error])
        commands.append(int(model.command([0])[0]))
    assert commands[:8] == [32, 64, 96, 128, 160, 192, 224, 255]  # 256 is beyond SQ(2, 7)
    assert commands[39] == 255
    assert commands[40:] == [192, 160, 128]
    assert model.saturations == 33
    free = FeedbackErrorLearner(SMALL, ERROR, SQ(6, 7), ki=0.25).model()
    for error in [64] * 40:
        free.step([error])
        free.command([0])
    assert free.integral[0] == 40 * 64 * 256


def test_gradients_that_do_not_fit_are_counted() -> None:
    """SQ(3, 8), in which the learner is taught, ends at 4."""
    model = FeedbackErrorLearner(SMALL, SQ(6, 6), SQ(6, 7), kp=1.0).model()
    for error, taught, count in ((3.0, -3.0, 0), (-5.0, 4 - 2**-8, 1), (5.0, -4.0, 2), (-4.0, 4 - 2**-8, 3)):
        gradient = model.step(SQ(6, 6).quantise([error]))
        model.command([0])
        assert (SMALL.target_format.to_float(gradient).tolist(), model.saturations) == ([taught], count)


def test_the_learner_takes_over_from_the_feedback() -> None:
    """A plant that needs a command of sin(x): after learning, the feedback has nothing left to do."""
    spec = SMALL
    model, network = FeedbackErrorLearner(spec, ERROR, COMMAND, kp=1.0).model(), Model(spec)
    random, feedbacks = np.random.default_rng(0), []
    y = np.zeros(1, dtype=np.int64)
    for _ in range(800):
        x = random.uniform(-2, 2)
        # The error is what the command, as it would be without feedback, lacks.
        code = spec.formats.input.quantise([x])
        y = network.predict(code)
        error = np.sin(x) - float(spec.formats.output.to_float(y)[0])
        gradient = model.step(ERROR.quantise([error]))
        model.command(network.learn(code, gradient))
        feedbacks.append(abs(float(spec.target_format.to_float(gradient)[0])))
    assert np.mean(feedbacks[:50]) > 0.3
    assert np.mean(feedbacks[-100:]) < 0.02


def test_gains_are_registers() -> None:
    dut = FeedbackErrorLearner(SMALL, ERROR, COMMAND, gain_format=SQ(4, 4))
    m = Module()
    m.submodules.learner = learner = Learner(SMALL)
    m.submodules.dut = dut
    connect(m, dut.samples, learner.samples)
    connect(m, learner.predictions, dut.predictions)

    def write(ctx: Any, index: int) -> None:
        ctx.set(dut.settings.valid, 1)
        ctx.set(dut.settings.payload.number, index)
        ctx.set(dut.settings.payload.code, 16)
        ctx.set(dut.learn, 0)

    sent = {"x": [0] * 3, "errors": bits_of([[32], [16], [16]], ERROR)}
    found = exchange(dut, sent, {"commands": 3}, top=m, before={"x": write})
    # The first word is taken in the cycle in which kp is written; the others wait, and have what is written meanwhile.
    model, expected = dut.model(), []
    for index, error in enumerate([32, 16, 16]):
        if index:
            model.write(0, index, 16)
        model.step([error])
        expected.append(model.command([0]).tolist())
        if not index:
            model.write(0, index, 16)
    assert words_of(found["commands"], COMMAND, 1) == expected == [[0], [64], [96]]


def test_it_is_counted_to_the_flip_flop() -> None:
    dut = FeedbackErrorLearner(SMALL.replace(layer_sizes=[1, 2]), ERROR, COMMAND)
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    dut.count(parts)
    assert parts.counts["register"] == register_bits(convert(dut))
    assert parts.multipliers == 6


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"loss": "squared"}, r"loss = 'squared': feedback error learning teaches a gradient; use \"external\""),
        ({"teaching": "after_prediction"}, r"teaching = 'after_prediction': the gradient goes with the sample; .*"),
        ({"schedule": "streaming"}, r"schedule = 'streaming': the integral waits for each command; .*"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=f"^{message}$"):
        FeedbackErrorLearner(SMALL.replace(**fields), ERROR, COMMAND)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"error": UQ(3, 6)}, r"error = UQ\(3, 6\): control errors have signs; use SQ"),
        ({"command": UQ(3, 6)}, r"command = UQ\(3, 6\): commands have signs; use SQ"),
        ({"gain_format": "UQ(8, 10)"}, r"gain_format = UQ\(8, 10\): gains have signs; use SQ"),
    ],
)
def test_formats_without_a_sign_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        FeedbackErrorLearner(**{"spec": SMALL, "error": ERROR, "command": COMMAND} | fields)


def test_a_command_that_no_error_reaches_down_to_is_refused() -> None:
    line = r"^command = SQ\(-2, 12\): reaches less than the least error times a gain; give error or gain_format"
    with pytest.raises(InputError, match=line):
        FeedbackErrorLearner(SMALL, "SQ(8, 0)", "SQ(-2, 12)", gain_format="SQ(4, 0)")
    assert FeedbackErrorLearner(SMALL, "SQ(8, 0)", "SQ(-2, 12)", gain_format="SQ(4, 2)").integral_format.width == 1


def test_a_gain_that_would_become_zero_is_refused() -> None:
    with pytest.raises(InputError, match=r"^ki = 0\.0001: becomes 0 in SQ\(8, 10\); give a gain_format with more"):
        FeedbackErrorLearner(SMALL, ERROR, COMMAND, kp=0.5, ki=1e-4)
    assert FeedbackErrorLearner(SMALL, ERROR, COMMAND, kp=0.5, ki=1e-4, gain_format=SQ(2, 18)).latency
    with pytest.warns(LearningWarning, match=r"^ki = 0\.0006: becomes 0\.000976562 in SQ\(8, 10\), 63 % off; give a "):
        FeedbackErrorLearner(SMALL, ERROR, COMMAND, ki=[0.0006])


def test_sums_wider_than_an_integer_are_refused() -> None:
    """The sum is shifted to the command's fraction before it is rounded."""
    with pytest.raises(InputError, match=r"^FeedbackErrorLearner: its exact sum has 69 bits, and may"):
        FeedbackErrorLearner(SMALL, "SQ(20, 0)", "SQ(2, 30)", kp=24576.0, gain_format="SQ(16, 2)")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 1), "output = -1: must be 0"),
        ((1, 0, 1), "output = 1: must be 0"),
        ((0, 3, 1), "number = 3: must be 0 to 2"),
        ((0, -1, 1), "number = -1: must be 0 to 2"),
    ],
)
def test_the_model_writes_no_register_that_is_not_there(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        FeedbackErrorLearner(SMALL, ERROR, COMMAND).model().write(*arguments)
