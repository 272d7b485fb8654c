"""A folded network: the model's bits, after a constant latency and at a constant interval, whatever its ports do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Fragment, ResetInserter, Signal
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, InputError, LookupCore, LookupNetwork
from kanrtl.lookup import Quantiser, connect_network
from kanrtl.lookup.rtl.folding import Folding, schedule_core
from kanrtl.lookup.rtl.network_plan import plan_layers
from support.cell_netlist import synthesised
from support.clocked_netlist import clocked
from support.lookup_networks import codes_for, networks
from support.reuse_factors import factors
from support.search import examples


def folded(network: LookupNetwork, **options: Any) -> Folding | None:
    arguments = {"latency": None, "memory": "auto", "reuse_factor": 1, "word_registers": True} | options
    return Folding.of(network, plan_layers(network), **arguments)


@examples(30)
@given(networks(), st.data())
def test_component_equals_model(network: LookupNetwork, data: st.DataObject) -> None:
    reuse_factor = data.draw(factors(network))
    memory = data.draw(st.sampled_from(["auto", "block"]))
    free = folded(network, reuse_factor=reuse_factor, memory=memory)
    codes = codes_for(network, 8, data.draw(st.integers(0, 2**32 - 1)))
    latency = None
    if free is not None:
        least = folded(network, reuse_factor=reuse_factor, memory=memory, word_registers=False)
        assert least is not None
        latency = data.draw(st.none() | st.integers(least.latency, free.latency))
    with connect_network(network, "pysim", latency, memory, reuse_factor=reuse_factor) as session:
        assert session.predict_codes(codes).tolist() == network.predict_codes(codes).tolist()
        if free is not None:
            expected = {"latency": [latency or free.latency], "interval": [free.interval]}
            assert session.status["observed"] == expected


@examples(8)
@given(networks(max_bits=4, wide=False), st.data())
def test_quantiser_in_hardware(network: LookupNetwork, data: st.DataObject) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    scale = random.choice([1.0, -2.0, 0.0, 3.3], network.n_in) * (1 << network.bits[0]) / 8
    quantiser = Quantiser.of(scale, random.normal(0, 2, network.n_in), network.bits[0], network.n_in)
    fixed = network.with_quantiser(quantiser.fixed(SQ(3, 4)))
    x = random.uniform(-9, 9, (12, network.n_in))
    reuse_factor = data.draw(factors(network))
    folding = folded(fixed, reuse_factor=reuse_factor)
    with connect_network(fixed, "pysim", reuse_factor=reuse_factor) as session:
        assert np.array_equal(session.predict(x), fixed.predict(x))
        if folding is not None:
            expected = {"latency": [folding.latency], "interval": [folding.interval]}
            assert session.status["observed"] == expected


def full(layer_sizes: list[int], bits: list[int], seed: int = 0, output: str = "raw") -> LookupNetwork:
    """A network of random tables with no edge left out."""
    random = np.random.default_rng(seed)
    edges = []
    for (n_in, n_out), (bits_in, bits_out) in zip(pairwise(layer_sizes), pairwise(bits), strict=True):
        node, source = np.nonzero(np.ones((n_out, n_in)))
        limit = max(1, (1 << bits_out) // n_in)
        edges.append(
            {"source": source, "node": node, "table": random.integers(-limit, limit, (len(node), 1 << bits_in))}
        )
    return LookupNetwork.of(layer_sizes, bits, [1.0] * len(bits), edges, output=output)


@examples(12)
@given(st.integers(0, 2**32 - 1), st.sampled_from([[2, 1], [5, 2], [1, 6], [6, 6]]), st.booleans())
def test_nothing_is_lost_whoever_waits(seed: int, reuse_factor: list[int], reset: bool) -> None:
    """Samples come at any time, and predictions are taken at any time; ``rst`` forgets what is on its way."""
    random = Random(seed)
    network = full([3, 2, 3], [3, 4, 5], seed)
    core = LookupCore(network, reuse_factor=reuse_factor)
    samples = codes_for(network, 12, seed)
    offering, taking = (random.uniform(0.02, 1) for _ in range(2))
    rst = Signal()
    taken: list[int] = []
    seen: list[list[int]] = []

    async def bench(ctx: Any) -> None:
        if reset:
            await offer(ctx, random.randrange(1, 40))
            ctx.set(core.samples.valid, 0)
            ctx.set(core.predictions.ready, 0)
            ctx.set(rst, 1)
            await ctx.tick()
            ctx.set(rst, 0)
            taken.clear()
            seen.clear()
        await offer(ctx, None)

    async def offer(ctx: Any, cycles: int | None) -> None:
        valid, waiting, cycle = False, None, 0
        while (len(seen) < len(samples)) if cycles is None else (cycle < cycles):
            # What is offered stays until it is taken, as a stream has to.
            valid = len(taken) < len(samples) and (valid or random.random() < offering)
            ready = random.random() < taking
            ctx.set(core.samples.valid, valid)
            if valid:
                for index, code in enumerate(samples[len(taken)]):
                    ctx.set(core.samples.payload[index], int(code))
            ctx.set(core.predictions.ready, ready)
            outputs = [core.predictions.payload[index] for index in range(3)]
            _, _, accepted, there, *values = await ctx.tick().sample(
                core.samples.ready, core.predictions.valid, *outputs
            )
            if waiting is not None:
                assert (there, values) == (1, waiting)
            waiting = values if there and not ready else None
            if there and ready:
                seen.append(values)
            if valid and accepted:
                taken.append(cycle)
                valid = False
            cycle += 1
            assert cycle < 20_000

    simulator = Simulator(ResetInserter(rst)(core))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == network.predict_codes(samples).tolist()
    assert min(np.diff(taken)) >= core.interval


def test_what_a_factor_means() -> None:
    network = full([6, 4], [3, 4])
    for reuse_factor, lanes, passes, interval in [
        (2, 3, 1, 2),
        (4, 2, 1, 3),
        (6, 1, 1, 6),
        (12, 1, 2, 12),
        (24, 1, 4, 24),
    ]:
        folding = folded(network, reuse_factor=reuse_factor)
        assert folding is not None
        (layer,) = folding.layers
        assert (len(layer.lanes), len(layer.groups), folding.interval) == (lanes, passes, interval)
        assert {lane.depth for lane in layer.lanes} == {8 * interval}
        assert interval <= reuse_factor
    assert folded(network) is None


def test_layers_work_at_the_same_time() -> None:
    network = full([8, 4, 2], [2, 3, 4])
    core = LookupCore(network, reuse_factor=[8, 4])
    Fragment.get(core, None)  # so that Amaranth does not miss it
    assert core.interval == 8
    # By layer the steps, the memory and its register; and nothing between them.
    assert core.latency == (8 + 2) + (4 + 2)
    plans = plan_layers(network)
    assert schedule_core(network, plans, reuse_factor=[8, 4], latency=14).latency == 14
    assert schedule_core(network, plans, reuse_factor=[8, 4], family="ice40").latency == 14
    assert not core.samples.signature.always_ready
    assert not core.predictions.signature.always_ready


def test_wrong_settings_are_refused() -> None:
    network = full([3, 2, 1], [4, 4, 4])
    for arguments, message in [
        ({"reuse_factor": 0}, "reuse_factor = 0: must be an integer from 1 to 6"),
        ({"reuse_factor": 7}, "reuse_factor = 7: must be an integer from 1 to 6"),
        ({"reuse_factor": True}, "reuse_factor = True"),
        ({"reuse_factor": 2.0}, "reuse_factor = 2.0"),
        ({"reuse_factor": "3"}, "reuse_factor = '3'"),
        ({"reuse_factor": [3]}, "reuse_factor: 1 values; give one for all, or 2, one for each layer"),
        ({"reuse_factor": [3, 3]}, r"reuse_factor\[1\] = 3: must be an integer from 1 to 2"),
        ({"reuse_factor": 3, "memory": "logic"}, "memory = 'logic': the tables of layer 0 share a port"),
        ({"reuse_factor": [1, 2], "memory": ["logic", "logic"]}, "memory = 'logic': the tables of layer 1"),
        ({"reuse_factor": 3, "memory": "flash"}, "memory = 'flash'"),
        ({"reuse_factor": 3, "whole_from": 1}, "whole_from = 1: not with reuse_factor = 3"),
        ({"reuse_factor": 3, "latency": 3}, "latency = 3: must be an integer from 7 to 9"),
        ({"reuse_factor": 3, "latency": 10}, "latency = 10: must be an integer from 7 to 9"),
    ]:
        with pytest.raises(InputError, match=message):
            schedule_core(network, plan_layers(network), **arguments)


def test_parameter_reaches_the_hardware() -> None:
    network = full([4, 2], [2, 3], output="argmax")
    with connect_network(network, "pysim", reuse_factor=4) as session:
        codes = codes_for(network, 5, 0)
        assert session.predict_codes(codes).tolist() == network.predict_codes(codes).tolist()
        assert session.status["observed"]["interval"] == [4]
    with connect_network(network, "model", reuse_factor=4) as session:
        assert session.predict_codes(codes).tolist() == network.predict_codes(codes).tolist()


@pytest.mark.thorough
def test_netlist_gives_the_models_bits(tmp_path: Path) -> None:
    """On an iCE40, cell by cell and clock by clock: three lanes, then three passes; predictions wait now and then."""
    network = full([5, 4, 3], [3, 4, 5], output="argmax")
    core = LookupCore(network, reuse_factor=[2, 12], family="ice40")
    module = synthesised(core, tmp_path, "iCE40UP5K")
    assert any(cell["type"] == "SB_RAM40_4K" for cell in module["cells"].values())
    runs, samples = 64, 5
    codes = codes_for(network, runs * samples, 3).reshape(samples, runs, 5)
    every = (1 << runs) - 1
    columns = [
        [
            sum((int(code) >> place & 1) << run for run, code in enumerate(column))
            for column in sample.T
            for place in range(3)
        ]
        for sample in codes
    ]
    random, taken, seen = Random(0), 0, []
    inputs: dict[str, list[int]] = {"clk": [0], "rst": [0]}

    def stimuli() -> Iterator[dict[str, list[int]]]:
        while True:
            inputs["samples__payload"] = columns[min(taken, samples - 1)]
            inputs["samples__valid"] = [every * (taken < samples)]
            inputs["predictions__ready"] = [every * random.randrange(2)]
            yield inputs

    for cycle, outputs in enumerate(clocked(module, stimuli(), runs)):
        taken += inputs["samples__valid"] == outputs["samples__ready"] == [every]
        if inputs["predictions__ready"] == outputs["predictions__valid"] == [every]:
            seen.append(
                [
                    sum((bit >> run & 1) << place for place, bit in enumerate(outputs["predictions__payload"]))
                    for run in range(runs)
                ]
            )
        if len(seen) == samples:
            break
        assert cycle < 1000
    expected = [network.predict_codes(sample)[:, 0].tolist() for sample in codes]
    assert seen == expected
    assert len(np.unique(expected)) == 3
