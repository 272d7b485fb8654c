"""A chip learns to swing up two links by the motor between them: A2C with one learner of layers [6, 4].

    python -m examples.acrobot
    python -m examples.acrobot --seed 1 --backend native

Three outputs are the logits of the torques -1, 0 and 1, the fourth is the value of the state. Gymnasium's Acrobot-v1
takes -1 for every step until the end of the links is above the line, and ends an episode after 500; it counts as solved
here where the mean return of 100 episodes is above -100.

Needs the extra ``gymnasium``.
"""

from __future__ import annotations

import numpy as np

from kanrtl import LearnerSpec

from .actor_critic import Control, create_command

CONTROL = Control(
    "Acrobot-v1",
    LearnerSpec(
        layer_sizes=[6, 4],
        grid_range=(-1, 1),
        grid_size=8,
        target_range=(-100, 0),  # of values: -1 for every step, discounted by 0.99
        learning_rate=1 / 256,
        loss="external",
        teaching="after_prediction",
    ),
    # Cosine and sine of both angles, and speeds: gymnasium cuts those at 4 pi and 9 pi, and they are rarely above half.
    np.array([1, 1, 1, 1, 2 * np.pi, 4.5 * np.pi]),
    solved=-100,
    most_steps=600_000,
)

if __name__ == "__main__":
    create_command(CONTROL, __doc__)()
