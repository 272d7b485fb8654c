"""What a network's core is made of, counted part by part as :mod:`.lookup_core` and :mod:`.folded_lanes` write it.

Carry chains, memories and registers follow from the plan; what is left to yosys (comparisons, saturation, tables of
more than six address bits) is counted by what its mapping gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from weakref import WeakKeyDictionary

from ...fabric.blocks import MemoryDemand, multipliers
from ...fabric.families import FAMILIES, block_width
from ...numeric.bits import clog2
from ..network import LookupNetwork
from ..quantiser import FixedQuantiser
from .folding import Folding, LayerFold
from .network_plan import LookupLayerPlan, NodePlan, Term, list_whole_terms
from .pipeline import Pipeline, count_levels
from .table_area import count_tables

_COMPRESSOR = 1.5
"""The LUTs of a bit of a compressor of three rows into two, of which one is partly constant."""


@dataclass(frozen=True)
class _Bits:
    """A value on its path: how many bits it has, what it can be at most, and whether no LUT stands before it."""

    highest: int
    direct: bool = False
    name: object = None
    """What it is, so that it is registered once where several nodes take it."""

    @property
    def width(self) -> int:
        return self.highest.bit_length()


def _full(width: int, *, direct: bool = False, name: object = None) -> _Bits:
    return _Bits((1 << width) - 1, direct, name)


@dataclass
class CoreArea:
    """The parts of a core on a family, while they are counted.

    Attributes
    ----------
    family : str
        A name of :data:`.FAMILIES`.
    logic : float
        LUTs, those of carry chains among them.
    registers, moved : int
        Flip-flops in logic cells; and those of them that have no LUT before them.
    bram, dsp : int
        Memory blocks and multipliers.
    multiplies : bool
        Whether the part has multipliers.
    """

    family: str
    multiplies: bool = True
    logic: float = 0.0
    registers: int = 0
    moved: int = 0
    bram: int = 0
    dsp: int = 0
    _held: set[object] = field(default_factory=set)

    @property
    def lut(self) -> int:
        """LUTs; or logic cells, of which a flip-flop that has no LUT before it takes one."""
        return round(self.logic + (self.moved if FAMILIES[self.family].resources.counts_cells else 0))

    @property
    def paired(self) -> bool:
        """Whether a cell of a carry chain adds two bits."""
        return FAMILIES[self.family].networks.paired_carries

    @property
    def registers_words(self) -> bool:
        """Whether a register behind a memory block is the block's own."""
        return FAMILIES[self.family].blocks.registered

    def hold(self, position: str, value: _Bits, registers: frozenset[str]) -> _Bits:
        """Count the register of a value at a position, where there is one."""
        if position != "sample" and position not in registers:
            return value
        key = (position, value.name)
        if value.name is None or key not in self._held:
            self._held.add(key)
            self.register(value.width, moved=value.direct)
        return _Bits(value.highest, True, value.name)

    def register(self, bits: int, *, moved: bool) -> None:
        """Count flip-flops."""
        self.registers += bits
        self.moved += bits if moved else 0

    def add(self, one: _Bits, other: _Bits) -> _Bits:
        """Count a carry chain that adds two values."""
        total = _Bits(one.highest + other.highest)
        self.logic += self.own_chain(total.width)
        return total

    def own_chain(self, width: int) -> int:
        """Tell the LUTs of a carry chain of :mod:`.cells`: on ECP5 two bits are a cell, and the lowest is a LUT too."""
        if self.paired:
            return width if width <= 1 else 2 * ceil(width / 2) + 1
        return width

    def chain(self, width: int) -> int:
        """Tell the LUTs of a carry chain of yosys: on ECP5 nextpnr leads a constant in."""
        if not width:
            return 0
        return 2 * ceil(width / 2) + 2 if self.paired else width

    def compare(self, width: int) -> None:
        """Count a comparison of two values: its carry is brought out, and on iCE40 one of them is inverted."""
        self.logic += self.chain(width) + 2 if self.paired else 2 * width + 1

    def memory(self, depth: int, widths: Sequence[int]) -> None:
        """Count a memory of tables side by side, as :func:`.tables.make_block_words` cuts it."""
        width = sum(widths)
        part = block_width(self.family, depth)
        if part is not None:
            self.bram += ceil(width / part)
            return
        demand = MemoryDemand("tables", depth, width, 0, 1, True, 1)
        self.bram += demand.blocks(FAMILIES[self.family].blocks)
        segments = demand.segments(FAMILIES[self.family].blocks)
        if segments > 1:
            self.logic += width * ceil(2 * (segments - 1) / 3)
            self.register(clog2(segments), moved=True)


