"""What goes onto an ECP5 or an iCE40, cell by cell, gives the model's bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import SQ, UQ, LookupCore, LookupNetwork
from kanrtl.lookup.rtl.lookup_core import create_core
from kanrtl.lookup.rtl.network_plan import plan_layers
from kanrtl.verilog.network_header import network_header
from kanrtl.verilog.write import write_verilog
from support.cell_netlist import netlist_of, settled, synthesised
from support.lookup_networks import codes_for, pair, table
from support.tiers import thorough
from support.verilator_backend import port_fields


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


def wide() -> LookupNetwork:
    """One input of ten bits, whose table is nine bits wide, and one node of five."""
    random = np.random.default_rng(6)
    edges = [
        {"source": [0], "node": [0], "table": [table(random, "smooth", 1024, 256)]},
        {"source": [0], "node": [0], "table": [table(random, "noise", 512, 16)]},
    ]
    return LookupNetwork.of([1, 1, 1], [10, 9, 5], [1, 1, 1], edges)


ECP5 = {"LUT4", "TRELLIS_FF", "DP16KD"}
ICE40 = {"SB_LUT4", "SB_RAM40_4K"}


@pytest.mark.parametrize(
    ("device", "family", "output", "options", "kinds"),
    [
        thorough("LFE5U-25F", "ecp5", "raw", {}, ECP5 - {"DP16KD"}),
        thorough("LFE5U-25F", "any", "threshold", {}, ECP5 - {"DP16KD"}),
        ("LFE5U-25F", "ecp5", "argmax", {"whole_from": 1}, ECP5),
        ("iCE40UP5K", "any", "argmax", {}, ICE40 - {"SB_RAM40_4K"}),
        thorough("iCE40UP5K", "ice40", "raw", {"memory": ["logic", "block"]}, ICE40),
    ],
)
def test_netlist_gives_the_models_bits(
    device: str, family: str, output: str, options: dict[str, Any], kinds: set[str], tmp_path: Path
) -> None:
    assert check(network().with_output(output), device, family, {"latency": 2} | options, tmp_path) >= kinds


@pytest.mark.parametrize(
    ("device", "family", "lut"), [("LFE5U-25F", "ecp5", "LUT4"), thorough("iCE40UP5K", "ice40", "SB_LUT4")]
)
def test_a_network_built_as_another(device: str, family: str, lut: str, tmp_path: Path) -> None:
    """Two tables that are compared by ranks, and sums that are addresses as they stand."""
    built = pair(guard_bits=2)
    core = create_core(built, family, 1)
    core._MustUse__silence = True  # it is not elaborated here
    assert [plans[0].guard_bits for plans in (plan_layers(built), core.plans)] == [2, 0]
    assert check(built, device, family, {"latency": 1}, tmp_path) >= {lut}


@pytest.mark.parametrize(
    ("device", "family", "kinds"), [("LFE5U-25F", "ecp5", {"DP16KD"}), thorough("iCE40UP5K", "ice40", {"SB_RAM40_4K"})]
)
def test_deep_memories(device: str, family: str, kinds: set[str], tmp_path: Path) -> None:
    """Tables of 1024 and of 512 words, in blocks that give so many."""
    assert check(wide(), device, family, {"memory": "block"}, tmp_path) >= kinds


@pytest.mark.thorough
def test_verilog_file_gives_the_models_bits(tmp_path: Path) -> None:
    """It stands alone: what is in it is all that synthesis is given."""
    lookup = network().with_output("argmax")
    core = LookupCore(lookup, latency=3, family="ecp5")
    write_verilog(core, "top", tmp_path / "network.v", header=network_header(core))
    text = (tmp_path / "network.v").read_text()
    assert "sample to prediction 3 cycles, one sample to the next 1." in text
    fields = port_fields(text)
    assert [fields["samples__payload"][f"x[{index}]"].low for index in range(3)] == [0, 6, 12]
    assert {field.format for field in fields["samples__payload"].values()} == {SQ(6, 0)}
    assert fields["predictions__payload"]["class[0]"].format == UQ(1, 0)
    compare(netlist_of("top.v", text, tmp_path), lookup)


def check(lookup: LookupNetwork, device: str, family: str, options: dict[str, Any], folder: Path) -> set[str]:
    """Compares a netlist with the model; gives the kinds of its cells."""
    core = LookupCore(lookup, family=family, **options)
    module = synthesised(core, folder, device)
    kinds = {cell["type"] for cell in module["cells"].values()}
    assert bool(kinds & {"DP16KD", "SB_RAM40_4K"}) == ("whole_from" in options or "block" in options.get("memory", []))
    compare(module, lookup)
    return kinds


def compare(module: dict[str, Any], lookup: LookupNetwork) -> None:
    count = 400
    codes = codes_for(lookup, count, 1)
    bits = [[int(code) >> place & 1 for code in column] for column in codes.T for place in range(lookup.bits[0])]
    inputs = {
        "samples__payload": [sum(bit << n for n, bit in enumerate(row)) for row in bits],
        "samples__valid": [(1 << count) - 1],
        "clk": [0],
        "rst": [0],
    }
    outputs = settled(module, inputs, count)
    assert outputs["predictions__valid"] == [(1 << count) - 1]
    expected = lookup.predict_codes(codes)
    width = len(outputs["predictions__payload"]) // lookup.n_predictions
    for index in range(lookup.n_predictions):
        for place in range(width):
            wanted = sum((int(code) >> place & 1) << n for n, code in enumerate(expected[:, index]))
            assert outputs["predictions__payload"][index * width + place] == wanted
    assert len(np.unique(expected)) > (8 if lookup.output == "raw" else 1)
