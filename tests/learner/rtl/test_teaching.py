"""What is taught, alone: its register, and the gradient of every loss against its integers."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LearnerSpec
from kanrtl.learner.losses import LOSSES, find_loss
from kanrtl.learner.rtl.teaching import LossGradient, TargetRegister
from kanrtl.numeric.bits import pack, unpack
from kanrtl.numeric.fixed import Narrowed, narrow
from support.components import convert, record
from support.search import examples
from support.strategies import codes_in, specs

PLAIN = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))


@pytest.mark.parametrize("spec", [PLAIN, PLAIN.replace(loss="external"), PLAIN.replace(teaching="after_prediction")])
def test_a_word_is_held_until_the_next(spec: LearnerSpec) -> None:
    dut = TargetRegister(spec)
    assert dut.latency == 1
    inputs = [{"word": 5, "take": 1}, {"word": 6, "take": 0}, {"word": 7}, {"take": 1}, {"take": 0}]
    assert record(dut, inputs, ["target"])["target"][1:] == [5, 5, 5, 7]


@pytest.mark.parametrize(
    ("fields", "formed"),
    [({}, True), ({"loss": "logistic"}, False), ({"loss": "external", "pipeline": "no_registers"}, False)],
)
def test_words_stream_to_where_they_meet_the_sums(fields: dict[str, str], formed: bool) -> None:
    spec = PLAIN.replace(schedule="streaming", **fields)
    dut = TargetRegister(spec)
    # An adder tree takes the target from time 1; another loss needs it with the sums.
    assert dut.latency == (1 if formed else spec.timing.prediction_latency)
    words = list(range(1, 20))
    found = record(dut, [{"word": word} for word in words], ["target"])["target"]
    assert found[dut.latency :] == words[: -dut.latency]


def test_the_register_can_be_synthesised_alone() -> None:
    for fields in ({}, {"schedule": "streaming", "loss": "logistic"}):
        convert(TargetRegister(PLAIN.replace(**fields)))


def plain(loss: str, **fields: Any) -> LearnerSpec:
    return LearnerSpec(**{"layer_sizes": [2, 3], "grid_range": (-2, 2), "table_size": 4, "loss": loss} | fields)


@examples(20)
@given(spec=specs(), loss=st.sampled_from(LOSSES), seed=st.integers(0, 2**32 - 1))
def test_hardware_gives_what_the_integers_give(spec: LearnerSpec, loss: str, seed: int) -> None:
    spec, random = spec.replace(loss=loss), np.random.default_rng(seed)
    last, found = spec.layers[-1], find_loss(loss)
    value = last.formats.output if found.reads_outputs else last.node_sum
    values, targets = (codes_in(format, random, (20, last.n_out)) for format in (value, spec.target_format))
    exact = found.in_integers([last])(values[..., None], targets[..., None])[..., 0]
    expected = narrow(exact, found.gradient_format(last).f, last.formats.gradient, spec.rounding)
    if last.gradient_limit is not None:
        beyond = np.abs(expected.result) > last.gradient_limit
        clipped = np.clip(expected.result, -last.gradient_limit, last.gradient_limit)
        expected = Narrowed(clipped, expected.saturated | beyond)
    dut = LossGradient(spec)
    assert dut.latency == 0

    async def bench(ctx: Any) -> None:
        for sample in range(20):
            ctx.set(dut.values.as_value(), pack(values[sample], value))
            ctx.set(dut.targets.as_value(), pack(targets[sample], spec.target_format))
            gradients = unpack(ctx.get(dut.gradients.as_value()), last.formats.gradient, last.n_out)
            assert gradients == expected.result[sample].tolist()
            assert ctx.get(dut.saturated) == expected.saturated[sample].any()

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_gradient_can_be_synthesised_alone(loss: str) -> None:
    convert(LossGradient(plain(loss)))
