"""Muse Lab iCESugar-Pro: ECP5 25F on a SODIMM card, 25 MHz, one RGB LED, USB serial port."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    from amaranth_boards.icesugar_pro import ICESugarProPlatform  # only here: boards are listed quickly

    return ICESugarProPlatform()


BOARDS = [
    Board(
        name="icesugar-pro",
        description="Muse Lab iCESugar-Pro (ECP5 25F)",
        device="LFE5U-25F-6BG256",
        clock_mhz=25.0,
        factory=_platform,
        leds=(("rgb_led", 0, "r"), ("rgb_led", 0, "g"), ("rgb_led", 0, "b")),
        button=None,
        uart=("uart", 0),
        flasher="icesprog",
        fits="28 multipliers: four edges in parallel",
    ),
]
