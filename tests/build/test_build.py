"""Builds, their reports and their cache; and what the reports must not claim."""

import json
import warnings
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from kanrtl import boards
from kanrtl.build import BuildError, Device, Report, TimingError, build_board, build_cache, build_core, plan_programming
from kanrtl.build.flow import Job
from kanrtl.build.netlist import cut_unused_carries
from kanrtl.cache import CacheWarning
from kanrtl.errors import ToolError
from kanrtl.fabric.families.ice40 import MAC16_MULTIPLY_NS
from kanrtl.tools import toolchain
from kanrtl.tools.toolchain import YOSYS, Tool
from support.tiers import thorough


class MultiplyAccumulate(wiring.Component):
    """Adds the product of the two halves of ``i`` to ``o``, two cycles later."""

    i: In(stream.Signature(signed(16)))
    o: Out(signed(20))

    def elaborate(self, platform):
        m = Module()
        word, product = Signal(16), Signal(signed(16))
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += [
            word.eq(self.i.payload),
            product.eq(word[:8].as_signed() * word[8:].as_signed()),
            self.o.eq(self.o + product),
        ]
        return m


class Blinky(Elaboratable):
    """Counts on the board's LEDs."""

    def __init__(self, board):
        self.board = board

    def elaborate(self, platform):
        m = Module()
        count = Signal(24)
        button = self.board.request_button(platform)
        m.d.sync += count.eq(count + 1 + (0 if button is None else button))
        for number, led in enumerate(self.board.request_leds(platform)):
            m.d.comb += led.eq(count[-1 - number])
        return m


def unused(component):
    """``component``, which a refusal leaves unused on purpose; Amaranth warns of that otherwise."""
    component._MustUse__silence = True
    return component


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def cache(shared_cache, monkeypatch):
    """One cache for all tests, so that they build the same core once."""
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(shared_cache))
    return shared_cache


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def no_tools(monkeypatch):
    """From now on, no tool may run."""

    def refuse(*_, **__):
        raise AssertionError("a tool was run")

    def forbid():
        monkeypatch.setattr(toolchain, "run_program", refuse)

    return forbid


# What is asked for.


def test_bad_device_is_refused():
    with pytest.raises(BuildError, match=r"\Adevice: 'xc7a35t' is not known"):
        build_core(unused(MultiplyAccumulate()), device="xc7a35t")


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True, 2**31])
def test_bad_seed_is_refused(seed):
    with pytest.raises(BuildError, match=r"^seed: "):
        build_core(unused(MultiplyAccumulate()), device="LFE5U-25F-6", seed=seed)


def test_wide_luts_are_refused_where_there_are_none():
    with pytest.raises(
        BuildError, match=r"^wide_luts: True: iCE40UP5K has no multiplexers behind its LUTs; leave it out$"
    ):
        build_core(unused(MultiplyAccumulate()), device="iCE40UP5K", wide_luts=True)


@pytest.mark.parametrize("placer", ["simulated annealing", "", 1])
def test_bad_placer_is_refused(placer):
    with pytest.raises(BuildError, match=rf"^placer: {placer!r} is not known; use one of 'heap', 'static', 'sa'$"):
        build_core(unused(MultiplyAccumulate()), device="LFE5U-25F-6", placer=placer)


def test_bad_fact_is_refused():
    with pytest.raises(BuildError, match=r"^facts: 'latency' is not known"):
        build_core(unused(MultiplyAccumulate()), device="LFE5U-25F-6", facts={"latency": 2})


# Cores.


FACTS = {"latency_cycles": 2, "interval_cycles": 1}


@pytest.fixture(scope="session")
def first_build(shared_cache):
    """The report of the first build of a core, and what was said."""
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KANRTL_CACHE_DIR", str(shared_cache))
        return build_core(MultiplyAccumulate(), device="LFE5U-25F-6", facts=FACTS, progress=said.append), said


