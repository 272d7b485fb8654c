"""What campaigns have compared so far: every run is a line of ``bench/results/campaign.json``, and lines add up."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from kanrtl import __version__
from kanrtl.files import write_whole

ROOT = Path(__file__).parents[2]
LEDGER = ROOT / "bench" / "results" / "campaign.json"


def record(path: Path, kind: str, seed: int, seconds: float, figures: dict[str, Any]) -> None:
    """Put a run into the ledger at ``path``, in place of what was known of it before."""
    runs = read(path)["runs"] if path.exists() else []
    used = os.times()
    processor = round(used.user + used.system + used.children_user + used.children_system)
    own: dict[str, Any] = {
        "kind": kind,
        "seed": seed,
        "kanrtl": __version__,
        "commit": _commit(),
        "seconds": round(seconds),
    }
    own["processor_seconds"] = processor  # of this process, and of all that it has waited for
    own |= figures
    write(path, [*(run for run in runs if _identify(run) != _identify(own)), own])


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def write(path: Path, runs: list[dict[str, Any]]) -> None:
    """Write runs, each as one line, so that two people's can be merged."""
    runs = sorted(runs, key=_identify)
    lines = ",\n".join(f"  {json.dumps(run)}" for run in runs)
    write_whole(path, f'{{\n "row": "campaign",\n "runs": [\n{lines}\n ]\n}}\n'.encode())


def merge(path: Path, other: Path) -> None:
    """Add the runs of another ledger to that at ``path``."""
    known = {_identify(run): run for run in (read(path)["runs"] if path.exists() else [])}
    known |= {_identify(run): run for run in read(other)["runs"]}
    write(path, list(known.values()))


def _identify(run: dict[str, Any]) -> tuple[Any, ...]:
    """What tells a run from others: what was tried, the seed, and of which readers files were damaged."""
    return run["kind"], run["seed"], *run.get("files", ())


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
