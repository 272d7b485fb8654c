"""Addresses of everything in a learner that can be read and written from outside.

An address is split into fields of whole bits, from the lowest: coefficient index, input, node, layer, and at the
top one bit that chooses between coefficients (0) and registers (1, their number in the index field). The index behind
those of an edge's bases is that of its linear path's w, where it has one. Data are integer codes, sign extended to
:attr:`AddressMap.data_width`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..numeric.bits import clog2
from .guard_settings import LIMITS, SIGNATURES

if TYPE_CHECKING:
    from .spec import LearnerSpec

COUNTER_WIDTH = 16
"""Saturation counters stop at their highest value, which says "that many or more", until they are cleared."""

SATURATIONS = ("activation", "gradient", "slope", "step", "coefficient")
"""Where a value can saturate. Each is counted once for a sample (activation) or a learning step (the others) in which
any value of that kind, in any layer, did."""

ON_DEMAND = ("outside", "lost")
"""What is counted where a spec's ``counts`` ask for it, once for a learning step: that an input of any layer is outside
of its grid; and that in any edge whose gradient is not zero no coefficient moves, though the rate is not zero."""

CONTROL_FREEZE = 1 << 0
"""Bit of the control register: nothing that is taught is learned."""

CONTROL_RESTORE = 1 << 1
"""Bit of the control register, only with ``initial="reset"``: writing 1 brings coefficients, rates, noise and counters
to what they were at the start. Samples and further requests wait meanwhile; it reads zero."""

GUARD_FAULT = 1 << len(SIGNATURES)
"""Bit of the guard's status, above those of :data:`SIGNATURES`: it sees a fault, and the learner is frozen."""

GUARD_RELEASE = GUARD_FAULT
"""Bit of the guard's status that ends a fault where it is written."""

GUARD_ADOPT = GUARD_FAULT << 1
"""Bit of the guard's status that makes the coefficients as they are the good ones where it is written, and begins a
window, when the steps before are done; it reads zero."""

_GUARD = ("status", "error_sum", *(f"limit {name}" for name in LIMITS), *(f"count {name}" for name in SIGNATURES))


@dataclass(frozen=True)
class AddressMap:
    """The address fields of a learner, as numbers of bits, and the numbers of its registers."""

    index_bits: int
    input_bits: int
    node_bits: int
    layer_bits: int
    n_layers: int
    linear_layers: tuple[int, ...]
    """The layers that have a linear path."""
    counts: tuple[str, ...]
    """What is counted (:data:`ON_DEMAND`) besides what saturates."""
    guarded: bool
    """Whether the learner has a guard, whose registers lie behind all others."""
    data_width: int
    """Bits of what is read and written: those of the widest of all."""

    @classmethod
    def of(cls, spec: LearnerSpec) -> AddressMap:
        """The map of a learner: fields as wide as its sizes need."""
        registers = spec.n_layers + len(spec.linear_layers) + len(SATURATIONS) + 2 + len(spec.counts)
        registers += len(_GUARD) if spec.guard else 0
        limits = spec.guard.widths(spec.n_out, spec.formats.layers[-1].gradient) if spec.guard else {}
        linear_rate = spec.formats.linear_rate
        return cls(
            index_bits=max(clog2(registers), *(clog2(layer.coefficients) for layer in spec.layers)),
            input_bits=max(clog2(layer.n_in) for layer in spec.layers),
            node_bits=max(clog2(layer.n_out) for layer in spec.layers),
            layer_bits=clog2(spec.n_layers),
            n_layers=spec.n_layers,
            linear_layers=spec.linear_layers,
            counts=tuple(spec.counts),
            guarded=spec.guard is not None,
            data_width=max(
                *(layer.formats.coefficient.width for layer in spec.layers),
                spec.formats.learning_rate.width + 1,
                linear_rate.width + 1 if linear_rate else 0,
                COUNTER_WIDTH + 1,
                *(width + 1 for width in limits.values()),
            ),
        )

    @property
    def width(self) -> int:
        """Bits of an address."""
        return self.index_bits + self.input_bits + self.node_bits + self.layer_bits + 1

    def coefficient(self, layer: int, node: int, source: int, index: int) -> int:
        """Address of ``coefficients[layer][node, source, index]``."""
        address = (layer << self.node_bits | node) << self.input_bits | source
        return address << self.index_bits | index

    def _register(self, number: int) -> int:
        return 1 << (self.width - 1) | number

    def learning_rate(self, layer: int) -> int:
        """Address of a layer's learning rate, read and write."""
        return self._register(layer)

    def linear_rate(self, layer: int) -> int:
        """Address of the rate of a layer's linear path, read and write; those of layers without have none."""
        return self._register(self.n_layers + self.linear_layers.index(layer))

    @property
    def _first_counter(self) -> int:
        return self.n_layers + len(self.linear_layers)

    def saturations(self, kind: str) -> int:
        """Address of the counter of a kind of :data:`SATURATIONS`, or of one that the spec counts besides; writing
        anything sets it to zero."""
        if kind in self.counts:
            return self._register(self._first_counter + len(SATURATIONS) + 2 + self.counts.index(kind))
        return self._register(self._first_counter + SATURATIONS.index(kind))

    @property
    def noise(self) -> int:
        """Address of the noise register, 16 bits at a time; absent without stochastic rounding.

        Reading gives its high half. Writing moves the low half up and the data to the low end, so that two writes, of
        the high half first, write the register, and a write in between lets the low half be read. It must not become
        zero, which it would never leave."""
        return self._register(self._first_counter + len(SATURATIONS))

    @property
    def control(self) -> int:
        """Address of the control register: :data:`CONTROL_FREEZE`, :data:`CONTROL_RESTORE`."""
        return self._register(self._first_counter + len(SATURATIONS) + 1)

    def _guard(self, name: str) -> int:
        if not self.guarded:
            raise ValueError("the learner has no guard")
        first = self._first_counter + len(SATURATIONS) + 2 + len(self.counts)
        return self._register(first + _GUARD.index(name))

    @property
    def guard_status(self) -> int:
        """Address of the guard's status: a bit for each of :data:`SIGNATURES` that was seen since the last release, and
        :data:`GUARD_FAULT`. What is written are :data:`GUARD_RELEASE` and :data:`GUARD_ADOPT`."""
        return self._guard("status")

    @property
    def guard_error_sum(self) -> int:
        """Address of the errors of the last window that was judged, in LSBs of the gradient; read only."""
        return self._guard("error_sum")

    def guard_limit(self, name: str) -> int:
        """Address of one of the guard's limits (:data:`LIMITS`), read and write: a code that its register does not hold
        is written as the highest, and so answered."""
        return self._guard(f"limit {name}")

    def guard_count(self, signature: str) -> int:
        """Address of the counter of one of :data:`SIGNATURES`; writing anything sets it to zero."""
        return self._guard(f"count {signature}")
