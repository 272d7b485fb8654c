"""The features of a polynomial alone, with and without registers."""

from typing import Any

import numpy as np
import pytest

from kanrtl.baselines import LmsSpec
from kanrtl.baselines.polynomial import evaluate_products
from kanrtl.baselines.rtl.polynomial_features import PolynomialFeatures
from support.components import simulate


@pytest.mark.parametrize("pipeline", [[], ["features"]])
@pytest.mark.parametrize("polynomials", ["powers", "chebyshev"])
def test_they_are_those_of_the_model(polynomials: str, pipeline: list[str]) -> None:
    """Also at both ends of the format, where products round up to one."""
    spec = LmsSpec(n_in=2, degree=4, mixed=True, polynomials=polynomials, pipeline=pipeline, width=10)
    dut = PolynomialFeatures(spec)
    assert dut.latency == (spec.levels if pipeline else 0) == (3 if pipeline else 0)
    ends = [-512, 511, 0, -511]
    rows = [(a, b) for a in ends for b in ends] + np.random.default_rng(0).integers(-512, 512, (30, 2)).tolist()

    async def bench(ctx: Any) -> None:
        for row in rows:
            for index, code in enumerate(row):
                ctx.set(dut.x[index].raw, code)
            for _ in range(dut.latency):
                await ctx.tick()
            found = [ctx.get(dut.features[index].raw) for index in range(spec.n_features)]
            formats = spec.unit_format, spec.feature_format
            assert found == evaluate_products(row, *formats, spec.products, spec.rounding)
            assert max(map(abs, found)) <= 1.05 * 2**spec.feature_format.f

    simulate(dut, bench)
