"""What is measured: the rows, how they are measured, and what is made of the results. Nothing is built here."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.image import imread

from bench import __main__ as command
from bench import adapt, classify, draw, estimators, late_updates, learning_rates, render, rows, signals, stored
from bench.precision import PRECISION, Swept
from bench.row import LearnerRow, Result
from bench.rows import FAMILIES, ROWS, Core, OnBoard
from bench.tables import learning_tables, markdown
from kanrtl import LearnerSpec, __version__
from kanrtl.boards import BOARDS
from kanrtl.build import Device
from kanrtl.learner.stages import PRESETS
from support.tiers import only

SPEEDS = [50.0, 48.0, 52.5, 51.0, 49.0]


def report(mhz: float | None) -> dict[str, Any]:
    """What a build reports, as far as rows look at it."""
    return {
        "fmax_mhz": mhz,
        "fmax_kind": "measured",
        "clock_mhz": 200.0,
        "latency_cycles": 2,
        "interval_cycles": 4,
        "lut": 900,
        "lutram": 64,
        "ff": 100,
        "dsp": 8,
        "bram": 0,
        "capacity": {},
        "notes": [],
        "tools": {"yosys": "1"},
        "critical_path": {"summary": f"path at {mhz}"},
    }


class Reports:
    """A report as :func:`build_learner` gives it."""

    def __init__(self, mhz: float | None) -> None:
        self._mhz = mhz

    def to_json(self) -> dict[str, Any]:
        return report(self._mhz)


@pytest.fixture
def pretended_builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Builds that take no time; the seeds they were asked for."""
    seeds: list[int] = []

    def build(*_: object, seed: int = 1, **__: object) -> Reports:
        seeds.append(seed)
        return Reports(SPEEDS[seed - 1])

    monkeypatch.setattr(rows, "build_learner", build)
    monkeypatch.setattr(rows, "build_exercise", build)
    return seeds


# Rows.


LEARNERS = {name: row for name, row in ROWS.items() if isinstance(row, LearnerRow)}


@pytest.mark.parametrize("row", LEARNERS.values(), ids=list(LEARNERS))
def test_every_learner_can_be_built(row: LearnerRow) -> None:
    assert isinstance(row.spec, LearnerSpec)
    assert row.spec.latency > 0
    if isinstance(row, Core):
        assert Device.parse(row.device).name == row.device
        assert len(set(row.seeds)) == len(row.seeds)
    if isinstance(row, OnBoard):
        assert row.board in BOARDS
        assert row.name == f"board-{row.board}"


def test_names_are_unique() -> None:
    assert len(ROWS) == sum(len(family.rows) for family in FAMILIES)
    assert not set(ROWS) & {family.name for family in FAMILIES}


def test_sweeps_change_one_field_only() -> None:
    swept = {"grid": "grid_size", "pipeline": "pipeline"}
    for family in FAMILIES:
        if field := swept.get(family.name):
            fixed = [{name: value for name, value in row.fields.items() if name != field} for row in family.rows]
            assert all(fields == fixed[0] for fields in fixed)
            assert len({row.fields[field] for row in family.rows}) == len(family.rows)


@pytest.mark.usefixtures("pretended_builds")
def test_result_of_a_core_is_the_median_of_its_seeds() -> None:
    result = ROWS["t-no-registers"].run(lambda _: None)
    assert (result["fmax_mhz"], result["fmax_mhz_by_seed"], result["seeds"]) == (50.0, SPEEDS, [1, 2, 3, 4, 5])
    assert (result["step_ns"], result["steps_per_second"]) == (40.0, 12_500_000)
    assert result["critical_path"] == "path at 50.0"
    assert result["kanrtl"] == __version__
    assert set(result["tools"]) == {"amaranth", "yosys"}
    assert LearnerSpec.from_dict(result["spec"]) == LEARNERS["t-no-registers"].spec
    assert json.loads(json.dumps(result)) == result


def test_result_without_a_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "build_learner", lambda *_, **__: Reports(None))
    result = ROWS["t-up5k"].run(lambda _: None)
    assert (result["fmax_mhz"], result["step_ns"]) == (None, None)


class Mean:
    """Predicts the mean of what it has learned."""

    def __init__(self) -> None:
        self.learned: list[float] = []

    def predict_one(self, x: dict[str, float]) -> float:
        return sum(self.learned) / len(self.learned) if self.learned else 0.0

    def learn_one(self, x: dict[str, float], y: float) -> None:
        self.learned.append(y)


def test_estimators_are_scored_before_they_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert estimators.prequential(Mean(), [({}, 2.0), ({}, 4.0), ({}, 3.0)]) == [-2.0, -2.0, 0.0]
    monkeypatch.setattr(estimators, "BLOCK", 2)
    assert estimators.summary([-3.0, 1.0, 1.0, 1.0, 2.0]) == {
        "mae": 1.6,
        "rmse": pytest.approx((16 / 5) ** 0.5),
        "block": 2,
        "mae_by_block": [2.0, 1.0, 2.0],
    }


