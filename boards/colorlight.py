"""Colorlight 5A-75B (r7.0): an LED panel driver with an ECP5 25F and two Ethernet ports for 15 dollars."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    # Only here: boards are listed quickly.
    from amaranth_boards.colorlight_5a75b_r7_0 import Colorlight_5A75B_R70Platform

    return Colorlight_5A75B_R70Platform()


BOARDS = [
    Board(
        name="colorlight-5a-75b",
        description="Colorlight 5A-75B r7.0 (ECP5 25F); its serial port takes the place of LED and button",
        device="LFE5U-25F-6BG256",
        clock_mhz=25.0,
        factory=_platform,
        leds=(("led", 0),),
        button=("button", 0),
        uart=("uart", 0),
        uart_shares_pins=True,
        flasher="openFPGALoader",
        flasher_options=("-c", "ft232", "-m"),
        keeps_bitstream=False,
        fits="28 multipliers: four edges in parallel",
    ),
]
