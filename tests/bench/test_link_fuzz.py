"""Some thousands of fuzzed frames and streams; `python -m bench fuzz-link` sends more."""

import random
from collections.abc import Iterator

import pytest

from bench.link_fuzz import HangError, ReferenceDevice, Tally, fuzz_device, fuzz_host
from kanrtl.errors import InputError, LinkError
from kanrtl.link.frame_codec import decode_frame, encode_frame
from kanrtl.link.host_link import HostLink
from kanrtl.link.layout import DONE, Kind
from kanrtl.link.transport import Transport
from support.linked_boards import simulate_line, tracker


@pytest.fixture(autouse=True)
def optimised(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  keeps what is compiled
    """There are many cycles in a byte: to compile a little longer saves much."""
    monkeypatch.setenv("CXXFLAGS", "-O1 -fno-sanitize=all")


@pytest.mark.thorough
def test_a_device_does_what_was_whole_and_in_turn_and_nothing_else() -> None:
    tally = fuzz_device(simulate_line(tracker()), ReferenceDevice(tracker()), 1200, 0)
    assert tally.differing == 0
    assert tally.items == 1200
    assert tally.obeyed > 300
    assert tally.learned > 100


@pytest.mark.thorough
def test_what_the_device_does_is_what_is_compared() -> None:
    """A reference that has learned something else differs, and a device that is silent is noticed."""
    wire = simulate_line(tracker())
    other = ReferenceDevice(tracker())
    other.session.learn_many([[0.5]] * 5, [[1.0]] * 5)
    assert fuzz_device(wire, other, 200, 0).differing > 0
    wire.send = lambda _content: None  # type: ignore[method-assign]
    with pytest.raises(HangError, match=r"^no answer to a hello after 200 items$"):
        fuzz_device(wire, other, 300, 0)


def test_a_host_finds_every_frame_behind_what_is_none() -> None:
    tally = fuzz_host(2000, 0)
    assert (tally.items, tally.differing) == (2000, 0)
    assert tally.obeyed >= 2000
    assert tally.add(Tally(items=1)).items == 2001


class Babble(Transport):
    """A wire on which somebody says whatever comes to mind, some of it in good frames, and now and then the truth."""

    name = "babble"

    def __init__(self, seed: int, *, greets: bool) -> None:
        self._chance, self._time, self._greets = random.Random(seed), 0.0, greets
        self._said = self._say()

    def _say(self) -> Iterator[bytes]:
        chance = self._chance
        while True:
            content = bytes([chance.randrange(256), chance.choice([*Kind, 9]) | DONE]) + chance.randbytes(
                chance.choice([0, 1, 4, 32, 249])
            )
            yield chance.choice([encode_frame(content), chance.randbytes(30), b"\0", encode_frame(content)[:5], b""])

    def send(self, content: bytes) -> None:
        for part in content.split(b"\0"):
            asked = decode_frame(part)
            if self._greets and asked and asked[0] == Kind.HELLO:
                self._answer = encode_frame(bytes([0, Kind.HELLO | DONE]) + asked[2:])
                self.greeted = True

    _answer, greeted = b"", False

    def receive(self, timeout: float) -> bytes:
        self._time += min(timeout, 0.01) + 1e-4
        answer, self._answer = self._answer, b""
        return b"\0" + answer if answer else next(self._said)

    def now(self) -> float:
        return self._time

    def close(self) -> None:
        pass


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("greets", [False, True])
def test_a_host_gives_up_what_says_anything(seed: int, greets: bool) -> None:
    """It ends with an error of its own, in its own time, whatever comes."""
    wire = Babble(seed, greets=greets)
    with pytest.raises((LinkError, InputError)) as failure:
        HostLink(wire, patience=2.0)
    assert "\n" not in str(failure.value)
    assert wire.now() < 30
    assert wire.greeted == greets