def count_core(
    network: LookupNetwork,
    plans: Sequence[LookupLayerPlan],
    schedule: Pipeline | Folding,
    whole_from: int | None,
    area: CoreArea,
) -> None:
    """Count the core of a network into ``area``.

    Parameters
    ----------
    network, plans, schedule, whole_from
        As :class:`.LookupCore` has them.
    area
        An empty one, of a family.
    """
    if isinstance(schedule, Folding):
        _count_folded(network, schedule, area)
    else:
        _count_streamed(network, plans, schedule, whole_from, area)


def _count_streamed(
    network: LookupNetwork,
    plans: Sequence[LookupLayerPlan],
    schedule: Pipeline,
    whole_from: int | None,
    area: CoreArea,
) -> None:
    registers = schedule.registers
    area.register(schedule.latency + 1, moved=True)  # a bit for every stage
    values, position = _count_inputs(network, plans[0], area)
    for index, plan in enumerate(plans[:whole_from]):
        values, position = _count_layer(network, index, plan, values, position, schedule, area)
    if whole_from is None:
        values, position = _count_output(network, values, position, registers, area, saturated=plans[-1].saturates)
    else:
        width = _prediction_width(network)
        terms = list_whole_terms(network, whole_from, width)
        bits, count = network.bits[whole_from], network.layers[whole_from].n_in
        area.memory(1 << bits * count, [term.width for term in terms])
        values, position = [_Bits(term.highest, True, "memory") for term in terms], "whole"
    for value in values:
        _hold_behind(position, value, registers, area)


def _hold_behind(position: str, value: _Bits, registers: frozenset[str], area: CoreArea) -> _Bits:
    """Count a register, which on ECP5 a memory block takes in where it stands right behind it."""
    if value.name == "memory" and area.registers_words and position in registers:
        return _Bits(value.highest, True)
    return area.hold(
        position, _Bits(value.highest, value.direct, None if value.name == "memory" else value.name), registers
    )


def _prediction_width(network: LookupNetwork) -> int:
    if network.output == "raw":
        return network.bits[-1]
    return max(1, (network.n_out - 1).bit_length()) if network.output == "argmax" else 1


def _count_inputs(network: LookupNetwork, first: LookupLayerPlan, area: CoreArea) -> tuple[list[_Bits], str]:
    """Count what makes codes of those samples that the ``first`` layer takes, and give the codes."""
    quantiser = network.quantiser
    if not isinstance(quantiser, FixedQuantiser):
        return [_full(network.bits[0], direct=True, name=index) for index in range(network.n_in)], "sample"
    width = quantiser.format.width
    area.register(width * len(first.sources), moved=True)
    for source in first.sources:
        scale, offset = int(quantiser.scale[source]), int(quantiser.offset[source])
        magnitude = abs(scale)
        total = max(width + magnitude.bit_length(), abs(offset).bit_length() + 1) + 1
        if magnitude & (magnitude - 1):
            blocks = (
                multipliers(width, magnitude.bit_length() + 1, FAMILIES[area.family].blocks) if area.multiplies else 0
            )
            area.dsp += blocks
            if not blocks:
                # A row for each bit and one for the offset; each that is more than two takes a row of compressors.
                area.logic += _COMPRESSOR * width * (magnitude.bit_count() + bool(offset) - 2)
            elif FAMILIES[area.family].networks.registers_factors:
                area.register(-width, moved=True)
        area.logic += area.chain(total) * bool(offset)
        # Half to even adds a bit that depends on those below; then comes saturation.
        area.logic += area.chain(total - quantiser.shift) + quantiser.shift / 3 + quantiser.bits + 3
    return [_full(quantiser.bits, name=index) for index in range(network.n_in)], "codes"