@pytest.mark.usefixtures("cache")
def test_core_on_ecp5(first_build, no_tools):
    report, said = first_build
    assert report.fmax_kind == "measured"
    assert report.fmax_mhz == report.fmax_nextpnr_mhz
    assert 50 < report.fmax_mhz < 1000
    assert report.step_ns == pytest.approx(2000 / report.fmax_mhz, abs=0.01)
    assert (report.latency_cycles, report.interval_cycles) == (2, 1)
    assert (report.dsp, report.bram, report.lutram) == (1, 0, 0)
    assert 0 < report.lut < 100
    assert 0 < report.ff < 100
    assert (report.clock_mhz, report.timing_met) == (200, None)
    assert set(report.tools) == {"yosys", "nextpnr-ecp5"}
    assert report.bitstream is None
    # On a new machine the tools are compiled in between, which is said too.
    stages = [message for message in said if "compiling its WebAssembly build" not in message]
    assert stages[-2:] == ["synthesising for LFE5U-25F-6", "placing and routing with nextpnr-ecp5, seed 1"]

    no_tools()
    said = []
    again = build_core(MultiplyAccumulate(), device="LFE5U-25F-6", facts=FACTS, progress=said.append)
    assert again == report
    assert said[-1].startswith("found in the cache: ")


@pytest.mark.usefixtures("cache", "first_build")
def test_critical_path_reads_well_and_names_no_machine():
    report = build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    path = report.critical_path
    assert path["delay_ns"] == pytest.approx(sum(hop["delay_ns"] for hop in path["hops"]), abs=0.01)
    assert path["delay_ns"] == pytest.approx(1000 / report.fmax_mhz, rel=0.01)
    assert {hop["kind"] for hop in path["hops"]} == {"logic", "routing"}
    assert "multiplier (test_build.py:" in path["summary"]
    assert "% routing, register" in path["summary"]
    assert str(Path(__file__).parent) not in json.dumps(report.to_json())


@pytest.mark.usefixtures("cache", "first_build")
def test_report_survives_json():
    report = build_core(MultiplyAccumulate(), device="LFE5U-25F-6", frequency=200, facts={"latency_cycles": 2})
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report
    labels = [label for label, _ in report.table()]
    assert labels[:5] == ["device", "fmax", "clock asked for", "latency", "one step"]


@pytest.mark.usefixtures("cache")
@pytest.mark.thorough
def test_core_on_ice40_is_derated():
    report = build_core(MultiplyAccumulate(), device="iCE40UP5K", facts={"latency_cycles": 2})
    assert report.fmax_kind == "derated"
    assert report.fmax_mhz < report.fmax_nextpnr_mhz
    segment = 1000 / report.fmax_nextpnr_mhz
    assert 1000 / report.fmax_mhz == pytest.approx(2 * segment + MAC16_MULTIPLY_NS, rel=0.01)
    assert report.step_ns == pytest.approx(2000 / report.fmax_mhz, abs=0.01)
    assert (report.dsp, report.capacity["dsp"]) == (1, 8)
    assert report.critical_path["summary"].startswith("longest path that is timed: ")
    assert any("SB_MAC16" in note for note in report.notes)


class SumOfProducts(wiring.Component):
    """The sum of two registered products: of those, yosys' own inference for iCE40 loses one."""

    a: In(signed(9))
    b: In(signed(9))
    c: In(signed(9))
    d: In(signed(9))
    o: Out(signed(20))

    def elaborate(self, platform):
        m = Module()
        first, second = Signal(signed(18), reset_less=True), Signal(signed(18), reset_less=True)
        m.d.sync += [first.eq(self.a * self.b), second.eq(self.c * self.d), self.o.eq(first + second)]
        return m


