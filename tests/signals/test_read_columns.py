"""Files of columns: read whatever they look like, or refused with the line and the column."""

from __future__ import annotations

import gzip
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kanrtl import InputError
from kanrtl.signals.read_columns import read_columns
from support.importable import foreign

U, Y = [0.5, -1.0, 2e-3], [1.0, 2.0, 3.0]

TEXTS = {
    "commas": "u,y\n0.5,1\n-1,2\n2e-3,3\n",
    "no end of the last line": "u,y\n0.5,1\n-1,2\n2e-3,3",
    "lines of Windows and a mark": "\ufeffu,y\r\n0.5,1\r\n-1,2\r\n2e-3,3\r\n",
    "quotes and blanks": '"u", "y"\n0.5, 1\n "-1" ,2\n2e-3,3\n\n\n',
    "semicolons": "u;y\n0.5;1\n-1;2\n2e-3;3\n",
    "tabs": "u\ty\n0.5\t1\n-1\t2\n2e-3\t3\n",
    "blanks": "u   y\n 0.5 1\n-1   2\n2e-3 3\n",
    "comments": "# by a scope\n#\n\nu,y\n0.5,1\n-1,2\n2e-3,3\n",
    "names in the comment, as numpy writes them": "# by a scope\n# u,y\n0.5,1\n-1,2\n2e-3,3\n",
    "a time column in text": "when,u,y\nnoon,0.5,1\nlater,-1,2\nnight,2e-3,3\n",
    "an index without a name": ",u,y\n0,0.5,1\n1,-1,2\n2,2e-3,3\n",
    "other columns may be damaged": "u,x,y\n0.5,,1\n-1,nan,2\n2e-3,x,3\n",
}


def write(tmp_path: Path, text: str, name: str = "signals.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_is_read(text: str, tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, text))
    found = columns.select("inputs", ["u", "y"])
    assert [name for name, _ in found] == ["u", "y"]
    np.testing.assert_array_equal([values for _, values in found], [U, Y])


def test_columns_without_names_have_numbers_from_one_on(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, "0.5,1\n-1,2\n2e-3,3\n"))
    found = columns.select("inputs", ["2", 1])
    assert [name for name, _ in found] == ["column 2", "column 1"]
    np.testing.assert_array_equal([values for _, values in found], [Y, U])


def test_numbers_above_an_index_without_a_name_are_names(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, ",0,1\n0,0.5,1\n1,-1,2\n2,2e-3,3\n"))
    found = columns.select("inputs", ["0", "1"])
    assert [name for name, _ in found] == ["0", "1"]
    np.testing.assert_array_equal([values for _, values in found], [U, Y])


def test_columns_of_one_name_are_told_apart(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, "u,y,y\n0.5,1,4\n-1,2,5\n2e-3,3,6\n"))
    assert [name for name, _ in columns.select("targets", [2, 3])] == ["y (column 2)", "y (column 3)"]


def test_one_column_has_no_separator(tmp_path: Path) -> None:
    ((name, values),) = read_columns(write(tmp_path, "output voltage\n1\n2\n3\n")).select("targets", [1])
    assert name == "output voltage"
    np.testing.assert_array_equal(values, Y)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_decimal_comma_is_read_where_it_is_asked_for(separator: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"u{separator}y\n0,5{separator}1\n-1{separator}2\n2e-3{separator}3,0\n")
    for name, expected in (("u", U), ("y", Y)):
        np.testing.assert_array_equal(read_columns(path, ",").select("inputs", [name])[0][1], expected)
    with pytest.raises(InputError, match=r"^line 2, column 1 'u': '0,5' has a comma; .* decimal = ',' \(--decimal\)$"):
        read_columns(path).select("inputs", ["u"])


