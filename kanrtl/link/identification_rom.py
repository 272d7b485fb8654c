"""What a device tells of itself: an identification, and the spec that it was built from."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..bus.identification import Identification
from ..errors import InputError, SpecError
from ..file_content import parse_json
from ..learner.spec import LearnerSpec
from .layout import BUFFER_BYTES, VERSION

__all__ = ["LinkedDevice", "read_identification", "write_identification"]

_HEAD = struct.Struct("<BxHHHH")
"""Version of the protocol, sizes of the buffers of requests and answers, words of the identification, and bytes of the
compressed spec; words and spec follow."""

LARGEST_SPEC = 1 << 20
"""Bytes of a spec that a host unpacks."""


@dataclass(frozen=True)
class LinkedDevice:
    """What a host knows of a device.

    Attributes
    ----------
    spec : LearnerSpec
        That of its learner; without initial coefficients where they were given as arrays, which would take more room
        than those that they become: what it holds now can be read.
    identification : Identification
        The same in brief, with a digest of the whole spec.
    request_bytes, answer_bytes : int
        Sizes of its buffers.
    """

    spec: LearnerSpec
    identification: Identification
    request_bytes: int = BUFFER_BYTES
    answer_bytes: int = BUFFER_BYTES


def write_identification(spec: LearnerSpec) -> bytes:
    """Give the content of the ROM of a device."""
    words = Identification.of(spec).words
    packed = zlib.compress(json.dumps(_portable_fields(spec)).encode(), 9)
    head = _HEAD.pack(VERSION, BUFFER_BYTES, BUFFER_BYTES, len(words), len(packed))
    return head + struct.pack(f"<{len(words)}I", *words) + packed


def read_identification(read_piece: Callable[[], bytes]) -> LinkedDevice:
    """Take the content of the ROM, :data:`.PIECE_BYTES` at a time.

    Raises
    ------
    InputError
        If it is that of no device, or of one with another version of the protocol or of the spec.
    """
    content = read_piece()
    version, requests, answers, words, packed = _HEAD.unpack_from(content)
    if version != VERSION:
        raise InputError(
            f"link: the device has version {version} of the protocol; this version of kanrtl has {VERSION}"
        )
    start = _HEAD.size + 4 * words
    while len(content) < start + packed:
        content += read_piece()
    identification = Identification.from_words(struct.unpack_from(f"<{words}I", content, _HEAD.size))
    unpack = zlib.decompressobj()
    try:
        fields = parse_json(unpack.decompress(content[start : start + packed], LARGEST_SPEC))
    except (zlib.error, ValueError):
        raise InputError("link: the device's spec is damaged; build and load its bitstream again") from None
    if not isinstance(fields, dict):
        raise InputError("link: the device's spec is damaged; build and load its bitstream again")
    try:
        spec = LearnerSpec.from_dict(fields)
    except SpecError as error:
        raise InputError(f"link: the device's spec: {error}; use the version of kanrtl that built it") from None
    return LinkedDevice(spec, identification, requests, answers)


def _portable_fields(spec: LearnerSpec) -> dict[str, Any]:
    """The fields of a spec, except initial coefficients that are arrays."""
    fields = spec.to_dict()
    if not isinstance(fields.get("initial_coefficients", ""), str):
        del fields["initial_coefficients"]
    return fields
