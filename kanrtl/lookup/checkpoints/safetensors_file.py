"""Files of safetensors: a length, a table in JSON, and the numbers.

The library's own reader for numpy gives no bfloat16, and what is read here is a page of its published format.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...file_content import parse_json
from .tensors import BFLOAT16, Storage, Tensor, widen_bfloat16

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


class SortedTensors(dict[str, Any]):
    """Tensors by name, in the order of their formats and names, as the library writes them; not in that of a model."""


def is_safetensors(content: bytes) -> bool:
    """Tell whether a file begins as one of safetensors does."""
    return len(content) > 8 and content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= len(content) - 8


def read_safetensors(content: bytes) -> SortedTensors:
    """Read the tensors of a file by name; its texts, where it has any, are the entry ``__metadata__``.

    Those of a format that cannot be read are refused where their numbers are asked for, as in files of torch.

    Raises
    ------
    InputError
        If it is damaged.
    """
    length = int.from_bytes(content[:8], "little")
    try:
        table = parse_json(content[8 : 8 + length])
        data = memoryview(content)[8 + length :]
        texts = {name: text for name, text in table.pop("__metadata__", {}).items() if name != "format"}
        # The format forbids that they share bytes, of which a small file could make any number of tensors.
        # One that ends before it begins takes off nothing from the others.
        if sum(max(0, entry["data_offsets"][1] - entry["data_offsets"][0]) for entry in table.values()) > len(data):
            raise ValueError
        tensors = SortedTensors((name, _read_tensor(name, entry, data)) for name, entry in table.items())
        if texts:
            tensors["__metadata__"] = texts
        return tensors
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        raise InputError("is damaged: its table does not fit its numbers; save it again") from None


def _read_tensor(name: str, entry: dict[str, Any], data: memoryview) -> npt.NDArray[Any] | Tensor:
    kind, shape, (start, end) = _NUMBER_TYPES.get(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    if not 0 <= start <= end <= len(data) or min(shape, default=0) < 0:
        raise ValueError
    if kind is None:
        return Tensor(Storage(str(entry["dtype"]), name, end - start), 0, shape, shape)
    stored = np.dtype("<u2" if kind == BFLOAT16 else kind)
    array = np.frombuffer(data[start:end], stored).reshape(shape)
    return widen_bfloat16(array) if kind == BFLOAT16 else array.astype(np.dtype(kind).newbyteorder("="))
