"""``kanrtl estimate``: what it prints of what fits, and of what does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kanrtl import LearnerSpec
from kanrtl.build import Device
from kanrtl.build.capacity import find_fit
from kanrtl.cli.command_line import run

LARGE = (
    "the learner needs 100 multipliers, there are 28; set reuse_factor = [8, 4] (21 multipliers, interval 24), "
    "or take LFE5U-85F"
)


def test_what_fits(spec_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = str(spec_file())
    assert run(["estimate", path, "--device", "iCE40UP5K"]) == 0
    said = capsys.readouterr()
    assert "8 of 8" in said.out
    assert "logic cells" in said.out
    assert said.out.endswith("\nIt fits.\n")
    assert run(["estimate", path, "--device", "LFE5U-25F", "--json"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found == LearnerSpec.from_toml(path).estimate("LFE5U-25F").to_json() | {
        "fits": True,
        "lacks": None,
        "set": None,
        "take": None,
    }
    assert said.err == ""


def test_what_does_not_fit_is_an_answer(spec_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = str(spec_file(layer_sizes="[2, 4, 1]"))
    assert run(["estimate", path, "--device", "LFE5U-25F"]) == 0
    said = capsys.readouterr()
    assert "100 of 28" in said.out
    assert said.out.endswith(f"\nIt does not fit: {LARGE}\n")
    assert said.err == ""
    assert run(["estimate", path, "--device", "LFE5U-25F", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads(json.dumps(find_fit(LearnerSpec.from_toml(path), Device.parse("LFE5U-25F")).to_json()))
    assert (found["fits"], found["lacks"], found["set"], found["take"]) == (
        False,
        "dsp",
        {"reuse_factor": [8, 4]},
        "LFE5U-85F",
    )


def test_what_no_build_makes_is_refused(spec_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    """It has as few registers as block memories do not have."""
    path = spec_file(schedule="'streaming'", pipeline="'no_registers'")
    assert run(["estimate", str(path), "--device", "iCE40UP5K"]) == 2
    assert "memory = 'auto': iCE40 has no distributed memory" in capsys.readouterr().err


def test_a_build_is_refused_with_the_same_words(
    spec_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(spec_file(layer_sizes="[2, 4, 1]"))
    assert run(["build", path, "--device", "LFE5U-25F"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"kanrtl: device = 'LFE5U-25F': {LARGE}\n")
