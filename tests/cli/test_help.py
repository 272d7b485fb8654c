"""Help pages: commands and options in titled groups, in which nothing of learners and networks is mixed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import cloup
import numpy as np
import pytest

from kanrtl import LookupNetwork
from kanrtl.cli import cli
from kanrtl.cli.command_line import run
from kanrtl.cli.options import LEARNER, NETWORK, SIGNALS

COMMANDS = {name: command for name, command in cli.commands.items() if isinstance(command, cloup.Command)}


@pytest.fixture
def network(tmp_path: Path) -> str:
    path = tmp_path / "network.npz"
    edges = {"source": [0, 1], "node": [0, 0], "table": [np.arange(8) - 4] * 2}
    LookupNetwork.of([2, 1], [3, 4], [0.5, 0.25], [edges]).save(path)
    return str(path)


def options(command: cloup.Command) -> dict[str, list[click.Option]]:
    """The options of a command by the titles of their groups."""
    return {group.title: list(group.options) for group in command.option_groups}


def test_kanrtl_alone_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    alone = capsys.readouterr()
    assert run(["--help"]) == 0
    assert alone == capsys.readouterr()
    assert alone.err == ""
    titles = [line for line in alone.out.splitlines() if line.endswith(":") and line[0] != " "]
    assert titles == ["Options:", "Learners:", "Networks:", "Learners and networks as hardware:"]
    assert all(f"  {name} " in alone.out for name in COMMANDS)
    assert "..." not in alone.out.partition("Learners:")[2]  # every command is told in a whole sentence


def test_commands_are_those_that_there_have_always_been() -> None:
    known = {"demo", "spec", "sweep", "convert", "simulate", "estimate", "verilog", "registers", "build", "serve"}
    known |= {"program", "live", "verify"}
    assert set(COMMANDS) == set(cli.commands) == known


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_a_group_and_told_in_a_sentence(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = COMMANDS[name]
    grouped = [option.name for group in options(command).values() for option in group]
    known = [parameter.name for parameter in command.params if isinstance(parameter, click.Option)]
    assert sorted(grouped) == (sorted(known) if len(known) > 3 else [])
    for parameter in command.params:
        text = (getattr(parameter, "help", None) or "").partition("  [default")[0]
        assert text.endswith("."), parameter.name
        assert text[0].isupper(), parameter.name
    assert run([name, "--help"]) == 0
    page = capsys.readouterr().out
    assert all(f"\n{title}:\n" in page for title in options(command))


@pytest.mark.parametrize("name", ["simulate", "estimate", "verilog", "build", "program"])
def test_what_a_network_takes_is_refused_for_a_learner(
    name: str, spec_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(spec_file())
    needed = dict.fromkeys(("estimate", "build"), ("--device", "LFE5U-25F")) | {"program": ("--board", "icestick")}
    for option in options(COMMANDS[name])[NETWORK]:
        value = next(iter(getattr(option.type, "choices", ["3"])))
        assert run([name, path, option.opts[-1], value, *needed.get(name, ())]) == 2
        said = capsys.readouterr()
        assert said.err.startswith(f"kanrtl: {option.opts[-1]} = ")
        mend = "a learner has it in its spec, as initial" if value == "memory" else "leave it out"
        assert said.err.endswith(f": only for a network; {mend}\n")


def test_what_a_learner_takes_is_refused_for_a_network(
    network: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"task": "track", "plot": str(tmp_path / "run.png"), "target_range": "-1,1", "decimal": ","}
    groups = options(COMMANDS["simulate"])
    for option in (*groups[LEARNER], *groups[SIGNALS]):
        assert run(["simulate", network, option.opts[-1], values.get(str(option.name), "3")]) == 2
        assert capsys.readouterr().err.endswith(": only for a learner; leave it out\n")


@pytest.mark.parametrize("command", [("simulate",), ("sweep", "--over", "bits=8")])
def test_what_signals_take_is_refused_without_them(
    command: tuple[str, ...], spec_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(spec_file())
    for option in options(COMMANDS[command[0]])[SIGNALS]:
        value = {"target_range": "-1,1", "decimal": ","}.get(str(option.name), "3")
        assert run([command[0], path, *command[1:], option.opts[-1], value]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"kanrtl: {option.opts[-1]} = ")
        assert said.endswith(": only with --data; name a file, or leave it out\n")


@pytest.mark.parametrize("name", ["spec", "sweep"])
def test_commands_of_learners_refuse_a_network(name: str, network: str, capsys: pytest.CaptureFixture[str]) -> None:
    needed = {"spec": (), "sweep": ("--over", "bits=8")}
    assert run([name, network, *needed[name]]) == 2
    assert "this command takes the spec of a learner" in capsys.readouterr().err
