"""Sweeps: what is run, that it is the same wherever it runs, what is refused, and what the pictures show."""

from __future__ import annotations

import json
import multiprocessing
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from rich.console import Console

from kanrtl import InputError, LearnerSpec, connect
from kanrtl.cli import command_line, learner_commands
from kanrtl.errors import ToolError
from kanrtl.experiments import runs
from kanrtl.experiments import sweep as explore
from kanrtl.experiments.axes import parse_over
from kanrtl.experiments.simulate_learner import simulate, teach
from kanrtl.experiments.sweep import format_error, sweep
from kanrtl.plots.sweep_plot import COLORS, draw_panel, plot_sweep
from kanrtl.sim import Recording, Track
from support.running import is_running, wait_for


@pytest.fixture
def spec(tracker: LearnerSpec) -> LearnerSpec:
    return tracker.replace(activation_format="SQ(3, 13)")


# What is swept.


@pytest.mark.parametrize(
    ("text", "fields", "values"),
    [
        ("learning_rate=0.1,0.25", "learning_rate", [0.1, 0.25]),
        (" grid_size = 8 , 16 ", "grid_size", [8, 16]),
        ("learning_rate=[0.1,0.2],0.3", "learning_rate", [[0.1, 0.2], 0.3]),
        ("grid_range=[-2,2],[[-2,2],[-1,1]]", "grid_range", [[-2, 2], [[-2, 2], [-1, 1]]]),
        ("coefficient_format=SQ(3, 5),'SQ(4,4)'", "coefficient_format", ["SQ(3, 5)", "SQ(4,4)"]),
        ("share_multipliers=true,false", "share_multipliers", [True, False]),
        ("update_rounding=floor", "update_rounding", ["floor"]),
        ('loss="squared"', "loss", ["squared"]),
        ("pipeline=[sum,step]", "pipeline", ["[sum,step]"]),
        ("pipeline=['sum','step'],all_registers", "pipeline", [["sum", "step"], "all_registers"]),
        ("a,b=1,2:3", ("a", "b"), [(1, 1), (2, 3)]),
        ("a , b=[1:2]:x,SQ(1,2):'3:4'", ("a", "b"), [("[1:2]", "x"), ("SQ(1,2)", "3:4")]),
        ("seed=1\nloss = 2", "seed", ["1\nloss = 2"]),
    ],
)
def test_axes_are_read_as_a_spec_file_is(text: str, fields: Any, values: list[Any]) -> None:
    assert parse_over(text) == (fields, values)


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 2000 + "]" * 2000])
def test_what_python_does_not_read_is_a_text(text: str) -> None:
    assert parse_over(f"seed={text}") == ("seed", [text])


@pytest.mark.parametrize("text", ["", "seed", "seed=", "=1", "seed=1,", "seed=,1", "a,,b=1", "seed= ,2"])
def test_what_is_no_axis_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(f'over = {text!r}: write FIELD=VALUE,VALUE')}"):
        parse_over(text)


def test_several_fields_take_one_value_or_one_each() -> None:
    expected = "over = 'a,b=1:2:3': '1:2:3' is for 3 fields; give one value for all 2 fields, or 2 with ':' between"
    with pytest.raises(InputError, match=re.escape(expected)):
        parse_over("a,b=1:2:3")


def test_every_combination_is_run_the_last_axis_fastest(spec: LearnerSpec) -> None:
    found = sweep(
        spec,
        {
            "bits": [8, 10],
            ("rounding", "update_rounding"): [("floor", "floor"), ("half_up", "stochastic")],
            "grid_range": [(-2, 2), (-3, 3)],
        },
        samples=6,
    )
    assert [axis.name for axis in found.axes] == ["bits", "rounding, update_rounding", "grid_range"]
    assert [tuple(row.point.values()) for row in found.rows] == [
        (bits, rounding, reach)
        for bits in (8, 10)
        for rounding in ("floor", "[half_up, stochastic]")
        for reach in ("[-2, 2]", "[-3, 3]")
    ]
    row = found.rows[6]
    assert str(row.spec.formats.activation) == str(row.spec.formats.coefficient) == "SQ(3, 7)"
    assert (row.spec.rounding, row.spec.update_rounding, row.spec.grid_range) == ("half_up", "stochastic", (-2, 2))


