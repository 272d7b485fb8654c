"""What a device has too little of, in words, and the devices that are proposed instead."""

from __future__ import annotations

from ..errors import BuildError
from ..fabric.device import Device
from ..fabric.families import FAMILIES

DEVICES = tuple(
    sorted((name for family in FAMILIES.values() for name in family.proposed), key=lambda name: Device.parse(name).lut)
)
"""The devices that are proposed, from small to large."""

RESOURCE_WORDS = {"dsp": "multipliers", "bram": "memory blocks", "lut": "LUTs"}
"""What messages call the resources of a device."""


class ShortageError(BuildError):
    """A design needs more than its device has, as a tool has found that made its netlist or placed it.

    The flow knows nothing of the design, so what it proposes is the smallest device that has enough of that resource;
    who knows the design can do better.

    Attributes
    ----------
    device : Device
        The part.
    resource : str
        A name of :data:`RESOURCE_WORDS`.
    needed : int
        How many the design takes.
    """

    def __init__(self, device: Device, resource: str, needed: int) -> None:
        self.device, self.resource, self.needed = device, resource, needed
        parts = (Device.parse(name) for name in DEVICES)
        larger = next((f", or take {part.name}" for part in parts if getattr(part, resource) >= needed), "")
        super().__init__(f"{self.explain('design')}; make it smaller{larger}")

    def explain(self, kind: str) -> str:
        """Say what a design of a ``kind``, such as a learner, needs, and what there is."""
        there = getattr(self.device, self.resource)
        needs = f"the {kind} needs {self.needed} {RESOURCE_WORDS[self.resource]}, there are {there}"
        return f"device = {self.device.name!r}: {needs}"
