"""What a lookup network takes of a device, before it is synthesised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from ...fabric.device import Device
from ...fabric.families import FAMILIES
from ...fabric.resource_estimate import ResourceEstimate
from ..network import LookupNetwork
from .chosen_network import choose_network
from .core_area import CoreArea, count_core
from .folding import Folding, schedule_core
from .network_plan import plan_layers
from .pipeline import Pipeline

_FOLDED_NS = 7.7
"""The cycle of a folded core on ECP5 of speed grade 6: memory and accumulator, whatever it computes."""


@dataclass(frozen=True)
class NetworkEstimate(ResourceEstimate):
    """What a network's core takes of a device.

    Attributes
    ----------
    device : str
        The part.
    lut, ff : int
        As in :class:`kanrtl.build.Report`, about.
    dsp, bram : int
        As there.
    latency, interval : int
        Clock cycles, exactly; see :class:`kanrtl.LookupCore`.
    step_ns : float
        The time of a prediction, roughly: to compare settings by.
    lut_margin : float
        The largest error of ``lut``, relative to the build.
    capacity : dict
        ``lut``, ``ff``, ``dsp``, ``bram`` of the device.
    """

    device: str
    lut: int
    ff: int
    dsp: int
    bram: int
    latency: int
    interval: int
    step_ns: float
    lut_margin: float
    capacity: Mapping[str, int]

    few: ClassVar[int] = 12

    def with_latency(self, latency: int, step_ns: float) -> NetworkEstimate:
        """The same with registers at more or fewer positions."""
        return replace(self, latency=latency, step_ns=step_ns)

    def table(self) -> list[tuple[str, str]]:
        """Label and value of everything that a person wants to see, in order."""
        return [*super().table(), ("one step", f"roughly {self.step_ns:.0f} ns")]


def estimate_network(
    network: LookupNetwork,
    device: str | Device,
    *,
    latency: int | None = None,
    memory: str | Sequence[str] = "auto",
    whole_from: int | None = None,
    reuse_factor: int | Sequence[int] = 1,
    chooses_offsets: bool = True,
) -> NetworkEstimate:
    """Estimate what the core of ``network`` takes of ``device``.

    Where it ``chooses_offsets``, tables begin where they take the fewest LUTs, as they are built. Without, they take a
    few more, and a network of thousands of edges is estimated in a second or two. The other parameters are those of
    :class:`kanrtl.LookupCore`.

    Raises
    ------
    BuildError
        If the device is not known.
    InputError
        If a parameter cannot be.
    """
    part = Device.of(device)
    schedule = schedule_core(network, plan_layers(network), latency, memory, whole_from, reuse_factor, part.family)
    return estimate_schedule(network, schedule, part, whole_from, chooses_offsets=chooses_offsets)


def estimate_schedule(
    network: LookupNetwork,
    schedule: Pipeline | Folding,
    part: Device,
    whole_from: int | None = None,
    *,
    chooses_offsets: bool = True,
) -> NetworkEstimate:
    """Estimate what the core of ``network`` takes of a device with registers where ``schedule`` has them; the other
    parameters are those of :func:`estimate_network`."""
    built, plans = network, plan_layers(network)
    if chooses_offsets:
        built, plans = choose_network(network, schedule, part.family, whole_from)
    area = CoreArea(part.family, multiplies=bool(part.dsp))
    count_core(built, plans, schedule, whole_from, area)
    return NetworkEstimate(
        device=part.name,
        lut=area.lut,
        ff=area.registers,
        dsp=area.dsp,
        bram=area.bram,
        latency=schedule.latency,
        interval=schedule.interval,
        step_ns=round(schedule.latency * estimate_period(schedule, part), 1),
        lut_margin=FAMILIES[part.family].networks.lut_margin,
        capacity={"lut": part.lut, "ff": part.ff, "dsp": part.dsp, "bram": part.bram},
    )


def estimate_period(schedule: Pipeline | Folding, part: Device) -> float:
    """Estimate the shortest cycle of a core in ns, roughly."""
    slowness = FAMILIES[part.family].networks.slowness(part)
    return (_FOLDED_NS if isinstance(schedule, Folding) else schedule.period) * slowness
