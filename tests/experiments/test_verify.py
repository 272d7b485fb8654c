"""The netlist that place and route is given, beside the model; and a netlist with a fault, which differs."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from kanrtl import LearnerSpec, LookupNetwork, SpecError
from kanrtl.boards import BOARDS
from kanrtl.bus.identification import Identification
from kanrtl.cli.command_line import run
from kanrtl.errors import InputError, ToolError
from kanrtl.experiments import verify as verifying
from kanrtl.experiments.exercise import Difference, Operation, compare_learners, draw_exercise
from kanrtl.experiments.verify import Verification, compare_linked, verify, verify_bitstream
from kanrtl.fabric.device import Device
from kanrtl.link.identification_rom import LinkedDevice
from kanrtl.sessions.backends.model import ModelLearner
from kanrtl.sessions.backends.native import NativeLearner
from kanrtl.simulators import netlist_rtlil
from kanrtl.simulators.block_models import check_blocks
from support.guarded_specs import GUARD, GUARDED
from support.lookup_networks import table
from support.tiers import thorough

SMALL = LearnerSpec(
    layer_sizes=[1, 1],
    grid_range=(-2, 2),
    grid_size=3,
    spline_order=1,
    table_size=16,
    learning_rate=0.3,
    activation_format="SQ(4, 6)",
    memory="block",
    pipeline="most_registers",
)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("device", "pipeline", "kinds"),
    [
        ("LFE5U-25F-6", "most_registers", {"LUT4", "CCU2C", "TRELLIS_FF", "DP16KD", "MULT18X18D"}),
        # Two registers behind a product, with nothing between them.
        thorough("iCE40UP5K", "all_registers", {"SB_LUT4", "SB_CARRY", "SB_RAM40_4K", "SB_MAC16"}),
    ],
)
def test_a_learners_netlist_gives_the_models_bits(device: str, pipeline: str, kinds: set[str]) -> None:
    spec = SMALL.replace(pipeline=pipeline, update_rounding="half_even")
    found = verify(spec, device, 200)
    assert found.matches
    assert kinds <= set(found.cells)
    # Each of the banks multiplies on the way forward and for its update.
    (multiplier,) = kinds & {"MULT18X18D", "SB_MAC16"}
    assert found.cells[multiplier] == 2 * (SMALL.per_layer("spline_order")[0] + 1)
    assert found.samples == 200
    assert found.observed["latency"] == [spec.for_device(Device.parse(device)).latency]


@pytest.mark.thorough
@pytest.mark.usefixtures("compiled")
def test_a_product_alone_behind_two_registers_is_not_lost() -> None:
    """That of a linear path: with 16 by 16 bits both registers would go into its SB_MAC16, and what they hold."""
    assert verify(SMALL.replace(linear=True, activation_format=None, pipeline="all_registers"), "iCE40UP5K", 40).matches


@pytest.mark.usefixtures("compiled")
def test_a_networks_netlist_gives_the_models_bits_and_a_fault_in_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block memory of a whole layer behind logic; then the same with one bit of its content inverted."""
    random = np.random.default_rng(5)
    edges = [
        {"source": [0, 1], "node": [0, 0], "table": [table(random, "smooth", 16, 12) for _ in range(2)]},
        {"source": [0], "node": [0], "table": [table(random, "noise", 64, 128)]},
    ]
    network = LookupNetwork.of([2, 1, 1], [4, 6, 8], [1, 1, 1], edges)
    options: dict[str, Any] = {"memory": ["logic", "block"], "latency": 4}
    synthesise, made = netlist_rtlil.synthesise, []

    def keep(job: Any, cwd: Path, progress: Any) -> list[str]:
        notes: list[str] = synthesise(job, cwd, progress)
        made.append((cwd / "netlist.json").read_text())
        return notes

    monkeypatch.setattr(netlist_rtlil, "synthesise", keep)
    found = verify(network, "LFE5U-25F-6", 256, **options)
    assert found.matches
    assert found.samples == 256  # of all inputs
    assert {"DP16KD", "LUT4"} <= set(found.cells)

    def damage(_job: Any, cwd: Path, _progress: Any) -> list[str]:
        design = json.loads(made[0])
        cells = [cell for _, cell in sorted(design["modules"]["dut"]["cells"].items()) if cell["type"] == "LUT4"]
        lut = next(cell for cell in cells if all(isinstance(cell["connections"][pin][0], int) for pin in "ABCD"))
        init = lut["parameters"]["INIT"]
        lut["parameters"]["INIT"] = init[:-1] + str(1 - int(init[-1]))
        (cwd / "netlist.json").write_text(json.dumps(design))
        return []

    monkeypatch.setattr(netlist_rtlil, "synthesise", damage)
    damaged = verify(network, "LFE5U-25F-6", 256, **options)
    assert damaged.difference is not None
    assert damaged.difference.what == "predictions"


