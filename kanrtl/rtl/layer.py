"""One layer: forward pass, downstream gradients, and the update of its coefficients."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..arithmetic import LayerArithmetic
from ..fixed import Codes, FixedValue, Format, narrow
from ..noise import WIDTH as NOISE_WIDTH
from ..schedule import Schedule
from .basis import Basis
from .coefficients import CoefficientAccess, Coefficients
from .locate import Locate
from .multiply import product_in_logic, tree_sum
from .noise import lane_noise
from .stages import Stages

__all__ = ["Layer"]

_Flags = defaultdict[str, list[Value]]  # saturation bits by kind


class Layer(wiring.Component):  # type: ignore[misc]
    """A layer of ``n_in`` by ``n_out`` edges, all of them side by side.

    While ``x``, ``gradient`` and ``noise`` hold still, every output settles after the registers on its way; ``write``
    then stores the updated coefficients. Implements the equations of :mod:`kanrtl.model`.

    Parameters
    ----------
    layer
        The arithmetic.
    initial
        Initial coefficient codes, ``(n_out, n_in, bases)``.
    schedule
        Where registers stand.
    index
        Which layer of the network; the first computes no downstream gradient.
    rounding, update_rounding
        As in :class:`kanrtl.LearnerSpec`.
    first_lane
        Number of this layer's first noise lane.

    Members
    -------
    x : In, ``n_in`` activations
    total : Out, ``n_out`` exact node sums
    y : Out, ``n_out`` activations
    gradient : In, dL/dy for ``n_out`` nodes
    downstream : Out, dL/dx for ``n_in`` inputs; not in the first layer
    learning_rate : In
    noise : In(32), state of the noise register; only with stochastic rounding
    write : In(1)
    saturated : Out, one bit per kind: whether any value is saturating now
    access : In, see :class:`CoefficientAccess`
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
        first_lane: int,
    ) -> None:
        self._layer = layer
        self._initial = initial
        self._schedule = schedule
        self._block = schedule.block_memory[index]
        self._rounding = rounding
        self._update_rounding = update_rounding
        self._first_lane = first_lane
        formats = layer.formats
        kinds = ["activation", "step", "coefficient"]
        members: dict[str, Any] = {
            "x": In(data.ArrayLayout(formats.activation, layer.n_in)),
            "total": Out(data.ArrayLayout(layer.node_sum, layer.n_out)),
            "y": Out(data.ArrayLayout(formats.activation, layer.n_out)),
            "gradient": In(data.ArrayLayout(formats.gradient, layer.n_out)),
            "learning_rate": In(formats.learning_rate),
            "write": In(1),
            "access": In(CoefficientAccess(layer)),
        }
        if index > 0:
            members["downstream"] = Out(data.ArrayLayout(formats.gradient, layer.n_in))
            kinds += ["slope", "gradient"]
        if update_rounding == "stochastic":
            members["noise"] = In(NOISE_WIDTH)
        members["saturated"] = Out(data.StructLayout(dict.fromkeys(kinds, 1)))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        stages = Stages(m, self._schedule.pipeline)
        memory = Coefficients(self._layer, self._initial, block=self._block)
        m.submodules.coefficients = memory
        connect(m, flipped(self.access), memory.access)
        basis, derivative = self._locate_and_read(m, stages, memory)
        window = self._window(stages, memory)
        flags: _Flags = defaultdict(list)
        self._forward(m, stages, flags, window, basis)
        if derivative:
            self._downstream(m, stages, flags, window, derivative)
        self._update(m, stages, flags, window, basis, memory)
        m.d.comb += [self.saturated[kind].eq(Cat(bits).any()) for kind, bits in flags.items()]
        return m

    def _locate_and_read(self, m: Module, stages: Stages, memory: Coefficients) -> tuple[Any, Any]:
        """Addresses the memories; gives basis and derivative values by input and bank, as they leave ``read``."""
        layer = self._layer
        basis: list[list[FixedValue]] = []
        derivative: list[list[FixedValue]] = []
        for source in range(layer.n_in):
            m.submodules[f"locate{source}"] = locate = Locate(layer.locator, layer.formats.activation)
            m.d.comb += locate.x.eq(self.x[source])
            table = Basis(layer, derivative=hasattr(self, "downstream"), registered=self._block)
            m.submodules[f"basis{source}"] = table
            cell = stages.end("locate", locate.cell, f"cell{source}")
            m.d.comb += [
                memory.cell[source].eq(cell),
                table.cell.eq(cell),
                table.row.eq(stages.end("locate", locate.row, f"row{source}")),
                table.inside.eq(stages.end("locate", locate.inside, f"inside{source}")),
            ]
            basis.append(self._end_read(stages, table.basis, f"basis{source}"))
            if hasattr(self, "downstream"):
                derivative.append(self._end_read(stages, table.derivative, f"derivative{source}"))
        return basis, derivative

    def _end_read(self, stages: Stages, banks: Any, name: str) -> list[FixedValue]:
        """The banks' values as they leave ``read``; a block memory's own register ends that stage already."""
        values = [banks[bank] for bank in range(self._layer.banks)]
        if self._block:
            return values
        return [stages.end("read", value, f"{name}_bank{bank}") for bank, value in enumerate(values)]

    def _window(self, stages: Stages, memory: Coefficients) -> list[list[list[FixedValue]]]:
        """The coefficients of the sample's window, by node, input and bank."""
        return [
            [
                self._end_read(stages, memory.read[node][source], f"coefficient{node}_{source}")
                for source in range(self._layer.n_in)
            ]
            for node in range(self._layer.n_out)
        ]

    def _forward(self, m: Module, stages: Stages, flags: _Flags, window: Any, basis: Any) -> None:
        layer = self._layer
        for node in range(layer.n_out):
            products = [
                stages.end(
                    "multiply",
                    window[node][source][bank] * basis[source][bank],
                    f"product{node}_{source}_{bank}",
                )
                for source in range(layer.n_in)
                for bank in range(layer.banks)
            ]
            # The bases sum to one: the sum fits node_sum, whatever its single products could reach together.
            total = _fitting(tree_sum([product.raw for product in products]), layer.node_sum)
            total = stages.end("sum", total, f"sum{node}")
            y, saturated = narrow(total, layer.node_sum.f, layer.formats.activation, self._rounding)
            m.d.comb += [self.total[node].eq(total), self.y[node].eq(y)]
            flags["activation"].append(saturated)

    def _downstream(self, m: Module, stages: Stages, flags: _Flags, window: Any, derivative: Any) -> None:
        layer = self._layer
        terms: list[list[Value]] = [[] for _ in range(layer.n_in)]
        for node in range(layer.n_out):
            for source in range(layer.n_in):
                edge = f"{node}_{source}"
                products = [
                    stages.end(
                        "multiply",
                        window[node][source][bank] * derivative[source][bank],
                        f"rise{edge}_{bank}",
                    )
                    for bank in range(layer.banks)
                ]
                total = _fitting(tree_sum([product.raw for product in products]), layer.slope_sum)
                total = stages.end("sum", total, f"slope_sum{edge}")
                slope, saturated = narrow(total, layer.slope_sum.f, layer.formats.slope, self._rounding)
                flags["slope"].append(saturated)
                slope_signal = Signal(layer.formats.slope, name=f"slope{edge}")
                m.d.comb += slope_signal.eq(slope)
                product = stages.end("downstream", self.gradient[node] * slope_signal, f"downstream{edge}")
                terms[source].append(product.raw)
        for source in range(layer.n_in):
            total = stages.wire(_fitting(tree_sum(terms[source]), layer.downstream_sum), f"downstream_sum{source}")
            gradient, saturated = narrow(total, layer.downstream_sum.f, layer.formats.gradient, self._rounding)
            flags["gradient"].append(saturated)
            m.d.comb += self.downstream[source].eq(stages.end("error", gradient, f"gradient{source}"))

    def _update(self, m: Module, stages: Stages, flags: _Flags, window: Any, basis: Any, memory: Coefficients) -> None:
        layer = self._layer
        for node in range(layer.n_out):
            exact = stages.wire(product_in_logic(m, self.gradient[node], self.learning_rate), f"scaled{node}")
            step, saturated = narrow(exact, layer.step_product.f, layer.formats.step, self._rounding)
            flags["step"].append(saturated)
            step = stages.end("step", step, f"step{node}")
            for source in range(layer.n_in):
                for bank in range(layer.banks):
                    place = f"{node}_{source}_{bank}"
                    product = stages.end("product", step * basis[source][bank], f"change{place}")
                    changed = stages.wire(window[node][source][bank] - product, f"changed{place}")
                    coefficient, saturated = narrow(
                        changed,
                        layer.update_sum.f,
                        layer.formats.coefficient,
                        self._update_rounding,
                        noise=self._lane_noise((node * layer.n_in + source) * layer.banks + bank),
                    )
                    m.d.comb += memory.write[node][source][bank].eq(coefficient)
                    flags["coefficient"].append(saturated)
        m.d.comb += memory.write_enable.eq(self.write)

    def _lane_noise(self, lane: int) -> Value | None:
        if not hasattr(self, "noise"):
            return None
        return lane_noise(self.noise, self._first_lane + lane, self._layer.noise_bits)


def _fitting(total: Value, format: Format) -> FixedValue:
    """A sum that is known to fit ``format``."""
    if len(total) < format.width:
        total = Cat(total, total[-1].replicate(format.width - len(total)))
    return FixedValue(format, total[: format.width])
