"""Icepi Zero v1.3: ECP5 25F in the shape of a Raspberry Pi Zero, 50 MHz, five LEDs, USB serial port."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    from amaranth_boards.icepi_zero import IcepiZero1_3Platform  # only here: boards are listed quickly

    return IcepiZero1_3Platform()


BOARDS = [
    Board(
        name="icepi-zero",
        description="Icepi Zero v1.3 (ECP5 25F)",
        device="LFE5U-25F-6BG256",
        clock_mhz=50.0,
        factory=_platform,
        leds=tuple(("led", number) for number in range(5)),
        button=("button", 0),
        uart=("uart", 0),
        flasher="openFPGALoader",
        flasher_options=("-b", "icepi-zero", "--write-flash"),
        fits="28 multipliers; at 50 MHz a step takes two cycles or more",
    ),
]
