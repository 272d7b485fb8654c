"""What goes onto a chip, the netlist after synthesis, gives the model's bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kanrtl import LearnerSpec, Session, connect
from kanrtl.fabric.device import Device
from support.gate_level import write_netlist
from support.verilator_backend import VerilatorBackend, compile_learner

SMALL = {
    "layer_sizes": [1, 1],
    "grid_range": [-2, 2],
    "grid_size": 3,
    "spline_order": 3,
    "table_size": 16,
    "learning_rate": 0.3,
    "activation_format": "SQ(4, 6)",
}


@pytest.mark.parametrize(
    ("device", "kind", "fields"),
    [
        # yosys has no model of ECP5's block memory that could be simulated.
        ("LFE5U-25F-6", "MULT18X18D", {"pipeline": "most_registers", "table_memory": "logic"}),
        ("iCE40UP5K", "SB_MAC16", {"spline_order": 1, "pipeline": "most_registers", "table_memory": "block"}),
        # Two registers behind a product, with nothing between them.
        ("iCE40UP5K", "SB_MAC16", {"spline_order": 1, "pipeline": "all_registers", "update_rounding": "half_even"}),
    ],
)
def test_netlist_gives_the_models_bits(
    device: str, kind: str, fields: dict[str, object], runtime: Path, tmp_path: Path
) -> None:
    fields = SMALL | fields
    spec = LearnerSpec.from_dict(fields).for_device(Device.parse(device))
    module = write_netlist(spec, device, tmp_path)
    multipliers = [cell for cell in module["cells"].values() if cell["type"] == kind]
    # Each of the banks multiplies on the way forward and for its update.
    assert len(multipliers) == 2 * (spec.spline_order + 1)
    if kind == "MULT18X18D":
        assert all(cell["parameters"]["REG_OUTPUT_CLK"] == "CLK0" for cell in multipliers)
    program = compile_learner(tmp_path / "learner.v", runtime, tmp_path)
    random = np.random.default_rng(7)
    x = random.uniform(-2.2, 2.2, (300, 1))
    target = random.uniform(-1, 1, (300, 1))
    backend = VerilatorBackend(spec, program, tmp_path / "learner.v")
    with Session(spec, backend) as learner, connect(spec) as model:
        assert np.array_equal(learner.learn_many(x, target), model.learn_many(x, target))
        assert np.array_equal(learner.coefficients[0], model.coefficients[0])
        assert not np.array_equal(learner.coefficients[0], spec.initial_codes()[0])
