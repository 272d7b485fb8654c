"""The estimate: exact where it says so, near where it does not, and what is refused for it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import Phase, given, settings

from bench import area, fit
from bench.render import RESULTS, load
from bench.rows import ROWS, OnBoard
from kanrtl import Learner, LearnerSpec, SpecError
from kanrtl.boards import BOARDS
from kanrtl.build import BuildError, Device, build_exercise, build_learner, capacity
from kanrtl.build.capacity import check_exercise_fits, check_fits
from kanrtl.build.out_of_context import AreaJob
from kanrtl.cli.commands import _main
from kanrtl.demos.self_teaching import estimate_exercise
from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import KINDS, Parts
from kanrtl.learner.estimate.parts import count_parts
from kanrtl.tools.rtlil import component_rtlil
from support.strategies import specs

T: dict[str, Any] = {"layer_sizes": [1, 1], "grid_range": (-2, 2), "grid_size": 5, "learning_rate": 0.3}
ROWS_BUILT = fit.rows_built()
BUILDS = fit.builds()


# What is derived is what is built.


@pytest.mark.parametrize("build", ROWS_BUILT, ids=lambda build: build.name)
def test_rows_of_the_bench(build: fit.Build) -> None:
    found = build.spec.estimate(build.device)
    exact = {"dsp": found.dsp, "bram": found.bram, "lutram": found.lutram}
    assert exact == {name: build.measured[name] for name in exact}
    result = load(RESULTS, build.name)
    assert (found.latency, found.interval) == (result["latency_cycles"], result["interval_cycles"])
    assert found.lut == pytest.approx(build.measured["lut"], rel=0.15)
    assert found.capacity == result["capacity"]


def test_every_measured_area() -> None:
    """Multipliers, memory blocks and memories in LUTs."""
    assert [build.name for build in BUILDS if not build.as_derived] == []
    assert len(BUILDS) > 30


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if isinstance(row, OnBoard)])
def test_boards_that_teach_themselves(name: str) -> None:
    row, result = ROWS[name], load(RESULTS, name)
    assert isinstance(row, OnBoard)
    board = BOARDS[row.board]
    found = estimate_exercise(row.spec, Device.parse(board.device), len(board.leds))
    assert (found.dsp, found.bram, found.lutram) == (result["dsp"], result["bram"], result["lutram"])
    assert found.lut == pytest.approx(result["lut"], rel=0.25)
    assert found.lacks is None


def test_nothing_that_was_built_would_have_been_refused() -> None:
    for build in BUILDS:
        found = build.spec.estimate(build.device)
        assert found.least_lut <= build.measured["lut"], build.name


UNSPLIT = replace(families["ecp5"], operand=1 << 20, least_product=0)


@given(spec=specs(max_edges=3))
@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_products_and_memories_are_those_of_the_hardware(spec: LearnerSpec) -> None:
    """Before synthesis: every ``*``, and every memory's rows and bits."""
    parts = count_parts(spec, UNSPLIT, multiplies=True)
    text = component_rtlil(Learner(spec), "learner")
    assert parts.multipliers == len(re.findall(r"^ *cell \$mul ", text, re.MULTILINE))
    described = [
        (int(depth), int(width))
        for width, depth, name in re.findall(r"^ *memory width (\d+) size (\d+) (\S+)", text, re.MULTILINE)
        if re.search(r"input\d+_bank\d+|\\table\d+$", name)
    ]
    written = [memory for memory in parts.memories if memory.lanes]
    derived = Counter[tuple[int, int]]()
    for memory in written:
        derived[memory.depth, memory.width] += memory.count
    assert Counter(described) == derived
    tables = len(re.findall(r"^ *memory width \d+ size \d+ \S*(?:basis|derivative)_table", text, re.MULTILINE))
    blocks = sum(memory.count for memory in parts.memories if memory.name in ("bases", "derivatives"))
    if all(spec.timing.block_tables):
        assert tables == blocks


