"""UPduino 3: iCE40 UP5K, one RGB LED, no serial port, clocked by the part's own oscillator."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    from amaranth_boards.upduino_v3 import UpduinoV3Platform  # only here: boards are listed quickly

    platform = UpduinoV3Platform()
    # 48 MHz / 4: the undivided oscillator is too fast for a learner on this part.
    platform.hfosc_div = 2
    return platform


BOARDS = [
    Board(
        name="upduino-3",
        description="UPduino 3 (iCE40 UP5K), on its internal oscillator",
        device="iCE40UP5K-SG48",
        clock_mhz=12.0,
        factory=_platform,
        leds=(("rgb_led", 0, "r"), ("rgb_led", 0, "g"), ("rgb_led", 0, "b")),
        button=None,
        uart=None,
        flasher="iceprog",
        fits="8 multipliers and block memory only: one edge, or several in turn",
    ),
]
