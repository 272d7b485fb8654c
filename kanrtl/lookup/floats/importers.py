"""Trained KANs of other programs.

State dicts may be given as a mapping from names to arrays (torch tensors too), or as the path of an ``.npz`` file with
these names, or of a ``.pt`` file, which takes torch. What cannot be represented is refused by its name.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...files import read_arrays
from ..network import LookupNetwork
from .float_kan import FloatKAN
from .float_network import BASES, FloatLayer

__all__ = [
    "from_efficient_kan",
    "from_kanele",
    "from_kanele_tables",
    "from_pykan",
    "kanele_floats",
    "kanele_packed_tables",
    "read_state_dict",
]

Array = npt.NDArray[Any]

StateDict = Mapping[str, Any]


def read_state_dict(source: StateDict | str | Path) -> dict[str, Array]:
    """Read the arrays of a state dict by name.

    Parameters
    ----------
    source
        A mapping from names to arrays, or the path of an ``.npz``, ``.pt`` or ``.pth`` file that holds one.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else than arrays of numbers.
    """
    if isinstance(source, Mapping):
        return {name: _to_array(name, value) for name, value in source.items()}
    path = Path(source)
    try:
        if path.suffix == ".npz":
            return read_arrays(path, "an .npz file", "give the state dict as numpy.savez writes it")
        return {name: _to_array(name, value) for name, value in _torch_load(path).items()}
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from None


def _torch_load(path: Path) -> StateDict:
    try:
        import torch
    except ImportError:
        raise InputError(
            "a torch checkpoint takes torch: pip install 'kanrtl[torch]', or save its state dict as .npz"
        ) from None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{error.strerror or 'cannot be read'}; give a state dict") from None
    except Exception as error:  # a dozen kinds, by what is wrong with the file
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"torch cannot read it as weights ({first}); give a state dict") from None
    for key in ("model_state_dict", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise InputError("holds no state dict; save model.state_dict()")
    return content


def _to_array(name: str, value: Any) -> Array:
    array = np.asarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)
    if array.dtype.kind not in "biufU":
        raise InputError(f"{name}: type {array.dtype}; give an array of numbers")
    return array


def _take(state: Mapping[str, Array], name: str) -> Array:
    if name not in state:
        raise InputError(f"{name}: missing from the state dict; give the whole of it")
    return state[name]


# efficient-kan, and what has come of it.

_LAYER = re.compile(r"layers\.(\d+)\.(\w+)")

_EFFICIENT = {"base_weight", "spline_weight", "spline_scaler", "grid", "spline_selector"}


def _efficient_layers(state: Mapping[str, Array], base: str) -> list[FloatLayer]:
    """Make the layers of a state dict with efficient-kan's names: ``layers.{l}.grid`` and so on."""
    numbers = sorted({int(match[1]) for name in state if (match := _LAYER.match(name))})
    if not numbers or numbers != list(range(len(numbers))):
        raise InputError("layers.0.grid: missing from the state dict; give that of an efficient-kan KAN")
    layers = []
    for number in numbers:
        prefix = f"layers.{number}."
        knots, weights = _take(state, f"{prefix}grid"), _take(state, f"{prefix}spline_weight")
        scaler, selector = state.get(f"{prefix}spline_scaler"), state.get(f"{prefix}spline_selector")
        if selector is not None and not np.isin(selector, (0, 1)).all():
            raise InputError(f"{prefix}spline_selector: a value between 0 and 1 cannot be represented; make it 0 or 1")
        base_weights = _take(state, f"{prefix}base_weight")
        layers.append(
            FloatLayer.of(
                f"layers.{number}",
                knots=knots,
                coefficients=weights,
                base_weights=base_weights,
                base=base,
                scales=scaler,
                edges=selector,
            )
        )
    return layers


def from_efficient_kan(state_dict: StateDict | str | Path, base: str = "silu") -> FloatKAN:
    """Import a KAN of efficient-kan.

    Parameters
    ----------
    state_dict
        ``KAN(...).state_dict()``, or the path of a file that holds it; see :func:`read_state_dict`.
    base
        Its ``base_activation``, a name of :data:`kanrtl.lookup.floats.float_network.BASES`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """
    state = read_state_dict(state_dict)
    for name in state:
        match = _LAYER.fullmatch(name)
        if not match or match[2] not in _EFFICIENT:
            raise InputError(
                f"{name}: cannot be represented; an efficient-kan layer has {', '.join(sorted(_EFFICIENT))}"
            )
    return FloatKAN.of(_efficient_layers(state, base))