def test_bits_leave_what_the_spec_says_of_other_formats(spec: LearnerSpec) -> None:
    given = spec.replace(coefficient_format="SQ(4, 12)", gradient_format="SQ(5, 5)")
    (row,) = sweep(given, {"bits": [9]}, samples=3).rows
    formats = row.spec.formats
    assert [str(formats.activation), str(formats.coefficient)] == ["SQ(3, 6)", "SQ(4, 5)"]
    assert str(formats.gradient) == "SQ(5, 5)"


@pytest.mark.parametrize(
    ("fields", "over", "formats"),
    [
        ({}, {"grid_range": [(-1000, 1000)]}, ["SQ(12, 4)", "SQ(6, 10)", "SQ(6, 10)"]),
        ({}, {"target_range": [(-0.5, 0.5)]}, ["SQ(6, 10)", "SQ(1, 15)", "SQ(1, 15)"]),
        ({"target_range": (-1000, 1000)}, {"seed": [1]}, ["SQ(6, 10)", "SQ(12, 4)", "SQ(12, 4)"]),
        ({"input_format": "SQ(3, 5)"}, {"seed": [1]}, ["SQ(3, 5)", "SQ(6, 10)", "SQ(6, 10)"]),
        ({"activation_format": "SQ(3, 3)"}, {"grid_size": [50]}, ["SQ(3, 13)", "SQ(3, 13)", "SQ(3, 13)"]),
    ],
)
def test_bits_are_those_of_the_ranges_of_a_point(fields: Any, over: dict[Any, Any], formats: list[str]) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), **fields)
    (row,) = sweep(spec, {"bits": [16]} | over, samples=3).rows
    (layer,) = row.spec.formats.layers
    assert [str(layer.input), str(layer.output), str(layer.coefficient)] == formats


def test_values_of_numpy_are_plain_ones(spec: LearnerSpec) -> None:
    over = {"bits": [np.int64(8), 10], ("table_size", "linear"): [(np.int32(8), np.True_), (16, False)]}
    found = sweep(spec, over, samples=3)
    assert [axis.labels for axis in found.axes] == [(8, 10), ("[8, true]", "[16, false]")]
    assert json.dumps(found.to_json())


def test_what_is_no_list_of_values_is_refused_in_one_line(spec: LearnerSpec) -> None:
    class Column:
        def __repr__(self) -> str:
            return "0    0.1\n1    0.2"

    with pytest.raises(InputError, match=r"^over learning_rate = 0 0\.1 1 0\.2: give a list of values$"):
        sweep(spec, {"learning_rate": Column()}, samples=3)
    with pytest.raises(InputError, match=r"^over: is of type NoneType; give a dict of values by field of the spec$"):
        sweep(spec, None, samples=3)  # type: ignore[arg-type]


def test_bits_of_layers_of_other_ranges() -> None:
    spec = LearnerSpec(layer_sizes=[1, 2, 1], grid_range=(-2, 2))
    (row,) = sweep(spec, {"bits": [14], "grid_range": [[(-2, 2), (-1000, 1000)]]}, samples=3).rows
    assert [str(layer.input) for layer in row.spec.formats.layers] == ["SQ(6, 8)", "SQ(12, 2)"]
    assert [str(layer.coefficient) for layer in row.spec.formats.layers] == ["SQ(12, 2)", "SQ(6, 8)"]
    apart = [(-2, 2), (-1000, 1000), (-2, 2)]
    with pytest.raises(InputError, match=r": bits: hidden layers have different formats, SQ\(12, 4\), SQ\(6, 10\); "):
        sweep(spec, {"bits": [16], ("layer_sizes", "grid_range"): [([1, 2, 2, 1], apart)]}, samples=3)


