"""Edges of pykan that were made symbolic: a function known by name, of an affine map, in another one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..number_checks import check_array
from .edge_functions import NamedFunctions
from .float_layer import FloatLayer

_SAME = (
    *("exp", "log", "abs", "sin", "cos", "tan", "tanh", "arcsin", "arccos", "arctan", "arctanh"),
    *("gaussian", "sigmoid"),
)

_NAMES = {
    "0": ("zero", 0.0),
    "x": ("identity", 0.0),
    "sqrt": ("sqrt", 0.0),
    "1/sqrt(x)": ("power", -0.5),
    "sgn": ("sign", 0.0),
    **{name: (name, 0.0) for name in _SAME},
}
"""pykan's names of functions, as :mod:`.named_functions` has them, with their parameters; powers are read."""

_POWER = re.compile(r"(1/)?x(?:\^(\d+(?:\.\d+)?))?")


def add_symbolic(
    layer: FloatLayer, state: Mapping[str, npt.NDArray[Any]], number: int, settings: Mapping[str, Any], scale: Reals
) -> FloatLayer:
    """Add the symbolic functions of a layer to its edges.

    Parameters
    ----------
    layer
        The layer with the edges of splines.
    state
        The state dict, with ``symbolic_fun.{number}.mask`` ``(n_out, n_in)`` and ``affine`` ``(n_out, n_in, 4)``: an
        edge is ``affine[2] * f(affine[0] * x + affine[1]) + affine[3]``.
    number
        Which layer it is.
    settings
        The functions' names, ``symbolic.funs_name.{number}``, node by node.
    scale : array ``(n_out, 1)``
        What every node is multiplied by.

    Raises
    ------
    InputError
        If a function has no name, or none that is known.
    """
    mask = state.get(f"symbolic_fun.{number}.mask")
    if mask is None or not np.any(mask):
        return layer
    affine = state.get(f"symbolic_fun.{number}.affine")
    shape = (layer.n_out, layer.n_in)
    if mask.shape != shape or affine is None or affine.shape != (*shape, 4):
        raise InputError(f"symbolic_fun.{number}.affine: missing, or not {(*shape, 4)}; give the whole state dict")
    mask, affine = (
        check_array(f"symbolic_fun.{number}.mask", mask),
        check_array(f"symbolic_fun.{number}.affine", affine),
    )
    # One function for each input and node, that of other nodes being zero there.
    names, parameters = np.full(shape, "zero", dtype="<U16"), np.zeros(shape)
    for node, source in np.argwhere(mask):
        names[node, source], parameters[node, source] = _named(settings, number, int(node), int(source))
    factor = np.where(mask != 0, mask * affine[:, :, 2], 0.0) * scale
    weights = np.zeros((*shape, layer.n_out))
    weights[np.arange(layer.n_out), :, np.arange(layer.n_out)] = factor
    functions = NamedFunctions.of(
        names.T,
        layer.n_in,
        count=layer.n_out,
        scale=np.where(mask != 0, affine[:, :, 0], 1.0).T,
        offset=np.where(mask != 0, affine[:, :, 1], 0.0).T,
        parameter=parameters.T,
    )
    return FloatLayer.of_functions(
        f"act_fun.{number}",
        (*layer.functions, functions),
        np.concatenate([layer.weights, weights], axis=2),
        edges=layer.edges | (mask != 0),
        bias=layer.bias + (np.where(mask != 0, mask * affine[:, :, 3], 0.0) * scale).sum(axis=1),
    )


def _named(settings: Mapping[str, Any], number: int, node: int, source: int) -> tuple[str, float]:
    what = f"symbolic_fun.{number}.mask: the function from {source} to {node} is symbolic"
    try:
        name = str(settings[f"symbolic.funs_name.{number}"][node][source])
    except (KeyError, IndexError, TypeError):
        raise InputError(
            f"{what}, and its name is not in a state dict; give NAME_config.yml (--config), or the model"
        ) from None
    if name in _NAMES:
        return _NAMES[name]
    if match := _POWER.fullmatch(name):
        return "power", float(match[2] or 1) * (-1 if match[1] else 1)
    raise InputError(f"{what} ({name}), which cannot be represented; give the KAN as it was before")
