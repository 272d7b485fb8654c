"""A board's own design in a simulation, from pin to pin."""

from __future__ import annotations

import inspect
import sys
from dataclasses import fields
from typing import Any

from amaranth.hdl import Elaboratable, Fragment, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..boards import Board
from ..learner.spec import LearnerSpec
from ..link.board_top import LinkTop, check_link
from ..link.layout import BAUD
from ..progress import Progress
from ..simulators.native_serial import NativeSerial

__all__ = ["SimulatedPins", "SimulatedPlatform", "simulate_board"]


class _Pin:
    """The signals of a pin, as a platform's have them."""

    def __init__(self, name: str) -> None:
        self.i, self.o = Signal(name=f"{name}_i"), Signal(name=f"{name}_o")


class _Pins(_Pin):
    """A resource, with parts by any name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._name, self._parts = name, dict[str, _Pin]()

    def __getattr__(self, part: str) -> _Pin:
        if part.startswith("_"):
            raise AttributeError(part)
        return self._parts.setdefault(part, _Pin(f"{self._name}_{part}"))


class SimulatedPlatform:
    """Stands for the platform of a board, where its pins are asked for: pins that are signals alone."""

    def __init__(self) -> None:
        self._resources: dict[tuple[str, int], _Pins] = {}

    def request(self, name: str, number: int = 0) -> Any:
        """The pins of a resource."""
        return self._resources.setdefault((name, number), _Pins(f"{name}_{number}"))


class SimulatedPins(wiring.Component):  # type: ignore[misc]
    """A board's design, of whose pins those of the serial port are led out.

    Parameters
    ----------
    top
        The design.
    board
        The board, with a serial port.

    Members
    -------
    rx : In(1), tx : Out(1)
        As the board sees them.
    """

    def __init__(self, top: Elaboratable, board: Board) -> None:
        self._top, self._board = top, board
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        simulated = SimulatedPlatform()
        m.submodules.top = Fragment.get(self._top, simulated)
        rx, tx = self._board.request_uart(simulated)
        m.d.comb += [rx.eq(self.rx), self.tx.eq(tx)]
        return m


def simulate_board(spec: LearnerSpec, board: Board, baud: int = BAUD, progress: Progress | None = None) -> NativeSerial:
    """Start the simulation of a board with a learner at the end of its serial port.

    Raises
    ------
    SpecError, InputError
        As :func:`kanrtl.link.board_top.check_link`.
    ToolError
        If yosys or a C++ compiler is missing or fails.
    """
    check_link(spec, board, baud)
    # The platform does not matter: its pins are signals alone here. What asks for them need not lie in the package.
    facts = {field.name: getattr(board, field.name) for field in fields(board) if field.name != "factory"}
    return NativeSerial(
        ["board", inspect.getsource(sys.modules[Board.__module__]), facts, baud, spec.to_dict()],
        lambda: SimulatedPins(LinkTop(spec, board, baud), board),
        board.clock_mhz * 1e6 / baud,
        progress,
    )