@pytest.mark.parametrize(
    ("device", "fields"),
    [
        ("LFE5U-25F", {"spline_order": 1, "table_size": 16}),
        ("iCE40UP5K", {"spline_order": 1, "pipeline": "low_latency"}),
    ],
)
def test_a_build(device: str, fields: dict[str, Any]) -> None:
    spec = LearnerSpec(**{**T, "activation_format": "SQ(4, 8)", **fields})
    area = AreaJob.of(Learner(spec.for_device(Device.parse(device))), device).run(lambda _: None)
    found = spec.estimate(device)
    assert (found.dsp, found.bram, found.lutram) == (area.dsp, area.bram, area.lutram)
    assert found.lut == pytest.approx(area.lut, rel=0.2)
    assert area.ff > 0
    assert set(area.tools) == {"yosys", "nextpnr-ecp5" if device.startswith("LFE") else "nextpnr-ice40"}


# The fit.


def test_the_fit_finds_the_costs_of_builds_that_have_them() -> None:
    random = np.random.default_rng(0)
    costs = {kind: float(random.uniform(0.5, 3)) for kind in fit.EXPECTED["ecp5"]["lut"]}
    made = []
    for number in range(60):
        parts = Parts(families["ecp5"], multiplies=True)
        parts.counts.update({kind: int(random.integers(5, 200)) for kind in costs})
        lut = sum(cost * parts.counts[kind] for kind, cost in costs.items())
        made.append(fit.Build(str(number), "LFE5U-85F", LearnerSpec(**T), {"lut": lut}, parts))
    found = fit.fit(made, "lut")
    assert np.abs(found.errors).max() < 0.02
    assert np.abs(found.held_out).max() < 0.05
    assert min(found.costs.values()) >= 0


def test_the_shipped_costs_are_of_known_kinds() -> None:
    content = json.loads(fit.COSTS.read_text())["families"]
    assert set(content) == set(families) == set(fit.EXPECTED)
    for family, fitted in content.items():
        assert set(fitted["lut"]) == set(fit.EXPECTED[family]["lut"]) <= set(KINDS)
        assert fitted["errors"]["lut"]["held_out_largest"] < 0.5
        assert min(fitted["lut"].values()) >= 0


def test_a_design_has_the_same_hash_wherever_its_source_stands() -> None:
    job = AreaJob.of(Learner(LearnerSpec(**T)), "LFE5U-25F")
    moved = {name: re.sub(r'\.py:\d+"', '.py:1"', text) for name, text in job.job.files.items()}
    assert moved != job.job.files
    assert AreaJob(replace(job.job, files=moved)).digest == job.digest
    assert AreaJob.of(Learner(LearnerSpec(**T | {"grid_size": 6})), "LFE5U-25F").digest != job.digest


class Pretended:
    """An area that takes no time, of a design that is its fields."""

    ran: ClassVar[list[str]] = []

    def __init__(self, digest: str) -> None:
        self.digest = digest

    @classmethod
    def of(cls, learner: Learner, _: str) -> Pretended:
        learner._MustUse__silence = True
        return cls(str(learner.spec.grid_size))

    def run(self, _: object) -> area.Area:
        self.ran.append(self.digest)
        return area.Area("LFE5U-25F", 100, 10, 8, 3, 64, {"yosys": "1"})


def test_measuring_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(area, "AreaJob", Pretended)
    path = tmp_path / "area.json"
    both = [area.Sample("LFE5U-25F", T), area.Sample("LFE5U-25F", T | {"grid_size": 8})]
    assert area.measure(both[:1], path) == []
    assert area.measure(both, path) == []
    assert Pretended.ran == ["5", "8"]
    assert list(area.load(path)) == [sample.name for sample in both]
    assert area.measure(both[1:], path) == []
    assert list(area.load(path)) == [both[1].name]
    impossible = area.Sample("LFE5U-25F", T | {"grid_size": 0})
    assert area.measure([impossible], path) == [impossible.name]


def test_samples_can_be_had() -> None:
    assert all(isinstance(sample.spec, LearnerSpec) for sample in area.SAMPLES)
    assert {Device.parse(sample.device).family for sample in area.SAMPLES} == set(families)


# Refusals.


