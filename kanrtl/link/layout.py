"""What frames hold: the kinds of requests, and the bytes of a sample, a prediction and an access, for one learner.

A frame is ``kind, number, payload, CRC`` in a request and ``number, kind, payload, CRC`` in an answer; a payload is
records, one after another. All numbers in records are integer codes in whole bytes, the lowest byte first, sign
extended.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..errors import SpecError
from ..learner.address_map import AddressMap
from ..learner.spec import LearnerSpec

__all__ = [
    "BAUD",
    "BUFFER_BYTES",
    "CRC_BYTES",
    "DONE",
    "LARGEST_PAYLOAD",
    "PIECE_BYTES",
    "POSITION_BYTES",
    "VERSION",
    "WIRE_BITS",
    "Kind",
    "Layout",
]

VERSION = 1
"""Of the protocol; a host refuses a device of another one."""

BAUD = 3_000_000
"""Bits a second on a serial line, where no other rate is asked for."""

WIRE_BITS = 10
"""Bits of a byte on a serial line, with those that start and stop it."""

BUFFER_BYTES = 2048
"""Size of either buffer of a device: checked requests that wait, and answers that can be sent again."""

LARGEST_PAYLOAD = 249
"""Bytes: with four of header and CRC a frame is one block of COBS, with no code byte inside of it that stands for no
zero."""

CRC_BYTES = 2
"""CRC-16/IBM-3740 (polynomial 0x1021, from 0xFFFF on), the high byte first."""

PIECE_BYTES = 32
"""Bytes of the identification in one answer."""

POSITION_BYTES = 2
"""Bytes of a position in the buffer of answers."""

DONE = 0x80
"""Bit of an answer's kind: the request was of a kind that the device knows."""


class Kind(enum.IntEnum):
    """What is asked for. Kinds below :attr:`ROM` are obeyed whatever their number is."""

    HELLO = 0
    """Begin anew: the next number is 0, and the buffer of answers is empty. Answered with its own payload."""
    RESEND = 1
    """Send answers again, from a position in their buffer on. Not answered."""
    ROM = 2
    """The next :data:`PIECE_BYTES` bytes of the identification, which begins anew with a hello."""
    STATUS = 3
    """How many frames were damaged, modulo 256."""
    PREDICT = 4
    """Records are inputs; answered with predictions. In the streaming schedule a prediction comes
    :attr:`.Schedule.prediction_latency` samples later, and those that are on their way are asked for without a
    record."""
    LEARN = 5
    """Records are targets (or gradients), then inputs; answered as those of :attr:`PREDICT`, with the predictions made
    before each step."""
    READ = 6
    """Records are addresses; answered with what is there."""
    WRITE = 7
    """Records are data, then their address; answered with what was written."""


@dataclass(frozen=True)
class Layout:
    """The bytes of a learner's values in records."""

    input: int
    """Of one input; others alike."""
    target: int
    output: int
    address: int
    data: int
    n_in: int
    n_out: int

    @classmethod
    def of(cls, spec: LearnerSpec) -> Layout:
        """The layout for a learner.

        Raises
        ------
        SpecError
            If a sample with its target, or its prediction, has no room in a frame.
        """
        addresses = AddressMap.of(spec)
        layout = cls(
            input=_bytes(spec.formats.input.width),
            target=_bytes(spec.target_format.width),
            output=_bytes(spec.formats.output.width),
            address=_bytes(addresses.width),
            data=_bytes(addresses.data_width),
            n_in=spec.n_in,
            n_out=spec.n_out,
        )
        largest = max(*(layout.record(kind) for kind in Kind), *(layout.answer(kind) for kind in Kind))
        if largest > LARGEST_PAYLOAD:
            raise SpecError.of(
                "layer_sizes",
                spec.layer_sizes,
                f"a sample with its target takes {largest} bytes of a frame, which holds {LARGEST_PAYLOAD}; use fewer "
                "inputs or outputs",
            )
        return layout

    def record(self, kind: Kind) -> int:
        """Bytes of a record in a request; 0 where it has none."""
        inputs = self.n_in * self.input
        sizes = {
            Kind.PREDICT: inputs,
            Kind.LEARN: self.n_out * self.target + inputs,
            Kind.READ: self.address,
            Kind.WRITE: self.data + self.address,
        }
        return sizes.get(kind, 0)

    def answer(self, kind: Kind) -> int:
        """Bytes of a record in an answer; 0 where it has none."""
        outputs = self.n_out * self.output
        return {Kind.PREDICT: outputs, Kind.LEARN: outputs, Kind.READ: self.data, Kind.WRITE: self.data}.get(kind, 0)

    def answers(self, kind: Kind) -> int:
        """The most records of a kind in one answer."""
        return LARGEST_PAYLOAD // self.answer(kind)

    def records(self, kind: Kind) -> int:
        """The most records of a kind in one frame, so that its answer fits into one too."""
        return LARGEST_PAYLOAD // max(self.record(kind), self.answer(kind))


def _bytes(bits: int) -> int:
    return -(-bits // 8)
