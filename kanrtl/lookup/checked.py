"""Cores whose settings are checked before they are made, and what their ports carry."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Shape

from .core import LookupCore
from .network import LookupNetwork
from .pipeline import Pipeline
from .plan import plan_layers

__all__ = ["checked_core", "port_shapes"]


def checked_core(network: LookupNetwork, family: str = "any", **options: Any) -> LookupCore:
    """A :class:`~kanrtl.lookup.core.LookupCore`, whose parameters these are.

    What it refuses is refused before it is made: Amaranth warns of a component that nobody elaborates. Raises
    :exc:`kanrtl.InputError`.
    """
    Pipeline.of(network, plan_layers(network), **options)
    return LookupCore(network, family=family, **options)


def port_shapes(core: LookupCore) -> tuple[Shape, Shape]:
    """Of one number in a sample, and of one in a prediction."""
    sample, prediction = (stream.payload.shape().elem_shape for stream in (core.samples, core.predictions))
    return Shape.cast(sample), Shape.cast(prediction)
