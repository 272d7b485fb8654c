"""A node, and the gradients downstream, against the integers: exact, in time, from products and from differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.node import Downstream, Node, count_downstream, count_nodes, count_tree
from kanrtl.numeric.fixed import narrow
from kanrtl.tools.toolchain import YOSYS
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes
from support.located import bases_of, window_of

ONE, TWO = {"layer_sizes": [1, 1]}, {"layer_sizes": [2, 1]}
SHAPES = [
    (0, {}),  # another layer follows, which locates the sum
    (0, {"rounding": "half_even"}),  # and one that locates y
    (1, {"loss": "logistic"}),
    (0, ONE),
    (0, TWO),
    (0, TWO | {"rounding": "half_even"}),
    (0, {"layer_sizes": [3, 1], "rounding": "floor", "spline_order": 1}),
    # What rounds y is more than all the sum can be.
    (0, TWO | {"coefficient_format": "SQ(-9, 20)", "factor_format": "SQ(-9, 17)"}),
]


def check(plan: LayerPlan, samples: int = 10) -> None:
    """Random coefficients and inputs; every value at its time, and where samples stream in no other cycle."""
    random, layer, formats, times = np.random.default_rng(11), plan.layer, plan.layer.formats, plan.times
    dut = Node(plan)
    assert dut.latency == times.summed - times.read

    async def bench(ctx: Any) -> None:
        for _ in range(samples):
            coefficients = random_codes(random, formats.coefficient, layer.n_out, layer.n_in, layer.bases)
            cells, bases, _ = bases_of(layer, random_codes(random, formats.input, layer.n_in))
            window = layer.factors_of(window_of(layer, coefficients, cells)[0])
            total = int((window * bases).sum())
            factors = window[:, 1:] - window[:, :1] if plan.differences else window
            target = int(random_codes(random, formats.output, 1)[0])
            for now in range(1, times.summed + 1):
                read = now == times.read or (now > times.read and not plan.streaming)
                set_codes(ctx, dut.factors, factors if read else factors * 0)
                set_codes(ctx, dut.basis, bases if read else bases * 0)
                if plan.differences:
                    set_codes(ctx, dut.firsts, window[:, 0] if read else window[:, 0] * 0)
                if plan.forms_error:
                    ctx.set(dut.target.raw, target if now == 1 or not plan.streaming else 0)
                if now < times.summed:
                    await ctx.tick()
            y, beyond = narrow(total, layer.node_sum.f, formats.output, plan.rounding)
            flags = {"activation": beyond}
            assert ctx.get(dut.y.raw) == y or plan.next_located
            if plan.forms_error:
                exact = (total << layer.error_sum.f - layer.node_sum.f) - (
                    target << layer.error_sum.f - formats.output.f
                )
                error, flags["gradient"] = narrow(exact, layer.error_sum.f, formats.gradient, plan.rounding)
                assert ctx.get(dut.error.raw) == error
            else:
                assert ctx.get(dut.total.raw) == total + (plan.next_located.added if plan.next_located else 0)
            for kind, flag in flags.items():
                if kind in plan.saturating:
                    assert ctx.get(dut.saturated[kind]) == flag
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize(("index", "fields"), SHAPES)
@pytest.mark.parametrize("pipeline", ["no_registers", ["add", "sum"], "all_registers"])
@pytest.mark.parametrize("edge_sums", ["products", "differences"])
def test_sums_are_exact_and_in_time(index: int, fields: dict[str, Any], pipeline: Any, edge_sums: str) -> None:
    check(plan_of(index, pipeline=pipeline, edge_sums=edge_sums, **fields))


@pytest.mark.parametrize("pipeline", ["all_registers", ["sum"], "no_registers"])
@pytest.mark.parametrize("fields", [TWO, {}])
def test_targets_and_coefficients_wait_where_samples_stream(pipeline: Any, fields: dict[str, Any]) -> None:
    check(plan_of(pipeline=pipeline, schedule="streaming", edge_sums="differences", **fields))


@pytest.mark.parametrize("multiplier", ["auto", "lut"])
@pytest.mark.parametrize("edge_sums", ["products", "differences"])
@pytest.mark.parametrize("fields", [{}, TWO])
def test_multipliers_are_counted(multiplier: str, edge_sums: str, fields: dict[str, Any]) -> None:
    plan, parts = (
        plan_of(multiplier=multiplier, edge_sums=edge_sums, **fields),
        Parts(FAMILIES["ecp5"].blocks, multiplies=True),
    )
    count_nodes(parts, plan, predicts=True)
    assert parts.multipliers == plan.layer.n_out * convert(Node(plan)).count("cell $mul ")
    assert (parts.counts["term"] > 0) == (multiplier == "lut")


def test_what_nothing_looks_at_is_not_counted() -> None:
    plan = plan_of(**TWO, edge_sums="products")
    counts = []
    for predicts in (False, True):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        count_nodes(parts, plan, predicts=predicts)
        counts.append(parts.counts["limit"])
    assert counts[1] - counts[0] == plan.layer.formats.output.width * ("activation" in plan.saturating)


def test_a_tree_of_products_is_counted() -> None:
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_tree(parts, plan_of(pipeline=["add", "sum"]), 4, 20, 16, 3)
    # Two pairs, and one sum of these, for each of three; all registered.
    assert parts.counts["adder"] == 3 * (2 * 16 + 20) == parts.counts["register"]


FIELDS = [
    {"edge_sums": "products"},
    {"edge_sums": "differences", "rounding": "half_even", "slope_format": "SQ(2, 6)"},
    {"edge_sums": "differences", "schedule": "streaming", "gradient_format": "SQ(2, 6)", "spline_order": 2},
    # What rounds a gradient is more than all the sum can be.
    {"edge_sums": "products", "slope_format": "SQ(-1, 7)", "gradient_format": ["SQ(4, 2)", "SQ(-4, 9)"]},
]


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("pipeline", ["no_registers", ["sum", "error"], "all_registers"])
def test_gradients_go_downstream_in_time(fields: dict[str, Any], pipeline: Any) -> None:
    plan, random = plan_of(1, pipeline=pipeline, **fields), np.random.default_rng(14)
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    dut = Downstream(plan)
    arrives = times.gradient + dut.latency
    assert dut.latency == plan.ends("downstream") + plan.ends("error", below=1)
    assert arrives == plan.parallel.layers[0].gradient
    assert dut.seen == times.gradient + plan.ends("downstream")

    async def bench(ctx: Any) -> None:
        for _ in range(10):
            coefficients = random_codes(random, formats.coefficient, layer.n_out, layer.n_in, layer.bases)
            cells, _, derivatives = bases_of(layer, random_codes(random, formats.input, layer.n_in))
            window = layer.factors_of(window_of(layer, coefficients, cells))
            gradients = random_codes(random, formats.gradient, layer.n_out)
            factors = window[:, :, 1:] - window[:, :, :1] if plan.differences else window
            exact = (window * derivatives).sum(axis=2)
            slopes, steep = narrow(exact, layer.slope_sum.f, formats.slope, plan.rounding)
            total = (gradients[:, None] * slopes).sum(axis=0)
            downstream, beyond = narrow(total, layer.downstream_sum.f, formats.downstream, plan.rounding)
            for now in range(times.read, arrives + 1):
                still = not plan.streaming
                read = now == times.read or still
                set_codes(ctx, dut.factors, factors if read else factors * 0)
                set_codes(ctx, dut.derivative, derivatives if read else derivatives * 0)
                there = now == times.gradient or (still and now > times.gradient)
                set_codes(ctx, dut.gradient, gradients if there else gradients * 0)
                for kind, since, flags in (("slope", times.summed, steep), ("gradient", dut.seen, beyond)):
                    if now == since and kind in plan.saturating:
                        bits = sum(int(flag) << lane for lane, flag in enumerate(flags.ravel()))
                        assert ctx.get(dut.saturated[kind]) == bits
                if now == arrives:
                    assert get_codes(ctx, dut.downstream) == downstream.tolist()
                await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("multiplier", ["auto", "lut"])
@pytest.mark.parametrize("edge_sums", ["products", "differences"])
def test_multipliers_of_slopes_are_counted(multiplier: str, edge_sums: str) -> None:
    plan = plan_of(1, multiplier=multiplier, edge_sums=edge_sums)
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_downstream(parts, plan)
    assert parts.multipliers == convert(Downstream(plan)).count("cell $mul ")
    assert (parts.multipliers > 0) == (multiplier == "auto")


# Whatever yosys looks at first, it has removed what is of no use the second time. Products are multipliers by then.
COARSE = """\
read_rtlil dut.il; proc; flatten; opt_clean; wreduce; opt_clean; wreduce; opt_clean; chtype -set product t:$mul; alumacc
tee -o stat.txt stat
select -assert-none t:$macc t:$macc_v2
"""


@pytest.mark.parametrize(("component", "index"), [(Node, 0), (Downstream, 1)])
def test_sums_stay_carry_chains_where_their_highest_bits_are_of_no_use(
    component: type[Node | Downstream], index: int, tmp_path: Path
) -> None:
    plan = plan_of(index, layer_sizes=[2, 4, 1], grid_size=5, edge_sums="differences", gradient_format="SQ(7, 10)")
    (tmp_path / "dut.il").write_text(convert(component(plan)))
    (tmp_path / "dut.ys").write_text(COARSE)
    YOSYS.run(["-q", "-s", "dut.ys"], tmp_path, "yosys.log", lambda _: None, produces=["stat.txt"])
    assert "$alu" in (tmp_path / "stat.txt").read_text()
