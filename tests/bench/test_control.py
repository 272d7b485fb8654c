"""A2C on tasks of gymnasium: the gradients that the learner is given, and that it learns from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import control
from examples import acrobot, cart_pole
from examples.actor_critic import DISCOUNT, ENTROPY, TRACE, Control, advantages_of, gradients_of, softmax, train
from kanrtl import connect


def test_gradients_are_those_of_the_loss() -> None:
    """Beside differences of L = -A log p(a) - entropy bonus + (V - R)^2 / 2, with A = R - V held."""
    random = np.random.default_rng(0)
    outputs, actions = random.normal(0, 2, (5, 3)), random.integers(0, 2, 5)
    advantages = random.normal(0, 3, 5)
    reached = outputs[:, 2] + advantages

    def loss(outputs: np.ndarray) -> np.ndarray:
        chances = softmax(outputs[:, :2])
        policy = -advantages * np.log(chances[np.arange(5), actions])
        entropy = -(chances * np.log(chances)).sum(axis=1)
        return policy - ENTROPY * entropy + (outputs[:, 2] - reached) ** 2 / 2  # type: ignore[no-any-return]

    gradients, step = gradients_of(outputs, actions, advantages), 1e-6
    for output in range(3):
        moved = step * np.eye(3)[output]
        differences = (loss(outputs + moved) - loss(outputs - moved)) / (2 * step)
        np.testing.assert_allclose(gradients[:, output], differences, atol=1e-6)


def test_advantages_look_ahead_to_the_end_of_an_episode() -> None:
    rewards, values, following = np.ones(4), np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 0.0, 4.0, 5.0])
    found = advantages_of(rewards, values, following, np.array([False, True, False, False]))
    errors = rewards + DISCOUNT * following - values
    ahead = DISCOUNT * TRACE
    expected = [errors[0] + ahead * errors[1], errors[1], errors[2] + ahead * errors[3], errors[3]]
    np.testing.assert_allclose(found, expected)


def test_a_learner_keeps_the_pole_up_longer() -> None:
    task = cart_pole.CONTROL
    with connect(task.spec) as ours, connect(task.spec, "compiled") as theirs:
        first = train(task, ours, 0, 128)
        assert first == train(task, theirs, 0, 128)
        later = train(task, theirs, 0, 6400)
    assert (first.steps, later.steps) == (128, 6400)
    assert first.solved_after is later.solved_after is None
    assert later.mean_return > 1.5 * first.mean_return


@pytest.mark.thorough
def test_a_learner_swings_up_sooner() -> None:
    task = acrobot.CONTROL
    with connect(task.spec, "compiled") as learner:
        found = train(task, learner, 0, 6400)
    assert found.mean_return > -400  # of chance, nearly -500
    assert found.greedy_return > -200


@pytest.mark.parametrize("task", [cart_pole.CONTROL, acrobot.CONTROL], ids=lambda task: task.name)
def test_a_task_and_its_learner_fit(task: Control) -> None:
    environment = task.environment()
    assert environment.action_space.n == task.actions
    assert environment.observation_space.shape == task.scale.shape == (task.spec.n_in,)
    for fields in task.rounded.values():
        task.spec.replace(**fields)


def test_a_row_needs_gymnasium(monkeypatch: pytest.MonkeyPatch) -> None:
    for row in control.FAMILY.rows:
        assert row.obstacle is None
    monkeypatch.setattr(control.importlib.util, "find_spec", lambda _: None)
    for row in control.FAMILY.rows:
        assert replace(row).obstacle == "gymnasium is not installed"
