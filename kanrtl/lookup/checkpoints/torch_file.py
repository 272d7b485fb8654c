"""Files of ``torch.save``: the archive of today and the stream of before torch 1.6, without torch."""

from __future__ import annotations

import io
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ...errors import InputError
from ...files import check_size
from .inert_pickle import BadPickleError, Foreign, read_pickle
from .tensors import Storage, rebuild

_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of a stream

_PROTOCOL = 1001  # the second


_DAMAGE = (
    KeyError,
    ValueError,
    EOFError,
    OSError,  # it says that something stands before the file's beginning
    NotImplementedError,  # a compression that nobody uses
    RuntimeError,  # it is encrypted
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
"""What reading the members of a damaged archive raises."""


def is_torch_archive(path: Path) -> bool:
    """Tell whether a zip file is one of ``torch.save`` or ``torch.jit.save``, and not one of numpy."""
    with zipfile.ZipFile(path) as members:
        return any(name.rpartition("/")[2] == "data.pkl" for name in members.namelist())


def read_torch_archive(path: Path) -> Any:
    """Read what ``torch.save`` wrote: containers, numbers, :class:`.tensors.Tensor` and :class:`Foreign`.

    Raises
    ------
    InputError
        If it is damaged, or holds a program instead.
    """
    try:
        with zipfile.ZipFile(path) as members:
            check_size(members)
            names = members.namelist()
            pickled = min((name for name in names if name.rpartition("/")[2] == "data.pkl"), key=len)
            root = pickled.removesuffix("data.pkl")
            if f"{root}constants.pkl" in names:
                raise InputError("holds a TorchScript program, not weights; give torch.save(model.state_dict(), ...)")
            order: Literal["<", ">"] = (
                ">" if f"{root}byteorder" in names and members.read(f"{root}byteorder") == b"big" else "<"
            )
            storages: dict[str, Storage] = {}

            def load(identifier: Any) -> Any:
                storage = _storage(identifier, storages)
                if isinstance(storage, Storage) and storage.content is None:
                    storage.content, storage.order = members.read(f"{root}data/{storage.key}"), order
                return storage

            with members.open(pickled) as file:
                return read_pickle(io.BytesIO(file.read()), rebuild, load)
    except InputError:
        raise
    except (BadPickleError, *_DAMAGE) as error:
        raise InputError(f"is damaged ({error}); save the checkpoint again") from None


def read_pickled(content: bytes) -> Any:
    """Read what ``torch.save`` wrote before torch 1.6, or a plain pickle; as :func:`read_torch_archive`.

    Raises
    ------
    InputError
        If it is damaged.
    """
    file = io.BytesIO(content)
    try:
        found = _read_stream(file)
        if file.read(1):
            raise BadPickleError("more follows at its end")
        return found
    except InputError:
        raise
    except (BadPickleError, ValueError, EOFError) as error:
        raise InputError(f"is damaged, or no file of weights ({error}); save the checkpoint again") from None


def _read_stream(file: BinaryIO) -> Any:
    storages: dict[str, Storage] = {}
    first = _read_one(file, storages)
    if first != _MAGIC or isinstance(first, bool):
        return first
    if _read_one(file, storages) != _PROTOCOL:
        raise BadPickleError("another version of torch.save")
    _read_one(file, storages)  # the machine, whose order of bytes the numbers do not have: they are little endian
    found = _read_one(file, storages)
    keys = _read_one(file, storages)
    if not isinstance(keys, list) or not all(isinstance(key, (str, int)) and str(key) in storages for key in keys):
        raise BadPickleError("it lists storages that it has not")
    for key in keys:
        storage = storages[str(key)]
        count, size = file.read(8), storage.count * storage.item_bytes()
        # Of old versions this one is in the machine's order.
        if storage.count not in (int.from_bytes(count, "little"), int.from_bytes(count, "big")):
            raise BadPickleError("it has other storages than it lists")
        storage.content = file.read(min(size, sys.maxsize))
        if len(storage.content) != size:
            raise BadPickleError("it ends early")
    return found


def _read_one(file: BinaryIO, storages: dict[str, Storage]) -> Any:
    return read_pickle(file, _rebuild_nested, lambda identifier: _storage(identifier, storages))


def _rebuild_nested(name: str, arguments: tuple[Any, ...]) -> Any:
    """Rebuild also a storage that a plain pickle holds as a file of ``torch.save`` within it."""
    if name == "torch.storage._load_from_bytes" and isinstance(arguments[0], bytes):
        return _read_stream(io.BytesIO(arguments[0]))
    return rebuild(name, arguments)


def _storage(identifier: Any, storages: dict[str, Storage]) -> Any:
    if isinstance(identifier, tuple) and len(identifier) == 4 and identifier[0] == "module":
        return identifier[1]  # a class, beside which torch once kept its source
    if not isinstance(identifier, tuple) or len(identifier) < 5 or identifier[0] != "storage":
        raise BadPickleError("it refers to what is no storage")
    kind, key, count, view = identifier[1], identifier[2], identifier[4], identifier[5:]
    if not isinstance(kind, Foreign) or not isinstance(key, str) or not isinstance(count, int) or any(view):
        raise BadPickleError("it refers to what is no storage")
    return storages.setdefault(key, Storage(kind.name.rpartition(".")[2], key, count))
