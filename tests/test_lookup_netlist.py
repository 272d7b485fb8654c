"""What goes onto a chip, cell by cell, gives the model's bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from cell_netlist import settled, synthesised
from lookup_networks import codes_for, table

from kanrtl import LookupCore, LookupNetwork


def network() -> LookupNetwork:
    """Three inputs of six bits, two nodes of five, two outputs of four that saturate; one edge is missing."""
    random = np.random.default_rng(5)
    edges = [
        {
            "source": [0, 1, 2, 0, 2],
            "node": [0, 0, 0, 1, 1],
            "table": [table(random, shape, 64, 12) for shape in ("smooth", "noise", "smooth", "steep", "smooth")],
        },
        {
            "source": [0, 1, 0, 1],
            "node": [0, 0, 1, 1],
            "table": [table(random, shape, 32, 8) for shape in ("smooth", "smooth", "noise", "narrow")],
            "bias": [0, 11],
        },
    ]
    return LookupNetwork.of([3, 2, 2], [6, 5, 4], [1, 1, 1], edges, guard_bits=[0, 1])


ECP5, ICE40 = "LFE5U-25F-6", "iCE40UP5K"


@pytest.mark.parametrize(
    ("family", "device", "output"),
    [
        ("ecp5", ECP5, "raw"),
        ("ecp5", ECP5, "argmax"),
        ("any", ECP5, "threshold"),
        ("ice40", ICE40, "raw"),
        ("any", ICE40, "argmax"),
    ],
)
def test_netlist_gives_the_models_bits(family: str, device: str, output: str, tmp_path: Path) -> None:
    lookup = network().with_output(output)
    core = LookupCore(lookup, latency=2, family=family)
    module = synthesised(core, tmp_path, device)
    kinds = {cell["type"] for cell in module["cells"].values()}
    assert {"LUT4", "TRELLIS_FF"} <= kinds or {"SB_LUT4", "SB_CARRY", "SB_DFF"} <= kinds
    assert not kinds & {"DP16KD", "SB_RAM40_4K"}
    codes = codes_for(lookup, 400, 1)
    bits = [[int(code) >> place & 1 for code in column] for column in codes.T for place in range(6)]
    inputs = {
        "samples__payload": [sum(bit << n for n, bit in enumerate(row)) for row in bits],
        "samples__valid": [(1 << 400) - 1],
        "clk": [0],
        "rst": [0],
    }
    outputs = settled(module, inputs, 400)
    assert outputs["predictions__valid"] == [(1 << 400) - 1]
    expected = lookup.predict_codes(codes)
    width = len(outputs["predictions__payload"]) // lookup.n_predictions
    for index in range(lookup.n_predictions):
        for place in range(width):
            wanted = sum((int(code) >> place & 1) << n for n, code in enumerate(expected[:, index]))
            assert outputs["predictions__payload"][index * width + place] == wanted
    assert len(np.unique(expected)) > (8 if output == "raw" else 1)
