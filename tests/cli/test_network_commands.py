"""Lookup networks on the command line."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import SQ, LookupNetwork
from kanrtl.build import design_builds
from kanrtl.cli import command_line
from kanrtl.lookup.quantiser import Quantiser
from kanrtl.sessions.backend import BackendKind
from kanrtl.sessions.backends.model import ModelLearner, ModelNetwork
from support.command_line import Outcome, files, noted_builds
from support.kan_checkpoints import efficient, pykan


def network(output: str = "argmax") -> LookupNetwork:
    """Two inputs of three bits, two outputs of four, in two layers."""
    table = np.arange(8) - 4
    edges = {"source": [0, 1, 1], "node": [0, 0, 1], "table": [table, table // 2, -table]}
    return LookupNetwork.of([2, 2, 2], [3, 3, 4], [0.5, 0.5, 0.25], [edges, edges], output=output)


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spec_file: Callable[..., Path],
) -> Callable[..., Outcome]:
    """A function that runs a command line in a folder with networks, samples and a spec."""
    monkeypatch.chdir(tmp_path)
    spec_file("good.toml")
    network().save("class.npz")
    network("raw").save("raw.npz")
    quantiser = Quantiser.of(2.0, 0.0, 3, 2)
    network("raw").with_quantiser(quantiser.fixed(SQ(3, 4))).save("fixed.npz")
    x = np.random.default_rng(0).uniform(-2, 2, (40, 2))
    y = network().predict(x)
    y[:10] = 1 - y[:10]
    np.savez("samples.npz", X=x, y=y)
    np.savez("no_x.npz", y=y)
    np.savez("wide.npz", X=np.ones((4, 3)))
    np.savez("real.npz", X=x, y=network("raw").predict(x) + 0.5)
    np.savez("efficient.npz", **efficient([2, 2]))
    np.savez("pykan.npz", **pykan([2, 2]))

    def run(*arguments: str) -> Outcome:
        status = command_line.run(list(arguments))
        gc.collect()  # components that were never elaborated would say so now
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (
        ("simulate", "none.npz"),
        "load: 'none.npz': No such file or directory; give a file that LookupNetwork.save wrote",
    ),
    (
        ("simulate", "samples.npz"),
        "load: 'samples.npz': not a saved network; give a file that LookupNetwork.save wrote",
    ),
    (("simulate", "class.npz", "--task", "track"), "--task = 'track': only for a learner; leave it out"),
    (("simulate", "class.npz", "--plot", "a.png"), "--plot = 'a.png': only for a learner; leave it out"),
    (
        ("simulate", "good.toml", "--data", "samples.npz"),
        "data = 'samples.npz': targets: name the columns that are to be learned; columns are 1 'X.1', 2 'X.2' "
        "and 3 'y'",
    ),
    (("simulate", "good.toml", "--latency", "3"), "--latency = 3: only for a network; leave it out"),
    (("build", "good.toml", "--whole-from", "1"), "--whole-from = 1: only for a network; leave it out"),
    (("verilog", "good.toml", "--latency", "2"), "--latency = 2: only for a network; leave it out"),
    (
        ("simulate", "class.npz", "--data", "no_x.npz"),
        "data = 'no_x.npz': has no X; give samples (n, n_in) by that name",
    ),
    (
        ("simulate", "class.npz", "--data", "wide.npz"),
        "x: shape (4, 3); must be (n, 2), or (2,) for one sample",
    ),
    (
        ("simulate", "raw.npz", "--data", "samples.npz"),
        "y: shape (40,), one label for each sample, but the network ends in 2 real numbers (stage raw); end it in "
        "labels, with --stage argmax of kanrtl convert, or give the numbers",
    ),
    (
        ("simulate", "class.npz", "--latency", "9"),
        "latency = 9: must be an integer from 1 to 7: table0, sum0.1, node0, table1, sum1.1, node1, compare1",
    ),
    (("verilog", "class.npz", "--memory", "flash"), "memory = 'flash': must be one of 'auto', 'logic', 'block'"),
    (("verilog", "class.npz", "--whole-from", "2"), "whole_from = 2: must be a layer from 0 to 1, or None"),
    (
        ("build", "class.npz", "--device", "iCE40UP5K", "--memory", "block,logic,logic"),
        "memory: 3 values; give one for all, or 2, one for each layer",
    ),
    (
        ("build", "class.npz", "--board", "colorlight-5a-75b"),
        "board: 'colorlight-5a-75b' has 1 LED(s); the check needs two or more",
    ),
    (
        ("spec", "class.npz"),
        "SPEC = 'class.npz': a file of arrays; this command takes the spec of a learner, a TOML file",
    ),
    (("convert", "efficient.npz"), "steps (--steps): give them, or samples (--data) from which they follow"),
    (("convert", "efficient.npz", "-o", "a.txt"), "--output = 'a.txt': must end in .npz"),
    (("convert", "efficient.npz", "--bits", "a,b"), "--bits = 'a,b': must be integers with commas between them"),
    (("convert", "efficient.npz", "--steps", "1;2"), "--steps = '1;2': must be numbers with commas between them"),
    (("convert", "class.npz", "--bits", "4"), "bits: not for 'network': its codes are set; leave it out"),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_refuses_in_one_line(
    arguments: tuple[str, ...], line: str, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    before = files(tmp_path)
    assert run(*arguments) == Outcome(2, "", f"kanrtl: {line}\n")
    assert files(tmp_path) == before


def test_simulate_random_codes(run: Callable[..., Outcome]) -> None:
    for name in ("class.npz", "raw.npz", "fixed.npz"):
        outcome = run("simulate", name, "--samples", "300", "--json", "--memory", "logic,block", "--latency", "3")
        assert (outcome.status, outcome.stderr) == (0, "")
        data = json.loads(outcome.stdout)
        assert (data["samples"], data["mismatches"]) == (300, 0)
        assert (data["latency"], data["interval"]) == (3, 1)
        assert data["samples_per_second"] > 0
        assert "accuracy" not in data


def test_simulate_data(run: Callable[..., Outcome], tmp_path: Path) -> None:
    outcome = run("simulate", "class.npz", "--data", "samples.npz", "--json")
    assert json.loads(outcome.stdout)["accuracy"] == 30 / 40
    outcome = run("simulate", "class.npz", "--data", "samples.npz", "--samples", "10", "--backend", "model")
    assert "accuracy" in outcome.stdout
    assert "0.0000" in outcome.stdout
    assert not outcome.stderr
    outcome = run("simulate", "class.npz", "--data", "samples.npz", "--samples", "41", "--backend", "model")
    assert outcome.stderr == "--samples = 41: samples.npz has 40; all of them are taken\n"
    outcome = run("simulate", "raw.npz", "--data", "real.npz", "--json", "--trace", "run.vcd")
    assert json.loads(outcome.stdout)["rms_error"] == pytest.approx(0.5)
    assert outcome.stderr == "traced into run.vcd; see it with `gtkwave run.gtkw`\n"
    assert "network" in (tmp_path / "run.gtkw").read_text()


def test_simulate_fails_where_the_rtl_differs(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(ModelNetwork):
        def run(self, samples: Any) -> Any:
            return super().run(samples) ^ (np.arange(len(samples)) == 2)[:, None]

    monkeypatch.setattr("kanrtl.sessions.backends.pysim.BACKEND", BackendKind(ModelLearner, Faulty))
    outcome = run("simulate", "class.npz", "--samples", "3", "--json")
    assert outcome.status == 1
    assert json.loads(outcome.stdout)["mismatches"] == 1
    assert outcome.stderr == "kanrtl: pysim differs from the integer model in 1 values; please report it\n"


def test_convert(run: Callable[..., Outcome]) -> None:
    arguments = ("convert", "efficient.npz", "--bits", "4,7", "--data", "samples.npz", "--stage", "argmax")
    outcome = run(*arguments, "-o", "made.npz", "--json")
    assert (outcome.status, outcome.stderr) == (0, "")
    told = json.loads(outcome.stdout)
    made = LookupNetwork.load("made.npz")
    with np.load("samples.npz") as content:
        assert told["accuracy"] == np.mean(made.predict(content["X"]) == content["y"])
    assert (told["network"], told["kind"], made.bits, made.output) == ("made.npz", "efficient-kan", (4, 7), "argmax")
    assert run("simulate", "made.npz", "--samples", "50", "--json").status == 0
    outcome = run("convert", "made.npz", "--stage", "threshold", "--thresholds", "1,-1", "--input-format", "SQ(2, 6)")
    assert outcome.status == 0
    assert "network to network.npz" in outcome.stdout
    assert LookupNetwork.load("network.npz").thresholds == (1, -1)


def test_convert_says_what_is_assumed(run: Callable[..., Outcome]) -> None:
    outcome = run("convert", "efficient.npz", "--steps", "0.1,0.01", "--json")
    kinds = [(note["kind"], note["field"]) for note in json.loads(outcome.stdout)["notes"]]
    assert kinds == [("assumed", "base"), ("clipped", "layers.0 tables")]
    outcome = run("convert", "efficient.npz", "--steps", "0.1,0.01")
    assert "assumed" in outcome.stdout
    assert "base = silu" in outcome.stdout
    assert "clipped" in outcome.stdout
    told = run("convert", "efficient.npz", "--steps", "0.1,9", "--base-function", "silu", "--json")
    assert json.loads(told.stdout)["notes"] == []
    outcome = run("convert", "pykan.npz", "--steps", "0.1,0.1")
    assert outcome.status == 2
    assert outcome.stderr.count("\n") == 1
    assert "base: pykan's state dict does not hold its base function" in outcome.stderr
    assert run("convert", "pykan.npz", "--steps", "0.1,0.1", "--base", "identity").status == 0


def test_verilog(run: Callable[..., Outcome], tmp_path: Path) -> None:
    assert run("verilog", "raw.npz").stdout == "wrote network.v\n"
    text = (tmp_path / "network.v").read_text()
    assert "\nmodule network(" in text
    assert "LUT4" not in text
    assert "One step of an output stands for 0.25." in text
    outcome = run("verilog", "class.npz", "--device", "LFE5U-25F", "--name", "bean", "-o", "b.v", "--json")
    assert json.loads(outcome.stdout) == {"verilog": "b.v", "top": "bean"}
    assert "LUT4" in (tmp_path / "b.v").read_text()


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    with noted_builds(monkeypatch, design_builds) as asked:
        yield asked


def test_build(run: Callable[..., Outcome], builds: list[dict[str, Any]]) -> None:
    core = ("build", "class.npz", "--device", "LFE5U-25F-6", "--latency", "3", "--seed", "5", "--frequency", "80")
    assert run(*core).stderr == ""
    options = builds.pop()
    component = options.pop("component")
    assert (component.latency, component.family) == (3, "ecp5")
    assert options == {
        "device": "LFE5U-25F-6",
        "seed": 5,
        "frequency": 80.0,
        "register_ports": False,
        "name": "network",
        "facts": {"latency_cycles": 3, "interval_cycles": 1},
        "placer": None,
        "wide_luts": False,
    }
    outcome = run("build", "class.npz", "--board", "icebreaker", "-o", "a.bin", "--json")
    assert json.loads(outcome.stdout) == {"device": "a device", "fmax": 12.5}
    options = builds.pop()
    component = options["component"]
    assert options["output"] == Path("a.bin")
    assert component.check.core.latency == options["facts"]["latency_cycles"] == 1
