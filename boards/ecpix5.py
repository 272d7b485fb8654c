"""LambdaConcept ECPIX-5: large ECP5, 100 MHz, four RGB LEDs, USB serial port."""

from amaranth.build.plat import Platform

from ._board import Board


def _platform(size: str) -> Platform:
    from amaranth_boards import ecpix5  # only here: boards are listed quickly

    return getattr(ecpix5, f"ECPIX5{size[:-1]}Platform")()


def _board(size: str, device: str, fits: str) -> Board:
    return Board(
        name=f"ecpix5-{size.lower()}",
        description=f"LambdaConcept ECPIX-5 with an ECP5 {size}",
        device=device,
        clock_mhz=100.0,
        factory=lambda: _platform(size),
        leds=tuple(("rgb_led", number, colour) for number in range(4) for colour in "rgb"),
        button=None,  # its only push button resets the design
        uart=("uart", 0),
        flasher="openFPGALoader",
        flasher_options=("-c", "ft2232", "-m"),
        keeps_bitstream=False,
        fits=fits,
    )


BOARDS = [
    _board("45F", "LFE5UM5G-45F-8BG554", "72 multipliers; 100 MHz needs a pipelined learner"),
    _board("85F", "LFE5UM5G-85F-8BG554", "156 multipliers; 100 MHz needs a pipelined learner"),
]
