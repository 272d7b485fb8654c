"""What has to be written into a learner for it to be as it was at its start.

Everything that it has learned, or been given since, is reached through its access port: a list of addresses and values
brings it back, whoever writes them. With ``initial="reset"`` the learner has the list inside
(:mod:`kanrtl.learner.rtl.restorer`), and goes through it after a reset, or when it is told to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ..numeric.lfsr import LEAP, initial_state
from .address_map import AddressMap

if TYPE_CHECKING:
    from .spec import LearnerSpec


@dataclass(frozen=True)
class Restoration:
    """The writes that bring a learner to its start, in the order in which they are made.

    Attributes
    ----------
    coefficients : tuple of int
        The codes of all coefficients, by layer, node, input and index, each faster than the one before.
    registers : tuple of (int, int)
        Addresses of registers that are written then, and what: rates, and the two halves of the noise register.
    """

    coefficients: tuple[int, ...]
    registers: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, spec: LearnerSpec) -> Self:
        """The writes for a learner."""
        addresses = AddressMap.of(spec)
        rates = [code for _, code in spec.rate_registers]
        places = [
            *(addresses.learning_rate(layer) for layer in range(spec.n_layers)),
            *(addresses.linear_rate(layer) for layer in spec.linear_layers),
        ]
        registers = list(zip(places, rates, strict=True))
        if spec.update_rounding == "stochastic":
            state = initial_state(spec.seed)
            registers += [(addresses.noise, state >> LEAP), (addresses.noise, state & ((1 << LEAP) - 1))]
        coefficients = tuple(int(code) for layer in spec.initial_codes() for code in layer.ravel())
        return cls(coefficients, tuple(registers))

    @property
    def values(self) -> tuple[int, ...]:
        """Everything that is written, in its order."""
        return (*self.coefficients, *(value for _, value in self.registers))
