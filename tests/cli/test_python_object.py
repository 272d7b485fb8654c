"""A component of a user's own is found where it is named; what is none is told in one line."""

import json
import sys
from pathlib import Path

import pytest

from kanrtl.cli.command_line import run
from kanrtl.cli.python_object import load_component, names_object
from kanrtl.errors import InputError
from kanrtl.verilog.write import write_verilog

PLAIN = """\
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from beside import WIDTH

class Inverter(wiring.Component):
    i: In(WIDTH)
    o: Out(WIDTH)
    latency = 0
    _MustUse__silence = True  # it is not elaborated here

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(~self.i)
        return m

number = 5

def make():
    return Inverter()

def broken():
    return 1 / 0

def strange():
    return 5
"""


PORTS = """\
from __future__ import annotations

import sys
from dataclasses import dataclass

from amaranth.hdl import ClockDomain, ClockSignal, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

@dataclass
class Settings:
    members: dict

class Ported(wiring.Component):
    _MustUse__silence = True

    def __init__(self, settings, fail=lambda: None, fill=lambda m, ported: None):
        self.fail, self.fill = fail, fill
        super().__init__(settings.members)

    def elaborate(self, platform):
        self.fail()
        m = Module()
        self.fill(m, self)
        return m

def good():
    return Ported(Settings({"a": In(1)}))

def portless():
    return Ported(Settings({}))

def keyword():
    return Ported(Settings({"output": Out(1)}))

def joined():
    return Ported(Settings({"a__b": In(1), "a": In(wiring.Signature({"b": In(1)}))}))

def empty():
    return Ported(Settings({"a": In(0)}))

def clocked():
    return Ported(Settings({"clk": In(1)}))

def failing():
    return Ported(Settings({"a": In(1)}), lambda: [][0])

def ending():
    return Ported(Settings({"a": In(1)}), lambda: sys.exit("over"))

def fast():
    def fill(m, ported):
        m.d.fast += ported.o.eq(ported.a)

    return Ported(Settings({"a": In(1), "o": Out(1)}), fill=fill)

def clocks():
    def fill(m, ported):
        m.domains.fast = ClockDomain(reset_less=True)
        m.d.comb += ClockSignal("fast").eq(ported.fast_clk)
        m.d.fast += ported.o.eq(ported.a)

    return Ported(Settings({"fast_clk": In(1), "a": In(1), "o": Out(1)}), fill=fill)

def leave():
    sys.exit("usage: leave")
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 3\n")
    (tmp_path / "left.py").write_text(PORTS)
    path = tmp_path / "mine.py"
    path.write_text(PLAIN)
    return path


@pytest.mark.parametrize("name", ["Inverter", "make"])
def test_it_is_a_component_or_gives_one(name: str, source: Path) -> None:
    component = load_component(f"{source}:{name}", "SPEC")
    assert type(component).__name__ == "Inverter"


def test_what_names_an_object(tmp_path: Path) -> None:
    assert names_object("a/b.py:loop")
    assert names_object("package.module:loop")
    assert not names_object("learner.toml")
    assert not names_object(r"C:\learner.toml")
    assert not names_object("a b:c")
    (tmp_path / "x.py:y").write_text("")
    assert not names_object(str(tmp_path / "x.py:y"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.py:nothing", "has no nothing; name what is a component there"),
        ("other.py:make", "there is no file "),
        ("closed.py:make", "closed.py: Permission denied; give a file that can be read"),
        ("mine.py:broken", "running it: ZeroDivisionError: division by zero"),
        ("left.py:leave", "running it: SystemExit: usage: leave"),
        ("mine.py:number", "is int; must be an amaranth.lib.wiring.Component, or give one when it is called"),
        ("mine.py:strange", "is int; must be an amaranth.lib.wiring.Component, or give one when it is called"),
    ],
)
def test_what_is_none_is_told(
    name: str,
    message: str,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse() -> None:
        raise PermissionError(13, "Permission denied")

    output = tmp_path / "out.v"
    (tmp_path / "closed.py").touch(0)
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda path, *rest: refuse() if path.stem == "closed" else real(path, *rest))
    assert run(["verilog", str(source.parent / name), "-o", str(output)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "SPEC = " in line
    assert message in line
    assert not output.exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("portless", "Ported: has no ports; give its signature members"),
        (
            "keyword",
            "port 'output' of Ported: is a keyword of Verilog or SystemVerilog; add to it, as in 'output_data'",
        ),
        ("joined", "port 'a__b' of Ported: two of its members become this port; call one otherwise"),
        ("empty", "port 'a' of Ported: has no bits; leave it out"),
        ("failing", "Ported: elaborating it: IndexError: list index out of range"),
        ("ending", "Ported: elaborating it: SystemExit: over"),
        (
            "fast",
            "Ported: has a clock domain 'fast' that nothing makes, and the module has one clock; make it in the "
            'component, clocked by a port, or rename it by DomainRenamer({"fast": "sync"})',
        ),
    ],
)
def test_what_verilog_cannot_have_is_refused(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = tmp_path / "ported.py", tmp_path / "out.v"
    path.write_text(PORTS)
    assert run(["verilog", f"{path}:{name}", "-o", str(output)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"kanrtl: {message}"
    assert not output.exists()


def test_a_second_clock_is_a_port_of_the_component(tmp_path: Path) -> None:
    path, output = tmp_path / "ported.py", tmp_path / "out.v"
    path.write_text(PORTS)
    assert run(["verilog", f"{path}:clocks", "-o", str(output)]) == 0
    assert "always @(posedge fast_clk)" in output.read_text()


def test_a_port_that_is_called_as_the_clock_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ported.py"
    path.write_text(PORTS)
    with pytest.raises(InputError, match=r"^--clock = 'clk': is the name of another port; add to it, as in 'clk_i'$"):
        write_verilog(load_component(f"{path}:clocked", "SPEC"), "top", tmp_path / "out.v")


def test_its_module_is_where_python_looks_for_it(tmp_path: Path) -> None:
    """Dataclasses with annotations as text need it; a module of that name which is there already stays."""
    path = tmp_path / "json.py"
    path.write_text(PORTS)
    assert load_component(f"{path}:good", "SPEC").__module__ == "json_"
    assert sys.modules["json"] is json
    del sys.modules["json_"]
    path.write_text("1 / 0")
    with pytest.raises(InputError):
        load_component(f"{path}:good", "SPEC")
    assert "json_" not in sys.modules


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bus", "axi"], "--bus = 'axi': only for a learner or a network; leave it out"),
        (["--device", "iCE40UP5K"], "--device = 'iCE40UP5K': only for a learner or a network; leave it out"),
        (["--optimise", "ns"], "--optimise = 'ns': only for a network; leave it out"),
    ],
)
def test_options_for_others_are_refused(
    options: list[str], message: str, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verilog", f"{source}:make", *options]) == 2
    assert message in capsys.readouterr().err
