"""What a file holds as one list of names: wrappings, prefixes and nested modules are then all the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ...errors import InputError
from .inert_pickle import Foreign

_DEEPEST = 32  # of containers in one another; state dicts have three

_MOST_REPEATED = 10_000  # times that containers stand where they do not stand for the first time

_MOST_REPEATED_NUMBERS = 1 << 20  # in lists that stand where they do not stand for the first time

_MOST_VALUES = 1 << 20  # in one file; one of a network has thousands

_LONGEST_NAME = 10_000  # characters, of all containers around a value


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


class ModuleClass(str):
    """The name of the class of a pickled module, among settings that may be texts of the same form."""


def flatten(content: Any) -> list[FileEntry]:
    """Give all values of nested containers and of pickled modules, under each name that they stand at.

    Raises
    ------
    InputError
        If containers are nested so deep, or stand in so many places, as no network's are; or hold as many values.
    """
    entries = list(islice(_Walk().containers(content, "", 0), _MOST_VALUES + 1))
    if len(entries) > _MOST_VALUES:
        raise InputError(f"holds more than {_MOST_VALUES} values; give the state dict alone")
    return entries


class _Walk:
    """A way through containers, which may stand in several places, and in themselves."""

    def __init__(self) -> None:
        self._around: set[int] = set()
        self._seen: set[int] = set()
        self._repeated = 0
        self._lists: dict[int, tuple[Any, bool, int]] = {}  # each itself too, so that none has its identity later
        self._repeated_numbers = 0

    @contextmanager
    def _inside(self, content: Any, path: str, depth: int) -> Iterator[bool]:
        """Enter a container; tell whether it does not stand in itself."""
        if depth > _DEEPEST:
            raise InputError(
                f"{path[:40]}...: more than {_DEEPEST} containers in one another; give the state dict alone"
            )
        if len(path) > _LONGEST_NAME:
            raise InputError(f"{path[:40]}...: a name of more than {_LONGEST_NAME} letters; give the state dict alone")
        own = id(content)
        if own in self._around:
            yield False
            return
        # Such as stand twice in one that stands twice become very many, where a file is made so.
        self._repeated += own in self._seen
        if self._repeated > _MOST_REPEATED:
            raise InputError(f"{path[:40]}...: containers stand in too many places; give the state dict alone")
        self._seen.add(own)
        self._around.add(own)
        yield True
        self._around.remove(own)

    def containers(self, content: Any, path: str, depth: int) -> Iterator[FileEntry]:
        """Give the values of a container."""
        with self._inside(content, path, depth) as is_new:
            if not is_new:
                return
            if isinstance(content, Foreign) and _is_module(content):
                yield FileEntry(path, path.removesuffix("."), ModuleClass(content.name), is_setting=True)
                yield from self._module(content, path, path, depth)
                return
            # The entries of a class that is a dict.
            for key, value in _items(content.entries if isinstance(content, Foreign) and content.entries else content):
                name = f"{path}{_printable(key)}"
                if self._is_container(value):
                    yield from self.containers(value, f"{name}.", depth + 1)
                else:
                    yield FileEntry(path, name, value)

    def _is_container(self, value: Any) -> bool:
        """Tell whether a value holds others. Lists of plain numbers are values: sizes, ranges, betas."""
        if isinstance(value, Foreign):
            return bool(value.entries) or isinstance(value.state, Mapping)
        if not isinstance(value, (list, tuple)):
            return isinstance(value, Mapping)
        return self._look_into(value, _DEEPEST)[0]

    def _look_into(self, values: Sequence[Any], levels: int) -> tuple[bool, int]:
        """Tell whether a list holds more than numbers, and how many these are in all its lists; each is seen once."""
        if (known := self._lists.get(id(values))) is not None:
            return known[1:]
        self._lists[id(values)] = values, True, 0  # while it is looked into, as one that holds itself is
        holds_more, count = not levels, len(values)
        for one in values if levels else ():
            if isinstance(one, (list, tuple)):
                is_repeated = id(one) in self._lists
                inner, numbers = self._look_into(one, levels - 1)
                holds_more, count = holds_more or inner, count + numbers
                # Lists of one that stands in them twice are twice as long each, to whoever reads their numbers.
                self._repeated_numbers += numbers * is_repeated
                if self._repeated_numbers > _MOST_REPEATED_NUMBERS:
                    raise InputError("lists of numbers stand in too many places; give the state dict alone")
            else:
                holds_more = holds_more or self._is_container(one) or hasattr(one, "shape")
        self._lists[id(values)] = values, holds_more, count
        return holds_more, count

    def _module(self, module: Foreign, group: str, path: str, depth: int) -> Iterator[FileEntry]:
        """Give the weights of a pickled ``torch.nn.Module`` by the names of its state dict, and its settings."""
        state = module.state
        dropped = state.get("_non_persistent_buffers_set")
        dropped = {name for name in dropped if isinstance(name, str)} if isinstance(dropped, list) else set()
        for kind in ("_parameters", "_buffers"):
            for name, value in _items(state.get(kind)):
                if value is not None and name not in dropped:
                    yield FileEntry(group, f"{path}{_printable(name)}", value)
        for name, value in state.items():
            if not str(name).startswith("_") and (value is None or isinstance(value, (bool, int, float, str, Foreign))):
                yield FileEntry(group, f"{path}{_printable(name)}", value, is_setting=True)
        for kind in ("_forward_pre_hooks", "_forward_hooks"):
            if hooks := _list_hooks(kind, state.get(kind)):
                yield FileEntry(group, f"{path}{kind}", hooks, is_setting=True)
        for name, value in state["_modules"].items():
            if isinstance(value, Foreign):
                inner = f"{path}{_printable(name)}"
                yield FileEntry(group, inner, ModuleClass(value.name), is_setting=True)
                if _is_module(value):
                    with self._inside(value, inner, depth + 1) as is_new:
                        if is_new:
                            yield from self._module(value, group, f"{inner}.", depth + 1)


def _printable(name: Any) -> str:
    """Give a name as text that stands in one line of a message, whatever a damaged file calls it."""
    is_long = isinstance(name, int) and abs(name) >> 64  # Python does not write any number of digits
    text = str(name) if isinstance(name, (str, int, float)) and not is_long else type(name).__name__
    return text if text.isprintable() else ascii(text)[1:-1]


def _items(content: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(content, Mapping):
        yield from list(content.items())
    elif isinstance(content, (list, tuple)):
        yield from enumerate(content)
    elif isinstance(content, Foreign) and isinstance(content.state, Mapping):
        yield from list(content.state.items())  # such as argparse.Namespace


def _is_module(thing: Foreign) -> bool:
    return isinstance(thing.state, Mapping) and isinstance(thing.state.get("_modules"), Mapping)


def _list_hooks(kind: str, hooks: Any) -> list[str]:
    """List the names of a module's hooks, without those of torch that make its weights before each call."""
    names = [hook.name if isinstance(hook, Foreign) else type(hook).__name__ for _, hook in _items(hooks)]
    return [name for name in names if kind == "_forward_hooks" or not name.startswith("torch.nn.utils.")]