def test_what_differs_between_two_learners_is_named() -> None:
    operations = draw_exercise(SMALL, 60, 3)
    assert [operation.kind for operation in operations].count("run") == 6
    assert compare_learners(ModelLearner(SMALL), ModelLearner(SMALL), operations) == (None, 60)
    again = [Operation.from_json(json.loads(json.dumps(operation.to_json()))) for operation in operations]
    assert compare_learners(ModelLearner(SMALL), ModelLearner(SMALL), again) == (None, 60)
    other = ModelLearner(SMALL.replace(rounding="floor"))
    difference, _ = compare_learners(ModelLearner(SMALL), other, operations)
    assert difference is not None
    assert difference.expected != difference.found

    class Late(ModelLearner):
        def read_saturations(self) -> dict[str, int]:
            return {kind: count + 1 for kind, count in super().read_saturations().items()}

    difference, _ = compare_learners(ModelLearner(SMALL), Late(SMALL), operations)
    assert difference is not None
    assert str(difference).startswith("counters after sample 9: ")


def test_a_guard_is_compared_too() -> None:
    """An exercise provokes it, ends its faults, and lets it look at no deadline, which a model does not know."""
    spec = GUARDED.replace(guard={**GUARD, "error": 0.5, "slot": 40})
    operations = draw_exercise(spec, 60, 0)
    assert [operation.kind for operation in operations if operation.kind in ("untimed", "release")] == [
        "untimed",
        "release",
    ]
    first, second = ModelLearner(spec), ModelLearner(spec)
    assert compare_learners(first, second, operations) == (None, 60)
    assert first.read_guard().limits["slot"] == 0
    assert sum(first.read_guard().counts.values()) > 0
    second.write_limits({"rails": 5})
    difference, _ = compare_learners(first, second, operations[:1])
    assert difference is not None
    assert difference.what == "guard"


def test_what_cannot_be_verified_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^samples = 0: must be 1 or more$"):
        verify(SMALL, "iCE40UP5K", 0)
    with pytest.raises(InputError, match="latency: not known for a learner; set it in the spec"):
        verify(SMALL, "iCE40UP5K", latency=3)
    monkeypatch.setattr(verifying, "MODELLED", ("ecp5",))
    with pytest.raises(InputError, match="there are no models of the cells of ice40; use one of ecp5"):
        verify(SMALL, "iCE40UP5K")
    cell = {"type": "DP16KD", "parameters": {"WEAMUX": "INV"}, "connections": {}}
    with pytest.raises(ToolError, match="no model of DP16KD 'a' with WEAMUX = INV"):
        check_blocks({"cells": {"a": cell}})


