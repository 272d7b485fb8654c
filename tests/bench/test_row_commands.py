"""The command lines that rows name ask for what the rows measure, and nothing else. Nothing is built here."""

from __future__ import annotations

import inspect
import json
import os
import shlex
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench_command
from bench import lookup, netlists, precision, rows, self_check, stored
from bench import row as row_module
from bench.row import SPECS, LearnerRow, Row
from bench.rows import ROWS
from bench.tables import offered_tables
from kanrtl import LearnerSpec, LookupNetwork
from kanrtl.boards import Board
from kanrtl.cli import hardware_commands, learner_commands, verify_command
from kanrtl.cli.command_line import run
from kanrtl.sim.task import Task
from support.kan_checkpoints import write_published
from support.pretended_builds import built

LEARNERS = {name: row for name, row in ROWS.items() if isinstance(row, LearnerRow)}
OF_KANRTL = {name: row for name, row in ROWS.items() if row.commands[0].startswith("kanrtl ")}
OTHERS = {name: row for name, row in ROWS.items() if name not in OF_KANRTL}
RESULTS = {path.stem: json.loads(path.read_text()) for path in stored.RESULTS.glob("*.json") if path.stem in ROWS}

CALLED_BY = {
    "build_learner": (rows, hardware_commands),
    "build_exercise": (rows, hardware_commands),
    "build_network": (row_module, hardware_commands),
    "optimise_network": (lookup, hardware_commands),
    "build_self_check": (self_check, hardware_commands),
    "simulate": (rows, hardware_commands),
    "sweep": (precision, learner_commands),
    "verify": (netlists, verify_command),
}
"""Functions that measure, with the module of the bench and the command that call them."""

LEFT_OUT = {"progress", "starting", "output", "trace"}
"""What decides none of the figures."""


class NotedError(Exception):
    """Ends a row or a command once it has asked for its measurement."""


def plain(value: Any) -> Any:
    """A value that can be compared."""
    if isinstance(value, LookupNetwork):
        return {name: array.tolist() for name, array in value.arrays()}
    if isinstance(value, Task):
        return type(value).__name__, value.x.tolist(), value.target.tolist()
    if isinstance(value, Board):
        return value.name
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    assert isinstance(value, LearnerSpec) or not is_dataclass(value)
    return list(value) if isinstance(value, (tuple, list)) else value


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What has been asked for: the function, and all its arguments, those too that it was not given."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def noting(function: Callable[..., Any]) -> Callable[..., Any]:
        def note(*arguments: Any, **options: Any) -> Any:
            bound = inspect.signature(function).bind(*arguments, **options)
            bound.apply_defaults()
            given = dict(bound.arguments)
            given |= given.pop("options", {})
            told = {name: plain(value) for name, value in given.items() if name not in LEFT_OUT and value is not None}
            calls.append((function.__name__, told))
            if not function.__name__.startswith("build"):
                raise NotedError
            return built("LFE5U-85F-6", options.get("seed", 1), 50.0)

        return note

    for name, modules in CALLED_BY.items():
        function = getattr(modules[0], name)
        assert all(getattr(module, name) is function for module in modules)
        for module in modules:
            monkeypatch.setattr(module, name, noting(function))
    return calls


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the top of the repository, with KANELÉ's networks elsewhere."""
    (tmp_path / "bench").symlink_to(SPECS.parent)
    published = tmp_path / "published"
    published.mkdir()
    write_published(published)
    monkeypatch.setenv("KANRTL_KANELE", str(published))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("top")
@pytest.mark.parametrize("row", OF_KANRTL.values(), ids=list(OF_KANRTL))
def test_commands_ask_for_what_the_row_measures(row: Row, asked: list[Any]) -> None:
    ended = False
    try:
        row.run(lambda _: None)
    except NotedError:
        ended = True
    measured = asked.copy()
    asked.clear()
    assert measured
    for command in row.commands:
        program, *arguments = shlex.split(os.path.expandvars(command))
        assert program == "kanrtl"
        try:
            assert run(arguments) == 0
        except NotedError:
            assert ended
    assert asked == measured


@pytest.mark.parametrize("row", OTHERS.values(), ids=list(OTHERS))
def test_other_rows_are_measured_by_the_bench_alone(row: Row) -> None:
    (command,) = row.commands
    assert command.startswith("python -m bench ")
    assert bench_command.chosen(command.split()[3:]) == [row]


@pytest.mark.parametrize("row", LEARNERS.values(), ids=list(LEARNERS))
def test_a_spec_file_names_the_commands(row: LearnerRow) -> None:
    lines = (SPECS / f"{row.name}.toml").read_text().splitlines()
    title, *commands = lines[: len(row.commands) + 1]
    assert title[2:].lower() == f"{row.title}. Its figures are given again by".lower()
    assert commands == [f"#   {command}" for command in row.commands]
    assert row.spec_file == f"bench/specs/{row.name}.toml"


def test_every_spec_is_of_a_row() -> None:
    assert {path.name for path in SPECS.iterdir()} == {f"{name}.toml" for name in LEARNERS}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_of_the_rows(name: str) -> None:
    result, row = RESULTS[name], ROWS[name]
    assert (result["row"], result["title"], result["commands"]) == (name, row.title, list(row.commands))
    assert result.get("needs", "") == row.needs
    if isinstance(row, LearnerRow):
        assert result["spec"] == LearnerSpec(**row.fields).to_dict()


def test_the_table_names_every_row_and_what_its_commands_need() -> None:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in offered_tables.commands().splitlines()[2:]]
    assert [line[0] for line in lines] == [f"`{name}`" for name in ROWS]
    for line, row in zip(lines, ROWS.values(), strict=True):
        assert all(f"`{command}`" in line[1] for command in row.commands)
        assert line[2] == row.needs
    assert {row.needs != "" for row in lookup.FAMILY.rows} == {True}
