"""Learners at the end of a simulated line, which may damage what it carries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from kanrtl import LearnerSpec, Session
from kanrtl.boards import BOARDS
from kanrtl.link.host_link import HostLink
from kanrtl.link.rtl.learner_link import SerialLearner
from kanrtl.sessions.linked_learner import LinkedLearner
from kanrtl.simulators.native_serial import NativeSerial
from kanrtl.virtual.board_simulation import simulate_board
from kanrtl.virtual.server import PseudoTerminal, ServedPort, TcpPort, serve
from kanrtl.virtual.simulated_wire import Damage, SimulatedWire

CLOCK_HZ, BAUD = 12e6, 3_000_000


def simulate_line(spec: LearnerSpec, damage: Damage | None = None) -> SimulatedWire:
    """A line to a learner."""
    simulation = NativeSerial(
        ["serial learner", spec.to_dict()], lambda: SerialLearner(spec, CLOCK_HZ, BAUD), CLOCK_HZ / BAUD
    )
    return SimulatedWire(simulation, CLOCK_HZ, damage)


def connect_line(spec: LearnerSpec, damage: Damage | None = None) -> Session:
    """A session of a learner on a line; the spec is what the learner says."""
    learner = LinkedLearner(HostLink(simulate_line(spec, damage)))
    return Session(learner.spec, learner)


@cache
def tracker() -> LearnerSpec:
    """The learner that most tests share, so that it is compiled once."""
    return LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, learning_rate=0.3, table_size=16)


@contextmanager
def serve_board(spec: LearnerSpec, kind: str, board: str = "icebreaker") -> Iterator[str]:
    """A simulated board with a learner, on a pseudo-terminal (``serial``) or a TCP port; gives its address."""
    simulation = simulate_board(spec, BOARDS[board])
    port: ServedPort = TcpPort("localhost", 0) if kind == "tcp" else PseudoTerminal()
    ended = threading.Event()
    server = threading.Thread(target=serve, args=(simulation, port, ended.is_set), daemon=True)
    server.start()
    try:
        yield port.address
    finally:
        ended.set()
        server.join()
        port.close()
