"""Anything that a line can carry to a device with a link, and whether two devices answer it alike, to the cycle."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from ..learner.spec import LearnerSpec
from ..link.frame_codec import DELIMITER, FrameReader, decode_frame, encode_frame
from ..link.identification_rom import write_identification
from ..link.layout import LARGEST_PAYLOAD, PIECE_BYTES, POSITION_BYTES, WIRE_BITS, Kind, Layout
from ..simulators.native_serial import NativeSerial
from .exercise import Difference

__all__ = ["Burst", "Traffic", "compare_traffic", "draw_bursts", "find_next_number"]

UNKNOWN = 200
"""A kind of request that there is not."""

OBEYED = (*[Kind.LEARN] * 5, *[Kind.PREDICT] * 2, *[Kind.READ] * 2, Kind.WRITE, Kind.STATUS, Kind.ROM, UNKNOWN)
"""Kinds of the requests that are to be obeyed, as often as they come."""

SHORTEST, LONGEST = 2, LARGEST_PAYLOAD + 4
"""Bytes of the content of a frame that a device takes."""

ITEMS = 24
"""Frames and streams of bytes after one hello, with its own number: few, as one that is cut takes the next with it."""

FLOOD, FLOODED = 6, 12
"""One burst of so many is requests with all the samples that a frame holds, and so many of these: more than a device
holds, unless it learns them as fast as they come."""

QUIET = (0, 0, 4000)
"""Clock cycles of silence after a burst, one of which is drawn."""

SETTLING_BYTES = 2
"""How many bytes' time a line is left alone at first: one that a chip holds low until it is configured looks like a
byte."""


class Traffic:
    """Frames and bytes at random: right ones, some of them in turn, and damaged, cut and meaningless ones.

    Parameters
    ----------
    spec
        Of the learner that they are for.
    seed
        Of what is drawn.

    Attributes
    ----------
    chance : random.Random
        Where it comes from.
    layout : Layout
        Of the records.
    """

    def __init__(self, spec: LearnerSpec, seed: int) -> None:
        self.chance, self.layout = random.Random(seed), Layout.of(spec)

    def draw(self, number: int, begin_anew: bool) -> tuple[bytes, bytes | None]:
        """Give what comes next, and the content of the frame that it is where it is a whole one.

        Parameters
        ----------
        number
            The next that the device obeys.
        begin_anew
            Hellos and resends are among them, after which old answers may come again.
        """
        chance = self.chance
        kind = chance.random()
        whole: bytes | None = None
        if kind < 0.35:
            whole = self._request(number)
        elif kind < 0.5:
            whole = self._request((number + chance.randrange(1, 256)) % 256)
        elif kind < 0.55 and begin_anew:
            position = chance.randrange(1 << 16).to_bytes(POSITION_BYTES, "little")
            whole = chance.choice([bytes([Kind.HELLO, 0]) + chance.randbytes(4), bytes([Kind.RESEND, 0]) + position])
        if whole is None:
            return self._meaningless(number), None
        item = encode_frame(whole)
        # What was cut before takes the frame with it, unless a delimiter ends it.
        return DELIMITER + item if chance.random() < 0.8 else item, whole

    def _meaningless(self, number: int) -> bytes:
        """A frame that was damaged or cut, or bytes that never were one."""
        chance = self.chance
        frame = bytearray(encode_frame(self._request(number)))
        what = chance.random()
        if what < 0.5:
            for _ in range(chance.randint(1, 3)):
                frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
            return bytes(frame)
        if what < 0.7:
            return bytes(frame[: chance.randrange(len(frame))])
        if what < 0.95:
            return chance.randbytes(chance.randrange(24))
        if what < 0.98:
            return DELIMITER * chance.randrange(1, 8)
        return bytes(chance.randrange(1, 256) for _ in range(chance.randrange(200, 400)))

    def _request(self, number: int) -> bytes:
        chance = self.chance
        kind = chance.choice(OBEYED)
        payload = b""
        if kind in (Kind.LEARN, Kind.PREDICT):
            payload = chance.randbytes(self.layout.record(Kind(kind)) * chance.randrange(4) + chance.randrange(2))
        elif kind in (Kind.READ, Kind.WRITE):
            payload = self.draw_access(Kind(kind))
        return bytes([kind, number]) + payload

    def draw_access(self, kind: Kind) -> bytes:
        """The record of a read or of a write: of any address, and anything is written."""
        return self.chance.randbytes(self.layout.record(kind))


@dataclass(frozen=True)
class Burst:
    """What is sent without a pause, and the clock cycles of silence behind it."""

    content: bytes
    quiet: int


def find_next_number(content: bytes, number: int, reader: FrameReader) -> int:
    """Give the number of the request that a device obeys next, after bytes that it gets while it awaits ``number``;
    ``reader`` has read all that it got before. A device whose buffers are full is not foreseen."""
    for frame in reader.feed(content):
        found = decode_frame(frame)
        if found is None or not SHORTEST <= len(found) <= LONGEST:
            continue
        if found[0] == Kind.HELLO:
            number = 0
        elif found[0] != Kind.RESEND and found[1] == number:
            number = (number + 1) % 256
    return number


def draw_bursts(spec: LearnerSpec, items: int, seed: int) -> list[Burst]:
    """Draw what a device gets: requests for all that it tells of itself; then bursts of frames and bytes, each behind a
    hello and requests with numbers that are one bit off, ``items`` together; and among them more samples than it has
    room for."""
    traffic = Traffic(spec, seed)
    chance, layout = traffic.chance, traffic.layout
    pieces = -(-len(write_identification(spec)) // PIECE_BYTES)
    told = b"".join(encode_frame(bytes([Kind.ROM, number])) for number in range(pieces))
    hello = _draw_hello(chance)
    bursts = [Burst(hello + told, max(QUIET))]
    while items > 0:
        number, reader = chance.choice((0, chance.randrange(256))), FrameReader()
        content = bytearray(_draw_hello(chance))
        for other in (*range(number), *(number ^ 1 << bit for bit in range(8))):
            content += encode_frame(bytes([Kind.STATUS, other]))
        if len(bursts) % FLOOD == 0:
            size = layout.record(Kind.LEARN)
            full = LARGEST_PAYLOAD // max(size, layout.answer(Kind.LEARN)) * size
            for _ in range(FLOODED):
                content += encode_frame(bytes([Kind.LEARN, number]) + chance.randbytes(full))
                number = (number + 1) % 256
        for _ in range(min(ITEMS, items)):
            item, _ = traffic.draw(number, begin_anew=True)
            number = find_next_number(item, number, reader)
            content += item
        items -= ITEMS
        bursts.append(Burst(bytes(content), chance.choice(QUIET)))
    return bursts


def _draw_hello(chance: random.Random) -> bytes:
    return DELIMITER + encode_frame(bytes([Kind.HELLO, 0]) + chance.randbytes(4))


def play_bursts(device: NativeSerial, bursts: list[Burst]) -> Iterator[tuple[int, int, int]]:
    """Send bursts to a device; give the number of the burst, the cycle and the byte of what comes from it."""
    device.run(round(SETTLING_BYTES * WIRE_BITS * device.cycles_per_bit))
    begin = end = device.cycles
    for number, burst in enumerate(bursts):
        device.feed(burst.content)
        end += round(len(burst.content) * WIRE_BITS * device.cycles_per_bit) + burst.quiet
        while device.cycles < end:
            for byte in device.run(end - device.cycles, most=1):
                yield number, device.cycles - begin, byte


def compare_traffic(first: NativeSerial, second: NativeSerial, bursts: list[Burst]) -> Difference | None:
    """Send the same to two devices, from which nothing has come yet and which have nothing to do; give the first byte
    that comes from one of them and not, or in another cycle, from the other, or None where there is none.

    Raises
    ------
    ToolError
        If one of them does not come to rest in a cycle.
    """
    for one, other in zip_longest(play_bursts(first, bursts), play_bursts(second, bursts)):
        if one != other:
            number = min(came[0] for came in (one, other) if came is not None)
            return Difference("answers", number, list(one[1:] if one else ()), list(other[1:] if other else ()))
    return None