@pytest.mark.thorough
def test_no_product_is_lost_on_ice40(tmp_path):
    """yosys proves the netlist equal to what it was made from, with two factors fixed, else that takes minutes."""
    source = {"top.il": rtlil.convert(SumOfProducts(), name="top")}
    job = Job("top", source, Device.parse("iCE40UP5K"), 1, 50.0, (), bitstream=False)
    (tmp_path / "top.il").write_text(source["top.il"])
    proof = (
        "read_verilog -defer -D NO_ICE40_DEFAULT_ASSIGNMENTS +/ice40/cells_sim.v\n"
        "read_json gate.json\nread_rtlil top.il\nrename top gold\nmiter -equiv gold gate miter\n"
        "hierarchy -top miter\nproc\nflatten\nopt -full\nasync2sync\n"
        # From any state: what goes in at the first step comes out at the third.
        "sat -verify -seq 3 -prove-skip 2 -set in_rst 0 -set in_b 13 -set in_d 21 -prove trigger 0 miter\n"
        "write_json proved.json\n"
    )
    (tmp_path / "synthesis.ys").write_text(job.synthesis_script)
    YOSYS.run(["-q", "-s", "synthesis.ys"], tmp_path, "yosys.log", lambda _: None, produces=["netlist.json"])
    module = json.loads((tmp_path / "netlist.json").read_text())["modules"]["top"]
    assert sum(cell["type"] == "SB_MAC16" for cell in module["cells"].values()) == 2
    (tmp_path / "gate.json").write_text(json.dumps({"modules": {"gate": module}}))
    (tmp_path / "proof.ys").write_text(proof)
    YOSYS.run(["-q", "-s", "proof.ys"], tmp_path, "proof.log", lambda _: None, produces=["proved.json"])


@pytest.mark.usefixtures("cache")
@pytest.mark.thorough
def test_port_registers_bring_the_ports_into_the_timing():
    class Adder(wiring.Component):
        a: In(12)
        b: In(12)
        o: Out(12)

        def elaborate(self, platform):
            m = Module()
            m.d.sync += self.o.eq(self.a + self.b)
            return m

    bare = build_core(Adder(), device="LFE5U-25F-6")
    assert (bare.fmax_mhz, bare.fmax_kind, bare.ff) == (None, "none", 12)
    assert any("not timed" in note for note in bare.notes)
    timed = build_core(Adder(), device="LFE5U-25F-6", register_ports=True)
    assert timed.fmax_kind == "measured"
    assert timed.ff == 12 + 36
    assert not any("not timed" in note for note in timed.notes)


@pytest.mark.usefixtures("cache", "first_build")
def test_logs_are_kept(tmp_path):
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6", keep=tmp_path / "kept")
    assert {"yosys.log", "nextpnr.log", "report.json"} <= {path.name for path in (tmp_path / "kept").iterdir()}


@pytest.mark.usefixtures("empty_cache")
def test_what_does_not_fit_is_refused_with_numbers():
    class Multipliers(wiring.Component):
        i: In(180)
        o: Out(9 * 32)

        def elaborate(self, platform):
            m = Module()
            for n in range(9):
                a, b = self.i[n * 18 :][:16], self.i[n * 17 :][:16]
                m.d.sync += self.o[n * 32 :][:32].eq(a * b)
            return m

    line = r"^device = 'iCE40UP5K': the design needs 9 multipliers, there are 8; make it smaller, or take LFE5U-25F$"
    with pytest.raises(BuildError, match=line):
        build_core(Multipliers(), device="iCE40UP5K")


# The cache, with tools that are only pretended.


@pytest.fixture
def sham_tools(monkeypatch, empty_cache):  # noqa: ARG001  nothing pretended may reach the shared cache
    """Tools that write a canned netlist and report; yields the calls that were made."""
    calls: list[tuple[str, list[str]]] = []
    empty: dict = {"ports": {}, "cells": {}}
    netlist = {"modules": {"learner": empty, "top": empty}}
    report = {
        "fmax": {"clk": {"achieved": 40.0, "constraint": 50.0}},
        "critical_paths": [],
        "utilization": {"TRELLIS_COMB": {"used": 7}, "TRELLIS_FF": {"used": 5}},
    }

    def run(tool, arguments, cwd, log, progress, produces):  # noqa: ARG001  as Tool.run has it
        calls.append((tool.name, list(arguments)))
        content = netlist if tool is toolchain.YOSYS else report
        (cwd / log).write_text("done\n")
        for name in produces:
            (cwd / name).write_text(json.dumps(content))

    monkeypatch.setattr(Tool, "run", run)
    monkeypatch.setattr(Tool, "version", lambda _: "1.0")
    return calls


