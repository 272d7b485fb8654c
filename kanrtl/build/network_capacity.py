"""Whether a network fits a device, and what would make it fit; what certainly does not is refused before it is built.

Whatever is proposed has been estimated, and fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..errors import BuildError, InputError
from ..fabric.device import Device
from ..lookup.lookup_layer import LookupLayer
from ..lookup.network import LookupNetwork
from ..lookup.rtl.bound import bound_core
from ..lookup.rtl.network_estimate import NetworkEstimate, estimate_network
from .device_fit import DeviceFit
from .network_settings import list_memories, list_reuse_factors, list_whole_layers
from .shortage import DEVICES, RESOURCE_WORDS, ShortageError

_Estimates = Callable[..., NetworkEstimate]
"""Takes what :func:`estimate_network` takes."""

_PLANNED = 2048
"""How many edges a network may have to be planned as it is built, only to see whether it fits."""


@dataclass(frozen=True)
class NetworkMend:
    """What makes a network fit, in words, and what it then takes."""

    words: str
    estimate: NetworkEstimate
    options: dict[str, Any] | None = None
    """Parameters of :class:`kanrtl.LookupCore` to set, where that is what it is."""


@dataclass(frozen=True)
class NetworkFit(DeviceFit):
    """Whether a network fits a device; and where it does not, or may not, what would make it fit.

    Attributes
    ----------
    estimate : NetworkEstimate
        What it takes.
    mends : tuple of NetworkMend
        What would make it fit, each by itself: another setting, a larger device, or a smaller network.
    """

    estimate: NetworkEstimate
    mends: tuple[NetworkMend, ...] = ()

    kind: ClassVar[str] = "network"

    @property
    def mend(self) -> str:
        """What to change, in words."""
        return _join(self.mends)

    def to_json(self) -> dict[str, Any]:
        """The estimate as a dictionary that :mod:`json` can write, with ``fits``, ``lacks`` (a resource, or None), and
        what would make it fit: ``set`` (parameters and values, or None) and ``mends`` (in words)."""
        chosen = next((one.options for one in self.mends if one.options is not None), None)
        return super().to_json() | {"set": chosen, "mends": [one.words for one in self.mends]}


def _join(mends: Sequence[NetworkMend]) -> str:
    found = [f"{one.words} ({_describe(one.estimate)})" for one in mends]
    return ", or ".join(found) or "nothing that was tried makes it fit; make it smaller"


def _describe(found: NetworkEstimate) -> str:
    blocks = f", {found.bram} memory blocks" if found.bram else ""
    return f"about {found.lut} LUTs{blocks}, interval {found.interval}"


def find_network_fit(network: LookupNetwork, device: Device, **options: Any) -> NetworkFit:
    """Whether the core of a network fits ``device``, and what would make it fit; ``options`` are those of
    :func:`kanrtl.lookup.rtl.network_estimate.estimate_network`.

    Raises
    ------
    InputError
        If an option cannot be.
    """
    found = estimate_network(network, device, **options)
    return NetworkFit(found) if found.fits else NetworkFit(found, _find_mends(network, device, options))


def _find_mends(
    network: LookupNetwork, device: Device, options: dict[str, Any], of: _Estimates = estimate_network
) -> tuple[NetworkMend, ...]:
    setting = next(_find_settings(network, device, options, of), None)
    larger = _find_larger(network, device, options, of)
    mends = [one for one in (setting, larger) if one is not None]
    if setting is None:
        mends += _find_smaller(network, device, options, of)
    return tuple(mends)


def check_network_fits(network: LookupNetwork, device: Device, **options: Any) -> None:
    """Raise :exc:`BuildError` if the core of a network certainly does not fit ``device``, with what would make it fit;
    what is far too large is refused before it is planned."""
    check_network_bound(network, device, **options)
    find_network_fit(network, device, **options).check()


def check_network_bound(network: LookupNetwork, device: Device, **options: Any) -> None:
    """Raise :exc:`BuildError` if the core of a network does not fit ``device`` even by what it takes at the least,
    which is told without a plan."""
    bound = bound_core(network, device, **options)
    what = bound.find_shortage(device)
    if what is not None:
        needed, there = getattr(bound, what), getattr(device, what)
        shortage = f"the network needs {needed} or more {RESOURCE_WORDS[what]}, there are {there}"
        raise BuildError(f"device = {device.name!r}: {shortage}; {_join(_find_mends(network, device, options))}")


def advise_built_network(network: LookupNetwork, shortage: ShortageError, **options: Any) -> str:
    """What would make a network fit of which a tool has found that it does not: all in one line.

    Estimates are taken to be as much too low for other settings as for this one.
    """
    name, device = shortage.resource, shortage.device
    low = shortage.needed / max(1, getattr(estimate_network(network, device, **options), name))

    def correct(changed: LookupNetwork, part: Device, **settings: Any) -> NetworkEstimate:
        return estimate_network(changed, part, **settings).scale(name, low)

    return f"{shortage.explain('network')}; {_join(_find_mends(network, device, options, correct))}"


def _try(network: LookupNetwork, device: Device, options: dict[str, Any], of: _Estimates) -> NetworkEstimate | None:
    """The estimate, if that can be had and fits."""
    try:
        if bound_core(network, device, **options).find_shortage(device) is not None:
            return None
        found = of(network, device, **options)
    except InputError:  # what cannot be had together
        return None
    return found if found.fits else None


def _find_settings(
    network: LookupNetwork, device: Device, options: dict[str, Any], of: _Estimates
) -> Iterator[NetworkMend]:
    """The settings with which it fits: first those that take a sample in every cycle."""
    if not {"memory", "whole_from"} & set(options) and options.get("reuse_factor", 1) == 1:
        for memory in list_memories(network):
            if found := _try(network, device, options | {"memory": memory}, of):
                text = memory if isinstance(memory, str) else ",".join(memory)
                yield NetworkMend(f"set --memory {text}", found, {"memory": memory})
        for start in list_whole_layers(network):
            if found := _try(network, device, options | {"whole_from": start}, of):
                yield NetworkMend(f"set --whole-from {start}", found, {"whole_from": start})
    changed = {name: value for name, value in options.items() if name not in ("memory", "whole_from", "latency")}
    for factor in list_reuse_factors(network):
        if found := _try(network, device, changed | {"reuse_factor": factor}, of):
            yield NetworkMend(f"set --reuse-factor {factor}", found, {"reuse_factor": factor})


def _find_larger(network: LookupNetwork, device: Device, options: dict[str, Any], of: _Estimates) -> NetworkMend | None:
    """The smallest device that it fits as it is."""
    for part in map(Device.parse, DEVICES):
        if part.lut > device.lut and (found := _try(network, part, options, of)):
            return NetworkMend(f"take {part.name}", found)
    return None


def _find_smaller(
    network: LookupNetwork, device: Device, options: dict[str, Any], of: _Estimates
) -> Iterator[NetworkMend]:
    """Smaller networks that fit: of fewer bits, and of fewer edges."""
    options = {name: value for name, value in options.items() if name not in ("latency", "reuse_factor")}
    # Fewer bits leave all edges; where they are many, choosing offsets for them would take minutes.
    roughly = of if network.edges <= _PLANNED else partial(of, chooses_offsets=False)
    for cut in range(1, max(network.bits)):
        if found := _try(narrowed := _cut_bits(network, cut), device, options, roughly):
            yield NetworkMend(f"convert it with --bits {','.join(map(str, narrowed.bits))}", found)
            break
    share = 2
    while share <= max(layer.edges for layer in network.layers):
        few = network.edges // share <= _PLANNED
        if few and (found := _try(pruned := _cut_edges(network, share), device, options, of)):
            yield NetworkMend(f"prune it to {pruned.edges} of its {network.edges} edges", found)
            break
        share *= 2


def _cut_bits(network: LookupNetwork, cut: int) -> LookupNetwork:
    """The network with codes of fewer bits: of every table each second row, and so on, and values that much coarser."""
    layers = []
    for layer in network.layers:
        ins, outs = (bits - max(1, bits - cut) for bits in (layer.bits_in, layer.bits_out))
        layers.append(
            replace(
                layer,
                bits_in=layer.bits_in - ins,
                bits_out=layer.bits_out - outs,
                table=layer.table[:, :: 1 << ins] >> outs,
                bias=layer.bias >> outs,
            )
        )
    return _with_layers(network, layers)


def _cut_edges(network: LookupNetwork, share: int) -> LookupNetwork:
    """The network with one edge of so many."""
    layers = []
    for layer in network.layers:
        kept = np.arange(0, layer.edges, share)
        layers.append(replace(layer, source=layer.source[kept], node=layer.node[kept], table=layer.table[kept]))
    return _with_layers(network, layers)


def _with_layers(network: LookupNetwork, layers: list[LookupLayer]) -> LookupNetwork:
    """The network of these layers; a quantiser in hardware stays, with as many bits as the first layer takes."""
    low = -(1 << layers[-1].bits_out - 1)
    thresholds = tuple(max(low, min(-low - 1, one)) for one in network.thresholds)
    quantiser = replace(network.quantiser, bits=layers[0].bits_in)
    return replace(network, layers=tuple(layers), thresholds=thresholds, quantiser=quantiser)