def _count_layer(
    network: LookupNetwork,
    index: int,
    plan: LookupLayerPlan,
    values: Sequence[_Bits],
    position: str,
    schedule: Pipeline,
    area: CoreArea,
) -> tuple[list[_Bits], str]:
    """Count a layer, and give its addresses."""
    registers, block = schedule.registers, schedule.block[index]
    terms = [term.by_code() if index == 0 else term for term in plan.terms]
    if block:
        for source in plan.sources:
            area.memory(1 << plan.bits_in, [term.width for term in terms if term.source == source])
    else:
        for source in plan.sources:
            area.hold(position, values[source], registers)
        area.logic += _count_logic_tables(plan, terms, area.family)
    position = f"table{index}"
    operands = [
        _hold_behind(
            position,
            _Bits(term.highest, block, "memory" if block and position in registers else number),
            registers,
            area,
        )
        for number, term in enumerate(terms)
    ]
    rows = [
        [operands[term] for term in node.terms] + [_Bits(node.constant)] * bool(node.constant) for node in plan.nodes
    ]
    for level in range(count_levels(plan.fan_in)):
        if level:
            rows = [[area.hold(position, one, registers) for one in row] for row in rows]
        rows = [_add_pairs(row, area) for row in rows]
        position = f"sum{index}.{level + 1}"
    compares = index == len(network.layers) - 1 and network.output == "threshold"
    # Memories and whole tables have the register of their address within them.
    following = schedule.block[index + 1] if index + 1 < len(schedule.block) else index + 1 < len(network.layers)
    held = f"node{index}" in registers and not following
    results = []
    for number, (node, row) in enumerate(zip(plan.nodes, rows, strict=True)):
        if node.address is not None:
            results.append(_Bits(0))
            continue
        total = area.hold(position, row[0], registers) if position.startswith("sum") else row[0]
        if compares:
            results.append(_Bits(1, total.direct))
            continue
        saturates = _count_saturation(plan, node, area, summed=len(node.terms) > 1, held=held)
        results.append(_full(plan.bits_out, direct=total.direct and not saturates, name=number))
    return results, "compare1" if compares else f"node{index}"


_counted: WeakKeyDictionary[LookupLayerPlan, dict[str, int]] = WeakKeyDictionary()


def _count_logic_tables(plan: LookupLayerPlan, terms: Sequence[Term], family: str) -> int:
    """Count a layer's tables in logic, once: settings are compared, and most leave the tables as they are."""
    known = _counted.setdefault(plan, {})
    if family not in known:
        known[family] = count_tables([(term.source, term.values) for term in terms], plan.bits_in, family)
    return known[family]


def _add_pairs(row: Sequence[_Bits], area: CoreArea) -> list[_Bits]:
    """Count one level of a tree of adders, as :func:`.nodes.add_pairs` pairs them."""
    order = sorted(row, key=lambda one: one.highest)
    sums = [area.add(one, other) for one, other in zip(order[0::2], order[1::2], strict=False)]
    return sums + order[len(order) - len(order) % 2 :]


def _count_saturation(plan: LookupLayerPlan, node: NodePlan, area: CoreArea, *, summed: bool, held: bool) -> bool:
    """Count what saturates a node, and tell whether anything does.

    Where the address is ``held``, right behind, a flip-flop that is reset does a part of it. Where it is ``summed`` by
    a carry chain that nothing else takes from, cells that add one bit do another, in the input that is left.
    """
    if summed and plan.guard_bits and area.paired:
        area.logic -= 1  # the lowest bit is not needed, and not within the chain
    last = node.highest >> (plan.bits_out + plan.guard_bits)
    sides = [last > node.pages_below, node.pages_below > 0]
    if node.address is not None or not any(sides):
        return False
    pages = last.bit_length()
    # A LUT sees up to four bits of the page; a single bit stands for itself, where it needs no other sense.
    area.logic += sum(sides) * max(held, ceil((pages - 1) / 3))
    if area.paired:
        area.logic += 0 if held and not sides[0] else plan.bits_out
    else:
        area.logic += 0 if summed and (held or not all(sides)) else plan.bits_out
    return True


