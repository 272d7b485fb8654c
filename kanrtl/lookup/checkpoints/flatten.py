"""What a file holds as one list of names: wrappings, prefixes and nested modules are then all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .inert_pickle import Foreign

_DEEPEST = 12  # of containers in one another; state dicts have three


@dataclass(frozen=True, eq=False)
class FileEntry:
    """One value in a file.

    Attributes
    ----------
    group : str
        The names of the containers around its innermost one's names: ``model_state.`` in a checkpoint that holds a
        state dict of that name, else empty.
    name : str
        Its name with those of all containers, with dots between them.
    value : object
        A tensor, an array, a number, a text, None, or a :class:`.inert_pickle.Foreign`.
    is_setting : bool
        Whether it is an attribute of a pickled module, and no weight.
    """

    group: str
    name: str
    value: Any
    is_setting: bool = False


def flatten(content: Any) -> list[FileEntry]:
    """Give all values of nested containers and of pickled modules; each container once, by its first name."""
    return list(_walk(content, "", set(), 0))


def _walk(content: Any, path: str, seen: set[int], depth: int) -> Iterator[FileEntry]:
    if id(content) in seen or depth > _DEEPEST:
        return
    seen.add(id(content))
    if isinstance(content, Foreign) and _is_module(content):
        yield FileEntry(path, path.removesuffix("."), content.name, is_setting=True)
        yield from _walk_module(content, path, path, seen, depth)
        return
    if isinstance(content, Foreign) and content.entries:
        content = content.entries  # a class that is a dict
    for key, value in _items(content):
        name = f"{path}{_printable(key)}"
        if _is_container(value):
            yield from _walk(value, f"{name}.", seen, depth + 1)
        else:
            yield FileEntry(path, name, value)


def _printable(name: Any) -> str:
    """Give a name as text that stands in one line of a message, whatever a damaged file calls it."""
    text = str(name) if isinstance(name, (str, int, float)) else type(name).__name__
    return text if text.isprintable() else ascii(text)[1:-1]


def _items(content: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(content, Mapping):
        yield from list(content.items())
    elif isinstance(content, (list, tuple)):
        yield from enumerate(content)
    elif isinstance(content, Foreign) and isinstance(content.state, Mapping):
        yield from list(content.state.items())  # such as argparse.Namespace


def _is_container(value: Any) -> bool:
    if isinstance(value, Foreign):
        return bool(value.entries) or isinstance(value.state, Mapping)
    # Lists of plain numbers are values: sizes, ranges, betas.
    return isinstance(value, Mapping) or (
        isinstance(value, (list, tuple)) and any(_is_container(one) or hasattr(one, "shape") for one in value)
    )


def _is_module(thing: Foreign) -> bool:
    return isinstance(thing.state, Mapping) and isinstance(thing.state.get("_modules"), Mapping)


def _walk_module(module: Foreign, group: str, path: str, seen: set[int], depth: int) -> Iterator[FileEntry]:
    """Give the weights of a pickled ``torch.nn.Module`` by the names of its state dict, and its settings."""
    state = module.state
    dropped = state.get("_non_persistent_buffers_set")
    dropped = dropped if isinstance(dropped, list) else []
    for kind in ("_parameters", "_buffers"):
        for name, value in _items(state.get(kind)):
            if value is not None and name not in dropped:
                yield FileEntry(group, f"{path}{_printable(name)}", value)
    for name, value in state.items():
        if not str(name).startswith("_") and (value is None or isinstance(value, (bool, int, float, str, Foreign))):
            yield FileEntry(group, f"{path}{_printable(name)}", value, is_setting=True)
    for name, value in state["_modules"].items():
        if isinstance(value, Foreign):
            name = _printable(name)
            yield FileEntry(group, f"{path}{name}", value.name, is_setting=True)
            # One without modules in it may stand in several places, under each of its names.
            if _is_module(value) and (id(value) not in seen or not value.state["_modules"]) and depth < _DEEPEST:
                seen.add(id(value))
                yield from _walk_module(value, group, f"{path}{name}.", seen, depth + 1)
