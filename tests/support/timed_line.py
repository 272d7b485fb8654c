"""A serial line in virtual time to a device in Python, which obeys the protocol and learns nothing."""

from __future__ import annotations

from collections import deque

from kanrtl import LearnerSpec
from kanrtl.link.frame_codec import DELIMITER, FrameReader, decode_frame, encode_frame
from kanrtl.link.identification_rom import write_identification
from kanrtl.link.layout import DONE, PIECE_BYTES, Kind, Layout
from kanrtl.link.transport import Transport

PACKET_BYTES = 62
"""Bytes of a full packet of a USB adapter, which it does not keep."""


class TimedLine(Transport):
    """A line of ten bits a byte, with an adapter at the host's end.

    Parameters
    ----------
    spec
        What the device says that it is.
    baud
        Rate of the line, both ways.
    latency
        Seconds for which the adapter keeps what has come, unless a packet is full.
    distance
        Seconds from an end to the other, either way.
    """

    name = "timed line"

    def __init__(self, spec: LearnerSpec, baud: float, latency: float = 0.0, distance: float = 0.0) -> None:
        self._byte, self._latency, self._distance = 10 / baud, latency, distance
        self.reload(spec)
        self._time = self._request_end = self._answer_end = 0.0
        self._reader, self._number, self._piece = FrameReader(), 0, 0
        # Bytes with the times at which they leave the line.
        self._coming: deque[tuple[float, int]] = deque()
        self.resends = 0

    def reload(self, spec: LearnerSpec) -> None:
        """Make another device of it."""
        self._layout, self._rom = Layout.of(spec), write_identification(spec)

    def now(self) -> float:
        return self._time

    def close(self) -> None:
        pass

    def send(self, content: bytes) -> None:
        """Obey what comes, at the times at which it does."""
        for byte in content:
            self._request_end = max(self._request_end, self._time) + self._byte
            for frame in self._reader.feed(bytes([byte])):
                self._obey(decode_frame(frame), self._request_end + self._distance)

    def _obey(self, content: bytes | None, now: float) -> None:
        if content is None:
            return
        kind, number, payload = content[0], content[1], content[2:]
        if kind == Kind.RESEND:
            self.resends += 1  # nothing is lost on this line: nobody has to be answered
            return
        if kind == Kind.HELLO:
            self._number = self._piece = 0
            self._answer(DELIMITER, now)
        elif number != self._number:
            return
        else:
            self._number = (number + 1) % 256
        if kind == Kind.ROM:
            start = PIECE_BYTES * self._piece
            self._piece += 1
            payload = self._rom[start : start + PIECE_BYTES].ljust(PIECE_BYTES, b"\0")
        elif kind != Kind.HELLO:
            payload = bytes(len(payload) // self._layout.record(Kind(kind)) * self._layout.answer(Kind(kind)))
        self._answer(encode_frame(bytes([number, kind | DONE]) + payload), now)

    def _answer(self, frame: bytes, now: float) -> None:
        for byte in frame:
            self._answer_end = max(self._answer_end, now) + self._byte
            self._coming.append((self._answer_end + self._distance, byte))

    def receive(self, timeout: float) -> bytes:
        """Let time pass until the adapter gives something."""
        end = self._time + timeout
        ready = self._find_packet()
        if ready is None or ready > end:
            self._time = end
            return b""
        self._time = max(self._time, ready)
        content = bytearray()
        while self._coming and self._coming[0][0] <= self._time:
            content.append(self._coming.popleft()[1])
        return bytes(content)

    def _find_packet(self) -> float | None:
        """When the adapter hands on what comes next: a full packet, or what there is at its next look."""
        if not self._coming:
            return None
        look = self._coming[0][0]
        if self._latency:
            look = (look // self._latency + 1) * self._latency
        full = self._coming[PACKET_BYTES - 1][0] if len(self._coming) >= PACKET_BYTES else look
        return min(look, full)
