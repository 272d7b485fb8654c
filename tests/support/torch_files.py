"""Files as ``torch.save`` writes them, without torch."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

STORAGES = {
    "f4": "Float",
    "f8": "Double",
    "f2": "Half",
    "i8": "Long",
    "bfloat16": "BFloat16",
    "float8": "Float8_e4m3fn",
}


@dataclass(frozen=True, eq=False)
class Named:
    """What a pickle names: a class or a function in a module, which need not be there."""

    module: str
    name: str

    def __call__(self) -> None:
        """So that pickle takes it for a function."""


@dataclass(frozen=True, eq=False)
class Called:
    """What a pickle asks for: something named, called with arguments, and then given attributes."""

    function: Named
    arguments: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True, eq=False)
class Stored:
    """Numbers in a file; several tensors may show the same."""

    numbers: npt.NDArray[Any]
    kind: str

    @property
    def content(self) -> bytes:
        """The numbers as they stand in the file."""
        if self.kind == "bfloat16":
            return (np.ascontiguousarray(self.numbers, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
        return np.ascontiguousarray(self.numbers, "u1" if self.kind == "float8" else f"<{self.kind}").tobytes()


def tensor(
    array: npt.ArrayLike,
    kind: str = "f4",
    stored: Stored | None = None,
    transposed: bool = False,
    metadata: dict[str, Any] | None = None,
) -> Called:
    """A tensor of its own numbers, or one that shows those of another; of a matrix perhaps column by column."""
    array = np.asarray(array)
    strides = [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)]
    numbers = array
    if transposed and array.ndim == 2:
        strides, numbers = [1, array.shape[0]], array.T
    stored = stored or Stored(np.ascontiguousarray(numbers).reshape(-1), kind)
    arguments = (stored, 0, array.shape, tuple(strides), False, OrderedDict(), *([metadata] if metadata else []))
    return Called(Named("torch._utils", "_rebuild_tensor_v2"), arguments)


def tensors(state: dict[str, Any], kind: str = "f4", **options: Any) -> dict[str, Any]:
    """The arrays of a state dict as tensors."""
    return {name: tensor(value, kind, **options) for name, value in state.items()}


class _Pickler(pickle._Pickler):  # the one in Python, whose parts can be replaced
    def __init__(self, file: io.BytesIO, protocol: int, legacy: bool) -> None:
        super().__init__(file, protocol)
        self.stored: dict[int, tuple[str, Stored]] = {}
        self._legacy = legacy

    def reducer_override(self, thing: Any) -> Any:
        if isinstance(thing, Named):
            return "named"
        if isinstance(thing, Called):
            return (thing.function, thing.arguments, *([thing.state] if thing.state is not None else []))
        return NotImplemented

    def save_global(self, thing: Any, name: str | None = None) -> None:
        if isinstance(thing, Named):
            self.write(b"c" + f"{thing.module}\n{thing.name}\n".encode())
            self.memoize(thing)
        else:
            super().save_global(thing, name)

    def persistent_id(self, thing: Any) -> Any:
        if not isinstance(thing, Stored):
            return None
        key, _ = self.stored.setdefault(id(thing), (str(len(self.stored)), thing))
        kind = Named("torch", f"{STORAGES[thing.kind]}Storage")
        return ("storage", kind, key, "cpu", thing.numbers.size, *([None] if self._legacy else []))


def pickled(content: Any, protocol: int = 2, legacy: bool = False) -> tuple[bytes, list[tuple[str, Stored]]]:
    """A pickle, and the numbers that it refers to."""
    file = io.BytesIO()
    pickler = _Pickler(file, protocol, legacy)
    pickler.dump(content)
    return file.getvalue(), list(pickler.stored.values())


def write_archive(path: Path, content: Any, protocol: int = 2, more: dict[str, bytes] | None = None) -> Path:
    """Write a file as ``torch.save`` does since torch 1.6."""
    data, stored = pickled(content, protocol)
    with zipfile.ZipFile(path, "w") as members:
        members.writestr("archive/data.pkl", data)
        members.writestr("archive/byteorder", "little")
        for key, numbers in stored:
            members.writestr(f"archive/data/{key}", numbers.content)
        members.writestr("archive/version", "3\n")
        for name, added in (more or {}).items():
            members.writestr(f"archive/{name}", added)
    return path


def write_stream(path: Path, content: Any, machine: str = "little", counts: Any = "little") -> Path:
    """Write a file as ``torch.save`` did before torch 1.6, on a machine of this order of bytes; its old versions wrote
    how many numbers there are in that order too."""
    data, stored = pickled(content, legacy=True)
    system = {
        "protocol_version": 1001,
        "little_endian": machine == "little",
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    parts = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), pickle.dumps(system, 2), data]
    parts.append(pickle.dumps([key for key, _ in stored], 2))
    parts += [numbers.numbers.size.to_bytes(8, counts) + numbers.content for _, numbers in stored]
    path.write_bytes(b"".join(parts))
    return path


_SAFETENSORS = {"F32": "f4", "BF16": "bfloat16", "F16": "f2", "F8_E4M3": "float8"}  # as the library sorts them


def write_safetensors(
    path: Path,
    state: dict[str, Any],
    kind: str = "F32",
    kinds: dict[str, str] | None = None,
    texts: dict[str, str] | None = None,
) -> Path:
    """Write a file as safetensors does, which sorts tensors by their formats and names; ``kinds`` are those of single
    tensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **(texts or {})}}
    content = b""
    chosen = {name: (kinds or {}).get(name, kind) for name in state}
    for name in sorted(state, key=lambda name: (list(_SAFETENSORS).index(chosen[name]), name)):
        numbers = Stored(np.asarray(state[name]), _SAFETENSORS[chosen[name]]).content
        spans = [len(content), len(content) + len(numbers)]
        header[name] = {"dtype": chosen[name], "shape": list(np.shape(state[name])), "data_offsets": spans}
        content += numbers
    table = json.dumps(header).encode()
    table += b" " * (-len(table) % 8)
    path.write_bytes(struct.pack("<Q", len(table)) + table + content)
    return path


def module(
    parameters: dict[str, Any],
    modules: dict[str, Any],
    name: str = "Net",
    package: str = "some.models",
    buffers: dict[str, Any] | None = None,
    **attributes: Any,
) -> Called:
    """A pickled ``torch.nn.Module``, as ``torch.save(model, ...)`` writes it."""
    state = {"_parameters": parameters, "_buffers": buffers or {}, "_modules": modules, "training": False, **attributes}
    return Called(Named("copyreg", "_reconstructor"), (Named(package, name), Named("builtins", "object"), None), state)
