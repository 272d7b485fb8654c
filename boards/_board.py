"""What kanrtl has to know about a board."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from amaranth.build.plat import Platform
from amaranth.hdl import Value

Resource = tuple[str, int] | tuple[str, int, str]
"""Name, number and, if it has parts, part of a board resource: ``("led", 3)``, ``("rgb_led", 0, "r")``."""


@dataclass(frozen=True)
class Board:
    """A board that the learner can be built for.

    Attributes
    ----------
    name : str
        The name on kanrtl's command line.
    description : str
        One line for a list of boards.
    device : str
        Part, in the form of :class:`kanrtl.build.Device`.
    clock_mhz : float
        Frequency of the platform's default clock, which is the learner's.
    factory : callable
        Makes the Amaranth platform. Imports it too, so that listing the boards stays quick.
    leds : tuple of Resource
        LEDs, in the order in which a bar of them is read.
    button : Resource or None
        A button that a top may use, where the board has one.
    uart : Resource or None
        The serial port to the host, where there is one.
    flasher : str
        Program that loads the bitstream, as the Amaranth platform has it.
    fits : str
        What the part has room for, in a few words.
    pack_options : tuple of str
        Options of ``ecppack`` that this board needs.
    flasher_options : tuple of str
        What the flasher is told before the name of the bitstream, as by the Amaranth platform.
    keeps_bitstream : bool
        Whether a bitstream that is loaded so is still there when the power was off, as it is in a flash memory.
    uart_shares_pins : bool
        Whether the serial port lies on the pins of the LEDs and the button: a top may ask for one or the other.
    """

    name: str
    description: str
    device: str
    clock_mhz: float
    factory: Callable[[], Platform]
    leds: tuple[Resource, ...]
    button: Resource | None
    uart: Resource | None
    flasher: str
    fits: str
    pack_options: tuple[str, ...] = ()
    flasher_options: tuple[str, ...] = ()
    keeps_bitstream: bool = True
    uart_shares_pins: bool = False

    def platform(self) -> Platform:
        """A fresh Amaranth platform; one can be built only once."""
        return self.factory()

    def request_leds(self, platform: Platform) -> list[Value]:
        """The board's LEDs as one-bit outputs that light when driven 1, whichever way they are wired."""
        return [_request(platform, led).o for led in self.leds]

    def request_button(self, platform: Platform) -> Value | None:
        """The button as an input that reads 1 while it is pressed, or None. It is not synchronised."""
        return None if self.button is None else _request(platform, self.button).i

    def request_uart(self, platform: Platform) -> tuple[Value, Value]:
        """The lines of the serial port: that from the host, which is not synchronised, and that to it."""
        assert self.uart is not None
        pins = _request(platform, self.uart)
        return pins.rx.i, pins.tx.o


def _request(platform: Platform, resource: Resource) -> Any:
    name, number, *part = resource
    with warnings.catch_warnings():
        # io.Buffer, which replaces this, needs a module to live in. The platform's own pins need none and
        # handle inversion as well; they stay until Amaranth 0.6, which kanrtl does not allow.
        warnings.simplefilter("ignore", DeprecationWarning)
        pins = _requested(platform, name, number)
    return getattr(pins, part[0]) if part else pins


def _requested(platform: Platform, name: str, number: int) -> Any:
    """The resource, which a platform hands out only once although an RGB LED is asked for part by part."""
    handed_out = platform.__dict__.setdefault("_kanrtl_requested", {})
    if (name, number) not in handed_out:
        handed_out[name, number] = platform.request(name, number)
    return handed_out[name, number]