REFUSED: list[tuple[dict[Any, Any], dict[str, Any], str]] = [
    ({}, {}, "over: nothing to sweep; give a field with its values, such as learning_rate=0.1,0.2"),
    ({"seed": []}, {}, "over seed = []: give a list of values"),
    ({"loss": "squared"}, {}, "over loss = 'squared': give a list of values"),
    ({("seed", "loss"): [1]}, {}, "over seed, loss = 1: give 2 values, one for each field"),
    ({"learningrate": [1]}, {}, "over = 'learningrate': unknown field; did you mean 'learning_rate'?"),
    ({"x": [1]}, {}, "over = 'x': unknown field; use 'bits' or a field of the spec"),
    ({"bits": [8], "coefficient_format": ["SQ(3, 5)"]}, {}, "over = 'coefficient_format': 'bits' sets it too; "),
    ({"seed": [1], ("loss", "seed"): [("squared", 1)]}, {}, "over = 'seed': 'seed' sets it too; sweep one of them"),
    ({"seed": [3, 4, 3]}, {}, "over seed = 3: given twice; leave one out"),
    ({"seed": [int("9" * 4000)] * 2}, {}, f"over seed = {'9' * 57}...: given twice; leave one out"),
    ({"seed": [int("9" * 4000)]}, {}, f"over seed = {'9' * 57}...: seed = {'9' * 57}...: must be"),
    ({"bits": [8, 3]}, {}, "over bits = 3: bits = 3: must be an integer above the 3 integer bits of activation_format"),
    ({"bits": ["many"]}, {}, "over bits = many: bits = 'many': must be an integer above the 3 integer bits of "),
    (
        {"learning_rate": [0.1, 300], "seed": [1, 2]},
        {},
        "over learning_rate = 300, seed = 1: learning_rate = 300: must be 256 or less",
    ),
    (
        {"layer_sizes": [[1, 1], [2, 1]]},
        {},
        "over layer_sizes = [2, 1]: layer_sizes = [2, 1]: task 'track' has 1 input(s) and 1 output(s); use [1, ..., 1]",
    ),
    ({"seed": [1]}, {"task": "sort"}, "task = 'sort': unknown; use one of 'track'"),
    ({"seed": [1]}, {"samples": 2}, "samples = 2: must be 3 or more"),
    ({"seed": [1]}, {"seeds": 0}, "seeds = 0: must be 1 or more"),
    ({"seed": [1]}, {"jobs": 0}, "jobs = 0: must be 1 or more"),
    ({"seed": [1]}, {"backend": "fpga"}, "backend = 'fpga': unknown; use one of 'model'"),
    ({"seed": [1]}, {"scheduler": "here"}, "scheduler = 'here': not an address; give one such as tcp://127.0.0.1:8786"),
    ({"seed": [1]}, {"scheduler": "ftp://a:1"}, "scheduler = 'ftp://a:1': not an address; give one such as tcp://"),
    ({"seed": [1]}, {"scheduler": "tcp://a:b"}, "scheduler = 'tcp://a:b': not an address; give one such as tcp://"),
]


