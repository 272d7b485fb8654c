"""What is made of the spec of a baseline."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.stored import RESULTS, load
from kanrtl import InputError, LearnerSpec, SpecError
from kanrtl.baselines import LmsSpec, MlpSpec, baseline_from_dict, create_learner, create_model, estimate_baseline
from kanrtl.build.design_builds import build_baseline
from kanrtl.learner.estimate.estimate import UNFITTED_MARGIN
from support.components import convert


@pytest.mark.parametrize("make", [create_model, create_learner, lambda spec: estimate_baseline(spec, "LFE5U-25F")])
def test_only_baselines_are_made(make: Callable[[Any], object]) -> None:
    with pytest.raises(InputError, match=r"^spec: is of type LearnerSpec; give the spec of a baseline$"):
        make(LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1)))


@pytest.mark.parametrize("find", [estimate_baseline, build_baseline])
def test_a_folded_perceptron_asks_for_memory_that_is_there(find: Callable[[MlpSpec, str], object]) -> None:
    spec = MlpSpec(n_in=2, hidden=4, reuse_factor=2)
    line = r"^memory = 'distributed': iCE40 has no distributed memory; set it to \"block\"$"
    with pytest.raises(InputError, match=line):
        find(spec, "iCE40UP5K")
    assert estimate_baseline(MlpSpec(n_in=2, hidden=4, reuse_factor=2, memory="block"), "iCE40UP5K").bram


def test_a_device_is_called_by_its_name() -> None:
    with pytest.raises(InputError, match=r"^device: is of type int; give its name, such as \"LFE5U-25F\"$"):
        estimate_baseline(LmsSpec(n_in=1), 5)  # type: ignore[arg-type]


BUILT = [load(RESULTS, path.stem) for name in ("core", "track") for path in sorted(RESULTS.glob(f"{name}-*.json"))]
CORES = [core for core in BUILT if "kind" in core.get("spec", {})]


@pytest.mark.parametrize("core", CORES, ids=lambda core: core["row"])
def test_what_was_built_had_been_estimated(core: dict[str, Any]) -> None:
    found = estimate_baseline(baseline_from_dict(core["spec"]), core["device"])
    assert found.lut == pytest.approx(core["lut"], rel=0.05)
    assert (found.dsp, found.bram, found.lutram) == (core["dsp"], core["bram"], core["lutram"])


def test_an_estimate_tells_how_far_those_of_what_was_built_are_off() -> None:
    built, other = (estimate_baseline(LmsSpec(n_in=2), device) for device in ("LFE5U-85F", "iCE40UP5K"))
    assert 0 < built.lut_margin < 0.1
    assert other.lut_margin == UNFITTED_MARGIN


@pytest.mark.parametrize("spec", [LmsSpec(n_in=2), MlpSpec(n_in=2, hidden=2)])
def test_models_refuse_samples_that_are_none(spec: LmsSpec | MlpSpec) -> None:
    model, x, target, learn = create_model(spec), np.ones((3, 2), int), np.ones((3, 1), int), np.ones(3, bool)
    before = [layer.copy() for layer in model.weights]
    for arguments, line in (
        ((x[:, :1], target, learn), r"x: shape \(3, 1\); must be \(n, 2\)"),
        ((x / 2, target, learn), r"x: type float64; give integer codes \(Format.quantise\)"),
        ((x << 20, target, learn), r"x: codes from 1048576 to 1048576 do not fit SQ.*"),
        ((x, target << 40, learn), r"target: codes from 1099511627776 to 1099511627776 do not fit SQ.*"),
        ((x, target[1:], learn), r"target: 2 rows for 3 samples; give one for each"),
        ((x, target, learn[1:]), r"learn: shape \(2,\); must be \(3,\), one for each sample"),
    ):
        with pytest.raises(InputError, match=f"^{line}$"):
            model.run(*arguments)
    assert all(np.array_equal(a, b) for a, b in zip(model.weights, before, strict=True))


def test_integers_of_numpy_are_plain_ones() -> None:
    for spec in (LmsSpec(n_in=np.int64(2), degree=np.uint8(2)), MlpSpec(n_in=np.int64(2), hidden=np.int16(3))):
        content = spec.to_dict()
        assert content == type(spec)(**{name: value for name, value in content.items() if name != "kind"}).to_dict()
        assert json.loads(json.dumps(content)) == content
    with pytest.raises(SpecError, match=r"^n_in = True: must be an integer from 1 to 256$"):
        LmsSpec(n_in=np.bool_(True))


def test_settings_of_other_kinds_are_refused() -> None:
    assert LmsSpec(n_in=2, mixed=np.bool_(True)).mixed is True
    for fields, line in (
        ({"mixed": 1}, "mixed = 1: must be true or false"),
        ({"input_range": np.array(1.0)}, "input_range = array(1.): must be two numbers, the lowest first"),
        ({"pipeline": [np.array(["sum", "step"])]}, "pipeline = ["),
    ):
        with pytest.raises(SpecError, match=f"^{re.escape(line)}"):
            LmsSpec(n_in=2, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ([1], "content = [1]: must be a mapping of names to values"),
        ({}, "kind = None: must be 'LmsSpec' or 'MlpSpec'"),
        ({"kind": ["LmsSpec"]}, "kind = ['LmsSpec']: must be 'LmsSpec' or 'MlpSpec'"),
        ({"kind": "LmsSpec"}, "n_in: is missing, and LmsSpec needs it; give it"),
        ({"kind": "LmsSpec", "n_in": 1, "taps": 2}, "taps = 2: no field of LmsSpec; leave it out"),
        ({"kind": "LmsSpec", "n_in": 1, 3: 2}, "3 = 2: no field of LmsSpec; leave it out"),
    ],
)
def test_what_describes_no_baseline_is_refused(content: Any, line: str) -> None:
    with pytest.raises(SpecError, match=f"^{re.escape(line)}$"):
        baseline_from_dict(content)


def make_perceptron(**fields: Any) -> MlpSpec | str:
    """A spec, or what is said where it is refused."""
    try:
        return MlpSpec(n_in=1, hidden=1, **fields)
    except SpecError as error:
        return str(error)


@pytest.mark.parametrize("headroom", [0, 4, 8])
@pytest.mark.parametrize("rate", [2**-12, 1.0, 8.0])
def test_what_is_taken_is_built_too(headroom: int, rate: float) -> None:
    """What hidden nodes learn by has no fraction where all of these are at their ends."""
    tried = list(itertools.product((8, 9, 11, 16), (-8, -4, 0, 8)))
    found = [make_perceptron(width=a, hidden_shift=b, headroom=headroom, learning_rate=rate) for a, b in tried]
    specs = [spec for spec in found if isinstance(spec, MlpSpec)]
    assert len(specs) >= 6
    assert all(estimate_baseline(spec, "LFE5U-25F").lut for spec in specs)
    assert all(convert(create_learner(spec)) for spec in specs[:1])
    for (width, shift), line in zip(tried, found, strict=True):
        lines = f"hidden_shift = {shift}: leaves what hidden nodes learn by no fraction", f"width = {width}: leaves"
        assert isinstance(line, MlpSpec) or line.startswith(lines)


def test_numbers_of_numpy_are_plain_ones_and_booleans_are_none() -> None:
    spec = LmsSpec(n_in=1, learning_rate=np.float32(0.125), input_range=(np.float32(-1), np.int64(1)))
    assert spec == LmsSpec(n_in=1)
    assert type(spec.learning_rate) is float
    assert {type(bound) for bound in spec.input_range} == {float}
    assert json.dumps(spec.to_dict()) == json.dumps(LmsSpec(n_in=1).to_dict())
    for fields, line in (
        ({"learning_rate": True}, "learning_rate = True: must be a number from 2**-16 to 8"),
        ({"learning_rate": "1"}, "learning_rate = '1': must be a number from 2**-16 to 8"),
        ({"learning_rate": float("nan")}, "learning_rate = nan: must be a number from 2**-16 to 8"),
        ({"learning_rate": 10**400}, "learning_rate = 1000"),
        ({"input_range": (True, 2)}, "input_range = (True, 2): must be two numbers, the lowest first"),
        ({"target_range": (0, np.inf)}, "target_range = (0, inf): must be two numbers, the lowest first"),
        ({"target_range": (0, 10**400)}, "target_range = (0, 1000"),
    ):
        with pytest.raises(SpecError) as raised:
            LmsSpec(n_in=1, **fields)  # type: ignore[arg-type]
        assert str(raised.value).startswith(line)
