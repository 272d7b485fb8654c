"""Which of several networks that predict the same is built."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import WeakKeyDictionary

import numpy as np

from ..network import LookupNetwork
from .cells import CELLS
from .core_area import CoreArea, count_core
from .equivalents import list_equivalents
from .folding import Folding
from .gates import INPUTS
from .network_plan import LookupLayerPlan, plan_layers
from .offsets import estimate_luts
from .pipeline import Pipeline, count_levels

_COUNTED = 3
"""How many are counted with what their tables share; that takes a while."""

_chosen: WeakKeyDictionary[LookupNetwork, dict[tuple[str, Pipeline], LookupNetwork]] = WeakKeyDictionary()


def choose_network(
    network: LookupNetwork, schedule: Pipeline | Folding, family: str, whole_from: int | None
) -> tuple[LookupNetwork, tuple[LookupLayerPlan, ...]]:
    """Choose the network that takes the fewest LUTs of those that predict the same, and plan its layers.

    Another than the given one is chosen only where tables and sums are made of a family's own cells and all tables are
    logic.

    Parameters
    ----------
    network, family, whole_from
        As of :class:`.lookup_core.LookupCore`.
    schedule : Pipeline or Folding
        Where the registers stand, which fits what is chosen too.
    """
    if isinstance(schedule, Folding) or family not in CELLS:
        return network, plan_layers(network)
    muxes = CELLS[family].muxes
    if whole_from is not None or any(schedule.block):
        return network, plan_layers(network, muxes)
    known = _chosen.setdefault(network, {})
    if (family, schedule) not in known:
        known[family, schedule] = _choose(network, schedule, family, muxes)
    chosen = known[family, schedule]
    return chosen, plan_layers(chosen, muxes)


def _choose(network: LookupNetwork, schedule: Pipeline, family: str, muxes: bool) -> LookupNetwork:
    levels = [count_levels(plan.fan_in) for plan in plan_layers(network)]
    fitting = [
        one
        for one in list_equivalents(network, muxes)
        if [count_levels(plan.fan_in) for plan in plan_layers(one, muxes)] == levels
    ]
    if not fitting:
        return network
    fitting.sort(key=lambda one: _count_roughly(plan_layers(one, muxes), family))

    def count(one: LookupNetwork) -> int:
        area = CoreArea(family)
        count_core(one, plan_layers(one, muxes), schedule, None, area)
        return area.lut

    return min((network, *fitting[:_COUNTED]), key=count)


def _count_roughly(plans: Sequence[LookupLayerPlan], family: str) -> int:
    """Count what differs, in a moment: the functions of all tables one by one, sums and saturation."""
    area, total = CoreArea(family), 0
    for index, plan in enumerate(plans):
        functions = [
            term.values >> bit & 1
            for term in (term.by_code() if index == 0 else term for term in plan.terms)
            for bit in range(term.width)
        ]
        if functions:
            rows = np.tile(np.array(functions, dtype=bool), (1, max(1, (1 << INPUTS) // len(functions[0]))))
            total += int(estimate_luts(rows, CELLS[family].muxes).sum()) if rows.shape[1] == 1 << INPUTS else 0
        total += sum(area.own_chain(node.highest.bit_length()) for node in plan.nodes)
        total += len(plan.nodes) * plan.bits_out * (plan.saturates and index < len(plans) - 1)
    return total
