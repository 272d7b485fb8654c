"""What remains of what is measured: with a learner, and with streams that wait at any cycle."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import connect
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, InputError, Learner, LearnerSpec, Model, SpecError
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.loop.canceller import Canceller
from support.components import convert, register_bits
from support.search import examples
from support.strategies import codes_in
from support.streams import Transfers, bits_of, exchange, words_of

SMALL = LearnerSpec(
    layer_sizes=[2, 1],
    grid_range=(-2, 2),
    grid_size=2,
    spline_order=1,
    table_size=4,
    learning_rate=0.25,
    activation_format="SQ(3, 5)",
    initial_coefficients="uniform",
)


def run(spec: LearnerSpec, x: Any, measured: Any, **options: Any) -> tuple[Canceller, dict[str, Transfers]]:
    """A canceller around a learner, connected by connect() alone."""
    m = Module()
    m.submodules.learner = learner = Learner(spec)
    m.submodules.canceller = canceller = Canceller(spec, output=SQ(2, 4))
    connect(m, canceller.samples, learner.samples)
    connect(m, learner.predictions, canceller.predictions)
    sent = {"x": bits_of(x, spec.formats.input), "measured": bits_of(measured, spec.target_format)}
    return canceller, exchange(canceller, sent, {"o": len(x)}, top=m, **options)


@examples(4)
@given(
    pipeline=st.sampled_from(["no_registers", "all_registers"]),
    schedule=st.sampled_from(["sequential", "streaming"]),
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
    gaps=st.sampled_from([0.0, 0.3, 0.7]),
    seed=st.integers(0, 2**32 - 1),
)
def test_what_remains_is_what_the_integers_leave(
    pipeline: str, schedule: str, rounding: str, gaps: float, seed: int
) -> None:
    spec = SMALL.replace(pipeline=pipeline, schedule=schedule, rounding=rounding)
    random = np.random.default_rng(seed)
    x = codes_in(spec.formats.input, random, (10, spec.n_in))
    measured = codes_in(spec.target_format, random, (10, spec.n_out))
    canceller, found = run(spec, x, measured, gaps=gaps, seed=seed)
    remaining = canceller.model()
    taken = found["x"].cycles
    assert found["measured"].cycles == taken
    predicted = Model(spec).run(x, measured, np.ones(10, dtype=bool), taken)
    expected = [remaining.step(row, y).tolist() for row, y in zip(measured, predicted, strict=True)]
    assert words_of(found["o"], canceller.output, spec.n_out) == expected
    if not gaps:
        assert [b - a for a, b in zip(taken, found["o"].offered, strict=True)] == [canceller.latency] * 10
        assert np.diff(taken).tolist() == [canceller.interval] * 9


def test_what_saturates_is_counted_and_what_is_not_to_be_learned_is_not() -> None:
    m = Module()
    m.submodules.learner = learner = Learner(SMALL)
    m.submodules.canceller = canceller = Canceller(SMALL, output=SQ(1, 3))
    connect(m, canceller.samples, learner.samples)
    connect(m, learner.predictions, canceller.predictions)
    counts: list[int] = []

    def hold(ctx: Any, _: int) -> None:
        ctx.set(canceller.learn, 0)
        counts.append(ctx.get(canceller.saturations))

    x, measured = np.zeros((4, 2), dtype=int), np.full((4, 1), 127)
    sent = {"x": bits_of(x, SMALL.formats.input), "measured": bits_of(measured, SMALL.target_format)}
    found = exchange(canceller, sent, {"o": 4}, top=m, before={"x": hold})
    assert len(set(found["o"].words)) == 1  # nothing was learned
    model, y = canceller.model(), Model(SMALL).predict([0, 0])
    assert words_of(found["o"], SQ(1, 3), 1) == [model.step(row, y).tolist() for row in measured] == [[7]] * 4
    assert model.saturations == 4
    assert counts == sorted(counts)
    assert counts[-1] >= 1


@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
def test_it_is_counted_to_the_flip_flop(schedule: str) -> None:
    dut = Canceller(SMALL.replace(schedule=schedule))
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    dut.count(parts)
    assert parts.counts["register"] == register_bits(convert(dut))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"teaching": "after_prediction"}, r"teaching = 'after_prediction': a canceller needs the target .*"),
        ({"loss": "logistic"}, r"loss = 'logistic': a canceller subtracts what is predicted; use \"squared\""),
        ({"loss": "external"}, r"loss = 'external': a canceller subtracts what is predicted; use \"squared\""),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=f"^{message}$"):
        Canceller(SMALL.replace(**fields))


def test_differences_wider_than_an_integer_are_refused() -> None:
    with pytest.raises(InputError, match=r"^Canceller: its exact sum has \d+ bits, and may have 63; use fewer"):
        Canceller(SMALL, output="SQ(2, 60)")