def test_compressed_text_is_read(tmp_path: Path) -> None:
    path = tmp_path / "signals.csv.gz"
    path.write_bytes(gzip.compress(TEXTS["commas"].encode()))
    np.testing.assert_array_equal(read_columns(path).select("inputs", ["u"])[0][1], U)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"^is damaged: it cannot be decompressed; write it again$"):
        read_columns(path)
    path.write_bytes(gzip.compress(b"\x89PNG" + bytes(9)))
    with pytest.raises(InputError, match=r"^is no text but a picture; give CSV, .npz or Parquet$"):
        read_columns(path)


CELLS = {
    "text": ("u\n1\nx1\n", "line 3, column 1 'u': 'x1' is not a number; mend it, or name another column"),
    "missing": ("u,v\n1,2\n,2\n", "line 3, column 1 'u': is missing; give a number, or leave the row out"),
    "nan": ("u\n1\nnan\n", "line 3, column 1 'u': 'nan' is not finite; give a number, or leave the row out"),
    "infinite": ("u\n-inf\n1\n", "line 2, column 1 'u': '-inf' is not finite"),
    "too large": ("u\n1e999\n1\n", "line 2, column 1 'u': '1e999' is not finite"),
    "thousands": ('u,v\n"1,234.5",2\n', "line 2, column 1 'u': '1,234.5' is not a number with a point as its decimal"),
    "of Python alone": ("u\n1_000\n1\n", "line 2, column 1 'u': '1_000' is not a number"),
    "a line above": ("# made at noon\nu\n1\nx\n", "line 4, column 1 'u': 'x' is not a number"),
    "lines in quotes": ('u,v\n1,"a\nb"\nx,2\n', "line 4, column 1 'u': 'x' is not a number"),
    "an empty line": ("u\n1\n\n2\n", "line 3, column 1 'u': is missing"),
    "behind lines in quotes": ('v,u\n1,2\n"a\nb",x\n', "line 3, column 2 'u': 'x' is not a number"),
    "an integer of 54 bits": (
        "u\n9007199254740992\n+9007199254740993\n",
        "line 3, column 1 'u': '+9007199254740993' is an integer, which would be rounded to 9007199254740992; subtract",
    ),
    "an integer of 54 bits with a point": (
        "u\n9007199254740992.0\n9007199254740993.00\n",
        "line 3, column 1 'u': '9007199254740993.00' is an integer, which would be rounded to 9007199254740992; subtr",
    ),
    "a separator that is not looked for": (
        "u|v\n1|2\n2|3\n",
        "line 1: 'u|v' is one column; separate columns by semicolons, tabs, commas or blanks, or write sep=| above",
    ),
    "an integer of thousands of digits": (
        f"u\n1\n{'0' * 5000}{2**64 - 1}\n",
        f"line 3, column 1 'u': '{'0' * 37}...' is an integer, which would be rounded to {2**64}; subtract an offset",
    ),
    "long": (f"u\n1\n{'x' * 99}\n", f"line 3, column 1 'u': '{'x' * 37}...' is not a number"),
}


@pytest.mark.parametrize(("text", "line"), CELLS.values(), ids=CELLS)
def test_what_is_no_number_is_refused_with_its_line(text: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        read_columns(write(tmp_path, text)).select("inputs", ["u"])
    assert str(refusal.value).startswith(line)


def test_a_first_line_with_numbers_is_no_line_of_names(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, "a,1\nb,2\n"))
    np.testing.assert_array_equal(columns.select("inputs", [2])[0][1], [1, 2])
    with pytest.raises(InputError, match=r"^line 1, column 1: 'a' is not a number"):
        columns.select("inputs", [1])