def test_estimators_of_a_short_stream() -> None:
    row = estimators.Prequential("short", "Short", lambda: list(estimators.chick_weights())[:30], "the first thirty")
    result = row.run(lambda _: None)
    assert (result["samples"], result["seeds"]) == (30, [0])
    assert [model["name"] for model in result["models"]] == list(estimators.models())
    ours = [model for model in result["models"] if "spec" in model]
    assert [LearnerSpec.from_dict(model["spec"]).layer_sizes for model in ours] == [(3, 1), (3, 8, 1)]
    assert "learning_rate=0.3" in ours[0]["settings"]
    assert json.loads(json.dumps(result)) == result


def test_a_sweep_is_measured_over_seeds() -> None:
    row = replace(ROWS["precision-table"], values=(8, 64))
    assert isinstance(row, Swept)
    result = row.run(lambda _: None)
    assert json.loads(json.dumps(result)) == result
    assert (result["seeds"], result["samples"], result["axes"]) == (10, 1500, {"table_size": [8, 64]})
    coarse, fine = (np.array(one["mse_by_seed"]) for one in result["rows"])
    assert coarse.shape == (10, 3)
    assert (coarse.mean(axis=0) > fine.mean(axis=0)).all()
    assert LearnerSpec.from_dict(result["spec"]) == row.spec


def test_precision_is_told_beside_the_peer_s() -> None:
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in learning_tables.precision().splitlines()]
    assert {len(line) for line in lines} == {10}
    sizes = {line[0]: line[1:] for line in lines[2:]}
    for axis, unit, values in (("bits", "bits", PRECISION.rows[0]), ("table_size", "table rows", PRECISION.rows[1])):
        assert isinstance(values, Swept)
        for value in values.values:
            peer = stored.PEERS["precision"][axis].get(str(value))
            cells = sizes.pop(f"{value} {unit}")
            assert cells[6:] == ([f"{error:.4f}" for error in peer] if peer else ["-"] * 3)
            if peer:  # as good as the peer in every regime
                assert all(float(ours) <= float(theirs) for ours, theirs in zip(cells[:3], cells[6:], strict=True))
    assert not sizes


# The command.


def test_list_groups_the_rows() -> None:
    text = CliRunner().invoke(command.main, ["--list"]).output
    lines = text.splitlines()
    assert [line.partition(":")[0] for line in lines if line[0] != " "] == [family.name for family in FAMILIES]
    assert [line.split()[0] for line in lines if line[0] == " "] == list(ROWS)


def test_rows_and_families_are_chosen_by_name() -> None:
    names = ["t-no-registers", "t-most-registers"]
    assert [row.name for row in command.chosen(names[::-1])] == names
    pipeline = [row.name for row in command.chosen(["pipeline", "t-no-registers"])]
    assert pipeline == [f"t-{preset.replace('_', '-')}" for preset in PRESETS]
    assert [row.name for row in command.chosen([])] == list(ROWS)
    refusal = CliRunner().invoke(command.main, ["no-such-row"])
    assert refusal.exit_code == 2
    assert "no such row or family" in refusal.output


@pytest.mark.usefixtures("pretended_builds")
def test_a_failed_row_lets_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = rows.build_learner

    def fail_at_16(spec: LearnerSpec, *arguments: Any, **options: Any) -> Any:
        if spec.grid_size == 16:
            raise RuntimeError("the device is too small")
        return build(spec, *arguments, **options)

    monkeypatch.setattr(rows, "build_learner", fail_at_16)
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    done = CliRunner().invoke(command.main, ["grid-8", "grid-16", "grid-32"])
    assert done.exit_code == 1
    said = capsys.readouterr().err + done.output
    assert "grid-16: failed: RuntimeError: the device is too small" in said
    assert "grid-32: 40 ns, 50 MHz, 900 LUT, 8 DSP" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grid-32.json", "grid-8.json"]
    assert CliRunner().invoke(command.main, ["grid-8"]).exit_code == 0


# Tables and pictures.


OTHER_DRAWINGS = ("precision", "rates", "late", "river", "adapt", "front", "signals")
BUILDS = [name for name in draw.DRAWINGS if name not in OTHER_DRAWINGS]


