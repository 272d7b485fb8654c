"""Draws the cases of a campaign: a quarter of the learners as the property tests do, the others of a kind that is
hard."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from campaign.cases import Case, LearnerCase, NetworkCase
from kanrtl import LearnerSpec, LookupNetwork
from kanrtl.errors import SpecError
from kanrtl.experiments.exercise import draw_exercise
from support.lookup_networks import codes_for, networks
from support.strategies import specs

DEPTHS = st.sampled_from(["no_registers", "few_registers", "most_registers", "all_registers"])


@st.composite
def mixed_layers(draw: st.DrawFn) -> LearnerSpec:
    """Layers of one node, each with an order, a memory and a pipeline of its own; the loss computed elsewhere."""
    count = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 4]))
    sizes = [draw(st.integers(1, 3)), *[1] * count]
    fields: dict[str, Any] = {
        "layer_sizes": sizes,
        "spline_order": draw(st.lists(st.integers(1, 3), min_size=count, max_size=count)),
        "memory": draw(st.lists(st.sampled_from(["auto", "block"]), min_size=count, max_size=count)),
        "table_memory": draw(st.sampled_from(["auto", "logic", "block"])),
        "pipeline": draw(DEPTHS | st.lists(DEPTHS, min_size=count, max_size=count)),
        "multiplier": draw(st.sampled_from(["auto", "lut"])),
        "teaching": draw(st.sampled_from(["after_prediction", "with_sample"])),
        "loss": draw(st.sampled_from(["external", "squared"])),
        "update_rounding": draw(st.sampled_from(["stochastic", "half_up"])),
        "initial_coefficients": "uniform",
        "counts": draw(st.sampled_from([[], ["lost", "outside"]])),
    }
    return LearnerSpec(
        **fields,
        grid_range=draw(st.sampled_from([(-2, 2), (-1, 1)])),
        grid_size=draw(st.sampled_from([1, 3, 8, 17])),
        table_size=draw(st.sampled_from([4, 16])),
        seed=draw(st.integers(1, 1000)),
    )


@st.composite
def extreme_formats(draw: st.DrawFn) -> LearnerSpec:
    """One layer or two, whose formats are as narrow or as wide as can be, and whose rates are high."""
    count = draw(st.integers(1, 2))
    wide = st.sampled_from(["SQ(2, 3)", "SQ(1, 11)", "SQ(6, 10)", "SQ(12, 14)", "SQ(3, 15)", "SQ(2, 2)"])
    fields: dict[str, Any] = {name: draw(st.none() | wide) for name in ("gradient_format", "output_format")}
    fields |= {"slope_format": draw(st.none() | wide)} if count > 1 else {}
    fields["coefficient_format"] = draw(st.sampled_from([None, "SQ(2, 6)", "SQ(8, 10)", "SQ(2, 16)"]))
    folded = draw(st.booleans())
    if folded:
        fields |= {"multiplier": "serial", "reuse_factor": 2, "share_multipliers": draw(st.booleans())}
        fields["memory"] = draw(st.sampled_from(["distributed", "block"]))
    return LearnerSpec(
        layer_sizes=[2, *[1] * count] if count == 1 or not folded else [2, 1, 2],
        grid_range=(-2, 2),
        grid_size=draw(st.sampled_from([1, 4, 60, 200])),
        spline_order=draw(st.integers(1, 3)),
        learning_rate=draw(st.sampled_from([0.002, 1.0, 3.0])),
        activation_format=draw(st.sampled_from(["SQ(4, 9)", "SQ(11, 6)", "SQ(3, 12)"])),
        update_rounding=draw(st.sampled_from(["stochastic", "floor", "half_even"])),
        rounding=draw(st.sampled_from(["floor", "half_up", "half_even"])),
        initial_coefficients="uniform",
        **{name: value for name, value in fields.items() if value is not None},
    )


@st.composite
def refusable(draw: st.DrawFn, strategy: Any) -> LearnerSpec | None:
    """A spec of the strategy; None where it is one that is refused."""
    try:
        return draw(strategy)  # type: ignore[no-any-return]
    except SpecError:
        return None


@st.composite
def guarded(draw: st.DrawFn) -> LearnerSpec:
    """A small learner with a guard that judges a few samples at a time, and sees something in most runs."""
    spec = draw(specs(max_edges=2))
    window = draw(st.sampled_from([8, 8, 16]))
    steps = st.sampled_from([0, 1, 3, window])
    guard: dict[str, Any] = {
        "window": window,
        "copy_every": draw(st.integers(1, 2)),
        "error": draw(st.sampled_from([0.0, 0.25, 1.0])),
        "rails": draw(steps),
    }
    if "lost" in spec.counts:
        guard |= {"stagnant_error": draw(st.sampled_from([0.0, 0.25])), "imprecise": draw(steps)}
        guard["stagnant_lost"] = draw(steps) if guard["stagnant_error"] else 0
    return spec.replace(guard=guard)


@st.composite
def learner_cases(draw: st.DrawFn) -> Case:
    strategies = [
        specs(max_edges=draw(st.sampled_from([1, 1, 2, 2, 2, 3, 9]))),
        refusable(mixed_layers()),
        refusable(extreme_formats()),
        refusable(guarded()),
    ]
    spec = draw(st.one_of(*strategies).filter(lambda spec: spec is not None))
    # Windows of a guard have to fill.
    most = 24 if spec.guard is None else 60
    samples, seed = draw(st.integers(1, most)), draw(st.integers(0, 2**32 - 1))
    return LearnerCase(spec, draw_exercise(spec, samples, seed, deep=300))


@st.composite
def serial_cases(draw: st.DrawFn) -> Case:
    """Learners that take no multiplier of the chip, small enough for a small one with a link."""
    fields: dict[str, Any] = {
        "layer_sizes": draw(st.sampled_from([[1, 1], [2, 1], [1, 2]])),
        "spline_order": draw(st.integers(1, 3)),
        "grid_size": draw(st.sampled_from([1, 4, 7])),
        "update_rounding": draw(st.sampled_from(["stochastic", "half_up"])),
        "teaching": draw(st.sampled_from(["with_sample", "after_prediction"])),
        "counts": draw(st.sampled_from([[], ["lost", "outside"]])),
    }
    return LearnerCase(LearnerSpec(**fields, grid_range=(-2, 2), multiplier="serial", table_size=16), [])


@st.composite
def at_their_limits(draw: st.DrawFn) -> LookupNetwork:
    """Many inputs of one node, narrow codes, and entries that are far above those."""
    n_in, bits = draw(st.integers(1, 16)), draw(st.sampled_from([(4, 1), (2, 3), (5, 2), (1, 1)]))
    guard = draw(st.sampled_from([0, 1, 8, 30]))
    limit = draw(st.sampled_from([3, 1 << 12, (1 << 31) - 1]))
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    tables = random.choice([-limit, limit - 1, 0, 1], (n_in, 1 << bits[0]))
    edges = [{"source": range(n_in), "node": [0] * n_in, "table": tables}]
    output = draw(st.sampled_from(["raw", "threshold"]))
    thresholds = [draw(st.integers(-(1 << bits[1] - 1), (1 << bits[1] - 1) - 1))] if output == "threshold" else None
    return LookupNetwork.of([n_in, 1], bits, [1, 1], edges, guard_bits=[guard], output=output, thresholds=thresholds)


@st.composite
def network_cases(draw: st.DrawFn) -> Case:
    network = draw(networks() | at_their_limits())
    options: dict[str, Any] = draw(
        st.sampled_from([{}, {}, {"memory": "block"}, {"memory": "logic"}, {"latency": 2}, {"reuse_factor": 2}])
    )
    codes = codes_for(network, draw(st.integers(3, 60)), draw(st.integers(0, 2**32 - 1)))
    return NetworkCase(network, options, codes.tolist())
