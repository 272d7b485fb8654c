"""Frames as a wire carries them: COBS around what has a CRC at its end, and a zero behind."""

from __future__ import annotations

import binascii
from collections.abc import Iterator

from cobs import cobs

__all__ = ["FrameReader", "decode_frame", "encode_frame"]

DELIMITER = b"\0"

_START = 0xFFFF

LONGEST_FRAME = 260
"""Bytes on the wire, the delimiter not among them: the longest that has 253 bytes of content, and some."""


def encode_frame(content: bytes) -> bytes:
    """Give the bytes that carry ``content``, with their delimiter."""
    crc = binascii.crc_hqx(content, _START)
    return bytes(cobs.encode(content + crc.to_bytes(2, "big"))) + DELIMITER


def decode_frame(frame: bytes) -> bytes | None:
    """Give the content of what came between two delimiters, or None where it was damaged."""
    try:
        content = bytes(cobs.decode(frame))
    except cobs.DecodeError:
        return None
    if len(content) < 2 or binascii.crc_hqx(content, _START):
        return None
    return content[:-2]


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, content: bytes) -> Iterator[bytes]:
        """Give what came between delimiters so far, empty frames too. What grows longer than any frame is cut off, so
        that garbage takes no room."""
        *whole, rest = content.split(DELIMITER)
        for part in whole:
            frame = bytes(self._rest + part)
            self._rest.clear()
            yield frame
        self._rest += rest
        del self._rest[LONGEST_FRAME:]
