"""What comes over a wire that carries anything: fuzzed frames and bytes for a device with a link, and for a host.

A reference device in Python reads the same bytes, and teaches the integer model what they ask for. The device in
gateware, simulated from pin to pin, must give the same answers, hold the same coefficients, and answer the next host.
"""

from __future__ import annotations

import random
from dataclasses import astuple, dataclass, field

import numpy as np

from kanrtl import LearnerSpec, connect
from kanrtl.experiments.line_traffic import Traffic
from kanrtl.learner.address_map import AddressMap
from kanrtl.link.frame_codec import DELIMITER, FrameReader, decode_frame, encode_frame
from kanrtl.link.layout import DONE, PIECE_BYTES, Kind, Layout
from kanrtl.numeric.fixed import Codes, Format
from kanrtl.virtual.simulated_wire import SimulatedWire

BURST = 96
"""Items between two looks at a device: fewer bytes, with their answers, than its buffers hold."""

QUIET_SECONDS, PATIENCE_SECONDS = 5e-4, 0.05
"""Of the line: silence after which a device has said all, which is longer than its tables take to be made anew; and
time in which it must answer a hello."""

Answer = tuple[int, int, bytes | None]
"""Number, kind, and payload of an answer; None where it is not known."""


class HangError(RuntimeError):
    """A device that does not answer."""


@dataclass
class Tally:
    """What was sent, and what came of it.

    Attributes
    ----------
    items : int
        Fuzzed frames and streams of bytes.
    bytes_sent : int
        All of them.
    obeyed, learned : int
        Requests that were whole and in turn; samples that were taught by them.
    unmeant : int
        Frames that were whole although they were damaged or cut: by a bit that was changed back, or by chance.
    differing : int
        Bursts after which an answer or a coefficient was another than that of the model.
    """

    def add(self, other: Tally) -> Tally:
        """Give both together."""
        return Tally(*(ours + theirs for ours, theirs in zip(astuple(self), astuple(other), strict=True)))

    items: int = 0
    bytes_sent: int = 0
    obeyed: int = 0
    learned: int = 0
    unmeant: int = 0
    differing: int = 0


