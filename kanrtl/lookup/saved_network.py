"""Networks in ``.npz`` files: arrays by name, and among them a description in JSON."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..file_content import parse_json
from ..files import as_path, read_arrays, write_arrays
from .notes import Note

Arrays = Mapping[str, npt.NDArray[Any]]


class SavedNetwork(ABC):
    """A network that can be written to a file and read from it, and is then the same."""

    _kind: ClassVar[str]
    """What messages call a network of this class."""
    _entry: ClassVar[str]
    """The name of the array in a file that holds the description."""
    _format: ClassVar[str]
    """The name of the file's format, with its version."""
    _former_formats: ClassVar[tuple[str, ...]] = ()
    """The formats of former versions that are read too."""

    notes: tuple[Note, ...] = ()
    """What an importer assumed, clipped or left out of the file that the network was made of."""

    def with_notes(self, notes: Iterable[Note]) -> Self:
        """Give the same network with these notes."""
        return cast(Self, replace(cast(Any, self), notes=tuple(notes)))  # each network is a dataclass

    def save(self, path: str | Path) -> None:
        """Write the network to an ``.npz`` file, which is then complete or not there."""
        write_arrays(as_path(path), dict(self.arrays()))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a network that :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file cannot be read, is damaged, or holds something else.
        """
        name = as_path(path)
        try:
            return cls.from_arrays(read_arrays(name, f"a saved {cls._kind}", cls._mend()))
        except InputError as error:
            raise InputError(f"load: {str(path)!r}: {error}") from None

    def arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Give all that the network is, by the names that it is saved under."""
        about = {"format": self._format, **self._about()}
        if self.notes:
            about["notes"] = [note.to_json() for note in self.notes]
        yield self._entry, np.array(json.dumps(about))
        yield from self._content()

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Self:
        """Make the network whose :meth:`arrays` these are.

        Raises
        ------
        InputError
            If they are those of no network, or of another version.
        """
        another = InputError(f"not a saved {cls._kind}; {cls._mend()}")
        try:
            about = parse_json(str(arrays[cls._entry]))
            found = about["format"]
        except (KeyError, TypeError, json.JSONDecodeError):
            raise another from None
        if found not in (cls._format, *cls._former_formats):
            raise InputError(f"is of format {found!r}; this version reads {cls._format!r}")
        try:
            return cls._restore(about, arrays).with_notes(map(Note.from_json, about.get("notes", [])))
        except KeyError as error:
            raise InputError(f"{error.args[0]!r} is missing; {cls._mend()}") from None
        except InputError:
            raise
        except (TypeError, AttributeError, ValueError):  # something is of another kind, such as text for numbers
            raise another from None

    @classmethod
    def _mend(cls) -> str:
        return f"give a file that {cls.__name__}.save wrote"

    @abstractmethod
    def _about(self) -> dict[str, Any]:
        """Describe the network in what :mod:`json` can write."""

    @abstractmethod
    def _content(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Give the arrays beside the description, by name."""

    @classmethod
    @abstractmethod
    def _restore(cls, about: dict[str, Any], arrays: Arrays) -> Self:
        """Make the network of a description and arrays, checked; what is missing is a :exc:`KeyError`."""
