"""Where the values of a layer lose precision, and what of them saturates."""

from __future__ import annotations

from collections import defaultdict

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import data

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format, Rounding, narrow, rounding_constant
from ..plan import LayerPlan


def resize(total: Value, format: Format) -> FixedValue:
    """``total``, a sum that is known to fit ``format``, in exactly the bits of that."""
    if len(total) < format.width:
        total = Cat(total, total[-1].replicate(format.width - len(total)))
    return FixedValue(format, total[: format.width])


def cut_guard_bits(coefficient: FixedValue, factor: Format) -> FixedValue:
    """What of a coefficient is multiplied: its high bits."""
    return FixedValue(factor, coefficient.raw[coefficient.format.f - factor.f :])


def rounding_bits(rounding: str, dropped: int, noise: Value) -> Value | None:
    """What an update's rounding adds in the ``dropped`` bits; None where it is not that simple.

    ``noise`` has ``dropped`` bits, or fewer that are the highest of them, and matters only where rounding is
    stochastic. What is added is narrower than what is dropped, so it can stand in the bits below a coefficient, for
    nothing.
    """
    if dropped <= 0:
        return None
    if rounding == Rounding.STOCHASTIC:
        return Cat(Const(0, dropped - len(noise)), noise)
    constant = rounding_constant(rounding, dropped)
    return None if constant is None else Const(constant, dropped)


def flag_layout(saturating: frozenset[str], **counts: int) -> data.StructLayout:
    """A bit for every value that a component narrows, by kind, from their counts; nothing for a kind that cannot
    saturate."""
    return data.StructLayout({kind: count for kind, count in counts.items() if kind in saturating and count})


class Narrowing:
    """Narrows the values of one layer or of a component of it, and notes where they saturate.

    Parameters
    ----------
    rounding
        As in :class:`kanrtl.LearnerSpec`.
    saturating
        The kinds of value that can saturate; the others get no logic for it.
    """

    def __init__(self, rounding: str, saturating: frozenset[str]) -> None:
        self._rounding = rounding
        self._saturating = saturating
        self.flags: defaultdict[str, list[Value]] = defaultdict(list)
        """By kind, a bit for every value: whether it is saturating now."""

    def narrow(
        self, kind: str, value: FixedValue, format: Format, rounding: str | None = None, when: Value | None = None
    ) -> FixedValue:
        """``value`` in ``format``; what saturates is noted ``when`` that is high."""
        overflow = "saturate" if kind in self._saturating else "wrap"
        result, outside = narrow(value, value.format.f, format, rounding or self._rounding, overflow)
        self.note(kind, outside, when)
        return result  # type: ignore[no-any-return]

    def note(self, kind: str, outside: Value, when: Value | None = None) -> None:
        """Note that a value of ``kind`` saturates where ``outside`` is high, while ``when`` is."""
        if kind in self._saturating:
            self.flags[kind].append(outside if when is None else outside & when)

    def report(self, m: Module, saturated: data.View) -> None:
        """Drive ``saturated``, which has the :func:`flag_layout` of what was narrowed."""
        for kind, flags in self.flags.items():
            assert len(saturated[kind]) == len(flags), f"{len(flags)} values of kind {kind}"
            m.d.comb += saturated[kind].eq(Cat(flags))


def count_narrowing(
    parts: Parts, plan: LayerPlan, kind: str, value: Format, format: Format, times: int, *, rounds: bool = True
) -> None:
    """Count what :meth:`Narrowing.narrow` takes; ``rounds`` as in :meth:`.Parts.narrowed`."""
    parts.narrowed(value, format, plan.rounding, saturates=kind in plan.saturating, times=times, rounds=rounds)
