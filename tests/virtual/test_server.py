"""Simulated boards, as other programs find them: on a pseudo-terminal and on a TCP port."""

import socket
import time
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

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
    def refuse(_address: object, **_options: object) -> None:
        raise OSError(-2, "Name or service not known (while attempting to bind on address ('nowhere', 4000))")

    monkeypatch.setattr("socket.create_server", refuse)
    with pytest.raises(InputError, match=r"^--tcp = 'nowhere:4000': Name or service not known$"):
        TcpPort("nowhere", 4000)


@pytest.mark.parametrize("name", ["\xfc" * 70, "\udcff", "\xfc..b"])
def test_a_name_that_no_host_can_have(name: str) -> None:
    with pytest.raises(InputError, match=r"^--tcp = .*: .* is no name of a host; correct it$"):
        TcpPort(name, 4000)


def test_an_address_of_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    create, asked = socket.create_server, []

    def listen(address: object, family: int) -> socket.socket:
        asked.append((address, family))
        return create(("localhost", 0))  # there may be no other addresses here

    monkeypatch.setattr("socket.create_server", listen)
    port = TcpPort("::1", 0)
    assert asked == [(("::1", 0), socket.AF_INET6)]
    assert port.address.startswith("tcp://[::1]:")
    assert urlsplit(port.address).hostname == "::1"
    port.close()


class Line:
    """A board that is fed and does nothing, beyond what its line takes in a stretch."""

    def __init__(self, cycles_per_bit: float = 4) -> None:
        self.cycles, self.waiting, self.most, self.cycles_per_bit = 0, 0, 0, cycles_per_bit

    def feed(self, content: bytes) -> None:
        self.waiting += len(content)
        self.most = max(self.most, self.waiting)

    def run(self, cycles: int) -> bytes:
        self.cycles += cycles
        self.waiting = max(0, self.waiting - cycles // 40)
        return b""


class Late(Line):
    """A board that answers when a byte has come, and the first one of its answer has gone, on a slow line."""

    def run(self, cycles: int) -> bytes:
        before, due = self.cycles, 2 * 10 * self.cycles_per_bit
        self.cycles += cycles
        self.waiting = 0
        return b"x" if before < due <= self.cycles else b""


@pytest.mark.parametrize("cycles_per_bit", [4.0, 100e6 / 9600, 100e6 / 300])
def test_a_board_goes_on_until_what_is_on_its_line_has_come(cycles_per_bit: float) -> None:
    port, line = TcpPort("localhost", 0), Late(cycles_per_bit)
    host, number = port.address.removeprefix("tcp://").rsplit(":", 1)
    with socket.create_connection((host, int(number))) as first:
        first.send(b"?")
        first.setblocking(False)
        answers: list[bytes] = []

        def listen() -> bool:
            if line.most:
                with suppress(BlockingIOError):
                    answers.append(first.recv(1))
            return bool(answers) or time.monotonic() > until

        until = time.monotonic() + 60
        serve(cast("NativeSerial", line), port, listen)
    assert answers == [b"x"]
    port.close()


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
