"""Powers, Chebyshev polynomials and products of inputs."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.rtl.multiply import carry_chain_barrier
from ...learner.rtl.narrowing import rounding_bits
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.fixed import SQ, FixedValue, Overflow, Rounding, narrow, rounding_constant
from ..lms_spec import LmsSpec
from ..polynomial import Product


class PolynomialFeatures(wiring.Component):  # type: ignore[misc]
    """The features of a polynomial: the inputs, and each product of two features by one multiplier
    (:mod:`kanrtl.baselines.polynomial`).

    Parameters
    ----------
    spec
        The filter.

    Members
    -------
    x : In, ``n_in`` inputs between -1 and 1, held while the sample is worked on
    features : Out, ``n_features`` features, :attr:`latency` cycles after ``x``
    """

    def __init__(self, spec: LmsSpec) -> None:
        self._spec = spec
        super().__init__(
            {
                "x": In(data.ArrayLayout(spec.unit_format, spec.n_in)),
                "features": Out(data.ArrayLayout(spec.feature_format, spec.n_features)),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from inputs to the last feature: one for every level of multipliers that ends in a register."""
        return self._spec.ends("features") * self._spec.levels

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self._spec
        format, registered = spec.feature_format, bool(spec.ends("features"))
        found: list[FixedValue] = []
        for source in range(spec.n_in):
            code = self.x[source]
            if code.format != format:
                code = narrow(code, code.format.f, format, spec.rounding, "wrap").result
            found.append(name_signal(m, code, f"feature{source}"))
        for number, product in enumerate(spec.products, spec.n_in):
            # It is less than two in magnitude, whatever rounding adds: nothing wraps.
            code = self._multiply(m, found, product)
            found.append(name_signal(m, code, f"feature{number}", registered=registered))
        m.d.comb += [self.features[index].eq(feature) for index, feature in enumerate(found)]
        return m

    def _multiply(self, m: Module, found: list[FixedValue], product: Product) -> FixedValue:
        """The feature that a product is, rounded."""
        format, rounding = self._spec.feature_format, self._spec.rounding
        exact = found[product.a] * found[product.b]
        if not product.chebyshev:
            return narrow(exact, exact.format.f, format, rounding, Overflow.WRAP).result  # type: ignore[no-any-return]
        doubled = SQ(exact.format.i + 1, exact.format.f - 1)(exact.raw)
        dropped = doubled.format.f - format.f
        low = rounding_bits(rounding, dropped, Const(0, 0))
        if low is None:
            low = Const(0, dropped)
        else:
            rounding = Rounding.FLOOR
        # -c is known before the product is, and what rounds stands below it: one chain is behind the multiplier.
        minus = Const(-1 << format.f)
        if product.c is not None:
            minus = carry_chain_barrier(m, -found[product.c].raw, format.width + 1)
        total = doubled.raw + Cat(low, minus).as_signed()
        return narrow(total, doubled.format.f, format, rounding, Overflow.WRAP).result  # type: ignore[no-any-return]


def count_polynomial_features(parts: Parts, spec: LmsSpec) -> None:
    """Count what :class:`PolynomialFeatures` has."""
    format, exact = spec.feature_format, SQ(4, 2 * spec.feature_format.f)
    if format != spec.unit_format:
        parts.narrowed(spec.unit_format, format, spec.rounding, saturates=False, times=spec.n_in)
    for product in spec.products:
        parts.product(format, format, in_logic=False)
        rounds = product.chebyshev and rounding_constant(spec.rounding, exact.f - format.f) is not None
        if product.chebyshev:
            parts.adder(0 if product.c is None else format.width + 1)
            parts.adder(exact.width - (exact.f - format.f if rounds else 0))
        parts.narrowed(exact, format, spec.rounding, saturates=False, rounds=not rounds)
        if spec.ends("features"):
            parts.register(format.width, moved=False)
