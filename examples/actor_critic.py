"""Advantage actor-critic (A2C) with one learner of one layer, as the examples ``cart_pole`` and ``acrobot`` use it.

Outputs are the logits of the actions, and behind them the value of the state. The loss is computed here, so the learner
takes gradients: it predicts at every step, and after 64 steps it is taught all of them in one call.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import click
import gymnasium
import numpy as np
import numpy.typing as npt

from kanrtl import LearnerSpec, Model, connect

Reals = npt.NDArray[np.float64]

ROLLOUT = 64
DISCOUNT = 0.99
TRACE = 0.98
"""How far an advantage looks ahead: lambda of generalised advantage estimation (Schulman et al., arXiv 1506.02438)."""
ENTROPY = 0.02
EPISODES = 100
"""Of so many the mean return says whether a task is solved."""


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
class Control:
    """A task of gymnasium, and the learner for it.

    Attributes
    ----------
    name
        In gymnasium.
    spec
        The learner: as many inputs as there are observations, and an output more than there are actions.
    scale
        What each observation is divided by, to come to the grid.
    solved
        The mean return of :data:`EPISODES` episodes from which on the task counts as solved.
    most_steps
        After which training ends, if it is not.
    rounded
        What other configurations of the learner change in the spec, by their names.
    """

    name: str
    spec: LearnerSpec
    scale: Reals
    solved: float
    most_steps: int
    rounded: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def environment(self) -> Any:
        """A new one."""
        return gymnasium.make(self.name, disable_env_checker=True)

    @property
    def actions(self) -> int:
        """How many there are."""
        return self.spec.n_out - 1


@dataclass(frozen=True)
class Training:
    """What came of a training: the steps after which the task was solved, or None, and how many episodes and what mean
    return of the last 100 there were; then the mean return of ten episodes of the likeliest action, not learned."""

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
    steps, zero where an episode came to its end; ``ends`` says where one did, or was cut."""
    errors = rewards + DISCOUNT * following - values
    advantages, ahead = np.empty_like(errors), 0.0
    for step in range(len(errors) - 1, -1, -1):
        ahead = advantages[step] = errors[step] + DISCOUNT * TRACE * (0.0 if ends[step] else ahead)
    return advantages


def gradients_of(outputs: Reals, actions: npt.NDArray[np.int64], advantages: Reals) -> Reals:
    """dL/dy of outputs ``(n, actions + 1)``: those of the logits raise what was better than its value, and keep the
    policy open by its entropy; that of the value is its error."""
    chances = softmax(outputs[:, :-1])
    logs = np.log(np.maximum(chances, 1e-12))
    taken = np.eye(chances.shape[1])[actions]
    entropy = -(chances * logs).sum(axis=1, keepdims=True)
    logits = (chances - taken) * advantages[:, None] + ENTROPY * chances * (logs + entropy)
    return np.concatenate([logits, -advantages[:, None]], axis=1)


def train(control: Control, policy: Policy, seed: int, most_steps: int | None = None) -> Training:
    """Let a policy learn until the task is solved, or so many steps are gone."""
    environment, random = control.environment(), np.random.default_rng(seed)
    most_steps = control.most_steps if most_steps is None else most_steps
    state = environment.reset(seed=seed)[0] / control.scale
    returns: deque[float] = deque(maxlen=EPISODES)
    episodes, steps, collected = 0, 0, 0.0
    while steps < most_steps and not (len(returns) == EPISODES and np.mean(returns) >= control.solved):
        rows, outputs, actions, rewards, following, ends = [], [], [], [], [], []
        for _ in range(ROLLOUT):
            output = policy.predict(state)
            # The first action at which the sum of probabilities is above a random number.
            action = int(np.searchsorted(np.cumsum(softmax(output[:-1]))[:-1], random.random(), side="right"))
            observation, reward, over, cut, _ = environment.step(action)
            rows.append(state)
            outputs.append(output)
            actions.append(action)
            rewards.append(float(reward))
            ends.append(over or cut)
            collected += float(reward)
            state = observation / control.scale
            following.append(0.0 if over else float(policy.predict(state)[-1]) if cut else np.nan)
            if over or cut:
                returns.append(collected)
                episodes, collected = episodes + 1, 0.0
                state = environment.reset()[0] / control.scale
        steps += ROLLOUT
        values = np.array([output[-1] for output in outputs])
        # Where an episode went on, the state after a step is the one before the next.
        later = np.append(values[1:], policy.predict(state)[-1])
        after = np.where(np.isnan(following), later, following)
        advantages = advantages_of(np.array(rewards), values, after, np.array(ends))
        policy.feedback_many(np.array(rows), gradients_of(np.array(outputs), np.array(actions), advantages))
    solved = len(returns) == EPISODES and np.mean(returns) >= control.solved
    mean = float(np.mean(returns)) if returns else 0.0
    return Training(seed, steps if solved else None, steps, episodes, mean, play(control, policy, seed))


def play(control: Control, policy: Policy, seed: int, episodes: int = 10) -> float:
    """The mean return of episodes in which the likeliest action is taken, and nothing is learned."""
    environment, total = control.environment(), 0.0
    for episode in range(episodes):
        state, over = environment.reset(seed=seed if episode == 0 else None)[0], False
        while not over:
            output = policy.predict(state / control.scale)
            state, reward, ended, cut, _ = environment.step(int(np.argmax(output[:-1])))
            total, over = total + float(reward), ended or cut
    return total / episodes


def create_command(control: Control, text: str) -> click.Command:
    """The command line of a task."""

    @click.command(help=text.split("\n\n")[0])
    @click.option("--seed", default=0, help="Of the environment and the actions.", show_default=True)
    @click.option(
        "--backend", default="compiled", help="As for kanrtl.connect; float64 for real numbers.", show_default=True
    )
    @click.option("--steps", default=control.most_steps, help="Give up after so many.", show_default=True)
    @click.option("--formats", type=click.Choice(["derived", *control.rounded]), default="derived", show_default=True)
    def command(seed: int, backend: str, steps: int, formats: str) -> None:
        spec = control.spec.replace(**control.rounded.get(formats, {}))
        if backend == "float64":
            found = train(control, FloatPolicy(spec), seed, steps)
        else:
            with connect(spec, backend) as learner:
                found = train(control, learner, seed, steps)
        click.echo(json.dumps(asdict(found)))

    return command
