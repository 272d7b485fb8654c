"""Bitstreams with which the lookup networks that KANELÉ has published check themselves; see :mod:`bench.lookup`."""

from __future__ import annotations

from dataclasses import dataclass

from kanrtl.boards import BOARDS
from kanrtl.build import build_self_check
from kanrtl.lookup import from_kanele

from .lookup import convert_command, data_folder, name_files
from .row import Family, Progress, Result, Row, build_summary

__all__ = ["FAMILY", "SelfChecking"]


@dataclass(frozen=True)
class SelfChecking(Row):
    """A network of :func:`bench.lookup.data_folder` on a board, at the board's clock, with its generator of samples and
    its checksum."""

    network: str
    output: str
    board: str

    @property
    def commands(self) -> tuple[str, ...]:
        path = f"{self.name}.npz"
        return convert_command(self.network, self.output, path), f"kanrtl build {path} --board {self.board}"

    @property
    def needs(self) -> str:
        return name_files(self.network)

    def measure(self, progress: Progress) -> Result:
        network = from_kanele(data_folder() / f"{self.network}.state_dict.npz", output=self.output)
        board = BOARDS[self.board]
        report = build_self_check(network, board, progress=progress).to_json()
        return {
            "network": self.network,
            "layer_sizes": list(network.layer_sizes),
            "output": self.output,
            "board": self.board,
            "device": board.device,
            "seeds": [1],
            **build_summary([report]),
        }


FAMILY = Family(
    "self-check",
    "boards with a frozen network that checks itself",
    tuple(
        SelfChecking(f"self-check-{network.lower()}-{board}", f"{network} on {board}", network, output, board)
        for network, output in (("Moons", "threshold"), ("DryBean", "argmax"))
        for board in ("ulx3s-85f", "icebreaker")
    ),
)
