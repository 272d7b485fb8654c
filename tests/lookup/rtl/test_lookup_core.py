"""The component of a lookup network: the model's bits, at one sample a clock, after a constant latency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

import kanrtl
from kanrtl import SQ, InputError, LookupCore, LookupNetwork
from kanrtl.lookup import Quantiser, connect_network
from kanrtl.lookup.rtl.network_plan import plan_layers
from kanrtl.lookup.rtl.pipeline import Pipeline
from kanrtl.tools.rtlil import component_rtlil
from support.lookup_networks import codes_for, networks


def pipeline(network: LookupNetwork, **options: Any) -> Pipeline:
    return Pipeline.of(network, plan_layers(network), **options)


@settings(max_examples=30, deadline=None)
@given(networks(), st.data())
def test_component_equals_model(network: LookupNetwork, data: st.DataObject) -> None:
    memory = [data.draw(st.sampled_from(["auto", "logic", "block"])) for _ in network.layers]
    free = pipeline(network, memory=memory)
    latency = data.draw(st.none() | st.integers(free.least, len(free.positions)))
    codes = codes_for(network, 12, data.draw(st.integers(0, 2**32 - 1)))
    with connect_network(network, "pysim", latency, memory) as session:
        assert session.predict_codes(codes).tolist() == network.predict_codes(codes).tolist()
        assert session.status["observed"] == {"latency": [latency or free.latency], "interval": [1]}


@settings(max_examples=12, deadline=None)
@given(networks(wide=False), st.integers(0, 2**32 - 1), st.sampled_from([SQ(3, 4), SQ(1, 7), kanrtl.UQ(4, 2)]))
def test_quantiser_in_hardware(network: LookupNetwork, seed: int, format: kanrtl.Format) -> None:
    random = np.random.default_rng(seed)
    scale = random.choice([1.0, -2.0, 0.0, 3.3, -0.7], network.n_in) * (1 << network.bits[0]) / 8
    quantiser = Quantiser.of(scale, random.normal(0, 2, network.n_in), network.bits[0], network.n_in)
    fixed = network.with_quantiser(quantiser.fixed(format))
    x = random.uniform(-9, 9, (20, network.n_in))
    with connect_network(fixed, "pysim") as session:
        assert np.array_equal(session.predict(x), fixed.predict(x))
        with pytest.raises(InputError, match="takes inputs in"):
            session.predict_codes(np.zeros((1, network.n_in), np.int64))


@settings(max_examples=40, deadline=None)
@given(networks(max_nodes=3), st.integers(0, 2**32 - 1), st.sampled_from([None, True, False]))
def test_plan_leaves_out_only_what_never_happens(network: LookupNetwork, seed: int, muxes: bool | None) -> None:
    codes = codes_for(network, 200, seed)
    plans = plan_layers(network, muxes)
    for plan, layer in zip(plans, network.layers, strict=True):
        addresses = codes + (1 << (layer.bits_in - 1))
        assert plan.reachable[np.arange(layer.n_in), addresses].all()
        sums = np.array(
            [
                [
                    node.constant + sum(plan.terms[term].values[row[plan.terms[term].source]] for term in node.terms)
                    for node in plan.nodes
                ]
                for row in addresses
            ]
        )
        codes = layer.evaluate(codes)
        for number, node in enumerate(plan.nodes):
            if node.address is not None:
                found = codes[:, number] + (1 << (layer.bits_out - 1))
                if network.output == "threshold" and plan is plans[-1]:
                    limit = network.thresholds[number] + (1 << (layer.bits_out - 1))
                    assert ((found > limit) == (node.address > limit)).all()
                else:
                    assert (found == node.address).all()
                continue
            assert sums[:, number].max() <= node.highest
            if node.above is not None:
                assert plan is plans[-1]
                above = codes[:, number] > network.thresholds[number]
                assert np.array_equal(sums[:, number] >> node.above, above)
                continue
            found = (sums[:, number] >> layer.guard_bits) - (node.pages_below << layer.bits_out)
            assert np.array_equal(
                np.clip(found, 0, (1 << layer.bits_out) - 1), codes[:, number] + (1 << (layer.bits_out - 1))
            )


@settings(max_examples=12, deadline=None)
@given(networks(max_bits=3, wide=False), st.data())
def test_layers_as_one_table(network: LookupNetwork, data: st.DataObject) -> None:
    small = [number for number, layer in enumerate(network.layers) if layer.n_in * layer.bits_in <= 10]
    start = data.draw(st.sampled_from(small or [None]))
    codes = codes_for(network, 12, data.draw(st.integers(0, 2**32 - 1)))
    with connect_network(network, "pysim", whole_from=start) as session:
        assert session.predict_codes(codes).tolist() == network.predict_codes(codes).tolist()
        assert session.status["observed"]["latency"] == [pipeline(network, whole_from=start).latency]


def chain(table: list[int], bits: tuple[int, int, int] = (3, 3, 3)) -> LookupNetwork:
    """Two layers of one edge."""
    edge: dict[str, Any] = {"source": [0], "node": [0]}
    identity = np.arange(1 << bits[1]) - (1 << (bits[1] - 1))
    return LookupNetwork.of([1, 1, 1], bits, [1, 1, 1], [edge | {"table": [table]}, edge | {"table": [identity]}])


def test_codes_that_never_occur_need_no_table() -> None:
    plans = plan_layers(chain([0, 0, 0, 0, 0, 0, 2, 2]))
    assert np.flatnonzero(plans[1].reachable[0]).tolist() == [4, 6]
    assert len(set(plans[1].terms[0].values)) == 2


def test_nothing_saturates_that_cannot() -> None:
    plan = plan_layers(chain([-4, -3, -2, -1, 0, 1, 2, 3]))[0]
    assert not plan.saturates
    assert plan_layers(chain([-5, -3, -2, -1, 0, 1, 2, 3]))[0].saturates


def test_equal_tables_of_one_input_are_built_once() -> None:
    table = np.array([0, 3, 1, 2])
    edges = {"source": [0, 0, 0], "node": [0, 1, 2], "table": [table, table + 2, table * 0 + 1]}
    plan = plan_layers(LookupNetwork.of([1, 3], [2, 4], [1, 1], [edges]))[0]
    assert len(plan.terms) == 1
    assert plan.nodes[2].address == 8 + 1


def test_a_table_is_as_narrow_as_what_it_spans() -> None:
    edges = {"source": [0, 1], "node": [0, 0], "table": [[100, 101, 102, 103], [-90, -90, -90, -89]]}
    plan = plan_layers(LookupNetwork.of([2, 1], [2, 8], [1, 1], [edges]))[0]
    # 1 and 2 bits; the sum begins at 128 + 10, which the wider table takes in.
    assert min(term.width for term in plan.terms) == 1
    assert plan.nodes[0].constant == 0


def test_only_samples_give_predictions() -> None:
    network = chain([0, 1, 2, 3, 3, 2, 1, 0])
    core = LookupCore(network, latency=3)
    assert (core.latency, core.interval) == (3, 1)
    assert core.samples.signature.always_ready
    assert core.predictions.signature.always_ready
    codes = [-4, None, -3, -2, None, None, 3]
    seen: list[int | None] = []

    async def bench(ctx: Any) -> None:
        for code in [*codes, *[None] * core.latency]:
            ctx.set(core.samples.valid, code is not None)
            ctx.set(core.samples.payload[0], code or 0)
            await ctx.tick()
            seen.append(ctx.get(core.predictions.payload[0]) if ctx.get(core.predictions.valid) else None)

    simulator = Simulator(core)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    expected = [None if code is None else int(network.predict_codes([[code]])[0, 0]) for code in codes]
    assert seen == [None] * core.latency + expected


def test_what_takes_long_is_told() -> None:
    core, told = LookupCore(chain([0, 1, 2, 3, 3, 2, 1, 0])), []
    core.progress = told.append
    component_rtlil(core, "top")
    assert told == [f"making tables: layer {layer}, input 1 of 1" for layer in (0, 1)]


def test_wrong_settings_are_refused() -> None:
    network = chain([0, 1, 2, 3, 3, 2, 1, 0])
    for arguments, message in [
        ({"latency": 0}, "latency = 0: must be an integer from 1 to"),
        ({"latency": 99}, "latency = 99"),
        ({"latency": 1.5}, "latency = 1.5"),
        ({"latency": 1, "memory": ["logic", "block"]}, "must be an integer from 2"),
        ({"memory": "flash"}, "memory = 'flash'"),
        ({"memory": ["logic"]}, "memory: 1 entries"),
        ({"whole_from": 2}, "whole_from = 2: must be a layer from 0 to 1"),
    ]:
        with pytest.raises(InputError, match=message):
            pipeline(network, **arguments)
    edges = {"source": [0], "node": [0], "table": [np.arange(16)]}
    with pytest.raises(InputError, match="takes 5 codes of 4 bits"):
        pipeline(LookupNetwork.of([5, 1], [4, 4], [1, 1], [edges]), whole_from=0)
    with pytest.raises(InputError, match="backend = 'nothing'"):
        kanrtl.connect(network, "nothing")


@pytest.mark.parametrize("backend", ["model", "pysim"])
def test_session(backend: str) -> None:
    network = chain([0, 1, 2, 3, 3, 2, 1, 0]).with_output("threshold", [1])
    with kanrtl.connect(network, backend) as session:
        assert session.predict([[0.2], [-9.0], [-2.4]]).tolist() == [1, 0, 1]
        assert session.predict([-4]) == 0
        assert session.status["samples"] == 4
        assert session.status["backend"] == backend
