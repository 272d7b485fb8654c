"""Learners at the end of a board's serial port: what the link takes, its rate, and what a damaged line does to it.

The board's own design is simulated from pin to pin, with the host's side of the link as it is; see the page "My board
and cable". No board is needed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, Session, connect
from kanrtl.boards import BOARDS
from kanrtl.build import build_learner
from kanrtl.build.design_builds import build_linked
from kanrtl.link.host_link import HostLink
from kanrtl.link.layout import BAUD
from kanrtl.link.rtl.learner_link import SerialLearner
from kanrtl.sessions.linked_learner import LinkedLearner
from kanrtl.sim import TASKS
from kanrtl.simulators.native_serial import NativeSerial
from kanrtl.virtual.board_simulation import simulate_board
from kanrtl.virtual.simulated_wire import Damage, SimulatedWire, damage_bytes

from .link_fuzz import ReferenceDevice, Tally, fuzz_device, fuzz_host
from .row import Family, Progress, Result, Row

T: dict[str, Any] = {"layer_sizes": [1, 1], "grid_range": [-2, 2], "grid_size": 5, "learning_rate": 0.3}

QUIET = 20_000
"""Samples by which the rate of a quiet line is measured."""

DAMAGED = 1e-3
"""Share of the bytes that a line loses, changes or repeats, both ways."""


@dataclass(frozen=True)
class Linked(Row):
    """T with its link on a board, at 3 Mbaud."""

    board: str
    samples: int = 100_000

    def measure(self, progress: Progress) -> Result:
        board = BOARDS[self.board]
        progress("bitstream")
        whole = build_linked(LearnerSpec(**T), board, progress=progress)
        progress("T alone")
        alone = build_learner(LearnerSpec(**T), board.device, progress=progress)
        progress("a quiet line")
        quiet = self._run(QUIET, None)
        progress(f"{self.samples:,} samples over a damaged line")
        damaged = self._run(self.samples, damage_bytes(DAMAGED))
        return {
            "spec": T,
            "device": board.device,
            "baud": BAUD,
            "clock_mhz": whole.clock_mhz,
            "fmax_mhz": whole.fmax_mhz,
            "lut": whole.lut,
            "lut_of_t": alone.lut,
            "ff": whole.ff,
            "bram": whole.bram,
            "capacity": whole.capacity,
            "quiet": quiet,
            "damaged_bytes": DAMAGED,
            "damaged": damaged,
            "tools": {"numpy": np.__version__, **whole.tools},
        }

    def _run(self, samples: int, damage: Damage | None) -> Result:
        """Teach over the line, in the time that the simulated board counts; compare with the integer model."""
        board, task = BOARDS[self.board], TASKS["track"](samples, 0)
        spec = LearnerSpec(**T)
        with connect(spec) as model:
            expected, coefficients = model.learn_many(task.x, task.target), model.coefficients[0]
        clock_hz = board.clock_mhz * 1e6
        wire = SimulatedWire(simulate_board(spec, board), clock_hz, damage)
        link = HostLink(wire)
        with Session(spec, LinkedLearner(link, spec)) as learner:
            start = wire.now()
            predictions = learner.learn_many(task.x, task.target)
            seconds = wire.now() - start
            wrong = int((predictions != expected).sum()) + int((learner.coefficients[0] != coefficients).sum())
        sent = _sample_bytes(spec)
        return {
            "samples": samples,
            "differing": wrong,
            "recoveries": link.recoveries,
            "samples_per_second": round(samples / seconds),
            "bytes_per_sample": sent,
            "share_of_wire": round(samples / seconds * sent * 10 / BAUD, 3),
        }


BAUDS = (9_600, 115_200, 460_800, 921_600, 2_000_000, 3_000_000)
"""Rates that cables have."""


@dataclass(frozen=True)
class Rates(Row):
    """T at the end of quiet lines of several rates, in batches and one sample at a time."""

    board: str
    samples: int = 1_500
    single: int = 60

    def measure(self, progress: Progress) -> Result:
        board, task, spec = BOARDS[self.board], TASKS["track"](self.samples, 0), LearnerSpec(**T)
        sent = _sample_bytes(spec)
        rates = []
        for baud in BAUDS:
            progress(f"{baud:,} baud")
            wire = SimulatedWire(simulate_board(spec, board, baud), board.clock_mhz * 1e6)
            link = HostLink(wire)
            with Session(spec, LinkedLearner(link, spec)) as learner:
                start = wire.now()
                learner.learn_many(task.x, task.target)
                together = wire.now() - start
                start = wire.now()
                for x, target in zip(task.x[: self.single], task.target, strict=False):
                    learner.learn(x, target)
                alone = wire.now() - start
            rates.append(
                {
                    "baud": baud,
                    "samples_per_second": round(self.samples / together),
                    "share_of_wire": round(self.samples / together * sent * 10 / baud, 3),
                    "one_at_a_time_per_second": round(self.single / alone),
                    "recoveries": link.recoveries,
                }
            )
        return {"spec": T, "board": self.board, "bytes_per_sample": sent, "rates": rates, "samples": self.samples}


def _sample_bytes(spec: LearnerSpec) -> int:
    """Bytes that a line carries for a taught sample of one input and one output."""
    return sum(-(-one.width // 8) for one in (spec.formats.input, spec.target_format))


PART = 20_000
"""Fuzzed items with one seed, after each of which a device begins anew."""


@dataclass(frozen=True)
class Fuzzed(Row):
    """T with its link, and a host's reader, under fuzzed frames and bytes; from pin to pin, at four cycles a bit."""

    items: int = 1_000_000

    def measure(self, progress: Progress) -> Result:
        spec, clock_hz = LearnerSpec(**T), 4.0 * BAUD
        device = Tally()
        for seed in range(self.items // PART):
            progress(f"device, part {seed + 1} of {self.items // PART}")
            simulation = NativeSerial(
                ["serial learner", spec.to_dict()], lambda: SerialLearner(spec, clock_hz, BAUD), clock_hz / BAUD
            )
            wire = SimulatedWire(simulation, clock_hz)
            device = device.add(fuzz_device(wire, ReferenceDevice(spec, "compiled"), PART, seed))
            wire.close()
            progress(f"device: {device}")
        progress("host")
        host = fuzz_host(self.items, 0)
        return {
            "spec": T,
            "device": asdict(device),
            "host": asdict(host),
            "tools": {"numpy": np.__version__},
        }


FAMILY = Family(
    "link",
    "T at the end of a serial port",
    (
        Linked("link-icebreaker", "iCEBreaker", "icebreaker"),
        Linked("link-ulx3s", "ULX3S-85F", "ulx3s-85f"),
        Rates("link-rates", "T over lines of several rates", "ulx3s-85f"),
        Fuzzed("fuzz-link", "A link under fuzzed frames and bytes"),
    ),
)
