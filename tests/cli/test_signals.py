"""Measured signals on the command line: learned beside other methods, and refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from rich.console import Console

from kanrtl import LearnerSpec
from kanrtl.cli import command_line, hardware_commands, learner_commands, signal_options
from kanrtl.experiments.simulate_learner import simulate
from kanrtl.experiments.sweep import sweep
from kanrtl.sim import Recording

SPEC = {"layer_sizes": [3, 1], "grid_range": [-2, 2], "learning_rate": 0.25}

OPTIONS = ("--data", "signals.csv", "--inputs", "u", "--targets", "y", "--taps", "1", "--target-taps", "1")


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command in a folder with a spec and signals."""
    monkeypatch.chdir(tmp_path)
    for module in (hardware_commands, learner_commands, signal_options):
        monkeypatch.setattr(module, "results", Console(width=120))
    Path("spec.toml").write_text("".join(f"{field} = {value}\n" for field, value in SPEC.items()))
    noise = np.random.default_rng(0)
    u = noise.uniform(3, 5, 400)
    y = np.zeros(400)
    for n in range(1, 400):
        y[n] = 0.5 * y[n - 1] + np.sin(u[n]) + 0.2 * u[n - 1]
    rows = zip(range(400), u, y, np.ones(400), strict=True)
    Path("signals.csv").write_text("t,u,y,flat\n" + "".join(f"{t},{a},{b},{c}\n" for t, a, b, c in rows))

    def run(*arguments: str) -> tuple[int, str, str]:
        status = command_line.run([*arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def recording(**changes: Any) -> Recording:
    return Recording.read("signals.csv", **{"inputs": "u", "targets": "y", "taps": 1, "target_taps": 1, **changes})


def test_simulate_learns_signals(run: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = run("simulate", "spec.toml", *OPTIONS, "--json", "--plot", "run.png")
    assert (status, err) == (0, "drew run.png\n")
    data = json.loads(out)
    found = simulate(LearnerSpec(**SPEC), recording(), "model")
    assert data == json.loads(json.dumps(found.to_json()))
    assert imread("run.png").ndim == 3
    assert (data["task"], data["samples"], data["first"], data["mismatches"]) == ("signals.csv", 399, 99, 0)
    assert data["inputs"] == ["u[n]", "u[n-1]", "y[n-1]"]
    names = [method["name"] for method in data["methods"]]
    assert names == ["kanrtl, model", "the same in float64", "NLMS", "RLS", "polynomial of degree 3, 20 terms, RLS"]
    ours, exact, nlms, rls, polynomial = (method["rms"]["y"] for method in data["methods"])
    assert ours == pytest.approx(data["mse"][1] ** 0.5)
    assert exact == pytest.approx(data["mse_float64"][1] ** 0.5)
    assert polynomial < rls / 5 < nlms
    assert ours == pytest.approx(exact, rel=0.05)
    y = recording().target[99:]
    assert data["methods"][0]["nmse"]["y"] == pytest.approx(ours**2 / np.var(y))


def test_simulate_prints_scales_and_errors_in_units(run: Callable[..., tuple[int, str, str]]) -> None:
    arguments = ("--samples", "200", "--backend", "pysim", "--first", "60", "--target-range", "-1,1")
    status, out, err = run("simulate", "spec.toml", *OPTIONS, *arguments)
    assert (status, err) == (0, "")
    task = recording(rows=201, first=60, target_range=(-1, 1))
    found = simulate(LearnerSpec(**SPEC), task, "model").to_json()
    lines = [[word for word in line.split() if word not in "│"] for line in out.splitlines()]
    u = found["scales"][0]
    assert ["u", f"{u['lowest']:.6g}", f"{u['highest']:.6g}", "-2", "to", "2", f"{u['outside_later']:.2%}"] in lines
    assert ["y", *(f"{found['scales'][2][end]:.6g}" for end in ("lowest", "highest")), "-1", "to", "1"] in [
        line[:6] for line in lines
    ]
    method = found["methods"][0]
    assert ["kanrtl,", "pysim", f"{method['rms']['y']:.4g}", f"{method['nmse']['y']:.4g}"] in lines


def test_what_goes_constant_and_what_is_told_apart(run: Callable[..., tuple[int, str, str]]) -> None:
    """A target without a variance is not said to diverge; a small range far from zero shows; names that are one are
    two; a file with fewer rows than were asked for says so."""
    u = np.random.default_rng(1).uniform(size=80)
    y = np.where(np.arange(80) < 30, u, 0.5)
    rows = "".join(f"{1e6 + a / 1000:.7f},{a},{b}\n" for a, b in zip(u, y, strict=True))
    Path("signals.csv").write_text(f"u,y,y\n{rows}")
    Path("spec.toml").write_text("layer_sizes = [1, 2]\ngrid_range = [-2, 2]\n")
    options = ("--data", "signals.csv", "--inputs", "u", "--targets", "2,3", "--first", "30", "--samples", "90")
    status, out, err = run("simulate", "spec.toml", *options)
    assert (status, err) == (0, "--samples = 90: signals.csv has 80; all of them are taken\n")
    assert "diverged" not in out
    assert "1000000.0" in out
    ours = next(line for line in out.splitlines() if line.startswith("│ kanrtl, model"))
    assert ours.split()[-2] == "-"
    data = json.loads(run("simulate", "spec.toml", *options, "--json")[1])
    assert list(data["methods"][0]["rms"]) == data["targets"] == ["y (column 2)", "y (column 3)"]


def test_a_column_that_grows_is_told_of(run: Callable[..., tuple[int, str, str]]) -> None:
    options = [word if word != "u" else "u,t" for word in OPTIONS]
    Path("spec.toml").write_text("layer_sizes = [5, 1]\ngrid_range = [-2, 2]\n")
    status, _, err = run("simulate", "spec.toml", *options)
    assert status == 0
    assert err.startswith(
        "column 't': of the samples after the first 99, 100% lie beyond the 0 to 99 by which its scale"
    )
    assert err.count("\n") == 1
    Path("spec.toml").write_text("layer_sizes = [1, 1]\ngrid_range = [-2, 2]\n")
    status, _, err = run("simulate", "spec.toml", *options)  # what counts, alone
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith("kanrtl: layer_sizes = [1, 1]: task 'signals.csv' has 5 input(s)")


def test_sweep_learns_signals(run: Callable[..., tuple[int, str, str]]) -> None:
    over = ("--over", "learning_rate=0.1,0.3", "--over", "grid_range=[-2,2],[-1,1]")
    status, out, err = run("sweep", "spec.toml", *OPTIONS, *over, "--json", "--plot", "sweep.png", "--jobs", "1")
    assert (status, err) == (0, "drew sweep.png\n")
    data = json.loads(out)
    axes = {"learning_rate": [0.1, 0.3], "grid_range": [[-2, 2], [-1, 1]]}
    assert data == json.loads(json.dumps(sweep(LearnerSpec(**SPEC), axes, recording()).to_json()))
    assert data["regimes"] == ["first part", "after it"]
    for row in data["rows"]:
        alone = simulate(
            LearnerSpec(**SPEC).replace(**row["point"] | {"grid_range": row["spec"]["grid_range"]}),
            recording(),
            "model",
        )
        assert row["mse"] == alone.to_json()["mse"]
        np.testing.assert_allclose(row["mse_float64"], alone.to_json()["mse_float64"])
    status, out, err = run("sweep", "spec.toml", *OPTIONS, "--over", "seed=1,2", "--jobs", "1", "--samples", "50")
    assert (status, err) == (0, "")
    assert "first part" in out


def test_a_learner_that_diverges_is_told_of(run: Callable[..., tuple[int, str, str]]) -> None:
    Path("spec.toml").write_text("layer_sizes = [12, 1]\ngrid_range = [-2, 2]\nlearning_rate = 1.9\n")
    options = [{"1": "10", "signals.csv": "long.csv"}.get(word, word) for word in OPTIONS]
    options[-1] = "1"
    head, *rows = Path("signals.csv").read_text().splitlines()
    Path("long.csv").write_text("\n".join([head, *rows * 6]))
    status, out, err = run("simulate", "spec.toml", *options, "--json", "--plot", "run.svg")
    warning = (
        "kanrtl: warning: learning_rate = 1.9: diverges where inputs stand still; it is stable up to 0.334: "
        "give a lower one\n"
    )
    assert (status, err) == (0, f"{warning}drew run.svg\n")
    data = json.loads(out, parse_constant=pytest.fail)
    assert data["methods"][1]["rms"] == {"y": None}
    assert data["mse_all_float64"] is None
    status, out, err = run("simulate", "spec.toml", *options)
    assert (status, err) == (0, warning)
    assert "diverged" in out
    assert f"in the learner: activation {data['saturations']['activation']}" in out
    status, out, err = run("sweep", "spec.toml", *options, "--over", "learning_rate=1.9,0.1", "--jobs", "1", "--json")
    said = "1 of 2 learners have rates at which they may diverge with some inputs; kanrtl spec says up to where one is"
    assert (status, err) == (0, f"{said} stable\n")
    wild, tame = json.loads(out, parse_constant=pytest.fail)["rows"]
    assert wild["mse_all_float64"] is None
    assert tame["mse_all_float64"] < 1


REFUSED = {
    "nothing to learn": (("--targets", "u"), "data = 'signals.csv': inputs: none; name columns, or give target_taps"),
    "unknown": (
        ("--inputs", "u,volt", "--targets", "y"),
        "data = 'signals.csv': inputs = 'volt': no such column; columns are 1 't', 2 'u', 3 'y' and 4 'flat'",
    ),
    "constant": (("--inputs", "flat", "--targets", "y"), "data = 'signals.csv': column 'flat' is constant (1 in all"),
    "a task": (("--task", "track", "--targets", "y"), "--task = 'track': with --data its signals are what is learned"),
    "sizes": (
        ("--inputs", "2", "--targets", "y", "--taps", "3"),
        "layer_sizes = [3, 1]: task 'signals.csv' has 4 input(s) (u[n], u[n-1], u[n-2], u[n-3]) and 1 output(s); use",
    ),
    "a range of one number": (
        ("--target-range", "1", "--inputs", "u", "--targets", "y"),
        "--target-range = [1.0]: must",
    ),
    "a range backwards": (
        ("--target-range", "1,-1", "--inputs", "u", "--targets", "y"),
        "data = 'signals.csv': target_range = [1.0, -1.0]: must be two numbers, the lower one first",
    ),
    "a range too narrow": (
        ("--target-range", "0,1e-9", "--inputs", "t,u", "--taps", "0", "--target-taps", "1", "--targets", "y"),
        "'y' is scaled to",
    ),
    "a range too wide": (
        ("--target-range", "-90,90", "--inputs", "t,u", "--taps", "0", "--target-taps", "1", "--targets", "y"),
        "sample 2 of 'y' is scaled to 60.9103, where SQ(6, 10) holds -32 to 31.999; give a narrower target_range",
    ),
    "too few": (
        ("--inputs", "u", "--targets", "y", "--first", "400"),
        "data = 'signals.csv': first = 400: must be 2 to",
    ),
}


@pytest.mark.parametrize(("arguments", "line"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("command", [("simulate",), ("sweep", "--over", "seed=1")])
def test_refusals(
    arguments: tuple[str, ...], line: str, command: tuple[str, ...], run: Callable[..., tuple[int, str, str]]
) -> None:
    name, *options = command
    status, out, err = run(name, "spec.toml", "--data", "signals.csv", *arguments, *options)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].removeprefix("kanrtl: ").removeprefix("over seed = 1: ").startswith(line)
    assert sum(text.startswith("kanrtl: ") for text in err.splitlines()) == 1


@pytest.mark.parametrize("command", ["simulate", "live"])
def test_a_seed_of_nothing_that_is_drawn(command: str, run: Callable[..., tuple[int, str, str]]) -> None:
    line = "kanrtl: --seed = 3: with --data nothing is drawn at random; leave it out\n"
    assert run(command, "spec.toml", "--data", "signals.csv", "--targets", "y", "--seed", "3") == (2, "", line)
