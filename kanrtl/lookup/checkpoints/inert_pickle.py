"""Pickles, read without running anything in them.

A pickle is a program for a stack machine, and unpickling one imports and calls what it names. Here the same program is
stepped through with :mod:`pickletools`, and whatever it would import or call is left as an inert :class:`Foreign` that
says what it was to be. Only plain containers and numbers are made.
"""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO


class BadPickleError(Exception):
    """A pickle that is damaged, or holds what no pickle of data has."""


@dataclass(eq=False)
class Foreign:
    """A class, a function or an object that a pickle names, which was neither imported nor called.

    Attributes
    ----------
    name : str
        The module and the name in it, with a dot between them.
    arguments : tuple or None
        What it was to be called with; None where it is named alone.
    state : object
        What was to be restored as its attributes.
    entries : dict
        What was to be set by key.
    items : list
        What was to be appended.
    """

    name: str
    # Its representation has the name alone: the others can hold the same one very many times.
    arguments: tuple[Any, ...] | None = field(default=None, repr=False)
    state: Any = field(default=None, repr=False)
    entries: dict[Any, Any] = field(default_factory=dict, repr=False)
    items: list[Any] = field(default_factory=list, repr=False)


Rebuild = Callable[[str, tuple[Any, ...]], Any]
"""Gives what a call of a name with arguments stands for, or a :class:`Foreign`."""

Persistent = Callable[[Any], Any]
"""Gives what a persistent identifier stands for."""


def read_pickle(file: BinaryIO, rebuild: Rebuild, persistent: Persistent) -> Any:
    """Read one pickle, up to its end and no further.

    Parameters
    ----------
    file
        The file, at the pickle's first byte.
    rebuild
        What to make of a call that the pickle asks for. Containers of :mod:`collections` are made here.
    persistent
        What to make of a persistent identifier.

    Raises
    ------
    BadPickleError
        If it cannot be read to its end.
    """
    machine = _Machine(rebuild, persistent)
    try:
        with warnings.catch_warnings():
            # Of escapes that are none in a text, which are read as they stand.
            warnings.simplefilter("ignore")
            for opcode, argument, position in pickletools.genops(file):
                machine.step(opcode.name, argument, position or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        # What pickletools and the stack raise where bytes are missing or make no sense.
        raise BadPickleError(str(error) or type(error).__name__) from None
    if len(machine.stack) != 1:
        raise BadPickleError("it does not end with one object")
    return machine.stack[0]


_MARK = object()

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,  # an element may be unhashable here, as it is not made; sets hold nothing of a network
}

_SILENT = {"PROTO", "FRAME", "STOP"}

_MOST_GIVEN = 1 << 20
"""What calls are given at most, in a pickle of no bytes: entries and letters, as often as they are given."""

_LITERALS = {
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
}