def write_results(folder: Path, family: str, *, mhz: float | None = 50.0) -> None:
    for row in next(one for one in FAMILIES if one.name == family).rows:
        result: Result
        if isinstance(row, estimators.Prequential):
            models = [{"name": name, **estimators.summary([1.0, 2.0])} for name in estimators.models()]
            result = {"title": row.title, "samples": 2, "models": models if mhz else []}
            (folder / f"{row.name}.json").write_text(json.dumps(result))
            continue
        if isinstance(row, signals.Signal):
            names = [*row.learners, *(f"{name}, in float64" for name in row.learners), "NLMS", "RLS", "polynomial"]
            result = {"title": row.title, "unit": row.unit, "methods": [{"name": name, "error": 0.1} for name in names]}
            (folder / f"{row.name}.json").write_text(json.dumps(result))
            continue
        if isinstance(row, classify.Front):
            points = [
                {"bits": [2, 4], "edges": 9, "lut": 50 * step, "score": 0.5 + step / 10, "on_front": step < 3}
                for step in (1, 2, 3)
            ]
            result = {"title": row.title, "layer_sizes": [4, 2], "measure": "accuracy", "float_score": 0.9}
            result |= {"points": points, "chosen": points[1]}
            (folder / f"{row.name}.json").write_text(json.dumps(result))
            continue
        assert isinstance(row, Core)
        latency = row.spec.latency
        result = {"spec": row.fields, "device": row.device, "fmax_mhz": mhz, "latency_cycles": latency}
        result |= {"fmax_mhz_by_seed": [mhz, mhz and mhz - 2, None], "lut": 900, "lutram": 64 * (latency == 1)}
        (folder / f"{row.name}.json").write_text(json.dumps(result))


def write_sweeps(folder: Path) -> None:
    for row in next(one for one in FAMILIES if one.name == "precision").rows:
        assert isinstance(row, Swept)
        short = replace(row, values=row.values[:2])
        (folder / f"{row.name}.json").write_text(json.dumps(short.run(lambda _: None)))


def write_adapted(folder: Path) -> None:
    for row in adapt.FAMILY.rows:
        assert isinstance(row, adapt.Adapt)
        short = replace(row, samples=450, taught=150, seeds=2)
        (folder / f"{row.name}.json").write_text(json.dumps(short.run(lambda _: None)))


def write_rates(folder: Path) -> None:
    for row in learning_rates.FAMILY.rows:
        assert isinstance(row, learning_rates.LearningRates)
        short = replace(row, samples=400, last=200)
        (folder / f"{row.name}.json").write_text(json.dumps(short.run(lambda _: None)))


def write_late(folder: Path) -> None:
    for row in late_updates.FAMILY.rows:
        assert isinstance(row, late_updates.LateUpdates)
        short = replace(row, samples=800)
        (folder / f"{row.name}.json").write_text(json.dumps(short.run(lambda _: None)))


@pytest.mark.usefixtures("compiled")
@pytest.mark.thorough
def test_late_updates_are_told_at_the_best_rate_of_each_schedule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_late(tmp_path)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    data = stored.result("late-drift")
    exact, late = data["schedules"]["sequential"], data["schedules"]["streaming"]
    assert (exact["delay"], late["delay"]) == (1, 10)
    for found in (exact, late):
        assert found["errors"][data["rates"].index(found["chosen"]["learning_rate"])] == found["chosen"]["error"]
    assert data["ratio"] == late["chosen"]["error"] / exact["chosen"]["error"]
    # At small rates late updates are as good; at the largest they diverge.
    assert late["errors"][-1] == pytest.approx(exact["errors"][-1], rel=0.05)
    assert late["errors"][0] > 10 * data["variance"] > exact["errors"][0]
    lines = learning_tables.late().splitlines()
    assert len(lines) == 2 + len(late_updates.FAMILY.rows)
    assert lines[3].endswith(f"| **{data['ratio']:.2f}** |")


@pytest.mark.usefixtures("compiled")
def test_rates_are_told_beside_float64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rates(tmp_path)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    data = stored.result("rates-1-1")
    assert set(data["errors"]) == set(learning_rates.KINDS)
    # Where samples are few and rates large, nothing but the learner itself is seen.
    first = next(iter(learning_rates.KINDS))
    assert data["errors"][first][1] == pytest.approx(data["float64"][1], rel=0.2)
    # What is lost when updates round to nothing.
    assert data["errors"]["half_up, no guard bits"][-1] > data["errors"][first][-1]
    lines = learning_tables.rates().splitlines()
    assert len(lines) == 2 + 3 * (1 + len(learning_rates.KINDS))
    assert lines[2].startswith("| layers [1, 1], exact targets: error of float64 |")


def test_learners_that_start_from_a_frozen_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_adapted(tmp_path)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    for row in adapt.FAMILY.rows:
        result = stored.result(row.name)
        frozen, started, new = result["models"]
        assert len(frozen["mse_by_block"]) == 450 // result["block"]
        assert started["mse_first"] < min(frozen["mse_first"], new["mse_first"])
        assert started["mse_last"] < frozen["mse_last"] / 2
        assert result["started_rms"] < 0.05
    assert {row.name for row in adapt.FAMILY.rows} == set(learning_tables.ADAPTS)
    assert [line.split(" | ")[0] for line in learning_tables.adapt().splitlines()[2:]] == [
        "| frozen network",
        "| learner, started from it",
        "| learner, started from zeros",
    ]


