"""The parts that can be built for, by name."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from ..errors import BuildError, check_kind
from ..tools.toolchain import Tool
from .families import FAMILIES
from .family import Chip


@dataclass(frozen=True, kw_only=True)
class Device(Chip):
    """An FPGA: what it holds, and how the tools call it. Attributes beside those of :class:`.Chip` are:

    Attributes
    ----------
    name : str
        The name that it was asked for by.
    family : str
        A name of :data:`.FAMILIES`: ``ecp5`` or ``ice40``, or one that was added.
    """

    name: str
    family: str

    @classmethod
    def parse(cls, name: str) -> Device:
        """The device called ``name``, such as ``LFE5U-85F-6``, ``LFE5U-25F-6BG256``, ``iCE40UP5K-SG48``.

        Speed grade and package may be left out; they default to the slowest grade and to CABGA381 on ECP5.

        Raises
        ------
        BuildError
            If there is no such device.
        """
        for family in FAMILIES.values():
            if (chip := family.find_chip(name)) is not None:
                return cls(name=name, family=family.name, **asdict(chip))
        *examples, last = (example for family in FAMILIES.values() for example in family.examples)
        raise BuildError(f"device: {name!r} is not known; it is a name like {', '.join(examples)} or {last}")

    @classmethod
    def of(cls, device: str | Device) -> Device:
        """A device, or that of a name, as :meth:`parse` takes it; raises :exc:`InputError` for what is neither."""
        check_kind("device", device, (str, Device), 'its name, such as "LFE5U-25F"')
        return cls.parse(device) if isinstance(device, str) else device

    def with_wide_luts(self) -> Device:
        """The device with the multiplexers behind its LUTs in use; :exc:`BuildError` for a family without them."""
        option = FAMILIES[self.family].flow.narrow_luts
        if option is None:
            raise BuildError(f"wide_luts: True: {self.name} has no multiplexers behind its LUTs; leave it out")
        return replace(self, synthesis=tuple(word for word in self.synthesis if word != option))

    @property
    def die(self) -> str:
        """The die as nextpnr calls it, such as ``85k``, ``um-85k``, ``up5k``."""
        return self.nextpnr_options[0].removeprefix("--")

    @property
    def place_and_route(self) -> Tool:
        """The tool that places and routes for this family."""
        return FAMILIES[self.family].flow.place_and_route

    @property
    def default_frequency(self) -> float:
        """The frequency that a core is asked to reach, in MHz: more than it will, so that the tools do their best."""
        return FAMILIES[self.family].flow.default_mhz
