"""A folded layer as hardware: its inputs pass by its tables, one in every cycle, and its nodes accumulate.

See :mod:`kanrtl.lookup.rtl.folding` for what lies where. ::

    inputs -> chain of registers -> memory [register] -> sum over lanes, with registers -> accumulators -> nodes

The last sum of all goes to the next layer without being held, at the edge at which its accumulator is cleared, so no
cycle is lost between two samples. The module is meant to run under an enable that stops all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Cat, Const, Module, Signal, Value

from .folding import Lane, LayerFold
from .network_plan import NodePlan, Term
from .nodes import Operand, add_pairs
from .pipeline import count_levels
from .tables import Tables


def build_folded_layer(
    m: Module,
    index: int,
    fold: LayerFold,
    start: Value,
    values: Sequence[Value],
    node_value: Callable[[int, int, NodePlan, Operand], Value],
    tables: Tables,
) -> tuple[Value, list[Value]]:
    """Make layer ``index``.

    Parameters
    ----------
    m
        The module that it is written into.
    fold
        How the layer is folded.
    start, values
        In the cycle in which ``start`` is high, ``values`` are its inputs.
    node_value
        Gives what becomes of a node's sum, by the numbers of layer and node. It is used in the cycle in which the sum
        is complete.
    tables
        What makes tables and sums in the cells of the family.

    Returns
    -------
    done, nodes
        In the cycle in which ``done`` is high, ``nodes`` are what ``node_value`` gave.
    """
    name = f"layer{index}"
    step, flags = _count_steps(m, name, fold, start)
    words = [
        _make_lane(m, f"{name}_lane{number}", fold, lane, start, step, values, tables)
        for number, lane in enumerate(fold.lanes)
    ]
    busy, *ends = (_delay(m, flag, fold.words_after) for flag in flags)
    clear = ~busy | Cat(ends).any()
    nodes = {
        number: node_value(index, number, node, Operand(Const(0), 0))
        for number, node in enumerate(fold.plan.nodes)
        if node.address is not None
    }
    for column in range(len(fold.groups[0]) if fold.groups else 0):
        given = [row[column] for row in words if row[column].highest]
        for _ in range(count_levels(len(fold.lanes))):
            given = [_register(m, one, f"{name}_sum{column}") for one in add_pairs(given, tables.add)]
        (term,) = given or [Operand(Const(0, 1), 0)]
        summed = [(group[column], end) for group, end in zip(fold.groups, ends, strict=True) if column < len(group)]
        total = term.value
        if fold.inputs_per_pass > 1:
            total = _accumulate(m, f"{name}_column{column}", fold, [node for node, _ in summed], term, clear, tables)
        for node, end in summed:
            plan = fold.plan.nodes[node]
            width = plan.highest.bit_length()
            nodes[node] = node_value(index, node, plan, Operand(total[:width], plan.highest))
            if end is not ends[-1]:
                held = Signal(len(nodes[node]), name=f"{name}_held{node}", reset_less=True)
                with m.If(end):
                    m.d.sync += held.eq(nodes[node])
                nodes[node] = held
    return ends[-1], [nodes[number] for number in range(len(fold.plan.nodes))]


def _count_steps(m: Module, name: str, fold: LayerFold, start: Value) -> tuple[Value, list[Value]]:
    """Count the steps: give the number of the step, whether there is one, and for each pass whether it is its last."""
    busy = Signal(name=f"{name}_busy")
    if fold.steps == 1:
        m.d.sync += busy.eq(start)
        return Const(0, 0), [busy, busy]
    step = Signal(range(fold.steps), name=f"{name}_step", reset_less=True)
    ends = [busy & (step == fold.inputs_per_pass * (number + 1) - 1) for number in range(len(fold.groups))]
    m.d.sync += step.eq(step + 1)
    with m.If(start):
        m.d.sync += [busy.eq(1), step.eq(0)]
    with m.Elif(ends[-1]):
        m.d.sync += busy.eq(0)
    return step, [busy, *ends]


def _make_lane(
    m: Module,
    name: str,
    fold: LayerFold,
    lane: Lane,
    start: Value,
    step: Value,
    values: Sequence[Value],
    tables: Tables,
) -> list[Operand]:
    """Make a lane, and give what it adds to every column."""
    bits = fold.plan.bits_in
    chain = [Signal(bits, name=f"{name}_input{number}", reset_less=True) for number in range(len(lane.sources))]
    # The inputs come round where they pass by more than once.
    following = [*chain[1:], chain[0] if len(fold.groups) > 1 else chain[-1]]
    m.d.sync += [held.eq(one) for held, one in zip(chain, following, strict=True)]
    with m.If(start):
        m.d.sync += [held.eq(values[source]) for held, source in zip(chain, lane.sources, strict=True)]
    # A shorter lane than the others has no chain for their last steps: its words are zero whatever comes.
    if fold.block:
        address = Cat(chain[0], step)
        rows = lane.words.reshape(lane.depth, -1)
        words = tables.words(address, rows, lane.highest, f"{name}_memory")
    else:
        terms = [Term(lane.sources[0], column) for column in lane.words[0].T]
        words = tables.logic(chain[0], terms, name)
    if fold.word_register:
        held = Signal(lane.width, name=f"{name}_word", reset_less=True)
        m.d.sync += held.eq(Cat(words))
        offset, words = 0, []
        for highest in lane.highest:
            words.append(held[offset : offset + highest.bit_length()])
            offset += highest.bit_length()
    return [Operand(word, highest) for word, highest in zip(words, lane.highest, strict=True)]


def _register(m: Module, operand: Operand, name: str) -> Operand:
    """Give an operand one cycle later."""
    held = Signal(len(operand.value), name=name, reset_less=True)
    m.d.sync += held.eq(operand.value)
    return Operand(held, operand.highest)


def _accumulate(
    m: Module, name: str, fold: LayerFold, nodes: Sequence[int], term: Operand, clear: Value, tables: Tables
) -> Value:
    """Accumulate a term until ``clear``, and give the sum so far, this cycle's term included."""
    width = max(fold.plan.nodes[node].highest for node in nodes).bit_length()
    so_far, total = Signal(width, name=f"{name}_so_far", reset_less=True), Signal(width, name=f"{name}_total")
    m.d.comb += total.eq(tables.add(so_far, term.value, width))
    with m.If(clear):
        m.d.sync += so_far.eq(0)
    with m.Else():
        m.d.sync += so_far.eq(total)
    return total


def _delay(m: Module, flag: Value, cycles: int) -> Value:
    """Give ``flag`` as it was some cycles ago."""
    for _ in range(cycles):
        later = Signal(name="flag_later")
        m.d.sync += later.eq(flag)
        flag = later
    return flag