@dataclass
class ReferenceDevice:
    """What a device does with the bytes that it gets, by the protocol as it is described.

    Attributes
    ----------
    spec : LearnerSpec
        A learner of one layer whose target comes with the sample.
    backend : str
        What the model runs on.
    answers : list of Answer
        Those since the last burst.
    unclear : bool
        Whether something was obeyed that the model has not: a damaged frame whose CRC is right by chance.
    """

    spec: LearnerSpec
    backend: str = "model"
    number: int = 0
    answers: list[Answer] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    unclear: bool = False

    def __post_init__(self) -> None:
        self.session = connect(self.spec, self.backend)
        self.layout = Layout.of(self.spec)
        addresses = AddressMap.of(self.spec)
        (layer,) = self.spec.layers
        self.places = [
            (node, source, index)
            for node in range(layer.n_out)
            for source in range(layer.n_in)
            for index in range(layer.coefficients)
        ]
        self.addresses = {addresses.coefficient(0, *place): place for place in self.places}
        self._address_bits = addresses.width
        self._rest = bytearray()

    @property
    def coefficients(self) -> Codes:
        """What the model has learned, ``(n_out, n_in, coefficients)``."""
        return self.session.coefficients[0]

    def feed(self, content: bytes, expected: bytes | None = None) -> None:
        """Take bytes; ``expected`` is the content of a frame among them that is meant to be whole."""
        *whole, rest = content.split(DELIMITER)
        for part in whole:
            found = decode_frame(bytes(self._rest + part))
            self._rest.clear()
            if found is not None and 2 <= len(found) <= 253:
                self.tally.unmeant += found != expected
                self._take(found)
        self._rest += rest
        self.tally.bytes_sent += len(content)

    def _take(self, content: bytes) -> None:
        kind, number, payload = content[0], content[1], content[2:]
        if kind == Kind.HELLO:
            self.number = 0
            return
        if kind == Kind.RESEND or number != self.number:
            return
        self.number = (self.number + 1) % 256
        self.tally.obeyed += 1
        if kind > max(Kind):
            self.answers.append((number, kind & len(Kind) - 1, b""))
            return
        self.answers.append((number, kind | DONE, self._obey(Kind(kind), payload)))

    def _obey(self, kind: Kind, payload: bytes) -> bytes | None:
        if kind in (Kind.ROM, Kind.STATUS):
            return None
        size = self.layout.record(kind)
        records = [payload[start : start + size] for start in range(0, len(payload) - size + 1, size)]
        return b"".join(self._do(kind, record) for record in records)

    def _do(self, kind: Kind, record: bytes) -> bytes:
        layout, formats = self.layout, self.spec.formats
        if kind in (Kind.PREDICT, Kind.LEARN):
            taught = layout.n_out * layout.target if kind == Kind.LEARN else 0
            target = _read_codes(record[:taught], layout.target, self.spec.target_format)
            x = _read_codes(record[taught:], layout.input, formats.input)
            target = target if kind == Kind.LEARN else np.zeros((1, layout.n_out), dtype=np.int64)
            learn = np.array([kind == Kind.LEARN])
            self.tally.learned += kind == Kind.LEARN
            y = self.session.backend.run(x, target, learn)
            return b"".join(_write_code(int(code), layout.output) for code in y[0])
        data, at = (record[: layout.data], record[layout.data :]) if kind == Kind.WRITE else (b"", record)
        place = self.addresses.get(int.from_bytes(at, "little") & (1 << self._address_bits) - 1)
        if place is None:  # only a damaged frame asks for that
            self.unclear = True
            return bytes(layout.data)
        coefficients = self.coefficients
        if kind == Kind.WRITE:
            format = self.spec.layers[0].formats.coefficient
            coefficients[place] = _extend(int.from_bytes(data, "little"), format)
            self.session.backend.write_coefficients([coefficients])
        return _write_code(int(coefficients[place]), layout.data)


def _extend(bits: int, format: Format) -> int:
    """The code in the lowest bits of a number."""
    code = bits & (1 << format.width) - 1
    return code - (1 << format.width) if format.signed and code >> format.width - 1 else code


def _read_codes(content: bytes, size: int, format: Format) -> Codes:
    parts = [content[start : start + size] for start in range(0, len(content), size)]
    return np.array([[_extend(int.from_bytes(part, "little"), format) for part in parts]], dtype=np.int64)


def _write_code(code: int, size: int) -> bytes:
    return (code & (1 << 8 * size) - 1).to_bytes(size, "little")


class Fuzz(Traffic):
    """Frames and bytes at random that the reference can follow: accesses are those of coefficients.

    Parameters
    ----------
    device
        The reference, which is fed with all of it, so that requests can be in turn.
    seed
        Of what is drawn.
    """

    def __init__(self, device: ReferenceDevice, seed: int) -> None:
        super().__init__(device.spec, seed)
        self._device = device

    def draw_next(self, begin_anew: bool) -> bytes:
        """The next item; ``begin_anew``: as of :meth:`Traffic.draw`."""
        item, whole = self.draw(self._device.number, begin_anew)
        self._device.tally.items += 1
        self._device.feed(item, whole)
        return item

    def draw_access(self, kind: Kind) -> bytes:
        (layer,) = self._device.spec.layers
        written = self.chance.randrange(layer.formats.coefficient.minimum, layer.formats.coefficient.maximum)
        data = _write_code(written, self.layout.data) if kind == Kind.WRITE else b""
        return data + self.chance.choice([*self._device.addresses]).to_bytes(self.layout.address, "little")