FILES = {
    "nothing": (b"", "is empty; give CSV, .npz or Parquet"),
    "blank": (b"\n \n", "has no rows; give a table of numbers"),
    "names alone": (b"u,y\n", "has names and no rows below them; give a table of numbers"),
    "short row": (b"u,y\n1,2\n3\n", "line 3 has 1 cell, line 1 has 2; give each row as many"),
    "long row": (b"1,2\n1,2\n3,4,5\n", "line 3 has 3 cells, line 1 has 2; give each row as many"),
    "empty row": (b"u,y\n1,2\n\n3,4\n", "line 3 is empty, line 1 has 2; give each row as many"),
    "Latin-1": ("t in °C,u\n1,2\n".encode("latin-1"), "is not UTF-8: byte 0xb0 in line 1; save it as UTF-8"),
    "UTF-16": ("u\n1\n".encode("utf-16"), "is text in UTF-16; save it as UTF-8"),
    "HDF5": (b"\x89HDF\r\n\x1a\n...", "is no text but HDF5; give CSV, .npz or Parquet"),
    "MATLAB": (b"MATLAB 5.0 MAT-file", "is no text but a MATLAB file; give CSV, .npz or Parquet"),
    "a damaged archive": (b"PK\x03\x04....", "not an .npz file; give CSV, .npz or Parquet"),
    "one array": (b"\x93NUMPY...", "is no text but a single array, as .npy files are; give CSV, .npz or Parquet"),
}


@pytest.mark.parametrize(("content", "line"), FILES.values(), ids=FILES)
def test_files_are_refused_for_what_they_are(content: bytes, line: str, tmp_path: Path) -> None:
    path = tmp_path / "signals"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        read_columns(path)
    assert str(refusal.value) == line


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^No such file or directory; give CSV, .npz or Parquet$"):
        read_columns(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"^Is a directory; give CSV, .npz or Parquet$"):
        read_columns(tmp_path)


@pytest.mark.parametrize(
    ("wanted", "line"),
    [
        (["z"], "inputs = 'z': no such column; columns are 1 'u', 2 'y', 3 'u' and 4 'column 4'"),
        (["0"], "inputs = '0': no such column; columns are 1 'u'"),
        ([5], "inputs = 5: no such column; columns are 1 'u'"),
        (["u"], "inputs = 'u': columns 1 and 3 have this name; give one by its number"),
        (["y", 2], "inputs = 2: y is named twice; leave one out"),
    ],
)
def test_columns_that_cannot_be_told_are_refused(wanted: list[str | int], line: str, tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, "u,y,u,\n1,2,3,4\n"))
    with pytest.raises(InputError) as refusal:
        columns.select("inputs", wanted)
    assert str(refusal.value).startswith(line)
    assert [name for name, _ in columns.select("inputs", [1, 3, "4"])] == ["u (column 1)", "u (column 3)", "column 4"]


def test_files_without_names_say_so(tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"the 2 columns have no names, as the first line is a row of numbers; give numbers from 1 to 2$",
    ):
        read_columns(write(tmp_path, "1,2\n3,4\n")).select("inputs", ["u"])


@pytest.mark.parametrize("names", ["u,y", '"u","y"'])
def test_decimal_commas_in_quotes_leave_commas_between_columns(names: str, tmp_path: Path) -> None:
    path = write(tmp_path, f'{names}\n"0,5","1,0"\n"-1","2"\n"2e-3","3"\n')
    for name, expected in (("u", U), ("y", Y)):
        np.testing.assert_array_equal(read_columns(path, ",").select("inputs", [name])[0][1], expected)


def test_separators_in_quotes_are_none(tmp_path: Path) -> None:
    path = write(tmp_path, '"volts; rms",y\n0.5,1\n-1,2\n2e-3,3\n')
    np.testing.assert_array_equal(read_columns(path).select("inputs", ["volts; rms"])[0][1], U)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lamp; a,y\n0.5,1\n-1,2\n2e-3,3\n", "lamp; a"),
        ("a,b;y\n0.5;1\n-1;2\n2e-3;3\n", "a,b"),
        ('"lamp\n(a)",y\n0.5,1\n-1,2\n2e-3,3\n', "lamp\n(a)"),
        ('y;"lamp; of\n\n(a)"\n1;0.5\n2;-1\n3;2e-3\n', "lamp; of\n\n(a)"),
    ],
)
def test_names_may_have_other_separators_and_lines_in_quotes(text: str, name: str, tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, text))
    assert [values.tolist() for _, values in columns.select("inputs", [name, "y"])] == [U, Y]


