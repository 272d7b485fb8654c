"""Estimates beside builds of small networks, which are synthesised here."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from bench.network_area import Drawn
from kanrtl import LookupNetwork
from kanrtl.build import Device
from kanrtl.build.design_builds import core_for
from kanrtl.build.out_of_context import AreaJob
from kanrtl.lookup.rtl.network_estimate import estimate_network
from support.tiers import thorough


@pytest.mark.parametrize("device", ["LFE5U-25F", "iCE40HX1K"])
def test_a_layer_that_looks_at_nothing_takes_nothing(device: str) -> None:
    """As that of a learner that has learned nothing; on iCE40 a flip-flop takes a cell."""
    edges = [{"source": [0], "node": [0], "table": [np.full(256, 5)]}]
    assert estimate_network(LookupNetwork.of([1, 1], [8, 4], [1, 1], edges), device).lut <= 2


@pytest.mark.parametrize(
    ("drawn", "device"),
    [
        (Drawn((2, 1), (4, 4), 1), "LFE5U-25F-6"),
        thorough(Drawn((3, 2), (3, 5), 0, curve="noise", output="argmax"), "iCE40HX8K"),
        thorough(Drawn((2, 2), (5, 5), 1, options={"memory": "block"}), "LFE5U-25F-6"),
    ],
    ids=str,
)
def test_small_networks_as_built(drawn: Drawn, device: str) -> None:
    network = drawn.network()
    built = asdict(AreaJob.of(core_for(network, Device.parse(device), **drawn.options), device, "network").run(print))
    found = estimate_network(network, device, **drawn.options)
    assert abs(found.lut - built["lut"]) <= 0.15 * built["lut"] + 4
    assert (found.bram, found.dsp) == (built["bram"], built["dsp"])
    assert found.least_lut <= built["lut"] <= found.most_lut
