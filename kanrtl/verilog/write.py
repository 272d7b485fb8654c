"""A component as one self-contained Verilog file."""

from pathlib import Path

from amaranth.hdl import ClockDomain, Elaboratable
from amaranth.lib import wiring

from ..errors import BuildError, InputError, SpecError, ToolError, join_choices
from ..files import as_path, make_folder, write_whole
from ..folders import temporary_folder
from ..progress import Progress
from ..tools.rtlil import FLATTEN, component_ports, component_rtlil
from ..tools.toolchain import YOSYS
from .clocking import ClockedModule, Clocking
from .names import KEYWORDS, check_module_name, find_foreign_modules, unescape_names

_TOP = "kanrtl_top"  # while it is made; no signal has this name

# Verilog is written of cells and not of processes: an assignment is evaluated at time 0 in every standard and by every
# simulator, where `always @*` waits for a change that may have taken place before it began to wait. One flat module
# has no ports of no width, no names that another file may have too, and, purged, no two names for one signal.
_VERILOG_SCRIPT = """\
read_rtlil top.il
{contents}
{flatten}
opt_dff -keepdc
opt_clean -purge
memory_collect
tee -q -o unwritten.txt select -list t:$mem_v2 r:WR_PORTS=0 %i
{attributes}
attrmap -remove amaranth.decoding -remove hdlname
attrmap -modattr -remove generator -remove top -remove amaranth.hierarchy
setattr -unset src c:* t:$mem* %d
write_verilog top.v
"""

# Before anything else, so that nothing is concluded from initial values.
_WITHOUT_CONTENTS = "setattr -unset init w:*\ndelete t:$meminit_v2"

# Memory in LUTs is what some families do not have, and tools refuse the whole design for it.
_ANY_FAMILY = "setattr -unset ram_style a:ram_style=distributed"

# What is generated is nobody's to mend. Codes are those of Verilator 4 too, which newer versions still take.
_LINT = (
    "WIDTH",
    "UNOPTFLAT",
    "UNUSED",
    "UNDRIVEN",
    "DECLFILENAME",
    "CASEOVERLAP",
    "CMPCONST",
    "UNSIGNED",
    "TIMESCALEMOD",
)
_LINT_OFF = "".join(["/* verilator lint_save */\n", *(f"/* verilator lint_off {code} */\n" for code in _LINT)])
_LINT_ON = "/* verilator lint_restore */\n"


def list_ports(component: Elaboratable, clocking: Clocking = Clocking()) -> list[str]:
    """List the names of the ports that a component has in its Verilog file, clock and reset among them.

    Raises :exc:`InputError` where it has none, or one that Verilog cannot have.
    """
    named = component_ports(component) if isinstance(component, wiring.Component) else {}
    kind = type(component).__name__
    if isinstance(component, wiring.Component) and not named:
        raise InputError(f"{kind}: has no ports; give its signature members")
    for port, value in named.items():
        if port in KEYWORDS:
            refusal = f"is a keyword of Verilog or SystemVerilog; add to it, as in '{port}_data'"
            raise InputError(f"port {port!r} of {kind}: {refusal}")
        if not len(value):
            raise InputError(f"port {port!r} of {kind}: has no bits; leave it out")
    return [clocking.clock, clocking.reset, *named]


def _origin(
    name: str, device: str | None, clocking: Clocking, contents: bool, for_parts: bool, others: list[str]
) -> list[str]:
    """Tell what the file is for, what has to stand beside it, and what may."""
    needs = "" if others else ", and needs no other"
    return [
        f"Written for {device}."
        if device
        else "Written for any tool and family of FPGAs"
        + ("; kanrtl verilog --device writes it for one part." if for_parts else "."),
        f"The module {name} is all there is in this file{needs}: give another one another name (--name),",
        "and both can be in one design.",
        *(
            [f"It has instances of {join_choices(others, 'and')}, which the part or other files have."]
            if others
            else []
        ),
        *([] if contents else [f"Nothing has an initial value: let {clocking.reset} be active at a clock edge first."]),
    ]


