"""C++ compiled for tests: without optimisation, and CXXRTL's headers, most of what there is to compile, once."""

from __future__ import annotations

from pathlib import Path

from kanrtl.errors import ToolError
from kanrtl.simulators.cxxrtl import COMPILER_FLAGS, Compiler, find_headers

QUICK_FLAGS = ("-O0", "-fno-sanitize=all", "-fno-exceptions", "-fno-asynchronous-unwind-tables")
"""ziglang's sanitiser, on without optimisation, is of no use. Nothing throws: without the tables for it GCC takes a
fifth less."""

_HEADER = """\
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>
#define __always_inline__
#include <cxxrtl/cxxrtl.h>
#undef __always_inline__
"""
"""CXXRTL would have every function inlined, without optimisation too: what is called instead is compiled in two thirds
of the time where a file has many netlists."""


def precompile_headers(folder: Path) -> tuple[str, ...]:
    """Compile the headers of simulations in ``folder`` where GCC or clang is the compiler, and give the flags that use
    them."""
    try:
        compiler, headers = Compiler.find(), find_headers()
    except ToolError:  # the tests that need them fail
        return QUICK_FLAGS
    gcc, clang = (name in compiler.identity for name in ("Free Software Foundation", "clang version"))
    if not gcc and not clang:
        return QUICK_FLAGS
    used = [flag for flag in COMPILER_FLAGS if flag != "-shared"] + [*QUICK_FLAGS, f"-I{headers}"]
    header, precompiled = folder / "simulation.h", folder / f"simulation.h.{'gch' if gcc else 'pch'}"
    if not precompiled.exists():
        header.write_text(_HEADER)
        compiler.compile(header, precompiled, (*used, "-x", "c++-header"))
    include = ("-include", str(header)) if gcc else ("-include-pch", str(precompiled))
    return *QUICK_FLAGS, f"-I{headers}", *include