@pytest.mark.parametrize(("over", "options", "line"), REFUSED)
def test_refusals(
    over: dict[Any, Any],
    options: dict[str, Any],
    line: str,
    spec: LearnerSpec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In one line, before anything runs."""
    monkeypatch.setattr(explore, "measure_units", None)
    with pytest.raises(InputError, match=f"^{re.escape(line)}") as refusal:
        sweep(spec, over, **options)
    assert "\n" not in str(refusal.value)


# What comes out.


@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_guards_guard(backend: str, tracker: LearnerSpec) -> None:
    """Also where learners without one run side by side: it freezes what does not settle."""
    spec = tracker.replace(guard={"window": 8, "copy_every": 1, "error": 0.2})
    found = sweep(spec, {"learning_rate": [0.5, 0.001]}, samples=90, backend=backend)
    assert found.rows[0].to_json()["point"] != found.rows[1].to_json()["point"]
    for row in found.rows:
        simulated = simulate(row.spec, Track(90, 0), backend).to_json()
        assert row.mse[0].tolist() == simulated["mse"]
        assert row.guard_counts == row.to_json()["guard"] == simulated["guard"]["counts"]
        alone = sweep(row.spec.replace(guard=None), {"seed": [0]}, samples=90, backend=backend).rows[0]
        assert not alone.guard_counts
        assert "guard" not in alone.to_json()
        assert alone.mse_float64.tolist() == row.mse_float64.tolist()
    assert found.rows[1].guard_counts["divergence"]
    assert found.table()[0][-1] == "faults"
    assert [line[-1] for line in found.table()[1]] == [str(sum(row.guard_counts.values())) for row in found.rows]


@pytest.mark.parametrize(
    ("field", "values", "fields"),
    [
        ("gradient_limit", [0.0, 0.05], {}),
        ("leak", [0, 3], {}),
        ("outside", ["hold", "learn"], {"grid_range": (-0.5, 0.5)}),
        ("linear_rate", [0.001, 0.25], {"grid_range": (-1, 1), "linear": True}),
    ],
)
def test_float64_is_that_of_each_point(field: str, values: list[Any], fields: dict[str, Any]) -> None:
    spec = LearnerSpec(**{"layer_sizes": [1, 1], "grid_range": (-2, 2), "learning_rate": 0.25, **fields})
    rows = sweep(spec, {field: values}, samples=90).rows
    alone = [sweep(spec, {field: [value]}, samples=90).rows[0] for value in values]
    assert [row.mse_all_float64[0] for row in rows] == [row.mse_all_float64[0] for row in alone]
    assert rows[0].mse_all_float64[0] != rows[1].mse_all_float64[0]


def test_float64_has_the_recording_as_each_point_scales_it() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (200, 1))
    recording = Recording(x, np.sin(3 * x))
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.25)
    ranges = [(-1, 1), (1, 3)]
    rows = sweep(spec, {"target_range": ranges}, task=recording).rows
    alone = [sweep(spec, {"target_range": [each]}, task=recording).rows[0] for each in ranges]
    assert [row.mse_all_float64[0] for row in rows] == [row.mse_all_float64[0] for row in alone]
    assert rows[0].mse_all_float64[0] != rows[1].mse_all_float64[0]


def test_errors_of_all_sizes_are_readable() -> None:
    errors = (0.0, 3.21e-9, 0.0012345, 0.5, 123.456789, 1234.56789, 9.87654321e12, float("nan"))
    shown = ["0", "3.21e-09", "0.00123", "0.50000", "123.45679", "1234.57", "9.87654e+12", "nan"]
    assert [format_error(error) for error in errors] == shown


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"update_rounding": "stochastic", "activation_format": "SQ(4, 5)", "gradient_format": "SQ(1, 6)"},
        {"loss": "external", "layer_sizes": [1, 2, 1]},
        {"schedule": "streaming"},
    ],
)
def test_a_row_is_what_sessions_say(fields: dict[str, Any], tracker: LearnerSpec) -> None:
    """Each seed is a session of its own, with the task and the learner of that seed."""
    spec = tracker.replace(seed=5, **fields)
    found = sweep(spec, {"learning_rate": [0.5, 0.2], "table_size": [8, 64]}, samples=24, seeds=2)
    for row in found.rows:
        saturations = dict[str, int]()
        for seed in range(2):
            task = Track(24, seed)
            own = spec.replace(**row.point, seed=5 + seed)
            with connect(own) as learner:
                error = teach(learner, task.x, task.target) - task.target
                counts = learner.status["saturations"]
            saturations = {kind: saturations.get(kind, 0) + count for kind, count in counts.items()}
            assert row.mse[seed].tolist() == task.regime_errors(error)
            assert row.mse_all[seed] == np.mean(error**2)
            if spec.schedule == "sequential":  # a simulation pauses at times, which streaming learners notice
                exact = simulate(own, task, "model").to_json()
                assert (row.mse_float64[seed].tolist(), row.mse_all_float64[seed]) == (
                    exact["mse_float64"],
                    exact["mse_all_float64"],
                )
        assert row.saturations == saturations
    if "gradient_format" in fields:
        assert any(row.saturations["gradient"] for row in found.rows)


def test_the_known_curve_of_precision(spec: LearnerSpec) -> None:
    """Ten bits are as good as float64 in every regime, eight and nine are not; 64 rows as good as 256, 16 are not."""
    spec = spec.replace(update_rounding="half_up")
    rows = {row.point["bits"]: row for row in sweep(spec, {"bits": [8, 9, 10, 12, 16]}, seeds=10).rows}
    errors = {bits: row.mse.mean(axis=0) for bits, row in rows.items()}
    exact = rows[16].mse_float64.mean(axis=0)
    assert (errors[8] > 1.25 * errors[9]).all()
    assert (errors[9] > 1.05 * errors[10]).all()
    assert (errors[8] > 1.5 * exact).all()
    for bits in (10, 12, 16):
        assert (errors[bits] < 1.1 * exact).all()
        assert not any(rows[bits].saturations.values())
    sizes = [8, 16, 32, 64, 256]
    tables = [row.mse.mean(axis=0) for row in sweep(spec, {"table_size": sizes}, seeds=10).rows]
    assert (tables[0] > 1.15 * tables[1]).all()
    assert (tables[1] > 1.05 * tables[2]).all()
    assert np.allclose(tables[3], tables[4], rtol=0.05)


# Wherever it runs.


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are worth it for a few samples, and batches have three learners."""
    monkeypatch.setattr(runs, "WORTH", 1)
    monkeypatch.setattr(explore, "WORTH", 1)
    monkeypatch.setattr(explore, "UNIT", 3)


OVER: dict[Any, Any] = {"bits": [8, 12], "grid_size": [5, 8], "update_rounding": ["half_up", "stochastic"]}


@pytest.fixture
def expected(spec: LearnerSpec) -> dict[str, Any]:
    return sweep(spec, OVER, samples=30, seeds=2).to_json()


@pytest.mark.usefixtures("small_batches")
def test_processes_give_the_same_bits(spec: LearnerSpec, expected: dict[str, Any]) -> None:
    seen: list[tuple[int, int]] = []
    found = sweep(spec, OVER, samples=30, seeds=2, jobs=2, progress=lambda *now: seen.append(now))
    assert found.to_json() == expected
    done, totals = zip(*seen, strict=True)
    assert len(seen) > 5
    assert done[0] == 0
    assert list(done) == sorted(done)
    assert set(totals) == {done[-1]} == {16 + 4}  # in float64 what differs in bits and rounding alone is one
    assert json.loads(json.dumps(found.to_json())) == expected


def test_the_simulated_hardware_gives_the_same_bits(spec: LearnerSpec, expected: dict[str, Any]) -> None:
    over = {"bits": [12], "grid_size": [5], "update_rounding": ["half_up", "stochastic"]}
    found = sweep(spec, over, samples=30, seeds=2, backend="pysim")
    wanted = [row for row in expected["rows"] if row["point"]["bits"] == 12 and row["point"]["grid_size"] == 5]
    assert found.to_json()["rows"] == wanted


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster


@pytest.mark.usefixtures("small_batches")
def test_a_cluster_gives_the_same_bits(spec: LearnerSpec, expected: dict[str, Any], cluster: Any) -> None:
    seen: list[tuple[int, int]] = []
    found = sweep(
        spec, OVER, samples=30, seeds=2, scheduler=cluster.scheduler_address, progress=lambda *now: seen.append(now)
    )
    assert found.to_json() == expected
    assert seen[-1] == (20, 20)


def test_workers_need_the_same_version(spec: LearnerSpec, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "installed_version", lambda: "0.0.1")
    with pytest.raises(
        ToolError, match=r"^scheduler = '.*': worker .* has kanrtl 0\.0\.1, here it is .*; install the "
    ):
        sweep(spec, {"seed": [1]}, samples=3, scheduler=cluster.scheduler_address)


def test_workers_need_kanrtl(spec: LearnerSpec, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> str:
        raise ModuleNotFoundError("No module named 'kanrtl'")

    monkeypatch.setattr(runs, "installed_version", absent)
    with pytest.raises(ToolError, match=r"^scheduler = '.*': its workers cannot run kanrtl \(No module .*\); install"):
        sweep(spec, {"seed": [1]}, samples=3, scheduler=cluster.scheduler_address)


def test_a_cluster_without_workers_is_not_waited_for(spec: LearnerSpec) -> None:
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=":0", silence_logs=50) as empty,
        pytest.raises(ToolError, match=r"^scheduler = '.*': it has no workers; start some with `dask worker` and "),
    ):
        sweep(spec, {"seed": [1]}, samples=3, scheduler=empty.scheduler_address)


