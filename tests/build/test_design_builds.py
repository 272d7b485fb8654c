"""What a build decides of a learner: it is the learner of its spec, whatever it is built for."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from kanrtl import LearnerSpec, SpecError
from kanrtl.boards import BOARDS
from kanrtl.build import TimingError, design_builds
from kanrtl.build.design_builds import build_exercise, build_learner, build_linked, fit_spec
from kanrtl.bus.identification import digest_spec
from kanrtl.fabric.device import Device
from kanrtl.sessions.backends.model import ModelLearner

T: dict[str, Any] = {"layer_sizes": [1, 1], "grid_range": (-2, 2), "grid_size": 5, "learning_rate": 0.3}
STREAMING = T | {"schedule": "streaming"}
DEVICES = ("LFE5U-25F", "LFE5UM5G-85F", "iCE40UP5K", "iCE40HX8K")
ICE40 = ["most_registers", "all_registers"]
ECP5 = ["no_registers", "few_registers", *ICE40]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[LearnerSpec]:
    """The specs that builds for boards have begun with; none of them meets its clock."""
    noted: list[LearnerSpec] = []

    def refuse(top: LearnerSpec, *_: Any, **__: Any) -> None:
        noted.append(top)
        raise TimingError("too slow", cast(Any, None))

    for name in ("BoardTop", "LinkTop"):
        monkeypatch.setattr(design_builds, name, lambda spec, *_: spec)
    for name in ("check_link", "check_fits", "check_exercise_fits"):
        monkeypatch.setattr(design_builds, name, lambda *_, **__: None)
    monkeypatch.setattr(design_builds, "build_board", refuse)
    return noted


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("sizes", [[1, 1], [2, 3, 1]], ids=["one layer", "two layers"])
@pytest.mark.parametrize("build", [build_exercise, build_linked])
def test_every_board_build_is_the_learner_of_its_spec(
    build: Any, sizes: list[int], board: str, built: list[LearnerSpec]
) -> None:
    """Registers change no bit of a sequential learner, and all bits of a streaming one: it has those of its spec."""
    for schedule in ("sequential", "streaming"):
        spec = LearnerSpec(**T | {"layer_sizes": sizes, "schedule": schedule})
        built.clear()
        with pytest.raises(TimingError):
            build(spec, BOARDS[board])
        expected = ICE40 if BOARDS[board].device.startswith("iCE40") else ECP5
        assert [one.pipeline for one in built] == (expected if schedule == "sequential" else ["all_registers"])
        assert {digest_spec(one) for one in built} == {digest_spec(spec)}


@pytest.mark.parametrize("board", ["ulx3s-85f", "icebreaker"])
def test_a_streaming_learner_on_a_board_has_the_bits_of_its_spec(board: str, built: list[LearnerSpec]) -> None:
    spec, random = LearnerSpec(**STREAMING), np.random.default_rng(0)
    with pytest.raises(TimingError):
        build_linked(spec, BOARDS[board])
    x = spec.formats.input.quantise(random.uniform(-2, 2, (200, 1)))
    teaching = spec.target_format.quantise(random.uniform(-1, 1, (200, 1)))
    outputs = [ModelLearner(one).run(x, teaching, np.full(200, True)) for one in (spec, *built)]
    assert len(outputs) == 2
    assert np.array_equal(*outputs)


def test_block_memory_that_would_change_the_bits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(design_builds, "check_fits", lambda *_: None)
    spec = LearnerSpec(**STREAMING, pipeline="no_registers")
    with pytest.raises(SpecError) as refused:
        build_learner(spec, "iCE40UP5K")
    line = (
        "memory = 'auto': iCE40 has no distributed memory, and with block memory the delays of this streaming learner"
    )
    assert str(refused.value) == f'{line} are (2,), not (1,); use "block"'
    for device in DEVICES:
        for given in (spec.replace(memory="block"), spec.replace(pipeline="auto"), spec.replace(schedule="sequential")):
            assert digest_spec(fit_spec(given, Device.parse(device))) == digest_spec(given)