@pytest.fixture(autouse=True)
def no_builds(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Nothing is synthesised for a refusal."""
    if "refus" in request.node.name:
        for name in ("build_core", "build_board"):
            monkeypatch.setattr(f"kanrtl.build.learner_builds.{name}", lambda *_, **__: pytest.fail("built"))


REFUSALS = [
    (
        {"layer_sizes": [2, 4, 1]},
        "LFE5U-25F",
        "device = 'LFE5U-25F': the learner needs 100 multipliers, there are 28; "
        "set reuse_factor = [8, 4] (21 multipliers, interval 24), or take LFE5U-85F",
    ),
    (
        {"layer_sizes": [4, 1], "schedule": "streaming"},
        "LFE5U-25F",
        "device = 'LFE5U-25F': the learner needs 32 multipliers, there are 28; "
        'set multiplier = "lut" (0 multipliers, interval 1), or take LFE5U-45F',
    ),
    (
        {"layer_sizes": [8, 1], "reuse_factor": 8, "grid_size": 4096, "memory": "block"},
        "iCE40UP5K",
        "device = 'iCE40UP5K': the learner needs 139 memory blocks, there are 30; "
        "set grid_size = 512 (23 memory blocks, interval 22), or take LFE5U-25F",
    ),
    (
        {"layer_sizes": [64, 64]},
        "iCE40UP5K",
        "device = 'iCE40UP5K': the learner needs 32768 multipliers, there are 8; "
        "no setting was found with which it fits, and no device; make layer_sizes smaller",
    ),
    (
        {"multiplier": "lut"},
        "iCE40LP384",
        "device = 'iCE40LP384': the learner needs 10 memory blocks, there are 0; take iCE40UP5K",
    ),
]


@pytest.mark.parametrize(("fields", "device", "line"), REFUSALS)
def test_refusals(fields: dict[str, Any], device: str, line: str) -> None:
    with pytest.raises(BuildError) as refusal:
        build_learner(LearnerSpec(**T | fields), device)
    assert str(refusal.value) == line


def test_refusal_for_luts_names_a_setting_that_fits() -> None:
    spec, device = LearnerSpec(**T | {"layer_sizes": [8, 8], "multiplier": "lut"}), Device.parse("LFE5U-45F")
    with pytest.raises(BuildError) as refusal:
        check_fits(spec, device)
    found = re.fullmatch(
        r"device = 'LFE5U-45F': the learner needs (\d+) or more LUTs, there are 43848; "
        r"set reuse_factor = (\d+) \(about (\d+) LUTs, interval (\d+)\)",
        str(refusal.value),
    )
    assert found, str(refusal.value)
    needed, factor, lut, interval = map(int, found.groups())
    assert needed == spec.estimate(device).least_lut > device.lut
    smaller = spec.replace(reuse_factor=factor).estimate(device)
    assert (smaller.lut, smaller.interval) == (lut, interval)
    assert smaller.fits


def test_refusal_of_an_exercise() -> None:
    spec = LearnerSpec(**T | {"layer_sizes": [2, 1]})
    with pytest.raises(
        BuildError, match=r"^device = 'iCE40UP5K-SG48': the learner needs 16 multipliers, there are 8; "
    ):
        build_exercise(spec, BOARDS["icebreaker"])
    check_exercise_fits(spec, Device.parse("LFE5U-25F"), 8)


def test_refusals_of_the_spec_come_first() -> None:
    spec = LearnerSpec(**T | {"memory": "distributed"})
    with pytest.raises(SpecError, match=r"^memory = 'distributed': iCE40 has no distributed memory"):
        build_learner(spec, "iCE40UP5K")
    with pytest.raises(BuildError, match=r"^device: 'Z80' is not known"):
        spec.estimate("Z80")


def test_every_device_that_is_proposed_is_known_and_larger_than_the_one_before() -> None:
    parts = [Device.parse(name) for name in capacity.DEVICES]
    assert [part.lut for part in parts] == sorted(part.lut for part in parts)


# The command line.


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "learner.toml"
    path.write_text("layer_sizes = [1, 1]\ngrid_range = [-2, 2]\n")
    assert _main(["estimate", str(path), "--device", "LFE5U-25F", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == LearnerSpec.from_toml(path).estimate("LFE5U-25F").to_json()
    assert _main(["estimate", str(path), "--device", "iCE40UP5K"]) == 0
    text = capsys.readouterr().out
    assert "8 of 8" in text
    assert "logic cells" in text


def test_a_refusal_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "learner.toml"
    path.write_text("layer_sizes = [2, 4, 1]\ngrid_range = [-2, 2]\ngrid_size = 5\nlearning_rate = 0.3\n")
    assert _main(["build", str(path), "--device", "LFE5U-25F"]) == 2
    said = capsys.readouterr()
    assert said.err == f"kanrtl: {REFUSALS[0][2]}\n"
    assert said.out == ""
