"""A board with a bitstream in it, in a simulation from pin to pin: what the chip is configured to, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockSignal, Const, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..boards import Board
from ..errors import InputError
from ..fabric.device import Device
from ..folders import temporary_folder
from ..progress import Progress
from ..simulators.bitstream_rtlil import CHIP, insert_chip
from ..simulators.native_serial import NativeSerial
from ..tools.icestorm import read_back, unpack

__all__ = [
    "ConfiguredPins",
    "await_reset",
    "check_readable",
    "find_pins",
    "read_bitstream",
    "read_configuration",
    "simulate_chip",
]

RESET_SECONDS = 20e-6
"""Seconds from power-up until a board listens: iCE40's block memories give zeros for 15 µs, and so long it is reset."""

Edit = Callable[[str], str]
"""Changes a configuration in IceStorm's text format."""


def _find_pin(platform: Any, io: Any) -> str:
    """Give the name of the pin of a resource, or of a part of one."""
    (pin,) = io.map_names(platform._conn_pins, io)
    return str(pin)


def find_pins(board: Board) -> dict[str, str]:
    """Give the names of the chip's pins, in its package, that are the board's ``clock``, ``rx`` and ``tx``; and which
    are ``high`` and ``low`` while nobody presses anything, if there is such a pin.

    Raises
    ------
    InputError
        If the board has no serial port, or no pin with a clock.
    """
    if board.uart is None:
        raise InputError(f"board = {board.name!r}: it has no serial port; verify for --device {board.device}")
    platform = board.factory()
    resources = platform.resources
    clock = resources.get((platform.default_clk, 0))
    if clock is None:
        raise InputError(
            f"board = {board.name!r}: its clock comes from within the chip; verify for --device {board.device}"
        )
    uart = {part.name: part.ios[0] for part in resources[board.uart[:2]].ios}
    ios = {"clock": clock.ios[0], "rx": uart["rx"], "tx": uart["tx"]}
    if board.button is not None and not board.uart_shares_pins:
        button = resources[board.button[:2]].ios[0]
        ios["high" if button.invert else "low"] = button
    return {name: _find_pin(platform, io) for name, io in ios.items()}


class ConfiguredPins(wiring.Component):  # type: ignore[misc]
    """A chip that is configured somehow, on a board, of whose pins those of the serial port are led out.

    Parameters
    ----------
    pins
        Of the board, as :func:`find_pins` gives them.
    variants
        How many chips it can be.

    Members
    -------
    rx : In(1), tx : Out(1)
        As the board sees them.
    variant : In(range(variants)), touched : Out(variants)
        As :class:`kanrtl.simulators.native_serial.NativeSerial` takes them; only where there are more than one.
    """

    def __init__(self, pins: dict[str, str], variants: int = 1) -> None:
        self._pins, self._variants = pins, variants
        members = {"variant": In(range(variants)), "touched": Out(variants)} if variants > 1 else {}
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), **members})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pins = {
            f"i_pin_{self._pins['clock']}": ClockSignal(),
            f"i_pin_{self._pins['rx']}": self.rx,
            f"o_pin_{self._pins['tx']}": self.tx,
        }
        pins |= {
            f"i_pin_{self._pins[name]}": Const(name == "high", 1) for name in ("high", "low") if name in self._pins
        }
        if self._variants > 1:
            pins |= {"i_variant": self.variant, "o_touched": self.touched}
        m.submodules.chip = Instance(CHIP, **pins)
        return m


def check_readable(board: Board) -> Device:
    """Give the part of a board; raise :exc:`InputError` where its bitstreams cannot be read back."""
    part = Device.parse(board.device)
    if part.family != "ice40":
        raise InputError(
            f"board = {board.name!r}: a bitstream of {part.family} cannot be read back into logic; verify for "
            f"--device {board.device}"
        )
    return part


def read_configuration(configuration: str, board: Board) -> str:
    """Give the logic that a configuration in IceStorm's text format is, as Verilog, of the pins' names in a board.

    Errors are those of :func:`read_bitstream`; see :func:`kanrtl.tools.icestorm.read_back`.
    """
    part = check_readable(board)
    with temporary_folder() as cwd:
        path = cwd / "chip.asc"
        path.write_text(configuration)
        return read_back(path, part.nextpnr_options[part.nextpnr_options.index("--package") + 1])


def read_bitstream(bitstream: Path, board: Board, progress: Progress | None = None, edit: Edit | None = None) -> str:
    """Give the logic that a bitstream configures, packed as it is loaded into a board, as Verilog.

    Parameters
    ----------
    bitstream
        The file.
    board
        The board, with an iCE40.
    progress
        Told what takes a while.
    edit
        What is changed in the configuration before it is read.

    Raises
    ------
    InputError
        If the board has no iCE40, no serial port, or no pin with a clock, or the bitstream is of another board.
    ToolError
        If a tool is missing or fails.
    """
    check_readable(board)
    pins = find_pins(board)
    if progress is not None:
        progress("reading the bitstream back into logic")
    configuration = unpack(bitstream)
    verilog = read_configuration(configuration if edit is None else edit(configuration), board)
    for name in ("clock", "rx", "tx"):
        if not re.search(rf"\bpin_{pins[name]}\b", verilog):
            raise InputError(
                f"bitstream = {str(bitstream)!r}: uses no pin {pins[name]}, the {name} of {board.name}; give one that "
                f"kanrtl build --board {board.name} --host uart makes"
            )
    return verilog


def await_reset(simulation: NativeSerial, board: Board) -> None:
    """Let the time pass from power-up until a board listens: what is sent before is lost, and has to be again."""
    simulation.run(round(RESET_SECONDS * board.clock_mhz * 1e6))


def simulate_chip(
    verilog: str, board: Board, baud: int, progress: Progress | None = None, variants: int = 1
) -> NativeSerial:
    """Start the simulation of a board with the logic that :func:`read_bitstream` has given.

    Parameters
    ----------
    verilog
        The logic. Where it has more than one variant, it has the ports ``variant`` and ``touched`` of
        :class:`ConfiguredPins` too.
    board
        The board.
    baud
        The rate of its serial port, in bits per second.
    progress
        Told what takes a while.
    variants
        How many chips it can be.

    Raises
    ------
    InputError
        If the board has no serial port, or no pin with a clock.
    ToolError
        If a tool is missing or fails.
    """
    pins = find_pins(board)
    return NativeSerial(
        ["bitstream", board.name, baud, variants, sha256(verilog.encode()).hexdigest()],
        lambda: ConfiguredPins(pins, variants),
        board.clock_mhz * 1e6 / baud,
        progress,
        lambda rtlil: insert_chip(rtlil, "dut", verilog, progress),
        variants,
    )
