"""Files that are written: whole or not at all, through links, and never in place of what is no regular file."""

import errno
import gzip
import io
import os
import resource
import socket
import stat
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import numpy as np
import pytest

from kanrtl import InputError, files
from kanrtl.files import (
    find_obstacle,
    is_standard_output,
    make_folder,
    open_replacement,
    read_arrays,
    write_arrays,
    write_whole,
)
from support.pipes import by_descriptor

OLD, NEW = b"what was there before", b"new"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old"
    path.write_bytes(OLD)
    return path


def names(folder: Path) -> set[str]:
    """What lies in a folder; a draft that was left would be among it."""
    return {path.name for path in folder.iterdir()}


def test_a_new_file_has_the_permissions_of_any(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_whole(tmp_path / "new", NEW)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.parametrize("mode", [0o600, 0o755, 0o664])
def test_permissions_are_kept(mode: int, old: Path) -> None:
    old.chmod(mode)
    write_whole(old, NEW)
    assert (old.read_bytes(), stat.S_IMODE(old.stat().st_mode)) == (NEW, mode)


def test_the_owner_is_kept(old: Path) -> None:
    before = old.stat()
    write_whole(old, NEW)
    assert (old.stat().st_uid, old.stat().st_gid) == (before.st_uid, before.st_gid)
    if os.geteuid() == 0:
        os.chown(old, 4321, 1234)
        write_whole(old, OLD)
        assert (old.stat().st_uid, old.stat().st_gid) == (4321, 1234)


def test_a_file_of_another_owner_is_rewritten(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its owner cannot be given to another file, it has to stay the same file."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    number = old.stat().st_ino
    monkeypatch.setattr("kanrtl.files._give_to_owner", refuse)
    write_whole(old, NEW)
    assert (old.read_bytes(), old.stat().st_ino, names(old.parent)) == (NEW, number, {"old"})


def test_a_symbolic_link_stays_one(old: Path, tmp_path: Path) -> None:
    link, second = tmp_path / "link", tmp_path / "second"
    link.symlink_to("old")
    second.symlink_to(link)
    write_whole(second, NEW)
    assert old.read_bytes() == NEW
    assert link.readlink() == Path("old")
    assert second.is_symlink()
    assert names(tmp_path) == {"old", "link", "second"}


def test_a_dangling_link_makes_its_file(tmp_path: Path) -> None:
    link = tmp_path / "link"
    (tmp_path / "there").mkdir()
    link.symlink_to("there/file")
    assert find_obstacle(link) is None
    write_whole(link, NEW)
    assert (link.is_symlink(), (tmp_path / "there" / "file").read_bytes()) == (True, NEW)


def test_a_link_into_no_folder_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("nowhere/file")
    missing = os.path.realpath(tmp_path / "nowhere")
    assert find_obstacle(link) == f"there is no folder {missing!r}; make it first"
    with pytest.raises(InputError, match=rf"link': there is no folder '{missing}'; make it first$"):
        write_whole(link, NEW)
    assert names(tmp_path) == {"link"}


@by_descriptor
@pytest.mark.parametrize("name", ["9" * 20, "²"])
def test_numbers_that_no_open_file_has(name: str) -> None:
    with pytest.raises(InputError, match=r"name another|name an output that can be written"):
        write_whole(Path("/dev/fd") / name, NEW)
    assert not is_standard_output(Path("/dev/fd") / name)


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert find_obstacle(tmp_path / "a") == f"{os.strerror(errno.ELOOP)}; name another"
    with pytest.raises(InputError, match=os.strerror(errno.ELOOP)):
        write_whole(tmp_path / "a", NEW)
    assert names(tmp_path) == {"a", "b"}


def test_folders_and_links_to_them_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    for name in ("folder", "link"):
        assert find_obstacle(tmp_path / name) == "is a folder; name a file in it"
        with pytest.raises(InputError, match=f"{name}': is a folder; name a file in it"):
            write_whole(tmp_path / name, NEW)
    assert (names(tmp_path), names(tmp_path / "folder")) == ({"folder", "link"}, set())


def test_hard_links_stay_one_file(old: Path, tmp_path: Path) -> None:
    os.link(old, tmp_path / "other")
    write_whole(old, NEW)
    assert (tmp_path / "other").read_bytes() == NEW
    assert old.stat().st_ino == (tmp_path / "other").stat().st_ino
    assert names(tmp_path) == {"old", "other"}


def test_a_hard_link_is_as_it_was_after_an_exception(old: Path, tmp_path: Path) -> None:
    os.link(old, tmp_path / "other")
    with suppress(KeyError), open_replacement(old) as file:
        file.write(NEW)
        raise KeyError
    assert (tmp_path / "other").read_bytes() == OLD


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EPERM, errno.EXDEV])
def test_what_cannot_be_renamed_over_is_rewritten(code: int, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is mounted by itself, or lies in a folder where files belong to their owners."""

    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    number = old.stat().st_ino
    monkeypatch.setattr("kanrtl.files.os.replace", refuse)
    write_whole(old, NEW)
    assert (old.read_bytes(), old.stat().st_ino, names(old.parent)) == (NEW, number, {"old"})


def test_a_file_in_a_folder_that_cannot_be_written_is_rewritten(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    number = old.stat().st_ino
    monkeypatch.setattr("kanrtl.files._can_write", lambda path: path != Path(os.path.realpath(old.parent)))
    assert find_obstacle(old) is None
    assert find_obstacle(old.parent / "new") == "its folder cannot be written; name another"
    write_whole(old, NEW)
    assert (old.read_bytes(), old.stat().st_ino) == (NEW, number)


def test_a_read_only_file_is_refused(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old.chmod(0o444)
    if os.geteuid() == 0:  # who may write it all the same
        write_whole(old, OLD)
        assert stat.S_IMODE(old.stat().st_mode) == 0o444
        monkeypatch.setattr("kanrtl.files._can_write", lambda path: path != old)
    assert find_obstacle(old) == "cannot be written; name another, or change its permissions"
    with pytest.raises(InputError, match=r"old': Permission denied; name an output that can be written"):
        write_whole(old, NEW)
    assert (old.read_bytes(), names(old.parent)) == (OLD, {"old"})


def read_from(pipe: Path) -> tuple[threading.Thread, list[bytes]]:
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    return reader, found


@pytest.mark.parametrize("through_link", [False, True])
def test_a_pipe_is_written_to(through_link: bool, tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to("pipe")
    reader, found = read_from(pipe)
    assert find_obstacle(pipe) is None
    write_whole(link if through_link else pipe, NEW)
    reader.join(10)
    assert found == [NEW]
    assert pipe.is_fifo()


def test_a_reader_that_has_ended_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    gone = threading.Event()

    def read() -> None:
        (tmp_path / "pipe").open("rb").close()
        gone.set()

    threading.Thread(target=read, daemon=True).start()
    writing = ExitStack()
    file = writing.enter_context(open_replacement(tmp_path / "pipe"))
    assert gone.wait(10)
    file.write(NEW)
    with pytest.raises(InputError, match=r"pipe': the program that reads from it has ended; start it again"):
        writing.close()


@pytest.mark.skipif(not hasattr(os, "mknod") or os.geteuid() != 0, reason="only root makes devices")
@pytest.mark.parametrize("through_link", [False, True])
def test_a_device_stays_one(through_link: bool, tmp_path: Path) -> None:
    null, link = tmp_path / "null", tmp_path / "link"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        null.write_bytes(b"")
    except PermissionError:
        pytest.skip("no devices can be made and used here")
    link.symlink_to("null")
    write_whole(link if through_link else null, NEW)
    assert null.is_char_device()
    assert names(tmp_path) == {"null", "link"}


def test_a_device_that_any_user_has_stays_one() -> None:
    """A terminal of its own; nothing of the system's is at stake if this fails."""
    ours, theirs = os.openpty()
    path = Path(os.ttyname(theirs))
    write_whole(path, NEW)
    assert path.is_char_device()
    assert os.read(ours, 100) == NEW
    os.close(ours)
    os.close(theirs)


def test_a_socket_is_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert find_obstacle(tmp_path / "socket") == "is a socket; name a file"
        with pytest.raises(InputError, match="socket': No such device or address"):
            write_whole(tmp_path / "socket", NEW)
        assert (tmp_path / "socket").is_socket()


PRINT = """
import sys
from pathlib import Path
from kanrtl.files import is_standard_output, write_whole
print("before")
path = Path(sys.argv[1])
assert is_standard_output(path)
write_whole(path, b"written\\n")
print("after")
"""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files have no paths here")
@pytest.mark.parametrize("to", ["pipe", "file"])
def test_standard_output_is_written_to_in_order(to: str, tmp_path: Path) -> None:
    """By a link of its own, so that nothing of the system's is at stake if this fails."""
    link, file = tmp_path / "link", tmp_path / "file"
    link.symlink_to("/proc/self/fd/1")
    file.write_text("kept\n")
    arguments = [sys.executable, "-c", PRINT, str(link)]
    if to == "pipe":
        assert subprocess.run(arguments, stdout=subprocess.PIPE, check=True).stdout == b"before\nwritten\nafter\n"
    else:
        with file.open("ab") as appended:
            subprocess.run(arguments, stdout=appended, check=True)
        assert file.read_text() == "kept\nbefore\nwritten\nafter\n"
    assert link.is_symlink()
    assert not is_standard_output(tmp_path / "file")


@pytest.fixture
def small_files() -> Callable[[int], None]:
    """A function that bounds the size of files, as a full disk would; undone at the end."""
    if sys.platform == "win32":
        pytest.skip("no such bound there")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def bound(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield bound  # type: ignore[misc]
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_file_as_it_was(old: Path, small_files: Callable[[int], None]) -> None:
    small_files(1000)
    with pytest.raises(InputError, match=r"old': File too large; make room there, or name an output elsewhere"):
        write_whole(old, bytes(2000))
    assert (old.read_bytes(), names(old.parent)) == (OLD, {"old"})


def test_a_full_disk_leaves_linked_files_as_they_were(old: Path, small_files: Callable[[int], None]) -> None:
    os.link(old, old.with_name("other"))
    small_files(1000)
    with pytest.raises(InputError, match="File too large"):
        write_whole(old, bytes(2000))
    assert (old.read_bytes(), names(old.parent)) == (OLD, {"old", "other"})


def test_arrays_name_their_file(tmp_path: Path, small_files: Callable[[int], None]) -> None:
    small_files(100)
    with pytest.raises(InputError, match=r"save: '.*a\.npz': File too large; make room there"):
        write_arrays(tmp_path / "a.npz", {"a": np.arange(1000)})
    assert names(tmp_path) == set()


def test_an_exception_leaves_no_draft(old: Path) -> None:
    with pytest.raises(OSError, match="elsewhere"), open_replacement(old):
        raise OSError(errno.ENOENT, "elsewhere", "another file")  # not an error of this one
    assert (old.read_bytes(), names(old.parent)) == (OLD, {"old"})


def test_long_names_are_written(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)  # 254 bytes, of 255
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    with pytest.raises(InputError, match="File name too long; name an output"):
        write_whole(tmp_path / ("a" * 300), NEW)


def test_folders_that_cannot_be_made_are_refused(old: Path) -> None:
    with pytest.raises(InputError, match=r"old': is a file; name a folder"):
        make_folder(old)
    with pytest.raises(InputError, match=r"new': Not a directory; name a folder that can be made"):
        make_folder(old / "new")


@pytest.mark.parametrize("shape", [(1 << 40,), (0, 1 << 40), (-1,), (1 << 21, 0), (1 << 11, 1 << 11, 0)])
def test_a_declared_shape_is_checked_before_it_is_believed(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Numpy would make room for all of it first."""
    buffer = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    with zipfile.ZipFile(tmp_path / "large.npz", "w") as members:
        members.writestr("x.npy", buffer.getvalue() + bytes(64))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"^not a saved learner; give a file that save wrote$"):
        read_arrays(tmp_path / "large.npz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_what_a_small_file_makes_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(files, "MOST_TEXT", 1 << 20)
    np.savez_compressed(tmp_path / "zeros.npz", x=np.zeros(1 << 18))
    with pytest.raises(InputError, match="holds 2 MB, and 1 MB can be read; save less in one file"):
        read_arrays(tmp_path / "zeros.npz")
    with pytest.raises(InputError, match="holds more than 1 MB of text; decompress it, and give a part of it"):
        files.decompress(gzip.compress(bytes(1 << 21)))
    assert files.decompress(gzip.compress(b"1;2")) == b"1;2"


def test_a_text_of_what_is_no_character_is_refused(tmp_path: Path) -> None:
    """numpy makes a string of it all the same, at which the core of pydantic panics."""
    text = np.frombuffer(np.array([97, 0x200000], "<u4").tobytes(), "<U2").reshape(())
    write_arrays(tmp_path / "saved.npz", {"spec": text})
    with pytest.raises(InputError, match=r"\Anot a saved learner; give a file that save wrote\Z"):
        read_arrays(tmp_path / "saved.npz")
    write_arrays(tmp_path / "saved.npz", {"spec": np.array("\ud800\U0010ffff"), "none": np.array([], "U")})
    assert str(read_arrays(tmp_path / "saved.npz")["spec"]) == "\ud800\U0010ffff"


def test_archives_that_decompress_to_more_than_they_say_are_refused(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        path = tmp_path / "arrays.npz"
        with zipfile.ZipFile(path, "w", method) as members:
            members.writestr("a.npy", b"")
        with pytest.raises(InputError, match=r"^'a.npy' in it is compressed by another method than deflate; use that$"):
            read_arrays(path)


def test_text_that_cannot_be_decompressed() -> None:
    whole = bytearray(gzip.compress(b"0123456789" * 99 + bytes(range(256))))
    for damaged in (whole[:40], whole[:12] + b"\xff" * 18 + whole[30:], whole[:-8] + bytes(8), b"\x1f\x8b" + whole):
        with pytest.raises(InputError, match=r"^is damaged: it cannot be decompressed; write it again$"):
            files.decompress(bytes(damaged))
