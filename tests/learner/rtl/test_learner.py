"""The RTL against the integer model: every bit, every cycle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator
from hypothesis import example, given
from hypothesis import strategies as st

from kanrtl import LearnerSpec, Model
from kanrtl.learner.address_map import SATURATIONS, AddressMap
from kanrtl.learner.rtl.learner import Learner
from kanrtl.numeric.bits import pack, unpack
from support.search import examples
from support.strategies import codes_in, specs
from support.tiers import thorough


@dataclass
class Stimulus:
    """What is offered at every stream, and with what chance a cycle goes by without an offer."""

    x: Any
    teaching: Any
    learn: Any
    freeze: Any
    accesses: list[tuple[int, int | None]] = field(default_factory=list)
    gaps: dict[str, float] = field(default_factory=dict)
    seed: int = 0


@dataclass
class Record:
    """What happened: transfers in order, and at which clock edge."""

    order: list[tuple[str, int]] = field(default_factory=list)
    samples: list[int] = field(default_factory=list)
    predictions: list[int] = field(default_factory=list)
    updates: list[int] = field(default_factory=list)
    taught: list[int] = field(default_factory=list)
    outputs: list[list[int]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)


class Bench:
    """Drives a learner with one testbench per stream, so that none waits for another."""

    def __init__(self, spec: LearnerSpec, stimulus: Stimulus) -> None:
        self.spec, self.stimulus, self.record = spec, stimulus, Record()
        self.dut = Learner(spec)
        self.edge = 0
        simulator = Simulator(self.top())
        simulator.add_clock(1e-8)
        simulator.add_testbench(self.watch, background=True)
        simulator.add_testbench(self.samples)
        simulator.add_testbench(self.predictions)
        if hasattr(self.dut, "teaching"):
            simulator.add_testbench(self.teaching)
        if stimulus.accesses:
            simulator.add_testbench(self.accesses)
        simulator.run()

    def top(self) -> Any:
        return self.dut

    async def pause(self, ctx: Any, random: np.random.Generator, stream: str) -> None:
        while random.random() < self.stimulus.gaps.get(stream, 0):
            await ctx.tick()

    async def begin_sample(self, ctx: Any, index: int) -> None:
        """What comes before a sample's offer, for those who wait for something then."""

    async def offer(self, ctx: Any, port: Any) -> None:
        """Holds what the port carries until it is taken."""
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)

    async def samples(self, ctx: Any) -> None:
        random = np.random.default_rng(self.stimulus.seed)
        port, formats = self.dut.samples, self.spec.formats
        for index, (x, word, learn, freeze) in enumerate(
            zip(self.stimulus.x, self.stimulus.teaching, self.stimulus.learn, self.stimulus.freeze, strict=True)
        ):
            await self.begin_sample(ctx, index)
            await self.pause(ctx, random, "samples")
            ctx.set(port.payload.x.as_value(), pack(x, formats.input))
            ctx.set(port.payload.learn, int(learn))
            if self.spec.teaching == "with_sample":
                ctx.set(port.payload.target.as_value(), pack(word, self.spec.target_format))
            ctx.set(self.dut.freeze, int(freeze))
            await self.offer(ctx, port)
        # The last update is written by then.
        await ctx.tick().repeat(self.spec.latency + 2)

    async def teaching(self, ctx: Any) -> None:
        random = np.random.default_rng(self.stimulus.seed + 1)
        port = self.dut.teaching
        for word in self.stimulus.teaching[self.stimulus.learn]:
            await self.pause(ctx, random, "teaching")
            ctx.set(port.payload.as_value(), pack(word, self.spec.target_format))
            await self.offer(ctx, port)
        await ctx.tick().repeat(self.spec.latency + 2)

    async def predictions(self, ctx: Any) -> None:
        random = np.random.default_rng(self.stimulus.seed + 2)
        port = self.dut.predictions
        refusable = not port.signature.always_ready
        for _ in self.stimulus.x:
            if refusable:
                await self.pause(ctx, random, "predictions")
                ctx.set(port.ready, 1)
            bits = await ctx.tick().sample(port.payload.as_value()).until(port.valid)
            if refusable:
                ctx.set(port.ready, 0)
            self.record.outputs.append(unpack(bits[0], self.spec.formats.output, self.spec.n_out))

    async def accesses(self, ctx: Any) -> None:
        await self.access(ctx, self.stimulus.accesses, self.record.answers)

    async def access(self, ctx: Any, accesses: list[tuple[int, int | None]], answers: list[int]) -> None:
        random = np.random.default_rng(self.stimulus.seed + 3)
        request, response = self.dut.access.request, self.dut.access.response
        for address, value in accesses:
            await self.pause(ctx, random, "accesses")
            ctx.set(request.payload.address, address)
            ctx.set(request.payload.write, value is not None)
            ctx.set(request.payload.data, value or 0)
            await self.offer(ctx, request)
            await self.pause(ctx, random, "accesses")
            ctx.set(response.ready, 1)
            answer = await ctx.tick().sample(response.payload).until(response.valid)
            ctx.set(response.ready, 0)
            answers.append(answer[0])

    async def watch(self, ctx: Any) -> None:
        dut, record = self.dut, self.record
        streams = {"samples": dut.samples, "predictions": dut.predictions, "request": dut.access.request}
        if hasattr(dut, "teaching"):
            streams["teaching"] = dut.teaching
        handshakes = [port.valid & port.ready for port in streams.values()]
        valid_before = 0
        while True:
            _, _, updated, valid, *transfers = await ctx.tick().sample(dut.updated, dut.predictions.valid, *handshakes)
            done = dict(zip(streams, transfers, strict=True))
            if updated:
                record.updates.append(self.edge)
            if valid and (not valid_before or record.predictions[-1] < 0):
                # Loaded at the edge before the first cycle in which it is offered.
                record.predictions.append(self.edge - 1)
            valid_before = valid and not done["predictions"]
            if done.get("teaching"):
                record.taught.append(self.edge)
            if done["request"]:
                record.order.append(("access", len([kind for kind, _ in record.order if kind == "access"])))
            if done["samples"]:
                record.order.append(("sample", len(record.samples)))
                record.samples.append(self.edge)
            self.edge += 1


