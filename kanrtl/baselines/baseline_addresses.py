"""Addresses of the weights and registers of a baseline."""

from __future__ import annotations

from dataclasses import dataclass

from ..learner.address_map import COUNTER_WIDTH
from ..numeric.bits import clog2
from .baseline_spec import SATURATING, BaselineSpec


@dataclass(frozen=True)
class BaselineAddresses:
    """An address is the number of a weight (:attr:`.BaselineSpec.weight_numbers`), or with the highest bit set that of
    a register: the learning rate, control, and a counter for every kind of saturation.

    Data are integer codes, sign extended to ``data_width``; control has the bit
    :data:`kanrtl.learner.address_map.CONTROL_FREEZE`, and writing anything to a counter sets it to zero.
    """

    width: int
    data_width: int

    @classmethod
    def of(cls, spec: BaselineSpec) -> BaselineAddresses:
        """The addresses of a baseline."""
        widest = max(layer.coefficient.width for layer in spec.sums)
        return cls(
            width=max(clog2(max(spec.weight_numbers) + 1), clog2(2 + len(SATURATING))) + 1,
            data_width=max(widest, spec.rate_register.format.width + 1, COUNTER_WIDTH + 1),
        )

    rate_number = 0
    control_number = 1

    def counter_number(self, kind: str) -> int:
        """The number of the register that counts a kind of saturation."""
        return 2 + SATURATING.index(kind)

    def register(self, number: int) -> int:
        """The address of a register."""
        return 1 << (self.width - 1) | number
