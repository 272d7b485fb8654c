"""Every block of code in README.md and docs/ works as it stands there, in the order in which a reader meets it.

A page is run from top to bottom in a folder of its own, with one namespace for its Python. A block's language says what
is done with it, see :data:`RUNNERS`; a language that is not there fails.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from amaranth.hdl import Elaboratable
from click.testing import CliRunner
from markdown_it import MarkdownIt

import kanrtl
from bench import __main__ as bench_command
from bench.foreign.simulators import SIMULATORS
from bench.foreign.vhdl import find_ghdl, join_with_ghdl
from bench.render import PICTURES, pages, render
from bench.stored import RESULTS, ROOT
from bench.tables import TABLES
from examples import bus_testbench, classify, litex_soc
from kanrtl.cli import cli, main
from kanrtl.lookup import from_kanele
from support.foreign_tools import need
from support.kan_checkpoints import kanele
from support.tiers import only
from support.verilator_backend import ROOT as VERILATOR

PAGES = {page.relative_to(ROOT).as_posix(): page for page in pages()}
RUN = {name: page for name, page in PAGES.items() if not name.startswith("docs/api/")}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

# Directives that show no code of their own.
DIRECTIVES = {"{toctree}", "{eval-rst}"}

LONG = {
    *("docs/buses.md", "docs/choosing.md", "docs/first-learner.md", "docs/freezing.md", "docs/lookup-networks.md"),
    *("docs/loops.md", "docs/verilog.md", "docs/your-own-signals.md"),
}
"""Pages whose blocks take several seconds: ``make thorough`` runs them."""

PARSED_ONLY = {"demo", "build", "program", "live", "verify"}
"""Commands whose lines are only parsed, options and files included: they synthesise or place and route, which takes
minutes, or need a board or a browser. Tests of their own run them. A refusal that a page shows comes at once, and is
run."""

DRAWINGS = {"docs/layout.md", "docs/loops.md"}
"""Pages with drawings in characters (``text``), which cannot be run."""


@dataclass(frozen=True)
class Block:
    """A block of code on a page."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a page, indented ones too, which have no language."""
    for token in MarkdownIt().parse(page.read_text()):
        if token.type in ("fence", "code_block"):
            assert token.map is not None
            yield Block(token.info.strip(), token.content, token.map[0] + 1)


