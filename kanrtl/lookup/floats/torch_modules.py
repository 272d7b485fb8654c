"""Sequentials of torch, in memory or as ``torch.save`` wrote them whole, known by the names of their classes.

Nothing of torch is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..checkpoints.checkpoint import Checkpoint, to_array
from ..checkpoints.flatten import ModuleClass
from .dense_draft import DenseDraft

_FUNCTIONS: dict[str, tuple[str, str | None]] = {
    "ReLU": ("relu", None),
    "ReLU6": ("relu6", None),
    "LeakyReLU": ("leaky_relu", "negative_slope"),
    "PReLU": ("leaky_relu", "weight"),
    "ELU": ("elu", "alpha"),
    "CELU": ("celu", "alpha"),
    "SELU": ("selu", None),
    "Sigmoid": ("sigmoid", None),
    "LogSigmoid": ("log_sigmoid", None),
    "Hardsigmoid": ("hardsigmoid", None),
    "Hardswish": ("hardswish", None),
    "Tanh": ("tanh", None),
    "Tanhshrink": ("tanhshrink", None),
    "Softshrink": ("softshrink", "lambd"),
    "Hardshrink": ("hardshrink", "lambd"),
    "SiLU": ("silu", None),
    "Mish": ("mish", None),
    "Softsign": ("softsign", None),
}
"""By class the name of a function, and what torch calls its parameter."""

_IGNORED = {
    *("Identity", "Flatten", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout", "FeatureAlphaDropout"),
}
"""What does nothing to a sample in the mode ``eval``, or nothing to one that is a row."""

_WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}
"""What computes the same as the module in it."""

_LINEAR_SOFTPLUS = 14.0
"""From where on softplus is its argument to six digits, which torch makes it from its threshold on."""

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
    "GLU": "it multiplies nodes with each other",
    "LSTM": "it has a state",
    "GRU": "it has a state",
    "RNN": "it has a state",
}

_UNKNOWN = "it is not known as a dense layer, a batch normalisation or a function of one variable"

_OWN_CODE = (
    "what code of its own computes cannot be read; "
    "give a Sequential of torch's modules, or the state dict with activations"
)


_HOOKED = {
    "_forward_pre_hooks": "forward pre-hook, which may change its inputs",
    "_forward_hooks": "forward hook, which may change its outputs",
}
"""By what torch calls them, what functions that it calls around a module's own do."""


