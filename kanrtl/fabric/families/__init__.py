"""The families of FPGAs that can be built for: one module each, with the name of the family. To add one is to add a
file here.

A module has a :class:`~kanrtl.fabric.family.Family` called ``FAMILY``, which says everything that is particular to it;
nothing else has to know of it.
"""

from importlib import import_module

from ...discovery import modules_of
from ..family import Family

__all__ = ["FAMILIES", "block_width"]


def _load(name: str) -> Family:
    family = import_module(f"{__name__}.{name}").FAMILY
    assert isinstance(family, Family)
    assert family.name == name
    return family


FAMILIES: dict[str, Family] = {name: _load(name) for name in modules_of(__path__, first=("ecp5", "ice40"))}
"""Every family by its name: those of kanrtl, then those that were added."""


def block_width(family: str, depth: int) -> int | None:
    """The widest word of a memory of ``depth`` words in one block.

    None where it takes more than one, or the family is not known.
    """
    return FAMILIES[family].blocks.widest_word(depth) if family in FAMILIES else None
