"""What the streams of a loop carry, and what all of its parts do alike: vectors of numbers, registers that can wait,
numbers that are set at run time, and counters of what saturates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream

from ..arrays import as_array, as_integer, check_at_least
from ..errors import InputError, LearningWarning, check_kind, cut, join_choices, warn_user
from ..fabric.parts import Parts
from ..fabric.run_time import count_events, settings_stream
from ..learner.address_map import COUNTER_WIDTH
from ..numeric.fixed import MOST_ROUNDED, SQ, Codes, FixedValue, Format, Narrowed, Rounding, narrow

__all__ = [
    "GAIN_FORMAT",
    "as_codes",
    "as_format",
    "as_signed_format",
    "check_count",
    "check_exact",
    "check_index",
    "check_rounding",
    "count_events",
    "count_events_parts",
    "count_narrowed_sum",
    "count_setting",
    "initial_codes",
    "initial_gains",
    "narrow_codes",
    "narrow_numbers",
    "register_stage",
    "settings_stream",
    "vector",
    "vector_stream",
    "write_setting",
]

GAIN_FORMAT = SQ(8, 10)
"""Of gains, where none is given: 18 bits, as wide as a multiplier of ECP5 takes."""

VECTOR_BITS = 1 << 16
"""Bits of the widest vector: Amaranth's netlists number the bits of a value with 16 bits."""

EXACT_BITS = 63
"""Bits that an exact sum may have, as those of the integer models are 64."""


def as_format(field: str, value: Format | str) -> Format:
    """A format, which may be written as in a spec file, such as ``"SQ(1, 11)"``."""
    format = value
    if not isinstance(format, Format):
        check_kind(field, value, str, "a format, such as SQ(1, 11)")
        try:
            format = Format.parse(str(value))
        except ValueError as error:
            raise InputError(f"{field} = {error}") from None
    if format.width - format.signed > EXACT_BITS:
        raise InputError(f"{field} = {format}: has more than {EXACT_BITS} bits besides a sign; use fewer")
    if format.f > EXACT_BITS:
        raise InputError(f"{field} = {format}: has more than {EXACT_BITS} fraction bits; scale the signal")
    return format


def as_signed_format(field: str, value: Format | str, what: str) -> Format:
    """The same of ``what`` needs a sign."""
    format = as_format(field, value)
    if not format.signed:
        raise InputError(f"{field} = {format}: {what} have signs; use SQ")
    return format


def vector(format: Format, count: int) -> data.ArrayLayout:
    """The layout of ``count`` numbers, the first of them lowest, as a learner has its inputs and outputs."""
    return data.ArrayLayout(format, count)


def vector_stream(format: Format, count: int, *, always_ready: bool = False) -> stream.Signature:
    """The stream of such vectors."""
    return stream.Signature(vector(format, count), always_ready=always_ready)


def check_count(field: str, value: int, bits: int) -> int:
    """``value``, if it is a number of things, each of so many ``bits`` in the widest vector that they are part of."""
    value = check_at_least(field, value, 1)
    if value * bits > VECTOR_BITS:
        most = VECTOR_BITS // bits
        raise InputError(f"{field} = {value}: a vector has at most {VECTOR_BITS} bits; give at most {most}")
    return value


def check_rounding(value: str) -> Rounding:
    """The rounding of that name, of those that need no noise."""
    names = [rounding.value for rounding in Rounding if rounding is not Rounding.STOCHASTIC]
    if not isinstance(value, str) or value not in names:
        raise InputError(f"rounding = {cut(value)}: must be one of {', '.join(names)}")
    return Rounding(value)


def check_exact(format: Format, what: str, fields: Sequence[str], narrowed_to: Format | None = None) -> None:
    """Raise :exc:`InputError` where an exact sum of ``what``, with as many fraction bits as what it is ``narrowed_to``
    has where these are more, has more bits than an integer model has; ``fields`` are those that make it wide."""
    width = format.i + max(format.f, format.f if narrowed_to is None else narrowed_to.f)
    if width > EXACT_BITS:
        raise InputError(
            f"{what}: its exact sum has {width} bits, and may have {EXACT_BITS}; use fewer in {join_choices(fields)}"
        )


def initial_codes(field: str, values: float | Sequence[float], count: int, format: Format) -> Codes:
    """The codes ``(count,)`` of one number for all, or of one for each; refused where the format does not hold it."""
    given = as_array(field, values, f"one number, or {count}").astype(np.float64)
    if given.shape not in ((), (count,)):
        raise InputError(f"{field} = {cut(values)}: must be one number, or {count}")
    if not np.isfinite(given).all():
        raise InputError(f"{field} = {cut(values)}: must be finite")
    if format.is_beyond(format.nearest(given)).any():
        raise InputError(f"{field} = {cut(values)}: is beyond {format}; give a wider format")
    return np.broadcast_to(format.quantise(given), (count,)).copy()