def test_everything_that_matters_is_in_the_hash(sham_tools, monkeypatch):
    def builds(**options) -> bool:
        before = len(sham_tools)
        build_core(MultiplyAccumulate(), **{"device": "LFE5U-25F-6", **options})
        return len(sham_tools) > before

    assert builds()
    assert not builds()
    assert not builds(facts={"latency_cycles": 9})
    assert builds(seed=2)
    assert builds(frequency=100)
    assert builds(placer="static")
    assert sham_tools[-1][1][-2:] == ["--placer", "static"]
    assert builds(wide_luts=True)
    assert builds(device="LFE5U-25F-7")
    assert builds(register_ports=True)
    monkeypatch.setattr(Tool, "version", lambda _: "1.1")
    assert builds()


@pytest.mark.usefixtures("sham_tools")
def test_only_a_frequency_that_was_asked_for_is_judged():
    reports = {mhz: build_core(MultiplyAccumulate(), device="LFE5U-25F-6", frequency=mhz) for mhz in (None, 30, 50)}
    assert {mhz: report.timing_met for mhz, report in reports.items()} == {None: None, 30: True, 50: False}
    assert reports[None].clock_mhz == 200
    told = {mhz: dict(report.table()).get("clock asked for") for mhz, report in reports.items()}
    assert told == {None: None, 30: "30 MHz, met", 50: "50 MHz, not met"}
    # What is in the cache is judged by what is asked for now.
    assert build_core(MultiplyAccumulate(), device="LFE5U-25F-6", frequency=200).timing_met is False


def test_a_cache_that_cannot_be_written_costs_time_alone(sham_tools, tmp_path, monkeypatch):
    expected = build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    (tmp_path / "file").touch()
    monkeypatch.setattr("kanrtl.cache._stead", {})
    monkeypatch.setattr("kanrtl.cache.tempfile.tempdir", str(tmp_path))  # what is in its stead keeps its builds
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.warns(CacheWarning, match="Not a directory; going on without it"):
        assert build_core(MultiplyAccumulate(), device="LFE5U-25F-6") == expected
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once, and what was made is found again
        assert build_core(MultiplyAccumulate(), device="LFE5U-25F-6") == expected
        build_core(MultiplyAccumulate(), device="LFE5U-25F-6", seed=2)
    assert [tool for tool, _ in sham_tools] == ["yosys", "nextpnr-ecp5"] * 2 + ["nextpnr-ecp5"]


