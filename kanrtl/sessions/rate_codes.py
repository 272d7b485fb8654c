"""Learning rates as the registers of a learner hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..arrays import as_reals
from ..errors import InputError, LearningWarning, warn_user
from ..learner.spec import LearnerSpec
from ..numeric.fixed import MOST_ROUNDED, Format


def find_least_codes(spec: LearnerSpec) -> list[int]:
    """The least codes of all registers of rates with which anything is learned, by linear paths at the grid's reach;
    beyond the register's range where nothing is at any rate."""
    roundings = spec.rounding, spec.update_rounding
    rates = [layer.smallest_learning_rate(*roundings) for layer in spec.layers]
    rates += [spec.layers[index].smallest_linear_rate(*roundings) for index in spec.linear_layers]
    return [
        register.format.maximum + 1 if rate is None else int(register.format.quantise(rate))
        for rate, register in zip(rates, spec.rate_registers, strict=True)
    ]


def warn_of_idle_layers(spec: LearnerSpec, codes: Sequence[int], least: Sequence[int]) -> None:
    """Warn of layers in which nothing is learned with these contents of the registers, which are not zero."""
    layers = [*range(spec.n_layers), *spec.linear_layers]
    for number, (index, code, lowest) in enumerate(zip(layers, codes, least, strict=True)):
        linear, format = number >= spec.n_layers, spec.rate_registers[number].format
        if 0 < code < lowest:
            formats = spec.layers[index].formats
            field, moved, step = "learning_rate", "coefficient", formats.step
            if linear:
                field, moved, step = "linear_rate", "linear path", formats.linear_step
            higher = f"give {format.to_float(lowest):g} or more, or " if lowest <= format.maximum else ""
            name = "linear_step_format" if linear else "step_format"
            warn_user(
                f"{field} = {format.to_float(code):g}: moves no {moved} of layer {index}, whose steps, in {step}, or "
                f"updates round to zero; {higher}set {name}, a field of the spec, with more fraction bits",
                LearningWarning,
            )


def find_rate_codes(
    field: str, given: npt.ArrayLike, count: int, format: Format, mends: tuple[str, str] | None = None
) -> list[int]:
    """The codes of ``count`` registers in ``format`` for one rate, or for one each; ``mends`` say how the format has
    more integer bits, and more fraction bits, by a field of its own if they are not given.

    Raises :exc:`InputError`, which names ``field``, where a register does not hold a rate, or would hold zero for it
    though it is more; a rate that is rounded by more than :data:`MOST_ROUNDED` is warned of.
    """
    rates = as_reals(field, given, f"one for all layers, or {count}")
    if rates.shape not in ((), (count,)):
        raise InputError(f"{field}: shape {rates.shape}; give one number for all layers, or {count}")
    rates = np.broadcast_to(rates, (count,))
    larger, finer = mends or (
        f"set {field}_format in the spec with more integer bits",
        f"set {field}_format, now {format}, with more fraction bits",
    )
    for value in rates.tolist():
        if not np.isfinite(value) or not format.holds(value):
            highest = float(format.to_float(format.maximum))
            mend = larger if 0 < value < np.inf else "give one of these"
            raise InputError(f"{field} = {value}: {format} holds 0 to {highest}; {mend}")
        if value and not format.quantise(value):
            raise InputError(f"{field} = {value}: rounds to zero in {format}; give {format.lsb} or more, or 0")
    codes = format.quantise(rates)
    for value, held in sorted(set(zip(rates.tolist(), format.to_float(codes).tolist(), strict=True))):
        if abs(held - value) > MOST_ROUNDED * value:
            warn_user(
                f"{field} = {value:g}: becomes {held} in its register, {100 * abs(held - value) / value:.0f} % off; "
                f"give a multiple of {format.lsb}, or {finer}",
                LearningWarning,
            )
    return [int(code) for code in codes]
