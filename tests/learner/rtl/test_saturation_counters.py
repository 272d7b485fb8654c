"""The counters of what saturates, alone."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import SATURATIONS
from kanrtl.learner.losses import find_loss
from kanrtl.learner.rtl import saturation_counters
from kanrtl.learner.rtl.saturation_counters import SaturationCounters, count_flags
from support.components import convert, record
from support.strategies import specs

NARROW = {"layer_sizes": [2, 2, 1], "grid_range": (-2, 2), "slope_format": "SQ(2, 8)"}
SPECS = {
    "one layer": LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2)),
    "two layers": LearnerSpec(**NARROW),
    "streaming": LearnerSpec(**NARROW, schedule="streaming"),
    "folded": LearnerSpec(**NARROW | {"layer_sizes": [2, 1]}, reuse_factor=2),
}


@settings(max_examples=60, deadline=None)
@given(spec=specs())
def test_there_are_flags_of_whatever_can_saturate(spec: LearnerSpec) -> None:
    flags, last = count_flags(spec), spec.plans[-1]
    assert set(flags) == set.union(*(set(plan.saturating) for plan in spec.plans))
    assert list(flags) == [kind for kind in SATURATIONS if kind in flags]
    of_loss = not last.forms_error and find_loss(spec.loss).saturates(last.layer, spec.rounding)
    for kind, count in flags.items():
        assert count == sum(kind in plan.saturating for plan in spec.plans) + (of_loss and kind == "gradient")


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_strobe_counts_once_whatever_number_of_values_saturates(spec: LearnerSpec) -> None:
    flags = count_flags(spec)
    assert {"activation", "coefficient", "gradient"} <= set(flags)
    for kind, bits in flags.items():
        dut, length = SaturationCounters(spec), 40
        random = np.random.default_rng(bits)
        strobes, other = random.integers(2, size=(2, length)).tolist()
        values = random.integers(1 << bits, size=length).tolist()
        strobe, unrelated = ("predicted", "updated") if kind == "activation" else ("updated", "predicted")
        inputs = [
            {strobe: on, unrelated: off, f"flags.{kind}": value}
            for on, off, value in zip(strobes, other, values, strict=True)
        ]
        counts = record(dut, inputs, [f"counts.{kind}"])[f"counts.{kind}"]
        late = dut.flags_latency(kind)
        hits = [on and value != 0 for on, value in zip(strobes, values[late:], strict=False)]
        expected = np.cumsum([0] * dut.latency(kind) + hits).tolist()
        assert counts == expected[:length]


@pytest.mark.usefixtures("unelaborated")
def test_layers_tell_of_some_values_a_cycle_late() -> None:
    latencies = {
        name: [SaturationCounters(spec).flags_latency(kind) for kind in ("activation", "coefficient")]
        for name, spec in SPECS.items()
    }
    assert latencies == {"one layer": [0, 0], "two layers": [1, 1], "streaming": [1, 1], "folded": [0, 1]}


def test_a_counter_stops_at_its_highest_value_until_it_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saturation_counters, "COUNTER_WIDTH", 3)
    inputs: list[dict[str, Any]] = [{"updated": 1, "flags.coefficient": 1}] + [{}] * 12
    inputs += [{"clear.coefficient": 1}, {"clear.coefficient": 0}, {}]
    found = record(SaturationCounters(SPECS["one layer"]), inputs, ["counts.coefficient", "counts.activation"])
    assert found["counts.coefficient"] == [0, 0, 1, 2, 3, 4, 5, 6, *[7] * 6, 0, 1]
    assert not any(found["counts.activation"])


def test_it_can_be_synthesised_alone() -> None:
    convert(SaturationCounters(SPECS["two layers"]))
