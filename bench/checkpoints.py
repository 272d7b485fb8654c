"""Checkpoints that the libraries themselves have written, and how near what is imported comes to their predictions.

``KANRTL_KANS`` names a folder with the libraries, each in a folder of its own; ``KANRTL_TORCH_PYTHON`` the interpreter
that has torch, where that of the bench has none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kanrtl import InputError
from kanrtl.lookup import (
    FloatKAN,
    from_cheby_kan,
    from_efficient_kan,
    from_fast_kan,
    from_fourier_kan,
    from_kanele,
    from_kanele_tables,
    from_pykan,
)

from .lookup import data_folder
from .row import Family, Progress, Result, Row

NEEDS = (
    "torch, safetensors and the needs of pykan and kanrtl in the Python that KANRTL_TORCH_PYTHON names; in the folder "
    "that KANRTL_KANS names pykan-0.0.5, pykan-0.1.2, pykan-0.2.8, ikan-1.3.0 and kan_gpt-1.2.0 (pip install --no-deps "
    "--target), and the files of ZiyaoLi/fast-kan (fast-kan/fastkan.py), SynodicMonth/ChebyKAN "
    "(ChebyKAN/ChebyKANLayer.py) and GistNoesis/FourierKAN (FourierKAN/fftKAN.py); KANELÉ's published networks in the "
    "folder that KANRTL_KANELE names"
)

Load = Callable[..., FloatKAN]


@dataclass(frozen=True)
class Case:
    """Checkpoints of one library: what :mod:`bench.write_checkpoints` calls them, and what reads them."""

    name: str
    title: str
    library: str
    load: Load
    base: str | None = None
    """What the user must say, where the file does not tell."""
    refused: bool = False


CASES = (
    Case("pykan", "pykan", "pykan-0.2.8", from_pykan, "silu"),
    Case("pykan-zero", "pykan, no base function", "pykan-0.2.8", from_pykan, "zero"),
    Case("pykan-symbolic", "pykan, symbolic functions", "pykan-0.2.8", from_pykan),
    Case("pykan-identity", "pykan, base function identity", "pykan-0.1.2", from_pykan, "identity"),
    Case("pykan", "pykan, edges in one row", "pykan-0.0.5", from_pykan, "silu"),
    Case("efficient-kan", "efficient-kan", "kan_gpt-1.2.0", from_efficient_kan),
    Case("ikan", "efficient-kan of ikan", "ikan-1.3.0", from_efficient_kan),
    Case("fast-kan", "FastKAN without its layer norm", "fast-kan", from_fast_kan),
    Case("cheby-kan", "ChebyKAN", "ChebyKAN", from_cheby_kan),
    Case("ikan-cheby", "ChebyKAN of ikan", "ikan-1.3.0", from_cheby_kan),
    Case("fourier-kan", "FourierKAN", "FourierKAN", from_fourier_kan),
    Case("ikan-fourier", "FourierKAN of ikan", "ikan-1.3.0", from_fourier_kan),
    Case("pykan-multiplication", "pykan, multiplication nodes", "pykan-0.2.8", from_pykan, refused=True),
    Case("fast-kan-norm", "FastKAN", "fast-kan", from_fast_kan, refused=True),
)

MOST = 1e-5
"""By how much predictions may differ, where outputs are of the order of one."""


@dataclass(frozen=True)
class Imported(Row):
    """Every checkpoint of every library, read and compared."""

    @property
    def needs(self) -> str:
        return NEEDS

    def measure(self, progress: Progress) -> Result:
        folder = os.environ.get("KANRTL_KANS", "")
        if not Path(folder).is_dir() or not folder:
            raise InputError(f"KANRTL_KANS = {folder!r}: no such folder; name the one with pykan-0.2.8 and so on")
        cases = []
        for case in CASES:
            progress(f"{case.title}, {case.library}")
            cases.append(compare(case, Path(folder).resolve() / case.library))
        cases += [compare_published(name, progress) for name in ("Moons", "DryBean")]
        cases += compare_dense(progress)
        told = run_python("-c", "import torch, numpy; print(torch.__version__, numpy.__version__)").split()
        return {"most": MOST, "cases": cases, "tools": {"torch": told[0], "numpy of torch": told[1]}}


def run_python(*arguments: str) -> str:
    """Run the interpreter that has torch; raises where it fails."""
    python = os.environ.get("KANRTL_TORCH_PYTHON", sys.executable)
    top = Path(__file__).parents[1]
    done = subprocess.run([python, "-W", "ignore", *arguments], cwd=top, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"{python}: {(done.stderr.splitlines() or ['failed'])[-1]}; see what the row needs")
    return done.stdout


def compare(case: Case, library: Path) -> dict[str, Any]:
    """Write the checkpoints of a case, read them, and say how far predictions are apart; or why they are refused."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run_python("-m", "bench.write_checkpoints", case.name, str(library), name)
        differences, refusals, notes = {}, {}, set()
        for expected in sorted(folder.glob("*.expected.npz")):
            path = folder / expected.name.removesuffix(".expected.npz")
            with np.load(expected) as content:
                x, y = content["x"].astype(np.float64), content["y"]
            told = None if path.name == "own_state" else case.base
            try:
                kan = case.load(path, told)
            except InputError as error:
                refusals[path.name] = str(error).replace(name, "").lstrip("'/")
                continue
            differences[path.name] = float(np.abs(kan.evaluate(x)[-1] - y).max())
            notes |= {(note.kind, note.field) for note in kan.notes}
        found: dict[str, Any] = {"family": case.title, "library": case.library, "checkpoints": differences}
        found |= {"largest_difference": max(differences.values(), default=None), "refused": refusals}
        found["notes"] = sorted(map(list, notes))
    if bool(refusals) != case.refused or any(value > MOST for value in differences.values()):
        raise ValueError(f"{case.name}: {json.dumps(found, indent=2)}")
    return found


