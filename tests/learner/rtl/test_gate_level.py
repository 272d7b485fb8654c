"""What goes onto a chip, the netlist after synthesis, gives the model's bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

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


def test_netlist_gives_the_models_bits(runtime: Path, tmp_path: Path) -> None:
    """Two registers behind a product, with nothing between them; others are in ``tests/experiments/test_verify.py``."""
    device = "iCE40UP5K"
    fields = SMALL | {"spline_order": 1, "pipeline": "all_registers", "update_rounding": "half_even"}
    spec = LearnerSpec.from_dict(fields).for_device(Device.parse(device))
    module = write_netlist(spec, device, tmp_path)
    multipliers = [cell for cell in module["cells"].values() if cell["type"] == "SB_MAC16"]
    # Each of the banks multiplies on the way forward and for its update.
    assert len(multipliers) == 2 * (spec.spline_order + 1)
    program = compile_learner(tmp_path / "learner.v", runtime, tmp_path)
    random = np.random.default_rng(7)
    x = random.uniform(-2.2, 2.2, (300, 1))
    target = random.uniform(-1, 1, (300, 1))
    backend = VerilatorBackend(spec, program, tmp_path / "learner.v")
    with Session(spec, backend) as learner, connect(spec) as model:
        assert np.array_equal(learner.learn_many(x, target), model.learn_many(x, target))
        assert np.array_equal(learner.coefficients[0], model.coefficients[0])
        assert not np.array_equal(learner.coefficients[0], spec.initial_codes()[0])
