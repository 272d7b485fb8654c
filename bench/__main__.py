"""Measures rows and writes ``bench/results/<row>.json``: ``python -m bench [ROW ...]``, all without a name."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console

from .rows import ROWS

RESULTS = Path(__file__).parent / "results"


@click.command(help=__doc__)
@click.argument("names", nargs=-1)
@click.option("--list", "only_list", is_flag=True, help="List the rows.")
def main(names: tuple[str, ...], only_list: bool) -> None:
    rows = {row.name: row for row in ROWS}
    if only_list:
        for row in ROWS:
            click.echo(f"{row.name:<24} {row.title}")
        return
    unknown = [name for name in names if name not in rows]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r}: no such row; see --list")
    RESULTS.mkdir(exist_ok=True)
    console = Console(stderr=True)
    for name in names or tuple(rows):
        with console.status(name) as status:
            result = rows[name].measure(lambda message, name=name: status.update(f"{name}: {message}"))
        text = json.dumps({"row": name, "title": rows[name].title, **result}, indent=1)
        (RESULTS / f"{name}.json").write_text(text + "\n")
        figures = (result.get("step_ns"), result.get("fmax_mhz"), result.get("lut"), result.get("dsp"))
        console.print(f"{name}: " + ", ".join(str(figure) for figure in figures if figure is not None))


main()
