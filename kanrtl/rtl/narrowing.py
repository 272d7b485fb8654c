"""Where the values of a layer lose precision, and what of them saturates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Signal, Value

from ..arithmetic import LayerArithmetic
from ..fixed import FixedValue, Format, Rounding, narrow, rounding_constant

__all__ = ["Narrowing", "fitting"]


def fitting(total: Value, format: Format) -> FixedValue:
    """A sum that is known to fit ``format``."""
    if len(total) < format.width:
        total = Cat(total, total[-1].replicate(format.width - len(total)))
    return FixedValue(format, total[: format.width])


class Narrowing:
    """Narrows the values of one layer, and notes where they saturate.

    Parameters
    ----------
    rounding, update_rounding
        As in :class:`kanrtl.LearnerSpec`.
    saturating
        The kinds of value that can saturate; the others get no logic for it.
    """

    def __init__(
        self, layer: LayerArithmetic, *, rounding: str, update_rounding: str, saturating: frozenset[str]
    ) -> None:
        self._layer = layer
        self._rounding = rounding
        self._update_rounding = update_rounding
        self._saturating = saturating
        self.flags: defaultdict[str, list[Value]] = defaultdict(list)
        """By kind, a bit for every value: whether it is saturating now."""

    def narrow(
        self, kind: str, value: FixedValue, format: Format, rounding: str | None = None, when: Value | None = None
    ) -> FixedValue:
        """``value`` in ``format``; what saturates is noted ``when`` that is high."""
        overflow = "saturate" if kind in self._saturating else "wrap"
        result, outside = narrow(value, value.format.f, format, rounding or self._rounding, overflow)
        if kind in self._saturating:
            self.flags[kind].append(outside if when is None else outside & when)
        return result  # type: ignore[no-any-return]

    def changed(
        self,
        m: Module,
        coefficient: FixedValue,
        product: FixedValue,
        *,
        noise: Callable[[int], Value],
        name: str,
        when: Value | None = None,
    ) -> FixedValue:
        """``coefficient - product``, rounded once, saturated; ``noise`` gives as many of its bits as it is asked for.

        What rounding adds is narrower than what it drops: where it is a constant or noise, it stands in the bits below
        the coefficient, for nothing.
        """
        format = self._layer.formats.coefficient
        dropped = product.format.f - format.f
        rounding = self._update_rounding
        low: Value | None = None
        if dropped > 0 and rounding == Rounding.STOCHASTIC:
            low = noise(dropped)
        elif dropped > 0:
            constant = rounding_constant(rounding, dropped)
            low = None if constant is None else Const(constant, dropped)
        if low is not None:
            coefficient = FixedValue(Format(True, format.i, product.format.f), Cat(low, coefficient.raw))
            rounding = Rounding.FLOOR
        exact = coefficient - product
        difference = Signal(exact.shape(), name=name)
        m.d.comb += difference.eq(exact)
        return self.narrow("coefficient", difference, format, rounding, when)
