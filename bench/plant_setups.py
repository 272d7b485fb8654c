"""Which plants are compared on, and what each kind of method is given of a sample.

Two rows are of signals that were measured, which are not part of the repository: ``KANRTL_SIGNALS`` names a folder with
``qubit_shots.npz`` and ``power_amplifier.npz``, as the rows of measured signals take them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from kanrtl.sim import PLANTS
from kanrtl.sim.plant import Plant
from kanrtl.sim.predistortion import MEMORY, Amplifier, Complexes, Predistortion
from kanrtl.sim.qubit_readout import QubitReadout

from .signals import load, missing_file

__all__ = ["SETUPS", "Setup"]

_ORDERS = 5


@dataclass(frozen=True)
class Setup:
    """A plant, and what of a sample and of a spec belongs to it.

    Attributes
    ----------
    name
        What its rows are called.
    kind, create
        The plant, and how one is made of samples and seed.
    kan
        Fields of the learner's spec.
    kan_columns, filter_columns, mlp_columns
        The numbers of a sample that a learner, a filter and a perceptron are given.
    file
        The file that it needs; empty if none.
    """

    name: str
    kind: type[Plant]
    create: Callable[[int, int], Plant]
    kan_columns: tuple[int, ...]
    filter_columns: tuple[int, ...]
    mlp_columns: tuple[int, ...]
    kan: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be made; None where it can."""
        return missing_file(self.file) if self.file else None


def _plain(name: str) -> Setup:
    kind = PLANTS[name]
    columns = tuple(range(kind.n_in))
    return Setup(name, kind, kind, columns, columns, columns)


def _qubit() -> Setup:
    def create(samples: int, seed: int) -> Plant:
        return QubitReadout(samples, seed, _load_shots())

    return Setup("qubit-measured", QubitReadout, create, (0, 1), (0, 1), (0, 1), file="qubit_shots.npz")


@cache
def _load_shots() -> Any:
    return load("qubit_shots.npz")["two_states"].astype(float)


def _predistortion(name: str, create: Callable[[int, int], Plant], file: str = "") -> Setup:
    """Filters are given I and Q of both taps, and what can learn a curve their sizes too."""
    modulated = {"layer_sizes": [2, 2], "modulated": "complex", "grid_range": (0, 1)}
    everything = tuple(range(Predistortion.n_in))
    return Setup(name, Predistortion, create, everything, (0, 1, 3, 4), everything, modulated, file)


def _measured_predistortion(samples: int, seed: int) -> Plant:
    return Predistortion(samples, seed, _load_amplifier())


@cache
def _load_amplifier() -> Amplifier:
    arrays = load("power_amplifier.npz")
    return fit_amplifier(arrays["train_input"], arrays["train_output"])


def fit_amplifier(x: Complexes, y: Complexes) -> Amplifier:
    """A memory polynomial of a measured amplifier, by least squares, with a gain of one where its input is small."""
    x = np.asarray(x, dtype=np.complex128) / np.abs(x).max()
    past = np.stack([np.concatenate([np.zeros(tap), x])[: len(x)] for tap in range(MEMORY)], axis=1)
    weights = np.linalg.lstsq(_terms(past), np.asarray(y, dtype=np.complex128), rcond=None)[0]
    weights /= weights[::_ORDERS].sum()
    return partial(_amplify, weights)


def _terms(past: Complexes) -> Complexes:
    """Of every tap x |x|^k, k below :data:`_ORDERS`."""
    powers = np.abs(past)[..., None] ** np.arange(_ORDERS)
    found: Complexes = (past[..., None] * powers).reshape(*past.shape[:-1], -1)
    return found


def _amplify(weights: Complexes, inputs: Complexes) -> complex:
    return complex(_terms(inputs) @ weights)


_TOUCH = Setup(
    "touch",
    PLANTS["touch"],
    PLANTS["touch"],
    (0, 1, 0, 2),
    (0, 1),
    (0, 1),
    {"layer_sizes": [2, 1], "modulated": True},
)
"""A learner gives the jump times a curve of the strength and one of the jump's size."""

SETUPS: dict[str, Setup] = {
    setup.name: setup
    for setup in (
        *(_plain(name) for name in sorted(PLANTS) if name not in ("predistortion", "touch")),
        _predistortion("predistortion", Predistortion),
        _predistortion("predistortion-measured", _measured_predistortion, "power_amplifier.npz"),
        _qubit(),
        _TOUCH,
    )
}
"""Every plant, those of measured signals too, by the name of its row."""
