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
from bench.rows import ROWS, OnBoard
from bench.stored import RESULTS, load
from kanrtl import Learner, LearnerSpec
from kanrtl.boards import BOARDS
from kanrtl.build import Device
from kanrtl.build.out_of_context import AreaJob
from kanrtl.demos.self_teaching import estimate_exercise
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import KINDS, Parts
from kanrtl.learner.estimate.estimate import count_parts
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


UNSPLIT = replace(FAMILIES["ecp5"].blocks, operand=1 << 20, least_product=0)


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
        if re.search(r"input\d+_bank\d+|\\rows$|\\table\d+$", name)
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


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("device", "fields"),
    [
        ("LFE5U-25F", {"spline_order": 1, "table_size": 16}),
        # A linear path's product of 16 by 16 bits, alone behind two registers: yosys would lose it.
        (
            "iCE40UP5K",
            {"spline_order": 1, "table_size": 16, "pipeline": "all_registers", "linear": True}
            | {"activation_format": "SQ(6, 10)"},
        ),
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
    priors = FAMILIES["ecp5"].costs["lut"]
    costs = {kind: (prior or 1) * float(random.uniform(0.3, 2.8)) for kind, prior in priors.items()}
    made = []
    for number in range(60):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        parts.counts.update({kind: int(random.integers(5, 200)) for kind in costs})
        lut = sum(cost * parts.counts[kind] for kind, cost in costs.items())
        made.append(fit.Build(str(number), "LFE5U-85F", LearnerSpec(**T), {"lut": lut}, parts))
    found = fit.fit(made, "lut")
    assert np.abs(found.errors).max() < 0.02
    assert np.abs(found.held_out).max() < 0.05
    assert min(found.costs.values()) >= 0
    assert all(found.costs[kind] <= fit.MOST * prior for kind, prior in priors.items() if prior)


def test_the_shipped_costs_are_of_known_kinds() -> None:
    content = json.loads(fit.COSTS.read_text())
    assert set(content["learners"]) == set(FAMILIES)
    assert set(content["baselines"]) == {"ecp5"}
    for family, fitted in [*content["learners"].items(), *content["baselines"].items()]:
        assert set(fitted["lut"]) == set(FAMILIES[family].costs["lut"]) <= set(KINDS)
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
    assert {Device.parse(sample.device).family for sample in area.SAMPLES} == set(FAMILIES)
