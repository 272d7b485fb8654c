"""Lattice iCEstick: HX1K, 12 MHz, five LEDs, USB serial port. Only a lookup network fits."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    from amaranth_boards.icestick import ICEStickPlatform  # only here: boards are listed quickly

    return ICEStickPlatform()


BOARDS = [
    Board(
        name="icestick",
        description="Lattice iCEstick (iCE40 HX1K)",
        device="iCE40HX1K-TQ144",
        clock_mhz=12.0,
        factory=_platform,
        leds=tuple(("led", number) for number in range(5)),
        button=None,
        uart=("uart", 0),
        flasher="iceprog",
        fits="1280 logic cells, no multipliers: a small lookup network",
    ),
]
