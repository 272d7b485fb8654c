"""The LiteX SoC of ``examples/litex_soc.py``, made by the tools that LiteX's own script calls."""

from __future__ import annotations

import json
import shlex
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kanrtl import LearnerSpec
from kanrtl.fabric.families import FAMILIES
from kanrtl.learner.spec_file import to_toml
from kanrtl.tools.toolchain import YOSYS

from .row import Family, Progress, Result, Row

__all__ = ["FAMILY"]

T: dict[str, Any] = {"layer_sizes": [1, 1], "grid_range": [-2, 2], "grid_size": 5, "learning_rate": 0.3}

CLOCK_MHZ = 25.0


@dataclass(frozen=True)
class Soc(Row):
    """T on the bus of a SoC without a processor, for a ULX3S with an ECP5 85F."""

    @property
    def needs(self) -> str:
        return "LiteX"

    @property
    def obstacle(self) -> str | None:
        try:
            version("litex")
        except PackageNotFoundError:
            return "LiteX is not installed"
        return None

    def measure(self, progress: Progress) -> Result:
        from examples.litex_soc import build_soc  # it needs LiteX

        flow = FAMILIES["ecp5"].flow
        tools = {tool.name: tool for tool in (YOSYS, flow.place_and_route, flow.packer)}
        # Not in the folder for temporary files: the script names files absolutely, and YoWASP has another /tmp.
        beside = Path(__file__).parents[1] / "build"
        beside.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=beside) as name:
            folder = Path(name)
            (folder / "t.toml").write_text(to_toml(LearnerSpec(**T)))
            progress("LiteX")
            gateware = build_soc(folder / "t.toml", folder)
            for line in (gateware / "build_soc.sh").read_text().splitlines():
                program, *arguments = shlex.split(line, comments=True) or ["set"]
                if program != "set":
                    progress(program)
                    tool = tools[program]
                    if tool.log_option in arguments:  # which is given one by whatever runs it
                        at = arguments.index(tool.log_option)
                        del arguments[at : at + 2]
                    report = ["--report", "report.json"] if tool is flow.place_and_route else []
                    tool.run([*arguments, *report], gateware, f"{program}.log", progress)
            found = json.loads((gateware / "report.json").read_text())
            bitstream = (gateware / "soc.bit").stat().st_size
        used = {name: entry["used"] for name, entry in found["utilization"].items()}
        (clock,) = found["fmax"].values()
        return {
            "spec": T,
            "device": "LFE5U-85F-6BG381",
            "clock_mhz": CLOCK_MHZ,
            "fmax_mhz": round(clock["achieved"], 2),
            "timing_met": clock["achieved"] >= CLOCK_MHZ,
            "lut": used["TRELLIS_COMB"],
            "ff": used["TRELLIS_FF"],
            "dsp": used["MULT18X18D"],
            "bram": used["DP16KD"],
            "bitstream_bytes": bitstream,
            "tools": {
                "litex": version("litex"),
                "migen": version("migen"),
                **{name: tool.version() for name, tool in tools.items()},
            },
        }


FAMILY = Family("soc", "T in a SoC", (Soc("litex-ulx3s", "T on Wishbone in a LiteX SoC, on a ULX3S"),))
