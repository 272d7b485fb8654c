"""Weights of samples: learning rates of their own for each, as the registers of a learner hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import Reals
from ..errors import InputError, warn_user
from ..numeric.fixed import Codes, Format

MOST_STEPS = 1000
"""One sample takes no more steps than these, so that a weight of another unit is refused and not waited for."""


def find_highest(registers: Sequence[int], formats: Sequence[Format]) -> float:
    """Give the highest weight that a sample can have: that of :data:`MOST_STEPS` steps.

    Parameters are those of :func:`weigh_rates`.
    """
    return min(
        MOST_STEPS * format.maximum / max(1, register) for register, format in zip(registers, formats, strict=True)
    )


def weigh_one(
    weight: float, registers: Sequence[int], formats: Sequence[Format], least: Sequence[int]
) -> list[int] | None:
    """Give the codes of the registers for one sample that takes one step, as :func:`weigh_rates` does, but quicker.

    None where it takes several or none, or cannot have this weight: :func:`check_highest` and :func:`weigh_rates` say
    what there is to say of it.
    """
    exact = [weight * register for register in registers]
    if not all(0 <= rate <= format.maximum for rate, format in zip(exact, formats, strict=True)):
        return None
    rates = list(map(round, exact))
    return rates if any(rate >= lowest for rate, lowest in zip(rates, least, strict=True)) else None


def check_highest(field: str, weights: Reals, registers: Sequence[int], formats: Sequence[Format]) -> None:
    """Raise :exc:`InputError`, which names the highest weight, where one needs more than :data:`MOST_STEPS` steps.

    Parameters are those of :func:`weigh_rates`.
    """
    highest = find_highest(registers, formats)
    above = np.flatnonzero(weights > highest)
    if len(above):
        index = f"[{above[0]}]" if weights.strides != (0,) else ""  # one number for all samples has no index
        raise InputError(
            f"{field}{index} = {weights[above[0]]:g}: must be {highest:g} or less; divide all weights by their mean"
        )


def weigh_rates(
    weights: Reals, registers: Sequence[int], formats: Sequence[Format], least: Sequence[int]
) -> tuple[Codes, Codes]:
    """The steps that samples with ``weights``, shape ``(n,)``, take, and their learning rates.

    The rate of a step is the register times the weight, rounded to the nearest code, ties to even. Where one of the
    registers cannot hold that, the sample takes as few equal steps as they can hold. A weight with which nothing is
    learned is warned of, unless nothing is without it.

    Parameters
    ----------
    weights
        What :func:`kanrtl.arrays.check_weights` and :func:`check_highest` have let pass.
    registers
        The codes of all registers of rates (:attr:`kanrtl.LearnerSpec.rate_registers`) for a weight of 1.
    formats
        The formats of these registers.
    least
        The least codes with which anything is learned (:func:`.find_least_codes`).

    Returns
    -------
    steps, rates
        The number of steps of each sample, ``(n,)``, and the codes of the registers for each step, ``(sum of steps,
        registers)``.
    """
    exact = weights[:, None] * np.array(registers, dtype=np.float64)
    steps = np.maximum(1, np.ceil((exact / [format.maximum for format in formats]).max(axis=1)))
    rates = np.rint(exact / steps[:, None]).astype(np.int64)
    lost = (weights > 0) & (rates < least).all(axis=1)
    if lost.any() and np.greater_equal(registers, least).any():
        zero = not rates[lost].any()
        names = " and ".join(dict.fromkeys(map(str, formats)))
        warn_user(
            f"sample weights: the learning rate of {lost.sum()} of {len(weights)} samples "
            + (f"rounds to zero in {names}" if zero else "is so low that their steps round to zero")
            + f", and they are not learned; set {'learning_rate_format' if zero else 'step_format'}, a field of the "
            "spec, with more fraction bits",
            RuntimeWarning,
        )
    counts = steps.astype(np.int64)
    return counts, np.repeat(rates, counts, axis=0)
