"""Names that every reader of Verilog takes: plain identifiers, none of them a keyword."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..errors import InputError

_KEYWORDS = """
    accept_on alias always always_comb always_ff always_latch and assert assign assume automatic before begin bind bins
    binsof bit break buf bufif0 bufif1 byte case casex casez cell chandle checker class clocking cmos config const
    constraint context continue cover covergroup coverpoint cross deassign default defparam design disable dist do edge
    else end endcase endchecker endclass endclocking endconfig endfunction endgenerate endgroup endinterface endmodule
    endpackage endprimitive endprogram endproperty endsequence endspecify endtable endtask enum event eventually expect
    export extends extern final first_match for force foreach forever fork forkjoin function generate genvar global
    highz0 highz1 if iff ifnone ignore_bins illegal_bins implements implies import incdir include initial inout input
    inside instance int integer interconnect interface intersect join join_any join_none large let liblist library
    local localparam logic longint macromodule matches medium modport module nand negedge nettype new nexttime nmos nor
    noshowcancelled not notif0 notif1 null or output package packed parameter pmos posedge primitive priority program
    property protected pull0 pull1 pulldown pullup pulsestyle_ondetect pulsestyle_onevent pure rand randc randcase
    randsequence rcmos real realtime ref reg reject_on release repeat restrict return rnmos rpmos rtran rtranif0
    rtranif1 s_always s_eventually s_nexttime s_until s_until_with scalared sequence shortint shortreal showcancelled
    signed small soft solve specify specparam static string strong strong0 strong1 struct super supply0 supply1
    sync_accept_on sync_reject_on table tagged task this throughout time timeprecision timeunit tran tranif0 tranif1
    tri tri0 tri1 triand trior trireg type typedef union unique unique0 unsigned until until_with untyped use uwire var
    vectored virtual void wait wait_order wand weak weak0 weak1 while wildcard wire with within wor xnor xor
"""

KEYWORDS = frozenset(_KEYWORDS.split())
"""The keywords of IEEE 1800-2017, annex B, which are those of IEEE 1364-2005 and more."""

_VHDL_KEYWORDS = """
    abs access after alias all and architecture array assert assume assume_guarantee attribute begin block body buffer
    bus case component configuration constant context cover default disconnect downto else elsif end entity exit
    fairness file for force function generate generic group guarded if impure in inertial inout is label library linkage
    literal loop map mod nand new next nor not null of on open or others out package parameter port postponed private
    procedure process property protected pure range record register reject release rem report restrict
    restrict_guarantee return rol ror select sequence severity shared signal sla sll sra srl strong subtype then to
    transport type unaffected units until use variable view vmode vprop vunit wait when while with xnor xor
