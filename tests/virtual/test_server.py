"""Simulated boards, as other programs find them: on a pseudo-terminal and on a TCP port."""

import socket
from contextlib import suppress
from typing import cast

import numpy as np
import pytest

from kanrtl import InputError, connect
from kanrtl.sim import TASKS
from kanrtl.simulators.native_serial import NativeSerial
from kanrtl.virtual.server import MOST_BYTES, TcpPort, serve
from support.linked_boards import serve_board, tracker
from support.tiers import thorough


@pytest.fixture(autouse=True)
def optimised(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  keeps what is compiled
    """There are many cycles in a byte: to compile a little longer saves much."""
    monkeypatch.setenv("CXXFLAGS", "-O1 -fno-sanitize=all")


@pytest.mark.parametrize("kind", [thorough("serial"), "tcp"])
def test_one_host_after_another(kind: str) -> None:
    """A host needs no spec; the next one finds what the last has left."""
    task, model = TASKS["track"](200, 0), connect(tracker())
    expected = model.learn_many(task.x, task.target)
    with serve_board(tracker(), kind) as address:
        with connect(address) as first:
            assert first.spec == tracker()
            assert first.status["backend"] == address
            assert np.array_equal(first.learn_many(task.x[:150], task.target[:150]), expected[:150])
        with connect(tracker(), address) as second:
            assert np.array_equal(second.learn_many(task.x[150:], task.target[150:]), expected[150:])
            assert np.array_equal(second.coefficients[0], model.coefficients[0])
        with pytest.raises(InputError, match=r"^learning_rate = 0.25: the learner at .* was built with 0.3; "):
            connect(tracker().replace(learning_rate=0.25), address)


def test_a_port_that_is_taken() -> None:
    port = TcpPort("localhost", 0)
    number = port.address.rpartition(":")[2]
    with pytest.raises(InputError) as failure:
        TcpPort("localhost", int(number))
    assert str(failure.value) == f"--tcp = 'localhost:{number}': Address already in use"
    port.close()


def test_a_name_that_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_address: object) -> None:
        raise OSError(-2, "Name or service not known (while attempting to bind on address ('nowhere', 4000))")

    monkeypatch.setattr("socket.create_server", refuse)
    with pytest.raises(InputError, match=r"^--tcp = 'nowhere:4000': Name or service not known$"):
        TcpPort("nowhere", 4000)


class Line:
    """A board that is fed and does nothing, beyond what its line takes in a stretch."""

    def __init__(self) -> None:
        self.cycles, self.waiting, self.most = 0, 0, 0

    def feed(self, content: bytes) -> None:
        self.waiting += len(content)
        self.most = max(self.most, self.waiting)

    def run(self, cycles: int) -> bytes:
        self.cycles += cycles
        self.waiting = max(0, self.waiting - cycles // 40)
        return b""


def test_a_board_takes_no_more_than_its_line_does() -> None:
    """The next host is heard when what the last one had sent by then has gone over the line."""
    port, line = TcpPort("localhost", 0), Line()
    host, number = port.address.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(number))) as first:
        first.setblocking(False)
        sent = 0

        def send() -> bool:
            nonlocal sent
            with suppress(BlockingIOError):
                sent += first.send(bytes(1 << 20))
            return line.cycles > 4_000_000

        serve(cast("NativeSerial", line), port, send)
    assert line.most <= 2 * MOST_BYTES
    # What the operating system holds, of which that of the sender is the most, and what went over the line.
    taken = line.cycles // 40
    assert taken > 50_000
    assert sent > taken
    port.close()
