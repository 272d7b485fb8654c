"""Writes what README.md and the pages of ``docs/`` show of ``bench/results``: ``python -m bench.render`` (``--check``:
only compare).

A page marks what it shows by comments, which stay::

    <!-- table: builds -->             a table of TABLES, up to <!-- end -->
    <!-- picture: grid -->             a picture of PICTURES that bench.draw has drawn, up to <!-- end -->
    <!-- value: t-no-registers.step_ns .1f -->31.7<!-- end -->   a number of a result, by its path, in a format
"""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kanrtl.files import write_whole

from .stored import ROOT, result
from .tables import TABLES
from .tables.markdown import keep_together

IMAGES = ROOT / "docs" / "images"


def pages() -> list[Path]:
    """Every page that a reader is given."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Picture:
    """A picture in ``docs/images``, and what it shows, for who cannot see it."""

    name: str
    text: str

    @property
    def path(self) -> Path:
        return IMAGES / self.name

    def link(self, page: Path) -> str:
        """What shows it on a page; nothing if it has not been drawn."""
        if not self.path.exists():
            return ""
        return f"![{self.text}]({Path(os.path.relpath(self.path, page.parent)).as_posix()})\n"


PICTURES = {
    "grid": Picture("bench-grid.png", "Time of a learning step and LUTs against the number of grid cells"),
    "pipeline": Picture("bench-pipeline.png", "Time of a learning step, clock and LUTs by pipeline"),
    "river": Picture("bench-river.png", "Error of estimators along a stream that drifts three times"),
    "precision": Picture("bench-precision.png", "Error of function tracking against bits and against table rows"),
    "rates": Picture("bench-rates.png", "Error against learning rate by rounding of updates, beside float64"),
    "late": Picture("bench-late.png", "Error of a filter against learning rate in both schedules"),
    "adapt": Picture("bench-adapt.png", "Error over time of a frozen network and of learners, as the target moves"),
    "signals": Picture(
        "bench-signals.png", "Errors on measured signals of learners and other methods, in parts of RLS's"
    ),
    "front": Picture("bench-front.png", "Accuracy of digit classifiers against estimated LUTs"),
    "estimate": Picture("bench-estimate.png", "Estimated LUTs against built, for both families"),
}


def value(path: str, spec: str) -> str:
    """A number of a result, such as ``t-no-registers.step_ns``, in a format such as ``.1f``."""
    found: Any = result(path.partition(".")[0])
    for name in path.split(".")[1:]:
        found = found[int(name) if isinstance(found, list) else name]
    return format(found, spec)


def render(text: str, page: Path) -> str:
    """The text of a page with everything that is marked made anew."""

    def fill(match: re.Match[str]) -> str:
        kind, name = match[1], match[2]
        body = f"{keep_together(TABLES[name]())}\n" if kind == "table" else PICTURES[name].link(page)
        return f"<!-- {kind}: {name} -->\n{body}<!-- end -->"

    def number(match: re.Match[str]) -> str:
        return f"<!-- value: {match[1]} {match[2]} -->{value(match[1], match[2])}<!-- end -->"

    text = re.sub(r"<!-- (table|picture): ([\w-]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)
    return re.sub(r"<!-- value: (\S+) (\S+) -->.*?<!-- end -->", number, text)


def main() -> None:
    texts = {page: page.read_text() for page in pages()}
    stale = {page: new for page, old in texts.items() if (new := render(old, page)) != old}
    if stale and "--check" in sys.argv[1:]:
        names = ", ".join(str(page.relative_to(ROOT)) for page in stale)
        sys.exit(f"not what bench/results says: {names}; run `make tables`")
    for page, new in stale.items():
        write_whole(page, new.encode())


if __name__ == "__main__":
    main()
