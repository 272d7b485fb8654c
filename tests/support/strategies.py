"""Random specs and stimuli, shared by the property tests."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from kanrtl import SQ, UQ, Format, LearnerSpec
from kanrtl.learner.arithmetic import banks_for
from kanrtl.learner.folded_schedule import folds
from kanrtl.learner.losses import LOSSES
from kanrtl.learner.stages import PRESETS, STAGES


def each(strategy: st.SearchStrategy[Any], count: int) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, st.lists(strategy, min_size=count, max_size=count))


def signed(least: int, most: int, fraction: int = 3) -> st.SearchStrategy[Format]:
    return st.builds(SQ, st.integers(least, most), st.integers(fraction, 11))


@st.composite
def coefficient_formats(draw: st.DrawFn, count: int) -> dict[str, Any]:
    """What is learned, and what of it is multiplied."""
    formats = draw(each(signed(2, 5), count))
    if isinstance(formats, Format):
        return {"coefficient_format": formats, "factor_format": draw(st.none() | st.just(_cut(formats, draw)))}
    return {"coefficient_format": formats, "factor_format": draw(st.none() | st.just([_cut(f, draw) for f in formats]))}


def _cut(format: Format, draw: st.DrawFn) -> Format:
    return SQ(format.i, format.f - draw(st.integers(0, min(4, format.f))))


@st.composite
def linear_paths(draw: st.DrawFn, refused: list[bool]) -> dict[str, Any]:
    """Fields of linear paths: in half of all specs none, and none in layers that are ``refused``."""
    count = len(refused)
    drawn = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    linear: Any = [path and not not_here for path, not_here in zip(drawn, refused, strict=True)]
    if not any(linear) or draw(st.booleans()):
        return {"linear": draw(st.sampled_from([False, [False] * count]))}
    linear = True if all(linear) and draw(st.booleans()) else linear
    return {
        "linear": linear,
        "linear_rate": draw(st.none() | each(st.sampled_from([0.5, 0.0625, 0.15]), count)),
        "linear_step_format": draw(st.none() | st.builds(SQ, st.integers(1, 4), st.integers(6, 11))),
    }


@st.composite
def specs(draw: st.DrawFn, max_edges: int = 27, *, modulates: bool = True) -> LearnerSpec:
    sizes = draw(
        st.lists(st.integers(1, 3), min_size=2, max_size=4).filter(
            lambda sizes: sum(a * b for a, b in pairwise(sizes)) <= max_edges
        )
    )
    count = len(sizes) - 1
    kind = draw(st.sampled_from(["sequential", "folded", "streaming"]))
    modulated: Any = False
    if kind != "folded" and modulates:
        modulated = draw(st.sampled_from([False, False, True, *(["complex"] if sizes[1] % 2 == 0 else [])]))
    periodic = draw(st.lists(st.sampled_from([False, False, True]), min_size=count, max_size=count))
    orders = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    cells = [
        banks_for(order) * draw(st.integers(1, 3)) if around else draw(st.sampled_from([1, 2, 3, 5, 8]))
        for around, order in zip(periodic, orders, strict=True)
    ]
    teaching = ["with_sample"] if kind == "streaming" else ["with_sample", "after_prediction"]
    folding: dict[str, Any] = {"multiplier": draw(st.sampled_from(["auto", "auto", "lut"]))}
    if kind == "folded":
        folding = {
            "reuse_factor": [draw(st.sampled_from(folds(n_in, n_out))) for n_in, n_out in pairwise(sizes)],
            "share_multipliers": draw(st.booleans()),
            "multiplier": draw(st.sampled_from(["auto", "lut", "serial"])),
        }
    else:
        folding["table_memory"] = draw(each(st.sampled_from(["auto", "logic", "block"]), count))
        sums = ["auto", "products", *([] if modulated else ["differences"])]
        folding["edge_sums"] = draw(each(st.sampled_from(sums), count))
    return LearnerSpec(
        layer_sizes=sizes,
        grid_range=draw(each(st.sampled_from([(-2, 2), (0, 1), (-1.3, 1.7), (0.1, 3.6), (-4, 4)]), count)),
        grid_size=cells,
        modulated=modulated,
        periodic=periodic if any(periodic) else draw(each(st.just(False), count)),
        spline_order=orders,
        learning_rate=draw(each(st.sampled_from([1.0, 0.125, 0.3, 3.0]), count)),
        **draw(linear_paths([around or bool(modulated and not layer) for layer, around in enumerate(periodic)])),
        table_size=draw(st.sampled_from([4, 16])),
        target_range=draw(st.none() | st.sampled_from([(-1, 1), (-0.01, 0.02)])),
        activation_format=draw(signed(3, 6, fraction=4)),  # a code for each of 12 cells between 0 and 1
        input_format=draw(st.none() | signed(3, 6, fraction=4)),
        output_format=draw(st.none() | signed(2, 6)),
        **draw(coefficient_formats(count)),
        basis_format=UQ(1, draw(st.integers(6, 9))),
        slope_format=draw(st.none() | each(signed(2, 6), count)),
        gradient_format=draw(st.none() | each(signed(2, 6), count)),
        step_format=draw(st.none() | each(st.builds(UQ, st.integers(0, 3), st.integers(6, 11)), count)),
        gradient_limit=draw(st.sampled_from([0, 0, 0, 0.25, 0.7])),
        outside=draw(each(st.sampled_from(["auto", "hold", "learn"]), count)),
        leak=draw(each(st.sampled_from([0, 0, 1, 4, 9, 14]), count)),
        counts=draw(st.sampled_from([[], ["outside"], ["lost"], ["lost", "outside"]])),
        rounding=draw(st.sampled_from(["floor", "half_up", "half_even"])),
        update_rounding=draw(st.sampled_from(["floor", "half_up", "half_even", "stochastic"])),
        loss=draw(st.sampled_from(LOSSES)),
        seed=draw(st.integers(0, 2**32 - 1)),
        schedule="streaming" if kind == "streaming" else "sequential",
        teaching=draw(st.sampled_from(teaching)),
        memory=draw(each(st.sampled_from(["auto", "distributed", "block"]), count)),
        pipeline=draw(each(st.sampled_from(list(PRESETS)) | st.lists(st.sampled_from(STAGES), unique=True), count)),
        **folding,
        initial_coefficients=draw(st.sampled_from(["zeros", "uniform"])),
        initial=draw(st.sampled_from([*["memory"] * 5, "reset"])),
    )


def codes_in(format: Format, random: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Random codes; sometimes within a quarter of the format, where less saturates."""
    shrink = random.choice([1, 4])
    return random.integers(format.minimum // shrink, format.maximum // shrink + 1, shape)


Learned = tuple[LearnerSpec, list[npt.NDArray[np.int64]], np.random.Generator]


@st.composite
def learners(draw: st.DrawFn) -> Learned:
    """Specs of what has a lookup network, with coefficients, random or smooth, and a source of stimuli."""
    spec = draw(specs(max_edges=12, modulates=False))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth = draw(st.booleans())
    coefficients = []
    for layer in spec.layers:
        codes = codes_in(layer.formats.coefficient, random, (layer.n_out, layer.n_in, layer.coefficients))
        if smooth:
            codes = np.cumsum(codes, axis=2) // layer.coefficients
        coefficients.append(codes)
    return spec, coefficients, random