def test_a_cache_that_can_only_be_read_is_read(sham_tools, tmp_path, monkeypatch):
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    monkeypatch.setattr("kanrtl.cache._stead", {})
    monkeypatch.setattr("kanrtl.cache.tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("kanrtl.cache._find_obstacle", lambda *_: "Read-only file system")

    def refuse(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("kanrtl.build.build_cache.os.utime", refuse)
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    with pytest.warns(CacheWarning, match="Read-only file system"):
        build_core(MultiplyAccumulate(), device="LFE5U-25F-6", seed=2)
    assert [tool for tool, _ in sham_tools] == ["yosys", "nextpnr-ecp5", "nextpnr-ecp5"]


def test_a_netlist_that_cannot_be_kept_is_no_failure(sham_tools, empty_cache, monkeypatch):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kanrtl.build.build_cache.gzip.compress", refuse)
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    assert list((empty_cache / "netlists").iterdir()) == []
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    assert [tool for tool, _ in sham_tools] == ["yosys", "nextpnr-ecp5"]


@pytest.mark.parametrize("content", ["", "{}", '{"report": {}}', '{"report": {"device": 1}}', "[]", "null", "\0"])
def test_corrupt_entry_is_rebuilt(sham_tools, empty_cache, content):
    first = build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    [entry] = (empty_cache / "builds").iterdir()
    (entry / "report.json").write_text(content)
    assert build_core(MultiplyAccumulate(), device="LFE5U-25F-6") == first
    assert [tool for tool, _ in sham_tools] == ["yosys", "nextpnr-ecp5", "nextpnr-ecp5"]
    assert [path.name for path in (empty_cache / "builds").iterdir()] == [entry.name]


def test_a_netlist_serves_every_seed_and_speed_grade(sham_tools, tmp_path):
    said: list[str] = []
    for number, (device, seed) in enumerate((("LFE5U-25F-6", 1), ("LFE5U-25F-6", 2), ("LFE5U-25F-8", 1))):
        build_core(MultiplyAccumulate(), device=device, seed=seed, progress=said.append, keep=tmp_path / str(number))
        assert (tmp_path / str(number) / "yosys.log").read_text() == "done\n"
    assert [tool for tool, _ in sham_tools] == ["yosys", "nextpnr-ecp5", "nextpnr-ecp5", "nextpnr-ecp5"]
    assert sum(line.startswith("netlist found in the cache: ") for line in said) == 2


@pytest.mark.parametrize("file", ["netlist.json.gz", "notes.json", "yosys.log"])
def test_a_damaged_netlist_is_made_again(sham_tools, empty_cache, file):
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    [entry] = (empty_cache / "netlists").iterdir()
    if file == "yosys.log":
        (entry / file).unlink()
    else:
        (entry / file).write_bytes((entry / file).read_bytes()[:-9])
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6", seed=2)
    assert [tool for tool, _ in sham_tools] == ["yosys", "nextpnr-ecp5"] * 2
    build_core(MultiplyAccumulate(), device="LFE5U-25F-6", seed=3)
    assert [tool for tool, _ in sham_tools[4:]] == ["nextpnr-ecp5"]


def test_the_netlists_used_last_are_kept(sham_tools, monkeypatch):
    def synthesises(seed: int, **options) -> bool:
        before = len(sham_tools)
        build_core(MultiplyAccumulate(), device="LFE5U-25F-6", seed=seed, **options)
        return "yosys" in [tool for tool, _ in sham_tools[before:]]

    monkeypatch.setattr(build_cache, "NETLISTS_KEPT", 2)
    assert synthesises(1)
    assert synthesises(1, register_ports=True)
    assert not synthesises(2)
    assert synthesises(1, name="top")  # now two are newer than that with registers
    assert not synthesises(3)
    assert synthesises(2, register_ports=True)


def test_failed_build_is_not_published_and_its_log_stays(empty_cache, monkeypatch):
    def fail(tool, arguments, cwd, log, progress, produces):  # noqa: ARG001  as Tool.run has it
        (cwd / log).write_text("ERROR: no\n")
        raise ToolError(f"{tool.name} failed: ERROR: no (log: {cwd / log})", cwd / log)

    monkeypatch.setattr(Tool, "run", fail)
    monkeypatch.setattr(Tool, "version", lambda _: "1.0")
    with pytest.raises(ToolError, match=r"\Ayosys failed: ERROR: no \(log: [^\n]*\)\Z") as failure:
        build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    assert failure.value.log.is_file()
    assert all(path.name.startswith("building-") for path in (empty_cache / "builds").iterdir())


@pytest.mark.usefixtures("sham_tools")
def test_only_unused_carries_are_cut(tmp_path):
    directions = {"CIN": "input", "COUT": "output"}
    cells = {
        name: {"type": "CCU2C", "port_directions": directions, "connections": {"CIN": [carry], "COUT": [carry + 1]}}
        for name, carry in (("first", 2), ("second", 3), ("other", 8))
    }
    netlist = {"modules": {"top": {"ports": {"o": {"direction": "output", "bits": [9]}}, "cells": cells}}}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps(netlist))
    cut_unused_carries(path, "top")
    after = json.loads(path.read_text())["modules"]["top"]["cells"]
    assert {name: cell["connections"]["COUT"] for name, cell in after.items()} == {
        "first": [3],
        "second": ["x"],
        "other": [9],
    }


@pytest.mark.usefixtures("sham_tools")
@pytest.mark.parametrize(
    ("changes", "cut"),
    [
        ({}, True),
        ({"CIN": ["1"]}, True),
        ({"CIN": [7]}, False),
        ({"D0": [8]}, False),
        ({"S0": [9]}, False),
        ({"INIT0": "1001011010101010"}, False),
        ({"INJECT1_0": "YES"}, False),
    ],
)
def test_only_carries_that_are_not_looked_at_are_cut(tmp_path, changes, cut):
    connections = {"CIN": ["0"], "A0": [2], "B0": [3], "C0": ["0"], "D0": ["1"], "S0": [4], "COUT": [9]}
    parameters = {"INIT0": f"{8:016b}", "INJECT1_0": "NO"}
    for name, value in changes.items():
        (connections if name in connections else parameters)[name] = value
    directions = {port: "output" if port in ("S0", "COUT") else "input" for port in connections}
    cell = {
        "type": "CCU2C",
        "port_directions": directions,
        "connections": connections,
        "parameters": parameters,
    }
    netlist = {"modules": {"top": {"ports": {"o": {"direction": "output", "bits": [9]}}, "cells": {"one": cell}}}}
    path = tmp_path / "netlist.json"
    path.write_text(json.dumps(netlist))
    cut_unused_carries(path, "top")
    after = json.loads(path.read_text())["modules"]["top"]["cells"]["one"]["connections"]
    assert after == connections | {"CIN": ["x"] if cut else connections["CIN"]}


@pytest.mark.thorough
def test_abc9_failure_is_tried_again_without(monkeypatch):
    pretend = Tool.run

    def fail_in_abc9(tool, arguments, cwd, log, progress, produces):
        if tool is toolchain.YOSYS and "abc -lut" not in (cwd / "synthesis.ys").read_text():
            (cwd / log).write_text("2.49.9. Executing ABC9 pass\n")
            raise ToolError("yosys failed", cwd / log)
        pretend(tool, arguments, cwd, log, progress, produces)

    monkeypatch.setattr(Tool, "run", fail_in_abc9)
    report = build_core(MultiplyAccumulate(), device="LFE5U-25F-6")
    assert any("ABC9 failed" in note for note in report.notes)


# Boards.


@pytest.mark.parametrize("board", boards.BOARDS.values(), ids=lambda board: board.name)
def test_board_agrees_with_its_platform(board):
    platform = board.platform()
    device = Device.parse(board.device)
    assert platform.default_clk_frequency == board.clock_mhz * 1e6
    assert board.device.upper().startswith(platform.device.upper())
    assert platform.package.upper() in board.device.upper()
    if device.family == "ecp5":
        assert platform.speed == device.nextpnr_options[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = platform.build(Blinky(board), do_build=False)
    assert "top.il" in plan.files
    # A quiet mistake here would be a bitstream for another package.
    words = plan.files["build_top.sh"].upper().split()
    package = device.nextpnr_options[device.nextpnr_options.index("--package") + 1]
    assert words[words.index("--PACKAGE") + 1] == package.upper()
    if board.uart is not None:
        assert board.platform().lookup(*board.uart) is not None


def test_board_names_are_listed():
    assert boards.get("ulx3s-85f").device == "LFE5U-85F-6BG381"
    with pytest.raises(ValueError, match=r"\Aboard: 'ulx4s' is not known; choose one of ulx3s-12f, [^\n]*\Z"):
        boards.get("ulx4s")


@pytest.mark.parametrize("name", [thorough("ulx3s-25f"), "icebreaker"])
@pytest.mark.usefixtures("cache")
def test_bitstream(name, tmp_path, no_tools):
    board = boards.get(name)
    output = tmp_path / "new" / "blinky.bit"
    report = build_board(Blinky(board), board, output=output)
    assert report.timing_met
    assert report.bitstream == str(output)
    assert output.stat().st_size > 1000
    plan_programming(board, output)
    no_tools()
    cached = Path(build_board(Blinky(board), name).bitstream)
    assert cached.read_bytes() == output.read_bytes()


@pytest.mark.usefixtures("cache")
def test_corrupt_bitstream_is_rebuilt():
    board = boards.get("icebreaker")
    bitstream = Path(build_board(Blinky(board), board).bitstream)
    good = bitstream.read_bytes()
    bitstream.write_bytes(good[:-1])
    assert Path(build_board(Blinky(board), board).bitstream).read_bytes() == good


@pytest.mark.usefixtures("sham_tools")
def test_missed_timing_is_an_error_unless_allowed():
    board = boards.get("icepi-zero")
    with pytest.raises(TimingError) as failure:
        build_board(Blinky(board), board)
    assert str(failure.value) == (
        "icepi-zero: the design reaches 40.0 MHz (measured) but the clock is 50 MHz; "
        "add pipeline registers or try another seed. Critical path: unknown"
    )
    report = build_board(Blinky(board), board, allow_timing_failure=True)
    assert not report.timing_met
    assert report == failure.value.report
