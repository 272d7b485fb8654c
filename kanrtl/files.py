"""Files are written complete, or stay as they were; links, pipes and devices are written through."""

from __future__ import annotations

import errno
import gzip
import io
import math
import os
import secrets
import shutil
import stat
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np

from .errors import InputError, check_kind, cut
from .file_content import MOST_TEXT, describe_content
from .folders import FULL

_IN_MEMORY = 1 << 26
"""As many bytes are kept in memory where no file can be made beside the one that is to be rewritten."""

MOST_BYTES = 1 << 32
"""As many bytes of an archive are read."""

_MOST_ROWS = 1 << 32
"""As many rows or columns an array has that can be read."""

_MOST_EMPTY_ROWS = 1 << 20
"""As many rows an array has that holds nothing: as lists they take memory all the same."""

_NOT_REPLACED = (errno.EBUSY, errno.EPERM, errno.EACCES, errno.EXDEV)
"""The errors of a file that cannot be renamed over but may be rewritten: a mount, or one in another user's folder."""


def as_path(path: object) -> Path:
    """The path that an argument ``path`` names; raise :exc:`InputError` where it is none."""
    check_kind("path", path, (str, os.PathLike), "the name of a file")
    return Path(cast("str | os.PathLike[str]", path))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file as :func:`open_replacement` does. Raise :exc:`InputError` where it cannot be written."""
    with open_replacement(path) as file:
        file.write(content)


def make_folder(path: Path) -> None:
    """Make a folder for outputs, with those that it lies in. Raise :exc:`InputError` where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{str(path)!r}: is a file; name a folder") from None
    except OSError as error:
        raise InputError(f"{str(path)!r}: {error.strerror}; name a folder that can be made") from None


def find_obstacle(path: Path) -> str | None:
    """Why a file cannot be written, and the mend, in words that follow its name; None where nothing speaks against it.

    To be asked before long work ends in that. Nothing is written.
    """
    try:
        descriptor = _find_descriptor(path)
        if descriptor is not None:
            os.fstat(descriptor)
            return None
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            folder = Path(os.path.realpath(path)).parent
            if not folder.is_dir():
                return f"there is no folder {str(folder if path.is_symlink() else path.parent)!r}; make it first"
            return None if _can_write(folder) else f"its folder cannot be written{_reason(folder)}; name another"
    except OSError as error:
        return f"{error.strerror}; name another"
    if stat.S_ISDIR(mode):
        return "is a folder; name a file in it"
    if stat.S_ISSOCK(mode):
        return "is a socket; name a file"
    return None if _can_write(path) else "cannot be written; name another, or change its permissions"


def _can_write(path: Path) -> bool:
    return os.access(path, os.W_OK)


def _reason(folder: Path) -> str:
    """In brackets, what keeps a folder from being written, where it is not its permissions."""
    with suppress(OSError, AttributeError):
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return " (Read-only file system)"
    return ""


def is_standard_output(path: Path) -> bool:
    """Whether what is written to ``path`` goes to standard output, such as to ``/dev/stdout`` or a link to that."""
    return _find_descriptor(path) == 1


_NO_DESCRIPTOR = (1 << 31) - 1
"""The highest number that an open file could have, which none has."""


def _find_descriptor(path: Path) -> int | None:
    """The open file of this process that a path such as ``/dev/stdout`` stands for, links to it included."""
    own = os.path.realpath("/proc/self/fd")
    for _ in range(40):  # as many links as Linux follows
        if path.name.isascii() and path.name.isdigit() and os.path.realpath(path.parent) in (own, "/dev/fd"):
            return min(int(path.name[:20]), _NO_DESCRIPTOR)
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


