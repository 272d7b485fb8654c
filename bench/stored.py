"""What was measured, as ``bench/results`` keeps it, and what peers have published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

RESULTS = HERE / "results"

ROOT = HERE.parent

# The peer's figures, measured by us or by its authors; sources in bench/peers.json.
PEERS: dict[str, Any] = json.loads((HERE / "peers.json").read_text())


def load(folder: Path, name: str) -> dict[str, Any]:
    """The result of a row."""
    return json.loads((folder / f"{name}.json").read_text())  # type: ignore[no-any-return]


def result(name: str) -> dict[str, Any]:
    return load(RESULTS, name)
