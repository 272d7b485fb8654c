"""Parts of a core, counted one by one."""

from __future__ import annotations

import numpy as np
import pytest

from bench.network_area import Drawn
from kanrtl import LookupCore, LookupNetwork
from kanrtl.fabric.families import FAMILIES
from kanrtl.lookup.quantiser import FixedQuantiser
from kanrtl.lookup.rtl.core_area import CoreArea, count_core
from kanrtl.lookup.rtl.folding import schedule_core
from kanrtl.lookup.rtl.network_estimate import estimate_network
from kanrtl.lookup.rtl.network_plan import plan_layers
from kanrtl.numeric.fixed import SQ
from kanrtl.tools.rtlil import component_rtlil


def count(network: LookupNetwork, family: str, **options: object) -> CoreArea:
    plans = plan_layers(network)
    schedule = schedule_core(network, plans, options.get("latency"), options.get("memory", "auto"), None, 1, family)
    area = CoreArea(family)
    count_core(network, plans, schedule, None, area)
    return area


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_chains_of_the_family(family: str) -> None:
    area = CoreArea(family)
    # ECP5: two bits in a cell of two LUTs, and the lowest cell leads the carry in; iCE40: a cell for each bit.
    assert [area.own_chain(width) for width in (0, 1, 4, 5)] == ([0, 1, 5, 7] if area.paired else [0, 1, 4, 5])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_registers_without_logic_take_cells_where_cells_are_counted(family: str) -> None:
    area = CoreArea(family)
    area.register(8, moved=True)
    area.register(3, moved=False)
    assert (area.registers, area.moved) == (11, 8)
    assert area.lut == (8 if FAMILIES[family].resources.counts_cells else 0)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_more_registers_and_more_edges_take_more(family: str) -> None:
    small, large = (Drawn(sizes, (4, 4)).network() for sizes in ((2, 1), (4, 2)))
    assert count(small, family, latency=1).registers < count(small, family, latency=2).registers
    assert count(small, family, latency=1).lut < count(large, family, latency=1).lut
    assert count(small, family).bram == 0 < count(small, family, memory="block").bram


@pytest.mark.parametrize("options", [{}, {"whole_from": 0}, {"reuse_factor": 2}], ids=str)
def test_inputs_that_nothing_takes_need_no_quantiser(options: dict[str, int]) -> None:
    edges = {"source": [0, 2, 1], "node": [0, 0, 0], "table": [range(-8, 8), range(-16, 16, 2), [5] * 16]}
    quantiser = FixedQuantiser(SQ(4, 8), np.array([37, 41, 43]), np.array([5, 77, -300]), 8, 4)
    network = LookupNetwork.of([3, 1], [4, 8], [1, 1], [edges], quantiser=quantiser)
    assert estimate_network(network, "iCE40UP5K", **options).dsp == 2
    written = component_rtlil(LookupCore(network, **options), "top")
    assert "scaled2" in written
    assert "scaled1" not in written
