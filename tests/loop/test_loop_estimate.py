"""What a learner and the parts around it take: what is no part is told in one line."""

from typing import Any

import pytest

from kanrtl import SQ, InputError, LearnerSpec
from kanrtl.loop import Canceller, Pairs, Taps, estimate_loop
from kanrtl.numeric.fixed import Format

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))


def test_parts_are_added_to_the_learner() -> None:
    alone, whole = (estimate_loop(SPEC, parts, "LFE5U-25F") for parts in ([], [Taps(SQ(4, 4), 9)]))
    assert whole.ff > alone.ff


@pytest.mark.parametrize(
    ("format", "pairs", "lut"),
    [(SQ(1, 7), 1, 440), (SQ(1, 11), 1, 671), (SQ(1, 11), 2, 1222), (SQ(4, 12), 1, 715), (SQ(1, 15), 1, 901)],
)
def test_phases_take_what_synthesis_makes_of_them(format: Format, pairs: int, lut: int) -> None:
    part = Pairs(format, pairs=pairs, second="phase")
    alone, whole = (estimate_loop(SPEC, parts, "LFE5U-25F") for parts in ([], [part]))
    assert whole.lut - alone.lut == pytest.approx(lut, rel=0.1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parts": ["x"]}, r"parts\[0\]: is of type str; give a part of a loop, such as Taps"),
        ({"parts": [Taps(SQ(4, 4), 2), None]}, r"parts\[1\]: is of type NoneType; give a part of a loop, such as Taps"),
        ({"parts": None}, r"parts: is of type NoneType; give a list of parts of a loop"),
        ({"parts": Taps(SQ(4, 4), 2)}, r"parts: is of type Taps; give a list of parts of a loop"),
        ({"spec": "x"}, r"spec: is of type str; give a LearnerSpec"),
        (
            {"parts": [Canceller(SPEC.replace(layer_sizes=[5, 1]))]},
            r"parts\[0\]: is a Canceller of another learner; give it the same spec",
        ),
        ({"device": None}, r'device: is of type NoneType; give its name, such as "LFE5U-25F"'),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        estimate_loop(**{"spec": SPEC, "parts": [], "device": "LFE5U-25F"} | fields)
