"""Sums that grow from step to step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.accumulator import Accumulator, count_accumulator
from kanrtl.numeric.fixed import SQ
from support.components import convert, register_bits, simulate

FORMAT = SQ(8, 4)


@pytest.mark.parametrize("reset_less", [False, True])
@pytest.mark.parametrize(("along", "across"), [(1, 1), (1, 3), (4, 1), (3, 2)])
def test_sums_along_one_axis_are_kept_across_the_other(along: int, across: int, reset_less: bool) -> None:
    dut = Accumulator(FORMAT, along=along, across=across, reset_less=reset_less)
    random = np.random.default_rng(1)
    terms = random.integers(-500, 500, (2, across, along))

    async def bench(ctx: Any) -> None:
        kept = [0] * across
        for sample in terms:
            for index, row in enumerate(sample):
                for position, term in enumerate(row):
                    ctx.set(dut.term.raw, int(term))
                    ctx.set(dut.first, position == 0)
                    ctx.set(dut.index, index)
                    # What is there while nothing is to be added changes nothing.
                    ctx.set(dut.add, 0)
                    await ctx.tick().repeat(2)
                    ctx.set(dut.add, 1)
                    assert [ctx.get(total.raw) for total in dut.totals] == kept
                    await ctx.tick().repeat(dut.latency)
                    ctx.set(dut.add, 0)
                    kept[index] = int(row[: position + 1].sum())
                    assert [ctx.get(total.raw) for total in dut.totals] == kept
            assert kept == sample.sum(axis=1).tolist()

    simulate(dut, bench)
    assert convert(dut).count("cell $add ") == (along > 1)


@pytest.mark.parametrize(("along", "across"), [(1, 1), (1, 3), (4, 1), (3, 2)])
def test_as_many_registers_are_counted_as_there_are(along: int, across: int) -> None:
    parts = Parts(families["ecp5"], multiplies=True)
    count_accumulator(parts, FORMAT, terms=1, along=along, across=across, lanes=1)
    dut = Accumulator(FORMAT, along=along, across=across, reset_less=True)
    assert parts.counts["register"] == register_bits(convert(dut))
