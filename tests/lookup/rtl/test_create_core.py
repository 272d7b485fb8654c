"""Cores made of settings, and the shapes of their ports."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Shape, signed, unsigned

from kanrtl import SQ, UQ, Format, InputError, LookupNetwork
from kanrtl.lookup import Quantiser
from kanrtl.lookup.rtl import lookup_core
from kanrtl.lookup.rtl.lookup_core import create_core, port_shapes


def network(output: str = "raw") -> LookupNetwork:
    """Three inputs of four bits, five outputs of six."""
    node, source = np.nonzero(np.ones((5, 3)))
    entries = np.random.default_rng(0).integers(-9, 9, (len(node), 16))
    return LookupNetwork.of([3, 5], [4, 6], [1, 1], [{"source": source, "node": node, "table": entries}], output=output)


@pytest.mark.usefixtures("unelaborated")
def test_settings_reach_the_core() -> None:
    core = create_core(network(), "ecp5", 3, "block")
    assert (core.latency, core.interval, core.folding) == (3, 1, None)
    assert core.schedule.block == (True,)
    assert create_core(network("argmax"), whole_from=0).schedule.registers == {"whole"}
    # Three inputs one after another, the memory and, except on iCE40, a register behind it.
    folded = create_core(network(), reuse_factor=3)
    assert folded.folding is not None
    assert (folded.latency, folded.interval) == (3 + 2, 3)
    assert create_core(network(), "ice40", reuse_factor=[3]).latency == 3 + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latency": 0}, "latency = 0: must be an integer from 1 to"),
        ({"memory": "rom"}, "memory = 'rom'"),
        ({"whole_from": 1}, "whole_from = 1"),
        ({"reuse_factor": 16}, "reuse_factor = 16: must be an integer from 1 to 15"),
        ({"family": "xilinx"}, "family = 'xilinx': must be one of 'any', 'ecp5', 'ice40'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(
    settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup_core, "LookupCore", lambda *_: pytest.fail("a core is made"))
    with pytest.raises(InputError, match=message):
        create_core(network(), **settings)


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize(("output", "shape"), [("raw", signed(6)), ("argmax", unsigned(3)), ("threshold", unsigned(1))])
@pytest.mark.parametrize("reuse_factor", [1, 3])
def test_shapes_of_codes_and_predictions(output: str, shape: Shape, reuse_factor: int) -> None:
    core = create_core(network(output), reuse_factor=reuse_factor)
    assert port_shapes(core) == (signed(4), shape)


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize(("format", "shape"), [(SQ(3, 4), signed(7)), (UQ(4, 2), unsigned(6))])
def test_shapes_of_fixed_point_samples(format: Format, shape: Shape) -> None:
    quantiser = Quantiser.of([1.0] * 3, [0.0] * 3, 4, 3).fixed(format)
    assert port_shapes(create_core(network().with_quantiser(quantiser)))[0] == shape