def test_an_unreachable_scheduler_is_one_line_soon(spec: LearnerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "CONNECT_SECONDS", 1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        start = time.monotonic()
        line = f"scheduler = {address!r}: no answer within 1 s; start one with `dask scheduler`, or mend the address"
        with pytest.raises(ToolError, match=f"^{re.escape(line)}$"):
            sweep(spec, {"seed": [1]}, samples=3, scheduler=address)
        assert time.monotonic() - start < 10


@pytest.mark.usefixtures("small_batches")
def test_an_interrupted_sweep_leaves_no_process(spec: LearnerSpec) -> None:
    before = set(multiprocessing.active_children())

    def interrupt(done: int, _: int) -> None:
        if done:
            assert set(multiprocessing.active_children()) - before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(spec, OVER, samples=300, seeds=4, jobs=2, progress=interrupt)
    assert set(multiprocessing.active_children()) == before


# Pictures.


def drawn(data: dict[str, Any], panel: int = 0) -> Any:
    axes = Figure().subplots()
    draw_panel(axes, data, panel)
    return axes


def test_one_axis_is_drawn_with_a_line_for_each_regime(spec: LearnerSpec) -> None:
    found = sweep(spec, {"bits": [8, 10, 16]}, samples=60, seeds=3)
    axes = drawn(found.to_json())
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("linear", "log", "bits")
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["regime 1", "regime 2", "regime 3"]
    for index, line in enumerate(lines.values()):
        assert line.get_xdata().tolist() == [8, 10, 16]
        assert line.get_ydata().tolist() == [row.mse[:, index].mean() for row in found.rows]
    exact = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert [line.get_color() for line in exact] == list(COLORS[:3])
    assert exact[1].get_ydata().tolist() == [row.mse_float64[:, 1].mean() for row in found.rows]
    assert {line.get_marker() for line in exact} == {"o"}  # a point alone has no line
    assert len(axes.collections) == 3  # the spread over the seeds


def test_a_second_axis_gives_lines_and_a_third_panels(spec: LearnerSpec, tmp_path: Path) -> None:
    over = {"grid_size": [2, 4, 16], "update_rounding": ["floor", "half_up"], "learning_rate": [0.1, 0.2]}
    found = sweep(spec, over, samples=60)
    data = found.to_json()
    for panel, rate in enumerate((0.1, 0.2)):
        axes = drawn(data, panel)
        assert axes.get_xscale() == "log"
        assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "16"]
        labels = [line.get_label() for line in axes.lines]
        assert labels == ["floor", "half_up", "float64"]  # one for both: rounding is nothing to it
        wanted = [row for row in found.rows if row.point["learning_rate"] == rate]
        for line, rounding in zip(axes.lines, ("floor", "half_up"), strict=False):
            own = [row.mse.mean() for row in wanted if row.point["update_rounding"] == rounding]
            np.testing.assert_allclose(line.get_ydata(), own)
    for name, width in (("three.png", 8.6), ("two.svg", None)):
        plot_sweep(data, tmp_path / name)
        if width:
            assert imread(tmp_path / name).shape[1] == pytest.approx(120 * width, abs=2)
    with pytest.raises(InputError, match=r"^plot: a picture has up to 3 axes, the sweep 4; sweep fewer$"):
        plot_sweep(data | {"axes": data["axes"] | {"seed": [1]}}, tmp_path / "four.png")
    assert not (tmp_path / "four.png").exists()


