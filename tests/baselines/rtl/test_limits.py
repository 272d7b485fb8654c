"""Numbers that are limited where something else is chosen beside them."""

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal

from kanrtl.baselines.rtl.limits import Unlimited
from kanrtl.numeric.fixed import SQ, narrow
from support.components import simulate


@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
def test_every_number_is_limited_or_replaced(rounding: str) -> None:
    wide, format = SQ(4, 3), SQ(2, 1)
    codes = np.arange(wide.minimum, wide.maximum + 1)
    expected = narrow(codes, wide.f, format, rounding)
    exact, other, when = wide(Signal(wide.width)), Signal(format.as_shape()), Signal()
    results, outside = [Signal(format.as_shape(), name=f"result{n}") for n in range(2)], Signal()
    m = Module()
    number = Unlimited.of(exact, format, rounding)
    m.d.comb += [
        results[0].eq(number.limit(m, when, "number", other).raw),
        results[1].eq(number.limit(m, when, "alone").raw),
        outside.eq(number.outside),
    ]

    async def bench(ctx: Any) -> None:
        for code, limited, unfit in zip(codes.tolist(), *(each.tolist() for each in expected), strict=True):
            ctx.set(exact.raw, code)
            ctx.set(other, 0)
            ctx.set(when, 1)
            assert [ctx.get(result) for result in results] == [limited] * 2
            assert ctx.get(outside) == unfit
            ctx.set(when, 0)
            for replacement in (format.minimum, -1, 0, format.maximum):
                ctx.set(other, replacement)
                assert [ctx.get(result) for result in results] == [replacement, 0]
            assert ctx.get(outside) == unfit

    simulate(m, bench)
