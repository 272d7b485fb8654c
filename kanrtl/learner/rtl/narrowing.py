"""Where the values of a layer lose precision, and what of them saturates."""

from __future__ import annotations

from collections import defaultdict

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import data

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format, Narrowed, Rounding, narrow, rounding_constant
from ..arithmetic import LayerArithmetic
from ..plan import LayerPlan


def resize(total: Value, format: Format) -> FixedValue:
    """``total``, a sum that is known to fit ``format``, in exactly the bits of that."""
    if len(total) < format.width:
        total = Cat(total, total[-1].replicate(format.width - len(total)))
    return FixedValue(format, total[: format.width])


def cut_guard_bits(coefficient: FixedValue, factor: Format) -> FixedValue:
    """What of a coefficient is multiplied: its high bits."""
    return FixedValue(factor, coefficient.raw[coefficient.format.f - factor.f :])


def clip(value: FixedValue, format: Format, rounding: str, limit: int) -> Narrowed:
    """As :func:`.narrow`, saturated to codes from ``-limit`` to ``limit``."""
    # Rounded up it may be beyond its own bits: one more.
    wide = Format(True, max(value.format.i + 1, format.i), format.f)
    code = narrow(value, value.format.f, wide, rounding, "wrap").result.raw
    low, high = code < -limit, code >= limit
    if not limit & (limit - 1):  # told from the bits above alone
        above = code[limit.bit_length() - 1 :]
        low, high = code[-1] & ~above.all(), ~code[-1] & above.any()
    bounds = [Const(bound & ((1 << format.width) - 1), format.width) for bound in (-limit, limit)]
    result = Mux(low, bounds[0], Mux(high, bounds[1], code[: format.width]))
    return Narrowed(FixedValue(format, result), low | (high & (code != limit)))


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
        self,
        kind: str,
        value: FixedValue,
        format: Format,
        rounding: str | None = None,
        when: Value | None = None,
        limit: int | None = None,
    ) -> FixedValue:
        """``value`` in ``format``, with a ``limit`` as :func:`clip`; what saturates is noted ``when`` that is high."""
        overflow, rounding = "saturate" if kind in self._saturating else "wrap", rounding or self._rounding
        if limit is None:
            result, outside = narrow(value, value.format.f, format, rounding, overflow)
        else:
            result, outside = clip(value, format, rounding, limit)
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


def count_limit(parts: Parts, layer: LayerArithmetic) -> None:
    """Count what :func:`clip` takes more than saturating, for the gradients of all nodes of ``layer``: comparisons."""
    limit = layer.gradient_limit
    if limit is None:
        return
    width = layer.formats.gradient.width
    parts.counts["detection"] += width * layer.n_out
    if limit & (limit - 1):
        parts.adder(width, 2 * layer.n_out)
