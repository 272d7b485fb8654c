"""Scalers of scikit-learn in front of a model, which become the affine map in front of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

_SCALERS = ("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler")


def split_pipeline(model: Any) -> tuple[npt.ArrayLike, npt.ArrayLike, Any]:
    """Take a fitted ``Pipeline`` of scalers and a model apart.

    Parameters
    ----------
    model
        The pipeline, or any other model, before which there is nothing.

    Returns
    -------
    scale, offset : number or array ``(n_in,)``
        What the scalers do together: ``x * scale + offset``.
    model
        The model behind them.

    Raises
    ------
    InputError
        If there is anything else in front of the model.
    """
    steps = getattr(model, "steps", None)
    if not isinstance(steps, list) or not hasattr(model, "named_steps"):
        return 1.0, 0.0, model
    scale: Any = 1.0
    offset: Any = 0.0
    for name, step in steps[:-1]:
        if step in (None, "passthrough"):
            continue
        factor, constant = _affine(name, step)
        scale, offset = scale * factor, offset * factor + constant
    return scale, offset, steps[-1][1]


def _affine(name: str, scaler: Any) -> tuple[Any, Any]:
    """Give scale and offset of a fitted scaler."""
    kind = type(scaler).__name__
    if kind not in _SCALERS:
        raise InputError(f"{name}: {kind} cannot be represented; in front of a model {', '.join(_SCALERS)} can")
    if getattr(scaler, "clip", False):
        raise InputError(f"{name}: {kind}(clip=True) cannot be represented; without clip it can")
    fitted = [field for field in ("scale_", "mean_", "min_", "center_", "n_features_in_") if hasattr(scaler, field)]
    if not fitted:
        raise InputError(f"{name}: {kind} is not fitted; fit it first")
    if kind == "MinMaxScaler":
        return scaler.scale_, scaler.min_
    divisor = getattr(scaler, "scale_", None)
    factor = 1.0 if divisor is None else 1.0 / np.asarray(divisor, np.float64)
    centre = getattr(scaler, "mean_" if kind == "StandardScaler" else "center_", None)
    if kind == "StandardScaler" and not scaler.with_mean:
        centre = None
    return factor, 0.0 if centre is None else -np.asarray(centre, np.float64) * factor
