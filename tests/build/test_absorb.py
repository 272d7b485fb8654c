"""Registers moved into ECP5's multipliers and block memories: when, when not, and that nothing else changes."""

import copy
import json
import re

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from kanrtl.build import Device, build_core
from kanrtl.build.absorb import absorb_registers
from kanrtl.build.netlist import parse_netlist
from kanrtl.build.timing import honest_fmax
from kanrtl.tools.toolchain import YOSYS
from support.block_twins import multiplier_twin, twin

CLOCK, ENABLE, RESET, OTHER = 2, 3, 4, 5


def cell(kind, outputs, parameters=None, **pins):
    connections = {pin: [bit] for pin, bit in pins.items()}
    directions = {pin: "output" if pin in outputs else "input" for pin in pins}
    return {
        "type": kind,
        "parameters": dict(parameters or {}),
        "attributes": {},
        "port_directions": directions,
        "connections": connections,
    }


def flip_flop(d, q, parameters=None, **pins):
    """As yosys makes it: without an enable, and with a reset that is never active."""
    plain = {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"}
    return cell("TRELLIS_FF", ["Q"], plain | (parameters or {}), **({"CLK": CLOCK, "LSR": "0"} | pins), DI=d, Q=q)


def gated_flip_flop(d, q):
    return flip_flop(d, q, {"CEMUX": "CE"}, CE=ENABLE)


def product(registers, parameters=None, **pins):
    """A multiplier with outputs 10, 11 and 12, of which ``registers`` hold the first two; the third is not used."""
    block = cell("MULT18X18D", ["P0", "P1", "P2"], parameters, A0=6, B0=7, P0=10, P1=11, P2=12, **pins)
    cells = {"multiplier": block} | {f"ff{index}": register for index, register in enumerate(registers)}
    outputs = {"direction": "output", "bits": [20, 21]}
    inputs = {name: {"direction": "input", "bits": [bit]} for name, bit in {"clk": CLOCK, "a": 6, "b": 7}.items()}
    return {"ports": {**inputs, "o": outputs}, "cells": cells}


PLAIN = [flip_flop(10, 20), flip_flop(11, 21)]


def test_registers_of_a_product_go_into_the_multiplier():
    module = product(PLAIN)
    assert absorb_registers(module) == 2
    assert set(module["cells"]) == {"multiplier"}
    block = module["cells"]["multiplier"]
    assert block["connections"] == {
        "A0": [6],
        "B0": [7],
        "P0": [20],
        "P1": [21],
        "P2": [12],
        "CLK0": [CLOCK],
        "CE0": ["1"],
        "RST0": ["0"],
    }
    assert block["parameters"]["REG_OUTPUT_CLK"] == "CLK0"
    assert block["parameters"]["GSR"] == "DISABLED"
    assert block["port_directions"]["CLK0"] == "input"
    assert absorb_registers(module) == 0


def test_the_global_reset_of_the_registers_is_kept():
    module = product([flip_flop(10, 20, {"GSR": "ENABLED"}), flip_flop(11, 21, {"GSR": "ENABLED"})])
    assert absorb_registers(module) == 2
    assert module["cells"]["multiplier"]["parameters"]["GSR"] == "ENABLED"


@pytest.mark.parametrize(
    "registers",
    [
        pytest.param([], id="none"),
        pytest.param([*PLAIN, flip_flop(10, 22)], id="two for one bit"),
        pytest.param([*PLAIN, cell("LUT4", ["Z"], A=10, Z=22)], id="a bit goes elsewhere too"),
        pytest.param([PLAIN[0], cell("LUT4", ["Z"], A=11, Z=21)], id="a bit goes elsewhere only"),
        pytest.param([PLAIN[0], cell("TRELLIS_FF", ["Q"], M=11, Q=21)], id="not the data input"),
        pytest.param([PLAIN[0], flip_flop(11, 21, CLK=OTHER)], id="another clock"),
        pytest.param([flip_flop(bit, bit + 10, {"CLKMUX": "INV"}) for bit in (10, 11)], id="falling edge"),
        pytest.param([flip_flop(bit, bit + 10, LSR=RESET) for bit in (10, 11)], id="reset"),
        pytest.param([flip_flop(bit, bit + 10, {"LSRMUX": "INV"}) for bit in (10, 11)], id="reset upside down"),
        pytest.param([PLAIN[0], flip_flop(11, 21, {"REGSET": "SET"})], id="begins as one"),
        pytest.param([PLAIN[0], flip_flop(11, 21, {"GSR": "ENABLED"})], id="different global resets"),
        pytest.param([PLAIN[0], gated_flip_flop(11, 21)], id="different enables"),
        pytest.param([gated_flip_flop(10, 20), gated_flip_flop(11, 21)], id="gated"),
        pytest.param([flip_flop(bit, bit + 10, {"CEMUX": "INV"}, CE=ENABLE) for bit in (10, 11)], id="gated low"),
    ],
)
def test_registers_that_a_multiplier_cannot_take(registers):
    module = product(copy.deepcopy(registers))
    before = copy.deepcopy(module)
    assert absorb_registers(module) == 0
    assert module == before


def test_output_at_a_port_stays():
    module = product(copy.deepcopy(PLAIN))
    module["ports"]["DI"] = {"direction": "output", "bits": [10]}
    assert absorb_registers(module) == 0


@pytest.mark.parametrize("stage", ["INPUTA", "INPUTB", "INPUTC", "PIPELINE", "OUTPUT"])
def test_multiplier_with_registers_is_left_alone(stage):
    module = product(copy.deepcopy(PLAIN), {f"REG_{stage}_CLK": "CLK0"}, CLK0=CLOCK)
    assert absorb_registers(module) == 0


@pytest.mark.parametrize("stage", ["INPUTA", "INPUTB"])
def test_multiplier_between_registers_stays_unverified(stage):
    """The pass does not make what nextpnr does not time, and what is made by hand is still noticed."""
    module = product(copy.deepcopy(PLAIN))
    absorb_registers(module)
    assert honest_fmax(parse_netlist({"modules": {"top": module}}, "top"), 180.0)[:2] == (180.0, "measured")
    module["cells"]["multiplier"]["parameters"][f"REG_{stage}_CLK"] = "CLK0"
    assert honest_fmax(parse_netlist({"modules": {"top": module}}, "top"), 180.0)[:2] == (None, "unverified")


def word(registers, *, width=18, parameters=None, **pins):
    """A memory that is read at side B, with ``registers`` at one of its outputs, or two if it is 36 bits wide."""
    settings = {"DATA_WIDTH_B": f"{width:032b}", "GSR": "DISABLED", "REGMODE_A": "NOREG", "REGMODE_B": "NOREG"}
    fixed = {"CLKB": CLOCK, "CEB": OTHER, "OCEA": "0", "OCEB": "1", "RSTB": "0"}
    outputs = ["DOA0", "DOB0"]
    block = cell("DP16KD", outputs, settings | (parameters or {}), **(fixed | pins), DOA0=10, DOB0=11)
    cells = {"memory": block} | {f"ff{index}": register for index, register in enumerate(registers)}
    return {"ports": {}, "cells": cells}


@pytest.mark.parametrize(("register", "enable"), [(flip_flop, "1"), (gated_flip_flop, ENABLE)])
def test_registers_of_a_word_go_into_the_memory(register, enable):
    module = word([register(11, 21), cell("LUT4", [], A=21)])
    assert absorb_registers(module) == 1
    block = module["cells"]["memory"]
    assert (block["parameters"]["REGMODE_A"], block["parameters"]["REGMODE_B"]) == ("NOREG", "OUTREG")
    assert [block["connections"][pin] for pin in ("DOB0", "OCEA", "OCEB", "CEB")] == [[21], ["0"], [enable], [OTHER]]


def test_wide_word_has_one_register():
    module = word([flip_flop(10, 20), flip_flop(11, 21)], width=36)
    assert absorb_registers(module) == 2
    block = module["cells"]["memory"]
    assert (block["parameters"]["REGMODE_A"], block["parameters"]["REGMODE_B"]) == ("OUTREG", "OUTREG")
    assert (block["connections"]["OCEA"], block["connections"]["OCEB"]) == (["1"], ["1"])
    assert absorb_registers(word([flip_flop(10, 20), cell("LUT4", ["Z"], A=11, Z=21)], width=36)) == 0


def test_memory_of_the_other_kind():
    block = cell("PDPW16KD", ["DO0"], {"GSR": "DISABLED"}, CLKR=CLOCK, RST="0", OCER="1", DO0=10)
    module = {"ports": {}, "cells": {"memory": block, "ff": flip_flop(10, 20)}}
    assert absorb_registers(module) == 1
    assert block["parameters"]["REGMODE"] == "OUTREG"


def test_memory_blocks_bound_the_clock():
    """Without the way out of the block, paths can become shorter than the block's own pulse."""
    module = word([flip_flop(11, 21)])
    absorb_registers(module)
    netlist = parse_netlist({"modules": {"top": module}}, "top")
    limits = {name: Device.parse(name).bram_mhz for name in ("LFE5U-85F-6", "LFE5U-85F-8", "iCE40UP5K")}
    assert limits == {
        "LFE5U-85F-6": pytest.approx(212, abs=1),
        "LFE5U-85F-8": pytest.approx(270, abs=1),
        "iCE40UP5K": None,
    }
    limit = limits["LFE5U-85F-6"]
    assert honest_fmax(netlist, 200.0, limit) == (200.0, "measured", [])
    fmax, kind, notes = honest_fmax(netlist, 230.0, limit)
    assert (fmax, kind) == (limit, "measured")
    assert "230.0 MHz" in notes[0]
    without = parse_netlist({"modules": {"top": product(copy.deepcopy(PLAIN))}}, "top")
    assert honest_fmax(without, 230.0, limit) == (230.0, "measured", [])


@pytest.mark.parametrize(
    "pins",
    [
        pytest.param({"CLKB": OTHER}, id="another clock"),
        pytest.param({"RSTB": RESET}, id="reset"),
        pytest.param({"parameters": {"CLKBMUX": "INV"}}, id="falling edge"),
        pytest.param({"parameters": {"REGMODE_B": "OUTREG"}}, id="has one"),
        pytest.param({"parameters": {"GSR": "ENABLED"}}, id="another global reset"),
    ],
)
def test_registers_that_a_memory_cannot_take(pins):
    module = word([flip_flop(11, 21)], **pins)
    before = copy.deepcopy(module)
    assert absorb_registers(module) == 0
    assert module == before


# The tools.


class Products(wiring.Component):
    """Registered products, whole, in part, and one that is used before its register as well; and a registered word."""

    a: In(signed(7))
    b: In(signed(6))
    address: In(10)
    enable: In(1)
    o: Out(signed(13))
    high: Out(signed(8))
    mixed: Out(signed(13))
    word: Out(9)

    def elaborate(self, platform):
        m = Module()
        m.submodules.rom = rom = memory.Memory(
            shape=9, depth=1024, init=[n * n % 261 for n in range(1024)], attrs={"ram_style": "block"}
        )
        read = rom.read_port()
        a, b = Signal(signed(7), reset_less=True), Signal(signed(6), reset_less=True)
        whole, part = Signal(signed(13), reset_less=True), Signal(signed(13), reset_less=True)
        again, word = Signal(signed(13), reset_less=True), Signal(9, reset_less=True)
        direct = Signal(signed(13))
        m.d.comb += [read.addr.eq(self.address), direct.eq((a + 1) * b)]
        m.d.sync += [a.eq(self.a), b.eq(self.b), whole.eq(a * b), part.eq(a * a), again.eq(direct)]
        with m.If(self.enable):
            m.d.sync += word.eq(read.data)
        m.d.sync += [
            self.o.eq(whole),
            self.high.eq(part[4:]),
            self.mixed.eq(again ^ direct),
            self.word.eq(word + 1),
        ]
        return m


# Of the memory not what it holds, but when it is read, at side A.
MEMORY = """
    reg [17:0] latch = 0, held = 0;
    always @(posedge CLKA) begin
        if (CEA) latch <= {ADA, ~ADA[13:10]};
        if (OCEA) held <= latch;
    end
    assign DOA = REGMODE_A == "OUTREG" ? held : latch;
"""


@pytest.mark.thorough
def test_the_netlist_does_the_same_as_before(tmp_path):
    """yosys proves it for all inputs; and finds the difference where two outputs are exchanged."""
    (tmp_path / "top.il").write_text(rtlil.convert(Products(), name="top"))
    script = "read_rtlil top.il\nproc\nflatten\nopt_clean -purge\nsynth_ecp5 -top top\nwrite_json before.json\n"
    _yosys(script, tmp_path, "before.json")
    before = json.loads((tmp_path / "before.json").read_text())["modules"]["top"]
    after = copy.deepcopy(before)
    # 13 of one product, 8 of the other, and the word; 13 that are used before as well stay.
    assert absorb_registers(after) == 13 + 8 + 9
    wrong = copy.deepcopy(after)
    blocks = {}
    for block in wrong["cells"].values():
        blocks.setdefault(block["type"], block)
        if block["parameters"].get("REG_OUTPUT_CLK") == "CLK0" and "P12" in block["connections"]:
            pins = block["connections"]
            pins["P5"], pins["P6"] = pins["P6"], pins["P5"]
    for name, module in {"before": before, "after": after, "wrong": wrong}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"modules": {name: module}}))
    memory_parameters = dict.fromkeys(blocks["DP16KD"]["parameters"], 0)
    (tmp_path / "twins.v").write_text(
        multiplier_twin(blocks["MULT18X18D"]) + twin(blocks["DP16KD"], memory_parameters, MEMORY)
    )
    # Registers of one bit, so that those of both sides that hold the same are found to be the same.
    prepare = "hierarchy -top miter\nproc\nflatten\nopt -full\nsimplemap t:$dff t:$dffe t:$sdff\nopt\n"
    _yosys(
        "read_verilog -D NO_INCLUDES +/ecp5/cells_sim.v\nread_verilog -overwrite twins.v\n"
        "read_json before.json\nread_json after.json\nread_json wrong.json\n"
        f"design -push-copy\nmiter -equiv before after miter\n{prepare}"
        "sat -verify -tempinduct -maxsteps 3 -prove trigger 0 miter\n"
        f"design -pop\nmiter -equiv before wrong miter\n{prepare}"
        "sat -falsify -seq 5 -prove trigger 0 miter\n"
        "write_json proved.json\n",
        tmp_path,
        "proved.json",
    )


def _yosys(script, folder, produces):
    (folder / "script.ys").write_text(script)
    YOSYS.run(["-q", "-s", "script.ys"], folder, "yosys.log", lambda _: None, produces=[produces])


@pytest.mark.usefixtures("empty_build_cache")
@pytest.mark.thorough
def test_a_registered_product_is_faster():
    class Product(wiring.Component):
        a: In(signed(18))
        b: In(signed(18))
        o: Out(signed(36))

        def elaborate(self, platform):
            m = Module()
            a, b = Signal(signed(18), reset_less=True), Signal(signed(18), reset_less=True)
            product = Signal(signed(36), reset_less=True)
            m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b), self.o.eq(product)]
            return m

    report = build_core(Product(), device="LFE5U-85F-6")
    assert (report.dsp, report.ff, report.fmax_kind) == (1, 18 + 18 + 36, "measured")
    assert report.fmax_mhz > 170  # with the register outside 143
    assert "ff leaves out 36 registers within multipliers and memory blocks" in report.notes
    assert re.search(
        r"register \(test_absorb\.py:\d+\) -> multiplier \(test_absorb\.py:\d+\)$", report.critical_path["summary"]
    )


@pytest.fixture
def empty_build_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path / "cache"))
