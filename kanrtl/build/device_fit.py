"""Whether a design fits a device, in words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from ..errors import BuildError
from ..fabric.resource_estimate import ResourceEstimate
from .shortage import RESOURCE_WORDS


class DeviceFit(ABC):
    """Whether a design fits a device; and where it does not, or may not, what would make it fit.

    Attributes
    ----------
    estimate : ResourceEstimate
        What it takes.
    """

    estimate: ResourceEstimate

    kind: ClassVar[str]
    """What messages call such a design."""

    @property
    @abstractmethod
    def mend(self) -> str:
        """What to change, in words."""

    @property
    def fits(self) -> bool | None:
        """Whether it fits; None if it may, within the error of the estimate."""
        return True if self.estimate.fits else None if self.estimate.lacks is None else False

    @property
    def resource(self) -> str:
        """The resource that there is or may be too little of."""
        return self.estimate.lacks or "lut"

    @property
    def shortage(self) -> str:
        """What it needs of that resource, and how much there is."""
        found, what = self.estimate, self.resource
        needed = f"{found.least_lut} or more" if what == "lut" else f"{getattr(found, what)}"
        if self.fits is None:
            needed = f"{found.least_lut} to {found.most_lut}"
        return f"the {self.kind} needs {needed} {RESOURCE_WORDS[what]}, there are {found.capacity[what]}"

    @property
    def sentence(self) -> str:
        """Everything in one line."""
        if self.fits:
            return "It fits."
        return f"It {'may' if self.fits is None else 'does not'} fit: {self.shortage}; {self.mend}"

    def check(self) -> None:
        """Raise :exc:`BuildError` if it certainly does not fit, with what would make it fit."""
        if self.fits is False:
            raise BuildError(f"device = {self.estimate.device!r}: {self.shortage}; {self.mend}")

    def to_json(self) -> dict[str, Any]:
        """The estimate as a dictionary that :mod:`json` can write, with ``fits`` and ``lacks`` (a resource, or
        None)."""
        return self.estimate.to_json() | {"fits": self.fits, "lacks": self.estimate.lacks}
