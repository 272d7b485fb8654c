"""Which network a file holds, however it is wrapped, and what stands beside it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..notes import Note
from .flatten import FileEntry, flatten
from .inert_pickle import Foreign
from .numpy_objects import make_array
from .safetensors_file import SortedTensors
from .tensors import Tensor

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Layout:
    """By which names a program's state dict is known, which are its own, and what stands before them elsewhere."""

    family: str
    sign: str
    own: re.Pattern[str]
    before: str = ""


_MOST_NUMBERS = 1 << 28
"""As many numbers a network has in all; 2 GB as they are computed with."""

_NUMBERED = re.compile(r"\d+\.")

_OTHER_BASES = {"fast-kan": r"rbf\.grid", "cheby-kan": "cheby_coeffs", "fourier-kan": "fourier_?coeffs"}

_LAYOUTS = [
    _Layout(
        "pykan",
        r"act_fun\.0\.coef",
        re.compile(r"(act_fun|symbolic_fun|biases)\.|(?:sub)?node_(?:bias|scale)_\d"),
    ),
    # KANELÉ's has more than efficient-kan's.
    _Layout("efficient-kan", r"layers\.0\.grid", re.compile(r"(layers|input_layer)\.")),
    # Its layers in a Sequential of their own.
    _Layout("efficient-kan", r"0\.spline_weight", _NUMBERED, before="layers."),
    *(
        layout
        for family, end in _OTHER_BASES.items()
        for layout in (
            _Layout(family, rf"layers\.0\.{end}", re.compile(r"layers\.")),
            _Layout(family, rf"0\.{end}", _NUMBERED, before="layers."),
            # Attributes of a model: chebykan1, chebykan2.
            _Layout(family, rf"[^.]*[A-Za-z_][01]\.{end}", re.compile(r"[^.]*[A-Za-z_]\d+\.")),
        )
    ),
]

# What trains or scales beside a network, and is no part of it: whole words of a name. Statistics are the last ones, as
# weights of a layer that is called so are none, nor are those of a batch normalisation.
_BESIDE = re.compile(
    r"(?<![^._])(?:(?:standard|minmax|maxabs|robust)?scalers?|normali[sz]\w*?|standardi[sz]\w*?|criterion|loss|losses|"
    r"metrics?|optim|optimi[sz]ers?|ema|n_averaged|seeds?)(?![^._\d])"
    r"|(?<![^._])(?<!running_)(?:scales?|means?|stds?|vars?|variances?|mins?|maxs?|offsets?)(?![^._\d])[^.]*(?:\.\d+)*$"
)