def places_of(spec: LearnerSpec) -> dict[int, tuple[int, int, int, int]]:
    """By address, the layer, node, input and index of every coefficient."""
    addresses = AddressMap.of(spec)
    return {
        addresses.coefficient(number, node, source, index): (number, node, source, index)
        for number, layer in enumerate(spec.layers)
        for node in range(layer.n_out)
        for source in range(layer.n_in)
        for index in range(layer.coefficients)
    }


def replay(spec: LearnerSpec, stimulus: Stimulus, record: Record) -> Model:
    """Does to the model what was done to the RTL, in the same order, and compares everything that came out."""
    model, addresses, places = Model(spec), AddressMap.of(spec), places_of(spec)
    rates = {addresses.learning_rate(number): (model.learning_rates, number) for number in range(spec.n_layers)}
    rates |= {addresses.linear_rate(number): (model.linear_rates, number) for number in spec.linear_layers}
    for kind, index in record.order:
        if kind == "sample":
            model.frozen = bool(stimulus.freeze[index])
            x, word = stimulus.x[index], stimulus.teaching[index]
            edge = record.samples[index] if spec.schedule == "streaming" else None
            y = model.learn(x, word, edge) if stimulus.learn[index] else model.predict(x, edge)
            assert record.outputs[index] == y.tolist()
            continue
        model.settle()
        address, value = stimulus.accesses[index]
        if value is not None:
            assert record.answers[index] == value
            if address in places:
                number, *place = places[address]
                model.coefficients[number][tuple(place)] = value
            if address in rates:
                registers, number = rates[address]
                registers[number] = value
        else:
            number, *place = places.get(address, (0, None))
            expected = 0 if place == [None] else model.coefficients[number][tuple(place)]
            assert record.answers[index] == expected
    model.settle()
    return model