def compare_published(name: str, progress: Progress) -> dict[str, Any]:
    """Compare a published network of KANELÉ with the codes that KANELÉ itself gives for its vectors."""
    progress(f"KANELÉ, {name}")
    folder = data_folder() / "native" / name
    (checkpoint,) = folder.glob("*.pt")
    expected = np.loadtxt(folder / "vectors_out.txt", dtype=np.int64, ndmin=2)
    inputs = np.loadtxt(folder / "vectors_in.txt", dtype=np.int64, ndmin=2)
    differences = {}
    for what, network in (
        ("checkpoint", from_kanele(checkpoint, folder / "config.json")),
        ("truth tables", from_kanele_tables(folder / "truth_tables.json.gz", folder / "config.json")),
    ):
        ours = network.predict_codes(inputs - (1 << (network.bits[0] - 1)))
        differences[what] = int(np.abs(ours - expected).max())
    if any(differences.values()):
        raise ValueError(f"{name}: {differences}")
    return {
        "family": f"KANELÉ, {name}, codes",
        "library": "published",
        "checkpoints": differences,
        "largest_difference": 0,
        "refused": {},
        "notes": [],
    }


FORMS = ("in memory", "saved whole", "as state dicts")
"""How :mod:`bench.dense_networks` gives its networks to the importer."""


def compare_dense(progress: Progress) -> list[dict[str, Any]]:
    """Compare dense networks with what torch computes, in the interpreter that has it."""
    progress("dense networks of torch")
    with tempfile.TemporaryDirectory() as name:
        told = json.loads(run_python("-m", "bench.dense_networks", name))
    cases = []
    for form in FORMS:
        differences = told["differences"][form]
        largest = max(differences.values())
        found = {"family": f"dense, a Sequential {form}", "library": f"torch {told['version'].partition('+')[0]}"}
        cases.append(found | {"checkpoints": differences, "largest_difference": largest, "refused": {}, "notes": []})
        if not largest <= MOST:
            raise ValueError(f"dense, {form}: {json.dumps(differences, indent=2)}")
    refused = {"family": "dense, with a softmax", "library": cases[0]["library"], "checkpoints": {}, "notes": []}
    return [*cases, refused | {"largest_difference": None, "refused": {"softmax": told["refused"]}}]


FAMILY = Family(
    "import",
    "checkpoints of other programs",
    (Imported("import-checkpoints", "what is imported against the library's own predictions"),),
)
