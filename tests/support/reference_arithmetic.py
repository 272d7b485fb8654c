"""Rounding and saturation, written a second time, in fractions."""

from fractions import Fraction
from math import floor

from kanrtl.numeric.fixed import Format


def reference_narrow(
    exact: Fraction, format: Format, rounding: str, overflow: str = "saturate", noise: Fraction = Fraction(0)
) -> tuple[int, bool]:
    """What :func:`narrow` must give, in exact fractions; ``noise`` is in units of the format's LSB."""
    scaled = exact * 2**format.f
    code = {
        "floor": floor(scaled),
        "half_up": floor(scaled + Fraction(1, 2)),
        "half_even": round(scaled),
        "stochastic": floor(scaled + noise),
    }[rounding]
    span = 2 ** (format.i + format.f)
    low = -span // 2 if format.signed else 0
    high = low + span - 1
    fitted = min(max(code, low), high) if overflow == "saturate" else low + (code - low) % span
    return fitted, not low <= code <= high


def extremes(format: Format) -> tuple[int, int]:
    return format.minimum, format.maximum