def initial_gains(field: str, values: float | Sequence[float], count: int, format: Format) -> Codes:
    """The same of gains: one that is not zero and would become zero, so that nothing went on, is refused too, and one
    that is rounded by more than :data:`MOST_ROUNDED` of itself is warned of."""
    codes = initial_codes(field, values, count, format)
    wanted = np.broadcast_to(np.asarray(values, dtype=np.float64), codes.shape)
    mend = "give a gain_format with more fraction bits"
    if ((codes == 0) & (wanted != 0)).any():
        raise InputError(f"{field} = {cut(values)}: becomes 0 in {format}; {mend}")
    for gain, held in sorted(set(zip(wanted.tolist(), format.to_float(codes).tolist(), strict=True))):
        off = abs(held - gain)
        if off > MOST_ROUNDED * abs(gain):
            off_by = f"{100 * off / abs(gain):.0f} % off"
            warn_user(f"{field} = {gain:g}: becomes {held:g} in {format}, {off_by}; {mend}", LearningWarning)
    return codes


def check_index(field: str, value: int, count: int) -> int:
    """``value``, if it is the index of one of ``count`` things."""
    if not 0 <= as_integer(field, value) < count:
        raise InputError(f"{field} = {value}: must be {f'0 to {count - 1}' if count > 1 else 0}")
    return int(value)


def as_codes(field: str, codes: npt.ArrayLike, format: Format, count: int) -> Codes:
    """``codes`` as an array ``(count,)``, if they are codes of ``format``."""
    array = as_array(field, codes, f"{count} integer codes")
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise InputError(f"{field}: must be {count} integer codes, not an array {array.shape} of {array.dtype}")
    if (array < format.minimum).any() or (array > format.maximum).any():
        raise InputError(f"{field} = {cut(array.tolist())}: codes of {format} are {format.minimum} to {format.maximum}")
    return array.astype(np.int64)


def register_stage(m: Module, source: tuple[Value, Value], target: tuple[Value, Value]) -> Value:
    """One register that a word waits in: ``valid`` and ``ready`` of the stream before it and of the one behind it.

    Gives when it is loaded. It takes a word in every cycle in which it is empty or its word goes.
    """
    (valid, ready), (held, taken) = source, target
    m.d.comb += ready.eq(~held | taken)
    with m.If(ready):
        m.d.sync += held.eq(valid)
    return valid & ready


def write_setting(m: Module, settings: Any, number: int, channel: int, register: FixedValue) -> None:
    """Let the stream of settings write a register; a code beyond it becomes the nearest that it holds."""
    payload, format = settings.payload, register.format
    code = payload.code
    if len(code) > format.width:
        code = narrow(code, format.f, format, Rounding.FLOOR).result.raw
    with m.If(settings.valid & (payload.number == number) & (payload.channel == channel)):
        m.d.sync += register.raw.eq(code)


def narrow_numbers(
    m: Module, sums: Sequence[FixedValue], format: Format, rounding: str, name: str
) -> tuple[list[FixedValue], Value]:
    """Exact sums in ``format``, rounded once and saturated; and a bit for each: whether it saturates."""
    narrowed: list[FixedValue] = []
    outside = Signal(len(sums), name=f"{name}_saturates")
    for index, exact in enumerate(sums):
        wire = Signal(exact.format, name=f"{name}{index}_exact")
        m.d.comb += wire.eq(exact)
        found = narrow(wire, exact.format.f, format, rounding)
        m.d.comb += outside[index].eq(found.saturated)
        narrowed.append(found.result)
    return narrowed, outside


def narrow_codes(sums: Codes, fraction: int, format: Format, rounding: str) -> tuple[Codes, bool]:
    """The same for codes ``(n,)`` with so many fraction bits."""
    found: Narrowed = narrow(sums, fraction, format, rounding)
    return found.result, bool(found.saturated.any())


def count_events_parts(parts: Parts) -> None:
    """Count what :func:`count_events` takes."""
    parts.counts["counter"] += COUNTER_WIDTH
    parts.register(COUNTER_WIDTH, moved=False)


def count_setting(parts: Parts, width: int, register: Format) -> None:
    """Count what :func:`write_setting` takes besides registers of that format, for codes of ``width`` bits."""
    parts.narrowed(SQ(width - register.f, register.f), register, Rounding.FLOOR, saturates=width > register.width)


def count_narrowed_sum(parts: Parts, exact: Format, format: Format, rounding: str, times: int) -> None:
    """Count what :func:`narrow_numbers` takes."""
    parts.narrowed(exact, format, rounding, saturates=True, times=times)