_SCALING = re.compile(r"scaler|(?:^|[._])(mean|std|scale|min|max|var)$|normali[sz]|standardi[sz]")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network's arrays, by the names of the program that trained it.

    Attributes
    ----------
    family : str or None
        The program that trained it, such as ``pykan`` or ``efficient-kan``; None where none is known by the names.
    arrays : mapping
        The arrays, without wrappings and prefixes; reals in float64, however they were saved.
    settings : mapping
        All other values of the file by their whole names: numbers, texts, lists, and what of a pickle is inert.
    notes : tuple of Note
        What of the file is no part of the network.
    path : Path or None
        The file, if it is one.
    prefix : str
        What stands before the names of the arrays in whole names.
    is_sorted : bool
        Whether the file has sorted the arrays, so that their order is not that of the network.
    """

    family: str | None
    arrays: Mapping[str, Array]
    settings: Mapping[str, Any]
    notes: tuple[Note, ...] = ()
    path: Path | None = None
    prefix: str = ""
    is_sorted: bool = False

    def find_settings(self, names: Sequence[str]) -> dict[str, Any]:
        """Give all settings whose names end in one of these, by their whole names; classes by the names of them."""
        return {
            whole: value.name if isinstance(value, Foreign) else value
            for whole, value in self.settings.items()
            if whole.rpartition(".")[2] in names and value is not None
        }


def find_network(content: Any, entry: str | None = None, path: Path | None = None) -> Checkpoint:
    """Find the network in what a file holds.

    Parameters
    ----------
    content
        Nested containers of arrays, tensors and other values.
    entry
        Where it stands, by the names of what is around it with dots between them, where there are several.
    path
        The file, if it is one.

    Raises
    ------
    InputError
        If it holds several, or arrays beside the network that may be part of it.
    """
    leaves = flatten(content)
    found = _candidates(leaves, entry)
    if not found:
        return replace(_find_unknown(leaves, entry, path), is_sorted=isinstance(content, SortedTensors))
    layout, prefix, group = found[0]
    inside, outside = _split(leaves, layout, prefix)
    arrays = {name: _widen(array) for name, array in _read_weights(inside).items()}
    for other_layout, other, _ in found[1:]:
        twin, outside = _split(outside, other_layout, other)
        if set(twin) != set(arrays) or any(not _equal(arrays[name], leaf.value) for name, leaf in twin.items()):
            raise _several_stand_at([one for _, one, _ in found])
    if entry is None:
        _check_beside([leaf for leaf in outside if leaf.group == group], prefix)
    settings = {leaf.name: leaf.value for leaf in leaves if leaf.is_setting or not is_array(leaf.value)}
    settings |= {leaf.name: _plain(leaf.value) for leaf in outside if is_array(leaf.value) and not _axes(leaf.value)}
    return Checkpoint(layout.family, arrays, settings, tuple(_notes(outside, group)), path, prefix)


def _candidates(leaves: Sequence[FileEntry], entry: str | None) -> list[tuple[_Layout, str, str]]:
    """Give layout, prefix and group of all networks, those with the shortest names first."""
    found: list[tuple[_Layout, str, str]] = []
    for leaf in leaves:
        for layout in _LAYOUTS:
            match = re.fullmatch(rf"((?:.*\.)?){layout.sign}", leaf.name, re.DOTALL)
            # That of a Sequential may end a whole name of efficient-kan's too.
            if not match or (layout.before and match[1].endswith(layout.before)) or not _is_weight(leaf.value):
                continue
            if entry is None or match[1].startswith(f"{entry}."):
                one = layout, match[1], leaf.group if match[1].startswith(leaf.group) else match[1]
                if one not in found:  # of layers that are counted from zero, two may be the first
                    found.append(one)
    return sorted(found, key=lambda one: len(one[1]))


def _split(leaves: Sequence[FileEntry], layout: _Layout, prefix: str) -> tuple[dict[str, FileEntry], list[FileEntry]]:
    """Give the arrays of the network under a prefix, by the names of its program, and all else but settings."""
    inside, outside = {}, []
    for leaf in leaves:
        own = leaf.name[len(prefix) :] if leaf.name.startswith(prefix) else ""
        if leaf.is_setting:
            continue
        if layout.own.match(own) and _is_weight(leaf.value):
            inside[layout.before + own] = leaf
        else:
            outside.append(leaf)
    return inside, outside


def _read_weights(leaves: Mapping[str, FileEntry]) -> dict[str, Array]:
    """Give the arrays of a network by name; refuse more numbers than any chip holds. Tensors may show the same numbers
    of a file very often, and are written out here."""
    arrays, count = {}, 0
    for name, leaf in leaves.items():
        arrays[name] = to_array(leaf.name, leaf.value)
        count += arrays[name].size
        if count > _MOST_NUMBERS:
            raise InputError(f"{leaf.name}: with it more than {_MOST_NUMBERS} numbers; save each of them once")
    return arrays


def _widen(array: Array) -> Array:
    """Give reals as float64: products and differences of float16 would be rounded to it."""
    # What is no number is refused where it is taken; a signalling one would warn here.
    with np.errstate(invalid="ignore"):
        return array.astype(np.float64) if array.dtype.kind == "f" else array


def _equal(array: Array, value: Any) -> bool:
    other = to_array("", value)
    # Networks that diverged are twins too; text has no such numbers.
    return np.array_equal(array, other, equal_nan=array.dtype.kind == other.dtype.kind == "f")


def _check_beside(leaves: Sequence[FileEntry], prefix: str) -> None:
    """Refuse arrays in the network's own state dict that may change what it computes."""
    for leaf in leaves:
        is_part = _axes(leaf.value) if is_array(leaf.value) else _is_weight(leaf.value)
        if is_part and not _BESIDE.search(leaf.name.lower()):
            mend = f"name the KAN alone, entry = {prefix[:-1]!r} (--entry), or" if prefix else "give the KAN alone, or"
            raise InputError(f"{leaf.name}: cannot be represented beside the KAN; {mend} leave it out of the file")


def _notes(dropped: Sequence[FileEntry], group: str) -> list[Note]:
    """Say what is dropped: what stands in the network's own container by name, other containers as a whole."""
    own = group.split(".")[:-1]
    fields: dict[str, list[FileEntry]] = {}
    for leaf in dropped:
        parts = leaf.name.split(".")
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(parts, own, strict=False)))
        field = leaf.name if leaf.group == group else ".".join(parts[: shared + 1])
        fields.setdefault(field, []).append(leaf)
    notes = []
    for field, members in fields.items():
        alone = len(members) == 1 and members[0].name == field
        value = _said(members[0].value) if alone else f"{len(members)} entries"
        reason = "inputs must be scaled before the network" if _SCALING.search(field.lower()) else ""
        notes.append(Note("dropped", field, value, reason))
    return notes


