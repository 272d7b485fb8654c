"""The edges of a learner as functions of their inputs, for pictures: the curves of the hardware, in real numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import Reals
from ..learner.arithmetic import LayerArithmetic
from ..learner.spec import LearnerSpec
from ..numeric.fixed import Codes

__all__ = ["evaluate_edges", "find_layer_inputs"]


def evaluate_edges(layer: LayerArithmetic, coefficients: Codes, x: Reals) -> Reals:
    """Give phi(x) of every edge of a layer, ``(n, n_out, n_in)``, for inputs ``(n, n_in)``.

    ``coefficients`` is ``(n_out, n_in, coefficients)``, as a session gives them. Inputs outside of the grid are those
    at its edge, or come back into it where it is periodic; linear paths take them as they are. Of modulated edges the
    curve is given that multiplies an input.
    """
    formats = layer.formats
    codes = formats.input.quantise(x, layer.input_period)
    cell, row, _ = layer.locator.locate(codes)
    bases = formats.basis.to_float(layer.basis_table[row])
    window = (cell[..., None] + np.arange(layer.window)) % layer.bases
    factors = formats.factor.to_float(layer.factors_of(coefficients))
    inputs = np.arange(layer.n_in)
    # Of each sample and input the coefficients of its window: (n_out, n, n_in, window).
    taken = factors[:, inputs[None, :, None], window]
    curves = (taken * bases).sum(axis=-1)
    if layer.linear is not None:
        curves = curves + factors[:, None, :, -1] * layer.linear.input.to_float(codes)
    return np.moveaxis(curves, 0, 1)


def find_layer_inputs(spec: LearnerSpec, coefficients: Sequence[Codes], x: Reals) -> list[Reals]:
    """Give what samples ``(n, n_in)`` are at the curves of every layer, ``(n, n_in of the layer)``, as the coefficients
    are now; of modulated inputs that which lies on the grid."""
    found: list[Reals] = []
    for layer, own in zip(spec.layers, coefficients, strict=True):
        pairs = x.reshape(len(x), layer.n_in, 1 + layer.modulation)
        found.append(pairs[:, :, -1])
        if len(found) < spec.n_layers:
            sums = _sum_nodes(evaluate_edges(layer, own, found[-1]), pairs[:, :, :-1])
            # Outputs saturate, also where the next grid is periodic.
            x = layer.formats.output.to_float(layer.formats.output.quantise(sums))
    return found


def _sum_nodes(curves: Reals, factors: Reals) -> Reals:
    """The nodes ``(n, n_out)`` of curves ``(n, n_out, n_in)``, multiplied by so many factors ``(n, n_in, 0 to 2)``."""
    if factors.shape[2] == 0:
        return curves.sum(axis=2)  # type: ignore[no-any-return]
    if factors.shape[2] == 1:
        return (curves * factors[:, None, :, 0]).sum(axis=2)  # type: ignore[no-any-return]
    real, imaginary = curves[:, 0::2], curves[:, 1::2]
    u, v = factors[:, None, :, 0], factors[:, None, :, 1]
    products = np.stack([real * u - imaginary * v, real * v + imaginary * u], axis=2)
    return products.reshape(len(curves), -1, curves.shape[2]).sum(axis=2)  # type: ignore[no-any-return]
