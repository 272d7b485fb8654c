"""C++ files of this package as a shared library, compiled once for all uses and kept."""

from __future__ import annotations

import ctypes
import hashlib
import json
import tempfile
from functools import cache
from pathlib import Path

from ..cache import WORK, find_entries, identify, publish, remove_leftovers, writable_cache
from ..errors import ToolError
from ..folders import attribute_errors
from ..tools.toolchain import split_words
from .cxxrtl import Compiler

_KIND = "libraries"

# A multiplication and an addition are rounded one after the other, as numpy does it.
_FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", "-fvisibility=hidden")


@cache
def load_library(*sources: Path) -> ctypes.CDLL:
    """Load what C++ files, one after another, make; compile them where that is not in the cache, in a second or two.

    Raises
    ------
    ToolError
        If a C++ compiler is missing or fails.
    """
    compiler = Compiler.find()
    flags = (*_FLAGS, *split_words("CXXFLAGS"))
    source = b"\n".join(path.read_bytes() for path in sources)
    name = hashlib.sha256(json.dumps([compiler.identity, flags]).encode() + source).hexdigest()[:32]
    for entry in find_entries(_KIND, name):
        library = _load(entry)
        if library is not None:
            return library
    folder = writable_cache(_KIND)
    remove_leftovers(folder)
    work, entry = Path(tempfile.mkdtemp(prefix=WORK, dir=folder)), folder / name
    replaces = identify(entry)
    with attribute_errors(work):
        (work / "library.cc").write_bytes(source)
        compiler.compile(work / "library.cc", work / "library.so", flags)
        (work / "sha256").write_text(hashlib.sha256((work / "library.so").read_bytes()).hexdigest())
        publish(work, entry, replaces)
    library = _load(entry)
    if library is None:
        raise ToolError(f"the compiled library cannot be read back from {entry}: is the disk full?")
    return library


def _load(entry: Path) -> ctypes.CDLL | None:
    """The library in ``entry``, or None if there is none or anything is wrong with it."""
    path = entry / "library.so"
    try:
        if hashlib.sha256(path.read_bytes()).hexdigest() != (entry / "sha256").read_text():
            return None
        return ctypes.CDLL(str(path))
    except (OSError, ValueError):
        return None
