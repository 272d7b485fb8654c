"""What a sample reads in a layer, from the tables."""

from __future__ import annotations

import numpy as np

from kanrtl.learner.arithmetic import LayerArithmetic
from kanrtl.numeric.fixed import Codes


def bases_of(layer: LayerArithmetic, x: Codes) -> tuple[Codes, Codes, Codes]:
    """Cells ``(inputs,)``, bases and derivatives ``(inputs, banks)``, of inputs."""
    cells, rows, inside = layer.locator.locate(x)
    bases, derivatives = (np.zeros((len(x), layer.banks), dtype=np.int64) for _ in range(2))
    for source, (cell, row) in enumerate(zip(cells, rows, strict=True)):
        for basis in range(layer.window):
            bank = (cell + basis) % layer.banks
            bases[source, bank] = layer.basis_table[row, basis]
            derivatives[source, bank] = layer.derivative_table[row, basis] * inside[source]
    return cells, bases, derivatives


def window_of(layer: LayerArithmetic, coefficients: Codes, cells: Codes) -> Codes:
    """Coefficients ``(n_out, n_in, banks)``, of all ``(n_out, n_in, bases)``; zeros beyond the last."""
    window = np.zeros((layer.n_out, layer.n_in, layer.banks), dtype=np.int64)
    for source, cell in enumerate(cells):
        for index in range(cell, min(cell + layer.banks, layer.bases)):
            window[:, source, index % layer.banks] = coefficients[:, source, index]
    return window
