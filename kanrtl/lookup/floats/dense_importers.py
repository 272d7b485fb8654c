"""Dense networks (multilayer perceptrons) as lookup networks: the function of a node is part of the tables behind it.

A dense layer is a layer of edges that are lines, ``w f(x)``, where f is the function of the nodes before it. What a
layer adds up is quantised before f, and tables give ``w f`` for each code. So functions between layers cost nothing,
and codes lie where f tells values apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.checkpoint_file import read_checkpoint
from ..notes import Note
from .dense_draft import DenseDraft
from .float_kan import FloatKAN
from .input_scalers import split_pipeline
from .torch_modules import draft_parts, is_torch_module, list_live_parts, list_saved_parts, merge_pruned

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
        - a ``torch.nn.Sequential`` of linear layers, batch normalisations and functions, in the mode ``eval``; or the
          path of a file to which ``torch.save`` wrote it whole.
        - the state dict of one, or the path of a file that holds that, with ``activations``. Its parts are in the order
          of the indices in their names; in a file of safetensors, which sorts names, these must have numbers.
        - a sequence of weights, arrays ``(n_out, n_in)``, with ``activations`` and ``biases``.
    activations
        For arrays and state dicts, which do not have them: the name of the function behind every layer except for the
        last, or one for each of these, or one for each layer. Names are those of
        :data:`~kanrtl.lookup.floats.named_functions.FUNCTIONS`; a parameter may stand behind, as in
        ``"leaky_relu(0.2)"``.
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
    elif is_torch_module(model):
        _leave_out(activations, biases, "torch's model has its own")
        draft = draft_parts(list_live_parts(model))
    elif isinstance(model, (Mapping, str, Path, Checkpoint)):
        _leave_out(None, biases, "a state dict has its own")
        checkpoint = _read_state(model, entry)
        notes = list(checkpoint.notes)
        parts = list_saved_parts(checkpoint)
        if parts is None:
            draft = _draft_state(merge_pruned(checkpoint.arrays), activations, notes, checkpoint.is_sorted)
        else:
            _leave_out(activations, None, "the file holds the whole model, which has its own")
            draft = draft_parts(parts)
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


def _read_state(source: Any, entry: str | None) -> Checkpoint:
    """Read a state dict, or a whole model."""
    if isinstance(source, Mapping):
        source = {name: np.asarray(value) if isinstance(value, list) else value for name, value in source.items()}
    return source if isinstance(source, Checkpoint) else read_checkpoint(source, entry)


def _draft_state(
    state: Mapping[str, npt.NDArray[Any]], activations: Activations | None, notes: list[Note], is_sorted: bool
) -> DenseDraft:
    """Draft a network of the state dict of a ``Sequential``; add to ``notes`` what it does not tell."""
    unordered: dict[str, dict[str, npt.NDArray[Any]]] = {}
    for name, array in state.items():
        part, _, field = name.rpartition(".")
        if field != "num_batches_tracked":
            unordered.setdefault(part, {})[field] = array
    parts = {name: unordered[name] for name in _in_order(list(unordered), is_sorted)}
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
            draft.add_batch_norm(name, arrays, _EPSILON)
            notes.append(Note("assumed", f"{name}.eps", _EPSILON, "torch's default, which a state dict does not hold"))
        else:
            raise InputError(
                f"{name}.{min(fields)}: cannot be represented; dense layers and batch normalisations can, of which "
                "a Sequential is made"
            )
    if waiting is not None:
        draft.add_function(*waiting)
    return draft


_INDEX = re.compile(r"(?<![^.])([0-9]{1,9})(?![^.])")  # between dots, as a Sequential counts its parts

_NUMBER = re.compile(r"([0-9]{1,9})")


def _in_order(names: Sequence[str], is_sorted: bool) -> list[str]:
    """Give the names of parts in the order of the indices in them: a state dict that was in a file of safetensors has
    ``10`` before ``2``. Else they are in the order of the state dict; where the file has sorted that, numbers such as
    those of ``fc1`` and ``fc2`` must tell it."""
    # Texts and numbers by turns.
    split = (_NUMBER if is_sorted else _INDEX).split
    keys = {name: [int(one) if at % 2 else one for at, one in enumerate(split(name))] for name in names}
    ordered = sorted(names, key=keys.__getitem__)
    for one, other in pairwise(ordered):
        at = next((at for at, pair in enumerate(zip(keys[one], keys[other], strict=False)) if pair[0] != pair[1]), 0)
        if at % 2 == 0:
            if not is_sorted:
                return list(names)
            raise InputError(
                f"{other}: whether it stands before or behind {one} is not in the file, as safetensors sorts names; "
                "give what torch.save wrote, or names with numbers"
            )
    return ordered


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