@pytest.mark.parametrize("family", only(lambda family: family in ("grid", "front"), draw.DRAWINGS))
def test_pictures_of_small_results(family: str, tmp_path: Path) -> None:
    if family == "precision":
        write_sweeps(tmp_path)
    elif family == "adapt":
        write_adapted(tmp_path)
    elif family == "rates":
        write_rates(tmp_path)
    elif family == "late":
        write_late(tmp_path)
    else:
        write_results(tmp_path, family)
    picture = tmp_path / "docs" / "picture.png"
    assert draw.draw(family, tmp_path, picture)
    height, width, _ = imread(picture).shape
    assert width == 1200
    assert 250 < height < 600
    first = picture.read_bytes()
    assert draw.draw(family, tmp_path, picture)
    assert picture.read_bytes() == first


@pytest.mark.parametrize("family", list(draw.DRAWINGS))
def test_no_picture_of_nothing(family: str, tmp_path: Path) -> None:
    assert not draw.draw(family, tmp_path, tmp_path / "picture.png")
    assert not (tmp_path / "picture.png").exists()


@pytest.mark.parametrize("family", BUILDS)
def test_no_picture_of_builds_without_a_speed(family: str, tmp_path: Path) -> None:
    write_results(tmp_path, family, mhz=None)
    assert not draw.draw(family, tmp_path, tmp_path / "picture.png")
    assert not (tmp_path / "picture.png").exists()


def test_every_picture_has_a_family() -> None:
    assert {*draw.DRAWINGS, "estimate"} == set(render.PICTURES)


@pytest.mark.parametrize(
    ("page", "link"), [("README.md", "docs/images/bench-grid.png"), ("docs/a.md", "images/bench-grid.png")]
)
def test_rendering_again_changes_nothing(page: str, link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tmp_path / "docs" / "images"
    images.mkdir(parents=True)
    (images / "bench-grid.png").touch()
    monkeypatch.setattr(render, "IMAGES", images)
    empty = "a\n<!-- picture: grid -->\n<!-- end -->\nb\n<!-- picture: pipeline -->\n![old](old.png)\n<!-- end -->\n"
    once = render.render(empty, tmp_path / page)
    assert links(once) == [link]
    assert render.render(once, tmp_path / page) == once


def test_numbers_stay_with_their_units() -> None:
    text = markdown.keep_together(
        "| 43.0 MHz (41.0 to 45.0) | 7 of 30 | 699 / 694 | 5 million/s | 3 million | 12 s | 3 seeds |"
    )
    assert text.replace("\N{NO-BREAK SPACE}", "_") == (
        "| 43.0_MHz (41.0 to 45.0) | 7_of_30 | 699_/_694 | 5_million/s | 3_million | 12_s | 3 seeds |"
    )


def test_values_are_those_of_the_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "row.json").write_text(json.dumps({"step_ns": 31.69, "native": {"rates": [1000, 2000]}}))
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    text = "a <!-- value: row.step_ns .1f -->30<!-- end --> b <!-- value: row.native.rates.1 ,d --><!-- end -->."
    once = render.render(text, tmp_path)
    assert re.sub("<!--.*?-->", "", once) == "a 31.7 b 2,000."
    assert render.render(once, tmp_path) == once


def test_stale_pages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "README.md"
    page.write_text("<!-- value: t-no-registers.lut d -->0<!-- end -->\n")
    monkeypatch.setattr(render, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["render", "--check"])
    with pytest.raises(SystemExit, match=r": README\.md; run `make tables`"):
        render.main()
    monkeypatch.setattr("sys.argv", ["render"])
    render.main()
    assert (
        page.read_text()
        == f"<!-- value: t-no-registers.lut d -->{stored.result('t-no-registers')['lut']}<!-- end -->\n"
    )
    monkeypatch.setattr("sys.argv", ["render", "--check"])
    render.main()


def links(text: str) -> list[str]:
    return [part.partition(")")[0] for part in text.split("](")[1:]]


def test_speed_is_told_with_its_spread_and_kind() -> None:
    known = {"fmax_mhz_by_seed": [50.0, None, 48.0], "fmax_mhz": 49.0, "fmax_kind": "measured"}
    assert markdown.speed(known) == "49.0 MHz (48.0 to 50.0)"
    assert markdown.speed(known | {"fmax_kind": "derated"}) == "49.0 MHz (48.0 to 50.0), derated"
    assert markdown.speed(known | {"fmax_mhz_by_seed": [None]}) == "not timed"
