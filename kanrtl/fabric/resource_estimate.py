"""What a design takes of a device before it is synthesised, and what of that can be relied on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from math import ceil
from typing import Any, ClassVar, Self

from .device import Device
from .families import FAMILIES


class ResourceEstimate:
    """What a design takes of a device; a dataclass beneath it has these attributes in the order of its JSON.

    Attributes
    ----------
    device : str
        The part.
    lut, ff : int
        As in :class:`kanrtl.build.Report`, about.
    dsp, bram : int
        As there.
    latency, interval : int
        Clock cycles, exactly.
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
    lut_margin: float
    capacity: Mapping[str, int]

    few: ClassVar[int] = 0
    """LUTs by which it may be wrong beside the margin."""

    def to_json(self) -> dict[str, Any]:
        """The estimate as a dictionary that :mod:`json` can write."""
        return asdict(self)  # type: ignore[call-overload,no-any-return]

    def scale(self, resource: str, factor: float) -> Self:
        """The same with so many times as much of a resource, rounded up."""
        return replace(self, **{resource: ceil(factor * getattr(self, resource))})  # type: ignore[type-var]

    @property
    def least_lut(self) -> int:
        """What a build takes at the least."""
        return max(0, int(self.lut / (1 + self.lut_margin)) - self.few)

    @property
    def most_lut(self) -> int:
        """What a build takes at the most."""
        return ceil(self.lut / (1 - self.lut_margin)) + self.few

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
            (lut, f"about {self.lut} of {self.capacity['lut']} (to {100 * self.lut_margin:.0f}%){self._lut_words}"),
            ("flip-flops", f"about {self.ff} of {self.capacity['ff']}"),
            ("multipliers", f"{self.dsp} of {self.capacity['dsp']}"),
            ("memory blocks", f"{self.bram} of {self.capacity['bram']}"),
            ("cycles", f"latency {self.latency}, interval {self.interval}{self._cycle_words}"),
        ]

    @property
    def _lut_words(self) -> str:
        """What follows the number of LUTs in the table."""
        return ""

    @property
    def _cycle_words(self) -> str:
        """What follows the cycles."""
        return ""
