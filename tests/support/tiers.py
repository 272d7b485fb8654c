"""What of the tests is left to ``make thorough``: what takes long and is one of many of its kind.

``make test`` tries each kind once. What only ``make thorough`` tries has the mark ``thorough``: by hand where a test or
a set of parameters takes long, and by itself where parameters are stacked. pytest without options tries everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pytest


def thorough(*values: Any, id: str | None = None) -> Any:
    """A set of parameters that only ``make thorough`` tries."""
    return pytest.param(*values, marks=pytest.mark.thorough, id=id)


def only(tried: Callable[[Any], bool], values: Iterable[Any]) -> list[Any]:
    """Values of one parameter, of which ``make test`` tries those for which ``tried`` is true."""
    return [value if tried(value) else thorough(value) for value in values]


def mark_off_diagonal(items: Iterable[pytest.Item]) -> None:
    """Mark all combinations of stacked parameters but those on their diagonal."""
    functions = defaultdict(list)
    for item in items:
        chosen = list(_chosen(item))
        if len(chosen) > 1:
            functions[item.nodeid.split("[")[0]].append((item, chosen))
    for stacked in functions.values():
        values: list[dict[tuple[int, ...], int]] = [{} for _ in stacked[0][1]]
        places = [
            tuple(known.setdefault(value, len(known)) for known, value in zip(values, chosen, strict=True))
            for _, chosen in stacked
        ]
        tried = diagonal([len(known) for known in values])
        for (item, _), place in zip(stacked, places, strict=True):
            if place not in tried:
                item.add_marker(pytest.mark.thorough)


def diagonal(counts: Sequence[int]) -> set[tuple[int, ...]]:
    """Combinations of parameters with so many values, in which each value of each comes up: the n-th has the n-th of
    each, which begins again where it has fewer."""
    return {tuple(step % count for count in counts) for step in range(max(counts))}


def _chosen(item: pytest.Item) -> Iterator[tuple[int, ...]]:
    """For each ``parametrize`` of a test, which of its values this item has: the objects themselves tell."""
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else names
        yield tuple(id(item.callspec.params[name]) for name in listed)  # type: ignore[attr-defined]