_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self, rebuild: Rebuild, persistent: Persistent) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._rebuild = rebuild
        self._persistent = persistent
        self._position = 0
        self._given = 0

    def step(self, name: str, argument: Any, position: int) -> None:
        """Take one instruction, which stands at a position of the file."""
        self._position = position
        if name in _SILENT:
            return
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            self.stack[-count:] = [tuple(self.stack[-count:])]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self._memo[int(argument)])
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self._memo[int(argument)] = self.stack[-1]
        elif (method := getattr(self, f"_{name.lower()}", None)) is not None:
            method(argument)
        else:
            raise BadPickleError(f"it holds the instruction {name}")

    def _since_mark(self) -> list[Any]:
        start = len(self.stack) - 1
        while self.stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise BadPickleError("a mark is missing")
        items = self.stack[start + 1 :]
        del self.stack[start:]
        return items

    def _mark(self, _argument: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _argument: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _argument: Any) -> None:
        self._since_mark()

    def _dup(self, _argument: Any) -> None:
        self.stack.append(self.stack[-1])

    def _memoize(self, _argument: Any) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def _list(self, _argument: Any) -> None:
        self.stack.append(self._since_mark())

    def _tuple(self, _argument: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    _frozenset = _list

    def _dict(self, _argument: Any) -> None:
        items = self._since_mark()
        self.stack.append(dict(_pairs(items[::2], items[1::2])))

    def _append(self, _argument: Any) -> None:
        item = self.stack.pop()
        _list_of(self.stack[-1]).append(item)

    def _appends(self, _argument: Any) -> None:
        items = self._since_mark()
        _list_of(self.stack[-1]).extend(items)

    _additems = _appends

    def _setitem(self, _argument: Any) -> None:
        key, value = self.stack.pop(-2), self.stack.pop()
        _entries_of(self.stack[-1]).update(_pairs([key], [value]))

    def _setitems(self, _argument: Any) -> None:
        items = self._since_mark()
        _entries_of(self.stack[-1]).update(_pairs(items[::2], items[1::2]))

    # What would import or call.

    def _global(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self.stack.append(Foreign(f"{module}.{name}"))

    def _stack_global(self, _argument: Any) -> None:
        module, name = self.stack.pop(-2), self.stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise BadPickleError("it names by what is no text")
        self.stack.append(Foreign(f"{module}.{name}"))

    def _call(self, called: Any, arguments: Any) -> None:
        if not isinstance(called, Foreign) or called.arguments is not None or not isinstance(arguments, tuple):
            raise BadPickleError("it calls what is no function")
        # Of what is called containers and bytes are copied, and a few letters can give the same ones again and again.
        self._given += sum(len(one) for one in arguments if isinstance(one, (str, bytes, list, tuple, dict)))
        if self._given > _MOST_GIVEN + self._position:
            raise BadPickleError("it gives calls more than it holds")
        self.stack.append(_container(called.name, arguments, self._rebuild))

    def _reduce(self, _argument: Any) -> None:
        arguments = self.stack.pop()
        self._call(self.stack.pop(), arguments)

    _newobj = _reduce

    def _newobj_ex(self, _argument: Any) -> None:
        self.stack.pop()  # arguments by keyword, which nothing that is rebuilt has
        self._reduce(None)

    def _obj(self, _argument: Any) -> None:
        called, *arguments = self._since_mark()
        self._call(called, tuple(arguments))

    def _inst(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._call(Foreign(f"{module}.{name}"), tuple(self._since_mark()))

    def _build(self, _argument: Any) -> None:
        state = self.stack.pop()
        if isinstance(self.stack[-1], Foreign):
            self.stack[-1].state = state
        # Else a container with attributes, such as the versions of the modules in an OrderedDict.

    def _persid(self, argument: Any) -> None:
        self.stack.append(self._persistent(argument))

    def _binpersid(self, _argument: Any) -> None:
        self.stack.append(self._persistent(self.stack.pop()))


def _list_of(target: Any) -> list[Any]:
    found = target.items if isinstance(target, Foreign) else target
    if not isinstance(found, list):
        raise BadPickleError("it appends to what is no list")
    return found


def _entries_of(target: Any) -> dict[Any, Any]:
    found = target.entries if isinstance(target, Foreign) else target
    if not isinstance(found, dict):
        raise BadPickleError("it sets an entry of what has none")
    return found


def _pairs(keys: Iterable[Any], values: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Keys with their values. A tuple that holds others is no key: its hash takes as long as all that is in it, which
    can be the same one many times."""
    for key, value in zip(keys, values, strict=True):
        if isinstance(key, tuple) and any(isinstance(one, tuple) for one in key):
            raise BadPickleError("it has tuples of tuples as keys")
        yield key, value


def _mapping(content: Any) -> dict[Any, Any]:
    if isinstance(content, dict):
        return dict(content)
    pairs = list(content)
    return dict(_pairs([pair[0] for pair in pairs], [pair[1] for pair in pairs]))


def _container(name: str, arguments: tuple[Any, ...], rebuild: Rebuild) -> Any:
    if name == "collections.OrderedDict":
        return _mapping(arguments[0]) if arguments else {}
    if name == "collections.defaultdict":
        return _mapping(arguments[1]) if len(arguments) > 1 else {}
    if name in ("copyreg._reconstructor", "copy_reg._reconstructor") and isinstance(arguments[0], Foreign):
        return Foreign(arguments[0].name, ())
    if name == "_codecs.encode" and isinstance(arguments[0], str):
        return arguments[0].encode("latin-1")  # how protocol 2 holds bytes
    if name in ("builtins.bytes", "__builtin__.bytes") and not arguments:
        return b""
    if name in ("builtins.set", "__builtin__.set", "builtins.frozenset", "__builtin__.frozenset"):
        return list(arguments[0]) if arguments else []
    return rebuild(name, arguments)
