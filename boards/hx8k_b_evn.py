"""Lattice iCE40-HX8K Breakout Board: HX8K, 12 MHz, eight LEDs, USB serial port, no multipliers."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform() -> Platform:
    from amaranth_boards.ice40_hx8k_b_evn import ICE40HX8KBEVNPlatform  # only here: boards are listed quickly

    return ICE40HX8KBEVNPlatform()


BOARDS = [
    Board(
        name="hx8k-b-evn",
        description="Lattice iCE40-HX8K Breakout Board",
        device="iCE40HX8K-CT256",
        clock_mhz=12.0,
        factory=_platform,
        leds=tuple(("led", number) for number in range(8)),
        button=None,
        uart=("uart", 0),
        flasher="iceprog",
        flasher_options=("-S",),
        keeps_bitstream=False,
        fits="multipliers are made of logic: one edge of narrow formats",
    ),
]