def finals(spec: LearnerSpec) -> list[tuple[int, int | None]]:
    """Reads of everything that a learner holds; a write moves the noise register's low half to where it is read."""
    addresses = AddressMap.of(spec)
    reads = list(places_of(spec))
    reads += [addresses.saturations(kind) for kind in SATURATIONS]
    reads += [addresses.learning_rate(layer) for layer in range(spec.n_layers)]
    reads += [addresses.linear_rate(layer) for layer in spec.linear_layers] + [addresses.noise]
    return [*((address, None) for address in reads), (addresses.noise, 1), (addresses.noise, None)]


def held(model: Model) -> list[int]:
    """What :func:`finals` must read."""
    state = [int(code) for layer in model.coefficients for code in layer.ravel()]
    state += [model.saturations[kind] for kind in SATURATIONS] + [int(rate) for rate in model.learning_rates]
    state += [int(model.linear_rates[layer]) for layer in model.spec.linear_layers]
    noise = model.noise_state if model.spec.update_rounding == "stochastic" else 0
    return [*state, noise >> 16, 1, noise & 0xFFFF]


def stimulus_for(spec: LearnerSpec, random: np.random.Generator, samples: int, **fields: Any) -> Stimulus:
    """Random samples, a little beyond the grid too."""
    low, high = spec.per_layer("grid_range")[0]
    x = spec.formats.input.quantise(random.uniform(1.2 * low - 0.2, 1.2 * high + 0.2, (samples, spec.n_in)))
    return Stimulus(
        x,
        codes_in(spec.target_format, random, (samples, spec.n_out)),
        learn=fields.pop("learn", random.random(samples) < 0.8),
        freeze=fields.pop("freeze", np.zeros(samples, dtype=bool)),
        **fields,
    )


FOLDED = LearnerSpec(
    layer_sizes=[2, 2, 1],
    linear=[False, True],
    grid_range=[(-2, 2), (-0.1, 0.2)],
    grid_size=3,
    spline_order=[2, 1],
    table_size=4,
    activation_format="SQ(4, 6)",
    output_format="SQ(5, 4)",
    coefficient_format="SQ(3, 9)",
    factor_format="SQ(3, 6)",
    slope_format="SQ(2, 5)",
    learning_rate=1.0,
    update_rounding="stochastic",
    initial_coefficients="uniform",
    memory="block",
    pipeline="most_registers",
    teaching="after_prediction",
    reuse_factor=[4, 2],
    share_multipliers=True,
    multiplier="serial",
)
STREAMING = LearnerSpec(
    layer_sizes=[1, 2, 1],
    linear=True,
    grid_range=[(-2, 2), (-1.3, 1.7)],
    grid_size=[5, 1],
    spline_order=[1, 2],
    table_size=4,
    activation_format="SQ(4, 6)",
    input_format="SQ(3, 8)",
    coefficient_format=["SQ(3, 8)", "SQ(4, 9)"],
    factor_format=["SQ(3, 5)", "SQ(4, 7)"],
    gradient_format=["SQ(2, 6)", "SQ(3, 4)"],
    update_rounding="stochastic",
    initial_coefficients="uniform",
    memory=["distributed", "block"],
    schedule="streaming",
)
EXTERNAL = LearnerSpec(
    layer_sizes=[1, 1, 1],
    grid_range=(0.1, 3.6),
    grid_size=2,
    spline_order=[3, 1],
    table_size=4,
    rounding="half_even",
    update_rounding="half_up",
    initial_coefficients="uniform",
    memory="block",
    pipeline=["no_registers", "all_registers"],
    loss="external",
    teaching="after_prediction",
)
DERIVED = LearnerSpec(
    layer_sizes=[2, 1, 1],
    grid_range=[(0, 1e-3), (-30, 10)],
    grid_size=4,
    spline_order=[2, 1],
    table_size=4,
    target_range=(-1e-2, 2e-2),
    linear=True,
    initial_coefficients="uniform",
    edge_sums="differences",
)


