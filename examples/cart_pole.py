"""A chip learns to balance a pole on a cart: advantage actor-critic (A2C) with one learner of layers [4, 3].

    python examples/cart_pole.py
    python examples/cart_pole.py --seed 1 --backend native

Two outputs are the logits of pushing left and right, the third is the value of the state. The loss is computed here, so
the learner takes gradients: it predicts at every step, and after 64 steps it is taught all of them in one call.
Gymnasium's CartPole-v1 counts as solved where the mean return of 100 episodes is 475 of at most 500.

Needs the extra ``gymnasium``.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass
from math import tanh
from typing import Protocol

import click
import gymnasium
import numpy as np
import numpy.typing as npt

from kanrtl import LearnerSpec, Model, connect

Reals = npt.NDArray[np.float64]

SPEC = LearnerSpec(
    layer_sizes=[4, 3],
    grid_range=(-1, 1),
    grid_size=8,
    target_range=(0, 100),  # of values: one for every step, discounted by 0.99
    learning_rate=1 / 256,
    loss="external",
    teaching="after_prediction",
)

SCALE = np.array([2.4, 3, 0.21, 3])
"""What an observation is divided by, to come to the grid: an episode ends beyond 2.4 m or 0.21 rad, and speeds are
rarely above 3."""

ROLLOUT = 64
DISCOUNT = 0.99
TRACE = 0.98
"""How far an advantage looks ahead: lambda of generalised advantage estimation (Schulman et al., arXiv 1506.02438)."""
ENTROPY = 0.02

SOLVED, EPISODES, MOST_STEPS = 475, 100, 550_000


class Policy(Protocol):
    """What A2C asks of a learner; a :class:`kanrtl.Session` is one."""

    def predict(self, x: Reals) -> Reals: ...

    def feedback_many(self, x: Reals, gradient: Reals) -> Reals: ...


class FloatPolicy:
    """The same learner in float64, in which nothing is rounded."""

    def __init__(self, spec: LearnerSpec) -> None:
        self._model = Model(spec, "float64")

    def predict(self, x: Reals) -> Reals:
        return self._model.predict(x)

    def feedback_many(self, x: Reals, gradient: Reals) -> Reals:
        return self._model.run(x, gradient, np.ones(len(x), dtype=bool))


@dataclass(frozen=True)
class Training:
    """What came of a training: the steps after which the task was solved, or None, and how many episodes and what mean
    return of the last 100 there were; then the mean return of ten episodes of the likelier push, without learning."""

    seed: int
    solved_after: int | None
    steps: int
    episodes: int
    mean_return: float
    greedy_return: float


def softmax(logits: Reals) -> Reals:
    """Probabilities, of logits along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def advantages_of(rewards: Reals, values: Reals, following: Reals, ends: npt.NDArray[np.bool_]) -> Reals:
    """How much better every step was than its value, of a rollout: ``following`` are the values of the states after the
    steps, zero where the pole fell; ``ends`` says where an episode ended."""
    errors = rewards + DISCOUNT * following - values
    advantages, ahead = np.empty_like(errors), 0.0
    for step in range(len(errors) - 1, -1, -1):
        ahead = advantages[step] = errors[step] + DISCOUNT * TRACE * (0.0 if ends[step] else ahead)
    return advantages


def gradients_of(outputs: Reals, actions: npt.NDArray[np.int64], advantages: Reals) -> Reals:
    """dL/dy of outputs ``(n, 3)``: those of the logits raise what was better than its value, and keep the policy open
    by its entropy; that of the value is its error."""
    chances = softmax(outputs[:, :2])
    logs = np.log(np.maximum(chances, 1e-12))
    taken = np.eye(2)[actions]
    entropy = -(chances * logs).sum(axis=1, keepdims=True)
    logits = (chances - taken) * advantages[:, None] + ENTROPY * chances * (logs + entropy)
    return np.concatenate([logits, -advantages[:, None]], axis=1)


def train(policy: Policy, seed: int, most_steps: int = MOST_STEPS) -> Training:
    """Let a policy learn until the task is solved, or so many steps are gone."""
    environment, random = gymnasium.make("CartPole-v1", disable_env_checker=True), np.random.default_rng(seed)
    state = environment.reset(seed=seed)[0] / SCALE
    returns: deque[float] = deque(maxlen=EPISODES)
    episodes, steps, collected = 0, 0, 0.0
    while steps < most_steps and not (len(returns) == EPISODES and np.mean(returns) >= SOLVED):
        rows, outputs, actions, following, ends = [], [], [], [], []
        for _ in range(ROLLOUT):
            output = policy.predict(state)
            action = int(random.random() < (1 + tanh((output[1] - output[0]) / 2)) / 2)
            observation, reward, fallen, cut, _ = environment.step(action)
            rows.append(state)
            outputs.append(output)
            actions.append(action)
            ends.append(fallen or cut)
            collected += float(reward)
            state = observation / SCALE
            following.append(0.0 if fallen else float(policy.predict(state)[2]) if cut else np.nan)
            if fallen or cut:
                returns.append(collected)
                episodes, collected = episodes + 1, 0.0
                state = environment.reset()[0] / SCALE
        steps += ROLLOUT
        values = np.array([output[2] for output in outputs])
        # Where an episode went on, the state after a step is the one before the next.
        later = np.append(values[1:], policy.predict(state)[2])
        following = np.where(np.isnan(following), later, following)
        advantages = advantages_of(np.ones(ROLLOUT), values, following, np.array(ends))
        policy.feedback_many(np.array(rows), gradients_of(np.array(outputs), np.array(actions), advantages))
    solved = len(returns) == EPISODES and np.mean(returns) >= SOLVED
    mean = float(np.mean(returns)) if returns else 0.0
    return Training(seed, steps if solved else None, steps, episodes, mean, play(policy, seed))


def play(policy: Policy, seed: int, episodes: int = 10) -> float:
    """The mean return of episodes in which the likelier push is taken, and nothing is learned."""
    environment, total = gymnasium.make("CartPole-v1", disable_env_checker=True), 0.0
    for episode in range(episodes):
        state, over = environment.reset(seed=seed if episode == 0 else None)[0], False
        while not over:
            output = policy.predict(state / SCALE)
            state, reward, fallen, cut, _ = environment.step(int(output[1] > output[0]))
            total, over = total + float(reward), fallen or cut
    return total / episodes


@click.command(help=__doc__.split("\n\n")[0])
@click.option("--seed", default=0, help="Of the environment and the actions.", show_default=True)
@click.option(
    "--backend", default="compiled", help="As for kanrtl.connect; float64 for real numbers.", show_default=True
)
@click.option("--steps", default=MOST_STEPS, help="Give up after so many.", show_default=True)
def main(seed: int, backend: str, steps: int) -> None:
    if backend == "float64":
        found = train(FloatPolicy(SPEC), seed, steps)
    else:
        with connect(SPEC, backend) as learner:
            found = train(learner, seed, steps)
    click.echo(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
