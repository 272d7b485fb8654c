"""The lookup network as hardware: one sample a cycle, and its prediction a constant number of cycles later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, EnableInserter, Module, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...errors import check_kind
from ...numeric.fixed import SQ, narrow
from ...progress import Progress
from ..network import LookupNetwork
from ..quantiser import FixedQuantiser
from .chosen_network import choose_network
from .folded_lanes import build_folded_layer
from .folding import Folding, schedule_core
from .network_plan import LookupLayerPlan, NodePlan, list_whole_terms, plan_layers
from .nodes import Candidate, Operand, add_pairs, choose_higher, compare_sum, saturate_sum
from .pipeline import Pipeline, count_levels
from .tables import Tables


class LookupCore(wiring.Component):  # type: ignore[misc]
    """A lookup network that takes a sample in every cycle, without a pause and without a stall; or, folded, one every
    ``interval`` cycles.

    Without folding nothing here ever waits, so neither stream has a ``ready``: whoever cannot take a prediction in
    every cycle puts a FIFO behind it, or sends samples less often. A folded network has ``ready`` on both sides, and
    stands still while a prediction waits to be taken. Samples in flight when ``rst`` rises are lost; there is no other
    state.

    Parameters
    ----------
    network : LookupNetwork
        With a :class:`~kanrtl.lookup.quantiser.FixedQuantiser`, samples are fixed-point numbers in its format; else
        codes of the first layer.
    latency : int, optional
        Cycles from the edge that takes a sample to the edge from which its prediction is valid, at least one:
        the number of registers behind that which holds the sample. They stand where they make the longest stage
        shortest (:mod:`.pipeline`). By default as many as make a prediction take the least time, by estimate. Folded,
        there is a choice only of registers behind memories; by default there are all of them, except for ``ice40``,
        where they would take logic cells.
    memory : ``"auto"``, ``"logic"`` or ``"block"``
        Where tables lie, for all layers or a list with one for each. ``auto``: block memory where an address has more
        than eight bits.
    whole_from : int, optional
        The layer from which on the rest of the network, output stage and all, is a single table in block memory. It has
        as many address bits as all codes that this layer takes, at most 16.
    family : ``"any"``, ``"ecp5"`` or ``"ice40"``, or a family that was added
        For a family by name, sums and tables of up to six address bits are made of its own cells, far fewer than
        synthesis finds (:mod:`kanrtl.lookup.rtl.cells` has those of ECP5 and iCE40). Amaranth's simulator does not know
        these cells.
    reuse_factor : int or list of int
        How many edges share one port of a memory, for all layers or a list with one for each: at most so many, and as
        evenly as can be (:mod:`.folding`). A layer with a factor above one lies in block memory, and takes
        a sample every so many cycles; of all layers the slowest sets the ``interval``.

    Attributes
    ----------
    progress : callable or None
        A function that is told which tables are being made as the core is elaborated: minimising them can take seconds
        for each input.
    network, family, whole_from
        As they were given.
    plans : tuple of LookupLayerPlan
        What the layers are made of: those of the network, or of one that predicts the same and takes fewer LUTs
        (:mod:`.equivalents`).
    schedule : Pipeline or Folding
        Where the registers stand.

    Members
    -------
    samples : In, stream
        A sample is an array of ``n_in`` numbers. Without folding there is no ``ready``.
    predictions : Out, stream
        A prediction is an array: by the network's output stage ``n_out`` codes of the last layer, a class, or ``n_out``
        bits. It is valid ``latency`` cycles after its sample was taken, and without folding for one cycle.

    Raises
    ------
    InputError
        If ``latency``, ``memory``, ``family``, ``whole_from`` or ``reuse_factor`` cannot be.
    """

    def __init__(
        self,
        network: LookupNetwork,
        latency: int | None = None,
        memory: str | Sequence[str] = "auto",
        family: str = "any",
        whole_from: int | None = None,
        reuse_factor: int | Sequence[int] = 1,
    ) -> None:
        check_kind("network", network, LookupNetwork, "a LookupNetwork")
        self.network = network
        self.progress: Progress | None = None
        self.family = family
        self.whole_from = whole_from
        self.schedule = schedule_core(network, plan_layers(network), latency, memory, whole_from, reuse_factor, family)
        self._built, self.plans = choose_network(network, self.schedule, family, whole_from)
        super().__init__(
            {
                name: flow(stream.Signature(data.ArrayLayout(shape, count), always_ready=self.folding is None))
                for name, flow, shape, count in (
                    ("samples", In, network.sample_format.as_shape(), network.n_in),
                    ("predictions", Out, network.prediction_format.as_shape(), network.n_predictions),
                )
            }
        )

    @property
    def folding(self) -> Folding | None:
        """What lies where if edges share ports, else None."""
        return self.schedule if isinstance(self.schedule, Folding) else None

    @property
    def has_contents(self) -> bool:
        """Whether any table lies in block memory, whose contents have to be there from the start. Without, a reset is
        all that it needs."""
        if isinstance(self.schedule, Folding):
            return any(layer.block for layer in self.schedule.layers)
        return self.whole_from is not None or any(self.schedule.block)

    @property
    def latency(self) -> int:
        """Cycles from the edge that takes a sample to the edge from which its prediction is valid."""
        return self.schedule.latency

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next."""
        return self.schedule.interval

    def elaborate(self, platform: Any) -> Module:
        return self._build_streamed() if self.folding is None else self._build_folded(self.folding)

    def _build_streamed(self) -> Module:
        """Make the core that takes a sample in every cycle."""
        assert isinstance(self.schedule, Pipeline)
        m = Module()
        # A bit for every stage: whether a sample is in it.
        present = Signal(self.latency + 1)
        m.d.sync += present.eq(Cat(self.samples.valid, present))
        m.d.comb += self.predictions.valid.eq(present[-1])
        tables = Tables(m, self.family)
        values, position = self._inputs(m)
        for index, plan in enumerate(self.plans[: self.whole_from]):
            values, position = self._layer(m, index, plan, values, position, tables, self.schedule.block[index])
        if self.whole_from is not None:
            values, position = self._whole(m, self.whole_from, values, tables)
        else:
            values, position = self._output(m, values, position)
        self._predict(m, values, position)
        return m

    def _build_folded(self, folding: Folding) -> Module:
        """Make the core that takes a sample whenever the slowest layer is done with the last.

        All of it stands still while a prediction waits.
        """
        m, work = Module(), Module()
        moves = Signal()
        m.d.comb += moves.eq(~self.predictions.valid | self.predictions.ready)
        m.submodules.work = EnableInserter(moves)(work)
        pause, start = Signal(range(folding.interval)), Signal()
        m.d.comb += [self.samples.ready.eq(moves & (pause == 0)), start.eq(self.samples.valid & (pause == 0))]
        with work.If(start):
            work.d.sync += pause.eq(folding.interval - 1)
        with work.Elif(pause != 0):
            work.d.sync += pause.eq(pause - 1)
        tables = Tables(work, self.family)
        values, _ = self._inputs(work)
        done: Value = start
        for _ in range(folding.before):
            done = _delay(work, done, "taken")
        for index, layer in enumerate(folding.layers):
            done, values = build_folded_layer(work, index, layer, done, values, self._node_value, tables)
        for _ in range(folding.after + 1):
            done = _delay(work, done, "present")
        work.d.comb += self.predictions.valid.eq(done)
        threshold = self.network.output == "threshold"
        self._predict(work, *self._output(work, values, "compare1" if threshold else f"node{len(self.plans) - 1}"))
        return m

    def _output(self, m: Module, values: list[Value], position: str) -> tuple[list[Value], str]:
        """Make the output stage behind the last layer."""
        if self.network.output == "argmax":
            return self._find_highest(m, values, position)
        return [_flip_sign(value) for value in values] if self.network.output == "raw" else values, position

    def _predict(self, m: Module, values: Sequence[Value], position: str) -> None:
        """Drive the predictions."""
        for index, value in enumerate(values):
            prediction = self._hold(m, position, value, f"prediction{index}")
            m.d.comb += Value.cast(self.predictions.payload[index]).eq(prediction)

    # Everything below passes values on before they leave their position, with its name: memories take them so.

    def _hold(self, m: Module, position: str, value: Value, name: str) -> Value:
        """Give ``value`` as it leaves ``position``: registered or not."""
        if isinstance(value, Const):
            return value
        registered = position == "sample" or position in self.schedule.registers
        signal = Signal(len(value), name=name, reset_less=registered)
        domain = m.d.sync if registered else m.d.comb
        domain += signal.eq(value)
        return signal

    def _inputs(self, m: Module) -> tuple[list[Value], str]:
        """Make the codes that the first layer takes."""
        network, quantiser = self.network, self.network.quantiser
        values = [Value.cast(self.samples.payload[index]) for index in range(network.n_in)]
        if not isinstance(quantiser, FixedQuantiser):
            return values, "sample"
        codes = []
        for index, value in enumerate(values):
            if index not in self.plans[0].sources:
                codes.append(Const(0, quantiser.bits))  # nothing depends on it
                continue
            held = self._hold(m, "sample", value, f"sample{index}")
            held = held.as_signed() if quantiser.format.signed else held
            codes.append(_quantise(m, quantiser, index, held))
        return codes, "codes"

    def _layer(
        self,
        m: Module,
        index: int,
        plan: LookupLayerPlan,
        values: list[Value],
        position: str,
        tables: Tables,
        block: bool,
    ) -> tuple[list[Value], str]:
        """Make a layer, and give its addresses; of the last layer what its output stage takes."""
        operands = self._tables(m, index, plan, values, position, tables, block)
        sums = [[operands[term] for term in node.terms] for node in plan.nodes]
        for row, node in zip(sums, plan.nodes, strict=True):
            if node.constant:
                row.append(Operand(Const(node.constant), node.constant))
        position = f"table{index}"
        for level in range(count_levels(plan.fan_in)):
            sums = [
                add_pairs(self._hold_all(m, position, row, f"{position}_{node}"), tables.add)
                for node, row in enumerate(sums)
            ]
            position = f"sum{index}.{level + 1}"
        ends = [
            next(iter(self._hold_all(m, position, row, f"{position}_{node}")), Operand(Const(0), 0))
            for node, row in enumerate(sums)
        ]
        nodes = [
            self._node_value(index, number, node, end)
            for number, (node, end) in enumerate(zip(plan.nodes, ends, strict=True))
        ]
        return nodes, "compare1" if self._compares(index) else f"node{index}"

    def _compares(self, index: int) -> bool:
        """Tell whether a layer's sums are compared with thresholds, and need no saturation."""
        return index == len(self.plans) - 1 and self.network.output == "threshold"

    def _node_value(self, index: int, number: int, node: NodePlan, total: Operand) -> Value:
        """Give the address that a node makes of its sum; of the last layer what its output stage takes."""
        plan = self.plans[index]
        if self._compares(index):
            return compare_sum(plan, node, total, self._built.thresholds[number])
        return saturate_sum(plan, node, total)

    def _hold_all(self, m: Module, position: str, row: Sequence[Operand], name: str) -> list[Operand]:
        """Give all of a row as they leave ``position``."""
        return [
            Operand(self._hold(m, position, one.value, f"{name}_{number}"), one.highest)
            for number, one in enumerate(row)
        ]

    def _tables(
        self,
        m: Module,
        index: int,
        plan: LookupLayerPlan,
        values: list[Value],
        position: str,
        tables: Tables,
        block: bool,
    ) -> list[Operand]:
        """Make the tables of a layer, and give the values of all terms in their order."""
        results = []
        for source in plan.sources:
            if self.progress:
                self.progress(f"making tables: layer {index}, input {source + 1} of {len(plan.reachable)}")
            terms = [term.by_code() if index == 0 else term for term in plan.terms if term.source == source]
            name = f"layer{index}_{source}"
            if block:
                words = tables.block(values[source], terms, f"{name}_memory")
            else:
                words = tables.logic(self._hold(m, position, values[source], f"{name}_address"), terms, name)
            results += [Operand(word, term.highest) for word, term in zip(words, terms, strict=True)]
        return results

    def _whole(self, m: Module, start: int, values: list[Value], tables: Tables) -> tuple[list[Value], str]:
        """Make one table, over all codes at once, of all that is left of the network."""
        width = self.network.prediction_format.width
        words = tables.block(Cat(values), list_whole_terms(self.network, start, width), "whole")
        return [Cat(word, Const(0, width - len(word))) for word in words], "whole"

    def _find_highest(self, m: Module, values: list[Value], position: str) -> tuple[list[Value], str]:
        """Find the index of the highest of the outputs, the lowest of equals."""
        candidates = [Candidate(value, Const(index, max(1, index.bit_length()))) for index, value in enumerate(values)]
        for level in range(count_levels(len(values))):
            held = [
                Candidate(
                    *(
                        self._hold(m, position, value, f"{position}_{field}{number}")
                        for field, value in vars(one).items()
                    )
                )
                for number, one in enumerate(candidates)
            ]
            candidates = [choose_higher(*pair) for pair in zip(held[0::2], held[1::2], strict=False)]
            candidates += held[len(held) - len(held) % 2 :]
            position = f"compare{level + 1}"
        return [candidates[0].index], position


