"""1BitSquared iCEBreaker: iCE40 UP5K, 12 MHz, two LEDs and a button of its own, USB serial port."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    from amaranth_boards.icebreaker import ICEBreakerPlatform  # only here: boards are listed quickly

    return ICEBreakerPlatform()


BOARDS = [
    Board(
        name="icebreaker",
        description="1BitSquared iCEBreaker (iCE40 UP5K)",
        device="iCE40UP5K-SG48",
        clock_mhz=12.0,
        factory=_platform,
        # Red and green. The five on the break-off section are left alone: another PMOD may be in their place.
        leds=(("led", 0), ("led", 1)),
        button=("button", 0),
        uart=("uart", 0),
        flasher="iceprog",
        fits="8 multipliers and block memory only: one edge, or several in turn",
    ),
]
