"""Pickles are read, and nothing in them is run."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError
from kanrtl.lookup.checkpoints.checkpoint_file import read_checkpoint, read_content
from kanrtl.lookup.checkpoints.inert_pickle import BadPickleError, Foreign, read_pickle
from kanrtl.lookup.checkpoints.numpy_objects import make_array
from support.kan_checkpoints import efficient
from support.torch_files import Called, Named, module, tensor, tensors, write_archive, write_stream


def read(content: bytes) -> Any:
    return read_pickle(io.BytesIO(content), Foreign, lambda identifier: identifier)


@pytest.mark.parametrize("protocol", range(6))
def test_containers_and_numbers_are_as_pickle_reads_them(protocol: int) -> None:
    shared = [1, 2.5, None]
    content = {
        "a": (1, -(1 << 70), 300, 70000, True, False),
        "b": [shared, shared, (), (1,), (1, 2), tuple(range(5))],
        ("key", 2): "text with \u00e9 and \n",
        "ordered": OrderedDict([("x", 1.5), ("y", {})]),
        "default": defaultdict(list, {"z": [0]}),
        "bytes": b"\x00\xff",
        "none": b"",
    }
    found = read(pickle.dumps(content, protocol))
    assert found == content
    assert found["b"][0] is found["b"][1]
    assert read(pickle.dumps({"set": {1, 2}}, protocol)) == {"set": [1, 2]}


@pytest.mark.parametrize("protocol", range(2, 6))
def test_numbers_and_arrays_of_numpy(protocol: int) -> None:
    arrays = [np.arange(6.0).reshape(2, 3), np.arange(6).reshape(2, 3).T, np.float32(0.5), np.int64(3), np.bool_(True)]
    for array, thing in zip(arrays, read(pickle.dumps(arrays, protocol)), strict=True):
        made = make_array(thing)
        assert made is not None
        assert made.dtype == array.dtype
        assert np.array_equal(made, array)
    assert make_array(read(pickle.dumps(np.array(["2026-01-01"], "M8[D]"), protocol))) is None


class Spy:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


def spies(mark: Path) -> dict[str, Any]:
    command = f"open({str(mark)!r}, 'w')"
    return {
        "exec": Spy(mark),
        "system": Called(Named("os", "system"), (f"touch {mark}",)),
        "getattr": Called(Named("builtins", "getattr"), (Named("builtins", "__import__"), "name")),
        "state": Called(Named("pathlib", "PosixPath"), (), {"__dict__": Spy(mark)}),
        "tensor": Called(
            Named("torch._tensor", "_rebuild_from_type_v2"), (Named("builtins", "exec"), None, (command,), {})
        ),
        "load": Called(Named("torch.storage", "_load_from_bytes"), (pickle.dumps(Spy(mark)),)),
        "rebuild": Called(Named("torch._utils", "_rebuild_tensor_v2"), (Spy(mark), 0, (1,), (1,))),
    }


@pytest.mark.parametrize("name", spies(Path("x")))
def test_nothing_is_run(name: str, tmp_path: Path) -> None:
    mark = tmp_path / "run"
    spy = spies(mark)[name]
    for number, content in enumerate([spy, {"model": tensors(efficient([2, 1])), "beside": spy}]):
        for path in (
            write_archive(tmp_path / f"{number}.pt", content),
            write_stream(tmp_path / f"{number}.pth", content),
        ):
            if name == "rebuild":
                with pytest.raises(InputError, match="damaged"):
                    read_checkpoint(path)
            else:
                assert bool(read_checkpoint(path).arrays) == bool(number)
            assert not mark.exists()
    if name == "exec":  # the spy does what it says
        pickle.loads(pickle.dumps(spy))
        assert mark.exists()


def test_an_escape_that_is_none_stands_as_it_is() -> None:
    assert read(b"S'a\\u'\n.") == "a\\u"


def test_a_pickle_calls_nothing_but_what_it_names() -> None:
    for content in (
        b"\x80\x02K\x01)R.",
        b"\x80\x02K\x01.."[:-2],
        b"\x80\x02(K\x01.",
        b"\x80\x02j\xff\xff\xff\x7f.",
        b"\x80\x02K\x01K\x02a.",
    ):
        with pytest.raises(BadPickleError):
            read(content)
    # An address in the memo far away costs no memory.
    assert read(b"\x80\x02K\x07r\xff\xff\xff\x7f.") == 7


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    state = tensors(efficient([2, 1]))
    whole = [
        write_archive(tmp_path / "a.pt", state).read_bytes(),
        write_stream(
            tmp_path / "a.pth", {"model": module({}, {"layers": module({"w": tensor([1.0])}, {})})}
        ).read_bytes(),
        pickle.dumps(efficient([2, 1])),
    ]
    random = np.random.default_rng(0)
    for content in whole:
        for _ in range(60):
            damaged = bytearray(content[: random.integers(20, len(content) + 1)])
            damaged[random.integers(0, min(len(damaged), 600))] = random.integers(0, 256)
            (tmp_path / "damaged").write_bytes(damaged)
            outcome = "read"
            try:
                read_checkpoint(tmp_path / "damaged")
            except InputError as error:
                outcome = str(error)
            assert len(outcome.splitlines()) == 1


def test_foreign_numbers_are_refused_by_name(tmp_path: Path) -> None:
    path = write_archive(
        tmp_path / "a.pt", {**tensors(efficient([2, 1])), "layers.0.grid": tensor(np.ones((2, 12)), "float8")}
    )
    with pytest.raises(InputError, match=r"layers\.0\.grid: numbers of Float8_e4m3fnStorage cannot be read; save"):
        read_checkpoint(path)
    quantised = Called(Named("torch._utils", "_rebuild_qtensor"), (1, 2))
    path = write_archive(tmp_path / "b.pt", {**tensors(efficient([2, 1])), "layers.0.grid": quantised})
    with pytest.raises(InputError, match=r"layers\.0\.grid: cannot be read \(qtensor\); save dense tensors"):
        read_checkpoint(path)
    path = write_archive(tmp_path / "c.pt", tensors(efficient([2, 1])), more={"constants.pkl": b""})
    with pytest.raises(InputError, match="holds a TorchScript program, not weights"):
        read_content(path)


NESTED = b")" + b"2\x86" * 30
"""A tuple of twice the same tuple, which is one of twice the same, and so on."""


@pytest.mark.parametrize(
    "content",
    [
        b"}" + NESTED + b"K\x01s.",
        b"}(" + NESTED + b"K\x01u.",
        b"(" + NESTED + b"K\x01d.",
        b"ccollections\nOrderedDict\n]" + NESTED + b"K\x01\x86a\x85R.",
    ],
    ids=["SETITEM", "SETITEMS", "DICT", "OrderedDict"],
)
def test_tuples_of_tuples_are_no_keys(content: bytes) -> None:
    """Their hash would take minutes."""
    with pytest.raises(BadPickleError, match="it has tuples of tuples as keys"):
        read(b"\x80\x02" + content)


def test_what_holds_the_same_again_and_again_is_not_written_out() -> None:
    """As it would be as a name, as the key of a storage, or in an error."""
    with pytest.raises(BadPickleError, match="it names by what is no text"):
        read(b"\x80\x04" + NESTED + b"\x8c\x01a\x93.")
    assert repr(read(b"\x80\x02ca\nb\n" + NESTED + b"R.")) == "Foreign(name='a.b')"


@pytest.mark.parametrize("kind", ["dict", "pairs", "set", "bytes"])
def test_calls_copy_no_more_than_the_file_is_long(kind: str) -> None:
    """Eleven bytes would copy megabytes otherwise, and again."""
    calls = {
        "dict": ("collections.OrderedDict", {number: number for number in range(5000)}),
        "pairs": ("collections.OrderedDict", [(number, number) for number in range(5000)]),
        "set": ("builtins.frozenset", list(range(5000))),
        "bytes": ("_codecs.encode", "\xe9" * 5000),
    }
    name, content = calls[kind]
    module, _, function = name.rpartition(".")
    # Both are kept at addresses that the content's own pickle does not use.
    called, given = b"\xf0\xff\xff\x0f", b"\xf1\xff\xff\x0f"
    held = b"r" + called + b"0" + pickle.dumps(content, 0)[:-1] + b"\x85r" + given + b"0]("
    prelude = b"\x80\x02" + f"c{module}\n{function}\n".encode() + held
    copy = b"j" + called + b"j" + given + b"R"
    for count in (1, 100):
        assert len(read(prelude + copy * count + b"e.")) == count
    with pytest.raises(BadPickleError, match="it gives calls more than it holds"):
        read(prelude + copy * 1000 + b"e.")
