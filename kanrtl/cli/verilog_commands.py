"""Files for other people's designs: ``kanrtl verilog`` and ``kanrtl registers``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup
from amaranth.lib import wiring

from ..build.design_builds import core_for, fit_spec
from ..bus.core_ports import Core
from ..bus.register_map import BYTES, RegisterMap
from ..bus.shells import SHELLS, has_streams
from ..bus.writers import WRITERS, DescribedMap
from ..errors import InputError
from ..fabric.device import Device
from ..files import is_standard_output, write_whole
from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..lookup.rtl.folding import drop_defaults
from ..lookup.rtl.lookup_core import LookupCore, create_core
from ..verilog.clocking import Clocking
from ..verilog.component_header import component_header
from ..verilog.learner_header import learner_header, title_learner
from ..verilog.names import check_module_name, check_vhdl_name
from ..verilog.network_header import network_header, title_network
from ..verilog.shell_header import shell_header
from ..verilog.write import list_ports, write_verilog
from .console import show, show_work
from .hardware_commands import find_optimum
from .options import (
    OUTPUT,
    as_json,
    check_only_for,
    check_output,
    choice_option,
    file_option,
    hardware_options,
    network_group,
    note_file,
    optimise_option,
    read_spec_or_network,
    spec_or_network_argument,
)
from .python_object import load_component, names_object


def _read_core(
    ctx: click.Context, param: click.Parameter, value: str
) -> LearnerSpec | LookupNetwork | wiring.Component:
    if not names_object(value):
        return read_spec_or_network(ctx, param, value)
    note_file(ctx, "SPEC", value.rpartition(":")[0])
    return load_component(value, "SPEC")


@cloup.command("verilog")
@cloup.argument(
    "spec",
    metavar="SPEC",
    callback=_read_core,
    help="The spec of a learner, a TOML file; a network, an .npz file; or a component of your own, such as a loop, as "
    "FILE.py:NAME or package.module:NAME.",
)
@cloup.option_group(
    "Ports",
    choice_option(
        "--bus",
        SHELLS,
        help="Put it behind AXI4-Stream and AXI4-Lite, AXI4-Lite alone or Wishbone, or give every number a port.  "
        "[default: packed streams]",
    ),
    cloup.option("--clock", metavar="NAME", help="Call the clock so.  [default: clk, or aclk with AXI]"),
    cloup.option(
        "--reset",
        metavar="NAME",
        help="Call the reset so; names such as rst_n or aresetn are active low.  [default: rst, or aresetn with AXI]",
    ),
    choice_option("--reset-level", ("high", "low"), help="Say the level of the reset, whatever its name."),
)
@network_group(
    optimise_option,
    choice_option(
        "--initial",
        ("memory", "reset"),
        help="Let it begin with initial values, or need nothing but a reset, as in an ASIC: without tables in block "
        "memory.  [default: memory]",
    ),
)
@cloup.option_group(
    OUTPUT,
    file_option(
        "-o", "--output", text=True, help="Write into this file, or - .  [default: learner.v, network.v or loop.v]"
    ),
    cloup.option("--name", help="Give the module this name.  [default: learner, network or loop]"),
    cloup.option("--device", metavar="PART", help="Write it for this part alone, not for any tool and family."),
    as_json,
)
def verilog_command(
    spec: LearnerSpec | LookupNetwork | wiring.Component,
    bus: str | None,
    clock: str | None,
    reset: str | None,
    reset_level: str | None,
    initial: str | None,
    output: Path | None,
    name: str | None,
    device: str | None,
    as_json: bool,
    optimise: str | None,
    **hardware: Any,
) -> None:
    """Write a learner, a network or your own component as Verilog.

    With --bus it stands behind a bus that processors and vendors' tools know; kanrtl registers writes the map of its
    registers for a driver.
    """
    default = "network" if isinstance(spec, LookupNetwork) else "learner"
    if isinstance(spec, wiring.Component):
        default = "loop"
    name, path = check_module_name(default if name is None else name, field="--name"), output or Path(f"{default}.v")
    to_output = is_standard_output(path)
    if to_output and as_json:
        raise InputError(f"--json: standard output has the Verilog (--output = {str(path)!r}); leave out one of them")
    if output is None:
        check_output("--output", str(path))
    axi = bus in ("axi", "axi-lite")
    usual_clock, usual_reset = ("aclk", "aresetn") if axi else ("clk", "rst")
    clock, reset = usual_clock if clock is None else clock, usual_reset if reset is None else reset
    clocking = Clocking.of(clock, reset, reset_level)
    if bus == "plain":
        for field, given in (("--name", name), ("--clock", clock), ("--reset", reset)):
            check_vhdl_name(given, field)
    part = None if device is None else Device.parse(device)
    if isinstance(spec, LookupNetwork):
        options = hardware_options(hardware)
        if initial == "reset":
            options = _keep_in_logic(drop_defaults(spec, options))
        if optimise is not None:
            if device is None:
                raise InputError(f"--optimise = {optimise!r}: for which part? name it with --device")
            options = find_optimum(spec, device, optimise, {}, options).options
        network = create_core(spec, **options) if part is None else core_for(spec, part, **options)
        if initial == "reset" and network.has_contents:
            raise InputError(
                f"--optimise = {optimise!r}: has found tables in block memory, which need initial contents; leave it "
                "out, or --initial"
            )
        core: Core | wiring.Component = network
    elif isinstance(spec, wiring.Component):
        check_only_for("network", {"optimise": optimise, "initial": initial, **hardware})
        check_only_for("learner or a network", {"bus": bus, "device": device})
        core = spec
    else:
        if initial is not None:
            raise InputError(f"--initial = {initial!r}: only for a network; a learner has it in its spec, as initial")
        check_only_for("network", {"optimise": optimise, **hardware})
        spec.warn()
        core = Learner(spec if part is None else fit_spec(spec, part))
    _write(core, name, path, part, bus, clocking, contents=initial != "reset")
    if not to_output:
        show({"verilog": str(path), "top": name}, as_json, lambda: click.echo(f"wrote {path}"))


def _keep_in_logic(options: dict[str, Any]) -> dict[str, Any]:
    """Give the options of a network with all tables in logic, which need no initial contents; refuse what would lie in
    block memory."""
    given = options.get("memory", "logic")
    kinds = [given] if isinstance(given, str) else list(given)
    refused = {
        "memory": "block" in kinds,
        "whole_from": "whole_from" in options,
        "reuse_factor": "reuse_factor" in options,
    }
    for name, is_refused in refused.items():
        if is_refused:
            option = f"--{name.replace('_', '-')} = {options[name]!r}"
            raise InputError(
                f"{option}: tables in block memory need initial contents; with --initial reset leave it out"
            )
    kinds = ["logic" if kind == "auto" else kind for kind in kinds]
    return options | {"memory": kinds[0] if len(kinds) == 1 else kinds}


def write_learner(spec: LearnerSpec, name: str, path: Path) -> None:
    """Write a learner as Verilog, with a spinner."""
    _write(Learner(spec), name, path)


def _write(
    core: Core | wiring.Component,
    name: str,
    path: Path,
    part: Device | None = None,
    bus: str | None = None,
    clocking: Clocking = Clocking(),
    *,
    contents: bool = True,
) -> None:
    if bus is not None:
        component: Any = SHELLS[bus](core)
    else:
        component = core
    ports = list_ports(component, clocking)
    check_module_name(name, ports, field="--name")
    clocking.check_ports(ports[2:])
    comment = _comment(core, clocking) if bus is None else shell_header(component, clocking)
    with show_work("writing Verilog") as progress:
        if isinstance(core, LookupCore):
            core.progress = progress
        device = None if part is None else part.name
        if isinstance(core, Learner):
            contents = not core.spec.restarts
        write_verilog(
            component,
            name,
            path,
            progress,
            header=comment,
            device=device,
            clocking=clocking,
            contents=contents,
            for_parts=isinstance(core, Core),
        )


def _comment(core: Core | wiring.Component, clocking: Clocking) -> str:
    if isinstance(core, LookupCore):
        return network_header(core, clocking)
    return learner_header(core, clocking) if isinstance(core, Learner) else component_header(core, clocking)


def _read_base(_ctx: click.Context, _param: click.Parameter, value: str) -> int:
    try:
        base = int(value, 0)
    except ValueError:
        raise InputError(f"--base = {value!r}: must be a number, such as 0x30000000") from None
    if not 0 <= base < 1 << 32 or base % BYTES:
        raise InputError(f"--base = {value!r}: must be a multiple of {BYTES} below {1 << 32:#x}")
    return base


@cloup.command("registers")
@spec_or_network_argument
@cloup.option_group(
    "The map",
    choice_option(
        "--bus",
        [bus for bus in SHELLS if has_streams(bus) is not None],
        default="axi",
        help="Write the map of this shell of kanrtl verilog --bus.",
    ),
    cloup.option(
        "--base",
        metavar="ADDRESS",
        default="0",
        show_default=True,
        callback=_read_base,
        help="Where it lies on the bus.",
    ),
    cloup.option("--name", help="Begin all names with this one.  [default: learner or network]"),
)
@cloup.option_group(
    OUTPUT,
    choice_option(
        "--format",
        WRITERS,
        default="md",
        help="Write a C header with a driver, LiteX's csr.csv or csr.json, SVD, SystemRDL, or a table in Markdown.",
    ),
    file_option("-o", "--output", text=True, help="Write into this file.  [default: standard output]"),
)
def registers_command(
    spec: LearnerSpec | LookupNetwork, bus: str, base: int, name: str | None, format: str, output: Path | None
) -> None:
    """Write the register map of a learner or a network behind a bus.

    It is that of the file that kanrtl verilog --bus writes, for any device.
    """
    default = "network" if isinstance(spec, LookupNetwork) else "learner"
    name = default if name is None else name
    check_vhdl_name(check_module_name(name, field="--name"), "--name")
    map = RegisterMap.of(spec, streams=bool(has_streams(bus)))
    size = 1 << map.address_width
    if base % size:
        raise InputError(f"--base = {base:#x}: must be a multiple of the {size:#x} bytes that the map has")
    if base + size > 1 << 32:
        raise InputError(f"--base = {base:#x}: the map has {size:#x} bytes, and ends beyond 32 bits; give a lower one")
    title = title_network(spec) if isinstance(spec, LookupNetwork) else title_learner(spec)
    text = WRITERS[format](DescribedMap(map, name, base, f"Registers of a kanrtl {title}, bus {bus}"))
    if output is None:
        click.echo(text, nl=False)
        return
    write_whole(output, text.encode())
    if not is_standard_output(output):
        click.echo(f"wrote {output}")
