"""Trained KANs whose edges are sums of other bases than splines: radial, Chebyshev polynomials, Fourier series."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_file import read_checkpoint
from ..notes import Note
from ..number_checks import check_array, check_tensor
from .base_functions import find_base, read_base
from .edge_functions import NamedFunctions
from .float_kan import FloatKAN
from .float_layer import FloatLayer

Array = npt.NDArray[Any]

State = Mapping[str, Array]

_NAME = re.compile(r"(layers\.|[^.]*[A-Za-z_])(0|[1-9]\d{0,8})\.([\w.]+)")
"""What layers are called, the number of one, and a field of it."""

_FAST = ("rbf.grid", "spline_linear.weight", "spline_weight", "base_linear.weight", "base_linear.bias")


def from_fast_kan(
    model: Any, base: str | None = None, entry: str | None = None, denominator: float | None = None
) -> FloatKAN:
    """Import a KAN of radial bases as FastKAN has them.

    Its layer norm takes in all inputs of a sample at once, which no function of one input does: with it a KAN cannot be
    represented.

    Parameters
    ----------
    model, base, entry
        As for :func:`~kanrtl.lookup.floats.importers.from_efficient_kan`.
    denominator
        The width of the bases, which a state dict does not have. Where it is left out it is assumed to be FastKAN's
        default: the distance of two centres, or one in files of its first version; and a note says so.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """

    def make(name: str, state: State) -> tuple[FloatLayer, list[Note]]:
        centres = check_array(f"{name}.rbf.grid", _take(state, name, "rbf.grid", 1))
        found = "spline_weight" if "spline_weight" in state else "spline_linear.weight"
        weights = _take(state, name, found)
        if weights.ndim < 2 or not centres.size or not weights.size or weights[0].size % len(centres):
            raise InputError(f"{name}.{found}: shape {weights.shape}; must be (n_out, n_in * {len(centres)})")
        weights = weights.reshape(len(weights), -1, len(centres))
        width, notes = denominator, []
        if width is None:
            if len(centres) == 1 and "spline_weight" not in state:
                raise InputError(f"{name}.rbf.grid: one centre does not tell the width of its base; give denominator")
            width = 1.0 if "spline_weight" in state else float((centres[-1] - centres[0]) / (len(centres) - 1))
            notes = [Note("assumed", f"{name}.rbf.denominator", width, "FastKAN's default; not in its state dict")]
        n_in = weights.shape[1]
        functions = NamedFunctions.radial(n_in, centres, width)
        parts = [functions], [weights]
        _add_base(*parts, f"{name}.base_linear.weight", state.get("base_linear.weight"), chosen)
        return _layer(name, *parts, state.get("base_linear.bias")), notes

    checkpoint, chosen, notes = _open(model, base, entry, "base_linear.weight")
    for name in checkpoint.arrays:
        if ".layernorm." in name:
            raise InputError(
                f"{name}: a layer norm takes in all inputs at once, which cannot be represented; train without it"
            )
    return _import(checkpoint, _FAST, make, notes)


def from_cheby_kan(model: Any, base: str | None = None, entry: str | None = None) -> FloatKAN:
    """Import a KAN of Chebyshev polynomials of ``tanh(x)``.

    Known are layers with ``cheby_coeffs`` ``(n_in, n_out, degree + 1)``, as ChebyKAN has them, and those of ikan,
    ``(n_out, n_in, degree + 1)``, which clamp x to -1 and 1 first and have a base function.

    Parameters
    ----------
    model, base, entry
        As for :func:`~kanrtl.lookup.floats.importers.from_efficient_kan`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """

    def make(name: str, state: State) -> tuple[FloatLayer, list[Note]]:
        coefficients = _take(state, name, "cheby_coeffs", 3)
        with_base = "base_weight" in state
        weights = coefficients if with_base else coefficients.transpose(1, 0, 2)
        n_in, count = weights.shape[1:]
        functions = NamedFunctions.chebyshev(n_in, count - 1)
        if with_base:
            functions = NamedFunctions.of("hardtanh", n_in, count=count).then(functions)
        parts = [functions], [weights]
        _add_base(*parts, f"{name}.base_weight", state.get("base_weight"), chosen)
        return _layer(name, *parts, state.get("bias")), []

    checkpoint, chosen, notes = _open(model, base, entry, "base_weight")
    return _import(checkpoint, ("cheby_coeffs", "cheby_orders", "arange", "base_weight", "bias"), make, notes)


def from_fourier_kan(model: Any, base: str | None = None, entry: str | None = None) -> FloatKAN:
    """Import a KAN of Fourier series: cosines and sines of whole multiples of x.

    Known are layers with ``fouriercoeffs`` ``(2, n_out, n_in, frequencies)``, as FourierKAN has them, and those of ikan
    (``fourier_coeffs``), which have a base function.

    Parameters
    ----------
    model, base, entry
        As for :func:`~kanrtl.lookup.floats.importers.from_efficient_kan`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """

    def make(name: str, state: State) -> tuple[FloatLayer, list[Note]]:
        found = "fourier_coeffs" if "fourier_coeffs" in state else "fouriercoeffs"
        coefficients = _take(state, name, found, 4)
        if len(coefficients) != 2:
            raise InputError(f"{name}.{found}: shape {coefficients.shape}; must be (2, n_out, n_in, frequencies)")
        functions = NamedFunctions.fourier(coefficients.shape[2], coefficients.shape[3])
        parts = [functions], [np.concatenate([coefficients[0], coefficients[1]], axis=2)]
        _add_base(*parts, f"{name}.base_weight", state.get("base_weight"), chosen)
        return _layer(name, *parts, state.get("bias")), []

    checkpoint, chosen, notes = _open(model, base, entry, "base_weight")
    return _import(checkpoint, ("fouriercoeffs", "fourier_coeffs", "base_weight", "bias"), make, notes)


def _open(model: Any, base: str | None, entry: str | None, weights: str) -> tuple[Checkpoint, str, list[Note]]:
    """Read a checkpoint, and tell the base function of the layers that have ``weights`` for one."""
    if hasattr(model, "state_dict"):
        base = base or find_base(getattr(model, "layers", model))
        model = model.state_dict()
    checkpoint = read_checkpoint(model, entry)
    has_base = any(name.endswith(f".{weights}") and array.any() for name, array in checkpoint.arrays.items())
    chosen, note = read_base(base, checkpoint.find_settings(("base_activation",)))
    if chosen is None and has_base:
        note = Note("assumed", "base", "silu", "the default, which its state dict does not hold")
    return checkpoint, chosen or "silu", [*checkpoint.notes, *([note] if note and has_base else [])]


def _import(
    checkpoint: Checkpoint,
    known: Sequence[str],
    make: Callable[[str, State], tuple[FloatLayer, list[Note]]],
    notes: list[Note],
) -> FloatKAN:
    states: dict[int, dict[str, Array]] = {}
    word = ""
    for name, array in checkpoint.arrays.items():
        match = _NAME.fullmatch(name)
        if not match or match[3] not in known:
            raise InputError(f"{name}: cannot be represented; a layer has {', '.join(known)}")
        word = word or match[1]
        if match[1] != word:
            raise InputError(
                f"{name}: its place among {word}{min(states)} and others is not told; name layers by one word and a "
                "number, as in layers.0 or kan1"
            )
        states.setdefault(int(match[2]), {})[match[3]] = array
    # Attributes of a model are counted from one, too.
    first = 1 if word not in ("", "layers.") and 0 not in states else 0
    if not states or sorted(states) != list(range(first, first + len(states))):
        missing = next(number for number in range(first, first + len(states) + 1) if number not in states)
        raise InputError(f"{word or 'layers.'}{missing}.{known[0]}: missing from the state dict; give the whole of it")
    layers = []
    for number in sorted(states):
        layer, said = make(f"{word}{number}", states[number])
        layers.append(layer)
        notes = [*notes, *said]
    return FloatKAN.of(layers).with_notes(notes)


def _take(state: State, layer: str, name: str, axes: int | None = None) -> Array:
    if name not in state:
        raise InputError(f"{layer}.{name}: missing from the state dict; give the whole of it")
    if axes is not None and state[name].ndim != axes:
        raise InputError(f"{layer}.{name}: shape {state[name].shape}; must have {axes} axes")
    return state[name]


def _add_base(
    functions: list[NamedFunctions], weights: list[Array], name: str, base_weights: Array | None, base: str
) -> None:
    """Add a base function to the groups of functions, and its weights to theirs, where there are any."""
    if base_weights is not None:
        functions.append(NamedFunctions.of(base, weights[0].shape[1]))
        weights.append(check_tensor(name, base_weights, weights[0].shape[:2])[:, :, None])


def _layer(name: str, functions: list[NamedFunctions], weights: list[Array], bias: Array | None) -> FloatLayer:
    return FloatLayer.of_functions(
        name,
        functions,
        np.concatenate([check_array(f"{name}.weights", part) for part in weights], axis=2),
        bias=None if bias is None else check_tensor(f"{name}.bias", bias.reshape(-1), weights[0].shape[:1]),
        edges=np.ones(weights[0].shape[:2]),
    )
