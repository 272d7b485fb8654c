"""Folded perceptrons: to the bit what the parallel ones are, in the cycles that the spec says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SpecError
from kanrtl.baselines import MlpSpec, create_learner, create_model, estimate_baseline
from kanrtl.baselines.rtl.folded_mlp_learner import FoldedMlpLearner, initial_rows
from kanrtl.sessions.baseline_session import connect_baseline
from kanrtl.tools.rtlil import component_rtlil
from support.baselines import check_equality
from support.search import examples


@st.composite
def folded(draw: st.DrawFn) -> MlpSpec:
    reuse_factor = draw(st.integers(2, 5))
    return MlpSpec(
        n_in=draw(st.integers(1, 2)),
        n_out=draw(st.integers(1, 2)),
        hidden=draw(st.integers(1, 2)) * reuse_factor,
        reuse_factor=reuse_factor,
        memory=draw(st.sampled_from(["distributed", "block"])),
        activation=draw(st.sampled_from(["relu", "hard_tanh"])),
        hidden_shift=draw(st.integers(-3, 2)),
        seed=draw(st.integers(0, 99)),
        target_range=draw(st.sampled_from([(-3, 3), (-0.1, 0.1), (0, 30)])),
        learning_rate=draw(st.sampled_from([0.9, 0.125, 2**-9])),
        loss=draw(st.sampled_from(["squared", "external"])),
        width=draw(st.integers(10, 18)),
        guard_bits=draw(st.integers(0, 6)),
        rounding=draw(st.sampled_from(["half_up", "half_even", "floor"])),
        pipeline=draw(st.lists(st.sampled_from(MlpSpec.STAGES), unique=True)),
    )


@examples(3)
@given(spec=folded(), seed=st.integers(0, 2**31))
def test_it_is_the_model_to_the_bit(spec: MlpSpec, seed: int) -> None:
    check_equality(spec, seed)


@pytest.mark.parametrize(
    ("pipeline", "cycles"), [("no_registers", (4, 8)), ("all_registers", (5, 10)), (["hidden", "step"], (5, 8))]
)
def test_a_step_takes_its_cycles(pipeline: str | list[str], cycles: tuple[int, int]) -> None:
    spec = MlpSpec(n_in=1, hidden=6, reuse_factor=3, pipeline=pipeline)
    with connect_baseline(spec, "pysim") as learner:
        learner.learn_many(np.full((4, 1), 0.5), np.full((4, 1), 0.5))
        observed = learner.status["observed"]
    assert observed == {"prediction_latency": [cycles[0]], "latency": [cycles[1]], "interval": [cycles[1]]}


@pytest.mark.parametrize("pipeline", ["no_registers", "all_registers", *([stage] for stage in MlpSpec.STAGES)])
def test_shared_multipliers_are_no_loop(pipeline: str | list[str]) -> None:
    """Simulators of Amaranth take loops; what is written, built or compiled has none."""
    spec = MlpSpec(n_in=1, hidden=2, reuse_factor=2, width=8, pipeline=pipeline)
    assert "module \\top" in component_rtlil(create_learner(spec), "top")


@pytest.mark.parametrize(
    ("pipeline", "stages"),
    [
        ("no_registers", {"step", "downstream"}),
        (["sum", "error"], {"error", "step", "downstream"}),
        (["hidden"], {"hidden", "step"}),
        (["downstream"], {"step", "downstream"}),
        ("all_registers", {"hidden", "error", "step", "downstream"}),
    ],
)
def test_a_register_breaks_the_loop_and_what_is_named_stays(pipeline: str | list[str], stages: set[str]) -> None:
    assert MlpSpec(n_in=1, reuse_factor=2, pipeline=pipeline).stages == stages


def test_compiled_it_is_the_model_to_the_bit() -> None:
    spec, random = MlpSpec(n_in=2, hidden=4, reuse_factor=2), np.random.default_rng(0)
    x, target = random.uniform(-1, 1, (20, 2)), random.uniform(-1, 1, (20, 1))
    found = []
    for backend in ("model", "native"):
        with connect_baseline(spec, backend) as learner:
            found.append((learner.learn_many(x, target).tolist(), [layer.tolist() for layer in learner.weights]))
    assert found[0] == found[1]


def test_folding_changes_no_bit_and_takes_less() -> None:
    plain, other = (MlpSpec(n_in=2, hidden=8, reuse_factor=factor) for factor in (1, 4))
    random = np.random.default_rng(0)
    x, target = random.integers(-(1 << 15), 1 << 15, (200, 2)), random.integers(-(1 << 13), 1 << 13, (200, 1))
    runs = [create_model(spec).run(x, target, np.ones(200, dtype=bool)) for spec in (plain, other)]
    assert (runs[0] == runs[1]).all()
    before, after = (estimate_baseline(spec, "LFE5U-25F") for spec in (plain, other))
    assert after.dsp == (2 + 2) * 2 + 1 < before.dsp
    assert after.lut < before.lut


def test_rows_hold_what_the_layers_begin_with() -> None:
    spec = MlpSpec(n_in=2, n_out=3, hidden=6, reuse_factor=3)
    inner, outer = spec.initial_codes()
    widths = [layer.coefficient.width for layer in spec.sums]
    codes = np.concatenate([inner.ravel(), outer.ravel()]).tolist()
    places = dict(zip(spec.weight_numbers, codes, strict=True))
    assert len(places) == spec.weights
    rows, bits = initial_rows(spec), 2
    for number, code in places.items():
        lane, column = divmod(number >> bits, spec.columns)
        if lane < spec.lanes:
            width = widths[column > spec.n_in]
            below = lane * (widths[0] * 3 + widths[1] * 3) + widths[0] * min(column, 3) + widths[1] * max(0, column - 3)
            assert rows[number & 3] >> below & ((1 << width) - 1) == code & ((1 << width) - 1)


@pytest.mark.usefixtures("unelaborated")
def test_a_spec_makes_it() -> None:
    learner = create_learner(MlpSpec(n_in=1, hidden=4, reuse_factor=4))
    assert isinstance(learner, FoldedMlpLearner)
    assert learner.latency == 10


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"reuse_factor": 3}, "reuse_factor = 3: must divide hidden = 8 evenly"),
        ({"reuse_factor": 9}, "reuse_factor = 9: must be an integer from 1 to 8"),
        ({"reuse_factor": 8, "memory": "sram"}, "memory = 'sram': must be 'distributed' or 'block'"),
        (
            {"n_in": 256, "hidden": 64, "reuse_factor": 8},
            "n_in = 256, hidden = 64, n_out = 1: makes 16513 weights; at most 16384 are built",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as raised:
        MlpSpec(**{"n_in": 1, **fields})
    assert str(raised.value) == message
