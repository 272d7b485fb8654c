"""What commands print: progress and messages on standard error, results on standard output."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

results = Console()

messages = Console(stderr=True)


def show(result: dict[str, Any], as_json: bool, pretty: Callable[[], None]) -> None:
    """Print a result as JSON, or as ``pretty`` does; JSON has null for what is not finite, such as a diverged error."""
    if as_json:
        click.echo(json.dumps(_replace_infinite(result), indent=2, allow_nan=False))
    else:
        pretty()


def _replace_infinite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _replace_infinite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_replace_infinite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def show_pairs(title: str, pairs: list[tuple[str, str]]) -> None:
    """Print labels and values as a table."""
    table = Table(show_header=False, title=title)
    table.add_column("what", no_wrap=True)
    table.add_column("value")
    for name, value in pairs:
        table.add_row(name, escape(value))
    results.print(table)


def score_pairs(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Labels and values of the scores of a network, as far as it has any."""
    words = {"accuracy": "accuracy", "rms_error": "error (RMS)"}
    return [(words[name], f"{data[name]:.4f}") for name in words if name in data]


def say(line: str) -> None:
    """Print a message of one line, however narrow the terminal is."""
    messages.print(line, markup=False, highlight=False, soft_wrap=True)


def name_cycles(count: int) -> str:
    """A number of clock cycles in words."""
    return f"{count} clock cycle{'' if count == 1 else 's'}"


def _progress(*columns: Any) -> Progress:
    """Lines that show how work goes on, where a person looks on, and vanish when it is done."""
    columns = (TextColumn("{task.description}"), *columns, TimeElapsedColumn())
    return Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)


@contextmanager
def show_work(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the time that has passed; gives what a library function calls with its progress."""
    with _progress(SpinnerColumn()) as progress:
        task = progress.add_task(what)
        yield lambda message: progress.update(task, description=f"{what}: {escape(message)}")


@contextmanager
def count_samples(title: str, total: int) -> Iterator[tuple[Callable[[int], None], Callable[[str], None]]]:
    """A bar; gives what is called with the number of samples done since the last call, and what with a message."""
    with _progress(BarColumn(), MofNCompleteColumn()) as progress:
        bar = progress.add_task(title, total=total)

        def advance(done: int) -> None:
            progress.update(bar, advance=done, description=title)

        def starting(message: str) -> None:
            progress.update(bar, description=f"{title}: {escape(message)}")

        yield advance, starting


@contextmanager
def count_learners() -> Iterator[Callable[[int, int], None]]:
    """A bar; gives what is called with how many learners of how many are done."""
    with _progress(BarColumn(), MofNCompleteColumn()) as progress:
        bar = progress.add_task("learners", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)