@pytest.mark.parametrize(
    ("text", "decimal"),
    [
        ("sep=;\nu;y\n1.5;2\n-3;4\n", "."),
        ("SEP=\t\r\nu\ty\r\n1,5\t2\r\n-3\t4\r\n", ","),
        ("sep=|\nu|y\n1.5|2\n-3|4\n", "."),
        ("sep=,\n1.5,2\n-3,4\n", "."),
    ],
)
def test_a_spreadsheet_says_by_what_columns_are_separated(tmp_path: Path, text: str, decimal: str) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text(text, newline="")
    columns = read_columns(path, decimal).columns
    np.testing.assert_array_equal([column.read(None) for column in columns], [[1.5, -3], [2, 4]])


@pytest.mark.parametrize(
    ("text", "decimal", "line"),
    [
        (
            "year,2019,2020\n0,1,2\n1,3,4\n",
            ".",
            "line 1: has 'year' above numbers, and numbers beside it; give all columns",
        ),
        ("ERR,1\n2,3\n", ".", "line 1: has 'ERR' above numbers"),
        (
            "time,2020,2021\n2024-01-01,1,2\n2024-01-02,3,4\n",
            ".",
            "line 1: has 'time' above '2024-01-01', and numbers beside it; give all columns names that are no numbers",
        ),
        ("u,y\n1.5,2.5\n", ",", "separates columns by commas, which are decimal marks here; leave decimal (--decimal)"),
        ('u,y\n1,2\n"3,4\n5,6\n7,8\n', ".", "line 3: a quote is opened and not closed in it; close it"),
        ('"u,y\n1,2\n3,4\n', ".", "line 1: a quote is opened and not closed in it; close it"),
        ('u,y\n"1\n",2\n"3\n"\n', ".", "line 4 has 1 cell, line 1 has 2"),
        ("Measured today\nu,y\n1,2\n", ".", "line 1: 'Measured today' has no commas, by which the lines below it are"),
        ("# bench 3\n\nOscilloscope\nu;y\n1;2\n", ",", "line 3: 'Oscilloscope' has no semicolons, by which the lines"),
        ("sep=;\nu;y\n1;2\n3\n", ".", "line 4 has 1 cell, line 2 has 2"),
        (
            "u,y\n1.5,-2.5\n",
            ",",
            "separates columns by commas, which are decimal marks here; leave decimal (--decimal)",
        ),
        ("15.5,0.25\n1,2\n", ",", "separates columns by commas, which are decimal marks here"),
        ("15,5,0,25\n1,2,3,4\n", ",", "separates columns by commas, which are decimal marks here"),
        ("2024-01-01,1.5\n2024-01-02,2\n", ",", "separates columns by commas, which are decimal marks here"),
        (
            "Frequency (Hz)  S11 (dB)\n1.0 -3.2\n2.0 -4.5\n",
            ".",
            "line 1: 'Frequency (Hz)  S11 (dB)' has 4 words, and the lines below it have 2 numbers; give each column a",
        ),
        ("% u y\n1 2\n3 4\n", ".", "line 1: '% u y' has 3 words, and the lines below it have 2 numbers; give each"),
        ("Title\n1 2\n3 4\n", ".", "line 1: 'Title' has 1 word, and the lines below it have 2 numbers; give each"),
        ("1 2\n3 4 5\n", ".", "line 2 has 3 cells, line 1 has 2; give each row as many"),
        ("u:y\n1:2\n3:4\n", ".", "line 1: 'u:y' has no numbers, nor have the lines below it; give a table of numbers"),
        ("sep=,\nu;y\n1;2\n", ".", "line 2: 'u;y' has no numbers, nor have the lines below it; give a table of"),
        ('{"u": 1}\n{"u": 2}\n', ".", "line 1: '{\"u\": 1}' has no numbers, nor have the lines below it; give a table"),
    ],
)
def test_tables_that_may_be_two_things_are_refused(text: str, decimal: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refusal:
        read_columns(write(tmp_path, text), decimal)
    assert str(refusal.value).startswith(line)


def test_a_cell_that_is_missing_is_no_name(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, "NA,1\n2,3\n"))
    np.testing.assert_array_equal(columns.select("targets", [2])[0][1], [1, 3])