def _component_text(component: Elaboratable, clocking: Clocking) -> str:
    """Give the RTLIL of a component, clocked and reset as told."""
    clocking.check_ports(list_ports(component)[2:])
    top, kind = None if clocking == Clocking() else ClockedModule(component, clocking), type(component).__name__

    def missing(domain: str) -> ClockDomain:
        if domain == "sync":
            return ClockDomain(domain)
        raise InputError(
            f"{kind}: has a clock domain {domain!r} that nothing makes, and the module has one clock; make it in the "
            f'component, clocked by a port, or rename it by DomainRenamer({{"{domain}": "sync"}})'
        )

    try:
        return component_rtlil(component, _TOP, inputs=top and top.ports, top=top, missing_domain=missing)
    except (InputError, SpecError, BuildError, ToolError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # whatever a user's own code raises
        reason = f"elaborating it: {type(error).__name__}: {error}"
        raise InputError(f"{kind}: {reason}") from error


def write_verilog(
    component: Elaboratable,
    name: str,
    path: Path,
    progress: Progress | None = None,
    *,
    header: str | None = None,
    device: str | None = None,
    clocking: Clocking = Clocking(),
    contents: bool = True,
    for_parts: bool = True,
) -> None:
    """Write a component as one self-contained Verilog file, which appears whole or not at all.

    The file holds one module, in which all identifiers are plain ones, but for those of modules of other files. It
    takes whichever yosys there is.

    Parameters
    ----------
    component
        What is written.
    name
        The name of the module.
    path
        The file. Its folder is made if it is not there.
    progress
        A function that is told what is being done.
    header
        Lines that become a comment on top.
    device
        The part that the component was made for, by name. Without one, nothing is demanded that a family of FPGAs may
        not have: memory in LUTs.
    clocking
        What clock and reset are called, and the level of the latter.
    contents
        Whether registers and memories have initial values. Without them a reset has to bring the component to its
        start, which a memory that is never written cannot be brought to.
    for_parts
        Whether the comment says that the component can be written for one part.

    Raises
    ------
    InputError
        If ``name`` is not one that every tool takes, a port is called as clock or reset are, or is none that Verilog
        can have, or the component cannot be elaborated.
    ToolError
        If yosys is missing or fails; or if without initial values a memory of the component would never hold anything.
    InputError
        If the file cannot be written.
    """
    check_module_name(name, list_ports(component, clocking))
    path = as_path(path)
    text = _component_text(component, clocking)
    with temporary_folder() as cwd:
        (cwd / "top.il").write_text(text, encoding="utf-8")
        flatten = "\n".join([f"hierarchy -top {_TOP}", "proc -norom", *FLATTEN])
        attributes = "" if device else _ANY_FAMILY
        (cwd / "verilog.ys").write_text(
            _VERILOG_SCRIPT.format(
                flatten=flatten, attributes=attributes, contents="" if contents else _WITHOUT_CONTENTS
            )
        )
        try:
            YOSYS.run(["-q", "-s", "verilog.ys"], cwd, "yosys.log", progress, produces=["top.v"])
        except ToolError as error:
            # The log goes with the folder, so the line must not send the user there.
            raise ToolError(str(error).partition(" (log: ")[0]) from None
        unwritten = (cwd / "unwritten.txt").read_text(encoding="utf-8").split()
        if unwritten and not contents:
            memory = unwritten[0].partition("/")[2]
            raise ToolError(
                f"memory {memory!r} has nothing but initial contents; write it with those, or make it of logic"
            )
        verilog = unescape_names((cwd / "top.v").read_text(encoding="utf-8"), name)
    verilog = verilog.replace(f"module {_TOP}(", f"module {name}(", 1)
    lines = [
        *(header or "").splitlines(),
        *([""] if header else []),
        *_origin(name, device, clocking, contents, for_parts, find_foreign_modules(verilog)),
    ]
    comment = "".join(f"// {line}".rstrip() + "\n" for line in lines)
    make_folder(path.parent)
    write_whole(path, (comment + _LINT_OFF + verilog + _LINT_ON).encode())
