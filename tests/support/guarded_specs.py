"""Small learners with a guard, for whatever has to cope with one."""

from __future__ import annotations

from kanrtl import LearnerSpec

PLAIN = LearnerSpec(
    layer_sizes=[1, 1],
    grid_range=(-2, 2),
    grid_size=4,
    table_size=16,
    learning_rate=0.25,
    activation_format="SQ(3, 6)",
    coefficient_format="SQ(3, 6)",
    update_rounding="half_up",
    counts=["lost"],
)
"""The learner alone."""

GUARD = {"window": 8, "copy_every": 1, "error": 1.0, "rails": 6}
GUARDED = PLAIN.replace(guard=GUARD)
"""With a guard that copies in every window."""
