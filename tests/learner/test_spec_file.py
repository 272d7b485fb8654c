"""A spec printed as TOML is the same spec, and what is derived is what the spec says."""

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LearnerSpec
from kanrtl.learner.spec_file import derived, to_toml
from support.search import examples
from support.strategies import specs


def again(spec: LearnerSpec) -> LearnerSpec:
    return LearnerSpec.from_dict(tomllib.loads(to_toml(spec)))


@examples(60)
@given(specs())
def test_toml_gives_the_spec_back(spec: LearnerSpec) -> None:
    assert again(spec) == spec
    assert again(spec).formats == spec.formats


@examples(20)
@given(st.floats(-4, 3, width=32), st.floats(2.0**-6, 2.0), st.floats(2.0**-7, 1.0))
def test_toml_keeps_every_digit(low: float, span: float, rate: float) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(low, low + span), learning_rate=rate)
    assert again(spec) == spec


def test_toml_keeps_coefficients() -> None:
    values = np.linspace(-0.7, 0.9, 11).reshape(1, 1, 11)
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), initial_coefficients=[values])
    assert again(spec) == spec
    assert np.array_equal(again(spec).initial_codes()[0], spec.initial_codes()[0])


@pytest.mark.parametrize("linear", [False, True])
def test_toml_shows_what_was_not_given_as_comments(tracker: LearnerSpec, tmp_path: Path, linear: bool) -> None:
    """Each of these, uncommented, changes nothing; fields of linear paths are there where these are."""
    tracker = tracker.replace(linear=True) if linear else tracker
    text = to_toml(tracker)
    assert tomllib.loads(text) == tracker.to_dict()
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    fields = [line for line in lines if line.partition(" =")[0] in LearnerSpec.model_fields]
    hidden = {"guard"} if linear else {"guard", "linear_rate", "linear_rate_format", "linear_step_format"}
    assert sorted(line.partition(" =")[0] for line in fields) == sorted(LearnerSpec.model_fields.keys() - hidden)
    path = tmp_path / "full.toml"
    path.write_text("\n".join(fields))
    full = LearnerSpec.from_toml(path)
    assert full.formats == tracker.formats
    assert full.timing == tracker.timing
    assert np.array_equal(full.initial_codes(), tracker.initial_codes())


def uncommented(spec: LearnerSpec) -> list[tuple[dict[str, Any], str]]:
    """The fields that stand as comments, each with what is said of it."""
    lines, found = to_toml(spec).splitlines(), []
    for above, line in pairwise(lines):
        field = line.removeprefix("# ")
        if line.startswith("# ") and field.partition(" = ")[0] in LearnerSpec.model_fields and " = " in field:
            comment = field.partition("  # ")[2] or above
            found.append((tomllib.loads(field), comment))
    return found


def is_same(spec: LearnerSpec, other: LearnerSpec) -> bool:
    return (
        (other.formats, other.layers, other.guard, other.timing) == (spec.formats, spec.layers, spec.guard, spec.timing)
        and other.plans == spec.plans
        and all(map(np.array_equal, other.initial_codes(), spec.initial_codes()))
    )


RANGES = st.sampled_from([(-2, 2), (0, 1), (-100, 100), (-0.01, 0.02), (0, 1e-4)])


@examples(10)
@given(
    st.one_of(
        specs(),
        st.integers(1, 3).flatmap(
            lambda count: st.builds(
                LearnerSpec,
                layer_sizes=st.just([2] * count + [1]),
                grid_range=st.lists(RANGES, min_size=count, max_size=count),
                target_range=st.none() | RANGES,
                linear=st.booleans(),
                factor_format=st.none() | st.just("SQ(6, 12)"),
            )
        ),
    )
)
def test_any_line_uncommented_leaves_the_learner(spec: LearnerSpec) -> None:
    """What it is to be taken together with is said beside it."""
    fields = uncommented(spec)
    formats = {name: value for field, _ in fields for name, value in field.items() if name.endswith("_format")}
    for field, comment in fields:
        _, _, partner = comment.partition("; take it together with ")
        others = formats if partner.startswith("all") else {partner: formats[partner]} if partner else {}
        assert is_same(spec, LearnerSpec.from_dict(spec.to_dict() | others | field)), field


