"""A LiteX SoC with a learner on its bus, for a ULX3S: a host reaches every register through the USB serial port.

Run it with the spec of a learner, into a folder for all that is made::

    kanrtl spec > learner.toml
    python examples/litex_soc.py learner.toml --output build/soc

There is no processor in it: LiteX's UARTBone is the master of the bus, and ``litex_server`` at the other end of the
cable. Give ``SoCMini`` a ``cpu_type``, and programs use the header of ``kanrtl registers --format c``. It needs LiteX.
``--run`` makes the bitstream too, with yosys, nextpnr-ecp5 and ecppack, which LiteX calls by these names.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from litex.build.generic_platform import IOStandard, Pins, Subsignal
from litex.build.lattice import LatticeECP5Platform
from litex.soc.integration.builder import Builder
from litex.soc.integration.soc import SoCRegion
from litex.soc.integration.soc_core import SoCMini
from litex.soc.interconnect import wishbone
from migen import ClockSignal, Instance, Module, ResetSignal, Signal
from migen.genlib.io import CRG

BASE = 0x30000000
"""Where the learner lies on the bus."""

BAUD = 1_000_000

# What is used of the board; litex-boards has the whole of it.
_PINS = [
    ("clk25", 0, Pins("G2"), IOStandard("LVCMOS33")),
    ("serial", 0, Subsignal("tx", Pins("L4")), Subsignal("rx", Pins("M1")), IOStandard("LVCMOS33")),
    ("user_led", 0, Pins("B2"), IOStandard("LVCMOS33")),
]


def create_ulx3s() -> Any:
    """Make LiteX's platform of a ULX3S with an ECP5 85F."""
    return LatticeECP5Platform("LFE5U-85F-6BG381C", _PINS, toolchain="trellis")


def write_core(spec: Path, folder: Path) -> Path:
    """Write the learner behind Wishbone, ``learner_wb.v``, and its registers for LiteX's tools, ``learner.csv``.

    Give the Verilog.
    """
    folder.mkdir(parents=True, exist_ok=True)
    verilog, registers = folder / "learner_wb.v", folder / "learner.csv"
    on_bus = [str(spec), "--bus", "wishbone"]
    for command in (
        ["verilog", *on_bus, "--name", "learner_wb", "-o", str(verilog)],
        ["registers", *on_bus, "--format", "csv", "--base", hex(BASE), "-o", str(registers)],
    ):
        subprocess.run([sys.executable, "-m", "kanrtl", *command], check=True, stdout=subprocess.DEVNULL)
    return verilog


class Tracker(Module):
    """The learner as a slave on LiteX's Wishbone."""

    def __init__(self):
        self.bus = bus = wishbone.Interface(data_width=32, addressing="word")
        self.irq = Signal()
        self.specials += Instance(
            "learner_wb",
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_freeze=0,
            o_irq=self.irq,
            i_wb_cyc=bus.cyc,
            i_wb_stb=bus.stb,
            i_wb_we=bus.we,
            i_wb_sel=bus.sel,
            i_wb_adr=bus.adr[:10],
            i_wb_dat_w=bus.dat_w,
            o_wb_dat_r=bus.dat_r,
            o_wb_ack=bus.ack,
            o_wb_err=bus.err,
        )


def create_soc(platform: Any, verilog: Path, clock: str, clock_hz: float, baud: int = BAUD) -> Any:
    """Make the SoC: a bus, its bridge to the pins ``serial``, the learner, and its interrupt on an LED if there is one.

    Parameters
    ----------
    platform
        LiteX's platform.
    verilog
        The module ``learner_wb``.
    clock, clock_hz
        The pin of the clock, and its frequency.
    baud
        The rate of the serial port.
    """
    soc = SoCMini(platform, clk_freq=clock_hz, ident="A learner on a bus", ident_version=False)
    soc.submodules.crg = CRG(platform.request(clock))
    soc.add_uartbone(baudrate=baud)
    soc.submodules.tracker = Tracker()
    soc.bus.add_slave("learner", soc.tracker.bus, SoCRegion(origin=BASE, size=0x1000, cached=False))
    platform.add_source(str(verilog.resolve()))
    led = platform.request("user_led", loose=True)
    if led is not None:
        soc.comb += led.eq(soc.tracker.irq)
    return soc


def build_soc(spec: Path, folder: Path, run: bool = False) -> Path:
    """Write everything that makes the bitstream into a folder, and with ``run`` the bitstream itself.

    Give the folder of LiteX's build script.
    """
    verilog = write_core(spec, folder)
    platform = create_ulx3s()
    soc = create_soc(platform, verilog, "clk25", 25e6)
    platform.add_period_constraint(platform.lookup_request("clk25"), 1e9 / 25e6)
    builder = Builder(
        soc, output_dir=str(folder), csr_csv=str(folder / "csr.csv"), compile_software=False, compile_gateware=True
    )
    builder.build(run=run, build_name="soc")
    return Path(builder.gateware_dir)


def create_parser() -> argparse.ArgumentParser:
    """What the program takes."""
    parser = argparse.ArgumentParser(description="A LiteX SoC with a learner on its bus, for a ULX3S.")
    parser.add_argument("spec", type=Path, help="the spec of a learner (TOML)")
    parser.add_argument("--output", type=Path, default=Path("build/soc"), help="the folder for all that is made")
    parser.add_argument("--run", action="store_true", help="make the bitstream too")
    return parser


def main() -> None:
    """Run as a program."""
    given = create_parser().parse_args()
    folder = build_soc(given.spec, given.output, given.run)
    print(f"wrote {folder}; the learner's registers are in {given.output / 'learner.csv'}")


if __name__ == "__main__":
    main()
