"""Columns of text: CSV with any of the usual separators, with a line of names above them or without one."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

import numpy as np

from ..arrays import EXACT, Reals
from ..errors import InputError
from .column import Column, Columns, explain_rounding

_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)*|[.,]\d+)([eE][-+]?\d+)?|[-+]?(nan|inf|infinity)", re.IGNORECASE)
"""What is meant as a number, with a comma or a point in it; whether it is one is another question."""

_INTEGER = re.compile(r"[-+]?\d+([.,]0*)?")

_RARE_SEPARATORS = "|~^!&"
"""Found by their line alone: sep=|."""

_SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas"}

_TOLD = re.compile(r"sep=([^\w\s\".]|\t)", re.IGNORECASE)
"""The line in which a spreadsheet says by what columns are separated."""

_LOOKED_AT = 10
"""As many rows are looked at to tell names from numbers."""

_QUOTED = re.compile(r'"[^"]*"')

_OPENED = re.compile(r'(^|[;\t,])\s*"[^"]*("{2}[^"]*)*$')
"""A line that ends within the quotes of a cell."""

_DIGIT = re.compile(r"\d")

_MISSING = {"", "na", "n/a", "null", "none", "-", "?"}
"""What stands for a number that is missing, in small letters: no name of a column."""

Row = tuple[int, list[str]]
"""The number of its first line, counted from 1, and its cells."""


def read_csv(text: str, decimal: str = ".") -> Columns:
    """The columns of a text; ``decimal`` is the mark between whole digits and fraction, a point or a comma.

    Columns are separated by semicolons, tabs, commas or blanks; by commas also where these are decimal marks, if such
    numbers are in quotes; a first line such as ``sep=;``, which spreadsheets write, says by what. The next line has
    their names where it is all text and numbers stand below. Lines above the table that begin with ``#`` are comments,
    of which the last may have the names.

    Raises :exc:`InputError` where rows have different numbers of cells, or there are none, or the first may be one of
    names or of numbers, or is a title.
    """
    lines = text.split("\n")
    told = _TOLD.fullmatch(lines[0].strip(" \r"))
    comments = int(told is not None)
    while comments < len(lines) and (not lines[comments].strip() or lines[comments].lstrip().startswith("#")):
        comments += 1
    end = len(lines)
    while end > comments and not lines[end - 1].strip():
        end -= 1
    table = lines[comments:end]
    if not table:
        raise InputError("has no rows; give a table of numbers")
    separator = told[1] if told else _find_separator(_first_lines(table), comments, decimal)
    rows = list(_split(table, separator, comments))
    names = _find_names(rows)
    if names:
        above = rows.pop(0)
        if not rows:
            _check_quotes(*above)
            raise InputError("has names and no rows below them; give a table of numbers")
    elif comments and (comment := lines[comments - 1].strip()).startswith("#"):
        words = _cells(comment[1:], separator)
        names = words if len(words) == len(rows[0][1]) else []
    elif not any(_NUMBER.fullmatch(cell) for _, cells in rows[:_LOOKED_AT] for cell in cells):
        where = f"line {rows[0][0]}: {_show(lines[rows[0][0] - 1].strip())}"
        raise InputError(
            f"{where} has no numbers, nor have the lines below it; give a table of numbers, with semicolons, tabs, "
            "commas or blanks between its columns"
        )
    width = len(names) if names else len(rows[0][1])
    first = rows[0][0] - 1 if names else rows[0][0]
    for line, cells in rows:
        if len(cells) != width:
            _check_quotes(line, cells)
            missing = "line " + (f"{line} is empty" if cells in ([], [""]) else f"{line} has {_count(len(cells))}")
            raise InputError(f"{missing}, line {first} has {width}; give each row as many")
    return Columns(
        tuple(
            Column(names[index] if names else "", _reader(rows, index, names[index] if names else "", decimal))
            for index in range(width)
        )
    )


def _check_quotes(line: int, cells: Sequence[str]) -> None:
    """Raise :exc:`InputError` where a row with other cells than there should be goes over lines."""
    if any("\n" in cell for cell in cells):
        raise InputError(f"line {line}: a quote is opened and not closed in it; close it")


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"


def _first_lines(table: Sequence[str]) -> list[str]:
    """The lines that are looked at; those over which a name in quotes goes are one."""
    first, below = table[0], list(table[1:_LOOKED_AT])
    while _OPENED.search(first) and any('"' in line for line in below):
        first += f"\n{below.pop(0)}"
    return [first, *below]


def _find_separator(looked_at: Sequence[str], before: int, decimal: str) -> str:
    """The separator of the columns; a blank where they are separated by any number of those, empty where there is one
    column. ``before``: how many lines stand above."""
    first = looked_at[0].strip()
    outside = [_QUOTED.sub("", line) for line in looked_at]
    told = [
        separator
        for separator in _SEPARATORS
        if separator in outside[0] and (separator != decimal or any(map(_QUOTED.search, looked_at)))
    ]
    if told:
        # Names may have another in them.
        return next((one for one in told if all(one in line for line in outside)), told[0])
    for separator in (mark for mark in _SEPARATORS if mark not in outside[0]):
        # What has commas in it may be numbers without a separator.
        below_it = [word for line in outside[1:] for word in line.split()]
        if all(separator in line for line in outside[1:]) and not all(map(_NUMBER.fullmatch, below_it)):
            raise InputError(
                f"line {before + 1}: {_show(first)} has no {_SEPARATORS[separator]}, by which the lines "
                "below it are separated; begin a title with #, or leave it out"
            )
    several = max(first.count(mark) for mark in ".,") > 1  # which is no number either
    if decimal in _SEPARATORS and decimal in first and (several or not _NUMBER.fullmatch(first.strip('"'))):
        raise InputError("separates columns by commas, which are decimal marks here; leave decimal (--decimal) out")
    words = [line.split() for line in looked_at]
    counts = {len(line) for line in words}
    if len(counts) > 1 and 1 not in (below := {len(line) for line in words[1:]}):
        numbers = [all(map(_NUMBER.fullmatch, line)) for line in words]
        if all(numbers):
            return " "
        if all(numbers[1:]) and len(below) == 1:
            own = "1 word" if len(words[0]) == 1 else f"{len(words[0])} words"
            raise InputError(
                f"line {before + 1}: {_show(first)} has {own}, and the lines below it have {below.pop()} numbers; give "
                "each column a name of one word, or begin that line with #"
            )
    for mark in _RARE_SEPARATORS:
        if all(mark in line for line in outside):
            raise InputError(
                f"line {before + 1}: {_show(first)} is one column; separate columns by semicolons, tabs, "
                f"commas or blanks, or write sep={mark} above them"
            )
    return " " if len(counts) == 1 and counts != {1} else ""


def _split(table: Sequence[str], separator: str, before: int) -> Iterator[Row]:
    if separator in ("", " "):
        for number, line in enumerate(table, before + 1):
            yield number, _cells(line, separator)
        return
    reader = csv.reader((f"{line}\n" for line in table), delimiter=separator, skipinitialspace=True)
    first = before + 1  # of the lines of a row
    try:
        for cells in reader:
            yield first, [cell.strip() for cell in cells]
            first = before + reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"line {first}: {error}; give a table of numbers") from None


def _cells(line: str, separator: str) -> list[str]:
    if separator in ("", " "):
        words = line.split() if separator else [line]
        return [word.strip().strip('"').strip() for word in words]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _find_names(rows: Sequence[Row]) -> list[str]:
    """The names in the first row where it has names and no numbers; else nothing."""
    first, below = rows[0][1], [cells for _, cells in rows[1:_LOOKED_AT]]
    if len(first) > 1 and first == ["", *map(str, range(len(first) - 1))]:
        return first  # numbers of columns above an index without a name, as tables are often written
    if not any(first):
        return []
    if not any(map(_NUMBER.fullmatch, first)):
        return first if not below or any(_NUMBER.fullmatch(cell) for cells in below for cell in cells) else []
    for index, cell in enumerate(first):
        # Names such as years or frequencies, or a row with a cell that is damaged.
        if cell.lower() in _MISSING or _NUMBER.fullmatch(cell):
            continue
        texts = [cells[index] for cells in below if index < len(cells)]
        if not below or len(texts) < len(below):
            continue
        numbers = all(map(_NUMBER.fullmatch, texts))
        # Dates have digits, and what they are called has none.
        if numbers or (not _DIGIT.search(cell) and all(map(_DIGIT.search, texts))):
            what = "numbers" if numbers else _show(texts[0])
            raise InputError(
                f"line {rows[0][0]}: has {cell!r} above {what}, and numbers beside it; give all columns names that "
                "are no numbers, or mend that cell"
            )
    return []


def _reader(rows: Sequence[Row], index: int, name: str, decimal: str) -> Callable[[int | None], Reals]:
    def read(count: int | None) -> Reals:
        taken = rows[:count]
        try:
            values = np.array([_parse(cells[index], decimal) for _, cells in taken])
        except ValueError:
            values = np.full(len(taken), math.nan)  # one of them is no number
        where = f"column {index + 1}" + (f" {name!r}" if name else "")
        for row in np.flatnonzero(~(np.abs(values) < EXACT)).tolist():
            line, cells = taken[row]
            if reason := _explain(cells[index], decimal):
                raise InputError(f"line {line}, {where}: {reason}")
        return values

    return read


def _parse(cell: str, decimal: str) -> float:
    if "_" in cell or (decimal == "," and "." in cell):
        raise ValueError
    return float(cell.replace(",", ".") if decimal == "," else cell)


def _show(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else f"{cell[:37]}...")


def _explain(cell: str, decimal: str) -> str | None:
    """Why a cell is no finite number, or an integer that float64 rounds, with the mend; None where it is neither."""
    if not cell:
        return "is missing; give a number, or leave the row out"
    shown = _show(cell)
    try:
        value = _parse(cell, decimal)
    except ValueError:
        if _NUMBER.fullmatch(cell) and decimal == "." and cell.count(",") == 1 and "." not in cell:
            return f"{shown} has a comma; where that is the decimal mark, say so with decimal = ',' (--decimal)"
        if _NUMBER.fullmatch(cell):
            return f"{shown} is not a number with {'a point' if decimal == '.' else 'a comma'} as its decimal mark"
        return f"{shown} is not a number; mend it, or name another column"
    if not math.isfinite(value):
        return f"{shown} is not finite; give a number, or leave the row out"
    if _INTEGER.fullmatch(cell) and Decimal(cell.replace(",", ".")) != Decimal(value):
        return f"{shown} is an integer, {explain_rounding(value)}"
    return None