def test_what_no_comment_can_say_is_described() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1, 1, 1], grid_range=[(-2, 2), (-100, 100), (-1, 1)])
    text = to_toml(spec)
    assert "# guard: what a guard looks at" in text
    assert "# activation_format: outputs of hidden layers; " in text
    assert '; here ["SQ(9, 7)", "SQ(6, 10)"]' in text
    lines = {next(iter(field)): comment for field, comment in uncommented(spec)}
    assert lines["coefficient_format"].endswith("; take it together with factor_format")
    assert lines["factor_format"].endswith("; take it together with coefficient_format")
    assert "together" not in lines["input_format"]
    wide = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), target_range=(-100, 100))
    lines = {next(iter(field)): comment for field, comment in uncommented(wide)}
    assert lines["activation_format"].endswith("; take it together with all formats that stand as comments")


def test_toml_tells_of_linear_paths(tracker: LearnerSpec) -> None:
    spec = tracker.replace(layer_sizes=[1, 2, 1], linear=[True, False], learning_rate=0.25)
    lines = to_toml(spec).splitlines()
    assert lines.count("#   linear path with rate 0.0625") == 1
    assert lines.count("#   linear path learns at rates from 0.000244141 on") == 1
    wide = to_toml(spec.replace(grid_range=[(-1000, 1000), (-2, 2)])).splitlines()
    assert "#   linear path with rate 0.000976562, for x * 2^-6" in wide
    assert "#   linear_step_product   SQ(6, 22)" in lines
    shown = next(line for line in lines if line.startswith("# linear_rate ="))
    assert LearnerSpec(**spec.to_dict(), **tomllib.loads(shown.removeprefix("# "))).layers == spec.layers


def test_toml_tells_cycles_and_formats(tracker: LearnerSpec) -> None:
    lines = to_toml(tracker.replace(pipeline="few_registers")).splitlines()
    assert "#   sample to written update   2" in lines
    assert "#   sample to prediction       2" in lines
    assert "#   registers after sum, step" in lines
    assert "# layer 0: 1 x 1 edges, 8 coefficients in 4 distributed banks of 2 x 20 bits" in lines
    assert f"#   {'node_sum':<16} {tracker.layers[0].node_sum}" in lines
    rate = "#   learning rate 0.1 is 0.10009765625 in a register of multiples of 0.000244140625 up to 0.999755859375"
    assert rate in to_toml(tracker.replace(learning_rate=0.1)).splitlines()
    folded = to_toml(tracker.replace(layer_sizes=(4, 2), reuse_factor=8)).splitlines()
    banks = "4 distributed banks of 16 x 20 bits"
    assert f"# layer 0: 4 x 2 edges, 64 coefficients in {banks}, folded into 8 steps" in folded


@examples(30)
@given(specs())
def test_derived_is_what_the_spec_says(spec: LearnerSpec) -> None:
    values = derived(spec)
    assert values["latency"] == spec.latency
    rates = [spec.formats.learning_rate.quantise(layer.learning_rate) for layer in spec.layers]
    found = [layer["learning_rate"] for layer in values["layers"]]
    assert found == [spec.formats.learning_rate.to_float(code) for code in rates]
    assert values["interval"] == spec.interval
    assert values["prediction_latency"] == spec.timing.prediction_latency
    assert values["prediction_interval"] == spec.timing.prediction_interval
    gradients = [str(layer.formats.gradient) for layer in spec.layers]
    assert values["formats"]["gradient"] == (gradients[0] if len(set(gradients)) == 1 else gradients)
    assert len(values["layers"]) == spec.n_layers
    for index, (layer, arithmetic) in enumerate(zip(values["layers"], spec.layers, strict=True)):
        assert layer["coefficients"] == spec.initial_codes()[index].size
        assert layer["bank_rows"] * arithmetic.banks >= layer["steps"] * arithmetic.bases
        bits = layer["banks"] * layer["bank_rows"] * layer["bank_width"]
        edges = arithmetic.n_in * arithmetic.n_out
        assert bits == edges * arithmetic.banks * arithmetic.depth * arithmetic.formats.coefficient.width
        assert layer["cell_width"] == pytest.approx(float(arithmetic.cell_width))
        assert set(layer["stages"]) == spec.timing.stages[index]
        assert (layer["memory"] == "block") == spec.timing.block_memory[index]
        assert layer["formats"]["node_sum"] == str(arithmetic.node_sum)
        assert ("slope_sum" in layer["formats"]) == ("derivative" in layer["formats"]) == (index > 0)
