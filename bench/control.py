"""Tasks of gymnasium, controlled by a learner that is taught by A2C, as ``examples/cart_pole.py`` and
``examples/acrobot.py`` do it.

How many steps it takes until the mean return of 100 episodes is what counts as solved: on the RTL in machine code, with
the formats that are derived from ``target_range`` and with others, and in float64.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from kanrtl import connect

from .row import Family, Progress, Result, Row

if TYPE_CHECKING:
    from examples.actor_critic import Training

__all__ = ["FAMILY", "ControlTask"]

BACKEND = "native"
"""The RTL itself, compiled."""


@dataclass(frozen=True)
class ControlTask(Row):
    """Trainings with several seeds; each has an environment and actions of its own.

    Attributes
    ----------
    module
        Of ``examples``, with the task as its ``CONTROL``.
    seeds
        Of the trainings.
    """

    module: str
    seeds: tuple[int, ...]

    @property
    def needs(self) -> str:
        return "gymnasium"

    @property
    def obstacle(self) -> str | None:
        return None if importlib.util.find_spec("gymnasium") else "gymnasium is not installed"

    def measure(self, progress: Progress) -> Result:
        # gymnasium is an extra.
        from examples.actor_critic import DISCOUNT, ROLLOUT, Control, FloatPolicy, train

        control: Control = importlib.import_module(f"examples.{self.module}").CONTROL

        def integer(fields: Mapping[str, Any]) -> Callable[[int], Training]:
            def run(seed: int) -> Training:
                with connect(control.spec.replace(**fields), BACKEND) as learner:
                    return train(control, learner, seed)

            return run

        kinds: dict[str, Callable[[int], Training]] = {
            "derived formats": integer({}),
            **{name: integer(fields) for name, fields in control.rounded.items()},
            "float64": lambda seed: train(control, FloatPolicy(control.spec), seed),
        }
        trainings = {}
        for kind, run in kinds.items():
            trainings[kind] = []
            for seed in self.seeds:
                progress(f"{kind}, seed {seed}")
                trainings[kind].append(asdict(run(seed)))
        return {
            "backend": BACKEND,
            "spec": control.spec.to_dict(),
            "formats": {name: dict(fields) for name, fields in control.rounded.items()},
            "solved": control.solved,
            "rollout": ROLLOUT,
            "discount": DISCOUNT,
            "most_steps": control.most_steps,
            "trainings": trainings,
            "tools": {name: version(name) for name in ("numpy", "gymnasium")},
        }


FAMILY = Family(
    "control",
    "learners that balance and swing up",
    (
        ControlTask("cart-pole", "CartPole-v1 by A2C, layers [4, 3]", "cart_pole", (0, 1)),
        ControlTask("acrobot", "Acrobot-v1 by A2C, layers [6, 4]", "acrobot", (0, 1)),
    ),
)
