"""The functions of one variable that are known by name, each with its derivative.

Names are those of torch's modules in small letters, or of pykan's symbolic library in words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...arrays import Reals
from ...errors import InputError

Curve = Callable[[Reals, Reals], Reals]
"""Evaluates a function at points ``(...)`` for a parameter that broadcasts to them."""

_erf = np.vectorize(math.erf, otypes=[np.float64])


@dataclass(frozen=True)
class NamedFunction:
    """A function of one variable, which may have a parameter.

    Attributes
    ----------
    value, slope : functions of points and parameter
        The function, and its derivative by the points.
    parameter : float or None
        What the parameter is where none is given; None for a function that has none.
    """

    value: Curve
    slope: Curve
    parameter: float | None = None


def _plain(value: Callable[[Reals], Reals], slope: Callable[[Reals], Reals]) -> NamedFunction:
    return NamedFunction(lambda x, _: value(x), lambda x, _: slope(x))


def _sigmoid(x: Reals) -> Reals:
    result: Reals = 0.5 * (1 + np.tanh(0.5 * x))  # does not overflow
    return result


def _silu(x: Reals) -> Reals:
    # Of the two forms the one that does not overflow.
    decay = np.exp(-np.abs(x))
    result: Reals = x * np.where(x >= 0, 1, decay) / (1 + decay)
    return result


def _silu_slope(x: Reals) -> Reals:
    share = _sigmoid(x)
    return share * (1 + x * (1 - share))


def _softplus(x: Reals) -> Reals:
    result: Reals = np.logaddexp(0, x)
    return result


def _mish_slope(x: Reals) -> Reals:
    inner = np.tanh(_softplus(x))
    result: Reals = inner + x * (1 - inner**2) * _sigmoid(x)
    return result


def _between(x: Reals, low: float, high: float) -> Reals:
    return ((x > low) & (x < high)).astype(np.float64)


def _elu(x: Reals, alpha: Reals) -> Reals:
    result: Reals = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return result


def _chebyshev(x: Reals, degree: Reals) -> Reals:
    result: Reals = np.cos(degree * np.arccos(np.clip(x, -1, 1)))
    return result


def _chebyshev_slope(x: Reals, degree: Reals) -> Reals:
    angle = np.arccos(np.clip(x, -1, 1))
    sine = np.sin(angle)
    # At the ends it is the limit, degree squared, of alternating sign below.
    ends = degree**2 * np.where(x > 0, 1.0, np.where(degree % 2 == 0, -1.0, 1.0))
    safe = np.where(sine > 1e-9, sine, 1.0)
    inside = np.where(sine > 1e-9, degree * np.sin(degree * angle) / safe, ends)
    result: Reals = np.where(np.abs(x) <= 1, inside, 0.0)
    return result


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717

FUNCTIONS: dict[str, NamedFunction] = {
    "identity": _plain(lambda x: x, np.ones_like),
    "zero": _plain(np.zeros_like, np.zeros_like),
    "one": _plain(np.ones_like, np.zeros_like),
    # What stands between the layers of networks.
    "relu": _plain(lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(np.float64)),
    "relu6": _plain(lambda x: np.clip(x, 0, 6), lambda x: _between(x, 0, 6)),
    "leaky_relu": NamedFunction(lambda x, p: np.where(x > 0, x, p * x), lambda x, p: np.where(x > 0, 1.0, p), 0.01),
    "elu": NamedFunction(_elu, lambda x, p: np.where(x > 0, 1.0, p * np.exp(np.minimum(x, 0))), 1.0),
    "celu": NamedFunction(
        lambda x, p: np.where(x > 0, x, p * np.expm1(np.minimum(x, 0) / p)),
        lambda x, p: np.where(x > 0, 1.0, np.exp(np.minimum(x, 0) / p)),
        1.0,
    ),
    "selu": _plain(
        lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: _SELU_SCALE * np.where(x > 0, 1.0, _SELU_ALPHA * np.exp(np.minimum(x, 0))),
    ),
    "sigmoid": _plain(_sigmoid, lambda x: _sigmoid(x) * _sigmoid(-x)),
    "log_sigmoid": _plain(lambda x: -_softplus(-x), lambda x: _sigmoid(-x)),
    "hardsigmoid": _plain(lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda x: _between(x, -3, 3) / 6),
    "tanh": _plain(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    "hardtanh": _plain(lambda x: np.clip(x, -1, 1), lambda x: _between(x, -1, 1)),
    "silu": _plain(_silu, _silu_slope),
    "hardswish": _plain(
        lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(np.abs(x) < 3, x / 3 + 0.5, (x >= 3).astype(np.float64)),
    ),
    "gelu": _plain(
        lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
        lambda x: 0.5 * (1 + _erf(x / math.sqrt(2))) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    ),
    "softplus": _plain(_softplus, _sigmoid),
    "tanhshrink": _plain(lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2),
    "softshrink": NamedFunction(
        lambda x, p: np.sign(x) * np.maximum(np.abs(x) - p, 0), lambda x, p: (np.abs(x) > p).astype(np.float64), 0.5
    ),
    "hardshrink": NamedFunction(
        lambda x, p: np.where(np.abs(x) > p, x, 0.0), lambda x, p: (np.abs(x) > p).astype(np.float64), 0.5
    ),
    "softsign": _plain(lambda x: x / (1 + np.abs(x)), lambda x: (1 + np.abs(x)) ** -2.0),
    "mish": _plain(lambda x: x * np.tanh(_softplus(x)), _mish_slope),
    "sign": _plain(np.sign, np.zeros_like),
    "step": _plain(lambda x: (x > 0).astype(np.float64), np.zeros_like),
    # What symbolic formulas are made of.
    "abs": _plain(np.abs, np.sign),
    "sin": _plain(np.sin, np.cos),
    "cos": _plain(np.cos, lambda x: -np.sin(x)),
    "tan": _plain(np.tan, lambda x: 1 + np.tan(x) ** 2),
    "arctan": _plain(np.arctan, lambda x: 1 / (1 + x * x)),
    "arcsin": _plain(np.arcsin, lambda x: (1 - x * x) ** -0.5),
    "arccos": _plain(np.arccos, lambda x: -((1 - x * x) ** -0.5)),
    "arctanh": _plain(np.arctanh, lambda x: 1 / (1 - x * x)),
    "exp": _plain(np.exp, np.exp),
    "log": _plain(np.log, lambda x: 1 / x),
    "sqrt": _plain(np.sqrt, lambda x: 0.5 * x**-0.5),
    "power": NamedFunction(lambda x, p: x**p, lambda x, p: p * x ** (p - 1), 2.0),
    "gaussian": _plain(lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x)),
    "chebyshev": NamedFunction(_chebyshev, _chebyshev_slope, 1.0),
}
"""The functions by name. ``gelu`` is the exact one; ``leaky_relu`` has the slope below zero as its parameter, ``elu``
and ``celu`` alpha, ``softshrink`` and ``hardshrink`` lambda, ``power`` the exponent, ``chebyshev`` the degree of the
polynomial of the first kind, whose argument is clamped to -1 and 1."""

_NONE = np.zeros(())

_BASES = (
    *("silu", "gelu", "relu", "tanh", "identity", "zero", "sigmoid", "softplus", "elu", "leaky_relu", "sin", "cos"),
    *("abs", "gaussian", "mish", "selu", "hardtanh", "relu6"),
)


def _default(name: str) -> Reals:
    return np.asarray(_NONE if FUNCTIONS[name].parameter is None else FUNCTIONS[name].parameter, dtype=np.float64)


def _with_default(name: str, curve: Curve) -> Callable[[Reals], Reals]:
    parameter = _default(name)
    return lambda x: curve(x, parameter)


BASES: dict[str, Callable[[Reals], Reals]] = {name: _with_default(name, FUNCTIONS[name].value) for name in _BASES}
"""The functions that stand beside splines, by name, with their parameters' defaults."""

BASE_SLOPES: dict[str, Callable[[Reals], Reals]] = {name: _with_default(name, FUNCTIONS[name].slope) for name in _BASES}
"""The derivatives of :data:`BASES`."""


def known_function(field: str, name: object) -> str:
    """Check the name of a function.

    Raises
    ------
    InputError
        If there is no such function, by the name ``field``.
    """
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise InputError(f"{field} = {name!r}: not a function that is known; it must be one of {', '.join(FUNCTIONS)}")
    return name
