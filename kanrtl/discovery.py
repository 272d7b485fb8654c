"""Packages in which every module is one more of a kind: to add one is to add a file."""

import pkgutil
from collections.abc import Iterable, Sequence


def modules_of(path: Iterable[str], first: Sequence[str] = (), besides: Sequence[str] = ()) -> tuple[str, ...]:
    """The names of the modules in a package's ``path``, without importing them: those that are to be shown ``first`` in
    that order, then the others by name. Modules ``besides`` are of another kind, and left out."""
    found = {module.name for module in pkgutil.iter_modules(path)}
    return tuple(name for name in dict.fromkeys((*first, *sorted(found))) if name in found and name not in besides)