"""

VHDL_KEYWORDS = frozenset(_VHDL_KEYWORDS.split())
"""The reserved words of IEEE 1076-2008, and those that IEEE 1076-2019 adds."""

LONGEST_NAME = 1024
"""Characters of an identifier that IEEE 1364-2005 wants every tool to take."""

_WORD = re.compile(r"[A-Za-z_]\w*")
# What may hold a backslash or a quote; its only group is the name of an escaped identifier.
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?\*/|//[^\n]*|\\(\S+) ', re.DOTALL)
# What begins a line and is followed by parameters or by a name and ports is a module of another file.
_FOREIGN_MODULE = re.compile(
    r"^ *(?P<name>\\\S+ |[A-Za-z_][\w$]*)(?= +(?:#\(|(?:\\\S+ |[A-Za-z_][\w$]*) *\())", re.MULTILINE
)
# What Amaranth appends to tell signals of one name apart, where a letter did not.
_NUMBER = re.compile(r"\$\d+")


def check_module_name(name: str, ports: Iterable[str] = (), field: str = "name") -> str:
    """Return the name of a module, if every tool takes it.

    Parameters
    ----------
    name : str
        The name.
    ports : iterable of str
        The ports of the module. Verilator takes a port and its module for one thing where they have one name.
    field : str
        What the user calls the name.

    Raises
    ------
    InputError
        If it is no identifier, is longer than :data:`LONGEST_NAME`, is a keyword of Verilog or SystemVerilog, or is the
        name of a port.
    """
    if not (name.isascii() and name.isidentifier()):
        raise InputError(f"{field} = {name!r}: must be a Verilog identifier of letters, digits and underscores")
    if len(name) > LONGEST_NAME:
        raise InputError(
            f"{field} = {name[:20]!r}...: has {len(name)} characters; Verilog identifiers have at most {LONGEST_NAME}"
        )
    if name in KEYWORDS:
        raise InputError(
            f"{field} = {name!r}: is a keyword of Verilog or SystemVerilog; add to it, as in '{name}_core'"
        )
    if name in ports:
        raise InputError(f"{field} = {name!r}: is the name of a port; add to it, as in '{name}_core'")
    return name


def check_vhdl_name(name: str, field: str = "name") -> str:
    """Return a name of Verilog, if it is one of VHDL too.

    Raises
    ------
    InputError
        If it begins or ends with an underscore, has two beside each other, or is a reserved word.
    """
    if name.lower() in VHDL_KEYWORDS:
        raise InputError(f"{field} = {name!r}: is a reserved word of VHDL; add to it, as in '{name}_core'")
    if not re.fullmatch(r"[A-Za-z](_?[A-Za-z0-9])*", name):
        raise InputError(f"{field} = {name!r}: VHDL wants a letter first, and single underscores within; change it")
    return name


def find_foreign_modules(verilog: str) -> list[str]:
    """Find the modules of which a text of one module, as yosys writes it, has instances; escaped names are in it as
    they are, and end with no space."""
    return sorted({match["name"].strip() for match in _FOREIGN_MODULE.finditer(verilog)} - KEYWORDS)


def unescape_names(verilog: str, module: str) -> str:
    r"""Replace the escaped identifiers of a Verilog text by plain ones.

    An escaped one, such as ``\layer0.sums[1]$7``, is legal, and yet mistaken for an element of another signal by ABC9,
    by converters to VHDL and by simulators' interfaces. The new names are unlike all others in the text, in lower
    case too, and never a keyword. What others gave its name stays: modules that are not in the text, their ports and
    parameters, and attributes.

    Parameters
    ----------
    verilog : str
        The text of one module as yosys writes it: a space ends an escaped identifier.
    module : str
        A name that nothing in the text shall have.

    Raises
    ------
    InputError
        If a module that is not in the text has the name ``module``.
    """
    others = {each.start("name") for each in _FOREIGN_MODULE.finditer(verilog)}
    if module in find_foreign_modules(verilog):
        raise InputError(f"name = {module!r}: is a module that it has an instance of; add to it, as in '{module}_core'")

    def is_own(match: re.Match[str]) -> bool:
        start = match.start()
        return (
            start not in others and not verilog.startswith(".", start - 1) and not verilog.startswith("(* ", start - 3)
        )

    escaped = [match for match in _TOKEN.finditer(verilog) if match[1] and is_own(match)]
    words = set(_WORD.findall(_TOKEN.sub(" ", verilog)))
    taken = {word.lower() for word in words} | {module.lower()} | KEYWORDS
    plain = {name: _find_free(_make_plain(name), taken) for name in dict.fromkeys(match[1] for match in escaped)}
    text = _TOKEN.sub(lambda match: plain[match[1]] if match[1] and is_own(match) else match[0], verilog)
    if module not in words:
        return text
    other = _find_free(module, taken)
    own = re.compile(rf"{_TOKEN.pattern}|(?<!\.)(?<!\(\* )\b{module}\b", re.DOTALL)
    return own.sub(lambda match: other if match[0] == module else match[0], text)


def _make_plain(escaped: str) -> str:
    """Make an identifier of the words of an escaped one."""
    stem = "_".join(re.findall(r"[A-Za-z0-9_]+", _NUMBER.sub("", escaped)))[: LONGEST_NAME // 2]
    return stem if _WORD.fullmatch(stem) else f"n{stem}"


def _find_free(stem: str, taken: set[str]) -> str:
    """Find a name like ``stem`` that is not in ``taken``, and add it."""
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}_{number}"
    taken.add(name.lower())
    return name
