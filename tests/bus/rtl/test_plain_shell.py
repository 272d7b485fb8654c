"""A core with one port for each number."""

import random
import re
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.sim import Simulator

from kanrtl.bus.rtl.plain_shell import PlainShell
from kanrtl.sessions.backends.model import ModelLearner
from support.bus_masters import pause, transfer
from support.small_cores import (
    NETWORKS_BY_OUTPUT,
    SPECS,
    create_learner,
    create_network,
    name_codes,
    random_codes,
    random_samples,
)


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("name", [*SPECS, *(f"{name} network" for name in NETWORKS_BY_OUTPUT)])
def test_names_are_those_of_vhdl_too(name: str) -> None:
    """A basic identifier has letters, digits and single underscores between them, and case says nothing."""
    core = create_network(name.removesuffix(" network")) if name.endswith(" network") else create_learner(name)
    names = list(PlainShell(core).signature.members)
    assert all(re.fullmatch(r"[a-z](_?[a-z0-9])*", one) for one in names)
    assert len({one.lower() for one in names}) == len(names)


@pytest.mark.parametrize("name", ["after prediction", "modulated", "no registers"])
def test_learner_gives_the_models_bits(name: str) -> None:
    spec, dice, count = SPECS[name], random.Random(1), 20
    x, target = random_samples(spec, count)
    model = ModelLearner(spec)
    predictions = model.run(x, target, np.ones(count, bool))
    shell = PlainShell(create_learner(name))
    after = spec.timing.after_prediction
    received: list[list[int]] = []

    async def send(ctx: Any, stream: str, rows: list[dict[str, int]]) -> None:
        for row in rows:
            await pause(ctx, dice, 3)
            for field, code in row.items():
                ctx.set(getattr(shell, field), code)
            ctx.set(getattr(shell, f"{stream}_valid"), 1)
            await transfer(ctx, getattr(shell, f"{stream}_ready"))
            ctx.set(getattr(shell, f"{stream}_valid"), 0)

    async def sample(ctx: Any) -> None:
        rows = [name_codes("x", one) | {"learn": 1} for one in x]
        if not after:
            rows = [row | name_codes("target", one) for row, one in zip(rows, target, strict=True)]
        await send(ctx, "samples", rows)

    async def teach(ctx: Any) -> None:
        await send(ctx, "teaching", [name_codes("target", one) for one in target] if after else [])

    async def read(ctx: Any) -> None:
        ctx.set(shell.predictions_ready, 1)
        outputs = [getattr(shell, f"y_{index}") for index in range(spec.n_out)]
        for _ in range(count):
            received.append(list(await transfer(ctx, shell.predictions_valid, *outputs)))
        await ctx.tick().repeat(spec.latency + 10)
        assert Shape.cast(shell.y_0.shape()).signed
        # The access port.
        coefficients = model.read_coefficients()[0].reshape(-1)
        ctx.set(shell.access_response_ready, 1)
        ctx.set(shell.access_request_valid, 1)
        await transfer(ctx, shell.access_request_ready)
        ctx.set(shell.access_request_valid, 0)
        (code,) = await transfer(ctx, shell.access_response_valid, shell.access_response_data)
        assert code == coefficients[0]

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    for bench in (sample, teach, read):
        simulator.add_testbench(bench)
    simulator.run()
    assert received == predictions.tolist()


@pytest.mark.parametrize("name", ["argmax", "threshold", "quantiser"])
def test_network_gives_the_models_bits(name: str) -> None:
    core = create_network(name)
    codes, predictions = random_codes(core.network, 20)
    shell = PlainShell(core)
    root = {"raw": "y", "argmax": "class", "threshold": "above"}[core.network.output]
    received: list[list[int]] = []

    async def bench(ctx: Any) -> None:
        outputs = [getattr(shell, f"{root}_{index}") for index in range(predictions.shape[1])]
        for cycle in range(20 + core.latency + 1):
            ctx.set(shell.samples_valid, cycle < 20)
            for field, code in name_codes("x", codes[min(cycle, 19)]).items():
                ctx.set(getattr(shell, field), code)
            _, _, valid, *row = await ctx.tick().sample(shell.predictions_valid, *outputs)
            received.extend([row] if valid else [])

    simulator = Simulator(shell)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert received == predictions.tolist()
    assert shell.latency == 0
