"""A pole on a cart, balanced by a learner that is taught by A2C, as ``examples/cart_pole.py`` does it.

How many steps it takes until the mean return of 100 episodes is 475, in fixed point with the formats that are derived
from ``target_range``, and in float64.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from kanrtl import connect

from .row import Family, Progress, Result, Row

if TYPE_CHECKING:
    from examples.cart_pole import Training

__all__ = ["FAMILY", "CartPole"]


@dataclass(frozen=True)
class CartPole(Row):
    """Trainings with several seeds; each has an environment and actions of its own."""

    seeds: tuple[int, ...]

    @property
    def needs(self) -> str:
        return "gymnasium"

    @property
    def obstacle(self) -> str | None:
        return None if importlib.util.find_spec("gymnasium") else "gymnasium is not installed"

    def measure(self, progress: Progress) -> Result:
        # gymnasium is an extra.
        from examples.cart_pole import DISCOUNT, MOST_STEPS, ROLLOUT, SPEC, FloatPolicy, train

        def integer(seed: int) -> Training:
            with connect(SPEC, "compiled") as learner:
                return train(learner, seed)

        kinds: dict[str, Callable[[int], Training]] = {
            "derived formats": integer,
            "float64": lambda seed: train(FloatPolicy(SPEC), seed),
        }
        trainings = {}
        for kind, run in kinds.items():
            trainings[kind] = []
            for seed in self.seeds:
                progress(f"{kind}, seed {seed}")
                trainings[kind].append(asdict(run(seed)))
        return {
            "spec": SPEC.to_dict(),
            "rollout": ROLLOUT,
            "discount": DISCOUNT,
            "most_steps": MOST_STEPS,
            "trainings": trainings,
            "tools": {name: version(name) for name in ("numpy", "gymnasium")},
        }


FAMILY = Family("loops", "loops", (CartPole("cart-pole", "CartPole-v1 by A2C, layers [4, 3]", (0, 1)),))
