"""What the libraries' own checkpoints are compared with, and what has been measured. No library is needed here."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest

from bench import checkpoints, stored
from bench.checkpoints import CASES, FORMS, MOST, Case, compare, compare_dense
from bench.tables import network_tables
from kanrtl import InputError
from kanrtl.lookup import from_efficient_kan, from_pykan
from support.kan_checkpoints import efficient, pykan

RESULT = json.loads((stored.RESULTS / "import-checkpoints.json").read_text())


def test_every_case_was_measured_and_is_near_enough() -> None:
    measured = {(case["family"], case["library"]): case for case in RESULT["cases"]}
    assert set(measured) >= {(case.title, case.library) for case in CASES}
    assert sum("KANELÉ" in family for family, _ in measured) == 2
    for case in CASES:
        found = measured[case.title, case.library]
        assert bool(found["refused"]) == case.refused
        assert bool(found["checkpoints"]) != case.refused
        assert all(0 <= value <= MOST for value in found["checkpoints"].values())
    dense = [case for case in RESULT["cases"] if case["library"].startswith("torch ")]
    assert [bool(case["refused"]) for case in dense] == [False] * len(FORMS) + [True]
    models, functions = (set(names_in("dense_networks", table)) for table in ("MODELS", "FUNCTIONS"))
    for case, names in zip(dense, (models | functions, models | functions, functions), strict=False):
        assert set(case["checkpoints"]) >= names
        assert all(0 <= value <= MOST for value in case["checkpoints"].values())
    assert RESULT["most"] == MOST
    assert "largest difference" in network_tables.imports()


def names_in(script: str, table: str) -> list[str]:
    """The keys of a table in a script that is not imported here, as it takes torch."""
    tree = ast.parse((Path(checkpoints.__file__).parent / f"{script}.py").read_text())
    (found,) = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.value, ast.Dict)
        and getattr(node.target, "id", "") == table
    )
    assert isinstance(found, ast.Dict)
    return [ast.literal_eval(key) for key in found.keys if key]


def test_the_writer_knows_every_case() -> None:
    assert set(names_in("write_checkpoints", "CASES")) >= {case.name for case in CASES}


def test_dense_networks_that_are_apart_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"version": "2.9.0+cpu", "differences": {form: {"relu": 1e-7} for form in FORMS}, "refused": "1: Softmax"}
    monkeypatch.setattr(checkpoints, "run_python", lambda *_: json.dumps(told))
    cases = compare_dense(lambda _: None)
    assert [case["largest_difference"] for case in cases] == [1e-7] * len(FORMS) + [None]
    assert cases[-1]["refused"] == {"softmax": "1: Softmax"}
    for wrong in (1e-4, float("nan")):
        told["differences"] = {form: {"relu": wrong} for form in FORMS}
        with pytest.raises(ValueError, match="dense, in memory"):
            compare_dense(lambda _: None)


def pretend(monkeypatch: pytest.MonkeyPatch, error: float) -> None:
    """Let the writer's interpreter leave a checkpoint of efficient-kan and one of pykan, whose predictions are off."""

    def write(*arguments: str) -> str:
        folder = Path(arguments[-1])
        x = np.random.default_rng(0).uniform(-1, 1, (9, 3))
        for name, state, kan in (
            ("efficient.npz", one := efficient([3, 2]), from_efficient_kan(one)),
            ("pykan.npz", other := pykan([3, 2]), from_pykan(other, "silu")),
        ):
            if arguments[-3] in name:
                np.savez(folder / name, **state)
                np.savez(folder / f"{name}.expected.npz", x=x, y=kan.evaluate(x)[-1] + error)
        return ""

    monkeypatch.setattr(checkpoints, "run_python", write)


def test_predictions_that_are_apart_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("efficient", "efficient-kan", "none", from_efficient_kan)
    pretend(monkeypatch, 1e-6)
    found = compare(case, Path("none"))
    assert found["checkpoints"] == {"efficient.npz": pytest.approx(1e-6, rel=1e-3)}
    assert found["notes"] == [["assumed", "base"]]
    pretend(monkeypatch, 1e-4)
    with pytest.raises(ValueError, match="efficient"):
        compare(case, Path("none"))


def test_a_refusal_is_a_failure_unless_it_is_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, 0)
    with pytest.raises(ValueError, match="does not hold its base function"):
        compare(Case("pykan", "pykan", "none", from_pykan), Path("none"))
    assert compare(Case("pykan", "pykan", "none", from_pykan, "silu"), Path("none"))["refused"] == {}
    found = compare(Case("pykan", "pykan", "none", from_pykan, refused=True), Path("none"))
    assert list(found["refused"]) == ["pykan.npz"]


def test_a_missing_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANRTL_KANS", "nowhere")
    with pytest.raises(InputError, match="KANRTL_KANS = 'nowhere': no such folder"):
        checkpoints.FAMILY.rows[0].run(lambda _: None)