# What is easily got wrong is tried in every run: passes that share serial multipliers before memories that are read a
# cycle later, layers that learn while the next sample goes through them, a gradient from outside, and formats of
# ranges far apart, some with negative integer bits, also of linear paths.
@examples(6)
@example(spec=FOLDED, data_seed=1)
@example(spec=STREAMING, data_seed=2)
@example(spec=EXTERNAL, data_seed=3)
@example(spec=DERIVED, data_seed=4)
@given(spec=specs(max_edges=7), data_seed=st.integers(0, 2**32 - 1))
def test_rtl_equals_model_whatever_the_streams_do_and_takes_its_cycles(spec: LearnerSpec, data_seed: int) -> None:
    """First with every stream pausing, frozen at times, and with accesses between the samples; then at full speed."""
    random = np.random.default_rng(data_seed)
    paused, steady = 12, 10
    gaps = {stream: random.choice([0, 0.3, 0.8]) for stream in ("samples", "predictions", "teaching")}
    freeze = np.concatenate([random.random(paused) < 0.15, np.zeros(steady, dtype=bool)])
    stimulus = stimulus_for(spec, random, paused + steady, freeze=freeze, gaps=gaps, seed=data_seed)
    # Random reads and writes of coefficients between the samples, also of places that do not exist.
    addresses, places = AddressMap.of(spec), places_of(spec)
    for _ in range(5):
        address = int(random.integers(1 << (addresses.width - 1)))
        number, *_ = places.get(address, (0,))
        value = int(codes_in(spec.layers[number].formats.coefficient, random, ()))
        stimulus.accesses.append((address, value if random.random() < 0.5 else None))
    # And another learning rate, of which every step is made anew.
    layer, rate = random.integers(spec.n_layers), random.integers(spec.formats.learning_rate.maximum + 1)
    stimulus.accesses.insert(random.integers(6), (addresses.learning_rate(int(layer)), int(rate)))
    if spec.formats.linear_rate:
        rate = random.integers(spec.formats.linear_rate.maximum + 1)
        address = addresses.linear_rate(int(random.choice(spec.linear_layers)))
        stimulus.accesses[random.integers(6)] = (address, int(rate))
    gaps["accesses"] = 0.85
    bench = ThenSteady(spec, stimulus, paused)
    record = bench.record
    assert sorted(record.order) == [("access", n) for n in range(6)] + [("sample", n) for n in range(paused + steady)]
    assert bench.state == held(replay(spec, stimulus, record))
    schedule, learn = spec.timing, stimulus.learn[paused:]
    samples, predictions = record.samples[paused:], record.predictions[paused:]
    assert [p - s for s, p in zip(samples, predictions, strict=True)] == [schedule.prediction_latency] * steady
    taught = [edge for edge, learns in zip(samples, learn, strict=True) if learns]
    updates = record.updates[bench.updates_before :]
    assert [u - s for s, u in zip(taught, updates, strict=True)] == [spec.latency] * len(taught)
    intervals = [spec.interval if learns else schedule.prediction_interval for learns in learn[:-1]]
    assert np.diff(samples).tolist() == intervals


