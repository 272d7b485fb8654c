"""Trained KANs of pykan: 0.1 and 0.2, and 0.0, which holds its edges in one row."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError, cut
from ..checkpoints.checkpoint import to_array
from ..checkpoints.checkpoint_file import read_checkpoint
from ..notes import Note
from ..number_checks import check_array, check_tensor
from .base_functions import name_base, name_function, read_base
from .float_kan import FloatKAN
from .float_layer import FloatLayer
from .pykan_config import configuration_beside, read_configuration, weights_path
from .pykan_symbolic import add_symbolic

Array = npt.NDArray[Any]

_LAYER = re.compile(r"act_fun\.(0|[1-9]\d{0,8})\.(\w+)")

_KNOWN = re.compile(
    r"act_fun\.(?:0|[1-9]\d*)\.\w+|(?:sub)?node_(?:bias|scale)_\d+|biases\.\d+\.weight|symbolic_fun\..*"
)


def from_pykan(
    model: Any, base: str | None = None, config: Mapping[str, Any] | str | Path | None = None, entry: str | None = None
) -> FloatKAN:
    """Import a KAN of pykan, 0.0 to 0.2.

    Its affine maps of nodes are taken into coefficients and biases. Symbolic functions are known by their names, which
    the configuration or the model has. Multiplication nodes cannot be represented.

    Parameters
    ----------
    model
        A trained ``kan.KAN``, its state dict, or the path of a file that holds that: ``NAME_state`` or ``NAME`` as
        ``saveckpt`` writes them, or another; see :func:`~kanrtl.lookup.floats.importers.read_state_dict`.
    base
        Its ``base_fun``, a name of :data:`kanrtl.lookup.floats.named_functions.BASES`. A state dict does not have it:
        it is then read from the configuration, and must be given where there is none and a base weight is not zero.
    config
        ``NAME_config.yml``, or what it holds; by default that beside ``NAME_state``.
    entry
        As for :func:`~kanrtl.lookup.floats.importers.read_state_dict`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name; or if the base function is not known.
    """
    notes: list[Note] = []
    settings: Mapping[str, Any] = {}
    if hasattr(model, "state_dict"):
        chosen = getattr(model, "input_id", None)
        if chosen is not None and not np.array_equal(to_array("input_id", chosen), np.arange(len(chosen))):
            raise InputError("input_id: pruned inputs cannot be represented; train with the inputs that are left")
        base = base or _base_of(model)
        settings = {
            f"symbolic.funs_name.{number}": getattr(layer, "funs_name", [])
            for number, layer in enumerate(getattr(model, "symbolic_fun", []))
        }
        model = model.state_dict()
    checkpoint = read_checkpoint(weights_path(Path(model)) if isinstance(model, (str, Path)) else model, entry)
    if config is None and checkpoint.path is not None:
        config = configuration_beside(checkpoint.path)
    if config is not None:
        settings = read_configuration(config)
    state = checkpoint.arrays
    numbers = sorted({int(match[1]) for name in state if (match := _LAYER.fullmatch(name))})
    if not numbers or numbers != list(range(len(numbers))):
        raise InputError("act_fun.0.coef: missing from the state dict; give that of a pykan KAN")
    for name in state:
        if not _KNOWN.fullmatch(name):
            raise InputError(f"{name}: cannot be represented; act_fun and the nodes' scales and biases can")
    found = {
        f"{Path(config).name}: {name}" if isinstance(config, (str, Path)) else f"config: {name}": settings[name]
        for name in ("base_fun_name",)
        if settings.get(name) is not None
    } or checkpoint.find_settings(("base_fun_name", "base_fun"))
    base, note = read_base(base, found)
    _check_sums(settings)
    layers = [_layer(state, number, base, settings) for number in numbers]
    _check_width(settings, layers)
    notes += [*checkpoint.notes, *([note] if note else [])]
    return FloatKAN.of(layers).with_notes(notes)


def _base_of(model: Any) -> str:
    name = getattr(model, "base_fun_name", None)
    return name_base("base_fun", name if isinstance(name, str) else name_function(model.act_fun[0].base_fun))


def _take(state: Mapping[str, Array], name: str) -> Array:
    if name not in state:
        raise InputError(f"{name}: missing from the state dict; give the whole of it")
    return state[name]


def _check_sums(settings: Mapping[str, Any]) -> None:
    """Refuse widths with multiplication nodes."""
    width = settings.get("width")
    for layer, nodes in enumerate(width if isinstance(width, Sequence) else []):
        if isinstance(nodes, Sequence) and len(nodes) == 2 and nodes[1]:
            raise InputError(
                f"width[{layer}] = {list(nodes)}: multiplication nodes cannot be represented; train with sums alone"
            )


def _check_width(settings: Mapping[str, Any], layers: Sequence[FloatLayer]) -> None:
    """Refuse the configuration of another network: its base function, and its formulas, would be those of that."""
    width = settings.get("width")
    if not isinstance(width, Sequence):
        return
    told = [nodes[0] if isinstance(nodes, Sequence) and nodes else nodes for nodes in width]
    sizes = [layers[0].n_in, *(layer.n_out for layer in layers)]
    if told != sizes:
        raise InputError(f"width = {cut(told)}: but the state dict has {sizes}; give the config that belongs to it")


def _layer(state: Mapping[str, Array], number: int, base: str | None, settings: Mapping[str, Any]) -> FloatLayer:
    prefix = f"act_fun.{number}."
    if _take(state, f"{prefix}coef").ndim == 2:
        state = {**state, **_of_one_row(state, number)}
    coefficients = state[f"{prefix}coef"]
    if coefficients.ndim != 3:
        raise InputError(
            f"{prefix}coef: shape {coefficients.shape}; pykan has (n_in, n_out, grid + k), or (n_out * n_in, grid + k)"
        )
    n_in, n_out, _ = coefficients.shape
    following = state.get(f"act_fun.{number + 1}.coef")
    widths = [state[name].size for name in (f"node_bias_{number}", f"node_scale_{number}") if name in state]
    widths += [len(following)] if following is not None and following.ndim == 3 else []
    if any(width != n_out for width in widths):
        raise InputError(f"act_fun.{number}: multiplication nodes cannot be represented; train with sums alone")
    outer, inner = (_per_node(state, f"{kind}_scale_{number}", n_out, 1.0) for kind in ("node", "subnode"))
    bias = outer * _per_node(state, f"subnode_bias_{number}", n_out, 0.0) + _per_node(
        state, f"node_bias_{number}", n_out, 0.0
    )
    scale = (outer * inner)[:, None]
    mask, of_base, of_splines = (
        check_tensor(f"{prefix}{name}", values, (n_in, n_out))
        for name, values in (
            ("mask", state.get(f"{prefix}mask", np.ones((n_in, n_out)))),
            ("scale_base", _take(state, f"{prefix}scale_base")),
            ("scale_sp", _take(state, f"{prefix}scale_sp")),
        )
    )
    base_weights = of_base.T * mask.T * scale
    if base is None and base_weights.any():
        raise InputError(
            "base: pykan's state dict does not hold its base function, and its weights (scale_base) are not all zero; "
            "give base (--base-function silu, identity, zero, ...), or NAME_config.yml (--config)"
        )
    layer = FloatLayer.of(
        f"act_fun.{number}",
        knots=_take(state, f"{prefix}grid"),
        coefficients=coefficients.transpose(1, 0, 2),
        base_weights=base_weights,
        base=base or "zero",
        scales=of_splines.T * mask.T * scale,
        edges=mask.T != 0,
        bias=bias,
    )
    return add_symbolic(layer, state, number, settings, scale)


def _of_one_row(state: Mapping[str, Array], number: int) -> dict[str, Array]:
    """Give a layer of pykan 0.0, whose edges stand in one row, node by node, in the shapes of pykan 0.2.

    Its grids have no knots outside of the range: pykan adds them with the mean distance of the others.
    """
    prefix = f"act_fun.{number}."
    coefficients = check_array(f"{prefix}coef", _take(state, f"{prefix}coef"))
    count = len(coefficients)
    n_out = _nodes_of_one_row(state, number)
    if not n_out or count % n_out:
        raise InputError(
            f"{prefix}coef: shape {coefficients.shape}: not a row of n_in edges for each of {n_out} nodes; "
            "give the whole state dict of pykan 0.0"
        )
    n_in = count // n_out
    grid = check_array(f"{prefix}grid", _take(state, f"{prefix}grid"))
    order = coefficients.shape[1] - (grid.shape[1] - 1) if grid.ndim == 2 and grid.shape[1] > 1 else -1
    if order < 0 or len(grid) != count:
        raise InputError(f"{prefix}grid: shape {grid.shape}; pykan 0.0 has ({count}, grid + 1)")
    grids = grid.reshape(n_out, n_in, -1)
    if np.abs(grids - grids[0]).max() > 1e-6 * np.abs(grids).max():
        node = int(np.argmax(np.abs(grids - grids[0]).max(axis=(1, 2))))
        raise InputError(f"{prefix}grid: node {node} has other knots than node 0, which cannot be represented")
    first, last = grids[0][:, :1], grids[0][:, -1:]
    step = (last - first) / (grid.shape[1] - 1)
    outside = step * np.arange(1, order + 1)
    found = {
        f"{prefix}coef": coefficients.reshape(n_out, n_in, -1).transpose(1, 0, 2),
        f"{prefix}grid": np.concatenate([first - outside[:, ::-1], grids[0], last + outside], axis=1),
    }
    for name in ("scale_base", "scale_sp", "mask"):
        if name == "mask" and f"{prefix}mask" not in state:
            continue
        values = _take(state, f"{prefix}{name}")
        if values.size != count:
            raise InputError(f"{prefix}{name}: shape {values.shape}; pykan 0.0 has ({count},)")
        found[f"{prefix}{name}"] = values.reshape(n_out, n_in).T
    bias = state.get(f"biases.{number}.weight")
    if bias is not None:
        found[f"node_bias_{number}"] = bias.reshape(-1)
    return found


def _nodes_of_one_row(state: Mapping[str, Array], number: int) -> int:
    for name, axis in ((f"symbolic_fun.{number}.mask", 0), (f"biases.{number}.weight", -1)):
        if name in state and state[name].ndim == 2:
            return int(state[name].shape[axis])
    return 0


def _per_node(state: Mapping[str, Array], name: str, count: int, default: float) -> Array:
    return check_tensor(name, state.get(name, np.full(count, default)), (count,))
