"""A core whose settings are checked before there is one."""

from __future__ import annotations

from typing import Any

from .core import LookupCore
from .network import LookupNetwork
from .pipeline import Pipeline
from .plan import plan_layers

__all__ = ["checked_core"]


def checked_core(network: LookupNetwork, family: str = "any", **options: Any) -> LookupCore:
    """A :class:`~kanrtl.lookup.core.LookupCore`, whose parameters these are.

    What it refuses is refused before it is made: Amaranth warns of a component that nobody elaborates. Raises
    :exc:`kanrtl.InputError`.
    """
    Pipeline.of(network, plan_layers(network), **options)
    return LookupCore(network, family=family, **options)