# KANELÉ.

_QUANTISER = "brevitas_module.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"

_TRANSFORM = "input_layer.pre_transforms."

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")

_BATCH_NORM_EPSILON = 1e-5  # torch's default, which the checkpoint does not name


def from_kanele(
    state_dict: StateDict | str | Path, config: Mapping[str, Any] | str | Path | None = None, **options: Any
) -> LookupNetwork:
    """Import a network of KANELÉ from its checkpoint and its configuration.

    Parameters
    ----------
    state_dict
        The checkpoint, or the path of a file that holds it; see :func:`read_state_dict`.
    config
        ``config.json``, or what it holds. It may be left out where the state dict has it as ``config_json``.
    options
        ``output`` and ``thresholds`` of :meth:`LookupNetwork.of`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, or the two do not belong together.
    """
    kan, bits, steps = kanele_floats(state_dict, config)
    return kan.quantise(bits, steps, **options)


def kanele_floats(
    state_dict: StateDict | str | Path, config: Mapping[str, Any] | str | Path | None = None
) -> tuple[FloatKAN, list[int], list[float]]:
    """Import the real-valued KAN behind a checkpoint of KANELÉ; parameters and errors as for :func:`from_kanele`.

    Returns
    -------
    kan : FloatKAN
    bits : list of int
        How many bits the codes of the inputs have, then those of every layer's nodes.
    steps : list of float
        The real values of their LSBs.
    """
    state = read_state_dict(state_dict)
    settings = _kanele_config(state, config)
    bits = [int(width) for width in _setting(settings, "layers_bitwidth")]
    base = _activation(_setting(settings, "base_activation"))
    layers = _efficient_layers(state, base)
    sizes = [layers[0].n_in, *(layer.n_out for layer in layers)]
    if sizes != list(_setting(settings, "layers")):
        raise InputError(
            f"layers = {settings['layers']}: but the state dict has {sizes}; give the config that belongs to it"
        )
    if len(bits) != len(sizes):
        raise InputError(f"layers_bitwidth = {bits}: give {len(sizes)} numbers, for the inputs and for every layer")
    _check_against_config(layers, settings)
    names = [
        f"input_layer.{_QUANTISER}",
        *(f"layers.{index}.output_quantizer.{_QUANTISER}" for index in range(len(layers))),
    ]
    steps = [float(abs(_take(state, name))) / (1 << (width - 1)) for name, width in zip(names, bits, strict=True)]
    return FloatKAN.of(layers, *_affine(state, sizes[0])), bits, steps


def _check_against_config(layers: Sequence[FloatLayer], settings: Mapping[str, Any]) -> None:
    order, size = settings.get("spline_order"), settings.get("grid_size")
    for index, layer in enumerate(layers):
        cells = layer.coefficients.shape[2] - layer.order
        for field, told, found in (("spline_order", order, layer.order), ("grid_size", size, cells)):
            if told is not None and told != found:
                raise InputError(f"{field} = {told}: but layer {index} has {found}; give the config that belongs to it")


def _kanele_config(state: Mapping[str, Array], config: Mapping[str, Any] | str | Path | None) -> Mapping[str, Any]:
    if isinstance(config, Mapping):
        return config
    if config is None and "config_json" not in state:
        raise InputError("config: the state dict has no config_json; give config.json")
    try:
        content = json.loads(str(state["config_json"]) if config is None else Path(config).read_text())
    except OSError as error:
        raise InputError(f"config: {str(config)!r}: {error.strerror}; give config.json") from None
    except ValueError:
        raise InputError("config: is not JSON; give config.json as KANELÉ wrote it") from None
    if not isinstance(content, Mapping):
        raise InputError("config: is not a table of settings; give config.json as KANELÉ wrote it")
    return content


def _setting(settings: Mapping[str, Any], name: str) -> Any:
    if name not in settings:
        raise InputError(f"{name}: missing from the config; give config.json as KANELÉ wrote it")
    return settings[name]


def _activation(name: Any) -> str:
    """Give the name of :data:`BASES` for ``nn.SiLU``, ``SiLU`` and so on."""
    short = str(name).rpartition(".")[2].lower().removesuffix("()")
    if short not in BASES:
        raise InputError(f"base_activation = {name!r}: cannot be represented; it must be one of {', '.join(BASES)}")
    return short