def test_arrays_are_columns(tmp_path: Path) -> None:
    path = tmp_path / "signals.npz"
    wave = np.array([1 + 2j, 3 + 4j], dtype=np.complex64)
    arrays = {"u": np.float32([1, 2]), "x": np.arange(4).reshape(2, 2), "wave": wave, "about": np.array("a text")}
    np.savez(
        path,
        **arrays,
        meta=np.array({"a": 1}),
        names=np.array(["a", "b"]),
        cube=np.zeros((2, 2, 2)),
        bad=np.array([1, np.nan]),
    )
    columns = read_columns(path)
    found = columns.select("inputs", ["wave", "x", "u"])
    assert [name for name, _ in found] == ["wave.I", "wave.Q", "x.1", "x.2", "u"]
    np.testing.assert_array_equal([values for _, values in found], [[1, 3], [2, 4], [0, 2], [1, 3], [1, 2]])
    assert [name for name, _ in columns.select("inputs", ["x.2", "wave.Q"])] == ["x.2", "wave.Q"]
    for name, line in {
        "names": "inputs = 'names': is text; name an array of numbers",
        "meta": "inputs = 'meta': holds Python objects, which are never loaded; save numbers alone",
        "cube": "inputs = 'cube': has shape (2, 2, 2); name one of shape (rows,) or (rows, columns)",
        "bad": "row 2 of 'bad' is nan; give a number, or leave the row out",
    }.items():
        with pytest.raises(InputError) as refusal:
            columns.select("inputs", [name])
        assert str(refusal.value) == line


def test_numbers_of_columns_are_those_of_the_file_in_every_format(tmp_path: Path) -> None:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    content = {"t": ["one", "two"], "a": [1, 2], "b": [3, 4]}
    np.savez(tmp_path / "signals.npz", **{name: np.array(values) for name, values in content.items()})
    parquet.write_table(pyarrow.table(content), tmp_path / "signals.parquet")
    write(tmp_path, "t,a,b\none,1,3\ntwo,2,4\n")
    for kind, reason in (
        ("csv", "line 2, column 1 't': 'one' is not a number; mend it, or name another column"),
        ("npz", "inputs = 1: t is text; name an array of numbers"),
        ("parquet", "inputs = 1: t is of type string; name a column of numbers"),
    ):
        columns = read_columns(tmp_path / f"signals.{kind}")
        assert [name for name, _ in columns.select("inputs", [2, "3"])] == ["a", "b"]
        with pytest.raises(InputError, match=r"^inputs = 4: no such column; columns are .*2 'a' and 3 'b'$"):
            columns.select("inputs", [4])
        with pytest.raises(InputError) as refusal:
            columns.select("inputs", [1])
        assert str(refusal.value) == reason


def test_only_columns_of_numbers_are_offered(tmp_path: Path) -> None:
    arrays = {f"x{index}": np.array("text") if index % 2 else np.arange(2.0) for index in range(20)}
    np.savez(tmp_path / "signals.npz", **arrays)  # type: ignore[arg-type]
    offered = read_columns(tmp_path / "signals.npz").describe()
    assert offered.startswith("columns are 1 'x0', 3 'x2', 5 'x4',")
    assert offered.endswith("15 'x14', and so on up to 19")


