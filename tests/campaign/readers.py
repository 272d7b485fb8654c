"""Files that are damaged, or made to do harm, for every reader: each gives one line, or what it reads, and nothing else
happens."""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import resource
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, LookupNetwork, connect
from kanrtl.errors import InputError, SpecError
from kanrtl.lookup import from_efficient_kan, from_kanele_tables
from kanrtl.sessions.learner_session import Session
from kanrtl.signals.read_columns import read_columns
from support.importable import foreign
from support.kan_checkpoints import efficient
from support.lookup_networks import chain
from support.torch_files import tensors, write_archive, write_safetensors, write_stream

Read = Callable[[Path], Any]

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=2, spline_order=1, update_rounding="stochastic")


def saved_learner(folder: Path) -> bytes:
    with connect(SPEC) as session:
        session.save(folder / "learner.npz")
    return (folder / "learner.npz").read_bytes()


@cache
def session_of_all() -> Session:
    """A session into which one file after another is loaded; to begin one takes longer than that."""
    return connect(SPEC)


def load_learner(path: Path) -> None:
    session_of_all().load(path)


def saved_network(folder: Path) -> bytes:
    chain([0, 1, 2, 3, 3, 2, 1, 0]).save(folder / "network.npz")
    return (folder / "network.npz").read_bytes()


def columns_file(_folder: Path) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(5.0), b=np.ones((5, 2), np.float32))
    return buffer.getvalue()


def parquet_file(_folder: Path) -> bytes:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    buffer = io.BytesIO()
    numbers = {"a": np.arange(5.0), "b": np.ones(5, np.int8)}
    parquet.write_table(pyarrow.table({**numbers, "c": list("texts"), "d": [None, 1, 2, 3, 4]}), buffer)
    return buffer.getvalue()


def read_all_columns(path: Path) -> None:
    columns = read_columns(path)
    for column in columns.columns:
        column.read(None)


def checkpoint(write: Callable[[Path, Any], Path], *, wrap: bool = True) -> Callable[[Path], bytes]:
    """A function that gives the file of a small network as a writer of ``support.torch_files`` makes it."""

    def make(folder: Path) -> bytes:
        state = efficient([2, 1], size=2, order=1)
        return write(folder / "weights", tensors(state) if wrap else state).read_bytes()

    return make


CONFIG = {"layers": [1, 1], "layers_bitwidth": [2, 3]}
TABLES = {"0_0_0": {"acive": 1, "values_int": [1, 2, 3, -1]}}


def spec_file(_folder: Path) -> bytes:
    lines = [f"{name} = {json.dumps(value)}\n" for name, value in SPEC.to_dict().items() if value is not None]
    return "".join(lines).encode()


CSV = b't;x;y\n0;1.5;-2\n1;1e3;0\n2;"3";4\n'


def read_tables(path: Path) -> None:
    from_kanele_tables(path, CONFIG)


READERS: dict[str, tuple[Callable[[Path], bytes], Read, str]] = {
    "spec": (spec_file, LearnerSpec.from_toml, "spec.toml"),
    "learner": (saved_learner, load_learner, "learner.npz"),
    "network": (saved_network, LookupNetwork.load, "network.npz"),
    "csv": (lambda _: CSV, read_all_columns, "signals.csv"),
    "compressed csv": (lambda _: gzip.compress(CSV), read_all_columns, "signals.csv.gz"),
    "columns": (columns_file, read_all_columns, "signals.npz"),
    "checkpoint": (checkpoint(write_archive), from_efficient_kan, "weights.pt"),
    "old checkpoint": (checkpoint(write_stream), from_efficient_kan, "old.pt"),
    "safetensors": (checkpoint(write_safetensors, wrap=False), from_efficient_kan, "weights.safetensors"),
    "tables": (lambda _: json.dumps(TABLES).encode(), read_tables, "tables.json"),
    "compressed tables": (lambda _: gzip.compress(json.dumps(TABLES).encode()), read_tables, "tables.json.gz"),
}
"""By name: what a good file holds, what reads it, and what the file is called."""

if importlib.util.find_spec("pyarrow") is not None:  # an extra
    READERS["parquet"] = (parquet_file, read_all_columns, "signals.parquet")


def mutate(content: bytes, random: Random) -> bytes:
    """Change a file in some places; of what is compressed also what is in it, so that its sums are right again."""
    if content.startswith(b"PK") and random.random() < 0.7:
        return _mutate_members(content, random)
    if content.startswith(b"\x1f\x8b") and random.random() < 0.3:
        return gzip.compress(_mutate_bytes(gzip.decompress(content), random), mtime=0)
    return _mutate_bytes(content, random)


