"""Whether a learner fits, what is refused because it does not, and what would make it fit."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from kanrtl import LearnerSpec, SpecError
from kanrtl.boards import BOARDS
from kanrtl.build import BuildError, Device, build_exercise, build_learner, capacity
from kanrtl.build.capacity import check_exercise_fits, check_fits, find_fit

T: dict[str, Any] = {"layer_sizes": [1, 1], "grid_range": (-2, 2), "grid_size": 5, "learning_rate": 0.3}


@pytest.fixture(autouse=True)
def no_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is synthesised for a refusal."""
    for name in ("build_core", "build_board"):
        monkeypatch.setattr(f"kanrtl.build.design_builds.{name}", lambda *_, **__: pytest.fail("built"))


REFUSALS = [
    (
        {"layer_sizes": [2, 4, 1]},
        "LFE5U-25F",
        "device = 'LFE5U-25F': the learner needs 100 multipliers, there are 28; "
        "set reuse_factor = [8, 4] (21 multipliers, interval 24), or take LFE5U-85F",
    ),
    (
        {"layer_sizes": [4, 1], "schedule": "streaming"},
        "LFE5U-25F",
        "device = 'LFE5U-25F': the learner needs 32 multipliers, there are 28; "
        'set multiplier = "lut" (0 multipliers, interval 1), or take LFE5U-45F',
    ),
    (
        {"layer_sizes": [8, 1], "reuse_factor": 8, "grid_size": 4096, "memory": "block"},
        "iCE40UP5K",
        "device = 'iCE40UP5K': the learner needs 175 memory blocks, there are 30; "
        "set grid_size = 256 (19 memory blocks, interval 22), or take LFE5U-25F",
    ),
    (
        {"layer_sizes": [64, 64]},
        "iCE40UP5K",
        "device = 'iCE40UP5K': the learner needs 32768 multipliers, there are 8; "
        "no setting was found with which it fits, and no device; make layer_sizes smaller",
    ),
    (
        {"multiplier": "lut"},
        "iCE40LP384",
        "device = 'iCE40LP384': the learner needs 14 memory blocks, there are 0; take iCE40UP5K",
    ),
]


@pytest.mark.parametrize(("fields", "device", "line"), REFUSALS)
def test_refusals(fields: dict[str, Any], device: str, line: str) -> None:
    with pytest.raises(BuildError) as refusal:
        build_learner(LearnerSpec(**T | fields), device)
    assert str(refusal.value) == line


def test_refusal_for_luts_names_a_setting_that_fits() -> None:
    spec, device = LearnerSpec(**T | {"layer_sizes": [8, 8], "multiplier": "lut"}), Device.parse("LFE5U-45F")
    with pytest.raises(BuildError) as refusal:
        check_fits(spec, device)
    found = re.fullmatch(
        r"device = 'LFE5U-45F': the learner needs (\d+) or more LUTs, there are 43848; "
        r"set reuse_factor = (\d+) \(about (\d+) LUTs, interval (\d+)\)",
        str(refusal.value),
    )
    assert found, str(refusal.value)
    needed, factor, lut, interval = map(int, found.groups())
    assert needed == spec.estimate(device).least_lut > device.lut
    smaller = spec.replace(reuse_factor=factor).estimate(device)
    assert (smaller.lut, smaller.interval) == (lut, interval)
    assert smaller.fits


def test_refusal_of_an_exercise() -> None:
    spec = LearnerSpec(**T | {"layer_sizes": [2, 1]})
    with pytest.raises(
        BuildError, match=r"^device = 'iCE40UP5K-SG48': the learner needs 16 multipliers, there are 8; "
    ):
        build_exercise(spec, BOARDS["icebreaker"])
    check_exercise_fits(spec, Device.parse("LFE5U-25F"), 8)


def test_refusals_of_the_spec_come_first() -> None:
    spec = LearnerSpec(**T | {"memory": "distributed"})
    with pytest.raises(SpecError, match=r"^memory = 'distributed': iCE40 has no distributed memory"):
        build_learner(spec, "iCE40UP5K")
    with pytest.raises(BuildError, match=r"^device: 'Z80' is not known"):
        spec.estimate("Z80")


def test_every_device_that_is_proposed_is_known_and_larger_than_the_one_before() -> None:
    parts = [Device.parse(name) for name in capacity.DEVICES]
    assert [part.lut for part in parts] == sorted(part.lut for part in parts)


def test_what_fits_needs_no_mend() -> None:
    spec = LearnerSpec(**T)
    fit = find_fit(spec, Device.parse("LFE5U-25F"))
    assert (fit.fits, fit.setting, fit.larger, fit.sentence) == (True, None, None, "It fits.")
    told = spec.estimate("LFE5U-25F").to_json() | {"fits": True, "lacks": None, "set": None, "take": None}
    assert fit.to_json() == told


@pytest.mark.parametrize(("fields", "device", "line"), REFUSALS)
def test_what_does_not_fit_is_told_as_it_is_refused(fields: dict[str, Any], device: str, line: str) -> None:
    fit = find_fit(LearnerSpec(**T | fields), Device.parse(device))
    assert fit.fits is False
    assert fit.sentence == f"It does not fit: {line.partition(': ')[2]}"
    told = json.loads(json.dumps(fit.to_json()))
    for field, value in (told["set"] or {}).items():
        assert f"{field} = {json.dumps(value)}" in line
    assert (told["take"] is None) == ("take" not in line)
    assert told["lacks"] in {"dsp", "bram"}


def test_what_the_mends_name_fits() -> None:
    spec, device = LearnerSpec(**T | {"layer_sizes": [2, 4, 1]}), Device.parse("LFE5U-25F")
    fit = find_fit(spec, device)
    assert fit.setting is not None
    assert fit.larger is not None
    smaller, larger = spec.replace(**fit.setting.changes), Device.parse(fit.larger.estimate.device)
    assert find_fit(smaller, device).fits
    assert find_fit(spec, larger).fits
    assert fit.setting.estimate == smaller.estimate(device)


MAY_FIT = {"layer_sizes": [2, 1], "spline_order": 2, "multiplier": "lut", "activation_format": "SQ(6, 6)"}


def test_what_may_fit_is_not_refused() -> None:
    """Within the error of the estimate nothing is certain; what would make it so is told."""
    spec, device = LearnerSpec(**T | MAY_FIT), Device.parse("iCE40UP5K")
    fit = find_fit(spec, device)
    least, most = fit.estimate.least_lut, fit.estimate.most_lut
    assert least <= device.lut < most
    assert fit.fits is None
    assert fit.sentence.startswith(
        f"It may fit: the learner needs {least} to {most} LUTs, there are {device.lut}; set "
    )
    told = fit.to_json()
    assert (told["fits"], told["lacks"]) == (None, None)
    assert find_fit(spec.replace(**told["set"]), device).fits
    check_fits(spec, device)
