"""Muse Lab iCESugar: iCE40 UP5K, 12 MHz, one RGB LED, USB serial port."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    from amaranth_boards.icesugar import ICESugarPlatform  # only here: boards are listed quickly

    return ICESugarPlatform()


BOARDS = [
    Board(
        name="icesugar",
        description="Muse Lab iCESugar (iCE40 UP5K)",
        device="iCE40UP5K-SG48",
        clock_mhz=12.0,
        factory=_platform,
        leds=(("led", 0), ("led", 1), ("led", 2)),  # red, green, blue of one package
        button=None,
        uart=("uart", 0),
        flasher="icesprog",
        fits="8 multipliers and block memory only: one edge, or several in turn",
    ),
]
