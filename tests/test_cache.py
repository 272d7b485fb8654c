"""Caches that cannot be written cost time, never the result."""

import os
import pwd
import shutil
import stat
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kanrtl import cache as caches
from kanrtl.cache import CacheWarning, find_entries, identify, publish, usable_folder, writable_cache
from kanrtl.errors import ToolError


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """No cache has been found wanting yet; what was made in its stead is removed."""
    steads: dict[Path, Path] = {}
    monkeypatch.setattr(caches, "_stead", steads)
    yield
    for folder in steads.values():
        shutil.rmtree(folder, ignore_errors=True)


def below_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    (folder / "file").touch()
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(folder / "file" / "cache"))
    return str(folder / "file" / "cache"), "Not a directory"


def a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    (folder / "file").touch()
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(folder / "file"))
    return str(folder / "file"), "is not a folder"


def a_file_for_all_caches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    (folder / "file").touch()
    monkeypatch.delenv("KANRTL_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))
    return str(folder / "file" / "kanrtl"), "Not a directory"


def no_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    def forget(_user: int) -> None:
        raise KeyError

    monkeypatch.chdir(folder)
    for name in ("KANRTL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", forget)
    return "~/.cache/kanrtl", "there is no home folder to put it in"


def a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setattr(caches, "measure_room", lambda _: 5 << 20)
    return str(folder / "cache"), "has 5 MB left"


CASES = [below_a_file, a_file, a_file_for_all_caches, no_home, a_full_disk]


@pytest.mark.skipif(os.name != "posix", reason="homes are found otherwise there")
@pytest.mark.parametrize("case", CASES, ids=[case.__name__ for case in CASES])
def test_work_goes_on_in_a_temporary_folder(
    case: Callable[[Path, pytest.MonkeyPatch], tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, reason = case(tmp_path, monkeypatch)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.warns(CacheWarning) as told:
        folder = writable_cache("builds")
    assert [str(one.message) for one in told] == [
        f"cache {name!r}: {reason}; going on without it, which takes longer. Set KANRTL_CACHE_DIR to a folder that can "
        "be written"
    ]
    (folder / "entry").mkdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        assert writable_cache("builds") == folder
        other = writable_cache("netlists")
    assert (other.parent, other.is_dir()) == (folder.parent, True)
    assert [entry.is_dir() for entry in find_entries("builds", "entry")] == [False, True]
    assert {path.name for path in tmp_path.iterdir()} - before <= {"cache"}


def test_what_lies_in_a_cache_that_can_only_be_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path))
    (tmp_path / "builds" / "entry").mkdir(parents=True)
    monkeypatch.setattr(caches, "_find_obstacle", lambda *_: "Read-only file system")
    with pytest.warns(CacheWarning, match="Read-only file system"):
        writable_cache("builds")
    assert next(find_entries("builds", "entry")) == tmp_path / "builds" / "entry"


def test_neither_a_cache_nor_a_temporary_folder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: str) -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    below_a_file(tmp_path, monkeypatch)
    monkeypatch.setattr("kanrtl.cache.tempfile.mkdtemp", refuse)
    line = (
        r"^cache '.*file/cache': Not a directory; set KANRTL_CACHE_DIR to a folder that can be written. In its stead: "
        r"No usable temporary directory found in \['/tmp'\]; set TMPDIR to a folder that can be written$"
    )
    with pytest.raises(ToolError, match=line):
        writable_cache("builds")


