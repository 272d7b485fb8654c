"""Which function stands beside the splines of a trained KAN, by what its program calls it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import InputError
from ..notes import Note
from .named_functions import BASES

_NAMES = {name.replace("_", ""): name for name in BASES} | {"swish": "silu"}


def name_base(field: str, name: Any) -> str:
    """Give the name of :data:`BASES` for ``nn.SiLU``, ``torch.nn.modules.activation.SiLU``, ``silu()`` and so on.

    Raises
    ------
    InputError
        If it is another function, with ``field`` as the name of what says so.
    """
    short = str(name).rpartition(".")[2].lower().partition("(")[0].replace("_", "")
    found = _NAMES.get(short)
    if found is None:
        raise InputError(f"{field} = {name!r}: cannot be represented; it must be one of {', '.join(BASES)}")
    return found


def name_function(function: Any) -> str:
    """Give what a function, a class or a module is called."""
    return str(getattr(function, "__name__", type(function).__name__))


def find_base(layers: Iterable[Any]) -> str | None:
    """Give the base function of a model's layers, whose ``base_activation`` is a module, its class or a function.

    None where no layer has one.

    Raises
    ------
    InputError
        If it cannot be represented, or layers have different ones.
    """
    functions = [layer.base_activation for layer in layers if hasattr(layer, "base_activation")]
    names = sorted(set(map(name_function, functions)))
    return name_base("base_activation", names[0] if len(names) == 1 else names) if names else None


def read_base(given: str | None, found: Mapping[str, Any]) -> tuple[str | None, Note | None]:
    """Give the base function that was given, or else the one that settings in a file tell; and a note of the latter.

    Parameters
    ----------
    given
        What the user says, which counts more.
    found
        Settings that name it, by their own names.

    Raises
    ------
    InputError
        If it cannot be represented, or the settings name several.
    """
    if given is not None:
        return name_base("base", given), None
    names = {field: name_base(field, value) for field, value in found.items()}
    if len(set(names.values())) > 1:
        first, other = (
            next(field for field in names if names[field] == one) for one in sorted(set(names.values()))[:2]
        )
        raise InputError(
            f"base: {first} is {names[first]!r}, {other} is {names[other]!r}; say which holds: base (--base-function)"
        )
    for field, name in names.items():
        return name, Note("read", "base", name, f"from {field}")
    return None, None
