"""Networks whose area is measured beside their estimate: synthesised and packed, not placed.

Networks are drawn at random, smooth curves or noise, so that every kind of table, sum, memory and output stage is
among them; what they compute has no meaning.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from kanrtl import LookupNetwork
from kanrtl.build import Device
from kanrtl.build.design_builds import core_for
from kanrtl.build.out_of_context import AreaJob
from kanrtl.lookup.quantiser import FixedQuantiser
from kanrtl.lookup.rtl.network_estimate import estimate_network
from kanrtl.numeric.fixed import SQ

from .row import Family, Progress, Result, Row
from .stored import RESULTS

ECP5, UP5K, HX8K = "LFE5U-25F-6", "iCE40UP5K", "iCE40HX8K"


@dataclass(frozen=True)
class Drawn:
    """A network that is drawn at random, on devices.

    Attributes
    ----------
    sizes, bits, guard
        Of the layers; every layer has as many guard bits.
    density
        The share of edges that there are.
    curve
        Tables are polynomials of four coefficients, or noise.
    output
        The output stage.
    quantised
        Whether samples are fixed-point numbers that the component quantises.
    options
        How it becomes hardware.
    devices
        What it is built for.
    """

    sizes: tuple[int, ...]
    bits: tuple[int, ...]
    guard: int = 1
    density: float = 1.0
    curve: Literal["smooth", "noise"] = "smooth"
    output: str = "raw"
    quantised: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    devices: tuple[str, ...] = (ECP5, HX8K)

    def network(self) -> LookupNetwork:
        """Draw it: always the same."""
        random = np.random.default_rng(len(self.sizes))
        edges = []
        for (n_in, n_out), (bits_in, bits_out) in zip(pairwise(self.sizes), pairwise(self.bits), strict=True):
            node, source = np.nonzero(random.random((n_out, n_in)) < self.density)
            place = np.linspace(-1, 1, 1 << bits_in)
            limit = 0.8 * (1 << (bits_out - 1 + self.guard)) / np.sqrt(max(1, n_in * self.density))
            if self.curve == "smooth":
                values = np.array([np.polyval(random.normal(0, 1, 4), place) for _ in node])
            else:
                values = random.uniform(-1, 1, (len(node), len(place)))
            edges.append({"source": source, "node": node, "table": np.rint(limit * values).astype(np.int64)})
        network = LookupNetwork.of(
            self.sizes,
            self.bits,
            [1.0] * len(self.bits),
            edges,
            guard_bits=[self.guard] * len(edges),
            output=self.output,
        )
        if self.quantised:
            scale = random.integers(3, 60, self.sizes[0])
            quantiser = FixedQuantiser(SQ(4, 8), scale, random.integers(-900, 900, self.sizes[0]), 8, self.bits[0])
            network = network.with_quantiser(quantiser)
        return network


DRAWN = (
    Drawn((2, 2, 1), (6, 5, 8), 0),
    Drawn((2, 2, 1), (6, 5, 8), 0, output="threshold"),
    Drawn((4, 3), (4, 6), 2, output="argmax"),
    Drawn((8, 4), (3, 5), 1, curve="noise"),
    Drawn((16, 2, 7), (6, 6, 8), 0, output="argmax"),
    Drawn((13, 3), (4, 7), 2, output="argmax"),
    Drawn((24, 8, 6), (3, 4, 6), 1, 0.4, output="argmax"),
    Drawn((30, 1), (4, 6), 2, output="threshold"),
    Drawn((5, 4, 3), (5, 5, 5), 0, 0.7, curve="noise"),
    Drawn((3, 2), (7, 7), 1),
    Drawn((3, 2), (8, 8), 1),
    Drawn((2, 2), (7, 5), 0, curve="noise"),
    Drawn((2, 2), (8, 6), 1, curve="noise"),
    Drawn((6, 3, 2), (6, 4, 6), 3, 0.8),
    Drawn((4, 4, 4, 4), (4, 4, 4, 4), 1, 0.8, output="argmax"),
    Drawn((1, 1), (10, 8), 1, options={"memory": "logic"}),
    Drawn((1, 1), (9, 8), 1, options={"memory": "logic"}),
    Drawn((1, 1), (9, 6), 1, curve="noise", options={"memory": "logic"}),
    Drawn((3, 3), (9, 8), 1),
    Drawn((4, 4), (6, 6), 1, options={"memory": "block"}),
    Drawn((2, 4), (11, 10), 2),
    Drawn((4, 2, 5), (5, 5, 6), 1, output="argmax", options={"whole_from": 1}),
    Drawn((4, 3, 2), (5, 4, 6), 1, options={"memory": ["logic", "block"]}),
    Drawn((4, 3), (5, 6), 1, quantised=True),
    Drawn((6, 2), (4, 5), 1, quantised=True, output="argmax", devices=(ECP5, UP5K)),
    Drawn((32, 10), (4, 6), 1, output="argmax", options={"reuse_factor": 32}),
    Drawn((16, 8, 4), (4, 5, 6), 1, output="argmax", options={"reuse_factor": 8}),
    Drawn((12, 6), (5, 6), 2, options={"reuse_factor": 24}),
    Drawn((20, 8, 4), (6, 5, 6), 1, options={"reuse_factor": [10, 1]}),
)


@dataclass(frozen=True)
class NetworkAreas(Row):
    """What :data:`DRAWN` take, beside what was estimated."""

    def measure(self, progress: Progress) -> Result:
        path = RESULTS / f"{self.name}.json"
        known: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            known = {one["design"]: one["built"] for one in json.loads(path.read_text())["networks"]}
        found, tools = [], {}
        for drawn in DRAWN:
            network = drawn.network()
            about = {name: value for name, value in asdict(drawn).items() if name != "devices"}
            for device in drawn.devices:
                progress(f"{len(found) + 1}: {drawn.sizes} on {device}")
                job = AreaJob.of(core_for(network, Device.parse(device), **drawn.options), device, "network")
                built = known.get(job.digest)
                if built is None:
                    area = asdict(job.run(progress))
                    built = {name: area[name] for name in ("lut", "ff", "dsp", "bram")}
                tools |= job.tools
                estimated = estimate_network(network, device, **drawn.options).to_json()
                numbers = {name: estimated[name] for name in ("lut", "ff", "dsp", "bram")}
                found.append({**about, "device": device, "design": job.digest, "built": built, "estimated": numbers})
        errors = [one["estimated"]["lut"] / one["built"]["lut"] - 1 for one in found]
        return {
            "networks": found,
            "largest_error": round(max(map(abs, errors)), 3),
            "median_error": round(float(np.median(np.abs(errors))), 3),
            "tools": tools,
        }


FAMILY = Family(
    "network-area",
    "networks beside their estimates",
    (NetworkAreas("network-areas", "networks drawn at random, estimated and built"),),
)
