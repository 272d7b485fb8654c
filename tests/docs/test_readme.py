"""What README.md shows works as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

import kanrtl
from bench.render import README, render
from kanrtl.build import BuildError, build_learner
from kanrtl.lookup import initial_kan, train

PYTHON = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def example(part: str) -> str:
    """The Python example that contains ``part``."""
    (found,) = (text for text in PYTHON if part in text)
    return found


TOML = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)


def test_tables_are_those_of_the_results() -> None:
    assert render(README.read_text()) == README.read_text()


def test_session_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(example("learned.npz"), names)
    assert Path("learned.npz").exists()
    assert isinstance(names["spec"], kanrtl.LearnerSpec)


def test_native_example() -> None:
    spec = kanrtl.LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.25)
    x = np.linspace(-2, 2, 50)[:, None]
    names: dict[str, object] = {"kanrtl": kanrtl, "spec": spec, "x": x, "target": x / 2}
    exec(example("compiled to machine code"), names)
    assert np.shape(names["predictions"]) == (50, 1)


def test_estimator_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    exec(example("KANRegressor"), {})
    assert capsys.readouterr().out.startswith("MAE: ")
    assert Path("model.npz").exists()


def test_calibration_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (200, 4))
    y = (x[:, 0] > 0).astype(int)
    kan = train(initial_kan([4, 2], x), x, y, loss="cross_entropy", epochs=20).kan
    names: dict[str, object] = {"kan": kan, "x": x, "y": y}
    exec(example("found.best("), names)
    assert Path("front.png").exists()
    assert isinstance(names["network"], kanrtl.LookupNetwork)


def test_classifier_example() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (200, 4))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0.5)
    names: dict[str, object] = {"x_train": x, "y_train": y, "x_test": x, "y_test": y, "kanrtl": kanrtl}
    exec(example("LookupClassifier"), names)
    assert isinstance(names["core"], kanrtl.LookupCore)
    names["core"]._MustUse__silence = True  # it is not elaborated here


def test_freeze_and_start_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(example("start_from"), {})
    frozen, start = capsys.readouterr().out.splitlines()
    assert frozen == "lookup network 2 x 4 x 1, 6144 entries: the learner to the bit"
    assert start.startswith("learner 2 x 4 x 1: differs by ")


def test_spec_example(tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_text(TOML[0])
    assert kanrtl.LearnerSpec.from_toml(path).layer_sizes == (2, 4, 1)


def test_refusal_example() -> None:
    (shown,) = re.findall(r"^kanrtl: (device = .*)$", README.read_text(), re.MULTILINE)
    spec = kanrtl.LearnerSpec(layer_sizes=[2, 4, 1], grid_range=(-2, 2))
    with pytest.raises(BuildError) as refused:
        build_learner(spec, "LFE5U-25F")
    assert str(refused.value) == shown


def test_amaranth_example() -> None:
    spec = kanrtl.LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.5)
    m = Module()
    activation = spec.formats.activation
    names = {"kanrtl": kanrtl, "m": m, "spec": spec, "sensor": Signal(activation, init=0.5)}
    names |= {"truth": Signal(activation, init=1), "new_sample": Signal(init=1), "output": Signal(activation)}
    exec(example("m.submodules.learner"), names)
    outputs = []

    async def watch(ctx) -> None:  # type: ignore[no-untyped-def]
        for _ in range(40):
            await ctx.tick()
            outputs.append(ctx.get(names["output"]))

    simulator = Simulator(m)
    simulator.add_clock(1e-8)
    simulator.add_testbench(watch)
    simulator.run()
    assert outputs[-1] == pytest.approx(1, abs=2 * activation.lsb)
