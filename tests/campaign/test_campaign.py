"""What a campaign has found is right ever after; and a campaign finds what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaign.__main__ import Campaign
from campaign.batches import Check, Outcome, run_batch
from campaign.cases import LearnerCase, NetworkCase, describe, read_case
from campaign.ledger import merge, read, record
from campaign.readers import READERS, find_fault, mutate
from kanrtl import LearnerSpec
from kanrtl.experiments.exercise import draw_exercise
from kanrtl.sessions.backends.pysim import PysimLearner
from support.lookup_networks import chain, codes_for
from support.search import examples

HERE = Path(__file__).parent


@pytest.mark.parametrize("path", sorted(HERE.glob("kept/*.json")), ids=lambda path: path.stem)
@pytest.mark.thorough
def test_what_was_found_is_mended(path: Path) -> None:
    """Also layers of orders, memories and registers of their own, with gradients from elsewhere and writes between."""
    assert read_case(path).find_fault(["pysim"]) is None


MIXED = LearnerSpec(
    layer_sizes=[2, 1, 1, 1],
    spline_order=[1, 2, 3],
    pipeline="most_registers",
    multiplier="lut",
    teaching="after_prediction",
    loss="external",
    update_rounding="stochastic",
    memory=["auto", "auto", "block"],
    grid_range=(-2, 2),
    grid_size=2,
    table_size=4,
    counts=["lost", "outside"],
    initial_coefficients="uniform",
)


def test_cases_are_kept_as_files(tmp_path: Path) -> None:
    network = chain([0, 1, 2, 3, 3, 2, 1, 0])
    learner = LearnerCase(MIXED, draw_exercise(MIXED, 7, 2))
    for case in (learner, NetworkCase(network, {"latency": 2}, codes_for(network, 5, 1).tolist())):
        (tmp_path / "case.json").write_text(json.dumps(case.to_json()))
        again = read_case(tmp_path / "case.json")
        assert again.to_json()["options" if case is not learner else "operations"]
        assert describe(again) == describe(case)
    assert again.find_fault(["pysim"]) is None


@pytest.mark.thorough
def test_a_campaign_finds_shrinks_and_keeps_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The backend adds one to every output above ten: the least that shows it has one sample."""

    @st.composite
    def cases(draw: st.DrawFn) -> NetworkCase:
        samples = draw(st.lists(st.integers(-4, 3), min_size=1, max_size=9))
        return NetworkCase(chain([0, 1, 2, 3, 3, 2, 1, 0]), {}, [[sample] for sample in samples])

    def find_fault(case: NetworkCase, _backends: Any) -> str | None:
        return "wrong" if max(max(case.samples)) > 1 else None

    monkeypatch.setattr(NetworkCase, "find_fault", find_fault)
    monkeypatch.setattr("campaign.__main__.HERE", tmp_path)
    (tmp_path / "kept").mkdir()
    campaign = Campaign(1, 1, lambda _: (cases(), [Check()] * 6))
    campaign.run_batch(cases(), [Check()] * 6, 5)
    assert campaign.failures >= 1
    assert campaign.figures()["networks"] == 6
    (kept,) = (tmp_path / "kept").glob("*.json")
    case = read_case(kept)
    assert isinstance(case, NetworkCase)
    assert case.samples == [[2]]
    assert capsys.readouterr().out.startswith("wrong\n")


def test_a_backend_that_differs_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    run = PysimLearner.run
    monkeypatch.setattr(PysimLearner, "run", lambda self, *rest: run(self, *rest) + 1)
    spec = MIXED.replace(layer_sizes=[1, 1], spline_order=1, memory="auto")
    fault = LearnerCase(spec, draw_exercise(spec, 6, 1)).find_fault(["pysim"])
    assert fault is not None
    assert fault.startswith("pysim differs from the model: predictions of sample 0: ")


@pytest.mark.usefixtures("compiled")
@pytest.mark.thorough
def test_a_batch_is_compiled_at_once_and_outlives_what_ends_its_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second learner ends its process, so that the third is not reached."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=2, spline_order=1)
    learners = [spec, spec.replace(seed=2), spec.replace(teaching="after_prediction")]
    cases = [LearnerCase(one, draw_exercise(one, 9, 1)) for one in learners]
    network = NetworkCase(chain([0, 1, 2, 3, 3, 2, 1, 0]), {}, [[1], [-2]])
    checks = [Check(("native",))] * 3
    assert run_batch([cases[0], network, cases[2]], checks) == [Outcome()] * 3
    find_fault = LearnerCase.find_fault

    def die(case: LearnerCase, backends: list[str]) -> str | None:
        return os._exit(1) if case.spec.seed == 2 else find_fault(case, backends)

    monkeypatch.setattr(LearnerCase, "find_fault", die)
    assert run_batch(cases, [Check()] * 3) == [Outcome(), None, None]


def test_runs_add_up_in_the_ledger(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    record(one, "random", 1, 60, {"learners": 5})
    record(one, "random", 1, 120, {"learners": 9})
    record(other, "random", 2, 60, {"learners": 2})
    for reader in ("spec", "csv"):
        record(other, "readers", 1, 60, {"files": {reader: 7}})
    merge(one, other)
    learners = [run for run in read(one)["runs"] if "learners" in run]
    assert [(run["seed"], run["learners"], run["seconds"]) for run in learners] == [(1, 9, 120), (2, 2, 60)]
    assert [run["files"] for run in read(one)["runs"] if "files" in run] == [{"csv": 7}, {"spec": 7}]


@pytest.fixture(scope="module")
def good_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, Path]]:
    folder = tmp_path_factory.mktemp("files")
    return {kind: (make(folder), folder / name) for kind, (make, _, name) in READERS.items()}


@pytest.mark.parametrize("kind", READERS)
@examples(25)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_damaged_file_is_told_in_one_line(kind: str, good_files: dict[str, tuple[bytes, Path]], seed: int) -> None:
    content, path = good_files[kind]
    path.write_bytes(content)
    assert find_fault(READERS[kind][1], path) is None
    path.write_bytes(mutate(content, Random(seed)))
    assert find_fault(READERS[kind][1], path) is None