def _affine(state: Mapping[str, Array], n_in: int) -> tuple[Array, Array]:
    """Give scale and offset of the inputs: batch normalisations and biases, in the order in which they stand."""
    scale, offset = np.ones(n_in), np.zeros(n_in)
    numbers = sorted({int(name[len(_TRANSFORM) :].partition(".")[0]) for name in state if name.startswith(_TRANSFORM)})
    for number in numbers:
        prefix = f"{_TRANSFORM}{number}."
        fields = {
            name[len(prefix) :]: np.asarray(value, np.float64)
            for name, value in state.items()
            if name.startswith(prefix)
        }
        fields.pop("num_batches_tracked", None)
        if set(fields) == set(_BATCH_NORM):
            weight, bias, mean, variance = (fields[field] for field in _BATCH_NORM)
            factor = weight / np.sqrt(variance + _BATCH_NORM_EPSILON)
            scale, offset = scale * factor, offset * factor + bias - mean * factor
        elif set(fields) == {"bias"}:
            offset = offset + fields["bias"]
        else:
            raise InputError(f"{prefix}{min(fields)}: cannot be represented; a batch norm or a bias can")
    for name in state:
        if name.startswith("input_layer.") and not name.startswith(_TRANSFORM) and not name.endswith(_QUANTISER):
            raise InputError(f"{name}: cannot be represented; a batch norm, a bias and a quantiser's scale can")
    return np.broadcast_to(scale, (n_in,)), np.broadcast_to(offset, (n_in,))


def from_kanele_tables(
    tables: Mapping[str, Any] | str | Path,
    config: Mapping[str, Any] | str | Path,
    *,
    steps: Sequence[float] | None = None,
    **options: Any,
) -> LookupNetwork:
    """Import a network of KANELÉ from its truth tables.

    Parameters
    ----------
    tables
        ``truth_tables.json``, which may be compressed as ``.gz``, or what it holds: an entry ``"layer_input_node"`` for
        every edge.
    config
        ``config.json``, or what it holds.
    steps
        The real values of one LSB of the inputs and of every layer's nodes, which the files do not have; ones where
        they are left out.
    options
        ``quantiser``, ``output`` and ``thresholds`` of :meth:`LookupNetwork.of`.

    Raises
    ------
    InputError
        If a file cannot be read, or an entry does not belong to the network.
    """
    content = tables if isinstance(tables, Mapping) else _read_tables(Path(tables))
    settings = _kanele_config({}, config)
    sizes = [int(size) for size in _setting(settings, "layers")]
    bits = [int(width) for width in _setting(settings, "layers_bitwidth")]
    edges: list[dict[str, list[Any]]] = [{"source": [], "node": [], "table": []} for _ in sizes[1:]]
    for name, entry in content.items():
        match = re.fullmatch(r"(\d+)_(\d+)_(\d+)", name)
        if not match or int(match[1]) >= len(edges):
            raise InputError(f"truth_tables: entry {name!r} is not layer_input_node of a network {sizes}")
        active = entry.get("acive", entry.get("active"))  # upstream spells it so
        values = entry.get("values_int")
        if active is None or (active and not values):
            raise InputError(
                f"truth_tables: entry {name!r} has no values_int; give truth_tables.json as KANELÉ wrote it"
            )
        if active:
            layer = edges[int(match[1])]
            layer["source"].append(int(match[2]))
            layer["node"].append(int(match[3]))
            layer["table"].append(values)
    return LookupNetwork.of(sizes, bits, [1.0] * len(sizes) if steps is None else steps, edges, **options)


def kanele_packed_tables(
    tables: Mapping[str, Any], config: Mapping[str, Any] | str | Path | None = None
) -> LookupNetwork:
    """Import a network of KANELÉ from its truth tables as arrays.

    Parameters
    ----------
    tables
        For every layer ``l`` its edges as ``L{l}_src``, ``L{l}_dst`` and ``L{l}_table``; and ``steps`` where they are
        known.
    config
        As for :func:`from_kanele`.

    Raises
    ------
    InputError
        If an array is missing, or does not fit the others.
    """
    settings = _kanele_config(tables, config)
    sizes = [int(size) for size in _setting(settings, "layers")]
    bits = [int(width) for width in _setting(settings, "layers_bitwidth")]
    names = {"source": "src", "node": "dst", "table": "table"}
    edges = [
        {field: _take(tables, f"L{layer}_{name}") for field, name in names.items()} for layer in range(len(sizes) - 1)
    ]
    steps = np.asarray(tables.get("steps", np.ones(len(sizes))), dtype=np.float64)
    return LookupNetwork.of(sizes, bits, steps.tolist(), edges)