@dataclass(frozen=True)
class TorchPart:
    """A module without modules in it.

    Attributes
    ----------
    name : str
        Where it stands, for messages.
    kind : str
        The name of its class; with that of its module, if that is none of torch.
    find : callable
        Gives an attribute by its name: an array, a number, a text; None where there is none.
    """

    name: str
    kind: str
    find: Callable[[str], Any]

    def number(self, name: str) -> float:
        """Give an attribute that is a number."""
        value = self.find(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{self.name}: {self.kind} without {name}; give the whole model")
        return float(value)


def draft_parts(parts: Iterable[TorchPart]) -> DenseDraft:
    """Draft a dense network of its parts in order.

    Raises
    ------
    InputError
        If one cannot be represented, by its name.
    """
    draft = DenseDraft()
    for part in parts:
        _add_part(draft, part)
    return draft


def _add_part(draft: DenseDraft, part: TorchPart) -> None:
    name, kind = part.name, part.kind
    if kind == "Linear":
        weight = part.find("weight")
        if weight is None:
            raise InputError(f"{name}: Linear without weight; give a model that holds its weights as they are used")
        draft.add_linear(name, weight, part.find("bias"))
    elif kind in ("BatchNorm1d", "SyncBatchNorm"):
        names = ("running_mean", "running_var", "weight", "bias")
        fields = {field: value for field in names if (value := part.find(field)) is not None}
        if not {"running_mean", "running_var"} <= set(fields):
            raise InputError(f"{name}: {kind} without running statistics depends on the batch; train with them")
        draft.add_batch_norm(name, fields, part.number("eps"))
    elif kind in _FUNCTIONS:
        function, parameter = _FUNCTIONS[kind]
        given = None
        if parameter is not None:
            value = part.find(parameter)
            given = value if isinstance(value, np.ndarray) else part.number(parameter)
        draft.add_function(name, function, given)
    elif kind == "RReLU":
        draft.add_function(name, "leaky_relu", (part.number("lower") + part.number("upper")) / 2)
    elif kind == "GELU":
        if (form := part.find("approximate")) != "none":
            raise InputError(f"{name}: GELU(approximate = {form!r}) cannot be represented; 'none' can")
        draft.add_function(name, "gelu")
    elif kind == "Softplus":
        beta, threshold = part.number("beta"), part.number("threshold")
        if threshold < _LINEAR_SOFTPLUS:
            raise InputError(
                f"{name}: Softplus(threshold = {threshold:g}) cannot be represented; from {_LINEAR_SOFTPLUS:g} on can"
            )
        draft.add_affine(name, beta, 0.0)
        draft.add_function(name, "softplus")
        draft.add_affine(name, 1 / beta, 0.0)
    elif kind == "Hardtanh":
        low, high = part.number("min_val"), part.number("max_val")
        half, middle = (high - low) / 2, (high + low) / 2
        draft.add_affine(name, 1 / half, -middle / half)
        draft.add_function(name, "hardtanh")
        draft.add_affine(name, half, middle)
    elif kind not in _IGNORED:
        why = _WHY.get(kind, _OWN_CODE if "." in kind else _UNKNOWN)
        raise InputError(f"{name}: {kind} cannot be represented: {why}")


# A model in memory.


def is_torch_module(model: Any) -> bool:
    """Tell whether a model is a ``torch.nn.Module``."""
    return hasattr(model, "named_children") and callable(model)


def list_live_parts(model: Any) -> list[TorchPart]:
    """List the parts of a model in memory in their order, those of nested Sequentials too.

    Raises
    ------
    InputError
        If what it computes depends on a batch, or on what is no module of it.
    """
    parts = list(_walk_live("model", model))
    if getattr(model, "training", False) and any("BatchNorm" in part.kind for part in parts):
        raise InputError("model: is in the mode train, where a batch normalisation depends on the batch; call eval()")
    return parts


def _walk_live(name: str, module: Any) -> Iterable[TorchPart]:
    kind = _find_kind(module)
    _settle_weights(name, module)
    if kind in _WRAPPERS:
        yield from _walk_live(name, getattr(module, _WRAPPERS[kind]))
    elif kind == "Sequential":
        # Not named_children(): it leaves out a module that stands in several places.
        for inner, part in module._modules.items():
            yield from _walk_live(f"{name}.{inner}", part)
    else:
        yield TorchPart(name, kind, lambda field: _find_live(module, field))


def _find_kind(module: Any) -> str:
    """Tell by which class of torch a module computes; another class may have the name of one of torch."""
    own: Any = type(module)
    name = f"{own.__module__}.{own.__name__}"
    if own.__name__ in _WRAPPERS and own.__module__.startswith("torch."):
        return str(own.__name__)
    for base in own.__mro__:
        # Where its weights are parametrised, torch makes a class of its own for a module, with the same forward.
        if base.__module__.startswith("torch.nn.modules."):
            same = own.forward is base.forward and "forward" not in vars(module)
            return str(base.__name__) if same else name
    return name


def _settle_weights(name: str, module: Any) -> None:
    """Let torch's own hooks make the weights that are used, as they do before each call; refuse all other hooks."""
    for hook in module._forward_pre_hooks.values():
        if not type(hook).__module__.startswith("torch.nn.utils."):
            raise _hook_error(name, "_forward_pre_hooks")
        hook(module, ())
    if module._forward_hooks:
        raise _hook_error(name, "_forward_hooks")


def _hook_error(name: str, hooks: str) -> InputError:
    return InputError(f"{name}: has a {_HOOKED[hooks]}; remove it")


def _find_live(module: Any, field: str) -> Any:
    value: Any = getattr(module, field, None)
    return np.asarray(value.detach().cpu().double().numpy()) if hasattr(value, "detach") else value


# A model in a file.


def list_saved_parts(checkpoint: Checkpoint) -> list[TorchPart] | None:
    """List the parts of a Sequential that was saved whole in their order, as :func:`list_live_parts` does; None where a
    file holds no such model."""
    path = checkpoint.prefix.removesuffix(".")
    return list(_walk_saved(path, checkpoint)) if _name_class(checkpoint.settings.get(path)) == "Sequential" else None


def _name_class(name: Any) -> str:
    """Give the name of a module's class, without that of its Python module if torch's own modules are in it."""
    text = str(name) if isinstance(name, ModuleClass) else ""
    return text.rpartition(".")[2] if text.startswith("torch.nn.modules.") else text


def _walk_saved(path: str, checkpoint: Checkpoint) -> Iterable[TorchPart]:
    settings, around = checkpoint.settings, f"{path}." if path else ""
    arrays = merge_pruned(checkpoint.arrays)
    kind = _name_class(settings[path])
    for hooks in _HOOKED:
        if f"{around}{hooks}" in settings:
            raise _hook_error(path or "model", hooks)
    if kind == "Sequential":
        for name, value in settings.items():
            inner = name.removeprefix(around)
            if name.startswith(around) and inner and "." not in inner and isinstance(value, ModuleClass):
                yield from _walk_saved(name, checkpoint)
        return
    own = path.removeprefix(checkpoint.prefix)

    def find(field: str) -> Any:
        array = arrays.get(f"{own}.{field}")
        return settings.get(f"{path}.{field}") if array is None else np.asarray(array, np.float64)

    yield TorchPart(path, kind, find)


def merge_pruned(state: Mapping[str, Any]) -> dict[str, Any]:
    """Give a state dict in which ``weight_orig`` and ``weight_mask`` of torch's pruning are ``weight``."""
    merged = {}
    for name, value in state.items():
        whole, _, end = name.rpartition("_")
        if end == "orig" and f"{whole}_mask" in state:
            merged[whole] = to_array(name, value) * to_array(f"{whole}_mask", state[f"{whole}_mask"])
        elif not (end == "mask" and f"{whole}_orig" in state):
            merged[name] = value
    return merged
