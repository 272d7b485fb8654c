"""Dense networks (multilayer perceptrons) as lookup networks: the function of a node is part of the tables behind it.

A dense layer is a layer of edges that are lines, ``w f(x)``, where f is the function of the nodes before it. What a
layer adds up is quantised before f, and tables give ``w f`` for each code. So functions between layers cost nothing,
and codes lie where f tells values apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_file import read_checkpoint
from ..notes import Note
from ..number_checks import check_array, check_shape
from .edge_functions import NamedFunctions
from .float_kan import FloatKAN
from .float_layer import FloatLayer
from .input_scalers import split_pipeline
from .named_functions import FUNCTIONS

Activations = str | Sequence[str]


def from_mlp(
    model: Any,
    activations: Activations | None = None,
    *,
    biases: Sequence[npt.ArrayLike] | None = None,
    entry: str | None = None,
) -> FloatKAN:
    """Import a dense network.

    Functions between its layers, batch normalisations among them, become parts of the edges behind them; those behind
    the last layer become edges of a layer of their own. A softmax, which no sum of edges is, has to be left out: the
    highest output is the same without. Weights may be any numbers: those of binary and ternary networks too.

    Parameters
    ----------
    model
        One of these:

        - a fitted ``MLPClassifier`` or ``MLPRegressor`` of scikit-learn, or a ``Pipeline`` of scalers and one of these.
          A classifier's outputs are those before softmax or sigmoid.
        - a ``torch.nn.Sequential`` of linear layers, batch normalisations and functions, in the mode ``eval``.
        - the state dict of one, or the path of a file that holds that, with ``activations``.
        - a sequence of weights, arrays ``(n_out, n_in)``, with ``activations`` and ``biases``.
    activations
        For arrays and state dicts, which do not have them: the name of the function behind every layer except for the
        last, or one for each of these, or one for each layer. Names are those of
        :data:`~kanrtl.lookup.floats.named_functions.FUNCTIONS`.
    biases
        For arrays: one array ``(n_out,)`` for each layer; zeros where they are left out.
    entry
        Where the state dict stands in a file of several; see
        :func:`~kanrtl.lookup.checkpoints.checkpoint_file.read_checkpoint`.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """
    scale, offset, model = split_pipeline(model)
    notes: list[Note] = []
    if hasattr(model, "coefs_") and hasattr(model, "intercepts_"):
        _leave_out(activations, biases, "scikit-learn's model has its own")
        draft = _draft_sklearn(model)
    elif hasattr(model, "named_children") and callable(model):
        _leave_out(activations, biases, "torch's model has its own")
        draft = _draft_torch(model)
    elif isinstance(model, (Mapping, str, Path, Checkpoint)):
        _leave_out(None, biases, "a state dict has its own")
        state, notes = _read_state(model, entry)
        draft = _draft_state(state, activations)
    elif isinstance(model, Sequence) and len(model):
        draft = _draft_arrays(model, activations, biases)
    else:
        raise InputError(
            f"model: is of type {type(model).__name__}; give a fitted MLPClassifier or MLPRegressor, a Sequential, its "
            "state dict, or a sequence of weights"
        )
    return draft.network(scale, offset).with_notes(notes)


def _leave_out(activations: Any, biases: Any, why: str) -> None:
    for field, value in (("activations", activations), ("biases", biases)):
        if value is not None:
            raise InputError(f"{field}: {why}; leave it out")


@dataclass
class _Step:
    """A function of every node, as a step of a chain: ``f(x * scale + offset)``."""

    name: str
    scale: npt.ArrayLike = 1.0
    offset: npt.ArrayLike = 0.0
    parameter: npt.ArrayLike | None = None


class DenseDraft:
    """A dense network as it grows, one part after the other."""

    def __init__(self) -> None:
        self._layers: list[tuple[list[_Step], Reals, Reals]] = []
        self._steps: list[_Step] = []

    def add_linear(self, name: str, weights: npt.ArrayLike, bias: npt.ArrayLike | None = None) -> None:
        """Add ``weights`` ``(n_out, n_in)`` and ``bias`` ``(n_out,)``; messages call them ``name``."""
        array = check_array(f"{name}: weight", weights)
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(f"{name}: weight of shape {array.shape}; a dense layer has (n_out, n_in)")
        before = self.n_out
        if before is not None and array.shape[1] != before:
            raise InputError(f"{name}: weight of shape {array.shape} behind {before} nodes; give (n_out, {before})")
        given = np.zeros(len(array)) if bias is None else bias
        self._layers.append((self._steps, array, check_shape(f"{name}: bias", given, (len(array),))))
        self._steps = []

    def add_function(self, name: str, function: str, parameter: npt.ArrayLike | None = None) -> None:
        """Add a function of every node, of the name ``function``; messages call it ``name``."""
        if function not in FUNCTIONS:
            raise InputError(f"{name}: {function!r} cannot be represented; it must be one of {', '.join(FUNCTIONS)}")
        if function != "identity":
            self._steps.append(_Step(function, parameter=parameter))

    def add_affine(self, name: str, scale: npt.ArrayLike, offset: npt.ArrayLike) -> None:
        """Add ``x * scale + offset`` of every node, such as a batch normalisation; messages call it ``name``."""
        n = self.n_out
        factor, constant = check_array(f"{name}: scale", scale), check_array(f"{name}: offset", offset)
        if n is not None:
            factor, constant = (
                check_shape(f"{name}: scale", factor, (n,)),
                check_shape(f"{name}: offset", constant, (n,)),
            )
        if n is None or self._steps:
            self._steps.append(_Step("identity", factor, constant))
        else:  # it goes into the weights at no cost
            steps, weights, bias = self._layers[-1]
            self._layers[-1] = (steps, weights * factor[:, None], bias * factor + constant)

    @property
    def n_out(self) -> int | None:
        """The number of nodes that there are so far; None before the first layer."""
        return len(self._layers[-1][1]) if self._layers else None

    def network(self, scale: npt.ArrayLike = 1.0, offset: npt.ArrayLike = 0.0) -> FloatKAN:
        """Make the network, whose inputs are mapped by ``x * scale + offset`` before."""
        if not self._layers:
            raise InputError("model: has no dense layer; give one with weights")
        layers = [
            FloatLayer.of_functions(f"layer {index}", _chain(steps, weights.shape[1]), weights, bias=bias)
            for index, (steps, weights, bias) in enumerate(self._layers)
        ]
        if self._steps:
            n = len(self._layers[-1][1])
            layers.append(FloatLayer.of_functions(f"layer {len(layers)}", _chain(self._steps, n), np.eye(n)))
        return FloatKAN.of(layers, scale, offset)


def _chain(steps: Sequence[_Step], n_in: int) -> NamedFunctions:
    """Make the functions of ``n_in`` nodes, of which affine ones go into the next."""
    chain: NamedFunctions | None = None
    scale: Reals = np.ones(n_in)
    offset: Reals = np.zeros(n_in)
    for number, step in enumerate(steps):
        factor = np.broadcast_to(np.asarray(step.scale, np.float64), (n_in,))
        scale, offset = scale * factor, offset * factor + np.asarray(step.offset, np.float64)
        if step.name == "identity" and number + 1 < len(steps):
            continue
        parameter = None if step.parameter is None else np.broadcast_to(step.parameter, (n_in,))[:, None]
        function = NamedFunctions.of(step.name, n_in, scale=scale[:, None], offset=offset[:, None], parameter=parameter)
        chain = function if chain is None else chain.then(function)
        scale, offset = np.ones(n_in), np.zeros(n_in)
    return NamedFunctions.of("identity", n_in) if chain is None else chain


# Plain arrays and state dicts.


def _names(activations: Activations | None, layers: int) -> list[str]:
    """Give the name of the function behind each layer."""
    if layers == 1 and activations is None:
        return ["identity"]
    if activations is None:
        raise InputError("activations: arrays do not have them; give the function between layers, such as 'relu'")
    if isinstance(activations, str):
        return [*[activations] * (layers - 1), "identity"]
    names = list(activations)
    if len(names) not in (layers - 1, layers):
        raise InputError(f"activations: {len(names)} names for {layers} layers; give {layers - 1}, or {layers}")
    return [*names, "identity"][:layers]


def _draft_arrays(
    weights: Sequence[npt.ArrayLike], activations: Activations | None, biases: Sequence[npt.ArrayLike] | None
) -> DenseDraft:
    names = _names(activations, len(weights))
    given: Sequence[npt.ArrayLike | None] = [None] * len(weights) if biases is None else biases
    if len(given) != len(weights):
        raise InputError(f"biases: {len(given)} for {len(weights)} layers; give one for each")
    draft = DenseDraft()
    for index, (array, bias, name) in enumerate(zip(weights, given, names, strict=True)):
        draft.add_linear(f"weights[{index}]", array, bias)
        draft.add_function(f"activations[{index}]", name)
    return draft


_NORM = {"running_mean", "running_var", "weight", "bias"}

_EPSILON = 1e-5  # torch's default, which a state dict does not name


def _read_state(source: Any, entry: str | None) -> tuple[dict[str, npt.NDArray[Any]], list[Note]]:
    """Read a state dict, and say what of it is left out."""
    if isinstance(source, Mapping):
        source = {name: np.asarray(value) if isinstance(value, list) else value for name, value in source.items()}
    checkpoint = source if isinstance(source, Checkpoint) else read_checkpoint(source, entry)
    return dict(checkpoint.arrays), list(checkpoint.notes)


def _draft_state(state: Mapping[str, npt.NDArray[Any]], activations: Activations | None) -> DenseDraft:
    """Draft a network of the state dict of a ``Sequential``, whose parts are in the order of their names."""
    parts: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, array in state.items():
        part, _, field = name.rpartition(".")
        if field != "num_batches_tracked":
            parts.setdefault(part, {})[field] = array
    linear = [name for name, arrays in parts.items() if np.ndim(arrays.get("weight", 0.0)) == 2]
    names = _names(activations, len(linear)) if linear else []
    draft = DenseDraft()
    waiting: tuple[str, str] | None = None  # a function that is behind the last layer, or behind its normalisation
    listed = list(parts)
    for index, (name, arrays) in enumerate(parts.items()):
        fields = set(arrays)
        if name in linear and fields <= {"weight", "bias"}:
            if waiting is not None:
                draft.add_function(*waiting)
            draft.add_linear(name, arrays["weight"], arrays.get("bias"))
            done = linear.index(name)
            waiting = (f"activations[{done}]", names[done])
        elif {"running_mean", "running_var"} <= fields <= _NORM:
            if waiting is not None and _is_behind(listed, index):
                draft.add_function(*waiting)
                waiting = None
            draft.add_affine(name, *_batch_norm(arrays, _EPSILON))
        else:
            raise InputError(
                f"{name}.{min(fields)}: cannot be represented; dense layers and batch normalisations can, of which "
                "a Sequential is made"
            )
    if waiting is not None:
        draft.add_function(*waiting)
    return draft


def _is_behind(parts: Sequence[str], index: int) -> bool:
    """Tell whether the function of a layer stands before a batch normalisation: by the numbers that a ``Sequential``
    gives to its parts, of which functions are missing in a state dict."""
    numbers = [name.rpartition(".")[2] for name in parts]
    own = numbers[index]
    around = [
        numbers[index - 1],
        numbers[index + 1] if index + 1 < len(parts) else str(int(own) + 2) if own.isdigit() else "",
    ]
    if not own.isdigit() or not all(number.isdigit() for number in around):
        raise InputError(
            f"{parts[index]}: whether it stands before or behind the function between layers is not in the state dict; "
            "give the model itself"
        )
    before, after = int(own) - int(around[0]) > 1, int(around[1]) - int(own) > 1
    if before and after:
        raise InputError(
            f"{parts[index]}: whether the function between layers stands before or behind it is not in the state dict, "
            "as something is missing on both sides; give the model itself"
        )
    return before


def _batch_norm(fields: Mapping[str, Any], epsilon: float) -> tuple[Reals, Reals]:
    """Give scale and offset of a batch normalisation."""
    mean, variance = (np.asarray(fields[name], np.float64) for name in ("running_mean", "running_var"))
    factor = np.asarray(fields.get("weight", 1.0), np.float64) / np.sqrt(variance + epsilon)
    return factor, np.asarray(fields.get("bias", 0.0), np.float64) - mean * factor


# scikit-learn.

_SKLEARN = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}


def _draft_sklearn(model: Any) -> DenseDraft:
    if model.activation not in _SKLEARN:
        raise InputError(
            f"activation = {model.activation!r}: cannot be represented; it is none of {', '.join(_SKLEARN)}"
        )
    out = getattr(model, "out_activation_", "identity")
    if out not in ("identity", "softmax", "logistic", "exp"):
        raise InputError(f"out_activation_ = {out!r}: cannot be represented; identity, softmax, logistic and exp can")
    draft = DenseDraft()
    for index, (weights, bias) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        if index:
            draft.add_function("activation", _SKLEARN[model.activation])
        draft.add_linear(f"coefs_[{index}]", np.asarray(weights).T, bias)
    if out == "exp":  # of the loss poisson
        draft.add_function("out_activation_", "exp")
    return draft


# torch, known by the names of its classes: nothing of it is imported.


def _number(name: str) -> Callable[[Any], float]:
    return lambda module: float(getattr(module, name))


_TORCH: dict[str, tuple[str, Callable[[Any], npt.ArrayLike] | None]] = {
    "ReLU": ("relu", None),
    "ReLU6": ("relu6", None),
    "LeakyReLU": ("leaky_relu", _number("negative_slope")),
    "PReLU": ("leaky_relu", lambda module: _plain(module.weight)),
    "ELU": ("elu", _number("alpha")),
    "CELU": ("celu", _number("alpha")),
    "SELU": ("selu", None),
    "Sigmoid": ("sigmoid", None),
    "LogSigmoid": ("log_sigmoid", None),
    "Hardsigmoid": ("hardsigmoid", None),
    "Hardswish": ("hardswish", None),
    "Tanh": ("tanh", None),
    "SiLU": ("silu", None),
    "Mish": ("mish", None),
    "Softsign": ("softsign", None),
}

_IGNORED = {"Identity", "Dropout", "AlphaDropout", "Flatten"}
"""What does nothing to a sample in the mode ``eval``, or nothing to one that is a row."""

_WHY = {
    "Conv1d": "a convolution mixes neighbours",
    "Conv2d": "a convolution mixes neighbours",
    "MultiheadAttention": "attention multiplies values with each other",
    "LayerNorm": "it divides by what all nodes together are",
    "GroupNorm": "it divides by what several nodes together are",
    "RMSNorm": "it divides by what all nodes together are",
    "Softmax": "it divides by what all nodes together are; leave it out, as the highest output is the same without",
    "LogSoftmax": "it depends on all nodes together; leave it out, as the highest output is the same without",
    "MaxPool1d": "a maximum depends on several nodes",
    "MaxPool2d": "a maximum depends on several nodes",
    "Bilinear": "it multiplies inputs with each other",
    "LSTM": "it has a state",
    "GRU": "it has a state",
    "RNN": "it has a state",
}


def _plain(tensor: Any) -> Reals:
    return np.asarray(tensor.detach().cpu().double().numpy())


def _draft_torch(model: Any) -> DenseDraft:
    draft = DenseDraft()
    if getattr(model, "training", False) and any(
        _kind(part).startswith("BatchNorm") for _, part in _parts("model", model)
    ):
        raise InputError("model: is in the mode train, where a batch normalisation depends on the batch; call eval()")
    for name, part in _parts("model", model):
        _add_torch(draft, name, part)
    return draft


def _kind(module: Any) -> str:
    return type(module).__name__


def _parts(name: str, module: Any) -> Iterable[tuple[str, Any]]:
    """Give the parts of a ``Sequential`` in their order, those of nested ones too."""
    if _kind(module) != "Sequential":
        yield name, module
        return
    for inner, part in module.named_children():
        yield from _parts(f"{name}.{inner}", part)


def _add_torch(draft: DenseDraft, name: str, part: Any) -> None:
    kind = _kind(part)
    if kind == "Linear":
        draft.add_linear(name, _plain(part.weight), None if part.bias is None else _plain(part.bias))
    elif kind == "BatchNorm1d":
        if part.running_mean is None:
            raise InputError(f"{name}: BatchNorm1d without running statistics depends on the batch; train with them")
        fields = {"running_mean": _plain(part.running_mean), "running_var": _plain(part.running_var)}
        if part.weight is not None:
            fields |= {"weight": _plain(part.weight), "bias": _plain(part.bias)}
        draft.add_affine(name, *_batch_norm(fields, float(part.eps)))
    elif kind in _TORCH:
        function, parameter = _TORCH[kind]
        draft.add_function(name, function, None if parameter is None else parameter(part))
    elif kind == "GELU":
        if part.approximate != "none":
            raise InputError(f"{name}: GELU(approximate = {part.approximate!r}) cannot be represented; 'none' can")
        draft.add_function(name, "gelu")
    elif kind == "Softplus":
        beta = float(part.beta)
        draft.add_affine(name, beta, 0.0)
        draft.add_function(name, "softplus")
        draft.add_affine(name, 1 / beta, 0.0)
    elif kind == "Hardtanh":
        half, middle = (part.max_val - part.min_val) / 2, (part.max_val + part.min_val) / 2
        draft.add_affine(name, 1 / half, -middle / half)
        draft.add_function(name, "hardtanh")
        draft.add_affine(name, half, middle)
    elif kind not in _IGNORED:
        why = _WHY.get(kind, "it is not known as a dense layer, a batch normalisation or a function of one variable")
        raise InputError(f"{name}: {kind} cannot be represented: {why}")
