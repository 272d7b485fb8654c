"""What people's files look like: read, or refused for what they are."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec
from kanrtl.errors import SpecError
from kanrtl.experiments.simulate_network import read_samples
from kanrtl.file_content import describe_content, parse_json, read_bytes, read_text
from kanrtl.files import read_arrays
from kanrtl.lookup.floats.convert import convert
from support.pipes import by_descriptor, piped

SPEC = "layer_sizes = [1, 1]\ngrid_range = [-2, 2]  # é\n"

READ = {
    "byte order mark": SPEC.encode("utf-8-sig"),
    "line ends of Windows": SPEC.replace("\n", "\r\n").encode(),
    "line ends of old": SPEC.replace("\n", "\r").encode(),
    "mark and line ends": SPEC.replace("\n", "\r\n").encode("utf-8-sig"),
}

REFUSED = {
    "UTF-16": (SPEC.encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
    "UTF-16, big end first": (b"\xfe\xff" + SPEC.encode("utf-16-be"), "is text in UTF-16; save it as UTF-8"),
    "UTF-16 without a mark": (SPEC.encode("utf-16-le"), "is text in UTF-16; save it as UTF-8"),
    "UTF-16 of other letters": ("# Größe in µm\na = 1\n".encode("utf-16-be"), "is text in UTF-16; save it as UTF-8"),
    "small integers": (np.arange(400, dtype="<i4").tobytes() + b"\1", "is binary; give a text file"),
    "sound": (np.arange(-300, 300, dtype="<i2").tobytes(), "is binary; give a text file"),
    "an old sheet": (
        b"\xd0\xcf\x11\xe0" + bytes(600),
        "is no text but a document of old Office programs, as .xls files are; give a text file",
    ),
    "UTF-32": (SPEC.encode("utf-32"), "is text in UTF-32; save it as UTF-8"),
    "Latin-1": (SPEC.encode("latin-1"), "is not UTF-8: byte 0xe9 in line 2; save it as UTF-8"),
    "Latin-1 behind a mark": (
        b"\xef\xbb\xbfa = 1\n\xe9 = 2\n",
        "is not UTF-8: byte 0xe9 in line 2; save it as UTF-8",
    ),
    "trailing nulls": (
        SPEC.encode() + bytes(3),
        "ends in 3 null bytes, as a file does that was cut short; write it again",
    ),
    "binary": (b"\1\2\3\0\4\5\6\7" * 9, "is binary; give a text file"),
    "gzip": (b"\x1f\x8b\x08rest", "is no text but compressed with gzip; give a text file"),
    "pickle": (b"\x80\x04\x95rest", "is no text but a Python pickle; give a text file"),
}


@pytest.mark.parametrize("content", READ.values(), ids=READ)
def test_specs_are_read(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_bytes(content)
    assert LearnerSpec.from_toml(tmp_path / "spec.toml") == LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    assert read_text(tmp_path / "spec.toml") == SPEC


@pytest.mark.parametrize(("content", "line"), REFUSED.values(), ids=REFUSED)
def test_specs_are_refused_for_what_they_are(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "spec.toml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as refusal:
        LearnerSpec.from_toml(path)
    assert str(refusal.value) == f"spec file {str(path)!r}: {line}"


@pytest.mark.parametrize(("content", "line"), REFUSED.values(), ids=REFUSED)
def test_json_is_refused_for_what_it_is(content: bytes, line: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    (tmp_path / "tables.json").write_text("{}")
    with pytest.raises(InputError) as refusal:
        convert(tmp_path / "tables.json", config=tmp_path / "config.json")
    assert str(refusal.value).endswith(f"config.json': {line}")
    with pytest.raises(InputError) as refusal:
        convert(tmp_path / "config.json", config={})  # type: ignore[arg-type]  # tables in the place of a config
    assert str(refusal.value).endswith(f"config.json': {line}")


def test_json_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b'\xef\xbb\xbf{"layers": [1, 1],\r\n"layers_bitwidth": [2, 2]}')
    (tmp_path / "tables.json").write_bytes(b"\xef\xbb\xbf{}")
    found = convert(tmp_path / "tables.json", config=tmp_path / "config.json").network
    assert (found.layer_sizes, found.bits) == ((1, 1), (2, 2))


def npy() -> bytes:
    content = io.BytesIO()
    np.save(content, np.arange(3))
    return content.getvalue()


DESCRIBED = {
    "empty": (b"", "empty"),
    "nulls": (bytes(99), "nothing but null bytes"),
    "array": (npy(), "a single array, as .npy files are"),
    "commas": (b"a,b,y\n1.0,2.0,0\n3.0,4.0,1\n", "a table in text with commas between its columns"),
    "Excel in Europe": (b"\xef\xbb\xbfa;b\r\n1,5;2,5\r\n", "a table in text with semicolons between its columns"),
    "tabs": (b"a\tb\n1\t2\n", "a table in text with tabs between its columns"),
    "Latin-1 heads": ("größe;b\n1,5;2\n".encode("latin-1"), "a table in text with semicolons between its columns"),
    "UTF-16": ("a;b\n1;2\n".encode("utf-16"), "text in UTF-16"),
    "JSON": (b'{"X": [[1, 2]]}', "text in JSON"),
    "spec": (SPEC.encode(), "text"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a picture"),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0", "HDF5"),
    "pickle": (b"\x80\x04\x95\0", "a Python pickle"),
}


@pytest.mark.parametrize(("content", "what"), DESCRIBED.values(), ids=DESCRIBED)
def test_samples_are_refused_for_what_they_are(content: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    assert describe_content(path) == what
    with pytest.raises(InputError) as refusal:
        read_samples(path)
    mend = "give one with X, and with y where it is known"
    assert str(refusal.value) == f"data = {str(path)!r}: not an .npz file but {what}; {mend}"


def test_what_cannot_be_told_is_not(tmp_path: Path) -> None:
    (tmp_path / "data.npz").write_bytes(bytes(range(256)))
    assert describe_content(tmp_path / "data.npz") is None
    assert describe_content(tmp_path / "none") is None
    with pytest.raises(InputError, match=r"not an \.npz file; give one with X"):
        read_samples(tmp_path / "data.npz")


@by_descriptor
def test_what_comes_through_a_pipe_is_left_in_it() -> None:
    with piped(b"x,y\n1,2\n") as (path, left):
        assert describe_content(path) is None
        assert left.read() == b"x,y\n1,2\n"


@pytest.mark.parametrize("text", ["9" * 5000, "[" * 100_000, b"\xff", "", '{"a": 1'])
def test_what_is_not_json_is_told_as_such(text: str | bytes) -> None:
    with pytest.raises(json.JSONDecodeError):
        parse_json(text)


def test_no_more_is_read_than_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of what ends nowhere either."""
    path = tmp_path / "file"
    path.write_bytes(bytes(9))
    assert read_bytes(path, 9) == bytes(9)
    monkeypatch.setattr("kanrtl.file_content.MOST_TEXT", 1 << 20)
    for file, most in ((path, 8), (Path("/dev/zero"), 5), (Path("/dev/zero"), 1 << 60)):
        with pytest.raises(InputError, match=r"^holds more than [01] MB, as many as are read; give a smaller file$"):
            read_bytes(file, most)
    with pytest.raises(
        InputError, match=r"^not a saved learner, as it is no regular file; give a file that save wrote$"
    ):
        read_arrays(Path("/dev/zero"))
