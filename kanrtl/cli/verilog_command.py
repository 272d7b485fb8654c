"""``kanrtl verilog``: a learner or a network as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloup
from rich.markup import escape

from ..build.network_builds import core_for
from ..errors import InputError
from ..fabric.device import Device
from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..lookup.rtl.core_ports import create_core
from ..lookup.rtl.lookup_core import LookupCore
from ..verilog.learner_header import learner_header
from ..verilog.network_header import network_header
from ..verilog.write import write_verilog
from .console import results, show, show_work
from .options import (
    OUTPUT,
    as_json,
    check_only_for,
    group_of_network,
    hardware_options,
    output_callback,
    spec_or_network_argument,
)

__all__ = ["verilog_command", "write_learner"]


@cloup.command("verilog")
@spec_or_network_argument
@group_of_network(cloup.option("--device", metavar="PART", help="Make it of this part's own cells, not for any tool."))
@cloup.option_group(
    OUTPUT,
    cloup.option(
        "-o",
        "--output",
        metavar="FILE",
        callback=output_callback,
        help="Write into this file.  [default: learner.v or network.v]",
    ),
    cloup.option("--name", help="Give the top module this name.  [default: learner or network]"),
    as_json,
)
def verilog_command(
    spec: LearnerSpec | LookupNetwork,
    output: Path | None,
    name: str | None,
    device: str | None,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Write a learner or a network as one Verilog file."""
    default = "network" if isinstance(spec, LookupNetwork) else "learner"
    name, path = name or default, output or Path(f"{default}.v")
    if not (name.isascii() and name.isidentifier()):
        raise InputError(f"--name = {name!r}: must be a Verilog identifier of letters, digits and underscores")
    if isinstance(spec, LookupNetwork):
        options = hardware_options(hardware)
        core = core_for(spec, Device.parse(device), **options) if device else create_core(spec, **options)
        _write(core, network_header(core), name, path)
    else:
        check_only_for("network", {"device": device, **hardware})
        write_learner(spec, name, path)
    show({"verilog": str(path), "top": name}, as_json, lambda: results.print(f"wrote {escape(str(path))}"))


def write_learner(spec: LearnerSpec, name: str, path: Path) -> None:
    """Writes a learner as Verilog, with a spinner."""
    learner = Learner(spec)
    _write(learner, learner_header(learner), name, path)


def _write(component: Learner | LookupCore, comment: str, name: str, path: Path) -> None:
    with show_work("writing Verilog") as progress:
        if isinstance(component, LookupCore):
            component.progress = progress
        write_verilog(component, name, path, progress, header=comment)
