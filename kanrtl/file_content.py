"""Files are read for what they are: text in any of its wrappings, or what their first bytes say."""

from __future__ import annotations

import codecs
import json
import os
import stat
from pathlib import Path
from typing import Any

from .errors import InputError

_HEAD = 65536
"""As many bytes of a file are looked at to tell what it is."""

MOST_TEXT = 1 << 29
"""As many bytes of text are read, and of what has no size before it is read, as a pipe."""

_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Byte order marks of what is not UTF-8; those of UTF-32 first, as one of them begins like one of UTF-16."""

_BEGINNINGS = {
    b"PK\x03\x04": "a zip archive, as .npz and .pt files are",
    b"PK\x05\x06": "an empty zip archive",
    b"\x93NUMPY": "a single array, as .npy files are",
    b"\x1f\x8b": "compressed with gzip",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF",
    b"PAR1": "Parquet",
    b"\xd0\xcf\x11\xe0": "a document of old Office programs, as .xls files are",
    b"MATLAB ": "a MATLAB file",
    b"SQLite format 3\0": "an SQLite database",
    b"\x7fELF": "a program",
    b"\xff\x00": "a bitstream",
    b"\x7e\xaa\x99\x7e": "a bitstream",
    b"LSCC": "a bitstream",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
}


def is_file(path: str | Path) -> bool:
    """Whether there is a regular file. Where that cannot be told, as in a folder that may not be entered, there is
    none, and what reads it says why."""
    return os.path.isfile(path)  # Path.is_file raises most errors


def read_bytes(path: Path, most: int) -> bytes:
    """What a file holds. Raises :exc:`InputError`, in words that follow its name, where that is more than ``most``
    bytes, and :exc:`OSError` where it cannot be read."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            if status.st_size <= most:
                return file.read()
        else:
            most = min(most, MOST_TEXT)
            content = bytearray()
            while len(content) <= most:
                if not (block := file.read(_HEAD)):
                    return bytes(content)
                content += block
    raise InputError(f"holds more than {most >> 20} MB, as many as are read; give a smaller file")


def read_text(path: Path, most: int = MOST_TEXT) -> str:
    """The text of a UTF-8 file, without a byte order mark, with ``\\n`` at the end of each line.

    Raises
    ------
    InputError
        If it is text in another encoding or no text, or of more than ``most`` bytes; in words that follow the name of
        the file.
    OSError
        If it cannot be read.
    """
    return decode_text(read_bytes(path, most))


def decode_text(raw: bytes) -> str:
    """The text of a UTF-8 file's content, as :func:`read_text` gives it; raises :exc:`InputError` as that does."""
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            raise InputError(f"is text in {encoding}; save it as UTF-8")
    for beginning, what in _BEGINNINGS.items():
        if raw.startswith(beginning):
            raise InputError(f"is no text but {what}; give a text file")
    if b"\0" in raw:
        raise InputError(_explain_nulls(raw))
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        content = error.object  # without a byte order mark
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(f"is not UTF-8: byte 0x{content[error.start]:02x} in line {line}; save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _explain_nulls(raw: bytes) -> str:
    kept = raw.rstrip(b"\0")
    if b"\0" not in kept:
        return f"ends in {len(raw) - len(kept)} null bytes, as a file does that was cut short; write it again"
    if any(_is_printable(raw, encoding) for encoding in ("utf-16-le", "utf-16-be")):
        return "is text in UTF-16; save it as UTF-8"
    return "is binary; give a text file"


def _is_printable(raw: bytes, encoding: str) -> bool:
    """Whether all that stands at the beginning can be read, most of it as ASCII."""
    try:
        text = "".join(raw[: _HEAD // 2 * 2].decode(encoding).split())
    except UnicodeDecodeError:
        return False
    return text.isprintable() and sum(map(str.isascii, text)) > len(text) // 2


def describe_content(path: Path) -> str | None:
    """What a file is, such as "text", where its first bytes say so; None where they do not, or it cannot be read.

    Of a pipe nothing is read, as that would be gone."""
    if not is_file(path):
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    if not head:
        return "empty"
    if not head.strip(b"\0"):
        return "nothing but null bytes"
    known = {**_BEGINNINGS, **{mark: f"text in {encoding}" for mark, encoding in _MARKS.items()}}
    for beginning, what in known.items():
        if head.startswith(beginning):
            return what
    # A letter may be cut at the end of what was read.
    text = codecs.getincrementaldecoder("utf-8-sig")(errors="ignore" if _is_latin(head) else "strict")
    try:
        return None if b"\0" in head else _describe_text(text.decode(head))
    except UnicodeDecodeError:
        return None


def _is_latin(head: bytes) -> bool:
    """Whether it is text of bytes that are letters in Latin-1 and not in UTF-8: few, and no control characters."""
    controls = sum((byte < 32 and byte not in b"\t\n\r\f") or 127 <= byte < 160 for byte in head)
    return not controls and sum(byte >= 160 for byte in head) <= len(head) // 4


def _describe_text(text: str) -> str:
    lines = [line for line in text.splitlines()[:5] if line.strip()]
    names = {"\t": "tabs", ";": "semicolons", ",": "commas"}
    for separator, name in names.items():
        counts = {line.count(separator) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0} and "=" not in text[:200]:
            return f"a table in text with {name} between its columns"
    return "text in JSON" if text.lstrip().startswith("{") else "text"


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raise :exc:`json.JSONDecodeError` for whatever is not JSON, and for what Python refuses besides:
    bytes that are no text, integers of thousands of digits, lists in thousands of lists."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:
        raise json.JSONDecodeError(str(error), "", 0) from None
