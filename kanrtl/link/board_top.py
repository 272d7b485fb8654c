"""A learner with its link on a board."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib.cdc import FFSynchronizer

from ..errors import SpecError
from ..learner.spec import LearnerSpec
from .layout import BAUD, Layout
from .rtl.learner_link import SerialLearner
from .rtl.uart import divide_clock

__all__ = ["LinkTop", "check_link"]


class LinkTop(Elaboratable):  # type: ignore[misc]
    """A :class:`.SerialLearner` on a board: the first LED is lit while bytes come from the host, the second changes
    with every frame that was damaged, and a button freezes the learner.

    Where the serial port lies on the pins of LEDs and button, they are left alone.

    Parameters
    ----------
    spec
        The learner.
    board
        A :class:`kanrtl.boards.Board` with a serial port.
    baud
        Rate of the line.

    Raises
    ------
    SpecError, InputError
        As :func:`check_link`.
    """

    def __init__(self, spec: LearnerSpec, board: Any, baud: int = BAUD) -> None:
        check_link(spec, board, baud)
        self._board = board
        self._serial = SerialLearner(spec, board.clock_mhz * 1e6, baud)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.serial = serial = self._serial
        rx, tx = self._board.request_uart(platform)
        m.d.comb += [serial.rx.eq(rx), tx.eq(serial.tx)]
        if self._board.uart_shares_pins:
            return m
        damaged = Signal()
        with m.If(serial.damaged):
            m.d.sync += damaged.eq(~damaged)
        for led, value in zip(self._board.request_leds(platform), (~serial.rx, damaged), strict=False):
            m.d.comb += led.eq(value)
        button = self._board.request_button(platform)
        if button is not None:
            m.submodules.button = FFSynchronizer(button, serial.freeze)
        return m


def check_link(spec: LearnerSpec, board: Any, baud: int) -> None:
    """Refuse a link that cannot be.

    Raises
    ------
    SpecError
        If the board has no serial port, or the learner cannot be at the end of a link.
    InputError
        If the board's clock is too slow for the rate, or too fast.
    """
    if board.uart is None:
        raise SpecError(f"board = {board.name!r}: has no serial port; choose another board for a link to a host")
    Layout.of(spec)
    divide_clock(board.clock_mhz * 1e6, baud)
