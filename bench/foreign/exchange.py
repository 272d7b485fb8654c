"""What is sent to a module, and what has to come back: words of its ports, by the integer model."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.lib import data

from kanrtl import Learner, LearnerSpec, LookupNetwork
from kanrtl.learner.address_map import SATURATIONS, AddressMap
from kanrtl.lookup.quantiser import FixedQuantiser
from kanrtl.lookup.rtl.lookup_core import LookupCore
from kanrtl.numeric.fixed import Codes
from kanrtl.sessions.backends.model import ModelLearner

__all__ = ["Exchange", "exchange_with_learner", "exchange_with_network", "read_ports"]


@dataclass(frozen=True)
class Exchange:
    """Words that go to the streams of a module, in order, and those that have to come from it.

    Attributes
    ----------
    samples, teaching, requests : tuple of int
        What is sent; requests after the last prediction.
    predictions, responses : tuple of int
        What has to come.
    pause : int
        Cycles between the last prediction and the first request, in which the last update is written.
    resets : bool
        The reset is high at first: nothing has an initial value.
    """

    samples: tuple[int, ...]
    predictions: tuple[int, ...]
    teaching: tuple[int, ...] = field(default=())
    requests: tuple[int, ...] = field(default=())
    responses: tuple[int, ...] = field(default=())
    pause: int = 8
    resets: bool = False


def exchange_with_learner(learner: Learner, count: int, seed: int = 0) -> Exchange:
    """Teach a learner ``count`` samples, every fifth a prediction alone, and read what it has learned then."""
    spec, random = learner.spec, np.random.default_rng(seed)
    low, high = spec.per_layer("grid_range")[0]
    # Some beyond the grid, at both ends.
    x = spec.formats.input.quantise(random.uniform(1.1 * low - 0.1, 1.1 * high + 0.1, (count, spec.n_in)))
    target = spec.target_format.quantise(random.uniform(-1, 1, (count, spec.n_out)))
    learn = np.arange(count) % 5 != 4
    model = ModelLearner(spec)
    predictions = model.run(x, target, learn)
    after = spec.timing.after_prediction
    shape = learner.samples.payload.shape()
    samples = [
        _pack(shape, {"x": _list(one), "learn": int(taught), **({} if after else {"target": _list(word)})})
        for one, word, taught in zip(x, target, learn, strict=True)
    ]
    taught = [_pack(learner.teaching.payload.shape(), _list(word)) for word in target[learn]] if after else []
    requests, responses = zip(*_reads(spec, model), strict=True)
    access, data_width = learner.access.request.payload.shape(), AddressMap.of(spec).data_width
    return Exchange(
        tuple(samples),
        tuple(_pack(learner.predictions.payload.shape(), _list(row)) for row in predictions),
        tuple(taught),
        tuple(_pack(access, {"address": address, "write": 0, "data": 0}) for address in requests),
        tuple(value & ((1 << data_width) - 1) for value in responses),
        spec.latency + 8,
        spec.restarts,
    )


def _reads(spec: LearnerSpec, model: ModelLearner) -> list[tuple[int, int]]:
    """List addresses of all that a learner holds, with what is there."""
    addresses = AddressMap.of(spec)
    reads = [
        (addresses.coefficient(layer, node, source, index), int(value))
        for layer, values in enumerate(model.read_coefficients())
        for (node, source, index), value in np.ndenumerate(values)
    ]
    reads += [(addresses.learning_rate(layer), rate) for layer, rate in enumerate(model.read_learning_rates())]
    saturations = model.read_saturations()
    reads += [(addresses.saturations(kind), saturations[kind]) for kind in SATURATIONS]
    if spec.update_rounding == "stochastic":
        reads.append((addresses.noise, model.read_noise() >> 16))  # a read gives the high half
    return reads


def exchange_with_network(core: LookupCore, count: int, seed: int = 0, *, resets: bool = False) -> Exchange:
    """Have a network predict ``count`` samples, the lowest and the highest of all among them; ``resets``: nothing in it
    has an initial value."""
    network: LookupNetwork = core.network
    quantiser, random = network.quantiser, np.random.default_rng(seed)
    fixed = isinstance(quantiser, FixedQuantiser)
    width = quantiser.format.width if isinstance(quantiser, FixedQuantiser) else network.bits[0]
    half = 1 << (width - 1)
    samples: Codes = random.integers(-half, half, (count, network.n_in))
    samples[:2] = [[-half], [half - 1]]
    codes = quantiser.codes_of_raw(samples) if fixed else samples
    return Exchange(
        tuple(_pack(core.samples.payload.shape(), _list(row)) for row in samples),
        tuple(_pack(core.predictions.payload.shape(), _list(row)) for row in network.predict_codes(codes)),
        resets=resets,
    )


def _list(row: Codes) -> list[int]:
    return [int(value) for value in row]


def _pack(shape: Any, value: Any) -> int:
    """Pack codes into the word of a payload; fixed-point numbers are given by their codes."""
    if isinstance(shape, data.Layout):
        word = 0
        for key, part in shape:
            mask = (1 << part.width) - 1
            word |= (_pack(part.shape, value[key]) & mask) << part.offset
        return word
    return int(value)


def read_ports(verilog: str) -> dict[str, tuple[str, int]]:
    """Find direction and bits of every port of the module in a Verilog text."""
    ports = re.finditer(r"^  (input|output)(?: signed)?(?: \[(\d+):0\])? (\w+);$", verilog, re.MULTILINE)
    return {match[3]: (match[1], int(match[2] or 0) + 1) for match in ports}