def _mutate_bytes(content: bytes, random: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        place = random.randrange(len(changed) + 1)
        match random.randrange(6):
            case 0:
                changed[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                changed = changed[:place] or changed
            case 2:
                changed[place:place] = random.randbytes(random.randrange(9))
            case 3:
                del changed[place : place + random.randrange(1, 40)]
            case 4:
                start = random.randrange(len(changed) + 1)
                changed[place:place] = changed[start : start + random.randrange(1, 40)]
            case _:
                digits = [index for index, byte in enumerate(changed) if 48 <= byte <= 57]
                if digits:
                    number = random.choice(NUMBERS).encode()
                    index = random.choice(digits)
                    changed[index : index + 1] = number
    return bytes(changed)


NUMBERS = [
    *["-1", "0", "1e400", "99999999999999999999", "4294967296", "1000000000", "NaN", "null", "[]", '"a"', "true"],
    *["9" * 5000, "[" * 3000 + "]" * 3000, '"\\ud800"', "\0", "[{}]", "{}", "-Infinity", "1e-400", "0." + "3" * 5000],
]
"""What is put in the place of a digit. Python refuses integers of more than 4300 digits, and lists in 1000 lists."""


def _mutate_members(content: bytes, random: Random) -> bytes:
    members = dict(_members(content))
    names = list(members)
    chosen = random.choice(names)
    match random.randrange(5):
        case 0:
            del members[chosen]
        case 1:
            members[chosen] = members[random.choice(names)]
        case 2 if chosen.endswith(".npy"):
            buffer = io.BytesIO()
            shape = tuple(random.choices([0, 1, 3, 1 << 20, 1 << 40], k=random.randrange(4)))
            kind = random.choice(["<i8", "<f8", "|O", "|u1", "<U99", "<c16", "|b1", ">i4"])
            header = {"descr": kind, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(buffer, header)
            members[chosen] = buffer.getvalue() + bytes(random.choice([0, 8, 64]))
        case 3 if (text := _text_of(members[chosen])) is not None:
            changed = _mutate_bytes(text.encode(), random).decode(errors="surrogateescape")
            stored = io.BytesIO()
            np.save(stored, np.array(changed))
            members[chosen] = stored.getvalue()
        case _:
            members[chosen] = _mutate_bytes(members[chosen], random)
    buffer, other = io.BytesIO(), random.choice(names) if random.random() < 0.2 else None
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member, random.choice(METHODS) if name == other else zipfile.ZIP_STORED)
    return buffer.getvalue()


@cache
def _members(content: bytes) -> dict[str, bytes]:
    """The members of a good archive, which is damaged very many times."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
"""How a member can be compressed; the last two are refused."""


def _text_of(member: bytes) -> str | None:
    """The text that is all of an array; None where it is something else."""
    if not member.startswith(b"\x93NUMPY"):
        return None
    array = np.load(io.BytesIO(member))
    return str(array) if array.dtype.kind == "U" and not array.shape else None


def find_fault(read: Read, path: Path) -> str | None:
    """What is wrong with how a reader takes a file."""
    try:
        read(path)
    except (InputError, SpecError) as error:
        return f"more than a line: {error}" if "\n" in str(error) else None
    except KeyboardInterrupt:
        raise
    except BaseException:  # a panic of pydantic's own core is no Exception, and its file has to be kept all the same
        return traceback.format_exc()
    return None


def fuzz_readers(kinds: Sequence[str], minutes: float, seed: int) -> dict[str, Any]:
    """Fuzz the readers of some kinds in turn until the time is over; give how many files each was given, the failures,
    and the peak of memory in MB."""
    until, counts, failures = time.monotonic() + 60 * minutes, Counter[str](), 0
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # what asks for more fails
    random = Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = {kind: READERS[kind] for kind in kinds}
        good = {kind: make(folder) for kind, (make, _, _) in chosen.items()}
        while time.monotonic() < until:
            for kind, (_, read, file) in chosen.items():
                for _ in range(100):
                    content = mutate(good[kind], random)
                    (folder / file).write_bytes(content)
                    counts[kind] += 1
                    if (fault := find_fault(read, folder / file)) is not None:
                        failures += 1
                        kept = Path(tempfile.mkdtemp(prefix="kanrtl-reader-")) / file
                        kept.write_bytes(content)
                        print(f"{kind}: {kept}\n{fault}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {"files": dict(counts), "failures": failures, "peak_mb": peak}