@contextmanager
def open_replacement(path: Path) -> Iterator[BinaryIO]:
    """Open what becomes the file ``path`` at the end; after an exception that is as it was.

    A regular file is replaced in one step by one with its owner and permissions. Where that would change more, as with
    a file of several names or one that is mounted, it is rewritten at the end instead. Symbolic links are followed;
    devices, pipes and open files such as ``/dev/stdout`` are written to at once.

    Raises
    ------
    InputError
        If it cannot be written. The line says why.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}")
    with explain_errors(path, target, draft), _open_what_is_there(path, target, draft) as file:
        yield file


@contextmanager
def explain_errors(path: Path, *others: Path) -> Iterator[None]:
    """Raise :exc:`InputError`, which says why ``path`` cannot be written, for errors of writing it or its ``others``.

    For what is written into the file of :func:`open_replacement` from outside of its context.
    """
    try:
        yield
    except OSError as error:
        # What is written to a file has no name in its error. Others may be of what the caller does meanwhile.
        if error.filename not in (None, *map(str, (path, *others))):
            raise
        if error.errno == errno.EPIPE and is_standard_output(path):
            raise  # as of anything else that is printed
        raise InputError(f"{str(path)!r}: {_explain(error, path)}") from None


def _explain(error: OSError, path: Path) -> str:
    if error.errno == errno.EPIPE:
        return "the program that reads from it has ended; start it again"
    if error.errno in FULL:
        return f"{error.strerror}; make room there, or name an output elsewhere"
    if error.errno == errno.EISDIR:
        return "is a folder; name a file in it"
    if error.errno == errno.ENOENT and (obstacle := find_obstacle(path)):
        return obstacle  # the error does not say that it is the folder that is not there
    return f"{error.strerror or error}; name an output that can be written"


@contextmanager
def _open_what_is_there(path: Path, target: Path, draft: Path) -> Iterator[BinaryIO]:
    descriptor = _find_descriptor(path)
    if descriptor is not None:
        if sys.stdout is not None:
            sys.stdout.flush()  # what was printed before comes before
        with os.fdopen(os.dup(descriptor), "wb") as file:
            yield file
        return
    try:
        before = os.stat(path)
    except FileNotFoundError:
        before = None
    if before is not None and not stat.S_ISREG(before.st_mode):
        with path.open("wb") as file:
            yield file
        return
    if before is not None and not _can_write(target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if before is not None and (before.st_nlink > 1 or not _can_write(target.parent)):
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spooled:
            yield cast(BinaryIO, spooled)
            _rewrite(target, spooled)
        return
    try:
        # A draft of a private file is never open to others.
        mode = 0o666 if before is None else stat.S_IMODE(before.st_mode)
        with open(draft, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
        _put(draft, target, before)
    finally:
        with suppress(OSError):
            draft.unlink()


def _put(draft: Path, target: Path, before: os.stat_result | None) -> None:
    """Rename ``draft`` to ``target``, with the owner and the permissions that this had ``before``."""
    try:
        if before is not None:
            _give_to_owner(draft, before)
            shutil.copystat(target, draft)
            os.utime(draft)
        os.replace(draft, target)
    except OSError as error:
        if before is None or error.errno not in _NOT_REPLACED:
            raise
        with draft.open("rb") as content:
            _rewrite(target, content)


def _give_to_owner(draft: Path, before: os.stat_result) -> None:
    now = draft.stat()
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        os.chown(draft, before.st_uid, before.st_gid)


def _rewrite(target: Path, content: IO[bytes]) -> None:
    """Write ``content`` into a file that stays the same one; where that fails, what it held before."""
    content.seek(0)
    with target.open("r+b", buffering=0) as file:
        before = file.readall()
        try:
            _overwrite(file, content)
        except BaseException:
            _overwrite(file, io.BytesIO(before))
            raise


def _overwrite(file: io.FileIO, content: IO[bytes]) -> None:
    file.seek(0)
    while block := content.read(1 << 20):
        written = 0
        while written < len(block):
            written += file.write(block[written:])
    file.truncate()


def check_size(members: zipfile.ZipFile) -> None:
    """Raise :exc:`InputError` where what an archive says that it holds is more than any file of this package: it is
    read whole, and a small file can hold a thousand times its size.

    Of methods other than numpy's and torch's :mod:`zipfile` decompresses more than the archive says.
    """
    for member in members.infolist():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{cut(member.filename)} in it is compressed by another method than deflate; use that")
    size = sum(member.file_size for member in members.infolist())
    if size > MOST_BYTES:
        raise InputError(f"holds {size >> 20} MB, and {MOST_BYTES >> 20} MB can be read; save less in one file")


def decompress(content: bytes) -> bytes:
    """Decompress what gzip wrote. Raise :exc:`InputError` where it is damaged, or more than is read of any file."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(MOST_TEXT + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError("is damaged: it cannot be decompressed; write it again") from None
    if len(found) > MOST_TEXT:
        raise InputError(f"holds more than {MOST_TEXT >> 20} MB of text; decompress it, and give a part of it")
    return found


