"""Tables in Markdown, and the cells that many of them have."""

from __future__ import annotations

import re
from typing import Any

UNITS = ("ns", "µs", "s", "MHz", "M", "million", "%", "block")


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def keep_together(text: str) -> str:
    """A number stays in a line with its unit, and with the number that it is of."""
    text = re.sub(rf"(\d) ({'|'.join(UNITS)})(?!\w)", "\\1\N{NO-BREAK SPACE}\\2", text)
    return re.sub(r"(\d) (of|/) (?=\d)", "\\1\N{NO-BREAK SPACE}\\2\N{NO-BREAK SPACE}", text)


def speed(data: dict[str, Any]) -> str:
    """Frequency with the spread over seeds."""
    seeds = [value for value in data["fmax_mhz_by_seed"] if value is not None]
    if not seeds:
        return "not timed"
    spread = f" ({min(seeds):.1f} to {max(seeds):.1f})" if len(seeds) > 1 else ""
    kind = "" if data["fmax_kind"] == "measured" else f", {data['fmax_kind']}"
    return f"{data['fmax_mhz']:.1f} MHz{spread}{kind}"


def used(data: dict[str, Any]) -> list[str]:
    """LUT, FF, DSP, and what coefficients lie in."""
    return [*(str(data[kind]) for kind in ("lut", "ff", "dsp")), f"{data['bram']} block" if data["bram"] else "LUT RAM"]
