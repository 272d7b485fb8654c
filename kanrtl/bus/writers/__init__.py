"""A register map in the words of those who read it, one module for each kind of file."""

from __future__ import annotations

from collections.abc import Callable

from .c_header import write_c
from .described_map import DescribedMap
from .litex_csr import write_csv, write_json
from .map_table import write_markdown
from .svd import write_svd
from .system_rdl import write_rdl

__all__ = ["WRITERS", "DescribedMap"]

WRITERS: dict[str, Callable[[DescribedMap], str]] = {
    "c": write_c,
    "csv": write_csv,
    "json": write_json,
    "svd": write_svd,
    "rdl": write_rdl,
    "md": write_markdown,
}
"""What writes a map, by the suffix of its file."""
