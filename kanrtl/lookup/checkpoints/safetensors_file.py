"""Files of safetensors: a length, a table in JSON, and the numbers.

The library's own reader for numpy gives no bfloat16, and what is read here is a page of its published format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...file_content import parse_json
from .tensors import BFLOAT16, widen_bfloat16

_NUMBER_TYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": BFLOAT16,
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def is_safetensors(content: bytes) -> bool:
    """Tell whether a file begins as one of safetensors does."""
    return len(content) > 8 and content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= len(content) - 8


def read_safetensors(content: bytes) -> dict[str, Any]:
    """Read the tensors of a file by name; its texts, where it has any, are the entry ``__metadata__``.

    Raises
    ------
    InputError
        If it is damaged, or holds numbers of a format that cannot be read.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        table = parse_json(content[8 : 8 + length])
        data = memoryview(content)[8 + length :]
        texts = {name: text for name, text in table.pop("__metadata__", {}).items() if name != "format"}
        tensors = {name: _read_tensor(name, entry, data) for name, entry in table.items()}
        return {**tensors, "__metadata__": texts} if texts else tensors
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("is damaged: its table does not fit its numbers; save it again") from None


def _read_tensor(name: str, entry: dict[str, Any], data: memoryview) -> npt.NDArray[Any]:
    kind = _NUMBER_TYPES.get(entry["dtype"])
    if kind is None:
        raise InputError(f"{name}: numbers of {entry['dtype']} cannot be read; save the model in float32")
    start, end = entry["data_offsets"]
    stored = "<u2" if kind == BFLOAT16 else kind
    array = np.frombuffer(data[start:end], stored).reshape(entry["shape"])
    return widen_bfloat16(array) if kind == BFLOAT16 else array.astype(np.dtype(kind).newbyteorder("="))
