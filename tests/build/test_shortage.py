"""What a tool finds too large for a device, and what is said of it then: of a learner, of a network, of anything."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from bench.network_area import Drawn
from kanrtl import LearnerSpec
from kanrtl.boards import BOARDS
from kanrtl.build import BuildError, build_board, build_core, build_exercise, build_learner, build_network
from kanrtl.build import build_self_check as build_check
from kanrtl.build.shortage import ShortageError
from kanrtl.errors import ToolError
from kanrtl.tools import toolchain
from kanrtl.tools.toolchain import Tool

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, learning_rate=0.3)
NETWORK = Drawn((4, 2), (4, 5)).network()


class Register(wiring.Component):  # type: ignore[misc]
    """Anything, of which kanrtl knows nothing."""

    def __init__(self) -> None:
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, _: Any) -> Module:
        m = Module()
        m.d.sync += self.o.eq(self.i)
        return m


class Lit(Elaboratable):  # type: ignore[misc]
    """A design for a board of which kanrtl knows nothing."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += BOARDS["icebreaker"].request_leds(platform)[0].eq(1)
        return m


Pretend = Callable[..., None]


@pytest.fixture
def pretend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Have yosys make so many cells of a kind, and nextpnr fail with what it has printed."""
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(Tool, "version", lambda _: "1.0")

    def prepare(printed: str = "", kind: str = "", count: int = 0) -> None:
        cell = {"type": kind, "parameters": {}, "port_directions": {}, "connections": {}}
        module = {"ports": {}, "cells": {f"cell{number}": cell for number in range(count)}}
        netlist = {"modules": dict.fromkeys(("learner", "network", "top"), module)}

        def run(
            tool: Tool, arguments: list[str], cwd: Path, log: str, progress: Any, produces: list[str]
        ) -> None:  # as Tool.run has it
            del arguments, progress
            if tool is toolchain.YOSYS:
                for name in produces:
                    (cwd / name).write_text(json.dumps(netlist))
                return
            (cwd / log).write_text(printed)
            raise ToolError(f"{tool.name} failed: ERROR: Failed to expand region", cwd / log)

        monkeypatch.setattr(Tool, "run", run)

    return prepare


def utilisation(used: dict[str, int]) -> str:
    """What nextpnr prints before it places."""
    lines = [f"Info: \t{name:>20}:{count:8}/{9:7} {count * 100 // 9:5}%" for name, count in used.items()]
    return "\n".join(["Info: Device utilisation:", *lines, "", "ERROR: Failed to expand region (0, 0) |_> (7, 9)"])


def refuse(build: Callable[[], Any]) -> BuildError:
    with pytest.raises(BuildError) as refusal:
        build()
    assert "\n" not in str(refusal.value)
    return refusal.value


@pytest.mark.thorough
def test_a_placer_at_a_learner(pretend: Pretend) -> None:
    pretend(utilisation({"TRELLIS_COMB": 43_849, "MULT18X18D": 64}))
    spec = SPEC.replace(layer_sizes=[4, 2])
    said = str(refuse(lambda: build_learner(spec, "LFE5U-45F")))
    found = re.fullmatch(
        r"device = 'LFE5U-45F': the learner needs 43849 LUTs, there are 43848; "
        r"set reuse_factor = 4 \(about (\d+) LUTs, interval \d+\), or take LFE5U-85F",
        said,
    )
    assert found, said
    # What is proposed is taken to be as much larger than its estimate as this was, and fits all the same.
    estimates = [one.estimate("LFE5U-45F").lut for one in (spec.replace(reuse_factor=4), spec)]
    assert int(found[1]) == pytest.approx(estimates[0] * 43_849 / estimates[1], abs=1)


def test_a_placer_at_a_network(pretend: Pretend) -> None:
    pretend(utilisation({"ICESTORM_LC": 5281}))
    said = str(refuse(lambda: build_network(NETWORK, "iCE40UP5K")))
    assert said.startswith("device = 'iCE40UP5K': the network needs 5281 LUTs, there are 5280; ")
    assert "set --memory block (about" in said or "set --reuse-factor" in said
    assert "share_multipliers" not in said
    assert re.search(r", or take (iCE40HX8K|LFE5U-25F) \(about 5281 LUTs, interval 1\)$", said)


def test_nothing_larger_is_named_at_the_largest(pretend: Pretend) -> None:
    pretend(utilisation({"TRELLIS_COMB": 10_000_000}))
    said = str(refuse(lambda: build_network(NETWORK, "LFE5U-85F-6", reuse_factor=8)))
    assert said.startswith("device = 'LFE5U-85F-6': the network needs 10000000 LUTs, there are 83640; ")
    assert "take" not in said
    shortage = refuse(lambda: build_core(Register(), device="LFE5U-85F-6"))
    assert str(shortage) == ("device = 'LFE5U-85F-6': the design needs 10000000 LUTs, there are 83640; make it smaller")


@pytest.mark.parametrize(("kind", "count", "words"), [("SB_MAC16", 9, "multipliers"), ("SB_RAM40_4K", 31, "memory")])
def test_a_netlist(pretend: Pretend, kind: str, count: int, words: str) -> None:
    pretend(kind=kind, count=count)
    builds: dict[str, Callable[[], Any]] = {
        "learner": lambda: build_learner(SPEC, "iCE40UP5K"),
        "network": lambda: build_network(NETWORK, "iCE40UP5K"),
        "design": lambda: build_core(Register(), device="iCE40UP5K"),
    }
    for design, build in builds.items():
        said = str(refuse(build))
        assert said.startswith(f"device = 'iCE40UP5K': the {design} needs {count} {words}"), said
        assert ("share" in said) <= (design == "learner")


def test_designs_of_boards(pretend: Pretend) -> None:
    board = BOARDS["icebreaker"]
    pretend(utilisation({"ICESTORM_LC": 5300}))
    builds: dict[str, Callable[[], Any]] = {
        "learner": lambda: build_exercise(SPEC, board),
        "network": lambda: build_check(NETWORK, board),
        "design": lambda: build_board(Lit(), board),
    }
    for design, build in builds.items():
        said = str(refuse(build))
        assert said.startswith(f"device = 'iCE40UP5K-SG48': the {design} needs 5300 LUTs, there are 5280; "), said


def test_other_failures_stay_what_they_are(pretend: Pretend) -> None:
    pretend(utilisation({"ICESTORM_LC": 5279, "SB_IO": 1000}))
    with pytest.raises(ToolError, match="Failed to expand region"):
        build_core(Register(), device="iCE40UP5K")


def test_the_flow_says_what_it_knows(pretend: Pretend) -> None:
    pretend(utilisation({"ICESTORM_LC": 8000}))
    shortage = refuse(lambda: build_core(Register(), device="iCE40UP5K"))
    assert isinstance(shortage, ShortageError)
    assert (shortage.device.name, shortage.resource, shortage.needed) == ("iCE40UP5K", "lut", 8000)
    assert str(shortage).endswith("; make it smaller, or take LFE5U-25F")
