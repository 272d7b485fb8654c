"""What a lookup network takes of a device, before it is synthesised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil
from typing import Any

from ...fabric.device import Device
from ...fabric.families import FAMILIES
from ..network import LookupNetwork
from .cells import CELLS
from .core_area import CoreArea, count_core
from .folding import Folding, schedule_core
from .network_plan import plan_layers
from .pipeline import Pipeline

_FEW = 12
"""LUTs by which the estimate of a small network may be wrong beside that."""


_FOLDED_NS = 7.7
"""The cycle of a folded core on ECP5 of speed grade 6: memory and accumulator, whatever it computes."""


@dataclass(frozen=True)
class NetworkEstimate:
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

    def to_json(self) -> dict[str, Any]:
        """The estimate as a dictionary that :mod:`json` can write."""
        return asdict(self)

    def with_latency(self, latency: int, step_ns: float) -> NetworkEstimate:
        """The same with registers at more or fewer positions."""
        return replace(self, latency=latency, step_ns=step_ns)

    @property
    def least_lut(self) -> int:
        """What a build takes at the least."""
        return max(0, int(self.lut / (1 + self.lut_margin)) - _FEW)

    @property
    def most_lut(self) -> int:
        """What a build takes at the most."""
        return ceil(self.lut / (1 - self.lut_margin)) + _FEW

    @property
    def fits(self) -> bool:
        """Whether it fits, even if it takes as many LUTs as it may."""
        return self.lacks is None and self.most_lut <= self.capacity["lut"]

    @property
    def lacks(self) -> str | None:
        """The first resource that there is certainly too little of; None if it may fit."""
        needs = {"dsp": self.dsp, "bram": self.bram, "lut": self.least_lut}
        return next((name for name, needed in needs.items() if needed > self.capacity[name]), None)

    def table(self) -> list[tuple[str, str]]:
        """Label and value of everything that a person wants to see, in order."""
        lut = FAMILIES[Device.parse(self.device).family].resources.lut_name
        return [
            ("device", self.device),
            (lut, f"about {self.lut} of {self.capacity['lut']} (to {100 * self.lut_margin:.0f}%)"),
            ("flip-flops", f"about {self.ff} of {self.capacity['ff']}"),
            ("multipliers", f"{self.dsp} of {self.capacity['dsp']}"),
            ("memory blocks", f"{self.bram} of {self.capacity['bram']}"),
            ("cycles", f"latency {self.latency}, interval {self.interval}"),
            ("one step", f"roughly {self.step_ns:.0f} ns"),
        ]


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
    part = Device.parse(device) if isinstance(device, str) else device
    plans = plan_layers(network)
    schedule = schedule_core(network, plans, latency, memory, whole_from, reuse_factor, part.family)
    if chooses_offsets and not isinstance(schedule, Folding) and part.family in CELLS:
        plans = plan_layers(network, CELLS[part.family].muxes)
    area = CoreArea(part.family, multiplies=bool(part.dsp))
    count_core(network, plans, schedule, whole_from, area)
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
