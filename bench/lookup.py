"""Lookup networks: the two that KANELÉ has published, through the same tools as its own RTL.

They are not part of the project: ``KANRTL_KANELE`` names the folder with ``Moons.state_dict.npz`` and so on. Results
hold no tables.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kanrtl import InputError
from kanrtl.build import optimise_network
from kanrtl.lookup import from_kanele

from .row import Family, Progress, Result, Row, network_summary, seed_options

__all__ = ["DEVICE", "FAMILY", "FREQUENCY", "Lookup", "convert_command", "data_folder", "name_files"]

DEVICE = "LFE5U-85F-6"
FREQUENCY = 250.0  # asked for, in MHz: more than there is


def data_folder() -> Path:
    """The folder that ``KANRTL_KANELE`` names. Raises :exc:`kanrtl.InputError` where that is not set, or names none."""
    named = os.environ.get("KANRTL_KANELE")
    if not named:
        raise InputError(
            "KANRTL_KANELE is not set: let it name the folder with KANELÉ's networks, Moons.state_dict.npz and others"
        )
    if not Path(named).is_dir():
        raise InputError(f"KANRTL_KANELE = {named!r}: no such folder; name the one with Moons.state_dict.npz")
    return Path(named)


def convert_command(network: str, output: str, path: str) -> str:
    """The command line that makes a network of a checkpoint, and tells how many held-out rows it gets right."""
    source = f"$KANRTL_KANELE/{network}"
    return f"kanrtl convert {source}.state_dict.npz --stage {output} --data {source}.test.npz -o {path}"


def name_files(network: str) -> str:
    """The files of :func:`data_folder` that a network takes."""
    return f"KANELÉ's {network}.state_dict.npz and {network}.test.npz, in the folder that KANRTL_KANELE names"


@dataclass(frozen=True)
class Lookup(Row):
    """A network of :func:`data_folder` on a device: its size and speed, and how many held-out rows it gets right.

    The component begins and ends with registers, so what leads to its ports is timed as it is.
    """

    network: str
    output: str
    """The stage that makes classes of codes, for the held-out rows; ``built`` says what is built."""
    latency: int | None
    built: str = "raw"
    whole_from: int | None = None
    placer: str | None = None
    goal: str | None = None
    """What a search for the best setting is to find, in place of the settings above."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)

    @property
    def commands(self) -> tuple[str, ...]:
        converted = [convert_command(self.network, self.output, f"{self.name}.npz")]
        if self.built != self.output:
            converted += [f"kanrtl convert {self.name}.npz --stage {self.built} -o {self.name}.npz"]
        options = ["--device", DEVICE]
        options += [] if self.goal else ["--frequency", f"{FREQUENCY:g}"]
        options += [] if self.goal is None else ["--optimise", self.goal]
        options += [] if self.latency is None else ["--latency", str(self.latency)]
        options += [] if self.whole_from is None else ["--whole-from", str(self.whole_from)]
        options += [] if self.placer is None else ["--placer", self.placer]
        return *converted, shlex.join(["kanrtl", "build", f"{self.name}.npz", *options, *seed_options(self.seeds)])

    @property
    def needs(self) -> str:
        return name_files(self.network)

    def measure(self, progress: Progress) -> Result:
        folder = data_folder()
        network = from_kanele(folder / f"{self.network}.state_dict.npz", output=self.output)
        with np.load(folder / f"{self.network}.test.npz", allow_pickle=False) as held:
            rows, classes = held["X"], held["y"]
        right = int((network.predict(rows) == classes).sum())
        built = network.with_output(self.built)
        settings: dict[str, Any] = {"latency": self.latency, "whole_from": self.whole_from}
        placer, frequency, searched = self.placer, FREQUENCY if self.goal is None else None, {}
        if self.goal is not None:
            found = optimise_network(built, DEVICE, self.goal, seed=self.seeds[0], progress=progress)
            settings, placer = found.options, found.placer
            searched = {"optimised": found.to_json()}
        return {
            "network": self.network,
            "layer_sizes": list(network.layer_sizes),
            "bits": list(network.bits),
            "edges": network.edges,
            "output": self.built,
            "whole_from": settings.get("whole_from"),
            "placer": placer,
            "held_out": {"right": right, "rows": len(classes)},
            **searched,
            **network_summary(built, DEVICE, self.seeds, progress, frequency=frequency, placer=placer, **settings),
        }


FAMILY = Family(
    "lookup",
    f"frozen networks of KANELÉ on {DEVICE}",
    (
        Lookup("lookup-moons", "Moons", "Moons", "threshold", 1),
        Lookup("lookup-moons-class", "Moons, its class", "Moons", "threshold", 1, built="threshold"),
        Lookup("lookup-moons-whole", "Moons, one table", "Moons", "threshold", 1, whole_from=0),
        Lookup("lookup-drybean", "DryBean", "DryBean", "argmax", 5, seeds=(1, 2, 3)),
        Lookup("lookup-drybean-whole", "DryBean, last layer one table", "DryBean", "argmax", 5, whole_from=1),
        Lookup(
            "lookup-drybean-class",
            "DryBean, last layer and class one table",
            "DryBean",
            "argmax",
            4,
            built="argmax",
            whole_from=1,
            placer="static",
        ),
        Lookup(
            "lookup-drybean-ns",
            "DryBean's class, by `--optimise ns`",
            "DryBean",
            "argmax",
            None,
            built="argmax",
            goal="ns",
        ),
    ),
)