def _said(value: Any) -> Any:
    """Say what a value is, in what JSON can hold: numbers and short texts as they are, arrays by their shapes."""
    if is_array(value):
        if _axes(value):
            return f"array {_axes(value)}"
        value = _plain(value)
    if isinstance(value, Foreign):
        return value.name
    if value is None or isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    text = str(value)
    return text if len(text) < 40 else f"{text[:36]}..."


def _find_unknown(leaves: Sequence[FileEntry], entry: str | None, path: Path | None) -> Checkpoint:
    """Give the arrays of a file that no program is known by, such as a dense network: those of the container that has
    matrices of weights; where none has, of the one that has most arrays."""
    groups: dict[str, dict[str, FileEntry]] = {}
    for leaf in leaves:
        if _is_weight(leaf.value) and not leaf.is_setting:
            groups.setdefault(leaf.group, {})[leaf.name[len(leaf.group) :]] = leaf
    found = [
        group
        for group, members in groups.items()
        if any(name.rpartition(".")[2] == "weight" and len(_axes(leaf.value)) == 2 for name, leaf in members.items())
        and (entry is None or group.startswith(f"{entry}."))
    ]
    if entry is not None and not found:
        raise _nothing_stands_at(entry)
    group = min(found, key=len) if found else max(groups, key=lambda one: (len(groups[one]), -len(one)), default="")
    inside = groups.get(group, {})
    arrays = _read_weights(inside)
    outside = [leaf for leaf in leaves if not leaf.is_setting and leaf not in inside.values()]
    for other in found:
        twin = groups[other]
        if other == group:
            continue
        if set(twin) != set(arrays) or any(not _equal(arrays[name], leaf.value) for name, leaf in twin.items()):
            raise _several_stand_at(found)
        outside = [leaf for leaf in outside if leaf not in twin.values()]
    settings = {leaf.name: leaf.value for leaf in leaves if not is_array(leaf.value)}
    return Checkpoint(None, arrays, settings, tuple(_notes(outside, group)) if found else (), path, group)


def _nothing_stands_at(entry: str) -> InputError:
    return InputError(f"entry = {entry!r}: no network stands there; leave it out, or name what is around one")


def _several_stand_at(prefixes: Sequence[str]) -> InputError:
    names = ", ".join(repr(one.rstrip(".")) for one in prefixes)
    return InputError(f"holds {len(prefixes)} networks, in {names}; say which is meant: entry (--entry)")


# Values.


def is_array(value: Any) -> bool:
    """Tell whether a value is an array or a tensor, also in a pickle; a number of numpy is one without axes."""
    if isinstance(value, Foreign):
        return make_array(value) is not None
    return isinstance(value, (Tensor, np.ndarray, np.generic)) or hasattr(value, "detach")


def _is_weight(value: Any) -> bool:
    """Tell whether a value is an array, or a tensor that cannot be read and must be refused by its name."""
    return is_array(value) or (isinstance(value, Foreign) and value.name.startswith("torch._utils._rebuild_"))


def _axes(value: Any) -> tuple[int, ...]:
    if isinstance(value, Foreign):
        array = make_array(value)
        return () if array is None else array.shape
    return tuple(int(size) for size in value.shape)


def _plain(value: Any) -> Any:
    return to_array("", value).item()


def to_array(name: str, value: Any) -> Array:
    """Give the numbers or the text of an array, of a tensor of torch, or of one in a file.

    Raises
    ------
    InputError
        If it holds something else, by its name.
    """
    try:
        if isinstance(value, Tensor):
            return value.to_array()
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            # numpy has no bfloat16, and float32 holds each of its numbers.
            value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    except (TypeError, ValueError, OverflowError, RuntimeError, NotImplementedError) as error:
        reason = (str(error).splitlines() or ["no numbers"])[0]
        raise InputError(f"{name}: cannot be read ({reason}); give dense tensors of numbers") from None
    made = make_array(value) if isinstance(value, Foreign) else None
    if made is None and isinstance(value, Foreign):
        # Of a damaged file it may have anything in it.
        what = value.name.rpartition("_rebuild_")[2].replace("_", " ").encode("unicode_escape").decode()
        raise InputError(f"{name}: cannot be read ({what}); save dense tensors in float32")
    array = np.asarray(value if made is None else made)
    if array.dtype.name == "bfloat16":  # of ml_dtypes, which numpy does not know by kind
        return array.astype(np.float32)
    if array.dtype.kind not in "biufU":
        raise InputError(f"{name}: type {array.dtype}; give an array of numbers")
    return array
