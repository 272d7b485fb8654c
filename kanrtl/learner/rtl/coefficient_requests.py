"""Requests for coefficients, led to the layer that has them."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..address_map import AddressMap
from ..folded_schedule import FoldedSchedule
from ..spec import LearnerSpec
from .access_port import HeldRequest
from .layer_signature import CoefficientAccess

__all__ = ["CoefficientRequests", "count_coefficient_requests"]


class CoefficientRequests(wiring.Component):  # type: ignore[misc]
    """Splits an address into the fields of :class:`.AddressMap`, and accesses the coefficient there, if there is one.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    request : In, :class:`.HeldRequest`
    layer0, layer1, ... : Out, :class:`.CoefficientAccess`
        One for every layer.
    write : Out, one bit for every layer
        Its :attr:`~.LayerSignature.access_write`.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        layers = {f"layer{index}": Out(CoefficientAccess(layer)) for index, layer in enumerate(spec.layers)}
        super().__init__({"request": In(HeldRequest(spec)), "write": Out(spec.n_layers), **layers})

    @property
    def latency(self) -> int:
        """Clock cycles that it adds to those of a layer: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, addresses = self.request, AddressMap.of(self._spec)
        fields, position = [], 0
        for width in (addresses.index_bits, addresses.input_bits, addresses.node_bits, addresses.layer_bits):
            fields.append(request.address[position : position + width])
            position += width
        index, source, node, number = fields
        found: list[Value] = []
        for layer_number, layer in enumerate(self._spec.layers):
            access = getattr(self, f"layer{layer_number}")
            exists = (
                ~request.address[-1]
                & (number == layer_number)
                & (index < layer.bases)
                & (source < layer.n_in)
                & (node < layer.n_out)
            )
            m.d.comb += [access.index.eq(index), access.input.eq(source), access.output.eq(node)]
            with m.If(exists & request.serving):
                m.d.comb += [
                    access.enable.eq(1),
                    access.write.eq(request.done & request.write),
                    self.write[layer_number].eq(request.write),
                ]
            found.append(Mux(exists & ~request.write, access.read_data.raw, 0))
        m.d.comb += request.read.eq(reduce(or_, found))
        return m


def count_coefficient_requests(parts: Parts, spec: LearnerSpec) -> None:
    """Counts what :class:`CoefficientRequests` has, and in the layers the choice of what is read."""
    width = spec.formats.coefficient.width
    for index, layer in enumerate(spec.layers):
        reads = layer.n_in * layer.banks
        if isinstance(spec.timing, FoldedSchedule):
            passes = spec.timing.passes[index]
            parts.choice(width, reads // passes.inputs * layer.n_out // passes.nodes)
        else:
            parts.union(width, reads, layer.n_out)
            parts.choice(width, layer.n_out)
