"""One layer: forward pass, downstream gradients, and the update of its coefficients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import LayerArithmetic, bits_for
from ..fixed import Codes, FixedValue, Format, Rounding, rounding_constant
from ..noise import WIDTH as NOISE_WIDTH
from ..schedule import Schedule
from .basis import Basis
from .coefficients import CoefficientAccess, Coefficients, cell_bits
from .locate import Locate
from .multiply import product, product_in_logic, tree_sum
from .narrowing import Narrowing, fitting
from .noise import lane_noise
from .stages import Stages

__all__ = ["Layer"]

Banks = list[FixedValue]  # one value per memory bank


@dataclass
class _Read:
    """What a sample reads, as it leaves the stage ``read``."""

    basis: list[Banks]  # by input
    derivative: list[Banks]  # by input; empty in the first layer
    window: list[list[Banks]]  # coefficients by node and input


class Layer(wiring.Component):  # type: ignore[misc]
    """A layer of ``n_in`` by ``n_out`` edges, all of them side by side.

    While ``x`` (in the first layer: what it was when ``take`` was high), ``target``, ``gradient`` and ``noise`` hold
    still, every output settles after the registers on its way; ``write`` then stores the updated coefficients.
    Implements the equations of :mod:`kanrtl.model`.

    Parameters
    ----------
    layer
        The arithmetic.
    initial
        Initial coefficient codes, ``(n_out, n_in, bases)``.
    schedule
        Where registers stand.
    index
        Which layer of the network. The first locates its inputs as a sample is taken, and computes no downstream
        gradient.
    rounding, update_rounding
        As in :class:`kanrtl.LearnerSpec`.
    in_logic
        Whether products are written out, rather than left to synthesis.
    saturating
        The kinds of value that can saturate; the others get no logic for it.
    forms_error
        Node sum minus target is formed in the adder tree itself, rounding included, and y from it: the way to the
        coefficients then has one adder less. For the squared loss, where the target comes with the sample.
    first_lane
        Number of this layer's first noise lane.

    Members
    -------
    x : In, ``n_in`` activations
    take : In(1), the first layer takes ``x`` at the clock edge
    total : Out, ``n_out`` exact node sums; not with ``forms_error``
    y : Out, ``n_out`` activations
    target : In, ``n_out`` activations, and error : Out, ``n_out`` gradients; only with ``forms_error``
    gradient : In, dL/dy for ``n_out`` nodes
    downstream : Out, dL/dx for ``n_in`` inputs; not in the first layer
    learning_rate : In
    noise : In(32), state of the noise register; only with stochastic rounding
    write : In(1)
    saturated : Out, one bit per kind: whether any value is saturating now
    access : In, see :class:`CoefficientAccess`
    access_write : In(1), what ``access`` writes is ``access_data`` rather than the update; to be high from two cycles
        before the write on, for the registers of an update
    """

    def __init__(
        self,
        layer: LayerArithmetic,
        initial: Codes,
        *,
        schedule: Schedule,
        index: int,
        rounding: str,
        update_rounding: str,
        in_logic: bool,
        saturating: frozenset[str],
        forms_error: bool,
        first_lane: int,
    ) -> None:
        self._layer = layer
        self._initial = initial
        self._schedule = schedule
        self._first = index == 0
        self._block = schedule.block_memory[index]
        self._rounding = rounding
        self._update_rounding = update_rounding
        self._in_logic = in_logic
        self._saturating = saturating
        self._forms_error = forms_error
        self._first_lane = first_lane
        formats = layer.formats
        members: dict[str, Any] = {
            "x": In(data.ArrayLayout(formats.activation, layer.n_in)),
            "y": Out(data.ArrayLayout(formats.activation, layer.n_out)),
            "gradient": In(data.ArrayLayout(formats.gradient, layer.n_out)),
            "learning_rate": In(formats.learning_rate),
            "write": In(1),
            "saturated": Out(data.StructLayout(dict.fromkeys(sorted(saturating), 1))),
            "access": In(CoefficientAccess(layer)),
            "access_write": In(1),
            "access_data": In(formats.coefficient),
        }
        if self._first:
            members["take"] = In(1)
        else:
            members["downstream"] = Out(data.ArrayLayout(formats.gradient, layer.n_in))
        if forms_error:
            members["target"] = In(data.ArrayLayout(formats.activation, layer.n_out))
            members["error"] = Out(data.ArrayLayout(formats.gradient, layer.n_out))
        else:
            members["total"] = Out(data.ArrayLayout(layer.node_sum, layer.n_out))
        if update_rounding == "stochastic":
            members["noise"] = In(NOISE_WIDTH)
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        stages = Stages(m, self._schedule.pipeline)
        m.submodules.coefficients = memory = Coefficients(
            self._layer, self._initial, block=self._block, held=self._first
        )
        connect(m, flipped(self.access), memory.access)
        self._narrowing = Narrowing(
            self._layer,
            rounding=self._rounding,
            update_rounding=self._update_rounding,
            saturating=self._saturating,
        )
        read = self._locate_and_read(m, stages, memory)
        for node in range(self._layer.n_out):
            self._node(m, stages, read, node)
        if not self._first:
            self._downstream(m, stages, read)
        self._update(m, stages, read, memory)
        for kind, bits in self._narrowing.flags.items():
            m.d.comb += self.saturated[kind].eq(Cat(bits).any())
        return m

    # Forward.

    def _locate_and_read(self, m: Module, stages: Stages, memory: Coefficients) -> _Read:
        """Addresses tables and memories with the sample's place on the grid."""
        layer = self._layer
        read = _Read([], [], [])
        if self._first:
            self._take = Signal(name="take_place")
            m.d.comb += [self._take.eq(self.take | self.access.enable), memory.take.eq(self._take)]
        for source in range(layer.n_in):
            table = Basis(layer, derivative=not self._first, registered=self._block)
            m.submodules[f"basis{source}"] = table
            place = self._locate(m, source)
            if not self._first:
                place = {name: stages.end("locate", value, f"{name}{source}") for name, value in place.items()}
            m.d.comb += memory.cell[source].eq(place["cell"])  # in the first layer the memories hold their addresses
            if self._first and not self._looks_up_early:
                place = {name: self._hold(m, value, f"{name}{source}") for name, value in place.items()}
            if not self._first:
                read.derivative.append(self._end_read(stages, table.derivative, f"derivative{source}"))
            m.d.comb += [getattr(table, name).eq(value) for name, value in place.items()]
            read.basis.append(self._basis(m, stages, table, source))
        read.window = [
            [
                self._end_read(stages, memory.read[node][source], f"coefficient{node}_{source}")
                for source in range(layer.n_in)
            ]
            for node in range(layer.n_out)
        ]
        return read

    @property
    def _looks_up_early(self) -> bool:
        """Whether the sample's register stands behind the basis table: its way on is then the shorter."""
        return self._first and not self._block and "locate" not in self._schedule.pipeline

    def _hold(self, m: Module, value: Any, name: str) -> Any:
        """``value`` as it was when the sample was taken."""
        register = Signal(value.shape(), name=name, reset_less=True)
        with m.If(self._take):
            m.d.sync += register.eq(value)
        return register

    def _locate(self, m: Module, source: int) -> dict[str, Value]:
        """Cell, table row, and whether inside the grid."""
        m.submodules[f"locate{source}"] = locate = Locate(self._layer.locator, self._layer.formats.activation)
        m.d.comb += locate.x.eq(self.x[source])
        cell = Signal(cell_bits(self._layer), name=f"reached{source}")
        m.d.comb += cell.eq(Mux(self.access.enable, self.access.index, locate.cell))
        return {"cell": cell, "row": locate.row, "inside": locate.inside}

    def _basis(self, m: Module, stages: Stages, table: Basis, source: int) -> Banks:
        if not self._looks_up_early:
            return self._end_read(stages, table.basis, f"basis{source}")
        # Nothing but the window is read then, so a register after ``read`` is there for it alone.
        return [self._hold(m, table.basis[bank], f"basis{source}_bank{bank}") for bank in range(self._layer.banks)]

    def _end_read(self, stages: Stages, banks: Any, name: str) -> Banks:
        """The banks' values as they leave ``read``; a block memory's own register ends that stage already."""
        values = [banks[bank] for bank in range(self._layer.banks)]
        if self._block:
            return values
        return [stages.end("read", value, f"{name}_bank{bank}") for bank, value in enumerate(values)]

    def _node(self, m: Module, stages: Stages, read: _Read, node: int) -> None:
        """y of a node, and its exact sum, or its error."""
        layer = self._layer
        products = [
            stages.end(
                "multiply", product(m, coefficient, basis, in_logic=self._in_logic), f"product{node}_{source}_{bank}"
            ).raw
            for source in range(layer.n_in)
            for bank, (coefficient, basis) in enumerate(zip(read.window[node][source], read.basis[source], strict=True))
        ]
        if self._forms_error:
            self._error(m, stages, products, node)
            return
        # The bases sum to one: the sum fits node_sum, whatever its single products could reach together.
        total = stages.end("sum", fitting(tree_sum(products), layer.node_sum), f"sum{node}")
        m.d.comb += [
            self.total[node].eq(total),
            self.y[node].eq(self._narrowing.narrow("activation", total, layer.formats.activation)),
        ]

    def _error(self, m: Module, stages: Stages, products: list[Value], node: int) -> None:
        """The node's error, in its adder tree with what rounds it; and y, which is the error and the target."""
        layer, formats = self._layer, self._layer.formats
        shift = layer.error_sum.f - formats.activation.f
        target = Cat(Const(0, shift), self.target[node].raw).as_signed()
        rounds = rounding_constant(self._rounding, layer.error_sum.f - formats.gradient.f)
        rounds_y = rounding_constant(self._rounding, shift)
        rounding: str = self._rounding
        if rounds is None or rounds_y is None:
            rounds = rounds_y = 0
        else:
            rounding = Rounding.FLOOR
        width = max(bits_for(layer.error_bounds[1] + rounds), layer.error_sum.width - 1) + 1
        # Apart from the tree: known early, and needed again for y.
        offset = Signal((rounds - target).shape(), name=f"offset{node}")
        m.d.comb += offset.eq(rounds - target)
        rounded = tree_sum([*products, offset])
        error = fitting(rounded, Format(True, width - layer.error_sum.f, layer.error_sum.f))
        error = stages.end("sum", error, f"error{node}")
        gradient = self._narrowing.narrow("gradient", error, formats.gradient, rounding)
        # One bit more than node_sum: y may be rounded up beyond it.
        total = fitting(error.raw - offset + rounds_y, Format(True, layer.node_sum.i + 1, layer.node_sum.f))
        y = self._narrowing.narrow("activation", stages.wire(total, f"sum{node}"), formats.activation, rounding)
        m.d.comb += [self.error[node].eq(gradient), self.y[node].eq(y)]

    # Backward.

    def _downstream(self, m: Module, stages: Stages, read: _Read) -> None:
        layer = self._layer
        terms: list[list[Value]] = [[] for _ in range(layer.n_in)]
        for node in range(layer.n_out):
            for source in range(layer.n_in):
                edge = f"{node}_{source}"
                products = [
                    stages.end(
                        "multiply",
                        product(m, coefficient, derivative, in_logic=self._in_logic),
                        f"rise{edge}_{bank}",
                    ).raw
                    for bank, (coefficient, derivative) in enumerate(
                        zip(read.window[node][source], read.derivative[source], strict=True)
                    )
                ]
                total = stages.end("sum", fitting(tree_sum(products), layer.slope_sum), f"slope_sum{edge}")
                slope = stages.wire(self._narrowing.narrow("slope", total, layer.formats.slope), f"slope{edge}")
                term = product(m, self.gradient[node], slope, in_logic=self._in_logic)
                terms[source].append(stages.end("downstream", term, f"downstream{edge}").raw)
        for source in range(layer.n_in):
            total = stages.wire(fitting(tree_sum(terms[source]), layer.downstream_sum), f"downstream_sum{source}")
            gradient = self._narrowing.narrow("gradient", total, layer.formats.gradient)
            m.d.comb += self.downstream[source].eq(stages.end("error", gradient, f"gradient{source}"))

    def _update(self, m: Module, stages: Stages, read: _Read, memory: Coefficients) -> None:
        layer = self._layer
        steps = [
            [
                stages.end("step", self._step(m, stages, basis, f"{source}_{bank}"), f"step{source}_{bank}")
                for bank, basis in enumerate(banks)
            ]
            for source, banks in enumerate(read.basis)
        ]
        for node in range(layer.n_out):
            for source in range(layer.n_in):
                for bank, step in enumerate(steps[source]):
                    place = f"{node}_{source}_{bank}"
                    change = product(m, self.gradient[node], step, in_logic=self._in_logic)
                    change = stages.end("product", change, f"change{place}")
                    lane = (node * layer.n_in + source) * layer.banks + bank
                    coefficient = self._changed(m, read.window[node][source][bank], change, lane, place)
                    m.d.comb += memory.write[node][source][bank].eq(coefficient)
        m.d.comb += memory.write_enable.eq(self.write)

    def _step(self, m: Module, stages: Stages, basis: FixedValue, place: str) -> FixedValue:
        """Learning rate times basis: computed beside the forward pass, so that nothing waits for it."""
        exact = stages.wire(product_in_logic(m, basis, self.learning_rate), f"scaled{place}")
        step = self._narrowing.narrow("step", exact, self._layer.formats.step)
        # What is written from outside takes the way of an update that moves by nothing: a choice at its end would be
        # on the longest path.
        return FixedValue(step.format, Mux(self.access_write, 0, step.raw)[: step.format.width])

    def _changed(self, m: Module, coefficient: FixedValue, product: FixedValue, lane: int, place: str) -> FixedValue:
        """``coefficient - product``, or what is written from outside."""
        chosen = Mux(self.access_write, self.access_data.raw, coefficient.raw)
        coefficient = FixedValue(coefficient.format, chosen[: coefficient.format.width])
        return self._narrowing.changed(
            m,
            coefficient,
            product,
            noise=lambda bits: lane_noise(self.noise, self._first_lane + lane, bits),
            name=f"changed{place}",
        )
