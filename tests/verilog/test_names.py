"""Names that every tool takes."""

import re
from pathlib import Path

import pytest
from amaranth.hdl import ClockSignal, Instance, Module, Print
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from kanrtl import Learner, LearnerSpec
from kanrtl.errors import InputError
from kanrtl.tools.toolchain import YOSYS
from kanrtl.verilog.names import KEYWORDS, LONGEST_NAME, check_module_name, unescape_names
from kanrtl.verilog.write import list_ports, write_verilog
from support.tiers import thorough


def test_names_of_signals_that_are_keywords_come_escaped_from_yosys(tmp_path: Path) -> None:
    """So that they can be told from keywords, and none is missed."""
    wires = "".join(f"  wire input {number} \\{word}\n" for number, word in enumerate(sorted(KEYWORDS), 1))
    (tmp_path / "top.il").write_text(f"module \\top\n{wires}end\n")
    YOSYS.run(["-q", "-p", "read_rtlil top.il; write_verilog top.v"], tmp_path, "yosys.log")
    text = (tmp_path / "top.v").read_text()
    assert all(f"input \\{word} ;" in text for word in KEYWORDS)
    plain = unescape_names(text, "top")
    names = re.findall(r"input (\S+);", plain)
    assert len(set(names)) == len(KEYWORDS)
    assert KEYWORDS.isdisjoint(names)


@pytest.mark.parametrize("word", ["reg", "input", "logic", "cell", "checker", "always_ff"])
def test_keywords_are_refused(word: str) -> None:
    with pytest.raises(InputError) as error:
        check_module_name(word, field="--name")
    assert str(error.value) == (
        f"--name = '{word}': is a keyword of Verilog or SystemVerilog; add to it, as in '{word}_core'"
    )


@pytest.mark.parametrize("name", ["", "9lives", "a b", "a.b", "a[0]", "a$b", "é", "\\a "])
def test_what_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(
        InputError, match=r"^name = .*: must be a Verilog identifier of letters, digits and underscores$"
    ):
        check_module_name(name)


@pytest.mark.parametrize("name", ["a", "_", "Reg", "REG", "input_1", "x" * LONGEST_NAME])
def test_other_names_are_taken(name: str) -> None:
    assert check_module_name(name) == name


def test_longer_names_than_tools_take_are_refused() -> None:
    with pytest.raises(InputError, match=r"^name = 'xxxxxxxxxxxxxxxxxxxx'\.\.\.: has 1025 characters; "):
        check_module_name("x" * (LONGEST_NAME + 1))


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("name", ["clk", thorough("rst"), "samples__valid", thorough("gradient")])
def test_a_module_is_not_called_what_its_port_is(name: str, tracker: LearnerSpec, tmp_path: Path) -> None:
    learner = Learner(tracker)
    assert name in list_ports(learner)
    with pytest.raises(InputError, match=f"^name = '{name}': is the name of a port; add to it, as in '{name}_core'$"):
        write_verilog(learner, name, tmp_path / "learner.v")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("escaped", "plain"),
    [
        (r"assign \x[0]  = \x.y [3:0];", "assign x_0 = x_y[3:0];"),
        (r"assign \x[0]  = x_0 + X_0_2;", "assign x_0_3 = x_0 + X_0_2;"),
        (r"assign \a$12  = \a$7 ;", "assign a = a_2;"),
        (r"assign \table  = \s.always ;", "assign table_2 = s_always_2;"),
        (r"assign \0  = \$ ;", "assign n0 = n;"),
        (r"assign \u.A  = \u.a ;", "assign u_A = u_a_2;"),
        (r'(* src = "lib/top.py:1" *) assign top = \b.top ;', '(* src = "lib/top.py:1" *) assign top_2 = b_top;'),
        (r"assign \a-b%c  = { \d:e , 4'hf };", "assign a_b_c = { d_e, 4'hf };"),
        (r"""$write("say \"a\n \\ b\n", \s.x );""", r"""$write("say \"a\n \\ b\n", s_x);"""),
        (r'assign \a"b  = \a//c ; /* a "b \c */ // \d e', r'assign a_b = a_c; /* a "b \c */ // \d e'),
        (r"(* \for.other  = 1 *) wire \x.y ;", r"(* \for.other  = 1 *) wire x_y;"),
        (
            "  \\their.ram  #(\n    .\\WIDTH[0] (3),\n    .top(4)\n  ) \\my.ram  (\n    .\\do (\\top.x )\n  );",
            "  \\their.ram  #(\n    .\\WIDTH[0] (3),\n    .top(4)\n  ) my_ram (\n    .\\do (top_x)\n  );",
        ),
        ("  \\reg  \\top.x  (\n    .a(top)\n  );", "  \\reg  top_x (\n    .a(top_2)\n  );"),
        ("  else if (\\a.b )\n    \\c.d  <= (e);", "  else if (a_b)\n    c_d <= (e);"),
    ],
)
def test_escaped_names_become_plain_ones(escaped: str, plain: str) -> None:
    assert unescape_names(escaped, "top") == plain


def test_a_module_is_not_called_what_it_has_an_instance_of() -> None:
    with pytest.raises(InputError, match=r"^name = 'ram': is a module that it has an instance of; add to it, as in "):
        unescape_names("  ram #(\n    .a(1)\n  ) x (\n    .b(c)\n  );", "ram")


def test_texts_and_names_of_others_stay_in_a_file(tmp_path: Path) -> None:
    class Wrapper(wiring.Component):
        a: In(8)
        b: Out(8)

        def elaborate(self, platform: object) -> Module:
            m = Module()
            m.d.sync += Print("a is", self.a, "\\ and", self.b)
            pins = {"i_reg": self.a, "o_do": self.b, "i_clk": ClockSignal()}
            m.submodules.x = Instance("vendor.ram", p_INIT="a\\b c", **pins)
            return m

    write_verilog(Wrapper(), "wrapper", tmp_path / "wrapper.v")
    text = (tmp_path / "wrapper.v").read_text()
    for part in (
        "// The module wrapper is all there is in this file: give another one another name (--name),\n",
        "\n// It has instances of \\vendor.ram, which the part or other files have.\n",
        r'$write("a is %0d \\ and %0d\n", ',
        r"\vendor.ram  #(",
        r'.INIT("a\\b c")',
        r".\do (b)",
        r".\reg (a)",
    ):
        assert part in text


def test_long_names_are_cut_and_stay_apart() -> None:
    long = "x" * 2000
    names = re.findall(r"x+\w*", unescape_names(rf"assign \{long}.a  = \{long}.b ;", "top"))
    assert len(set(names)) == 2
    assert max(map(len, names)) <= LONGEST_NAME
