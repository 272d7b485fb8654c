"""Trained KANs of other programs.

State dicts may be given as a mapping from names to arrays (torch tensors too), or as the path of a file; see
:func:`read_state_dict`. What cannot be represented is refused by its name; what is assumed, left out or clipped is in
the ``notes`` of what is imported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...file_content import MOST_TEXT, parse_json, read_bytes, read_text
from ...files import decompress
from ..checkpoints.checkpoint_file import Source, read_checkpoint
from ..network import LookupNetwork
from ..notes import Note
from ..number_checks import MAX_BITS, MAX_NODES, check_array, check_integer, check_shape, check_tensor, is_list
from .base_functions import find_base, name_base, read_base
from .float_kan import FloatKAN
from .float_layer import FloatLayer

Array = npt.NDArray[Any]


def read_state_dict(source: Source, entry: str | None = None) -> dict[str, Array]:
    """Read the arrays of a network's state dict by name.

    However it is wrapped, the names are those of the program that trained it: ``model_state_dict`` and other entries
    around it, and prefixes such as ``module.`` or ``_orig_mod.``, are left out, and what is no weight beside it.

    Parameters
    ----------
    source
        A mapping from names to arrays, or the path of a file that holds one: ``.npz``, ``.safetensors``, or what
        ``torch.save`` wrote, for which torch is not needed. Nothing that a file holds is run.
    entry
        Where the network stands, by the names of what is around it with dots between them, where there are several.

    Raises
    ------
    InputError
        If the file cannot be read, holds several networks, or something else than arrays of numbers.
    """
    return dict(read_checkpoint(source, entry).arrays)


def _take(state: Mapping[str, Array], name: str) -> Array:
    if name not in state:
        raise InputError(f"{name}: missing from the state dict; give the whole of it")
    return state[name]


# efficient-kan, and what has come of it.

_LAYER = re.compile(r"layers\.(0|[1-9]\d{0,8})\.(\w+)")

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
        edges = {"base_weight": base_weights, "spline_scaler": scaler, "spline_selector": selector}
        for field, values in edges.items():
            # A layer says itself what weights of fewer dimensions should be.
            if values is not None and np.ndim(weights) == 3:
                check_tensor(f"{prefix}{field}", values, np.shape(weights)[:2])
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


def from_efficient_kan(model: Any, base: str | None = None, entry: str | None = None) -> FloatKAN:
    """Import a KAN of efficient-kan.

    Parameters
    ----------
    model
        A trained ``efficient_kan.KAN``, its state dict, or the path of a file that holds that; see
        :func:`read_state_dict`.
    base
        Its ``base_activation``, a name of :data:`kanrtl.lookup.floats.named_functions.BASES`. A state dict does not
        have it: where neither the model nor the file beside the state dict tells it, it is assumed to be
        efficient-kan's default, ``silu``, and a note says so.
    entry
        As for :func:`read_state_dict`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """
    if hasattr(model, "state_dict"):
        base = base or find_base(model.layers)
        model = model.state_dict()
    checkpoint = read_checkpoint(model, entry)
    state = checkpoint.arrays
    for name in state:
        match = _LAYER.fullmatch(name)
        if not match or match[2] not in _EFFICIENT:
            raise InputError(
                f"{name}: cannot be represented; an efficient-kan layer has {', '.join(sorted(_EFFICIENT))}"
            )
    base, note = read_base(base, checkpoint.find_settings(("base_activation",)))
    kan = FloatKAN.of(_efficient_layers(state, base or "silu"))
    if base is None and any(layer.base_weights.any() for layer in kan.layers):
        note = Note("assumed", "base", "silu", "efficient-kan's default, which its state dict does not hold")
    return kan.with_notes([*checkpoint.notes, *([note] if note else [])])


# KANELÉ.

_QUANTISER = "brevitas_module.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"

_TRANSFORM = "input_layer.pre_transforms."

_BATCH_NORM = ("weight", "bias", "running_mean", "running_var")

_BATCH_NORM_EPSILON = 1e-5  # torch's default, which the checkpoint does not name


def from_kanele(
    state_dict: Source, config: Mapping[str, Any] | str | Path | None = None, **options: Any
) -> LookupNetwork:
    """Import a network of KANELÉ from its checkpoint and its configuration.

    Parameters
    ----------
    state_dict
        The checkpoint, or the path of a file that holds it; see :func:`read_state_dict`.
    config
        ``config.json``, or what it holds. It may be left out where the file has it, as ``config_json`` or as a table.
    options
        ``output`` and ``thresholds`` of :meth:`LookupNetwork.of`, and ``entry`` of :func:`read_state_dict`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, or the two do not belong together.
    """
    kan, bits, steps = kanele_floats(state_dict, config, options.pop("entry", None))
    return kan.quantise(bits, steps, **options)


def kanele_floats(
    state_dict: Source, config: Mapping[str, Any] | str | Path | None = None, entry: str | None = None
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
    checkpoint = read_checkpoint(state_dict, entry)
    state = checkpoint.arrays
    settings = _kanele_config(checkpoint.settings, config)
    _check_names(state)
    told, bits = _read_sizes(settings)
    base = name_base("base_activation", _setting(settings, "base_activation"))
    layers = _efficient_layers(state, base)
    sizes = [layers[0].n_in, *(layer.n_out for layer in layers)]
    if sizes != told:
        raise InputError(f"layers = {told}: but the state dict has {sizes}; give the config that belongs to it")
    _check_against_config(layers, settings)
    names = [
        f"input_layer.{_QUANTISER}",
        *(f"layers.{index}.output_quantizer.{_QUANTISER}" for index in range(len(layers))),
    ]
    scales = [check_tensor(name, np.squeeze(_take(state, name)), ()) for name in names]
    steps = [float(abs(scale)) / (1 << (width - 1)) for scale, width in zip(scales, bits, strict=True)]
    notes = [note for note in checkpoint.notes if note.field.rpartition(".")[2] != "config_json"]
    return FloatKAN.of(layers, *_affine(state, sizes[0])).with_notes(notes), bits, steps


def _check_names(state: Mapping[str, Array]) -> None:
    """Refuse what a layer has beside its edges and the scale of its quantiser: it would change what it computes."""
    for name in state:
        match = _LAYER.match(name)
        if match and match[2] not in _EFFICIENT and not name.endswith(_QUANTISER):
            raise InputError(f"{name}: cannot be represented; a layer's edges and its quantiser's scale can")


def _check_against_config(layers: Sequence[FloatLayer], settings: Mapping[str, Any]) -> None:
    order, size = settings.get("spline_order"), settings.get("grid_size")
    for index, layer in enumerate(layers):
        cells = layer.coefficients.shape[2] - layer.order
        for field, told, found in (("spline_order", order, layer.order), ("grid_size", size, cells)):
            if told is not None and told != found:
                raise InputError(f"{field} = {told}: but layer {index} has {found}; give the config that belongs to it")


def _kanele_config(settings: Mapping[str, Any], config: Mapping[str, Any] | str | Path | None) -> Mapping[str, Any]:
    """Read the configuration that was given, or else the one among the settings of a checkpoint."""
    if isinstance(config, Mapping):
        return config
    if config is None:
        config_json = [value for name, value in settings.items() if name.rpartition(".")[2] == "config_json"]
        around = [name.removesuffix("layers_bitwidth") for name in settings if name.endswith("layers_bitwidth")]
        if not config_json and around:
            start = around[0]
            return {name[len(start) :]: value for name, value in settings.items() if name.startswith(start)}
        if not config_json:
            raise InputError("config: the state dict has no config_json; give config.json")
    try:
        content = parse_json(str(config_json[0]) if config is None else read_text(Path(config)))
    except OSError as error:
        raise InputError(f"config: {str(config)!r}: {error.strerror}; give config.json") from None
    except InputError as error:
        raise InputError(f"config: {str(config)!r}: {error}") from None
    except ValueError:
        raise InputError("config: is not JSON; give config.json as KANELÉ wrote it") from None
    if not isinstance(content, Mapping):
        raise InputError("config: is not a table of settings; give config.json as KANELÉ wrote it")
    return content


def _setting(settings: Mapping[str, Any], name: str) -> Any:
    if name not in settings:
        raise InputError(f"{name}: missing from the config; give config.json as KANELÉ wrote it")
    return settings[name]


def _read_sizes(settings: Mapping[str, Any]) -> tuple[list[int], list[int]]:
    """Read how many inputs there are and nodes of every layer, and how many bits their codes have."""
    found = {}
    for name, most in (("layers", MAX_NODES), ("layers_bitwidth", MAX_BITS)):
        given = _setting(settings, name)
        if not is_list(given):
            raise InputError(f"{name} = {given!r}: give a list of integers, for the inputs and for every layer")
        found[name] = [check_integer(f"{name}[{index}]", value, 1, most) for index, value in enumerate(given)]
    sizes, bits = found.values()
    if len(bits) != len(sizes):
        raise InputError(f"layers_bitwidth = {bits}: give {len(sizes)} numbers, for the inputs and for every layer")
    return sizes, bits


def _affine(state: Mapping[str, Array], n_in: int) -> tuple[Array, Array]:
    """Give scale and offset of the inputs: batch normalisations and biases, in the order in which they stand."""
    scale, offset = np.ones(n_in), np.zeros(n_in)
    transforms: dict[int, dict[str, Array]] = {}
    for name, value in state.items():
        if not name.startswith(_TRANSFORM):
            continue
        match = re.fullmatch(r"([0-9]{1,9})\.(.+)", name.removeprefix(_TRANSFORM))
        if not match:
            raise InputError(f"{name}: cannot be represented; a batch norm or a bias can")
        if match[2] != "num_batches_tracked":
            # One bias may be that of all inputs.
            transforms.setdefault(int(match[1]), {})[match[2]] = check_shape(name, value, (n_in,))
    for number, fields in sorted(transforms.items()):
        if set(fields) == set(_BATCH_NORM):
            weight, bias, mean, variance = (fields[field] for field in _BATCH_NORM)
            factor = weight / np.sqrt(variance + _BATCH_NORM_EPSILON)
            scale, offset = scale * factor, offset * factor + bias - mean * factor
        elif set(fields) == {"bias"}:
            offset = offset + fields["bias"]
        else:
            raise InputError(f"{_TRANSFORM}{number}.{min(fields)}: cannot be represented; a batch norm or a bias can")
    for name in state:
        if name.startswith("input_layer.") and not name.startswith(_TRANSFORM) and not name.endswith(_QUANTISER):
            raise InputError(f"{name}: cannot be represented; a batch norm, a bias and a quantiser's scale can")
    return scale, offset


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
    sizes, bits = _read_sizes(_kanele_config({}, config))
    edges: list[dict[str, list[Any]]] = [{"source": [], "node": [], "table": []} for _ in sizes[1:]]
    for name, entry in content.items():
        match = re.fullmatch(r"(\d{1,9})_(\d{1,9})_(\d{1,9})", name)
        if not match or int(match[1]) >= len(edges):
            raise InputError(f"truth_tables: entry {name!r} is not layer_input_node of a network {sizes}")
        fields = entry if isinstance(entry, Mapping) else {}
        active = fields.get("acive", fields.get("active"))  # upstream spells it so
        values = fields.get("values_int")
        if active is None or (active and not values):
            raise InputError(
                f"truth_tables: entry {name!r} has no values_int; give truth_tables.json as KANELÉ wrote it"
            )
        if active:
            layer = edges[int(match[1])]
            layer["source"].append(int(match[2]))
            layer["node"].append(int(match[3]))
            layer["table"].append(values)
    clipped, notes = _clip(edges, bits)
    if steps is None:
        steps = [1.0] * len(sizes)
        notes.append(Note("assumed", "steps", steps, "truth_tables.json does not have them"))
    return LookupNetwork.of(sizes, bits, steps, clipped, **options).with_notes(notes)


def _clip(edges: Sequence[Mapping[str, Any]], bits: Sequence[int]) -> tuple[list[dict[str, Any]], list[Note]]:
    """Clip the entries of every layer's tables to the codes of its nodes, and say how many were out of range."""
    clipped, notes = [], []
    for layer, content in enumerate(edges):
        limit = 1 << (bits[layer + 1] - 1)
        try:
            tables = np.asarray(content["table"])
        except ValueError:  # of several lengths, which LookupNetwork.of refuses by name
            tables = np.empty(0, object)
        if tables.dtype.kind not in "iu":
            clipped.append(dict(content))
            continue
        inside = np.clip(tables, -limit, limit - 1)
        clipped.append({**content, "table": inside})
        if count := int((inside != tables).sum()):
            reach = f"{bits[layer + 1]} bits hold {-limit} to {limit - 1}, found {tables.min()} to {tables.max()}"
            notes.append(Note("clipped", f"layers.{layer} tables", count, reach))
    return clipped, notes


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
    settings = _kanele_config({name: value for name, value in tables.items() if np.ndim(value) == 0}, config)
    sizes, bits = _read_sizes(settings)
    names = {"source": "src", "node": "dst", "table": "table"}
    edges = [
        {field: _take(tables, f"L{layer}_{name}") for field, name in names.items()} for layer in range(len(sizes) - 1)
    ]
    clipped, notes = _clip(edges, bits)
    steps = check_array("steps", tables.get("steps", np.ones(len(sizes)))).tolist()
    if "steps" not in tables:
        notes.append(Note("assumed", "steps", steps, "the tables do not have them"))
    return LookupNetwork.of(sizes, bits, steps, clipped).with_notes(notes)


def _read_tables(path: Path) -> Mapping[str, Any]:
    try:
        content = parse_json(decompress(read_bytes(path, MOST_TEXT)) if path.suffix == ".gz" else read_text(path))
    except OSError as error:
        raise InputError(f"{str(path)!r}: {error.strerror or 'damaged'}; give truth_tables.json") from None
    except InputError as error:
        raise InputError(f"{str(path)!r}: {error}") from None
    except ValueError:
        raise InputError(f"{str(path)!r}: is not JSON, or damaged; give truth_tables.json") from None
    if not isinstance(content, Mapping):
        raise InputError(f"{str(path)!r}: holds no edges; give truth_tables.json")
    return content
