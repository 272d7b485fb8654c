"""The component of a lookup network: the model's bits, at one sample a cycle, after a constant latency."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

import kanrtl
from kanrtl import SQ, InputError, LookupNetwork
from kanrtl.lookup import Quantiser, connect_network
from kanrtl.lookup.rtl.lookup_core import LookupCore
from kanrtl.lookup.rtl.network_plan import plan_layers
from kanrtl.lookup.rtl.pipeline import Pipeline
from kanrtl.tools.rtlil import component_rtlil
from support.lookup_networks import chain, codes_for, networks
from support.search import examples


def pipeline(network: LookupNetwork, **options: Any) -> Pipeline:
    return Pipeline.of(network, plan_layers(network), **options)


@examples(30)
@given(networks(), st.data())
def test_component_equals_model(network: LookupNetwork, data: st.DataObject) -> None:
    memory = [data.draw(st.sampled_from(["auto", "logic", "block"])) for _ in network.layers]
    free = pipeline(network, memory=memory)
    latency = data.draw(st.none() | st.integers(free.least, len(free.positions)))
    codes = codes_for(network, 12, data.draw(st.integers(0, 2**32 - 1)))
    with connect_network(network, "pysim", latency, memory) as session:
        assert session.predict_codes(codes).tolist() == network.predict_codes(codes).tolist()
        assert session.status["observed"] == {"latency": [latency or free.latency], "interval": [1]}


@examples(12)
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


@examples(12)
@given(networks(max_bits=3, wide=False), st.data())
def test_layers_as_one_table(network: LookupNetwork, data: st.DataObject) -> None:
    small = [number for number, layer in enumerate(network.layers) if layer.n_in * layer.bits_in <= 10]
    start = data.draw(st.sampled_from(small or [None]))
    codes = codes_for(network, 12, data.draw(st.integers(0, 2**32 - 1)))
    with connect_network(network, "pysim", whole_from=start) as session:
        assert session.predict_codes(codes).tolist() == network.predict_codes(codes).tolist()
        assert session.status["observed"]["latency"] == [pipeline(network, whole_from=start).latency]


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


@pytest.mark.usefixtures("unelaborated")
def test_other_families_are_refused() -> None:
    with pytest.raises(InputError, match="family = 'xilinx': must be one of 'any', 'ecp5', 'ice40'"):
        LookupCore(chain([0, 1, 2, 3, 3, 2, 1, 0]), family="xilinx")


def test_other_backends_are_refused() -> None:
    with pytest.raises(InputError, match="backend = 'nothing'"):
        kanrtl.connect(chain([0, 1, 2, 3, 3, 2, 1, 0]), "nothing")


@pytest.mark.parametrize("backend", ["model", "pysim"])
def test_session(backend: str) -> None:
    network = chain([0, 1, 2, 3, 3, 2, 1, 0]).with_output("threshold", [1])
    with kanrtl.connect(network, backend) as session:
        assert session.predict([[0.2], [-9.0], [-2.4]]).tolist() == [1, 0, 1]
        assert session.predict([-4]) == 0
        assert session.status["samples"] == 4
        assert session.status["backend"] == backend
