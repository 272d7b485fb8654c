"""Measures rows and writes ``bench/results/<row>.json``: ``python -m bench [ROW or FAMILY ...]``, all without a name.

A row that fails is named, and the others go on; the exit status is then 1. A row that needs what is not there is
skipped, with the reason.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kanrtl.files import write_whole

from .row import Result, Row
from .rows import FAMILIES, ROWS
from .stored import RESULTS


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="List the rows by family.")
def main(names: tuple[str, ...], only_list: bool) -> None:
    if only_list:
        for family in FAMILIES:
            click.echo(f"{family.name}: {family.title}")
            for row in family.rows:
                click.echo(f"    {row.name:<20} {row.title}")
        return
    failed = measure(chosen(names), RESULTS)
    if failed:
        sys.exit(1)


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows of these names of rows and families, each once, in the order of the families."""
    wanted: set[str] = set()
    families = {family.name: family for family in FAMILIES}
    for name in names or families:
        if name in families:
            wanted.update(row.name for row in families[name].rows)
        elif name in ROWS:
            wanted.add(name)
        else:
            raise click.BadParameter(f"{name!r}: no such row or family; see --list")
    return [row for row in ROWS.values() if row.name in wanted]


def measure(rows: Sequence[Row], folder: Path) -> list[str]:
    """Measure ``rows`` into ``folder``; return the names of those that failed."""
    folder.mkdir(exist_ok=True)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    failed = []
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(rows))
        for row in rows:

            def progress(message: str, name: str = row.name) -> None:
                bar.update(task, description=f"{name}: {message}")

            if row.obstacle is not None:
                console.print(f"{row.name}: skipped: {row.obstacle}", markup=False)
                bar.advance(task)
                continue
            progress("begins")
            try:
                result = row.run(progress)
            except Exception as error:  # whatever it is, the rows after it are worth having
                failed.append(row.name)
                console.print(f"{row.name}: failed: {type(error).__name__}: {error}", style="red", markup=False)
            else:
                write_whole(folder / f"{row.name}.json", (json.dumps(result, indent=1) + "\n").encode())
                console.print(f"{row.name}: {figures(result)}", markup=False)
            bar.advance(task)
    if failed:
        console.print(f"failed: {', '.join(failed)}", style="red")
    return failed


def figures(result: Result) -> str:
    """The figures of one result in one line."""
    units = {"step_ns": "ns", "fmax_mhz": "MHz", "lut": "LUT", "dsp": "DSP", "bram": "memory blocks", "mse_all": "mse"}
    return ", ".join(f"{result[name]:g} {unit}" for name, unit in units.items() if result.get(name) is not None)


if __name__ == "__main__":
    main()
