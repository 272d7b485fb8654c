"""Where the last sums of a baseline are narrowed."""

from typing import Any

import numpy as np
import pytest

from kanrtl.baselines import LmsSpec
from kanrtl.baselines.rtl.output_error import OutputError, output_offset
from kanrtl.numeric.fixed import narrow
from support.components import simulate


@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
@pytest.mark.parametrize("loss", ["squared", "external"])
@pytest.mark.parametrize("pipeline", [[], ["sum"], ["sum", "error"]])
def test_each_is_narrowed_once(loss: str, pipeline: list[str], rounding: str) -> None:
    spec = LmsSpec(n_in=2, n_out=2, loss=loss, pipeline=pipeline, width=12, rounding=rounding)
    dut, total, offset = OutputError(spec), spec.sums[0].total, output_offset(spec)
    assert offset == (1 << total.f - spec.output_format.f - 1 if rounding == "half_up" else 0)
    assert dut.latency == len(pipeline)
    random = np.random.default_rng(0)
    most = spec.output_format.maximum << (total.f - spec.output_format.f + 1)

    async def bench(ctx: Any) -> None:
        seen = set()
        for _ in range(50):
            totals = random.integers(-most, most, 2)
            targets = random.integers(spec.target_format.minimum, spec.target_format.maximum + 1, 2)
            for index in range(2):
                ctx.set(dut.totals[index].raw, int(totals[index]) + offset)
                ctx.set(dut.target[index].raw, int(targets[index]))
            for _ in range(dut.latency):
                await ctx.tick()
            y = narrow(totals, total.f, spec.output_format, spec.rounding)
            error = totals - (targets << (total.f - spec.target_format.f))
            gradient = narrow(error, total.f, spec.gradient_format, spec.rounding)
            assert [ctx.get(dut.y[index].raw) for index in range(2)] == y.result.tolist()
            wanted = targets if loss == "external" else gradient.result
            assert [ctx.get(dut.gradient[index].raw) for index in range(2)] == wanted.tolist()
            flags = bool(y.saturated.any()), bool(gradient.saturated.any()) and loss == "squared"
            assert (bool(ctx.get(dut.activation_saturates)), bool(ctx.get(dut.gradient_saturates))) == flags
            seen.add(flags)
        assert len(seen) >= 2

    simulate(dut, bench)
