"""CXXRTL's one long function ``eval`` in parts, which a compiler takes in seconds."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

SPLIT_EDITION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""Tells what is made here from what another edition of this file makes."""

PART = 4000
"""Characters of C++ in one function: gcc takes minutes for all in one, and the result is slower."""

_EVAL = re.compile(
    r"^bool p_dut::eval\(performer \*performer\) \{\n\tbool converged = (?P<converged>\w+);\n"
    r"\tbool posedge_p_clk = this->posedge_p_clk\(\);\n(?P<body>.*?)^\treturn converged;\n\}\n",
    re.MULTILINE | re.DOTALL,
)

_LOCAL = re.compile(r"\tvalue<\d+> \w+;")

_CLASS = "\tp_dut(interior) {}\n"


def split_eval(text: str) -> str:
    """CXXRTL's C++ with its one long function split into many, its local values being members then.

    What another yosys writes otherwise is returned as it is.
    """
    match = _EVAL.search(text)
    if match is None or "converged" in match["body"] or _CLASS not in text:
        return text
    lines = [line for line in match["body"].splitlines() if not line.lstrip().startswith("//")]
    values = [line for line in lines if _LOCAL.fullmatch(line)]
    parts = _parts([line for line in lines if not _LOCAL.fullmatch(line)])
    members = [*values, *(f"\tvoid part{number}(bool posedge_p_clk);" for number in range(len(parts)))]
    functions = [
        f"void p_dut::part{number}(bool posedge_p_clk) {{\n\t(void)posedge_p_clk;\n{part}\n}}"
        for number, part in enumerate(parts)
    ]
    calls = "".join(f"\tpart{number}(edge);\n" for number in range(len(parts)))
    whole = (
        f"bool p_dut::eval(performer *) {{\n\tbool edge = posedge_p_clk();\n{calls}\treturn {match['converged']};\n}}\n"
    )
    text = f"{text[: match.start()]}{chr(10).join(functions)}\n{whole}{text[match.end() :]}"
    return text.replace(_CLASS, "\n".join(members) + f"\n{_CLASS}", 1)


def _parts(lines: list[str]) -> list[str]:
    """Statements of a function's body, in parts of about equal length: what reads a memory stays with what names its
    address, and a block with its end."""
    parts: list[str] = []
    part: list[str] = []
    inside = False
    for line in lines:
        part.append(line)
        if line.startswith("\tauto ") or (line.startswith(("\tif", "\tfor")) and line.endswith("{")):
            inside = True
        elif line == "\t}":
            inside = False
        if not inside and sum(map(len, part)) > PART:
            parts.append("\n".join(part))
            part = []
    return [*parts, "\n".join(part)]
