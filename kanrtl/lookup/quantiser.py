"""From real inputs to the codes of the first layer: ``clip(rint(x * scale + offset))``, half to even.

A :class:`Quantiser` does it in real numbers, on the host. A :class:`FixedQuantiser` takes fixed-point inputs, such as
the codes of a converter, and does it in integers; it is what the hardware does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, as_array
from ..errors import InputError, check_kind
from ..numeric.fixed import SQ, Codes, Format, narrow
from .number_checks import check_bits, check_integer

_WIDEST = 60  # bits of inputs in hardware: with a scale and an offset they are to fit the model's integers


@dataclass(frozen=True, eq=False)
class Quantiser:
    """Makes codes of real inputs: ``code = saturate(rint(x * scale + offset))``.

    Attributes
    ----------
    scale, offset : arrays ``(n_in,)``
        The constants of every input, in codes.
    bits : int
        How many bits a code has.
    """

    scale: Reals
    offset: Reals
    bits: int

    @classmethod
    def of(cls, scale: npt.ArrayLike, offset: npt.ArrayLike, bits: int, n_in: int) -> Self:
        """Make a quantiser of plain numbers, and check them.

        Parameters
        ----------
        scale, offset
            One number for all inputs, or an array ``(n_in,)``.
        bits
            How many bits a code has.
        n_in
            The number of inputs.

        Raises
        ------
        InputError
            If an array has another shape, a number is not finite, or there is no code of so many bits.
        """
        checked = check_bits("quantiser.bits", bits)
        return cls(_per_input("scale", scale, n_in), _per_input("offset", offset, n_in), checked)

    @property
    def n_in(self) -> int:
        """The number of inputs."""
        return len(self.scale)

    def codes(self, x: Reals) -> Codes:
        """Make codes ``(n, n_in)`` of real inputs ``(n, n_in)``; infinite ones saturate."""
        with np.errstate(over="ignore"):
            # What a scale of zero leaves out may be infinite.
            exact = np.where(self.scale == 0, 0.0, x) * self.scale + self.offset
        limit = 1 << (self.bits - 1)
        return np.clip(np.rint(exact), -limit, limit - 1).astype(np.int64)

    def fixed(self, format: Format, fraction_bits: int = 8) -> FixedQuantiser:
        """Give the same quantiser in integers, for inputs in ``format``.

        No code differs, except where an input lies within ``2**-fraction_bits`` codes of the border between two.

        Raises
        ------
        InputError
            If ``format`` is none, or its constants are too large for the model's integers.
        """
        check_kind("format", format, Format, "a Format, such as SQ(4, 12)")
        return FixedQuantiser.of(self, format, fraction_bits)

    # Files.

    def about(self) -> dict[str, Any]:
        """Describe the quantiser for a file, in what JSON can hold."""
        return {"kind": "real", "bits": self.bits}

    def arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Give the arrays for a file, by name."""
        yield "input_scale", self.scale
        yield "input_offset", self.offset

    @classmethod
    def from_archive(cls, about: Mapping[str, Any], content: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Make the quantiser that :meth:`about` and :meth:`arrays` described.

        Raises
        ------
        InputError
            If the arrays do not fit together.
        """
        return cls.of(content["input_scale"], content["input_offset"], about["bits"], len(content["input_scale"]))


def _per_input(field: str, values: npt.ArrayLike, n_in: int) -> Reals:
    array = as_array(f"quantiser.{field}", values, f"one number, or {n_in}").astype(np.float64)
    if array.shape not in ((), (n_in,)):
        raise InputError(f"quantiser.{field}: shape {array.shape}; give one number, or {n_in}")
    if not np.isfinite(array).all():
        raise InputError(f"quantiser.{field}: not all numbers are finite; give finite ones")
    return np.broadcast_to(array, (n_in,))


def step_quantiser(n_in: int, bits: int, step: float) -> Quantiser:
    """Make the quantiser that divides each of ``n_in`` inputs by ``step``, and gives codes of ``bits`` bits."""
    return Quantiser.of(1 / step, 0.0, bits, n_in)


@dataclass(frozen=True, eq=False)
class FixedQuantiser:
    """Makes codes of fixed-point inputs, in integers.

    The code of an input is ``saturate(round_half_even((raw * scale + offset) / 2**shift))``.

    Attributes
    ----------
    format : Format
        The format of the inputs, whose codes are ``raw``.
    scale, offset : arrays of integers ``(n_in,)``
        The constants of every input.
    shift : int
        How many bits are cut off.
    bits : int
        How many bits a code has.

    Raises
    ------
    InputError
        If these are no such numbers, or too large for the model's integers.
    """

    format: Format
    scale: Codes
    offset: Codes
    shift: int
    bits: int

    def __post_init__(self) -> None:
        check_bits("quantiser.bits", self.bits)
        check_integer("quantiser.shift", self.shift, 0, 62)
        for field, array in (("scale", self.scale), ("offset", self.offset)):
            if array.ndim != 1 or array.dtype.kind != "i" or array.shape != self.scale.shape or not array.size:
                raise InputError(
                    f"quantiser.{field}: shape {array.shape}, type {array.dtype}; give integers, one for each input"
                )
        scale, offset = (max(-int(array.min()), int(array.max())) for array in (self.scale, self.offset))
        if self.format.width <= _WIDEST:
            largest = (scale << (self.format.width - self.format.signed)) + offset + (1 << self.shift)
            if largest <= 1 << 63:
                return
        raise _too_large(self.format)

    @classmethod
    def of(cls, quantiser: Quantiser, format: Format, fraction_bits: int) -> Self:
        """Make integers of a quantiser; see :meth:`Quantiser.fixed`."""
        # Over all inputs, |raw| < 2**width: the error of a scale, half an LSB, grows to 2**(width - 1 - shift).
        shift = format.width + fraction_bits
        if format.width > _WIDEST:
            raise _too_large(format)
        scale = np.rint(quantiser.scale * format.lsb * 2.0**shift)
        offset = np.rint(quantiser.offset * 2.0**shift)
        if (np.abs(scale) >= 2.0 ** (_WIDEST - format.width)).any() or (np.abs(offset) >= 2.0**_WIDEST).any():
            raise _too_large(format)
        return cls._shorten(format, scale.astype(np.int64), offset.astype(np.int64), shift, quantiser.bits)

    @classmethod
    def _shorten(cls, format: Format, scale: Codes, offset: Codes, shift: int, bits: int) -> Self:
        """Cut the zeros that all constants end in: where the scales are powers of two, no multiplier is left."""
        while shift and not ((scale | offset) & 1).any():
            scale, offset, shift = scale >> 1, offset >> 1, shift - 1
        return cls(format, scale, offset, shift, bits)

    @property
    def n_in(self) -> int:
        """The number of inputs."""
        return len(self.scale)

    def raw_codes(self, x: Reals) -> Codes:
        """Give real inputs ``(n, n_in)`` as the component takes them, as codes of ``format``."""
        return self.format.quantise(x)

    def codes_of_raw(self, raw: Codes) -> Codes:
        """Make the codes of the first layer ``(n, n_in)`` for inputs that are codes of ``format``."""
        exact = raw * self.scale + self.offset
        result: Codes = narrow(exact, self.shift, SQ(self.bits, 0), "half_even").result
        return result

    def codes(self, x: Reals) -> Codes:
        """Make codes ``(n, n_in)`` of real inputs ``(n, n_in)``."""
        return self.codes_of_raw(self.raw_codes(x))

    # Files.

    def about(self) -> dict[str, Any]:
        """Describe the quantiser for a file, in what JSON can hold."""
        return {"kind": "fixed", "bits": self.bits, "format": str(self.format), "shift": self.shift}

    def arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Give the arrays for a file, by name."""
        yield "input_scale", self.scale
        yield "input_offset", self.offset

    @classmethod
    def from_archive(cls, about: Mapping[str, Any], content: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Make the quantiser that :meth:`about` and :meth:`arrays` described.

        Raises
        ------
        InputError
            If the format or the arrays are damaged.
        """
        try:
            format = Format.parse(about["format"])
        except ValueError as error:
            raise InputError(f"quantiser: {error}") from None
        return cls(format, content["input_scale"], content["input_offset"], about["shift"], about["bits"])


QUANTISERS: dict[str, type[Quantiser] | type[FixedQuantiser]] = {"real": Quantiser, "fixed": FixedQuantiser}
"""The quantisers, by the names that files have for them."""


def _too_large(format: Format) -> InputError:
    return InputError(f"quantiser: its scale or offset is too large for inputs in {format}; give fewer bits")