def _check_shapes(members: zipfile.ZipFile) -> set[str]:
    """Raise :exc:`ValueError` where an array is not as large as its shape says: numpy makes room for that first. Give
    the names of those of Python objects, which have no such size."""
    objects = set()
    for member in members.infolist():
        if not member.filename.endswith(".npy"):
            continue
        with members.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, _, kind = read(file)
            size = math.prod(shape) * kind.itemsize
            # An array that is empty along one axis can say anything of the others.
            wrong = min(shape, default=0) < 0 or max(shape, default=0) > _MOST_ROWS
            wrong |= 0 in shape and math.prod(shape[: shape.index(0)]) > _MOST_EMPTY_ROWS
            if kind.hasobject:
                objects.add(member.filename.removesuffix(".npy"))
            elif wrong or size != member.file_size - file.tell():
                raise ValueError("the shape of an array does not fit its size")
    return objects


@contextmanager
def _headers_of_python_2() -> Iterator[None]:
    """Read arrays that Python 2 wrote, as others are read: of their headers numpy warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _check_texts(arrays: dict[str, Any]) -> None:
    """Raise :exc:`ValueError` where a text has what is no character: numpy makes strings of it that break whatever
    encodes them."""
    for array in arrays.values():
        # What is no array in an archive is there as bytes.
        if isinstance(array, np.ndarray) and array.dtype.kind == "U":
            codes = np.frombuffer(array.tobytes(), np.dtype("u4").newbyteorder(array.dtype.byteorder))
            if codes.size and codes.max() > sys.maxunicode:
                raise ValueError("a text has what is no character")


def write_arrays(path: Path, content: dict[str, Any]) -> None:
    """Write arrays by name to an ``.npz`` file, which is complete or not there.

    Raise :exc:`InputError` where it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    try:
        write_whole(path, buffer.getvalue())
    except InputError as error:
        raise InputError(f"save: {error}") from None


OBJECTS = "holds Python objects, which are never loaded; save numbers alone"
"""Why an array of an ``.npz`` file cannot be had, in words that follow its name."""


def read_arrays(
    path: Path, kind: str = "a saved learner", mend: str = "give a file that save wrote", *, foreign: bool = False
) -> dict[str, Any]:
    """The arrays of an ``.npz`` file by name, each as it was written.

    In a ``foreign`` file arrays of Python objects, which are never loaded, are None. Raise :exc:`InputError`, which
    says that the file is not ``kind``, what it is, and how to ``mend`` that, where it is not one.
    """
    try:
        # Of a device that has no end zipfile looks for the end.
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            raise InputError(f"not {kind}, as it is no regular file; {mend}")
        with _headers_of_python_2(), zipfile.ZipFile(path) as members:
            check_size(members)
            objects = _check_shapes(members)
            damaged = members.testzip()
        if objects and not foreign:
            raise InputError(f"{min(objects)!r} in it {OBJECTS}")
        if damaged is None:
            with _headers_of_python_2(), np.load(path, allow_pickle=False) as content:
                arrays = {name: None if name in objects else content[name] for name in content}
            _check_texts(arrays)
            return arrays
    except OSError as error:
        raise InputError(f"{error.strerror or f'not {kind}'}; {mend}") from None
    except InputError:
        raise
    except Exception:  # only zipfile, zlib and numpy run here: a damaged file raises a dozen kinds of errors
        found = describe_content(path)
        what = "" if found is None or "zip archive" in found else f" but {found}"
        raise InputError(f"not {kind}{what}; {mend}") from None
    raise InputError(f"{damaged!r} is damaged; {mend}")
