"""The Verilog file stands alone: other tools read it, and another simulator gives the model's bits."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.lib import data

from kanrtl import Learner, LearnerSpec, Session, connect
from kanrtl.errors import ToolError
from kanrtl.learner.address_map import SATURATIONS, AddressMap
from kanrtl.tools.toolchain import YOSYS
from kanrtl.verilog.learner_header import learner_header
from kanrtl.verilog.write import write_verilog
from support.tiers import only
from support.verilator_backend import VerilatorBackend, compile_learner, port_fields

SPECS = {
    "one edge, with_sample": LearnerSpec(
        layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, learning_rate=0.3, update_rounding="half_up"
    ),
    "two layers, after_prediction, stochastic": LearnerSpec(
        layer_sizes=[2, 2, 1],
        grid_range=(-2, 2),
        grid_size=3,
        spline_order=1,
        table_size=16,
        activation_format="SQ(4, 8)",
        teaching="after_prediction",
        update_rounding="stochastic",
        memory="block",
    ),
    "two layers, streaming": LearnerSpec(
        layer_sizes=[1, 2, 1],
        grid_range=(-2, 2),
        grid_size=4,
        spline_order=2,
        learning_rate=0.05,
        table_size=16,
        activation_format="SQ(4, 8)",
        schedule="streaming",
        update_rounding="stochastic",
        memory=["distributed", "block"],
    ),
}
TOOLED = only(lambda which: "one edge" in which, SPECS)
TOP = "my_learner"


@pytest.fixture(scope="module")
def verilog_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that writes the Verilog file of a spec, once."""
    written: dict[str, Path] = {}

    def write(which: str) -> Path:
        if which not in written:
            written[which] = tmp_path_factory.mktemp("verilog") / "learner.v"
            learner = Learner(SPECS[which])
            write_verilog(learner, TOP, written[which], header=learner_header(learner))
        return written[which]

    return write


@pytest.mark.parametrize("which", TOOLED)
def test_yosys_reads_and_checks_it(which: str, verilog_of: Callable[[str], Path]) -> None:
    verilog = verilog_of(which)
    script = f"read_verilog {verilog.name}; hierarchy -check -top {TOP}; proc; check -assert"
    YOSYS.run(["-q", "-p", script], verilog.parent, "check.log")
    assert "cells_sim" not in verilog.read_text()
    assert "`include" not in verilog.read_text()


@pytest.mark.parametrize("which", TOOLED)
def test_verilator_gives_the_models_bits(
    which: str, verilog_of: Callable[[str], Path], runtime: Path, tmp_path: Path
) -> None:
    spec, verilog = SPECS[which], verilog_of(which)
    program = compile_learner(verilog, runtime, tmp_path)
    random = np.random.default_rng(7)
    x = random.uniform(-2.2, 2.2, (400, spec.n_in))
    target = random.uniform(-1, 1, (400, spec.n_out))
    with Session(spec, VerilatorBackend(spec, program, verilog)) as learner, connect(spec) as model:
        for ours, initial in zip(learner.coefficients, spec.initial_codes(), strict=True):
            assert np.array_equal(ours, initial)
        assert np.array_equal(learner.learn_many(x, target), model.learn_many(x, target))
        assert np.array_equal(learner.predict_many(x[:50]), model.predict_many(x[:50]))
        for ours, theirs, initial in zip(learner.coefficients, model.coefficients, spec.initial_codes(), strict=True):
            assert np.array_equal(ours, theirs)
            assert not np.array_equal(ours, initial)
        assert learner.status["saturations"] == model.status["saturations"]
        assert model.status["saturations"]["activation"] == 0


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("which", SPECS)
def test_comment_names_the_bits_of_every_port(which: str) -> None:
    spec = SPECS[which]
    learner = Learner(spec)
    fields = port_fields("".join(f"// {line}\n" for line in learner_header(learner).splitlines()))
    ports = {
        "samples__payload": learner.samples.payload,
        "predictions__payload": learner.predictions.payload,
        "gradient": learner.gradient,
        "access__request__payload": learner.access.request.payload,
        "access__response__payload": learner.access.response.payload,
    }
    if spec.teaching == "after_prediction":
        ports["teaching__payload"] = learner.teaching.payload
    assert fields.keys() == ports.keys()
    for port, value in ports.items():
        width = Shape.cast(value.shape()).width
        covered = sum(field.put(-1) for field in fields[port].values())
        assert covered == (1 << width) - 1, port
        assert sum(field.width for field in fields[port].values()) == width, port
    sample = learner.samples.payload.shape()
    for place in range(spec.n_in):
        field = fields["samples__payload"][f"x[{place}]"]
        assert field.low == sample["x"].offset + place * spec.formats.input.width
        assert field.format == spec.formats.input
    assert fields["samples__payload"]["learn"].low == sample["learn"].offset
    assert fields["gradient"]["gradient[0]"].format == spec.formats.layers[-1].gradient
    request = learner.access.request.payload.shape()
    assert isinstance(request, data.StructLayout)
    for name, field in request:
        assert fields["access__request__payload"][name].low == field.offset


@pytest.mark.usefixtures("unelaborated")
def test_comment_tells_what_is_counted_on_demand() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), counts=["outside"])
    comment = learner_header(Learner(spec))
    assert f"  {AddressMap.of(spec).saturations('outside'):#x}  counts: outside\n" in comment
    assert "lost" not in comment


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("which", SPECS)
def test_comment_tells_timing_and_registers(which: str) -> None:
    spec = SPECS[which]
    comment = learner_header(Learner(spec))
    assert f"sample to prediction {spec.timing.prediction_latency} cycles" in comment
    assert f"sample to written update {spec.latency}," in comment
    assert f"to the next {spec.interval}." in comment
    addresses = AddressMap.of(spec)
    for layer in range(spec.n_layers):
        assert f"  {addresses.learning_rate(layer):#x}  learning rate {layer}\n" in comment
    for kind in SATURATIONS:
        assert f"  {addresses.saturations(kind):#x}  saturations: {kind}\n" in comment
    assert f"  {addresses.control:#x}  control" in comment
    stochastic = spec.update_rounding == "stochastic"
    assert (f"  {addresses.noise:#x}  noise: reads bits 31..16; " in comment) == stochastic


def test_top_module_has_the_name(verilog_of: Callable[[str], Path]) -> None:
    lines = verilog_of("one edge, with_sample").read_text().splitlines()
    assert sum(line.startswith(f"module {TOP}(") for line in lines) == 1
    assert lines[0].startswith("// kanrtl ")


def test_failure_leaves_an_old_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "learner.v"
    path.write_text("old")
    monkeypatch.setenv("YOSYS", "false")
    with pytest.raises(ToolError, match=r"^yosys failed: "):
        write_verilog(Learner(SPECS["one edge, with_sample"]), "learner", path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("learner.v", "old")]
