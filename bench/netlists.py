"""Netlists of the learners and networks of other rows, gate by gate beside the integer model: ``kanrtl verify``.

Learners are sent 500 samples each, with writes between them; networks all of their inputs, or 500.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kanrtl import LearnerSpec, LookupNetwork
from kanrtl.build import Device
from kanrtl.experiments.verify import Verification, verify
from kanrtl.lookup import network_size
from kanrtl.tools.toolchain import YOSYS

from .network_area import DRAWN
from .row import Family, LearnerRow, Progress, Result, Row
from .stored import RESULTS, load

__all__ = ["BuiltNetwork", "VerifiedDrawing", "VerifiedLearner", "VerifiedNetwork", "name_families"]

SAMPLES = 500

PREFIX = "verify-"
"""Of the names of these rows, before that of the row whose netlist it is."""


class BuiltNetwork(Protocol):
    """A row that builds a network for a device."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def device(self) -> str: ...

    def make(self) -> LookupNetwork: ...

    @property
    def hardware(self) -> dict[str, Any]: ...


def _tell(found: Verification) -> Result:
    """What came of it. Raises where anything differs: then there is no result."""
    told = found.to_json()
    if found.difference is not None:
        raise AssertionError(f"the netlist for {found.device} differs from the model: {found.difference}")
    return {name: told[name] for name in ("samples", "cycles", "seed", "matches", "cells", "observed")}


@dataclass(frozen=True)
class VerifiedLearner(Row):
    """The netlist of a learner of another row; it fails where anything differs from the model."""

    learner: LearnerRow
    device: str

    @property
    def commands(self) -> tuple[str, ...]:
        options = ["--device", self.device, "--samples", str(SAMPLES)]
        return (shlex.join(["kanrtl", "verify", self.learner.spec_file, *options]),)

    def measure(self, progress: Progress) -> Result:
        found = verify(LearnerSpec(**self.learner.fields), self.device, SAMPLES, progress=progress)
        return {"device": self.device, **_tell(found), "tools": {"yosys": YOSYS.version()}}


@dataclass(frozen=True)
class VerifiedNetwork(Row):
    """The netlist of a network of another row; it fails where anything differs from the model."""

    built: BuiltNetwork

    def measure(self, progress: Progress) -> Result:
        device, network = self.built.device, self.built.make()
        self._compare_sizes(network)
        found = verify(network, device, SAMPLES, progress=progress, **self.built.hardware)
        return {"device": device, **_tell(found), "tools": {"yosys": YOSYS.version()}}

    def _compare_sizes(self, network: LookupNetwork) -> None:
        """Raises where a network that was trained for its row is not the one that was measured there."""
        row = self.built.name
        if not (RESULTS / f"{row}.json").exists():
            return
        measured = load(RESULTS, row).get("estimated")
        if measured is not None and measured != (sizes := network_size(network).as_dict()):
            raise AssertionError(
                f"{row} was measured of a network with {measured}, and what is trained here has {sizes}: measure that "
                "row again"
            )


@dataclass(frozen=True)
class VerifiedDrawing(Row):
    """The netlists of the networks of :mod:`bench.network_area` on one family of devices."""

    family: str

    def measure(self, progress: Progress) -> Result:
        networks = []
        for drawn in DRAWN:
            for device in drawn.devices:
                if Device.parse(device).family != self.family:
                    continue
                progress(f"{len(networks) + 1}: {drawn.sizes} on {device}")
                found = verify(drawn.network(), device, SAMPLES, **drawn.options)
                networks.append({"layer_sizes": drawn.sizes, "bits": drawn.bits, "device": device, **_tell(found)})
        cells: dict[str, int] = {}
        for network in networks:
            for kind, count in network["cells"].items():
                cells[kind] = cells.get(kind, 0) + count
        return {
            "device": self.family,
            "samples": sum(network["samples"] for network in networks),
            "matches": all(network["matches"] for network in networks),
            "cells": dict(sorted(cells.items())),
            "networks": networks,
            "tools": {"yosys": YOSYS.version()},
        }


def name_families(
    learners: Sequence[tuple[LearnerRow, str]], networks: Sequence[BuiltNetwork]
) -> tuple[Family, Family]:
    """The families of the learners, each on its device, and of the networks."""
    drawn = [
        VerifiedDrawing(f"{PREFIX}networks-{family}", f"networks drawn at random, {family}", family)
        for family in ("ecp5", "ice40")
    ]
    return (
        Family(
            "netlists",
            "netlists of learners beside the model",
            tuple(
                VerifiedLearner(f"{PREFIX}{learner.name}", f"netlist of {learner.name}", learner, device)
                for learner, device in learners
            ),
        ),
        Family(
            "network-netlists",
            "netlists of networks beside the model",
            (
                *drawn,
                *(VerifiedNetwork(f"{PREFIX}{row.name}", f"netlist of {row.name}", row) for row in networks),
            ),
        ),
    )
