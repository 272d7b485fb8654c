"""A dense network as it grows: layers of weights, and what stands between them as chains of functions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..number_checks import check_array, check_shape, check_tensor
from .edge_functions import NamedFunctions
from .float_kan import FloatKAN
from .float_layer import FloatLayer
from .named_functions import FUNCTIONS

_WITH_PARAMETER = re.compile(r"(\w+)\(([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\)")


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
        self._layers.append((self._steps, array, check_tensor(f"{name}: bias", given, (len(array),))))
        self._steps = []

    def add_function(self, name: str, function: str, parameter: npt.ArrayLike | None = None) -> None:
        """Add a function of every node, of the name ``function``, in which its parameter may stand too, as in
        ``leaky_relu(0.2)``; messages call it ``name``."""
        if parameter is None and (match := _WITH_PARAMETER.fullmatch(function)):
            function, parameter = match[1], float(match[2])
        if function not in FUNCTIONS:
            raise InputError(f"{name}: {function!r} cannot be represented; it must be one of {', '.join(FUNCTIONS)}")
        if parameter is not None and FUNCTIONS[function].parameter is None:
            raise InputError(f"{name}: {function!r} has no parameter; leave out what stands in brackets")
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

    def add_batch_norm(self, name: str, fields: Mapping[str, Any], epsilon: float) -> None:
        """Add a batch normalisation in the mode ``eval``, of the arrays that torch calls ``running_mean``,
        ``running_var`` and, if it has them, ``weight`` and ``bias``; messages call it ``name``."""
        shape = np.shape(fields["running_mean"]) if self.n_out is None else (self.n_out,)
        mean, variance, weight, bias = (
            check_tensor(f"{name}.{field}", fields[field], shape) if field in fields else default
            for field, default in (("running_mean", 0.0), ("running_var", 0.0), ("weight", 1.0), ("bias", 0.0))
        )
        factor = weight / np.sqrt(variance + epsilon)
        self.add_affine(name, factor, bias - mean * factor)

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
