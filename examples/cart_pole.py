"""A chip learns to balance a pole on a cart: advantage actor-critic (A2C) with one learner of layers [4, 3].

    python -m examples.cart_pole
    python -m examples.cart_pole --seed 1 --backend native

Two outputs are the logits of pushing left and right, the third is the value of the state. Gymnasium's CartPole-v1
counts as solved where the mean return of 100 episodes is 475 of at most 500.

Needs the extra ``gymnasium``.
"""

from __future__ import annotations

import numpy as np

from kanrtl import LearnerSpec

from .actor_critic import Control, create_command

CONTROL = Control(
    "CartPole-v1",
    LearnerSpec(
        layer_sizes=[4, 3],
        grid_range=(-1, 1),
        grid_size=8,
        target_range=(0, 100),  # of values: one for every step, discounted by 0.99
        learning_rate=1 / 256,
        loss="external",
        teaching="after_prediction",
    ),
    # An episode ends beyond 2.4 m or 0.21 rad, and speeds are rarely above 3.
    np.array([2.4, 3, 0.21, 3]),
    solved=475,
    most_steps=550_000,
    rounded={
        "32 bits": {"input_format": "SQ(2, 30)", "output_format": "SQ(9, 23)", "coefficient_format": "SQ(9, 23)"},
        "16 bits": {"input_format": "SQ(2, 14)", "output_format": "SQ(9, 7)", "coefficient_format": "SQ(9, 7)"},
    },
)

if __name__ == "__main__":
    create_command(CONTROL, __doc__)()
