"""Many simulations compiled at once: one run of yosys, and one of the compiler, which makes what they share once."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..folders import temporary_folder
from .cxxrtl import READY, Compiler, Design, find_flags, find_headers, translate

_INCLUDE = re.compile(r"^#include <.*>$", re.MULTILINE)

_MACRO = re.compile(r"^#define (\w+)", re.MULTILINE)


class _Member:
    """One design's functions in the library of many, named as if it had that for itself."""

    def __init__(self, library: ctypes.CDLL, number: int, functions: Iterable[str]) -> None:
        self._library = library
        for name in functions:
            if hasattr(library, f"kanrtl_{name}_{number}"):
                setattr(self, f"kanrtl_{name}", getattr(library, f"kanrtl_{name}_{number}"))


@contextmanager
def compile_together(designs: Sequence[Design]) -> Iterator[None]:
    """Compile designs that follow from their keys; within the context their simulations start without the cache.

    The library stays loaded as long as the process runs: one that compiles many batches should give each a process.

    Raises
    ------
    ToolError
        If yosys or a C++ compiler is missing or fails.
    """
    found = {design.digest: design for design in designs}
    if found:
        READY.update(zip(found, _compile(list(found.values())), strict=True))
    try:
        yield
    finally:
        for digest in found:
            READY.pop(digest, None)


def _compile(designs: list[Design]) -> list[_Member]:
    with temporary_folder() as work:
        netlists = translate(designs, work)
        parts = [
            _enclose(number, netlist, design)
            for number, (netlist, design) in enumerate(zip(netlists, designs, strict=True))
        ]
        # What a part includes has to stand before its namespace begins.
        included = dict.fromkeys(_INCLUDE.findall("\n".join(parts)))
        (work / "batch.cc").write_text("\n".join([*included, *parts]))
        Compiler.find().compile(work / "batch.cc", work / "batch.so", (*find_flags(), f"-I{find_headers()}"))
        library = ctypes.CDLL(str(work / "batch.so"))
        members = [_Member(library, number, design.kind.functions) for number, design in enumerate(designs)]
        return [design.kind.declare(member) for design, member in zip(designs, members, strict=True)]


def _enclose(number: int, netlist: str, design: Design) -> str:
    """A netlist and its driver in a namespace, with names of their own where linkage takes no account of it."""
    names = ["cxxrtl_design", "cxxrtl_design_create", *(f"kanrtl_{name}" for name in design.kind.functions)]
    own = "".join(f"#define {name} {name}_{number}\n" for name in names)
    content = f"{own}namespace part{number} {{\n{netlist}\n{design.driver}\n}}\n"
    return content + "".join(f"#undef {name}\n" for name in dict.fromkeys(_MACRO.findall(content)))
