"""Files of trained networks, known by their first bytes and not by how they are called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import InputError
from ...file_content import read_bytes
from ...files import MOST_BYTES, read_arrays
from .checkpoint import Checkpoint, find_network
from .safetensors_file import is_safetensors, read_safetensors
from .torch_file import is_torch_archive, read_pickled, read_torch_archive

Source = Mapping[str, Any] | str | Path | Checkpoint
"""A state dict, what holds one, or the path of a file that does."""

_KNOWN = "give what torch.save, safetensors or numpy.savez wrote (.pt, .pth, .safetensors, .npz)"

_OTHER_SUFFIXES = {".onnx", ".pb", ".tflite", ".mlmodel"}  # programs, which no first bytes tell

_OTHERS = [
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself; run git lfs pull"),
    (b"\x89HDF", f"a file of HDF5; {_KNOWN}"),
    (b"\x93NUMPY", "one array; give the state dict as numpy.savez writes it"),
    (b"<!", "a web page; download the file itself"),
    (b"<html", "a web page; download the file itself"),
]


def read_checkpoint(source: Source, entry: str | None = None) -> Checkpoint:
    """Find the network in a file, or in nested mappings of arrays and tensors.

    Parameters
    ----------
    source
        What holds it: a path, a mapping, or a checkpoint that was read before.
    entry
        Where it stands, by the names of what is around it with dots between them, where there are several.

    Raises
    ------
    InputError
        If the file cannot be read, or it holds several networks.
    """
    if isinstance(source, Checkpoint):
        return source
    if isinstance(source, Mapping):
        return find_network(source, entry)
    path = Path(source)
    try:
        return find_network(read_content(path), entry, path)
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from None


def open_file(path: Path) -> bytes:
    """Give what a file holds.

    Raises
    ------
    InputError
        If it cannot be read, or holds more than any file of weights that is.
    """
    try:
        return read_bytes(path, MOST_BYTES)
    except OSError as error:
        raise InputError(f"{error.strerror or 'cannot be read'}; give the file of a trained network") from None


def read_content(path: Path) -> Any:
    """Read what a file holds: nested containers of arrays, tensors and other values.

    Raises
    ------
    InputError
        If the file cannot be read, is damaged, or is of a kind that holds no weights.
    """
    if path.suffix.lower() in _OTHER_SUFFIXES:
        raise InputError(f"not a kind of file that is known; {_KNOWN}")
    content = open_file(path)
    # Asked first, as the length that it begins with may read as the beginning of another kind.
    if is_safetensors(content):
        return read_safetensors(content)
    if content.startswith(b"PK"):
        try:
            archive = is_torch_archive(path)
        except Exception:  # zipfile raises many kinds of errors for damaged files; read_arrays then says so
            archive = False
        if archive:
            return read_torch_archive(path)
        mend = "give the state dict as torch.save or numpy.savez writes it"
        arrays = read_arrays(path, "a whole .npz or .pt file", mend)
        if not any(isinstance(array, np.ndarray) for array in arrays.values()):
            raise InputError(f"an archive without arrays, as torch.save leaves it where it fails; {mend}")
        others = [name for name, array in arrays.items() if not isinstance(array, np.ndarray)]
        if others:
            raise InputError(f"{others[0]!r} in it is no array, such as {others[0] + '.npy'!r} would be; {mend}")
        return arrays
    if content.startswith(b"\x80"):
        return read_pickled(content)
    for start, what in _OTHERS:
        if content[:64].lstrip().lower().startswith(start.lower()):
            raise InputError(f"is {what}")
    raise InputError(f"not a kind of file that is known; {_KNOWN}")
