"""Cores from outside: made of checked settings, and what their ports carry."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Shape

from ..network import LookupNetwork
from .folding import schedule_core
from .lookup_core import LookupCore
from .network_plan import plan_layers

__all__ = ["create_core", "port_shapes"]


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
    sample, prediction = (stream.payload.shape().elem_shape for stream in (core.samples, core.predictions))
    return Shape.cast(sample), Shape.cast(prediction)