def _count_output(
    network: LookupNetwork,
    values: Sequence[_Bits],
    position: str,
    registers: frozenset[str],
    area: CoreArea,
    *,
    saturated: bool,
) -> tuple[list[_Bits], str]:
    """Count the output stage."""
    if network.output == "raw":
        # The sign is turned, which what saturates does beside.
        area.logic += 0 if saturated else sum(value.width > 0 for value in values)
        return [_Bits(value.highest, value.direct) for value in values], position
    if network.output == "threshold":
        return list(values), position
    candidates = [(value, _Bits(0)) for value in values]
    for level in range(count_levels(len(candidates))):
        held = [
            tuple(area.hold(position, _Bits(part.highest, part.direct), registers) for part in one)
            for one in candidates
        ]
        last = len(held) == 2
        candidates = []
        for (value, index), (_, other) in zip(held[0::2], held[1::2], strict=False):
            width = max(index.width, other.width)
            area.compare(value.width)
            area.logic += width + (0 if last else value.width)
            candidates.append((value if last else _Bits(value.highest), _full(width + 1)))
        candidates += [(one[0], one[1]) for one in held[len(held) - len(held) % 2 :]]
        position = f"compare{level + 1}"
    return [candidates[0][1]], position


def _count_folded(network: LookupNetwork, folding: Folding, area: CoreArea) -> None:
    """Count a folded core."""
    pause = clog2(folding.interval) if folding.interval > 1 else 0
    area.register(pause, moved=False)
    # What counts the pause, and what says that a sample is taken and that all moves.
    area.logic += area.chain(pause) + ceil(pause / 3) + 4
    area.register(folding.before + folding.after + 1, moved=True)
    _count_inputs(network, folding.layers[0].plan, area)
    for layer in folding.layers:
        _count_fold(layer, area)
    last = folding.layers[-1].plan
    values, position = (
        [_full(network.bits[-1], name=index) for index in range(network.n_out)],
        f"node{len(folding.layers) - 1}",
    )
    values, position = _count_output(network, values, position, folding.registers, area, saturated=last.saturates)
    for value in values:
        area.hold(position, value, folding.registers)


def _count_fold(fold: LayerFold, area: CoreArea) -> None:
    """Count a folded layer."""
    plan, bits, groups = fold.plan, fold.plan.bits_in, len(fold.groups)
    step = clog2(fold.steps) if fold.steps > 1 else 0
    area.register(step + 1, moved=False)
    area.logic += area.chain(step) + groups * ceil((step + 1) / 3) + 2
    area.register(fold.words_after * (1 + groups), moved=True)
    area.logic += 1 + ceil(groups / 4)  # clear
    for lane in fold.lanes:
        count = len(lane.sources)
        area.register(bits * count, moved=False)
        # Each takes from an input or from the next; the last of all takes from an input alone, if none comes round.
        area.logic += bits * (count if groups > 1 else count - 1)
        area.moved += 0 if groups > 1 else bits
        if fold.block:
            area.memory(lane.depth, [one.bit_length() for one in lane.highest])
        else:
            area.logic += count_tables([(0, column) for column in lane.words[0].T], bits, area.family)
        if fold.word_register and not (fold.block and area.registers_words):
            area.register(lane.width, moved=fold.block)
    for column in range(len(fold.groups[0]) if groups else 0):
        _count_column(column, fold, area)
    for node in plan.nodes:
        _count_saturation(plan, node, area, summed=False, held=False)
    for group in fold.groups[:-1]:
        area.register(plan.bits_out * len(group), moved=False)


def _count_column(column: int, fold: LayerFold, area: CoreArea) -> None:
    """Count what adds and accumulates one column."""
    row = [_Bits(lane.highest[column], True) for lane in fold.lanes if lane.highest[column]]
    for _ in range(count_levels(len(fold.lanes))):
        row = [area.hold("sample", one, frozenset()) for one in _add_pairs(row, area)]
    if fold.inputs_per_pass > 1:
        nodes = [group[column] for group in fold.groups if column < len(group)]
        width = max(fold.plan.nodes[node].highest for node in nodes).bit_length()
        area.logic += area.own_chain(width)
        area.register(width, moved=True)  # the node takes the sum, too, before it is held