def _delay(m: Module, flag: Value, name: str) -> Value:
    """Give ``flag`` as it was a cycle ago."""
    later = Signal(name=name)
    m.d.sync += later.eq(flag)
    return later


def _flip_sign(value: Value) -> Value:
    """Give the address of a code, or the code of an address: the sign bit upside down."""
    return Cat(value[:-1], ~value[-1])


def _quantise(m: Module, quantiser: FixedQuantiser, index: int, raw: Value) -> Value:
    """Make the code of one input."""
    scale, offset = int(quantiser.scale[index]), int(quantiser.offset[index])
    magnitude = abs(scale)
    if magnitude & (magnitude - 1):
        product = raw * Const(scale)
    else:
        product = raw << (magnitude.bit_length() - 1) if magnitude else Const(0, 1)
        product = -product if scale < 0 else product
    exact = product + Const(offset)
    total = Signal(exact.shape(), name=f"scaled{index}")
    m.d.comb += total.eq(exact)
    return narrow(total, quantiser.shift, SQ(quantiser.bits, 0), "half_even").result.raw


def create_core(
    network: LookupNetwork,
    family: str = "any",
    latency: int | None = None,
    memory: str | Sequence[str] = "auto",
    whole_from: int | None = None,
    reuse_factor: int | Sequence[int] = 1,
) -> LookupCore:
    """Make a :class:`~kanrtl.lookup.rtl.lookup_core.LookupCore`, whose parameters these are.

    What it refuses is refused before it is made: Amaranth warns of a component that nobody elaborates.

    Raises
    ------
    InputError
        If a parameter cannot be.
    """
    schedule_core(network, plan_layers(network), latency, memory, whole_from, reuse_factor, family)
    return LookupCore(network, latency, memory, family, whole_from, reuse_factor)


def port_shapes(core: LookupCore) -> tuple[Shape, Shape]:
    """Give the shape of one number in a sample, and of one in a prediction."""
    sample, prediction = (port.payload.shape().elem_shape for port in (core.samples, core.predictions))
    return Shape.cast(sample), Shape.cast(prediction)
