"""OrangeCrab r0.2: ECP5 of the fastest grade, 48 MHz, one RGB LED, no serial port."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform(size: str) -> Platform:
    from amaranth_boards import orangecrab_r0_2  # only here: boards are listed quickly

    return getattr(orangecrab_r0_2, f"OrangeCrabR0_2_{size}Platform")()


def _board(size: str, fits: str) -> Board:
    return Board(
        name=f"orangecrab-r0.2-{size.lower()}",
        description=f"OrangeCrab r0.2 with an ECP5 {size}",
        device=f"LFE5U-{size}-8MG285",
        clock_mhz=48.0,
        factory=lambda: _platform(size),
        leds=(("rgb_led", 0, "r"), ("rgb_led", 0, "g"), ("rgb_led", 0, "b")),
        button=("button", 0),
        uart=None,
        flasher="dfu-util",
        flasher_options=("-a", "0", "-D"),
        fits=fits,
        # The boot loader's flash is read at this speed, and the loader expects it.
        pack_options=("--compress", "--freq", "38.8"),
    )


BOARDS = [
    _board("25F", "28 multipliers; at 48 MHz a step takes two cycles or more"),
    _board("85F", "156 multipliers; at 48 MHz a step takes two cycles or more"),
]
