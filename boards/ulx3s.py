"""Radiona ULX3S: ECP5, 25 MHz, eight LEDs in a row, USB serial port. The demo is made for it."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform(size: str) -> Platform:
    from amaranth_boards import ulx3s  # only here: boards are listed quickly

    return getattr(ulx3s, f"ULX3S_{size}_Platform")()


def _board(size: str, fits: str) -> Board:
    return Board(
        name=f"ulx3s-{size.lower()}",
        description=f"Radiona ULX3S with an ECP5 {size}",
        device=f"LFE5U-{size}-6BG381",
        clock_mhz=25.0,
        factory=lambda: _platform(size),
        leds=tuple(("led", number) for number in range(8)),
        button=("button", 0),  # "FIRE 1", beside the LEDs
        uart=("uart", 0),
        flasher="openFPGALoader",
        flasher_options=("-b", "ulx3s", "-m"),
        keeps_bitstream=False,
        fits=fits,
        pack_options=("--compress",),
    )


BOARDS = [
    _board("12F", "28 multipliers: four edges in parallel"),
    _board("25F", "28 multipliers: four edges in parallel"),
    _board("45F", "72 multipliers: ten edges in parallel"),
    _board("85F", "156 multipliers: twenty-two edges in parallel"),
]
