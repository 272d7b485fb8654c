"""What is seen of layers in waveforms, whether they are folded or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import LearnerSpec, connect
from support.waveforms import read

SPECS = {
    "folded": LearnerSpec(
        layer_sizes=[2, 2],
        grid_range=(-2, 2),
        grid_size=3,
        spline_order=1,
        table_size=16,
        reuse_factor=4,
        share_multipliers=True,
    ),
    "parallel": LearnerSpec(layer_sizes=[2, 2], grid_range=(-2, 2), grid_size=3, spline_order=1, table_size=16),
}


def record(spec: LearnerSpec, backend: str, path: Path) -> Any:
    """Waveforms of some learning; gives the coefficients after it."""
    random = np.random.default_rng(11)
    with connect(spec, backend, trace=path) as learner:
        learner.learn_many(random.uniform(-2, 2, (9, 2)), random.uniform(-1, 1, (9, 2)))
        return learner.coefficients[0]


def values_at(changes: list[tuple[int, Any]], time: int) -> Any:
    """What something is just before a time."""
    return [value for when, value in changes if when < time][-1]


@pytest.mark.parametrize("name", SPECS)
def test_every_change_of_a_coefficient_is_seen(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    layer, lsb = spec.layers[0], spec.formats.coefficient.lsb
    after = record(spec, "pysim", tmp_path / "a.vcd")
    kinds, changes = read(tmp_path / "a.vcd")
    port = "learner.layer0.coefficients"
    assert kinds[f"{port}.write_0_0_1"] == kinds[f"{port}.read_0_0_1"] == "real"
    assert kinds[f"{port}.write_0_0_1_code"] == kinds[f"{port}.write_enable"] == "wire"
    # A folded layer has lanes, and tells which of its parts they are.
    lanes = (1, 1) if name == "folded" else (layer.n_out, layer.n_in)
    assert (f"{port}.write_1_0_0" in kinds) == (name == "parallel")
    assert (f"{port}.input_part" in kinds) == (name == "folded")
    held = np.array(spec.initial_codes()[0])
    edges = [time for time, value in changes["learner.clk"] if value == "1"]
    writes, taken = 0, [0] * layer.n_in
    for edge in edges:
        seen = [int(values_at(changes[f"{port}.cell_{source}"], edge)) for source in range(lanes[1])]
        if int(values_at(changes[f"{port}.write_enable"], edge)):
            writes += 1
            parts = (0, 0)
            if name == "folded":
                parts = tuple(int(values_at(changes[f"{port}.{axis}_part"], edge)) for axis in ("node", "input"))
            cells = seen if name == "folded" else taken
            for node, source, bank in np.ndindex(*lanes, layer.banks):
                index = cells[source] + (bank - cells[source]) % layer.banks
                value = values_at(changes[f"{port}.write_{node}_{source}_{bank}"], edge)
                held[parts[0] + node, parts[1] + source, index] = round(value / lsb)
        # Where samples are not gone through in steps, the next is taken as an update is written.
        if name == "parallel" and int(values_at(changes[f"{port}.take"], edge)):
            taken = seen
    assert writes == 9 * (4 if name == "folded" else 1)
    assert np.array_equal(held, after)
    assert not np.array_equal(held, spec.initial_codes()[0])


@pytest.mark.thorough
def test_both_simulators_show_the_same_of_a_folded_layer(tmp_path: Path) -> None:
    for backend in ("pysim", "native"):
        record(SPECS["folded"], backend, tmp_path / f"{backend}.vcd")
    assert (tmp_path / "pysim.vcd").read_text() == (tmp_path / "native.vcd").read_text()
