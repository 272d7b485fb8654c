"""The compiled simulation: bit for bit and cycle for cycle what the others do, and what happens where it cannot be."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from kanrtl import InputError, Learner, LearnerSpec, connect
from kanrtl.cache import WORK
from kanrtl.cli import main
from kanrtl.errors import ToolError
from kanrtl.sessions.backend import LearnerBackend
from kanrtl.sessions.backends.model import ModelLearner
from kanrtl.sessions.backends.native import NativeLearner, _identify
from kanrtl.sessions.backends.pysim import PysimLearner
from kanrtl.sim import TASKS
from kanrtl.simulators import cxxrtl as made
from kanrtl.simulators.shared_library import load_library
from kanrtl.simulators.split_eval import split_eval
from kanrtl.tools.toolchain import Tool
from kanrtl.verilog.learner_header import learner_header
from kanrtl.verilog.write import write_verilog
from support.strategies import codes_in, specs
from support.tiers import thorough
from support.verilator_backend import VerilatorBackend, compile_learner
from support.waveforms import read

# More than 64 bits in a sample.
WIDE = LearnerSpec(
    layer_sizes=[3, 2],
    grid_range=(-2, 2),
    grid_size=3,
    spline_order=1,
    table_size=4,
    activation_format="SQ(4, 16)",
    coefficient_format="SQ(3, 12)",
)
TRACED = LearnerSpec(
    layer_sizes=[2, 1, 1],
    grid_range=(-2, 2),
    grid_size=3,
    spline_order=1,
    table_size=4,
    activation_format="SQ(3, 8)",
    teaching="after_prediction",
    learning_rate=0.5,
)

# Its memories have one row, and no address.
ONE_CELL = LearnerSpec(
    layer_sizes=[1, 2],
    grid_range=(-2, 2),
    grid_size=1,
    table_size=4,
    activation_format="SQ(4, 8)",
    coefficient_format="SQ(5, 3)",
    basis_format="UQ(1, 6)",
    learning_rate=1.0,
    rounding="floor",
    update_rounding="floor",
    pipeline="no_registers",
    share_multipliers=True,
)

pytestmark = pytest.mark.usefixtures("compiled")


def story(backend: LearnerBackend, seed: int) -> list[Any]:
    """Everything that comes out of a backend to which everything is done that can be; then it is closed."""
    spec, random = backend.spec, np.random.default_rng(seed)
    formats = spec.formats

    def batch(count: int) -> Any:
        low, high = spec.per_layer("grid_range")[0]
        x = formats.input.quantise(random.uniform(1.2 * low - 0.2, 1.2 * high + 0.2, (count, spec.n_in)))
        teaching = codes_in(spec.target_format, random, (count, spec.n_out))
        return backend.run(x, teaching, random.random(count) < 0.8).tolist()

    def state() -> list[Any]:
        coefficients = [layer.tolist() for layer in backend.read_coefficients()]
        return [coefficients, backend.read_learning_rates(), backend.read_noise(), backend.read_saturations()]

    told: list[Any] = [state(), batch(9), batch(0), batch(1), state()]
    backend.write_frozen(True)
    told += [batch(3), backend.read_frozen()]
    backend.write_frozen(False)
    shapes = [layer.shape for layer in backend.read_coefficients()]
    backend.write_coefficients(
        [codes_in(own.coefficient, random, shape) for own, shape in zip(formats.layers, shapes, strict=True)]
    )
    rates = [int(random.integers(register.format.maximum + 1)) for register in spec.rate_registers]
    backend.write_learning_rates(rates)
    told += [batch(6), state()]
    backend.close()
    return told


@pytest.mark.thorough
# Not shrunk: every example is compiled twice, and a failure's seed and spec are printed as they are.
@settings(
    max_examples=2,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[phase for phase in Phase if phase not in (Phase.shrink, Phase.explain)],
)
@given(spec=specs(max_edges=4), seed=st.integers(0, 2**32 - 1))
def test_model_simulator_machine_code_and_verilog_are_one(
    spec: LearnerSpec, seed: int, runtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sample = spec.n_in * spec.formats.input.width + spec.n_out * spec.target_format.width + 1
    assume(sample <= 64)  # as far as the test's own driver of Verilator goes
    expected = story(ModelLearner(spec), seed)
    pysim, native = PysimLearner(spec), NativeLearner(spec)
    assert story(pysim, seed) == expected
    cycles, observed = native.cycles, native.observed
    assert cycles == 0
    assert not any(observed.values())
    end = _status_at_the_end(native, seed)
    assert end == (expected, pysim.cycles, pysim.observed)
    folder = tmp_path_factory.mktemp("verilator")
    learner = Learner(spec)
    write_verilog(learner, "learner", folder / "learner.v", header=learner_header(learner))
    program = compile_learner(folder / "learner.v", runtime, folder)
    assert story(VerilatorBackend(spec, program, folder / "learner.v"), seed) == expected


@pytest.mark.thorough
def test_memories_of_one_row() -> None:
    expected = story(ModelLearner(ONE_CELL), 0)
    assert story(NativeLearner(ONE_CELL), 0) == expected
    before, after = expected[0][0], expected[4][0]
    assert before != after  # something was learned


def _status_at_the_end(native: NativeLearner, seed: int) -> tuple[Any, ...]:
    """What is told, and the clock when it is closed."""
    seen: list[Any] = []
    close = native.close

    def closing() -> None:
        seen.extend([native.cycles, native.observed])
        close()

    native.close = closing  # type: ignore[method-assign]
    return (story(native, seed), *seen)


@pytest.mark.thorough
def test_track_equals_the_model_to_the_last_coefficient(tracker: LearnerSpec) -> None:
    task = TASKS["track"](6000, 1)
    with connect(tracker, "native") as native, connect(tracker) as model:
        assert np.array_equal(native.learn_many(task.x, task.target), model.learn_many(task.x, task.target))
        assert np.array_equal(native.coefficients[0], model.coefficients[0])
        assert native.status["saturations"] == model.status["saturations"]
        assert native.status["observed"]["interval"] == [tracker.interval]


@pytest.mark.thorough
def test_learners_are_independent() -> None:
    """Two learners of one library."""
    x, target = samples(50)
    with connect(WIDE, "native") as one, connect(WIDE, "native") as other, connect(WIDE) as model:
        first = one.learn_many(x, target)
        assert not np.array_equal(one.coefficients[0], other.coefficients[0])
        assert np.array_equal(other.learn_many(x, target), first)
        assert np.array_equal(model.learn_many(x, target), first)
        one.close()
        assert np.array_equal(other.coefficients[0], model.coefficients[0])
        with pytest.raises(RuntimeError, match="closed"):
            one.predict([0, 0, 0])


def samples(count: int) -> tuple[Any, Any]:
    """For :data:`WIDE`."""
    random = np.random.default_rng(3)
    return random.uniform(-2, 2, (count, 3)), random.uniform(-1, 1, (count, 2))


@pytest.mark.thorough
def test_an_interrupted_run_leaves_a_learner_at_rest(interrupt: Callable[[Any], None]) -> None:
    x, target = samples(20)
    with connect(WIDE, "native") as native, connect(WIDE) as model:
        interrupt(native)
        with pytest.raises(KeyboardInterrupt):
            native.learn_many(x, target)
        # The samples that were taken are learned, and no others.
        taken = 0
        while taken < 10 and not np.array_equal(native.coefficients[0], model.coefficients[0]):
            model.learn(x[taken], target[taken])
            taken += 1
        assert 0 < taken < 10
        assert np.array_equal(native.learn_many(x, target), model.learn_many(x, target))


# The cache


def test_what_was_compiled_is_found_again_without_elaborating(monkeypatch: pytest.MonkeyPatch) -> None:
    def elaborated(_: LearnerSpec) -> None:
        raise ToolError("was elaborated")

    connect(WIDE, "native").close()
    monkeypatch.setattr("kanrtl.sessions.backends.native.Learner", elaborated)
    said: list[str] = []
    with connect(WIDE, "native", progress=said.append) as learner:
        assert not learner.predict([0, 0, 0]).any()
    assert not said
    monkeypatch.setenv("CXXFLAGS", "-O0 -fno-sanitize=all -DANOTHER")
    with pytest.raises(ToolError, match="was elaborated"):
        connect(WIDE, "native")


def test_what_another_way_of_splitting_made_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(WIDE, "native").close()
    monkeypatch.setattr(made, "SPLIT_EDITION", "another")
    monkeypatch.setattr(Tool, "run", lambda *_, **__: (_ for _ in ()).throw(ToolError("was made again")))
    with pytest.raises(ToolError, match="was made again"):
        connect(WIDE, "native")


@pytest.mark.thorough
def test_a_seed_counts_where_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimators take another one for each fit."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=2, spline_order=1, table_size=4)
    fixed = spec.replace(update_rounding="half_up")
    connect(fixed, "native").close()

    def elaborated(_: LearnerSpec) -> None:
        raise ToolError("was elaborated")

    monkeypatch.setattr("kanrtl.sessions.backends.native.Learner", elaborated)
    connect(fixed.replace(seed=7), "native").close()
    for drawn in (spec.replace(seed=7), fixed.replace(seed=7, initial_coefficients="uniform")):
        with pytest.raises(ToolError, match="was elaborated"):
            connect(drawn, "native")


@pytest.mark.parametrize("damage", [thorough("cut"), "changed", thorough("no sum")])
def test_a_damaged_entry_is_made_again(
    damage: str, simulations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(WIDE, "native").close()
    # Another process of this run may be making an entry.
    shutil.copytree(simulations, tmp_path / "cache", ignore=shutil.ignore_patterns(f"{WORK}*"))
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path / "cache"))
    for library in (tmp_path / "cache").glob("simulations/*/dut.so"):
        content = library.read_bytes()
        if damage == "no sum":
            library.with_name("sha256").unlink()
        else:
            library.write_bytes(content[:1000] if damage == "cut" else content[:-1] + b"?")
    monkeypatch.setattr(Tool, "run", lambda *_, **__: (_ for _ in ()).throw(ToolError("was made again")))
    with pytest.raises(ToolError, match="was made again"):
        connect(WIDE, "native")


def test_a_long_function_is_cut_without_a_statement_lost() -> None:
    lines = ["\ta = b;", "\tauto tmp_0 = memory_index(c, 0, 3);", "\tif(tmp_0.valid) {", "\t\td = e;", "\t}"] * 300
    text = (
        "struct p_dut {\n\tp_dut(interior) {}\n};\n"
        "bool p_dut::eval(performer *performer) {\n\tbool converged = true;\n"
        "\tbool posedge_p_clk = this->posedge_p_clk();\n\t// why\n\tvalue<3> local;\n"
        + "\n".join(lines)
        + "\n\treturn converged;\n}\nend\n"
    )
    cut = split_eval(text)
    parts = re.findall(
        r"^void p_dut::part\d+\(bool posedge_p_clk\) \{\n\t\(void\)posedge_p_clk;\n(.*?)^\}", cut, re.M | re.S
    )
    assert len(parts) > 3
    assert [line for part in parts for line in part.splitlines()] == lines
    assert all(part.count("auto") == part.count("\n\t}") for part in parts)
    assert cut.index("value<3> local;") < cut.index("p_dut(interior)")
    assert cut.endswith("\treturn true;\n}\nend\n")
    assert split_eval("something else") == "something else"


# What goes wrong is told in one line


def test_without_a_compiler_both_ways_to_one_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(made.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ToolError) as failure:
        connect(WIDE, "native")
    assert str(failure.value) == (
        'backends "native" and "compiled" need a C++ compiler: install c++ or clang++ (or name one in CXX), '
        "or run `pip install kanrtl[native]`"
    )


def test_ziglang_is_used_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(made.importlib.util, "find_spec", lambda _: object())
    monkeypatch.setattr(made.importlib.metadata, "version", lambda _: "9.9")
    compiler = made.Compiler.find()
    assert compiler.command[1:] == ("-m", "ziglang", "c++")
    assert compiler.identity == "ziglang 9.9"


def test_flags_that_are_no_words_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXXFLAGS", "-O2 'a")
    line = r"^CXXFLAGS=-O2 'a is no list of words \(No closing quotation\): correct it, or unset it$"
    with pytest.raises(ToolError, match=line):
        made.find_flags()
    with pytest.raises(ToolError, match=line):
        load_library(Path("none.cc"))


@pytest.mark.parametrize(
    ("cxx", "line"),
    [
        ('g++ "', 'CXX=g++ " is no list of words (No closing quotation): correct it, or unset it'),
        ("no-such-compiler", "CXX=no-such-compiler is not a program: correct it, or unset it to use another C++"),
        ("false", "C++ compiler false failed: return code 1 (log: "),
    ],
)
def test_a_compiler_that_does_not_work(cxx: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", cxx)
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path))
    with pytest.raises(ToolError) as failure:
        connect(WIDE, "native")
    assert str(failure.value).startswith(line)
    assert "\n" not in str(failure.value)
    if failure.value.log:
        assert failure.value.log.is_file()


# Waveforms


def traced(spec: LearnerSpec, backend: str, path: Path) -> Any:
    random = np.random.default_rng(5)
    x, target = random.uniform(-2, 2, (12, 2)), random.uniform(-1, 1, (12, 1))
    with connect(spec, backend, trace=path) as learner:
        predictions = learner.learn_many(x, target)
        learner.predict([1, -1])
        assert not path.exists()
        cycles = learner.backend.cycles
    return predictions, cycles


@pytest.mark.thorough
def test_both_simulators_give_the_same_waveforms(tmp_path: Path) -> None:
    results = [traced(TRACED, backend, tmp_path / f"{backend}.vcd") for backend in ("pysim", "native")]
    assert np.array_equal(results[0][0], results[1][0])
    assert results[0][1] == results[1][1]
    pysim, native = ((tmp_path / f"{backend}.vcd").read_text() for backend in ("pysim", "native"))
    assert pysim == native
    views = [(tmp_path / f"{backend}.gtkw").read_text() for backend in ("pysim", "native")]
    assert views[0].replace("pysim", "native") == views[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["native.gtkw", "native.vcd", "pysim.gtkw", "pysim.vcd"]


def test_waveforms_say_what_happened(tmp_path: Path) -> None:
    predictions, cycles = traced(TRACED, "pysim", tmp_path / "a.vcd")
    kinds, changes = read(tmp_path / "a.vcd")
    assert kinds["learner.predictions.y_0"] == "real"
    assert kinds["learner.predictions.y_0_code"] == "wire"
    assert kinds["learner.samples.x_1"] == "real"
    for layer in (0, 1):
        assert f"learner.layer{layer}.coefficients.write_0_0_1" in kinds
    seen = [value for _, value in changes["learner.predictions.y_0"]]
    changed = [
        value for value, before in zip(predictions[:, 0], [0, *predictions[:-1, 0]], strict=True) if value != before
    ]
    assert seen[1 : len(changed) + 1] == changed
    # The clock runs through, and everything else changes with its edges.
    rises = [time for time, value in changes["learner.clk"] if value == "1"]
    assert rises == [10 * edge for edge in range(1, cycles)]
    others = {time for name, list_ in changes.items() if name != "learner.clk" for time, _ in list_}
    assert others <= {0, *rises}
    updates = [time for time, value in changes["learner.updated"] if value == "1"]
    assert len(updates) == 12
    view = (tmp_path / "a.gtkw").read_text()
    assert '[dumpfile] "a.vcd"' in view
    shown = [line for line in view.splitlines() if line.startswith("learner.")]
    assert shown.index("learner.samples.x_0") < shown.index("learner.predictions.y_0")
    assert {re.sub(r"\[\d+:0\]$", "", name) for name in shown} <= set(kinds)


@pytest.mark.parametrize(
    ("name", "backend", "line"),
    [
        ("a.fst", "pysim", "trace = '{}': waveforms are written as VCD; name a file that ends in .vcd"),
        ("none/a.vcd", "native", "trace = '{}': there is no folder '{folder}/none'; make it first"),
        ("a.vcd", "model", 'trace: backend "model" has no signals; use "pysim" or "native"'),
    ],
)
def test_a_trace_that_cannot_be(name: str, backend: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / name
    with pytest.raises(InputError) as failure:
        connect(WIDE, backend, trace=path)
    assert str(failure.value) == line.format(path, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_simulate_on_the_command_line(
    spec_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["simulate", str(spec_file()), "--samples", "60", "--backend", "pysim", "--json"]
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--trace", str(tmp_path / "run.vcd")])
    assert left.value.code == 0
    output = capsys.readouterr()
    assert json.loads(output.out)["mismatches"] == 0
    assert "run.gtkw" in output.err.replace("\n", "")
    assert (tmp_path / "run.vcd").stat().st_size > 10_000
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--trace", str(tmp_path / "run.fst")])
    assert left.value.code == 2
    assert "waveforms are written as VCD" in capsys.readouterr().err


@pytest.mark.parametrize("fields", [{}, {"initial_coefficients": "uniform"}])
def test_what_is_drawn_from_a_seed_is_compiled_for_it(fields: dict[str, Any]) -> None:
    """Several layers begin with random coefficients unless the spec says otherwise."""
    spec = LearnerSpec(layer_sizes=[1, 1, 1], grid_range=(-2, 2), update_rounding="half_up", **fields)
    assert _identify(spec) != _identify(spec.replace(seed=1))
    zeros = spec.replace(initial_coefficients="zeros")
    assert _identify(zeros) == _identify(zeros.replace(seed=1))
