"""Components that a user's own Python makes, named as ``FILE.py:NAME`` or ``package.module:NAME``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from amaranth.hdl import UnusedElaboratable
from amaranth.lib import wiring

from ..errors import InputError

__all__ = ["load_component", "names_object"]


def names_object(text: str) -> bool:
    """Whether a word names something in a Python file or module, and not a file by itself."""
    source, colon, name = text.rpartition(":")
    if not colon or not name.isidentifier() or os.path.exists(text):
        return False
    return source.endswith(".py") or all(part.isidentifier() for part in source.split("."))


def load_component(text: str, field: str) -> wiring.Component:
    """Run the Python that ``text`` names, and give the component of that name, or what it gives when it is called.

    Raises :exc:`InputError`, with the ``field`` that the text was given for.
    """
    source, _, name = text.rpartition(":")
    # There may be others, which nobody elaborates; Amaranth would add lines of its own about them.
    warnings.simplefilter("ignore", UnusedElaboratable)
    try:
        with _search_first(Path(source).parent if source.endswith(".py") else Path()):
            found: Any = _run(source)
            if not hasattr(found, name):
                raise InputError(f"{source} has no {name}; name what is a component there")
            found = getattr(found, name)
            if not isinstance(found, wiring.Component) and callable(found):
                found = found()
    except (Exception, SystemExit) as error:  # whatever the user's own code raises
        why = str(error) if isinstance(error, InputError) else f"running it: {type(error).__name__}: {error}"
        raise InputError(f"{field} = {text!r}: {' '.join(why.split())}") from error
    if not isinstance(found, wiring.Component):
        raise InputError(
            f"{field} = {text!r}: is {type(found).__name__}; must be an amaranth.lib.wiring.Component, or give one "
            "when it is called"
        )
    return found


def _run(source: str) -> ModuleType:
    if not source.endswith(".py"):
        return importlib.import_module(source)
    path = Path(source)
    if not path.is_file():
        raise InputError(f"there is no file {source}")
    name = path.stem
    while name in sys.modules:
        name += "_"
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{source}: {error.strerror}; give a file that can be read") from None
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses, among others, look for the module of a class there.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


@contextmanager
def _search_first(folder: Path) -> Iterator[None]:
    """Find modules beside a file first, as Python itself does where it runs it."""
    entry = str(folder.resolve())
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
