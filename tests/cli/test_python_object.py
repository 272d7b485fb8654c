"""A component of a user's own is found where it is named; what is none is told in one line."""

from pathlib import Path

import pytest

from kanrtl.cli.command_line import run
from kanrtl.cli.python_object import load_component, names_object

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


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("WIDTH = 3\n")
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
        ("mine.py:broken", "running it: ZeroDivisionError: division by zero"),
        ("mine.py:number", "is int; must be an amaranth.lib.wiring.Component, or give one when it is called"),
        ("mine.py:strange", "is int; must be an amaranth.lib.wiring.Component, or give one when it is called"),
    ],
)
def test_what_is_none_is_told(
    name: str, message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.v"
    assert run(["verilog", str(source.parent / name), "-o", str(output)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "SPEC = " in line
    assert message in line
    assert not output.exists()


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
