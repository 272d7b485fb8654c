"""Which products of inputs a polynomial consists of, and of which others each is made with one multiplication."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from ..numeric.fixed import Format
from .sum_arithmetic import find_narrowing


@dataclass(frozen=True)
class Product:
    """A feature that is made of two others: a b, or 2 a b - c.

    Attributes
    ----------
    a, b
        The numbers of the factors among the features.
    chebyshev
        Whether it is 2 a b - c.
    c
        The number of c; None where it is one.
    level
        How many multiplications follow each other up to this one, itself included.
    """

    a: int
    b: int
    chebyshev: bool
    c: int | None
    level: int


Exponents = tuple[int, ...]


def find_products(n_in: int, degree: int, *, chebyshev: bool, mixed: bool) -> tuple[Product, ...]:
    """The features behind the ``n_in`` inputs themselves, up to ``degree``, in the order in which they are made.

    Powers of one input up to x^d are made of the two halves, x^d = x^ceil(d/2) x^floor(d/2), and Chebyshev polynomials
    alike: T_(m+n) = 2 T_m T_n - T_(m-n) for m >= n (Mason and Handscomb, Chebyshev Polynomials, 2003, equation 2.39,
    with x = cos theta). So there are log2 d multiplications one after the other. ``mixed``: also products of different
    inputs with a total degree of ``degree`` at most.
    """
    numbers = {_unit(n_in, source): source for source in range(n_in)}
    levels = dict.fromkeys(range(n_in), 0)
    found: list[Product] = []

    def add(exponents: Exponents, a: int, b: int, *, recurrent: bool = False, c: int | None = None) -> None:
        number = numbers[exponents] = n_in + len(found)
        levels[number] = 1 + max(levels[a], levels[b])
        found.append(Product(a, b, recurrent, c, levels[number]))

    for power, source in itertools.product(range(2, degree + 1), range(n_in)):
        high, low = (power + 1) // 2, power // 2
        a, b = (numbers[_unit(n_in, source, part)] for part in (high, low))
        c = source if high > low else None
        add(_unit(n_in, source, power), a, b, recurrent=chebyshev, c=c if chebyshev else None)
    if mixed:
        for exponents in _mixed_exponents(n_in, degree):
            last = max(source for source in range(n_in) if exponents[source])
            rest = (*exponents[:last], 0, *exponents[last + 1 :])
            add(exponents, numbers[rest], numbers[_unit(n_in, last, exponents[last])])
    return tuple(found)


def _unit(n_in: int, source: int, power: int = 1) -> Exponents:
    return tuple(power if index == source else 0 for index in range(n_in))


def _mixed_exponents(n_in: int, degree: int) -> list[Exponents]:
    """Those of products of two inputs or more, each behind those that it is made of."""
    counted = []
    for total in range(2, degree + 1):
        for sources in itertools.combinations_with_replacement(range(n_in), total):
            if len(set(sources)) > 1:
                counted.append(tuple(sources.count(source) for source in range(n_in)))
    return counted


def evaluate_products(
    units: Sequence[int], unit: Format, feature: Format, products: tuple[Product, ...], rounding: str
) -> list[int]:
    """The features: inputs in the format ``feature``, and every product narrowed to that once.

    All lie between -1 and 1, give or take what rounding adds; the format holds twice that.
    """
    narrow_unit = find_narrowing(unit.f - feature.f, feature, rounding)
    narrow_product = find_narrowing(feature.f, feature, rounding)
    found = [narrow_unit(code)[0] for code in units]
    for product in products:
        exact = found[product.a] * found[product.b]
        if product.chebyshev:
            c = 1 << feature.f if product.c is None else found[product.c]
            exact = 2 * exact - (c << feature.f)
        found.append(narrow_product(exact)[0])
    return found
