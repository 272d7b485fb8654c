"""One layer of edges in real numbers, whatever functions these are made of.

An edge is a sum of functions of its input, as ``weights`` say, and a node is a sum of edges and a bias::

    y_k = bias_k + sum_j sum_m weights_kjm * f_jm(x_j)

A spline edge, as in efficient-kan and pykan, is one case: its functions are Cox-de Boor bases ``B_m`` of order ``k`` on
a vector of knots, half open in every cell, and a base function. Outside the knots no basis is left, and x is not
clamped. A dense layer is another: its one function for each input is the node function of the layer before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..number_checks import check_array, check_shape
from ..scales import CodeScale
from .edge_functions import ALL, Chosen, EdgeFunctions, NamedFunctions, PythonFunctions
from .named_functions import BASES
from .sampled_functions import Splines

_EVALUATED = 1 << 15  # functions in memory at a time

_LARGEST_ENTRY = (1 << 31) - 1  # that a table may have, whatever its node holds


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One layer of real-valued edges.

    Attributes
    ----------
    functions : tuple of EdgeFunctions
        The functions of each input, in groups.
    weights : array ``(n_out, n_in, functions)``
        What each function is multiplied by on every edge, group after group.
    edges : array of booleans ``(n_out, n_in)``
        Which edges there are; the others were pruned.
    bias : array ``(n_out,)``
        What is added to every node.
    """

    functions: tuple[EdgeFunctions, ...]
    weights: Reals
    edges: npt.NDArray[np.bool_]
    bias: Reals

    @classmethod
    def of(
        cls,
        name: str,
        *,
        knots: npt.ArrayLike,
        coefficients: npt.ArrayLike,
        base_weights: npt.ArrayLike | None = None,
        base: str = "silu",
        scales: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
    ) -> Self:
        """Make a layer of splines of plain arrays, and check them; the order follows from their shapes.

        Parameters
        ----------
        name
            What messages call the layer.
        knots : array ``(n_in, cells + 2 * order + 1)``
            The knots in ascending order, one row for each input, or one for all.
        coefficients : array ``(n_out, n_in, cells + order)``
            What each basis is multiplied by.
        base_weights : array ``(n_out, n_in)``
            What the base function of each edge is multiplied by; zeros where they are left out.
        base
            The name of the base function, one of :data:`~kanrtl.lookup.floats.named_functions.BASES`.
        scales
            An array ``(n_out, n_in)`` that multiplies the coefficients; ones where it is left out.
        edges, bias
            The attributes. Where they are left out, all edges are there, and biases are zero.

        Raises
        ------
        InputError
            If anything does not fit together, by its name.
        """
        c = check_array(f"{name}.coefficients", coefficients)
        if c.ndim != 3 or 0 in c.shape:
            raise InputError(f"{name}.coefficients: shape {c.shape}; must be (n_out, n_in, grid_size + spline_order)")
        n_out, n_in, count = c.shape
        splines = Splines.of(name, knots, n_in, count)
        if base not in BASES:
            raise InputError(f"{name}.base = {base!r}: cannot be represented; it must be one of {', '.join(BASES)}")
        if scales is not None:
            c = c * check_shape(f"{name}.scales", scales, (n_out, n_in))[:, :, None]
        base_weights = np.zeros((n_out, n_in)) if base_weights is None else base_weights
        return cls.of_functions(
            name,
            (splines, NamedFunctions.of(base, n_in)),
            np.concatenate([c, check_shape(f"{name}.base_weights", base_weights, (n_out, n_in))[:, :, None]], axis=2),
            edges=True if edges is None else edges,
            bias=bias,
        )

    @classmethod
    def of_functions(
        cls,
        name: str,
        functions: EdgeFunctions | Sequence[EdgeFunctions],
        weights: npt.ArrayLike,
        *,
        edges: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
    ) -> Self:
        """Make a layer of any functions, and check that all fits together.

        Parameters
        ----------
        name
            What messages call the layer.
        functions
            One group of functions, or several.
        weights : array ``(n_out, n_in, functions)``
            What each function is multiplied by, group after group; ``(n_out, n_in)`` where there is only one.
        edges, bias
            The attributes. Where they are left out, all edges whose weights are not zero are there, and biases are
            zero.

        Raises
        ------
        InputError
            If anything does not fit together, by its name.
        """
        groups = (functions,) if isinstance(functions, EdgeFunctions) else tuple(functions)
        if not groups or len({group.n_in for group in groups}) != 1:
            raise InputError(f"{name}.functions: give one group or more, all for the same inputs")
        n_in, count = groups[0].n_in, sum(group.count for group in groups)
        array = check_array(f"{name}.weights", weights)
        array = array[:, :, None] if array.ndim == 2 and count == 1 else array
        if array.ndim != 3 or array.shape[1:] != (n_in, count) or not len(array):
            raise InputError(f"{name}.weights: shape {array.shape}; must be (n_out, {n_in}, {count})")
        n_out = len(array)
        there = (array != 0).any(axis=2) if edges is None else check_shape(f"{name}.edges", edges, (n_out, n_in)) != 0
        return cls(
            groups, array, there, check_shape(f"{name}.bias", np.zeros(n_out) if bias is None else bias, (n_out,))
        )

    @classmethod
    def of_callables(
        cls,
        name: str,
        edges: Sequence[Sequence[Callable[[Reals], npt.ArrayLike] | None]],
        bias: npt.ArrayLike | None = None,
    ) -> Self:
        """Make a layer whose every edge is a function of Python.

        Parameters
        ----------
        name
            What messages call the layer.
        edges
            A row for each node, with a function of arrays for each input, or None where there is no edge.
        bias
            What is added to every node.

        Raises
        ------
        InputError
            If rows are of different lengths, or an entry is neither a function nor None.
        """
        rows = [list(row) for row in edges]
        if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
            raise InputError(f"{name}.edges: give a row for each node, with a function or None for each input")
        there = np.array([[function is not None for function in row] for row in rows])
        columns = [[np.zeros_like if one is None else one for one in column] for column in zip(*rows, strict=True)]
        weights = np.eye(len(rows))[:, None, :] * there[:, :, None]
        return cls.of_functions(name, PythonFunctions.of(columns), weights, edges=there, bias=bias)

    @property
    def n_in(self) -> int:
        """The number of inputs."""
        return int(self.weights.shape[1])

    @property
    def n_out(self) -> int:
        """The number of nodes."""
        return int(self.weights.shape[0])

    # What it gives.

    def values(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        """Evaluate all functions ``(n, chosen, functions)`` of the chosen inputs, whose values are ``(n, chosen)``."""
        return np.concatenate([group.values(x, chosen) for group in self.functions], axis=2)

    def slopes(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        """Evaluate the derivatives of :meth:`values`."""
        return np.concatenate([group.slopes(x, chosen) for group in self.functions], axis=2)

    def edge_values(self, source: int, x: Reals) -> Reals:
        """Evaluate all edges from input ``source`` at points ``(n,)``, as ``(n_out, n)``, those pruned included."""
        result: Reals = self.weights[:, source] @ self.values(x[:, None], np.array([source]))[:, 0].T
        return result

    def evaluate(self, x: Reals) -> Reals:
        """Evaluate the nodes ``(n, n_out)`` for inputs ``(n, n_in)``, in real numbers."""
        total = np.tile(self.bias, (len(x), 1))
        used = np.flatnonzero(self.edges.any(axis=0))
        if not len(used):
            return total
        weights = np.where(self.edges[:, :, None], self.weights, 0.0)[:, used].reshape(self.n_out, -1).T
        rows = max(1, _EVALUATED // weights.shape[0])
        for start in range(0, len(x), rows):
            part = x[start : start + rows, used]
            total[start : start + rows] += self.values(part, used).reshape(len(part), -1) @ weights
        return total

    def domain(self) -> tuple[Reals, Reals] | None:
        """Give the lowest and the highest inputs, ``(n_in,)`` each, that the functions were made for, if some were made
        for any."""
        known = [ends for group in self.functions if (ends := group.domain()) is not None]
        if not known:
            return None
        return np.max([low for low, _ in known], axis=0), np.min([high for _, high in known], axis=0)

    def tables(
        self, inputs: CodeScale, nodes: CodeScale, guard_bits: int = 0, saturate: bool = True
    ) -> tuple[dict[str, Any], int]:
        """Make the tables of the edges, as :meth:`LookupNetwork.of` takes them, each entry rounded half to even.

        Beside them it gives how many entries and biases were out of range, and are now at its end.

        Parameters
        ----------
        inputs, nodes : CodeScale
            What the codes of the inputs and of the nodes stand for.
        guard_bits
            How many fraction bits the tables have below a node's LSB.
        saturate
            Whether entries end where an edge alone leaves the range of its node. Biases do not.

        Raises
        ------
        InputError
            If an edge is not a number for what a code stands for.
        """
        limit = 1 << (nodes.bits - 1 + guard_bits) if saturate else _LARGEST_ENTRY
        lsb = nodes.step / (1 << guard_bits)
        node, source = np.nonzero(self.edges)
        table = np.zeros((len(node), 1 << inputs.bits), dtype=np.int64)
        clipped = 0
        constant = self.bias - nodes.offset
        for one in range(self.n_in):
            of_source = source == one
            levels = inputs.levels(one)
            exact = self.edge_values(one, levels)[node[of_source]]
            if not np.isfinite(exact).all():
                edge, level = np.argwhere(~np.isfinite(exact))[0]
                raise InputError(
                    f"the edge from input {one} to node {node[of_source][edge]} is {exact[edge, level]} at "
                    f"{levels[level]:.6g}, which a code of that input stands for; calibrate with samples where it is a "
                    "number"
                )
            if not saturate:  # what is the same for all codes is rounded once for the node, not once for each edge
                same = (exact == exact[:, :1]).all(axis=1)
                np.add.at(constant, node[of_source][same], exact[same, 0])
                exact = np.where(same[:, None], 0.0, exact)
            entries = np.rint(exact / lsb[node[of_source], None])
            table[of_source] = inside = np.clip(entries, -limit, limit - 1)
            clipped += int((inside != entries).sum())
        # Edges may bring back into the range of its node what a bias alone is beyond it.
        bias = np.rint(constant / lsb)
        inside = np.clip(bias, -_LARGEST_ENTRY, _LARGEST_ENTRY)
        clipped += int((inside != bias).sum())
        return {"source": source, "node": node, "table": table, "bias": inside.astype(np.int64)}, clipped

    # A layer of splines.

    @property
    def splines(self) -> tuple[Splines, str] | None:
        """The splines of the edges and the name of their base function, or None for a layer of other functions."""
        if len(self.functions) != 2:
            return None
        splines, base = self.functions
        if not isinstance(splines, Splines) or not isinstance(base, NamedFunctions) or base.base is None:
            return None
        return splines, base.base

    @property
    def knots(self) -> Reals:
        """The knots ``(n_in, cells + 2 * order + 1)`` of a layer of splines."""
        return self._splines()[0].knots

    @property
    def order(self) -> int:
        """The order of a layer of splines."""
        return self._splines()[0].order

    @property
    def base(self) -> str:
        """The name of the base function of a layer of splines."""
        return self._splines()[1]

    @property
    def coefficients(self) -> Reals:
        """What each basis of a layer of splines is multiplied by, ``(n_out, n_in, cells + order)``."""
        return self.weights[:, :, : self._splines()[0].count]

    @property
    def base_weights(self) -> Reals:
        """What the base function of a layer of splines is multiplied by, ``(n_out, n_in)``."""
        return self.weights[:, :, self._splines()[0].count]

    def with_splines(self, **changes: Any) -> Self:
        """Give the same layer of splines with other ``knots``, ``coefficients``, ``base_weights`` or ``base``, as
        :meth:`of` takes them."""
        own = {field: getattr(self, field) for field in ("knots", "coefficients", "base_weights", "base")}
        return self.of("layer", **own | changes, edges=self.edges, bias=self.bias)

    def _splines(self) -> tuple[Splines, str]:
        found = self.splines
        if found is None:
            kinds = " and ".join(group.kind for group in self.functions)
            raise InputError(f"a layer of {kinds} functions has no splines; see its functions and weights")
        return found

    def with_parameters(self, weights: Reals, bias: Reals) -> Self:
        """Give the same layer with other weights and biases, of the same shapes."""
        return replace(self, weights=weights, bias=bias)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, also one of a time when every layer was one of splines."""
        if "knots" in state:
            state = dict(state)
            order = state.pop("order")
            state = vars(type(self).of("layer", **state))
            assert state["functions"][0].order == order
        self.__dict__.update(state)