class ThenSteady(Bench):
    """Waits for the end of everything that pauses, goes on without a pause, and then reads everything."""

    def __init__(self, spec: LearnerSpec, stimulus: Stimulus, paused: int) -> None:
        self.paused, self.updates_before = paused, 0
        self.state: list[int] = []
        super().__init__(spec, stimulus)
        # What is read at the end changes nothing.
        known = len(stimulus.accesses)
        self.record.order = [(kind, index) for kind, index in self.record.order if kind == "sample" or index < known]

    async def begin_sample(self, ctx: Any, index: int) -> None:
        if index == self.paused:
            record = self.record
            while len(record.answers) < len(self.stimulus.accesses) or len(record.outputs) < index:
                await ctx.tick()
            while len(record.taught) < self.stimulus.learn[:index].sum() and hasattr(self.dut, "teaching"):
                await ctx.tick()
            await ctx.tick().repeat(self.spec.latency + 2)
            self.stimulus.gaps.clear()
            self.updates_before = len(record.updates)

    async def samples(self, ctx: Any) -> None:
        await super().samples(ctx)
        await self.access(ctx, finals(self.spec), self.state)


def test_a_learner_waits_for_its_teacher() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), teaching="after_prediction")
    random = np.random.default_rng(3)
    stimulus = stimulus_for(spec, random, 12, learn=np.ones(12, dtype=bool), gaps={"teaching": 0.95})
    record = Bench(spec, stimulus).record
    replay(spec, stimulus, record)
    waits = np.array(record.taught) - np.array(record.predictions)
    assert waits.min() >= 1
    assert waits.max() > 10
    # Nothing else varies: an update is written a constant time after its word, and the next sample taken with it.
    assert {u - t for t, u in zip(record.taught, record.updates, strict=True)} == {spec.timing.teaching_latency}
    assert record.samples[1:] == record.updates[:-1]


def test_an_untaken_prediction_holds_the_learner() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), pipeline="no_registers")
    stimulus = stimulus_for(spec, np.random.default_rng(4), 30, gaps={"predictions": 0.9})
    record = Bench(spec, stimulus).record
    replay(spec, stimulus, record)
    assert np.diff(record.samples).max() > 5


@pytest.mark.parametrize("table_memory", ["block", "logic"])
def test_a_reset_leaves_learning_rate_and_steps_in_step(table_memory: str) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), table_size=4, table_memory=table_memory)
    random = np.random.default_rng(6)
    stimulus = stimulus_for(spec, random, 8, learn=np.ones(8, dtype=bool))
    rate = spec.formats.learning_rate.maximum
    model = Model(spec)
    model.learning_rates = [rate]
    expected = [model.learn(x, word).tolist() for x, word in zip(stimulus.x, stimulus.teaching, strict=True)]

    class Reset(Bench):
        reset = Signal()

        def top(self) -> Any:
            return ResetInserter(self.reset)(self.dut)

        async def samples(self, ctx: Any) -> None:
            port = self.dut.access.request
            ctx.set(port.payload.address, AddressMap.of(spec).learning_rate(0))
            ctx.set(port.payload.write, 1)
            ctx.set(port.payload.data, rate)
            await self.offer(ctx, port)
            await ctx.tick().repeat(20)  # some of the steps are new by then
            ctx.set(self.reset, 1)
            await ctx.tick()
            ctx.set(self.reset, 0)
            await super().samples(ctx)

    assert Reset(spec, stimulus).record.outputs == expected


@pytest.mark.parametrize("pipeline", [thorough("no_registers"), thorough("auto"), "most_registers"])
def test_the_learning_rate_can_change_while_learning(pipeline: str) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.5, pipeline=pipeline)
    random = np.random.default_rng(5)
    learn, freeze = np.ones(4, dtype=bool), np.zeros(4, dtype=bool)
    x, targets = np.full((4, 1), 512), codes_in(spec.target_format, random, (4, 1))
    stimulus = Stimulus(x, targets, learn, freeze, [(AddressMap.of(spec).learning_rate(0), 0)])
    record = Bench(spec, stimulus).record
    position = record.order.index(("access", 0))
    outputs = [output[0] for output in record.outputs]
    # The request came with the first sample and is served at once; from then on nothing is learned.
    assert position <= 1
    assert len(set(outputs[position:])) == 1
