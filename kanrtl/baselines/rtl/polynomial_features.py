"""Powers, Chebyshev polynomials and products of inputs."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.fixed import SQ, FixedValue, narrow
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
            exact = self._multiply(found, product)
            code = narrow(exact, exact.format.f, format, spec.rounding, "wrap").result
            found.append(name_signal(m, code, f"feature{number}", registered=registered))
        m.d.comb += [self.features[index].eq(feature) for index, feature in enumerate(found)]
        return m

    def _multiply(self, found: list[FixedValue], product: Product) -> FixedValue:
        exact = found[product.a] * found[product.b]
        if not product.chebyshev:
            return exact
        doubled = SQ(exact.format.i + 1, exact.format.f - 1)(exact.raw)
        return doubled - (self._spec.feature_format.const(1) if product.c is None else found[product.c])


def count_polynomial_features(parts: Parts, spec: LmsSpec) -> None:
    """Count what :class:`PolynomialFeatures` has."""
    format, exact = spec.feature_format, SQ(4, 2 * spec.feature_format.f)
    if format != spec.unit_format:
        parts.narrowed(spec.unit_format, format, spec.rounding, saturates=False, times=spec.n_in)
    for product in spec.products:
        parts.product(format, format, in_logic=False)
        parts.adder(exact.width if product.chebyshev else 0)
        parts.narrowed(exact, format, spec.rounding, saturates=False)
        if spec.ends("features"):
            parts.register(format.width, moved=False)
