"""Folded layers alone: their plans, and the steps of their passes as a testbench drives and expects them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kanrtl import LearnerSpec
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.pass_sequencer import StepTimes
from support.tiers import only

T = {
    "layer_sizes": [1, 1],
    "grid_range": (-2, 2),
    "grid_size": 5,
    "learning_rate": 0.3,
    "output_format": "SQ(5, 9)",
    "update_rounding": "half_up",
}
# Small, as the simulation of many lanes takes its time; in the first layer there are more banks than bases.
TWO = T | {"layer_sizes": [2, 4, 2], "spline_order": [2, 1], "grid_size": 3, "table_size": 16}

PLANS: dict[str, tuple[dict[str, Any], int]] = {
    "shared": (T | {"share_multipliers": True}, 0),
    "shared, registers": (T | {"share_multipliers": True, "pipeline": "most_registers"}, 0),
    "serial": (T | {"multiplier": "serial", "pipeline": "most_registers"}, 0),
    "inputs": (TWO | {"reuse_factor": [2, 2], "multiplier": "lut"}, 0),
    "both": (TWO | {"reuse_factor": [4, 4], "update_rounding": "stochastic", "pipeline": "all_registers"}, 0),
    "hidden": (TWO | {"reuse_factor": [2, 2], "rounding": "half_up"}, 1),
    "hidden, registers": (
        TWO | {"reuse_factor": [2, 8], "pipeline": "all_registers", "update_rounding": "stochastic"},
        1,
    ),
    "hidden, shared": (TWO | {"reuse_factor": [2, 8], "share_multipliers": True, "memory": "block"}, 1),
    "hidden, serial": (TWO | {"reuse_factor": [1, 2], "multiplier": "serial", "pipeline": "most_registers"}, 1),
    "hidden, serial, shared": (
        TWO | {"reuse_factor": [1, 8], "multiplier": "serial", "share_multipliers": True, "rounding": "half_even"},
        1,
    ),
}
"""Fields of a spec, and which of its layers."""

NAMES = only(lambda name: name not in ("hidden, serial", "hidden, shared"), PLANS)
"""Those of :data:`PLANS`; of the two in which the one after the last is both, only `make thorough` tries each alone."""


def plan_of(name: str, **fields: Any) -> LayerPlan:
    """The plan of one of :data:`PLANS`, with some fields changed."""
    given, index = PLANS[name]
    return LearnerSpec(**given | fields).plans[index]


@dataclass(frozen=True)
class Step:
    """One step of a pass, and the cycle in which it begins."""

    begin: int
    kind: str
    input_part: int
    node_part: int


def forward_steps(plan: LayerPlan, begin: int) -> list[Step]:
    """A forward pass from cycle ``begin`` on: the inputs innermost."""
    passes = plan.passes
    order = [(source, node) for node in range(passes.nodes) for source in range(passes.inputs)]
    return [Step(begin + passes.step_cycles * n, "forward", *parts) for n, parts in enumerate(order)]


def backward_steps(plan: LayerPlan, begin: int) -> list[Step]:
    """A backward pass from cycle ``begin`` on, with the nodes innermost: for slopes and then for the update where they
    share multipliers."""
    passes = plan.passes
    order = [(source, node) for source in range(passes.inputs) for node in range(passes.nodes)]
    kinds = ["slopes", "update"] if passes.hidden and passes.shared else ["update"]
    steps = [(kind, *parts) for kind in kinds for parts in order]
    return [Step(begin + passes.step_cycles * n, *step) for n, step in enumerate(steps)]


def offset_of(plan: LayerPlan, name: str) -> int:
    """Cycles from a step's beginning to the offset of that name."""
    return 0 if name == "begun" else int(getattr(plan.passes, name))


def times_at(plan: LayerPlan, steps: list[Step], cycle: int) -> dict[str, Any]:
    """What :class:`StepTimes` are in a cycle; parts are None where no step is at the offset."""
    passes, members = plan.passes, StepTimes(plan).members

    def pulses(kinds: set[str], length: int) -> int:
        return sum(1 << cycle - step.begin for step in steps if step.kind in kinds and 0 <= cycle - step.begin < length)

    def step_at(offset: int, kind: str = "") -> Step | None:
        here = [step for step in steps if 0 <= cycle - offset - step.begin < passes.step_cycles]
        return next((step for step in here if kind in step.kind), None)

    alike = {"slopes"} if passes.shared else {"slopes", "update"}
    kinds = {"step": {"forward", "slopes", "update"}, "forward": {"forward"}, "update": {"update"}, "slopes": alike}
    found: dict[str, Any] = {
        name: pulses(wanted, members[name].shape) for name, wanted in kinds.items() if name in members
    }
    for part in ("input_part", "node_part"):
        found[part] = {
            name: getattr(step_at(offset_of(plan, name)), part, None) for name in members[part].shape.members
        }
    if passes.shared:
        offsets = {"update": passes.stepped, "slopes": passes.read}
        found["multiplies"] = {
            name: step_at(offsets[name], name) is not None for name in members["multiplies"].shape.members
        }
    return found


def drive(ctx: Any, times: Any, plan: LayerPlan, steps: list[Step], cycle: int) -> None:
    """Drives a component's ``times`` in a cycle."""
    for name, value in times_at(plan, steps, cycle).items():
        member = getattr(times, name)
        if isinstance(value, dict):
            for field, inner in value.items():
                ctx.set(member[field], inner or 0)
        else:
            ctx.set(member, value)


def codes(random: np.random.Generator, format: Any, *shape: int) -> Any:
    """Random codes of a format, its bounds among them."""
    drawn = random.integers(format.minimum, format.maximum + 1, shape)
    return np.where(random.random(shape) < 0.1, random.choice([format.minimum, format.maximum]), drawn)


def rotate(plan: LayerPlan, window: Any, cell: int) -> list[int]:
    """The values of a window that begins with ``cell``, in bank order; zero where a bank has none."""
    banks = plan.layer.banks
    padded = [*(int(value) for value in window), *[0] * (banks - len(window))]
    return [padded[(bank - cell) % banks] for bank in range(banks)]