def test_threads_share_one_stead(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found: list[Path] = []
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        threads = [
            threading.Thread(target=lambda: found.append(usable_folder(tmp_path / "file", "SOME_DIR")))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(found), len(set(found)), len(told)) == (8, 1, 1)


def test_a_stead_keeps_only_what_was_told(tmp_path: Path) -> None:
    for name in ("builds/a", "simulations/b", "netlists/building-c"):
        (tmp_path / "stead" / name).mkdir(parents=True)
    caches._remove_stead(tmp_path / "stead")
    assert sorted(path.name for path in (tmp_path / "stead").iterdir()) == ["builds", "netlists"]
    shutil.rmtree(tmp_path / "stead" / "builds")
    (tmp_path / "stead" / "netlists" / "building-c").rmdir()
    caches._remove_stead(tmp_path / "stead")
    assert not (tmp_path / "stead").exists()


def test_a_relative_cache_is_the_same_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KANRTL_CACHE_DIR", "cache")
    assert writable_cache("builds") == tmp_path / "cache" / "builds"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have other permissions there")
@pytest.mark.parametrize("part", ["", "builds"])
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_cache_that_others_can_write_is_not_used(
    part: str, mode: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    (folder / "builds" / "entry").mkdir(parents=True)
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(folder))
    assert list(find_entries("builds", "entry")) == [folder / "builds" / "entry"]
    (folder / part).chmod(mode)
    assert list(find_entries("builds", "entry")) == []
    with pytest.warns(CacheWarning) as told:
        used = writable_cache("builds")
    assert [str(one.message) for one in told] == [
        f"cache {str(folder / part)!r}: others can write it, and what is in a cache is run; take that from them with "
        "chmod -R go-rwx; going on without it, which takes longer. Set KANRTL_CACHE_DIR to a folder that can be written"
    ]
    assert not used.is_relative_to(folder)
    assert list(find_entries("builds", "entry")) == [used / "entry"]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have other owners there")
def test_what_belongs_to_another_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path))
    entry = tmp_path / "builds" / "entry"
    entry.mkdir(parents=True)
    monkeypatch.setattr(os, "geteuid", lambda: entry.stat().st_uid + 1)
    assert list(find_entries("builds", "entry")) == []
    with pytest.warns(CacheWarning, match="belongs to another user, and what is in a cache is run; going on without"):
        writable_cache("builds")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have other permissions there")
def test_an_entry_that_others_can_write_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path / "cache"))
    folder = writable_cache("builds")
    assert stat.S_IMODE((tmp_path / "cache").stat().st_mode) == stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / "entry").mkdir()
    (folder / "entry" / "file").touch()
    (folder / "entry" / "file").chmod(0o666)
    assert list(find_entries("builds", "entry")) == [folder / "entry"]  # nobody gets there
    for one in (tmp_path / "cache", folder):
        one.chmod(0o755)
    assert list(find_entries("builds", "entry")) == []
    (folder / "entry" / "file").chmod(0o644)
    assert list(find_entries("builds", "entry")) == [folder / "entry"]
    (folder / "entry").chmod(0o757)
    assert list(find_entries("builds", "entry")) == []


def make_work(folder: Path, content: str) -> Path:
    work = folder / f"building-{content}"
    work.mkdir()
    (work / "file").write_text(content)
    return work


@pytest.mark.parametrize(("replaces", "kept"), [(True, "second"), (False, "first")])
def test_an_entry_that_another_process_has_put_there_stays(replaces: bool, kept: str, tmp_path: Path) -> None:
    """One that was there before is of no use."""
    entry = tmp_path / "entry"
    publish(make_work(tmp_path, "first"), entry, None)
    publish(make_work(tmp_path, "second"), entry, identify(entry) if replaces else None)
    assert (entry / "file").read_text() == kept
    assert list(tmp_path.iterdir()) == [entry]


def test_of_two_processes_that_make_an_entry_again_the_first_does(tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    publish(make_work(tmp_path, "damaged"), entry, None)
    found = identify(entry), identify(entry)
    for name, replaces in zip(("first", "second"), found, strict=True):
        publish(make_work(tmp_path, name), entry, replaces)
    assert (entry / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [entry]


def test_an_entry_that_another_process_takes_away_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = tmp_path / "entry"
    publish(make_work(tmp_path, "damaged"), entry, None)
    damaged, rename = identify(entry), Path.rename

    def be_late(path: Path, target: Path) -> Path:
        if path == entry:
            shutil.rmtree(entry)
        return rename(path, target)

    work = make_work(tmp_path, "made again")
    monkeypatch.setattr(Path, "rename", be_late)
    publish(work, entry, damaged)
    assert (entry / "file").read_text() == "made again"