def _read_tables(path: Path) -> Mapping[str, Any]:
    try:
        raw = path.read_bytes()
        content = json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    except OSError as error:
        raise InputError(f"{str(path)!r}: {error.strerror or 'damaged'}; give truth_tables.json") from None
    except (ValueError, EOFError):
        raise InputError(f"{str(path)!r}: is not JSON, or damaged; give truth_tables.json") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{str(path)!r}: holds no edges; give truth_tables.json")
    return content


# pykan.

_PYKAN_LAYER = re.compile(r"act_fun\.(\d+)\.(\w+)")

_PYKAN_NODE = re.compile(r"(?:sub)?node_(?:bias|scale)_\d+")


def from_pykan(model: Any, base: str | None = None) -> FloatKAN:
    """Import a KAN of pykan 0.2.8.

    Its affine maps of nodes are taken into coefficients and biases. Symbolic functions and multiplication nodes cannot
    be represented.

    Parameters
    ----------
    model
        A trained ``kan.KAN``, its state dict, or the path of a file that holds that; see :func:`read_state_dict`.
    base
        Its ``base_fun``, which a state dict does not have; then it is ``silu`` where it is left out.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """
    is_model = hasattr(model, "state_dict")
    if is_model:
        chosen = getattr(model, "input_id", None)
        if chosen is not None and not np.array_equal(_to_array("input_id", chosen), np.arange(len(chosen))):
            raise InputError("input_id: pruned inputs cannot be represented; train with the inputs that are left")
        base = base or _pykan_base(model)
    state = read_state_dict(model.state_dict() if is_model else model)
    numbers = sorted({int(match[1]) for name in state if (match := _PYKAN_LAYER.fullmatch(name))})
    if not numbers or numbers != list(range(len(numbers))):
        raise InputError("act_fun.0.coef: missing from the state dict; give that of a pykan KAN")
    for name in state:
        if not (_PYKAN_LAYER.fullmatch(name) or _PYKAN_NODE.fullmatch(name) or name.startswith("symbolic_fun.")):
            raise InputError(f"{name}: cannot be represented; act_fun and the nodes' scales and biases can")
    layers = [_pykan_layer(state, number, base or "silu") for number in numbers]
    return FloatKAN.of(layers)


def _pykan_base(model: Any) -> str:
    name = getattr(model, "base_fun_name", None)
    return _activation(name if isinstance(name, str) else type(model.act_fun[0].base_fun).__name__)


def _pykan_layer(state: Mapping[str, Array], number: int, base: str) -> FloatLayer:
    prefix = f"act_fun.{number}."
    knots, coefficients = _take(state, f"{prefix}grid"), _take(state, f"{prefix}coef")
    if coefficients.ndim != 3:
        raise InputError(
            f"{prefix}coef: shape {coefficients.shape}; pykan 0.2 has (n_in, n_out, grid + k); save it with that"
        )
    n_in, n_out, _ = coefficients.shape
    symbolic = state.get(f"symbolic_fun.{number}.mask")
    if symbolic is not None and np.any(symbolic):
        node, source = np.argwhere(symbolic)[0]
        raise InputError(
            f"symbolic_fun.{number}.mask: the function from {source} to {node} is symbolic, "
            "which cannot be represented; give the KAN as it was before"
        )
    following = state.get(f"act_fun.{number + 1}.coef")
    widths = [len(state[name]) for name in (f"node_bias_{number}", f"node_scale_{number}") if name in state]
    widths += [len(following)] if following is not None else []
    if any(width != n_out for width in widths):
        raise InputError(f"act_fun.{number}: multiplication nodes cannot be represented; train with sums alone")
    outer, inner = (_per_node(state, f"{kind}_scale_{number}", n_out, 1.0) for kind in ("node", "subnode"))
    bias = outer * _per_node(state, f"subnode_bias_{number}", n_out, 0.0) + _per_node(
        state, f"node_bias_{number}", n_out, 0.0
    )
    scale = (outer * inner)[:, None]
    mask = state.get(f"{prefix}mask", np.ones((n_in, n_out)))
    return FloatLayer.of(
        f"act_fun.{number}",
        knots=knots,
        coefficients=coefficients.transpose(1, 0, 2),
        base_weights=_take(state, f"{prefix}scale_base").T * mask.T * scale,
        base=base,
        scales=_take(state, f"{prefix}scale_sp").T * mask.T * scale,
        edges=mask.T != 0,
        bias=bias,
    )


def _per_node(state: Mapping[str, Array], name: str, count: int, default: float) -> Array:
    return np.broadcast_to(np.asarray(state.get(name, default), dtype=np.float64), (count,))
