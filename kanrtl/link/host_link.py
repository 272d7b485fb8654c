"""The host's side of a link: requests in flight, answers in order, and everything again where something is damaged."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import LinkError
from .frame_codec import DELIMITER, FrameReader, decode_frame, encode_frame
from .identification_rom import LinkedDevice, read_identification
from .layout import BUFFER_BYTES, DONE, LARGEST_PAYLOAD, PIECE_BYTES, POSITION_BYTES, Kind
from .line_timing import FIRST_TIMEOUT, LONGEST_TIMEOUT, LineTiming
from .transport import Transport

__all__ = ["HostLink", "Request"]

FRAME_OVERHEAD = 6
"""Bytes of an answer on the wire beside its payload: number, kind, CRC, code byte, delimiter."""

SLACK = 64
"""Bytes of a buffer that are not counted on: requests to send again, and what is between frames."""

MOST_IN_FLIGHT = 100
"""Requests; the numbers of twice as many are different."""

PATIENCE = 10.0
"""Seconds without any answer after which the device is given up."""

MOST_EARLY_HINTS = 64
"""Empty frames that are taken for new signs of damage before those of the last are over, without an answer between."""

SMALLEST_PAYLOAD = 24
"""Bytes, down to which frames shrink on a bad wire."""


@dataclass(frozen=True)
class Request:
    """What is asked for, and how many bytes the payload of its answer has."""

    kind: Kind
    payload: bytes
    answer_bytes: int


@dataclass
class _Sent:
    """A request in flight, as it is on the wire: how many bytes were sent up to its end, whether nothing was on the
    wire before it, and whether it was sent again."""

    number: int
    request: Request
    frame: bytes
    end: int = 0
    alone: bool = False
    again: bool = False


class HostLink:
    """Talks to one device, which nobody else talks to meanwhile.

    As many requests are in flight as the device's buffers hold with their answers, fewer on a bad wire. A device obeys
    each once, in order, and keeps its answer: whatever is damaged or lost on the way, either way, is sent again.

    Parameters
    ----------
    transport
        What carries bytes.
    patience
        Seconds without any answer after which the device is given up.

    Attributes
    ----------
    device : LinkedDevice
        What the device says that it is.
    recoveries : int
        How often something was sent again.
    payload_bytes : int
        The most bytes that a request should have now: fewer on a bad wire.

    Raises
    ------
    LinkError
        If nothing answers.
    InputError
        If what answers is not to be understood.
    """

    def __init__(self, transport: Transport, patience: float = PATIENCE) -> None:
        self._transport, self._patience = transport, patience
        self._timing = LineTiming()
        self.recoveries, self.payload_bytes = 0, LARGEST_PAYLOAD
        self._requests = self._answers = BUFFER_BYTES
        self.device = self._begin()
        self._broken = False

    @property
    def name(self) -> str:
        """The address of the device."""
        return self._transport.name

    def close(self) -> None:
        """End the link."""
        self._transport.close()

    def exchange(self, requests: Iterable[Request]) -> list[bytes]:
        """Do requests in order; give the payloads of their answers.

        Raises
        ------
        LinkError
            If the device does not answer any more; ``answered_bytes`` is the size of all answers before. Later
            requests may have been obeyed too. The next call begins anew with a hello.
        """
        if self._broken:
            device = self._begin()
            if device.identification.digest != self.device.identification.digest:
                raise LinkError(f"{self.name}: another learner answers than before; connect anew")
            self.device = device
        answers: list[bytes] = []
        self._broken = True  # whatever ends this before it is done
        try:
            for payload in self._exchange(iter(requests)):
                answers.append(payload)
        except LinkError as error:
            error.answered_bytes = sum(map(len, answers))
            raise
        self._broken = False
        return answers

    def _begin(self) -> LinkedDevice:
        """Say hello until the answer is to this hello, and read what the device is."""
        self._reader = FrameReader()
        # The requests without an answer; the first of them are on the wire, as many as the window allows.
        self._sent: deque[_Sent] = deque()
        self._on_wire, self._window = 0, MOST_IN_FLIGHT
        self._number, self._recovering, self._settled = 0, False, 0.0
        self._early_hints = 0
        # Bytes that were sent, and those of them that are known to be with the device.
        self._bytes_sent = self._bytes_passed = 0
        # When each was sent, by its answer. On a slow line several are on the way when the first is answered: what is
        # next waits for that to the last, as each makes the device begin anew.
        hellos: dict[bytes | None, float] = {}
        timeout, late = FIRST_TIMEOUT, self._transport.now()
        end = late + self._patience
        while (now := self._transport.now()) < end:
            if now >= late:
                nonce = os.urandom(4)
                hello = encode_frame(bytes([Kind.HELLO, 0]) + nonce)
                last = bytes([0, Kind.HELLO | DONE]) + nonce
                hellos[last] = now
                self._send(DELIMITER + hello)
                late = now + timeout
                timeout = min(2 * timeout, LONGEST_TIMEOUT)
            for frame in self._reader.feed(self._transport.receive(min(late, end) - now)):
                answer = decode_frame(frame)
                if answer not in hellos:
                    continue
                self._timing.begin(hellos[answer])
                self._timing.end(self._transport.now(), 1 + len(hello), 1 + len(frame), alone=True)
                if answer == last:
                    self._next = 1 + len(frame) + 1
                    return self._identify()
                late = hellos[last] + self._timing.limit(len(hello) + len(frame))
        *others, final = (f"that {each}" for each in self._transport.requirements)
        raise LinkError(f"{self.name}: nothing there answers; see {', '.join(others)}, and {final}")

    def _identify(self) -> LinkedDevice:
        """Read what the device is, as the first after a hello."""
        piece = Request(Kind.ROM, b"", PIECE_BYTES)
        device = read_identification(lambda: next(self._exchange(iter([piece]))))
        self._requests, self._answers = device.request_bytes, device.answer_bytes
        return device

    def _exchange(self, requests: Iterator[Request]) -> Iterator[bytes]:
        """Send requests as there is room, and give the payloads of the answers as they come, in order."""
        waiting = next(requests, None)
        answered = progress = self._transport.now()
        patience = 1
        while waiting is not None or self._sent:
            while waiting is not None and self._has_room(waiting):
                self._enter(waiting)
                waiting = next(requests, None)
            self._send_window()
            first = self._sent[0]
            limit = self._timing.limit(first.end - self._bytes_passed + first.request.answer_bytes + FRAME_OVERHEAD)
            until = progress + min(patience * limit, max(limit, LONGEST_TIMEOUT))
            left = min(until, answered + self._patience) - self._transport.now()
            content = self._transport.receive(max(left, 0.0))
            before = len(self._sent)
            for frame in self._reader.feed(content):
                payload = self._take(frame)
                if payload is not None:
                    yield payload
            now = self._transport.now()
            if len(self._sent) != before:
                answered = progress = now
                patience = 1
            elif now >= answered + self._patience:
                raise LinkError(f"{self.name}: does not answer any more")
            elif left <= 0:
                patience *= 2
                self._bytes_passed = self._bytes_sent  # nothing is on the line any more
                self._recover(requests_lost=True)
                progress = now

    def _send_window(self) -> None:
        """Send those requests that are not on the wire, as far as the window goes."""
        batch = bytearray()
        for index in range(self._on_wire, min(self._window, len(self._sent))):
            sent = self._sent[index]
            batch += sent.frame
            sent.end = self._bytes_sent + len(batch)
            if index == 0 and not sent.again:
                sent.alone = True
                self._timing.begin(self._transport.now())
        self._on_wire = max(self._on_wire, min(self._window, len(self._sent)))
        if batch:
            self._send(bytes(batch))

    def _send(self, content: bytes) -> None:
        self._bytes_sent += len(content)
        self._transport.send(content)

    def _has_room(self, request: Request) -> bool:
        """Whether the device has room for a request and its answer, besides those in flight."""
        requests = sum(len(sent.frame) for sent in self._sent) + len(request.payload) + FRAME_OVERHEAD + 1
        answers = sum(sent.request.answer_bytes + FRAME_OVERHEAD for sent in self._sent) + request.answer_bytes
        return (
            len(self._sent) < MOST_IN_FLIGHT and requests <= self._requests - SLACK and answers <= self._answers - SLACK
        )

    def _enter(self, request: Request) -> None:
        """Give a request its number."""
        frame = encode_frame(bytes([request.kind, self._number]) + request.payload)
        self._sent.append(_Sent(self._number, request, frame))
        self._number = (self._number + 1) % 256

    def _take(self, frame: bytes) -> bytes | None:
        """Take what came between two delimiters; give the payload if it is the next answer."""
        content = decode_frame(frame) if frame else None
        if content is None or len(content) < 2:
            # An empty frame is the device's hint that it got something damaged.
            if self._sent and self._is_news(of_request=not frame):
                self._recover(requests_lost=not frame)
            return None
        if not self._sent:
            return None
        first = self._sent[0]
        if content[0] != first.number:
            ahead = (content[0] - first.number) % 256
            if ahead < len(self._sent) and self._is_news(of_request=False):
                self._recover(requests_lost=False)
            return None
        request, payload = first.request, content[2:]
        if content[1] != request.kind | DONE or len(payload) != request.answer_bytes:
            raise LinkError(
                f"{self.name}: a request of kind {request.kind.name.lower()} is answered with kind {content[1]:#x} and "
                f"{len(payload)} bytes, not {request.answer_bytes}; the device is of another version"
            )
        self._sent.popleft()
        self._next = (self._next + len(frame) + 1) % self._answers
        self._recovering, self._early_hints = False, 0
        self._on_wire = max(self._on_wire - 1, 0)
        self._window = min(self._window + 1, MOST_IN_FLIGHT)
        self.payload_bytes = min(self.payload_bytes + 8, LARGEST_PAYLOAD)
        self._bytes_passed = max(self._bytes_passed, first.end)
        self._timing.end(self._transport.now(), len(first.frame), len(frame) + 1, alone=first.alone)
        return payload

    def _is_news(self, *, of_request: bool) -> bool:
        """Whether a sign of damage is a new one: when much is sent again, there are signs yet of what was before."""
        if not self._recovering or self._transport.now() > self._settled:
            return True
        # One request that was sent again alone may be damaged again before that time. A device that was started anew
        # sends zeros where it is to send answers again, each of which looks like a hint: so many are not believed.
        early = of_request and self._on_wire <= 1 and self._early_hints < MOST_EARLY_HINTS
        self._early_hints += early
        return early

    def _recover(self, *, requests_lost: bool) -> None:
        """Ask for all answers from the first that is missing on, and where requests may be lost, send again, bit by
        bit, all that have none."""
        self._recovering = True
        self.recoveries += 1
        self._timing.forget()
        self._settled = self._transport.now() + self._timing.expect(self._bytes_sent - self._bytes_passed)
        # The delimiter before it ends what may have been cut.
        self._send(DELIMITER + encode_frame(bytes([Kind.RESEND, 0]) + self._next.to_bytes(POSITION_BYTES, "little")))
        for sent in self._sent:
            sent.again = True
        if requests_lost:
            self._window, self._on_wire = max(min(self._window, self._on_wire) // 2, 1), 0
            self.payload_bytes = max(3 * self.payload_bytes // 4, SMALLEST_PAYLOAD)