@dataclass
class Reader:
    """Does what a page says, in its folder."""

    page: str
    folder: Path
    capsys: pytest.CaptureFixture[str]
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "page"})

    def read(self, block: Block) -> None:
        RUNNERS[block.language](self, block)

    def python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.text, self.page, "exec", dont_inherit=True)
        exec(code, self.names)

    def toml(self, block: Block) -> None:
        """A spec; its first line may be a comment with the name of the file that it goes into."""
        kanrtl.LearnerSpec.from_dict(tomllib.loads(block.text))
        if named := re.match(r"# (\S+\.toml)\n", block.text):
            (self.folder / named[1]).write_text(block.text)

    def verilog(self, block: Block) -> None:
        """Complete modules, which Verilator accepts without a warning, with the files that the page has written."""
        (name,) = re.findall(r"^module (\w+)", block.text, re.MULTILINE)
        others = [path.name for path in self.folder.glob("*.v")]
        file = self.folder / f"{name}.v"
        file.write_text(block.text)
        # An output that is of no use is said to be unconnected.
        options = ["--lint-only", "-Wall", "-Wno-PINCONNECTEMPTY", "-Wno-fatal", "--top-module", name]
        found = subprocess.run(
            [str(VERILATOR / "bin" / "verilator_bin"), *options, file.name, *others],
            env={"VERILATOR_ROOT": str(VERILATOR)},
            capture_output=True,
            text=True,
        )
        assert found.returncode == 0, found.stderr
        assert not [line for line in found.stderr.splitlines() if file.name in line]  # yosys' own style is no one's

    def vhdl(self, block: Block) -> None:
        """One entity, of which GHDL makes Verilog that Icarus takes with the files that the page has written."""
        need("GHDL", find_ghdl())
        need("Icarus Verilog", SIMULATORS["Icarus -g2005"].find_version())
        (name,) = re.findall(r"^entity (\w+)", block.text, re.MULTILINE)
        (core,) = re.findall(r"^ *component (\w+)", block.text, re.MULTILINE)
        (self.folder / f"{name}.vhd").write_text(block.text)
        join_with_ghdl(self.folder / f"{name}.vhd", name, core, self.folder / f"{core}.v", self.folder)

    def c(self, block: Block) -> None:
        """A file that compiles without a warning, with the headers that the page has written."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        need("a C compiler", compiler)
        assert compiler is not None
        options = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-I.", "-xc", "-c", "-", "-o", "block.o"]
        subprocess.run([compiler, *options], cwd=self.folder, input=block.text, text=True, check=True)

    def sh(self, block: Block) -> None:
        """Commands, one in a line."""
        for line in block.text.splitlines():
            if words := shlex.split(line, comments=True):
                self.command(words, shown=None)

    def console(self, block: Block) -> None:
        """Commands after a ``$``, each with what it prints."""
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            line, _, shown = part.partition("\n")
            self.command(shlex.split(line), shown)

    def text(self, block: Block) -> None:
        assert self.page in DRAWINGS

    def command(self, words: list[str], shown: str | None) -> None:
        program, *arguments = words
        into = None
        if ">" in arguments:
            *arguments, _, into = arguments
        printed = PROGRAMS[program](self, arguments, shown is not None)
        if shown is not None:
            assert printed == shown
        if into is not None:
            assert printed
            (self.folder / into).write_text(printed)

    # Programs.

    def kanrtl(self, arguments: list[str], compared: bool) -> str:
        name = arguments[0]
        if name in PARSED_ONLY and not compared:
            parse(cli, "kanrtl", arguments)
            return ""
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main(arguments)
        printed = self.capsys.readouterr()
        assert compared or not left.value.code, printed.err
        return printed.out + printed.err if compared else printed.out

    def make(self, arguments: list[str], _compared: bool) -> str:
        assert set(arguments) <= TARGETS
        return ""

    def pip(self, arguments: list[str], _compared: bool) -> str:
        *install, what = arguments
        assert install in (["install"], ["install", "-e"])
        named = re.fullmatch(r"(?:\.|kanrtl)\[([\w,]+)\]", what)
        assert named
        assert set(named[1].split(",")) <= set(EXTRAS)
        return ""

    def run_python(self, arguments: list[str], _compared: bool) -> str:
        """``python -m bench`` with rows, modules of bench, and examples: parsed, as they measure for minutes."""
        if arguments[0] == "-m":
            module, *names = arguments[1:]
            if module == "bench":
                options = [name for name in names if name.startswith("-")]
                assert bench_command.chosen([name for name in names if name not in options])
                assert CliRunner().invoke(bench_command.main, ["--list"]).exit_code == 0
                assert options in ([], ["--list"])
            else:
                assert (ROOT / f"{module.replace('.', '/')}.py").exists()
                assert not names
        else:
            script, *options = arguments
            if script in PARSERS:
                PARSERS[script]().parse_args(options)
            else:
                assert script == "examples/classify.py"
                parse(classify.main, script, options)
        return ""

    def head(self, arguments: list[str], _compared: bool) -> str:
        option, count, file = arguments
        assert option == "-n"
        return "".join((self.folder / file).read_text().splitlines(keepends=True)[: int(count)])

    def viewer(self, arguments: list[str], _compared: bool) -> str:
        """A program with windows: its files are there."""
        assert all((self.folder / name).exists() for name in arguments)
        return ""


PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "examples/bus_testbench.py": bus_testbench.create_parser,
    "examples/litex_soc.py": litex_soc.create_parser,
}
"""What takes the arguments of the examples that are programs."""

RUNNERS: dict[str, Callable[[Reader, Block], None]] = {
    "python": Reader.python,
    "toml": Reader.toml,
    "verilog": Reader.verilog,
    "vhdl": Reader.vhdl,
    "c": Reader.c,
    "sh": Reader.sh,
    "console": Reader.console,
    "text": Reader.text,
}
PROGRAMS: dict[str, Callable[[Reader, list[str], bool], str]] = {
    "kanrtl": Reader.kanrtl,
    "make": Reader.make,
    "pip": Reader.pip,
    "python": Reader.run_python,
    "head": Reader.head,
    "gtkwave": Reader.viewer,
}


def parse(command: click.Command, name: str, arguments: list[str]) -> None:
    """Parses a command line down to its last command, and runs nothing; raises for one that would be refused."""
    context = command.make_context(name, list(arguments))
    if isinstance(command, click.Group):
        inner, found, rest = command.resolve_command(context, list(arguments))
        assert inner is not None
        assert found is not None
        parse(found, inner, rest)


def write_beans(folder: Path) -> None:
    """What the page about networks takes as given: a checkpoint, and samples with their classes."""
    state, config = kanele([4, 3, 3], [3, 3, 4])
    # Its values depend on which tests ran before; with all its edges it has as many as the page shares a port among.
    state |= {name: np.ones_like(value) for name, value in state.items() if name.endswith("spline_selector")}
    np.savez(folder / "beans.state_dict.npz", config_json=json.dumps(config), **state)
    x = np.random.default_rng(0).normal(size=(50, 4))
    np.savez(folder / "samples.npz", X=x, y=from_kanele(state, config, output="argmax").predict(x))


GIVEN: dict[str, Callable[[Path], None]] = {
    "docs/benchmarks.md": lambda folder: (folder / "bench").symlink_to(ROOT / "bench"),
    "docs/lookup-networks.md": write_beans,
}


@pytest.mark.parametrize("page", only(lambda page: page not in LONG, RUN))
@pytest.mark.usefixtures("compiled")
def test_blocks_of_a_page(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    GIVEN.get(page, lambda _: None)(tmp_path)
    reader = Reader(page, tmp_path, capsys)
    for block in blocks(RUN[page]):
        if block.language not in DIRECTIVES:
            assert block.language in RUNNERS, f"{page}, line {block.line}: a block of unknown language"
            reader.read(block)
    for name in reader.names.values():
        if isinstance(name, Elaboratable):
            name._MustUse__silence = True  # it is shown, and not elaborated
    reader.names.clear()
    gc.collect()


@pytest.mark.parametrize("page", PAGES)
def test_code_is_read_without_scrolling(page: str) -> None:
    for block in blocks(PAGES[page]):
        if block.language != "console":  # what a command prints is as long as it is
            assert max(map(len, block.text.splitlines())) <= 100, f"{page}, line {block.line}"


def test_pages_of_the_reference_have_no_code() -> None:
    for name in set(PAGES) - set(RUN):
        assert {block.language for block in blocks(PAGES[name])} <= DIRECTIVES


def test_directives_show_no_code() -> None:
    for name, page in PAGES.items():
        for block in blocks(page):
            if block.language == "{eval-rst}":
                named = re.findall(r"^ *\.\. ([\w-]+)::", block.text, re.MULTILINE)
                assert all(one == "click" or one.startswith("auto") for one in named), name
                assert not re.search(r"::$", block.text, re.MULTILINE), name


# What is in the pages.


def test_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= 6144


@pytest.mark.parametrize("page", PAGES)
def test_what_is_rendered_is_what_the_results_say(page: str) -> None:
    text = PAGES[page].read_text()
    assert render(text, PAGES[page]) == text, "run `make tables`"


def test_every_table_and_picture_is_shown() -> None:
    text = "".join(page.read_text() for page in pages())
    assert all(f"<!-- picture: {name} -->" in text for name in PICTURES)
    assert all(f"<!-- table: {name} -->" in text for name in TABLES)
    benchmarks = (ROOT / "docs/benchmarks.md").read_text()
    others = {
        "summary",
        "boards",
        "programming",
        "link_rates",
        "presets",
        "imports",
        "compatibility",
        "shells",
        "soc",
        "plants",
        "trackers",
        "decisions",
        "equal_errors",
        "loops",
        "registers",
        "campaign",
        "netlists",
        "inverted_bits",
        "guard_faults",
        "guard_flips",
        "healthy_plants",
    }
    assert all(f"<!-- table: {name} -->" in benchmarks for name in set(TABLES) - others)


@pytest.mark.parametrize("page", PAGES)
def test_measured_numbers_come_from_results(page: str) -> None:
    """Outside of tables, code and marked values no number has a unit in which something is measured here."""
    text = re.sub(r"<!-- (\w+): .*?<!-- end -->", "", PAGES[page].read_text(), flags=re.DOTALL)
    text = re.sub(r"```.*?```|`[^`]*`|^\|.*$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert not re.findall(r"\d[\d.,]*\s(?:ns|µs|ms|MHz|LUTs?|million|cycles a second|samples a second)\b", text)
    # A line that begins with a comment would end its paragraph.
    assert not re.search(r"^\s*<!-- value", PAGES[page].read_text(), re.MULTILINE)


def test_links_between_files_lead_somewhere() -> None:
    for name, page in PAGES.items():
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{name}: {target}"


def test_every_row_that_is_named_is_measured() -> None:
    text = (ROOT / "docs/benchmarks.md").read_text()
    known = {path.stem for path in RESULTS.glob("*.json")}
    rows = set(re.findall(r"\| `([\w-]+)` \|$", text, re.MULTILINE))
    assert rows
    assert rows <= known


def test_every_public_name_has_its_place_in_the_reference() -> None:
    text = "".join(page.read_text() for page in (ROOT / "docs/api").glob("*.md"))
    shown = set(re.findall(r"\.\. auto\w+:: kanrtl\.(\w+)", text))
    estimators = {"KANClassifier", "KANRegressor", "LookupClassifier", "LookupRegressor"}
    assert {*kanrtl.__all__, *estimators} - {"__version__"} <= shown


def test_every_package_is_on_the_page_of_the_layout() -> None:
    named = re.findall(r"^\| `(kanrtl/[\w/]+)` \|", (ROOT / "docs/layout.md").read_text(), re.MULTILINE)
    packages = {path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "kanrtl").rglob("__init__.py")}
    assert sorted(named) == sorted(packages - {"kanrtl"})


def test_storeys_are_in_the_order_that_is_linted() -> None:
    linted = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in linted if contract["type"] == "layers")
    storeys = [re.findall(r"\w+", layer) for layer in layers]
    height = {package: index for index, storey in enumerate(storeys) for package in storey}
    named = re.findall(r"^\| `kanrtl/(\w+)` \|", (ROOT / "docs/layout.md").read_text(), re.MULTILINE)
    assert [height[package] for package in named] == sorted(height[package] for package in named)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    """``<name>`` stands for a new file, whose folder has to be there."""
    named = re.findall(r"`((?:kanrtl|boards|sim|tests|bench|examples)/[\w/<>.-]+)`", PAGES[page].read_text())
    paths = [ROOT / name for name in named]
    assert not [path for path in paths if not (path.parent if "<" in path.name else path).exists()]