@pytest.mark.parametrize(
    ("column", "refused"),
    [
        (
            2**53 + np.arange(3),
            "row 2 of 'u' is 9007199254740993, which would be rounded to 9007199254740992; subtract",
        ),
        (-(2**53) - np.arange(3), "row 2 of 'u' is -9007199254740993, which would be rounded to -9007199254740992"),
        (np.array([1, 2**63 - 1]), f"row 2 of 'u' is {2**63 - 1}, which would be rounded to {2**63}"),
        (2**63 + np.arange(3, dtype=np.uint64), f"row 2 of 'u' is {2**63 + 1}, which would be rounded to {2**63}"),
        (2**62 + 1024 * np.arange(3), ""),
        (np.array([0, 2**53]), ""),
    ],
)
def test_integers_that_would_be_rounded_are_refused(column: npt.NDArray[Any], refused: str, tmp_path: Path) -> None:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    np.savez(tmp_path / "signals.npz", u=column)
    parquet.write_table(pyarrow.table({"u": column}), tmp_path / "signals.parquet")
    decimals = pyarrow.array([Decimal(value) for value in column.tolist()], pyarrow.decimal128(20, 0))
    parquet.write_table(pyarrow.table({"u": decimals}), tmp_path / "decimals.parquet")
    for name in ("signals.npz", "signals.parquet", "decimals.parquet"):
        columns = read_columns(tmp_path / name)
        if refused:
            with pytest.raises(InputError, match=f"^{refused}"):
                columns.select("inputs", ["u"])
        else:
            assert columns.select("inputs", ["u"])[0][1].tolist() == column.tolist()


def test_integers_of_text_that_are_floats_are_read(tmp_path: Path) -> None:
    values = [2**53, -(2**62) - 1024, 10**22, 10**16]
    columns = read_columns(write(tmp_path, "u\n" + "".join(f"{value}\n" for value in values) + "1e300\n0.1\n"))
    assert columns.select("inputs", ["u"])[0][1].tolist() == [*values, 1e300, 0.1]


def test_other_archives_have_no_columns(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "signals.zip", "w") as archive:
        archive.writestr("signals.csv", "u\n1\n")
    with pytest.raises(InputError, match=r"^is a zip archive of signals\.csv; unpack it, and give what is in it$"):
        read_columns(tmp_path / "signals.zip")
    with zipfile.ZipFile(tmp_path / "signals.zip", "a") as archive:
        archive.writestr("[Content_Types].xml", "<xml/>")
    with pytest.raises(InputError, match=r"^is a spreadsheet; save the sheet as CSV$"):
        read_columns(tmp_path / "signals.zip")
    np.savez(tmp_path / "mixed.npz", u=U)
    with zipfile.ZipFile(tmp_path / "mixed.npz", "a") as archive:
        archive.writestr("notes.txt", "made at noon")
    mixed = read_columns(tmp_path / "mixed.npz")
    assert mixed.select("inputs", ["u"])[0][1].tolist() == U
    with pytest.raises(InputError, match=r"notes\.txt' is a file in the archive and no array; unpack it, or name"):
        mixed.read([1])


def test_letters_that_look_the_same_are(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, "t,\u03bcV\n1,0.5\n2,-1\n3,2e-3\n"))
    assert columns.select("inputs", ["\u00b5V"])[0][1].tolist() == U


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    columns = read_columns(write(tmp_path, "1,2\n3,4\n"))
    assert columns.find("inputs", [*np.array([2, 1])]) == [1, 0]
    for wanted in ("", "-1", "1.0", 1.5, True):
        with pytest.raises(InputError, match="no such column"):
            columns.find("inputs", [wanted])  # type: ignore[list-item]


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    path = tmp_path / "signals.parquet"
    content = {"u": U, "n": [1, 2, 3], "when": ["a", "b", "c"], "gap": [1.0, None, 2.0], "on": [True, False, True]}
    parquet.write_table(pyarrow.table({**content, "nan": [1, 2, float("nan")]}), path)
    columns = read_columns(path)
    found = columns.select("inputs", ["u", "n", "on"])
    np.testing.assert_array_equal([values for _, values in found], [U, [1, 2, 3], [1, 0, 1]])
    for name, line in {
        "when": "inputs = 'when': is of type string; name a column of numbers",
        "gap": "row 2 of 'gap' is missing; give a number, or leave the row out",
        "nan": "row 3 of 'nan' is nan; give a number, or leave the row out",
    }.items():
        with pytest.raises(InputError) as refusal:
            columns.select("inputs", [name])
        assert str(refusal.value) == line
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"^is not a Parquet file that can be read: .*; write it again$"):
        read_columns(path)


