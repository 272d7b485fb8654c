"""Networks that are simulated with samples of any kind, or random ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LookupNetwork
from kanrtl.experiments.simulate_network import simulate_network


def network(output: str = "raw", n_out: int = 2) -> LookupNetwork:
    edges = {"source": [0] * n_out, "node": range(n_out), "table": np.array([[0, 1, -2, -1]] * n_out)}
    return LookupNetwork.of([1, n_out], 2, 1, [edges], output=output)


@pytest.mark.parametrize("samples", [0, -1])
def test_random_samples_are_one_or_more(samples: int) -> None:
    with pytest.raises(InputError, match=rf"^samples = {samples}: must be 1 or more$"):
        simulate_network(network(), "model", samples=samples)
    assert len(simulate_network(network(), "model", samples=1).predictions) == 1


@pytest.mark.parametrize(
    ("output", "n_out", "y", "line"),
    [
        ("raw", 1, np.zeros((2, 3)), "y: 2 rows; X has 6; give one for each"),
        ("raw", 1, np.zeros((1, 6)), "y: 1 rows; X has 6; give one for each"),
        ("raw", 2, np.zeros((12, 1)), "y: 12 rows; X has 6; give one for each"),
        ("argmax", 2, np.zeros((3, 2, 1), int), "y: 3 rows; X has 6; give one for each"),
        (
            "argmax",
            2,
            np.ma.masked_array([0, 9, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0]),
            "y[1] is masked; give a number, or leave the row out",
        ),
    ],
)
def test_what_is_known_has_one_row_for_each_sample(output: str, n_out: int, y: Any, line: str) -> None:
    x = np.arange(6.0)[:, None] % 3 - 1
    with pytest.raises(InputError) as refusal:
        simulate_network(network(output, n_out), "model", x=x, y=y)
    assert str(refusal.value) == line


def test_a_column_of_classes_is_one_class_for_each_sample() -> None:
    x = np.arange(6.0)[:, None] % 3 - 1
    assert simulate_network(network("argmax"), "model", x=x, y=np.zeros((6, 1), int)).score == {"accuracy": 1.0}
    assert "rms_error" in simulate_network(network("raw", 1), "model", x=x, y=np.zeros(6)).score
