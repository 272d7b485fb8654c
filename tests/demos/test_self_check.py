"""A network that checks itself: its samples, its checksum, and what its LEDs say when something is wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, LookupCore, LookupNetwork
from kanrtl.boards import BOARDS
from kanrtl.build import BuildError, build_self_check
from kanrtl.demos import self_check
from kanrtl.demos.self_check import SelfCheck, SelfCheckTop, samples_of_a_round, signature
from support.lookup_networks import networks
from support.search import examples


def network(bits: int = 4) -> LookupNetwork:
    """Nine inputs, so that a sample is wider than a word of the noise; two outputs."""
    random = np.random.default_rng(1)
    edges = {
        "source": np.tile(np.arange(9), 2),
        "node": np.repeat([0, 1], 9),
        "table": random.integers(-9, 9, (18, 1 << bits)),
    }
    return LookupNetwork.of([9, 2], [bits, 6], [1, 1], [edges])


def rounds(dut: SelfCheck, count: int, corrupt: dict[int, int] | None = None) -> list[dict[str, int]]:
    """The LEDs after each of some rounds; ``corrupt`` sets the button at the start of a round."""
    told = []

    async def testbench(ctx: Any) -> None:
        for number in range(count):
            ctx.set(dut.corrupt, (corrupt or {}).get(number, ctx.get(dut.corrupt)))
            await ctx.tick().until(dut.checked)
            told.append({name: ctx.get(getattr(dut, name)) for name in ("running", "passing", "failing", "failed")})

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return told


@pytest.mark.parametrize("factor", [1, 6])
def test_passes_and_sees_what_is_corrupted(factor: int) -> None:
    dut = SelfCheck(LookupCore(network(), reuse_factor=factor), length=64, blink=2)
    told = rounds(dut, 14, corrupt={3: 1, 4: 0})
    names = [next((name for name in ("passing", "failing") if leds[name]), "none") for leds in told]
    assert names == ["passing"] * 3 + ["failing"] * 4 + ["passing"] * 7
    assert [leds["failed"] for leds in told] == [0] * 3 + [1] * 11
    assert [leds["running"] for leds in told] == [0, 1, 1, 0] * 3 + [0, 1]


@examples(6)
@given(networks(max_bits=4, wide=False), st.integers(0, 2**32 - 1))
def test_one_wrong_entry_is_found(lookup: LookupNetwork, seed: int) -> None:
    """The core has another table than the model: unless no prediction of the round depends on it, that is seen."""
    random = np.random.default_rng(seed)
    layers = list(lookup.layers)
    index = int(random.integers(len(layers)))
    table, bias = layers[index].table.copy(), layers[index].bias.copy()
    if table.size:
        table[random.integers(len(table)), random.integers(table.shape[1])] += 1 << layers[index].guard_bits
    else:
        bias += 1 << layers[index].guard_bits
    layers[index] = replace(layers[index], table=table, bias=bias)
    wrong = replace(lookup, layers=tuple(layers))
    core, other = LookupCore(lookup), LookupCore(wrong)
    samples = np.concatenate(list(samples_of_a_round(core, 64)))
    differs = not np.array_equal(lookup.predict_codes(samples), wrong.predict_codes(samples))
    assert (signature(core, 64) != signature(other, 64)) == differs
    dut = SelfCheck(core, length=64, blink=2)
    assert rounds(dut, 1)[0]["passing"]
    dut = SelfCheck(other, length=64, blink=2, expected=signature(core, 64))
    assert rounds(dut, 1)[0]["failing"] == differs


@pytest.mark.parametrize("fixed", [False, True])
def test_samples_are_those_of_the_generator(fixed: bool) -> None:
    lookup = network()
    if fixed:
        lookup = lookup.with_quantiser(lookup.quantiser.fixed(SQ(3, 4)))  # type: ignore[union-attr]
    core = LookupCore(lookup)
    dut = SelfCheck(core, length=32, blink=2)
    seen: list[list[int]] = []

    async def testbench(ctx: Any) -> None:
        while len(seen) < 64:
            if ctx.get(core.samples.valid):
                seen.append([ctx.get(core.samples.payload[index]) for index in range(9)])
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    expected = np.concatenate(list(samples_of_a_round(core, 32))).tolist()
    assert seen == expected * 2


@pytest.mark.usefixtures("unelaborated")
def test_samples_reach_everywhere() -> None:
    """All codes of every input, and no input like another, in any round that is long enough."""
    core = LookupCore(network())
    codes = np.concatenate(list(samples_of_a_round(core, 4096)))
    for column in codes.T:
        assert np.unique(column).tolist() == list(range(-8, 8))
        assert np.abs(np.bincount(column + 8) - 256).max() < 80
    late = codes[4:]  # before, a sample reaches back to where the noise began
    assert np.abs(np.corrcoef(late.T) - np.eye(9)).max() < 0.06


@pytest.mark.usefixtures("unelaborated")
def test_wrong_settings_are_refused() -> None:
    core = LookupCore(network())
    for field in ("length", "blink"):
        with pytest.raises(ValueError, match=f"{field} = 12: must be a power of two, 2 or more"):
            SelfCheck(core, **{field: 12})
    with pytest.raises(BuildError, match=r"^board: 'colorlight-5a-75b' has 1 LED\(s\); the check needs two or more$"):
        build_self_check(network(), BOARDS["colorlight-5a-75b"])


@pytest.mark.parametrize("name", ["ulx3s-85f", "icebreaker"])
def test_board_top_elaborates(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "ROUND", 64)
    board = BOARDS[name]
    plan = board.platform().prepare(SelfCheckTop(LookupCore(network()), board))
    netlist = plan.files["top.il"]
    text = netlist.decode() if isinstance(netlist, bytes) else netlist
    for resource in (*board.leds[:4], board.button):
        assert resource is None or f"{resource[0]}_{resource[1]}" in text
    assert "kanrtl/lookup/rtl/lookup_core.py" in text
