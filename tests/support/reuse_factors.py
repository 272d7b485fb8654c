"""Reuse factors that a network can have."""

from __future__ import annotations

from hypothesis import strategies as st

from kanrtl import LookupNetwork
from kanrtl.lookup.rtl.network_plan import plan_layers


def edges_of(network: LookupNetwork) -> list[int]:
    """Of every layer that are built, at least one."""
    return [max(1, sum(len(node.terms) for node in plan.nodes)) for plan in plan_layers(network)]


@st.composite
def factors(draw: st.DrawFn, network: LookupNetwork) -> int | list[int]:
    edges = edges_of(network)
    if draw(st.booleans()):
        return draw(st.integers(1, max(edges)))
    return [draw(st.integers(1, most)) for most in edges]