def test_texts_stand_side_by_side(spec: LearnerSpec) -> None:
    data = sweep(spec, {"coefficient_format": ["SQ(3, 13)", "SQ(3, 9)", "SQ(3, 6)", "SQ(4, 4)"]}, samples=9).to_json()
    axes = drawn(data)
    assert axes.lines[0].get_xdata().tolist() == [0, 1, 2, 3]
    assert [label.get_text() for label in axes.get_xticklabels()] == data["axes"]["coefficient_format"]


# The command.


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spec_file: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., tuple[int, str, str]]:
    """A function that runs ``kanrtl sweep spec.toml`` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(learner_commands, "results", Console(width=100))
    spec_file(activation_format='"SQ(3, 13)"')

    def run(*arguments: str) -> tuple[int, str, str]:
        status = command_line.run(["sweep", "spec.toml", *arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_the_command_gives_json_and_a_picture(run: Callable[..., tuple[int, str, str]], spec: LearnerSpec) -> None:
    arguments = ("--over", "bits=8,10", "--over", "rounding,update_rounding=floor,half_up:stochastic")
    status, out, err = run(*arguments, "--samples", "30", "--seeds", "2", "--json", "--plot", "sweep.png")
    assert (status, err) == (0, "drew sweep.png\n")
    over = {"bits": [8, 10], ("rounding", "update_rounding"): [("floor", "floor"), ("half_up", "stochastic")]}
    assert json.loads(out) == sweep(spec, over, samples=30, seeds=2).to_json()
    assert imread("sweep.png").ndim == 3


def test_the_command_prints_a_table(run: Callable[..., tuple[int, str, str]], spec: LearnerSpec) -> None:
    status, out, err = run("--over", "gradient_format=SQ(1,9),SQ(5,9)", "--samples", "30", "--seeds", "2")
    assert (status, err) == (0, "")
    found = sweep(spec, {"gradient_format": ["SQ(1,9)", "SQ(5,9)"]}, samples=30, seeds=2)
    header, rows = found.table()
    assert header == ["gradient_format", *(f"regime {n}" for n in (1, 2, 3)), "spread", "whole", "float64", "saturated"]
    lines = [line.split() for line in out.splitlines()]
    assert all(row in lines for row in rows)
    first = found.rows[0]
    assert rows[0][1] == f"{first.mse[:, 0].mean():.5f}"
    assert rows[0][4] == f"{(first.mse.mean(axis=1).max() / first.mse.mean() - 1):.0%}"
    assert rows[0][-1] == str(first.saturations["gradient"]) != "0"


def test_the_command_says_how_many_may_diverge(run: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = run("--over", "learning_rate=0.1,0.5,8", "--samples", "30")
    said = "1 of 3 learners have rates at which they may diverge with some inputs; kanrtl spec says up to where one is"
    assert (status, err) == (0, f"{said} stable\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((), "Missing option '--over'. (see kanrtl sweep --help)"),
        (("--over", "bits"), "over = 'bits': write FIELD=VALUE,VALUE such as learning_rate=0.1,0.2"),
        (("--over", "seed=1", "--over", "seed=2"), "--over = 'seed=2': an axis of its own again; give all values in"),
        (("--over", "seed=1", "--plot", "a.txt"), "plot: 'a.txt': unknown kind of picture; end its name in .png"),
        (
            (
                *(part for field in ("seed", "bits", "grid_size", "loss") for part in ("--over", f"{field}=9")),
                "--plot",
                "a.png",
            ),
            "--plot = 'a.png': draws up to 3 axes, here are 4; leave it out",
        ),
        (
            ("--over", "seed=1", "--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"),
            "--jobs = 2: with --scheduler the cluster has its own; leave it out",
        ),
        (("--over", "grid_size=8,9999"), "over grid_size = 9999: grid_size = 9999: must be 4096 or less"),
    ],
)
def test_the_command_refuses_in_one_line(
    arguments: tuple[str, ...], line: str, run: Callable[..., tuple[int, str, str]]
) -> None:
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"kanrtl: {line}")
    assert err.count("\n") == 1
    assert not list(Path().glob("a.*"))


KILLED = """
import multiprocessing, os, signal
from concurrent.futures import ProcessPoolExecutor
from kanrtl.experiments.runs import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_processes_end_with_the_one_that_started_them(tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)
    done = subprocess.run([sys.executable, "killed.py"], cwd=tmp_path, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    assert wait_for(lambda: not is_running(int(done.stdout)))
