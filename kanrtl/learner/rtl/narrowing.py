"""Where the values of a layer lose precision, and what of them saturates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Signal, Value

from ...numeric.fixed import FixedValue, Format, Rounding, narrow, rounding_constant
from ..arithmetic import LayerArithmetic

__all__ = ["Narrowing", "fitting", "rounding_bits"]


def fitting(total: Value, format: Format) -> FixedValue:
    """A sum that is known to fit ``format``."""
    if len(total) < format.width:
        total = Cat(total, total[-1].replicate(format.width - len(total)))
    return FixedValue(format, total[: format.width])


def rounding_bits(rounding: str, dropped: int, noise: Callable[[int], Value]) -> Value | None:
    """What an update's rounding adds in the ``dropped`` bits; None where it is not that simple.

    ``noise`` gives as many of its bits as it is asked for. What is added is narrower than what is dropped, so it can
    stand in the bits below a coefficient, for nothing.
    """
    if dropped <= 0:
        return None
    if rounding == Rounding.STOCHASTIC:
        return noise(dropped)
    constant = rounding_constant(rounding, dropped)
    return None if constant is None else Const(constant, dropped)


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
        """``coefficient - product``, rounded once, saturated; ``noise`` as in :func:`rounding_bits`."""
        format = self._layer.formats.coefficient
        rounding = self._update_rounding
        low = rounding_bits(rounding, product.format.f - format.f, noise)
        if low is not None:
            coefficient = FixedValue(Format(True, format.i, product.format.f), Cat(low, coefficient.raw))
            rounding = Rounding.FLOOR
        exact = coefficient - product
        difference = Signal(exact.shape(), name=name)
        m.d.comb += difference.eq(exact)
        return self.narrow("coefficient", difference, format, rounding, when)
