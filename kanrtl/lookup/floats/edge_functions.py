"""The functions of its inputs that the edges of a layer are sums of.

Every edge of a layer is ``phi(x) = sum_m weight_m * f_m(x)``, and all edges from one input share its functions
``f_m``: B-splines, functions known by name (the node functions of dense networks, symbolic formulas, Chebyshev
polynomials, Fourier series, radial bases), values at given points, or any functions of Python. A layer may have several
groups of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..number_checks import check_shape, check_tensor
from .named_functions import BASES, FUNCTIONS, known_function

Chosen = npt.NDArray[np.int64] | slice
"""Which inputs of a layer are meant, in ascending order."""

ALL = slice(None)


class EdgeFunctions(ABC):
    """A group of functions for each input of a layer, as many for all."""

    kind: ClassVar[str]
    """What a file calls them."""

    @property
    @abstractmethod
    def n_in(self) -> int:
        """The number of inputs."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many functions each input has."""

    @abstractmethod
    def values(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        """Evaluate the functions of the chosen inputs.

        Parameters
        ----------
        x : array ``(n, chosen)``
            Values of these inputs.
        chosen
            Which inputs they are of; all where it is left out.

        Returns
        -------
        array ``(n, chosen, count)``
        """

    @abstractmethod
    def slopes(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        """Evaluate the derivatives of :meth:`values`."""

    def domain(self) -> tuple[Reals, Reals] | None:
        """Give the lowest and the highest values, ``(n_in,)`` each, that the functions were made for, if these are
        known."""
        return None

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """Describe the functions for a file, in what JSON can hold."""

    @abstractmethod
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give the arrays for a file, by name."""

    @classmethod
    @abstractmethod
    def from_archive(cls, name: str, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Make the functions that :meth:`about` and :meth:`arrays` described, checked; messages call them ``name``."""


@dataclass(frozen=True, eq=False)
class FunctionStep:
    """One step of a chain of functions: ``x -> f(x * scale + offset)``.

    Attributes
    ----------
    names : array of str ``(n_in, count)``
        The names of the functions, of :data:`~kanrtl.lookup.floats.named_functions.FUNCTIONS`.
    scale, offset, parameter : arrays ``(n_in, count)``
    """

    names: npt.NDArray[np.str_]
    scale: Reals
    offset: Reals
    parameter: Reals

    def evaluate(self, x: Reals, chosen: Chosen, slopes: bool) -> tuple[Reals, Reals | None]:
        """Evaluate the step at ``(n, chosen, count)``, and if asked for its derivative."""
        names, scale, parameter = self.names[chosen], self.scale[chosen], self.parameter[chosen]
        taken = x * scale + self.offset[chosen]
        values, derived = np.empty_like(taken), np.empty_like(taken) if slopes else None
        for name in np.unique(names):
            function, here = FUNCTIONS[str(name)], names == name
            where = (...,) if here.all() else (slice(None), here)
            part, parameters = taken[where], parameter if here.all() else parameter[here]
            values[where] = function.value(part, parameters)
            if derived is not None:
                derived[where] = function.slope(part, parameters) * (scale if here.all() else scale[here])
        return values, derived


@dataclass(frozen=True, eq=False)
class NamedFunctions(EdgeFunctions):
    """Functions known by name, of an affine map of the input, or chains of such steps.

    Attributes
    ----------
    steps : tuple of FunctionStep
        What is done one after the other, the first with the input.
    """

    steps: tuple[FunctionStep, ...]

    kind = "named"

    @classmethod
    def of(
        cls,
        name: str | npt.ArrayLike,
        n_in: int,
        *,
        count: int = 1,
        scale: npt.ArrayLike = 1.0,
        offset: npt.ArrayLike = 0.0,
        parameter: npt.ArrayLike | None = None,
        field: str = "functions",
    ) -> Self:
        """Make functions ``f(x * scale + offset)``.

        Parameters
        ----------
        name
            A name of :data:`~kanrtl.lookup.floats.named_functions.FUNCTIONS` for all, or an array ``(n_in, count)``.
        n_in, count
            How many inputs there are, and how many functions each has.
        scale, offset, parameter
            One number for all, or arrays that broadcast to ``(n_in, count)``. The parameter is the function's default
            where it is left out.
        field
            What messages call the functions.

        Raises
        ------
        InputError
            If a name is not known, or an array does not fit.
        """
        shape = (n_in, count)
        names = np.broadcast_to(np.asarray(name, dtype=np.str_), shape)
        for one in np.unique(names):
            known_function(field, str(one))
        if parameter is None:
            parameter = np.vectorize(lambda one: FUNCTIONS[one].parameter or 0.0, otypes=[np.float64])(names)
        arrays = [
            check_shape(f"{field}.{what}", values, shape)
            for what, values in (("scale", scale), ("offset", offset), ("parameter", parameter))
        ]
        return cls((FunctionStep(names, *arrays),))

    @classmethod
    def chebyshev(cls, n_in: int, degree: int, squash: str = "tanh") -> Self:
        """Make Chebyshev polynomials of the first kind of degrees 0 to ``degree``, of ``tanh(x)``, or of what another
        function ``squash`` gives; ``"identity"`` clamps x to -1 and 1."""
        degrees = np.arange(degree + 1)
        return cls.of(squash, n_in, count=degree + 1).then(
            cls.of("chebyshev", n_in, count=degree + 1, parameter=degrees)
        )

    @classmethod
    def fourier(cls, n_in: int, size: int, period: float = 2 * np.pi) -> Self:
        """Make the cosines and then the sines of frequencies 1 to ``size``, over ``period``."""
        names = np.repeat(["cos", "sin"], size)
        scale = np.tile(np.arange(1, size + 1), 2) * (2 * np.pi / period)
        return cls.of(names, n_in, count=2 * size, scale=scale)

    @classmethod
    def radial(cls, n_in: int, centres: npt.ArrayLike, width: npt.ArrayLike) -> Self:
        """Make radial bases ``exp(-((x - centre) / width)**2)``; the centres are ``(count,)`` or ``(n_in, count)``."""
        array = np.asarray(centres, dtype=np.float64)
        wide = np.asarray(width, dtype=np.float64)
        return cls.of("gaussian", n_in, count=array.shape[-1], scale=1 / wide, offset=-array / wide)

    def then(self, following: NamedFunctions) -> Self:
        """Give the functions ``following`` of these functions."""
        return type(self)((*self.steps, *following.steps))

    @property
    def base(self) -> str | None:
        """The name of the function, where there is one for all inputs and it takes them as they are; else None."""
        step = self.steps[0]
        one = str(step.names.flat[0])
        plain = len(self.steps) == 1 and self.count == 1 and one in BASES and (step.names == one).all()
        plain = plain and (step.scale == 1).all() and not step.offset.any()
        return one if plain and (step.parameter == (FUNCTIONS[one].parameter or 0)).all() else None

    @property
    def n_in(self) -> int:
        return int(self.steps[0].names.shape[0])

    @property
    def count(self) -> int:
        return int(self.steps[0].names.shape[1])

    def values(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        return self._evaluate(x, chosen, False)[0]

    def slopes(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        return self._evaluate(x, chosen, True)[1]

    def _evaluate(self, x: Reals, chosen: Chosen, slopes: bool) -> tuple[Reals, Reals]:
        values = np.broadcast_to(x[..., None], (*x.shape, self.count))
        total = np.ones(())
        with np.errstate(all="ignore"):  # what is not finite is refused where it matters
            for step in self.steps:
                values, derived = step.evaluate(values, chosen, slopes)
                if derived is not None:
                    total = total * derived
        return values, total

    def about(self) -> dict[str, Any]:
        return {"names": [step.names.tolist() for step in self.steps]}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {field: np.stack([getattr(step, field) for step in self.steps]) for field in _STEP_ARRAYS}

    @classmethod
    def from_archive(cls, name: str, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        tables = [np.asarray(names, dtype=np.str_) for names in about["names"]]
        for table in tables:
            if table.ndim != 2:
                raise InputError(f"{name}.names: shape {table.shape}; must be (n_in, count)")
        if len({table.shape for table in tables}) != 1:
            raise InputError(f"{name}.names: steps of different shapes, or none; give a file that was saved whole")
        shape = (len(tables), *tables[0].shape)
        constants = {field: check_tensor(f"{name}.{field}", arrays[field], shape) for field in _STEP_ARRAYS}
        steps: list[FunctionStep] = []
        for index, table in enumerate(tables):
            own = {field: values[index] for field, values in constants.items()}
            steps += cls.of(table, table.shape[0], count=table.shape[1], **own, field=name).steps
        return cls(tuple(steps))


_STEP_ARRAYS = ("scale", "offset", "parameter")

_DIFFERENCE = 1e-5  # between two points of which a slope is found, as a part of their magnitude


@dataclass(frozen=True, eq=False)
class PythonFunctions(EdgeFunctions):
    """Any functions of one variable, which take and give arrays. They cannot be saved.

    Attributes
    ----------
    functions : tuple of tuples
        For each input its functions, as many for all.
    """

    functions: tuple[tuple[Callable[[Reals], npt.ArrayLike], ...], ...]

    kind = "python"

    @classmethod
    def of(cls, functions: Sequence[Sequence[Callable[[Reals], npt.ArrayLike]]]) -> Self:
        """Make a group of the functions of each input.

        Raises
        ------
        InputError
            If inputs have different numbers of functions, or one cannot be called.
        """
        rows = tuple(tuple(row) for row in functions)
        if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
            raise InputError("functions: give one row for each input, with as many functions for all")
        for source, row in enumerate(rows):
            for index, function in enumerate(row):
                if not callable(function):
                    raise InputError(f"functions[{source}][{index}] = {function!r}: cannot be called; give a function")
        return cls(rows)

    @property
    def n_in(self) -> int:
        return len(self.functions)

    @property
    def count(self) -> int:
        return len(self.functions[0])

    def values(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        result = np.empty((*x.shape, self.count))
        with np.errstate(all="ignore"):
            for column, source in enumerate(np.arange(self.n_in)[chosen]):
                for index, function in enumerate(self.functions[source]):
                    given = function(x[:, column])
                    if np.iscomplexobj(given):
                        raise InputError(f"functions[{source}][{index}]: gives complex numbers; give a real function")
                    found = np.asarray(given, dtype=np.float64)
                    if found.shape not in ((), (len(x),)):
                        raise InputError(
                            f"functions[{source}][{index}]: gives shape {found.shape} for points ({len(x)},); "
                            "give a function of arrays, value by value"
                        )
                    result[:, column, index] = found
        return result

    def slopes(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        distance = _DIFFERENCE * np.maximum(1, np.abs(x))
        difference = self.values(x + distance, chosen) - self.values(x - distance, chosen)
        result: Reals = difference / (2 * distance[..., None])
        return result

    def about(self) -> dict[str, Any]:
        raise InputError(
            "functions: those of Python cannot be saved; save the tables that quantise makes, or give them by name or "
            "by their values (SampledFunctions)"
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {}

    @classmethod
    def from_archive(
        cls,
        name: str,
        about: Mapping[str, Any],  # noqa: ARG003  # the signature is that of all functions
        arrays: Mapping[str, npt.NDArray[Any]],  # noqa: ARG003
    ) -> Self:
        raise InputError(f"{name}: functions of Python are in no file; give them again")
