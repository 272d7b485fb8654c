"""Baselines driven at random: their model beside their hardware, whose ports stall."""

from __future__ import annotations

from typing import Any

import numpy as np

from kanrtl.baselines import BaselineSpec, create_learner, create_model
from kanrtl.baselines.baseline_addresses import BaselineAddresses
from kanrtl.numeric.bits import pack, unpack

from .components import simulate
from .streams import access

COUNT = 12


def check_equality(spec: BaselineSpec, seed: int) -> None:
    """Drives the hardware of a baseline with pauses, predictions that are refused, a freeze at any cycle and requests
    between samples, and asserts that it does what the model does."""
    random = np.random.default_rng(seed)
    model, dut = create_model(spec), create_learner(spec)
    model.weights = [
        np.clip(
            weights + random.integers(layer.coefficient.minimum // 8, layer.coefficient.maximum // 8, weights.shape),
            layer.coefficient.minimum,
            layer.coefficient.maximum,
        )
        for layer, weights in zip(spec.sums, model.weights, strict=True)
    ]
    formats = spec.input_format, spec.target_format
    x, target = (
        random.integers(format.minimum, format.maximum + 1, (COUNT, count))
        for format, count in zip(formats, (spec.n_in, spec.n_out), strict=True)
    )
    target >>= random.integers(0, 8, (COUNT, 1))
    learn = random.random(COUNT) < 0.8
    addresses = BaselineAddresses.of(spec)
    frozen: list[bool] = []
    predictions: list[list[int]] = []
    steps: list[int] = []
    answers: list[int] = []

    async def send(ctx: Any) -> None:
        codes = np.concatenate([layer.ravel() for layer in model_weights]).tolist()
        for address, code in zip(spec.weight_numbers, codes, strict=True):
            assert await access(ctx, dut.access, address, code) == code
        for row, word, taught in zip(x, target, learn, strict=True):
            for _ in range(random.integers(3)):
                await ctx.tick()
            bits, width = pack(row, spec.input_format), spec.n_in * spec.input_format.width
            bits |= pack(word, spec.target_format) << width
            ctx.set(dut.samples.payload.as_value(), bits | int(taught) << width + spec.n_out * spec.target_format.width)
            ctx.set(dut.samples.valid, 1)
            taken = False
            while not taken:
                held = bool(random.random() < 0.2)
                ctx.set(dut.freeze, held)
                _, _, ready = await ctx.tick().sample(dut.samples.ready)
                taken = bool(ready)
            frozen.append(held)
            ctx.set(dut.samples.valid, 0)
        # A request waits until the last sample is done with.
        answers.extend([await access(ctx, dut.access, address) for address in spec.weight_numbers])
        for kind in model.saturations:
            answers.append(await access(ctx, dut.access, addresses.register(addresses.counter_number(kind))))

    async def take(ctx: Any) -> None:
        while len(predictions) < COUNT:
            ctx.set(dut.predictions.ready, bool(random.random() < 0.6))
            sampled = (dut.predictions.valid & dut.predictions.ready, dut.predictions.payload.as_value())
            _, _, taken, bits = await ctx.tick().sample(*sampled)
            if taken:
                predictions.append(unpack(int(bits), spec.output_format, spec.n_out))

    async def watch(ctx: Any) -> None:
        while len(predictions) < COUNT:
            _, _, updated = await ctx.tick().sample(dut.updated)
            steps.append(int(updated))

    model_weights = model.weights
    simulate(dut, send, take, watch)
    wanted = []
    for row, word, taught, held in zip(x, target, learn, frozen, strict=True):
        model.frozen = held
        wanted.append(model.run(row[None], word[None], np.array([taught]))[0].tolist())
    assert predictions == wanted
    codes = np.concatenate([layer.ravel() for layer in model.weights]).tolist()
    assert answers == codes + list(model.saturations.values())
    learned = sum(bool(taught) and not held for taught, held in zip(learn, frozen, strict=True))
    assert learned - sum(steps) in (0, 1)  # the last may come after the last prediction was taken