def fuzz_device(wire: SimulatedWire, device: ReferenceDevice, items: int, seed: int) -> Tally:
    """Send so many items to a device at the other end of a wire, and compare it with the reference after every burst.

    Raises
    ------
    HangError
        If it does not answer a hello.
    """
    fuzz, tally, burst = Fuzz(device, seed), device.tally, 0
    while tally.items < items:
        begin_anew = burst % 4 == 3
        _say_hello(wire, device, fuzz.chance)
        device.answers.clear()
        wire.send(b"".join(fuzz.draw_next(begin_anew) for _ in range(min(BURST, items - tally.items))))
        answers = _read_answers(wire)
        same = begin_anew or device.unclear or _agree(answers, device.answers)
        _say_hello(wire, device, fuzz.chance)
        held = _read_coefficients(wire, device)
        if device.unclear:
            device.session.backend.write_coefficients([held])
            device.unclear = False
        tally.differing += not (same and np.array_equal(held, device.coefficients))
        burst += 1
    return tally


def _say_hello(wire: SimulatedWire, device: ReferenceDevice, chance: random.Random) -> None:
    """Begin anew; what comes before the answer is old."""
    nonce = chance.randbytes(4)
    hello, wanted = bytes([Kind.HELLO, 0]) + nonce, bytes([0, Kind.HELLO | DONE]) + nonce
    frame = DELIMITER + encode_frame(hello)
    wire.send(frame)
    device.feed(frame, hello)
    reader, end = FrameReader(), wire.now() + PATIENCE_SECONDS
    while wire.now() < end:
        if any(decode_frame(one) == wanted for one in reader.feed(wire.receive(QUIET_SECONDS))):
            return
    raise HangError(f"no answer to a hello after {device.tally.items} items")


def _read_answers(wire: SimulatedWire) -> list[bytes]:
    reader, found = FrameReader(), []
    while (content := wire.receive(QUIET_SECONDS)) or wire.waiting:
        found += [frame for frame in reader.feed(content) if frame]
    return [content for frame in found if (content := decode_frame(frame)) is not None]


def _agree(answers: list[bytes], expected: list[Answer]) -> bool:
    if len(answers) != len(expected):
        return False
    pairs = zip(answers, expected, strict=True)
    return all(
        (content[0], content[1]) == (number, kind) and payload in (None, content[2:])
        for content, (number, kind, payload) in pairs
    )


def _read_coefficients(wire: SimulatedWire, device: ReferenceDevice) -> Codes:
    """Ask for all coefficients, as the first after a hello."""
    layout = device.layout
    addresses = b"".join(address.to_bytes(layout.address, "little") for address in device.addresses)
    request = bytes([Kind.READ, 0]) + addresses
    wire.send(encode_frame(request))
    device.feed(encode_frame(request), request)
    for content in _read_answers(wire):
        if content[:2] == bytes([0, Kind.READ | DONE]) and len(content) == 2 + layout.data * len(device.addresses):
            parts = [content[start : start + layout.data] for start in range(2, len(content), layout.data)]
            codes = [int.from_bytes(part, "little", signed=True) for part in parts]
            return np.array(codes, dtype=np.int64).reshape(device.coefficients.shape)
    raise HangError(f"no answer to a read after {device.tally.items} items")


def fuzz_host(items: int, seed: int) -> Tally:
    """Let a host's reader take so many items, each with a frame behind it, which must be found; ``differing`` counts
    those that are not, ``unmeant`` what was taken for a frame and was none."""
    chance, reader, tally = random.Random(seed), FrameReader(), Tally()
    for _ in range(items):
        frame = bytearray(encode_frame(bytes([chance.randrange(256), Kind.LEARN | DONE]) + chance.randbytes(8)))
        for _ in range(chance.randint(1, 3)):
            frame[chance.randrange(len(frame))] ^= 1 << chance.randrange(8)
        whole = bytes([chance.randrange(256), Kind.ROM | DONE]) + chance.randbytes(chance.choice([0, 8, PIECE_BYTES]))
        garbage = chance.choice([bytes(frame), bytes(frame[: chance.randrange(12)]), chance.randbytes(24)])
        content = garbage + DELIMITER + encode_frame(whole)
        found = [answer for one in reader.feed(content) if one and (answer := decode_frame(one)) is not None]
        tally.items += 1
        tally.bytes_sent += len(content)
        tally.obeyed += len(found)
        tally.differing += not found or found[-1] != whole
        tally.unmeant += len([one for one in found[:-1] if len(one) >= 2])
    return tally
