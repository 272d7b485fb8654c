"""Content that comes through a pipe, by a path: what is read of it once is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

by_descriptor = pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="open files have no paths here")


@contextmanager
def piped(content: bytes) -> Iterator[tuple[Path, IO[bytes]]]:
    """The path of a pipe that holds the content, and the end from which what is left of it can be read."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe, os.fdopen(writer, "wb") as source:
        source.write(content)
        source.close()
        yield Path(f"/dev/fd/{reader}"), pipe
