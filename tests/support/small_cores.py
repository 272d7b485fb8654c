"""Small learners and networks of every kind that a shell has to cope with, and what they are sent."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.compatibility import LEARNERS, NETWORKS
from kanrtl import SQ, Learner, LearnerSpec, LookupNetwork
from kanrtl.bus.byte_layout import ByteLayout
from kanrtl.lookup.rtl.lookup_core import LookupCore
from kanrtl.numeric.fixed import Codes

_OF_BENCH = {row.name: row for row in (*LEARNERS, *NETWORKS)}
_TINY: LearnerSpec = LEARNERS[0].spec

SPECS = {
    "no registers": _OF_BENCH["read-no-registers"].spec,
    "after prediction": _OF_BENCH["read-after-prediction"].spec,
    "gradients": _OF_BENCH["read-external"].spec,
    "streaming": _TINY.replace(schedule="streaming", table_memory="logic", update_rounding="stochastic", seed=3),
    "folded": _TINY.replace(layer_sizes=[2, 1], table_memory="auto", reuse_factor=2),
    "linear": _TINY.replace(layer_sizes=[2, 1, 1], linear=[False, True]),
    "modulated": _TINY.replace(modulated="complex", layer_sizes=[1, 2], input_format=SQ(3, 9)),
}

NETWORKS_BY_OUTPUT = {
    "raw": _OF_BENCH["read-network"],
    "argmax": _OF_BENCH["read-network-block"],
    "threshold": _OF_BENCH["read-network-whole"],
    "folded": _OF_BENCH["read-network-folded"],
    "quantiser": _OF_BENCH["read-network-quantiser"],
}


def random_samples(spec: LearnerSpec, count: int, seed: int = 0) -> tuple[Codes, Codes]:
    """Inputs, some beyond the grid, and words of the teacher, for a learner."""
    random = np.random.default_rng(seed)
    x = spec.formats.input.quantise(random.uniform(-2.2, 2.2, (count, spec.n_in)))
    return x, spec.target_format.quantise(random.uniform(-1, 1, (count, spec.n_out)))


def random_codes(network: LookupNetwork, count: int, seed: int = 0) -> tuple[Codes, Codes]:
    """Samples of a network, and its predictions of them."""
    format = network.sample_format
    codes = np.random.default_rng(seed).integers(format.minimum, format.maximum + 1, (count, network.n_in))
    quantiser: Any = network.quantiser
    inner = quantiser.codes_of_raw(codes) if hasattr(quantiser, "codes_of_raw") else codes
    return codes, network.predict_codes(inner)


def create_learner(name: str) -> Learner:
    """A learner of :data:`SPECS`."""
    return Learner(SPECS[name])


def create_network(name: str) -> LookupCore:
    """A network of :data:`NETWORKS_BY_OUTPUT`."""
    return NETWORKS_BY_OUTPUT[name].create()


def name_codes(name: str, row: Codes) -> dict[str, int]:
    """The codes of a row by the names of ports and bytes."""
    return {f"{name}_{index}": int(code) for index, code in enumerate(row)}


def to_tdata(layout: ByteLayout, codes: dict[str, int]) -> int:
    """The bytes of numbers as a transfer."""
    return int.from_bytes(layout.to_bytes(codes), "little")


def from_tdata(layout: ByteLayout, word: int) -> list[int]:
    """The numbers of a transfer."""
    return list(layout.from_bytes(word.to_bytes(layout.size, "little")).values())


def pins_of(shell: Any, prefix: str) -> dict[str, Any]:
    """The ports of a bus by their names in its standard."""
    return {
        name.removeprefix(f"{prefix}_"): getattr(shell, name)
        for name in shell.signature.members
        if name.startswith(f"{prefix}_")
    }