def test_a_difference_is_exit_status_1(
    monkeypatch: pytest.MonkeyPatch, spec_file: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    difference = Difference("predictions", 17, [3], [4])
    found = Verification("iCE40UP5K", 18, 99, 0, {"SB_LUT4": 5}, {"latency": [3]}, difference)
    monkeypatch.setattr("kanrtl.cli.verify_command.verify", lambda *_, **__: found)
    assert run(["verify", str(spec_file()), "--device", "iCE40UP5K", "--json"]) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["difference"] == {
        "what": "predictions",
        "sample": 17,
        "expected": [3],
        "found": [4],
    }
    assert captured.err == (
        "kanrtl: the netlist for iCE40UP5K differs from the model: predictions of sample 17: [4] instead of [3]\n"
    )
    told = Verification("iCE40UP5K", 40, 99, 0, {}, {}, Difference("answers", 2, [], [0]))
    monkeypatch.setattr("kanrtl.cli.verify_command.verify_bitstream", lambda *_, **__: told)
    assert run(["verify", str(spec_file()), "--board", "icebreaker"]) == 1
    line = "kanrtl: the bitstream for iCE40UP5K differs from its design: answers to burst 2: [0] instead of []\n"
    assert capsys.readouterr().err.endswith(line)
    told = Verification("iCE40UP5K", 0, 0, 0, {}, {}, None, 90, ["logic cell X1/Y2/lc3 (a)", "memory X6/Y1 (b)"])
    assert run(["verify", str(spec_file()), "--board", "icebreaker"]) == 1
    captured = capsys.readouterr()
    assert "88 of 90 logic cells and memories are those of the netlist" in captured.out
    line = "kanrtl: the bitstream for iCE40UP5K differs from its netlist: logic cell X1/Y2/lc3 (a) and 1 more\n"
    assert captured.err.endswith(line)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "--device or --board: give one of the two, what to verify it for"),
        (["--device", "iCE40UP5K", "--board", "icebreaker"], "--device or --board: give one of the two"),
        (
            ["--device", "iCE40UP5K", "--bitstream", "a.bin"],
            "--bitstream: a file is verified for a board; give --board",
        ),
        (
            ["--device", "iCE40UP5K", "--samples", "1000000000000"],
            "'--samples': 1000000000000 is not in the range 1<=x<=",
        ),
        (["--board", "nowhere"], "--board = 'nowhere': unknown; use one of "),
        (["--board", "icebreaker", "--bitstream", "none.bin"], "--bitstream = 'none.bin': is no file"),
        (
            ["--board", "ulx3s-85f"],
            "board = 'ulx3s-85f': a bitstream of ecp5 cannot be read back into logic; verify for",
        ),
        (["--device", "iCE40HX1K"], "needs 2313 or more LUTs, there are 1280; take iCE40UP5K"),
        (["--board", "icebreaker"], "multiplier = 'auto': takes 4 multipliers of the chip, which no tool reads back"),
    ],
)
def test_the_command_refuses_what_cannot_be_verified(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.toml").write_text("layer_sizes = [1, 1]\ngrid_range = [-2, 2]\nspline_order = 1\n")
    assert run(["verify", "s.toml", *arguments]) == 2
    assert line in capsys.readouterr().err


def test_a_file_that_is_no_bitstream_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"no bits")
    with pytest.raises(InputError, match=r"^bitstream = '.*a.bin': is no bitstream for iCE40; icebreaker has an "):
        verify_bitstream(SMALL.replace(multiplier="lut", memory="auto"), BOARDS["icebreaker"], 1, bitstream=path)


def test_a_bitstream_whose_registers_change_the_bits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Former versions built streaming learners with fewer registers than their spec has."""
    board = BOARDS["icebreaker"]
    spec = SMALL.replace(schedule="streaming", pipeline="auto", memory="auto")
    built = spec.for_device(Device.parse(board.device)).replace(pipeline="most_registers")
    link = SimpleNamespace(device=LinkedDevice(built, Identification.of(built)))
    monkeypatch.setattr(verifying, "HostLink", lambda *_: link)
    monkeypatch.setattr(verifying, "LinkedLearner", lambda _: SimpleNamespace(spec=built))
    line = r"^pipeline = 'auto': the bitstream has a learner with 'most_registers'; give its spec, or build it anew$"
    with pytest.raises(SpecError, match=line):
        compare_linked(spec, board, cast(Any, None), 1)


@pytest.mark.usefixtures("compiled")
@pytest.mark.thorough
@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
def test_a_sample_may_wait_for_the_guard_and_no_longer(schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SMALL.replace(schedule=schedule, pipeline="auto", guard={"window": 16, "copy_every": 1, "error": 0.25})
    spec = spec.for_device(Device.parse("LFE5U-25F-6"))
    backend = NativeLearner(spec)
    try:
        assert compare_learners(ModelLearner(spec), backend, draw_exercise(spec, 150, 0)) == (None, 150)
        observed = backend.observed
    finally:
        backend.close()
    assert len(observed["interval"]) > 1  # the guard did read the learner
    assert verifying.compare_cycles(spec, observed, 150) is None
    late = observed["interval"][-1]
    monkeypatch.setattr(verifying.Guard, "slot_cycles", late - spec.interval - 1)
    difference = verifying.compare_cycles(spec, observed, 150)
    assert difference is not None
    assert difference.what == "interval"


def test_a_bitstream_needs_a_sample() -> None:
    with pytest.raises(InputError, match=r"^samples = 0: must be 1 or more$"):
        verify_bitstream(SMALL.replace(multiplier="lut"), BOARDS["icebreaker"], 0)
