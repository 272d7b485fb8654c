"""Tensors of a torch file: views of storages, in the number formats of torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from .inert_pickle import BadPickleError, Foreign

BFLOAT16 = "bfloat16"

NUMBER_TYPES = {
    "Float": "f4",
    "Double": "f8",
    "Half": "f2",
    "BFloat16": BFLOAT16,
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "?",
}
"""The formats of torch's storages, by the first word of their names, as numpy names them."""

_DTYPES = {
    "torch.float32": "f4",
    "torch.float64": "f8",
    "torch.float16": "f2",
    "torch.bfloat16": BFLOAT16,
    "torch.int64": "i8",
    "torch.int32": "i4",
    "torch.int16": "i2",
    "torch.int8": "i1",
    "torch.uint8": "u1",
    "torch.uint16": "u2",
    "torch.uint32": "u4",
    "torch.uint64": "u8",
    "torch.bool": "?",
}

_LARGEST_EXPANSION = 1 << 24  # elements of a tensor whose strides show the same numbers many times


@dataclass(eq=False)
class Storage:
    """Numbers in a file, which several tensors may show.

    Attributes
    ----------
    kind : str
        What torch calls it, such as ``FloatStorage``.
    key : str
        Its name in the file.
    count : int
        How many numbers it holds.
    content : bytes or None
        The numbers; None before they are read.
    order : str
        ``<`` for little endian, ``>`` for big.
    """

    kind: str
    key: str
    count: int
    content: bytes | None = None
    order: Literal["<", ">"] = "<"

    def item_bytes(self) -> int:
        """Give how many bytes a number takes; of a storage without a type each byte counts."""
        name = NUMBER_TYPES.get(self.kind.removesuffix("Storage"), "u1" if self.kind == "UntypedStorage" else "")
        if not name:
            raise InputError(f"numbers of {self.kind} cannot be read; save the model in float32")
        return 2 if name == BFLOAT16 else np.dtype(name).itemsize


@dataclass(frozen=True, eq=False)
class Tensor:
    """A view of a storage.

    Attributes
    ----------
    storage : Storage
        What it shows.
    offset : int
        The index of its first number.
    shape, strides : tuple of int
        How many numbers there are along each axis, and how far they are apart.
    number_type : str or None
        What torch calls the numbers' format, such as ``torch.uint16``, where the storage has none.
    is_negated : bool
        Whether it shows the numbers with the other sign.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    number_type: str | None = None
    is_negated: bool = False

    def to_array(self) -> npt.NDArray[Any]:
        """Give a copy of its numbers; those of bfloat16 as float32.

        Raises
        ------
        InputError
            If the format is not one that can be read, or the view leaves the storage.
        """
        kind = self.number_type or self.storage.kind
        name = _DTYPES.get(kind) or NUMBER_TYPES.get(kind.removesuffix("Storage"))
        if name is None:
            raise InputError(f"numbers of {kind} cannot be read; save the model in float32")
        stored = np.dtype("u2" if name == BFLOAT16 else name).newbyteorder(self.storage.order)
        content = self.storage.content or b""
        numbers = np.frombuffer(content, stored, count=len(content) // stored.itemsize)
        count = math.prod(self.shape)
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True))
        if min(self.offset, *self.shape, *self.strides, 0) < 0 or (count and last >= len(numbers)):
            raise InputError("is damaged: it has fewer numbers than its shape; save the model again")
        if count > max(len(numbers), _LARGEST_EXPANSION):
            raise InputError(f"shape {self.shape}: repeats {len(numbers)} numbers; save it contiguous")
        if not count:
            return np.zeros(self.shape, np.float32 if name == BFLOAT16 else np.dtype(name))
        # Along an axis of one number any stride is the same.
        strides = [
            stride * stored.itemsize if size > 1 else 0 for size, stride in zip(self.shape, self.strides, strict=True)
        ]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
        array = widen_bfloat16(view) if name == BFLOAT16 else view.astype(np.dtype(name))
        return -array if self.is_negated else array


def widen_bfloat16(bits: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Give the numbers as float32, of which bfloat16 is the upper half, from their bits as integers."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def rebuild(name: str, arguments: tuple[Any, ...]) -> Any:
    """Make a :class:`Tensor` of what a pickle asks torch to make one of, or an inert :class:`Foreign`."""
    short = name.rpartition(".")[2]
    if name.startswith("torch."):
        if short in ("_rebuild_tensor", "_rebuild_tensor_v2") and _is_readable(arguments[6:]):
            return _tensor(arguments, arguments[6:])
        if short == "_rebuild_tensor_v3" and _is_readable(arguments[7:]):
            return _tensor(arguments, arguments[7:], arguments[6].name if isinstance(arguments[6], Foreign) else "")
        if short in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return arguments[0]
        if short == "_rebuild_from_type_v2" and isinstance(arguments[0], Foreign):
            return rebuild(arguments[0].name, arguments[2])
    return Foreign(name, arguments)


def _is_readable(metadata: tuple[Any, ...]) -> bool:
    """Tell whether what stands behind a tensor's arguments is nothing, or says no more than that it is negated."""
    return not any(metadata) or (isinstance(metadata[0], Mapping) and set(metadata[0]) <= {"neg"})


def _tensor(arguments: tuple[Any, ...], metadata: tuple[Any, ...], number_type: str | None = None) -> Tensor:
    storage, offset, shape, strides = arguments[:4]
    sizes = [shape.arguments[0] if isinstance(shape, Foreign) and shape.arguments else shape, strides]  # torch.Size
    if not isinstance(storage, Storage) or not all(
        isinstance(axis, tuple) and all(isinstance(size, int) for size in axis) for axis in sizes
    ):
        raise BadPickleError("a tensor is of no storage")
    if not isinstance(offset, int) or len(sizes[0]) != len(sizes[1]):
        raise BadPickleError("a tensor has no shape")
    return Tensor(storage, offset, sizes[0], sizes[1], number_type, any(metadata) and bool(metadata[0]["neg"]))