def test_parquet_with_names_that_are_repeated(tmp_path: Path) -> None:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    path = tmp_path / "signals.parquet"
    parquet.write_table(pyarrow.table([U, Y, [7.0, 8.0, 9.0]], names=["z", "y", "z"]), path)
    columns = read_columns(path)
    found = columns.select("inputs", ["y", 3, 1])
    assert [name for name, _ in found] == ["y", "z (column 3)", "z (column 1)"]
    np.testing.assert_array_equal([values for _, values in found], [Y, [7, 8, 9], U])
    with pytest.raises(InputError, match=r"^inputs = 'z': columns 1 and 3 have this name; give one by its number$"):
        columns.select("inputs", ["z"])


def test_parquet_between_columns_of_several(tmp_path: Path) -> None:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    nested = pyarrow.array([{"u": 1.0, "b": [1.0]}] * 3)
    maps = pyarrow.array([[("a", 1.0)]] * 3, pyarrow.map_(pyarrow.string(), pyarrow.float64()))
    table = pyarrow.table([nested, U, maps, Y], names=["s", "u", "m", "s.u"])
    parquet.write_table(table, tmp_path / "signals.parquet")
    found = read_columns(tmp_path / "signals.parquet").select("inputs", ["u", "s.u"])
    np.testing.assert_array_equal([values for _, values in found], [U, Y])


def test_parquet_of_more_than_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    path = tmp_path / "signals.parquet"
    parquet.write_table(pyarrow.table({"u": np.zeros(100), "t": ["text"] * 100}), path)
    monkeypatch.setattr("kanrtl.signals.parquet_columns.MOST_BYTES", 800)
    assert len(read_columns(path).select("inputs", ["u"])[0][1]) == 100
    monkeypatch.setattr("kanrtl.signals.parquet_columns.MOST_BYTES", 799)
    with pytest.raises(InputError, match=r"^holds 0 MB, and 0 MB can be read; save less in one file$"):
        read_columns(path)


def test_parquet_with_names_that_are_no_text(tmp_path: Path) -> None:
    pyarrow, parquet = foreign("pyarrow"), foreign("pyarrow.parquet")
    path = tmp_path / "signals.parquet"
    parquet.write_table(pyarrow.table({"letters": U}), path, store_schema=False)
    path.write_bytes(path.read_bytes().replace(b"letters", b"let\xffers"))
    with pytest.raises(InputError, match=r"^is not a Parquet file that can be read: 'utf-8' codec can't decode"):
        read_columns(path)


def test_parquet_needs_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "signals.parquet").write_bytes(b"PAR1")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"pyarrow is not installed; run `pip install 'kanrtl\[parquet\]'`$"):
        read_columns(tmp_path / "signals.parquet")


def test_an_empty_array_has_no_columns_however_many_it_says(tmp_path: Path) -> None:
    np.savez(tmp_path / "signals.npz", x=np.arange(3.0), none=np.zeros((0, 1 << 31)))
    columns = read_columns(tmp_path / "signals.npz")
    assert [column.name for column in columns.columns] == ["x", "none"]
    with pytest.raises(
        InputError, match=r"^inputs = 'none': has shape \(0, 2147483648\), which is empty; name one that"
    ):
        columns.select("inputs", ["none"])
