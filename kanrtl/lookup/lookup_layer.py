"""One layer of a lookup network in integers: every edge a truth table, every node a sum.

Codes are signed. The code ``q`` of a value with ``b`` bits addresses its tables at ``q + 2**(b - 1)``. For a layer with
edges ``j -> k``::

    y_k = saturate(round((bias_k + sum_j T_jk[address_j]) / 2**guard_bits))

with ties up, so that rounding costs the hardware nothing but a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..arrays import Reals
from ..errors import InputError
from ..numeric.fixed import SQ, Codes, narrow
from .number_checks import (
    MAX_NODES,
    check_bits,
    check_entries,
    check_guard_bits,
    check_indices,
    check_integer,
    check_positive,
    check_shape,
)

_GATHERED = 1 << 22  # table entries in memory at a time


@dataclass(frozen=True, eq=False)
class LookupLayer:
    """The edges of one layer.

    Attributes
    ----------
    n_in, n_out : int
        The numbers of inputs and of nodes.
    bits_in, bits_out : int
        How many bits the codes of the inputs and of the nodes have.
    steps, offsets : arrays ``(n_out,)``
        The real values of one LSB of every node, and of its code 0: a code ``q`` of node ``k`` stands for
        ``q * steps[k] + offsets[k]``.
    source, node : arrays of integers, shape ``(edges,)``
        From which input to which node an edge leads. Edges are in order of node, then of source.
    table : array of integers, shape ``(edges, 2**bits_in)``
        What an edge adds to its node, by address, in units of ``step / 2**guard_bits``.
    bias : array of integers, shape ``(n_out,)``
        What is added to every node, in the units of the tables.
    guard_bits : int
        How many fraction bits the tables have below a node's LSB.
    """

    n_in: int
    n_out: int
    bits_in: int
    bits_out: int
    steps: Reals
    offsets: Reals
    source: Codes
    node: Codes
    table: Codes
    bias: Codes
    guard_bits: int = 0

    @classmethod
    def of(
        cls,
        name: str,
        *,
        n_in: int,
        n_out: int,
        bits_in: int,
        bits_out: int,
        step: npt.ArrayLike,
        source: npt.ArrayLike,
        node: npt.ArrayLike,
        table: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        guard_bits: int = 0,
        offset: npt.ArrayLike = 0.0,
    ) -> Self:
        """Make a layer of plain arrays, in any order of the edges, and check them.

        Parameters
        ----------
        name
            What messages call the layer. The other parameters are the attributes; ``bias`` is zero where it is left
            out.
        step, offset
            The real values of an LSB and of code 0, one number for all nodes or one for each.

        Raises
        ------
        InputError
            If anything does not fit together, by its name.
        """
        n_in, n_out = (
            check_integer(f"{name}.{field}", value, 1, MAX_NODES) for field, value in (("n_in", n_in), ("n_out", n_out))
        )
        bits_in, bits_out = check_bits(f"{name}.bits_in", bits_in), check_bits(f"{name}.bits_out", bits_out)
        guard_bits = check_guard_bits(f"{name}.guard_bits", guard_bits)
        source = check_indices(f"{name}.source", source, n_in)
        node = check_indices(f"{name}.node", node, n_out)
        table = check_entries(f"{name}.table", table, (len(source), 1 << bits_in))
        bias = check_entries(f"{name}.bias", np.zeros(n_out, np.int64) if bias is None else bias, (n_out,))
        if len(node) != len(source):
            raise InputError(f"{name}.node: {len(node)} nodes for {len(source)} sources; give one for each edge")
        order = np.lexsort((source, node))
        source, node, table = source[order], node[order], table[order]
        twice = np.flatnonzero((np.diff(source) == 0) & (np.diff(node) == 0))
        if len(twice):
            edge = int(twice[0])
            raise InputError(
                f"{name}: the edge from input {source[edge]} to node {node[edge]} is there twice; add its tables"
            )
        steps, offsets = (
            np.array(check_shape(f"{name}.{field}", values, (n_out,)))
            for field, values in (("step", step), ("offset", offset))
        )
        check_positive(f"{name}.step", float(steps.min()))
        for array in (source, node, table, bias, steps, offsets):
            array.flags.writeable = False
        return cls(n_in, n_out, bits_in, bits_out, steps, offsets, source, node, table, bias, guard_bits)

    @property
    def step(self) -> float:
        """The real value of one LSB of a node; where nodes have steps of their own, the middle one."""
        return float(np.sort(self.steps)[self.n_out // 2])

    @property
    def offset(self) -> float:
        """The real value of a node's code 0; where nodes have offsets of their own, the middle one."""
        return float(np.sort(self.offsets)[self.n_out // 2])

    @property
    def is_uniform(self) -> bool:
        """Whether a code stands for the same real value at every node."""
        return bool((self.steps == self.steps[0]).all() and (self.offsets == self.offsets[0]).all())

    def real_values(self, codes: Codes) -> Reals:
        """Give the real values ``(n, n_out)`` that nodes' codes ``(n, n_out)`` stand for."""
        result: Reals = codes * self.steps + self.offsets
        return result

    @property
    def edges(self) -> int:
        """The number of edges."""
        return len(self.source)

    def sums(self, codes: Codes) -> Codes:
        """Give the nodes' exact sums ``(n, n_out)``, of ``guard_bits`` fraction bits, for codes ``(n, n_in)``."""
        total = np.tile(self.bias, (len(codes), 1))
        if not self.edges:
            return total
        nodes, first = np.unique(self.node, return_index=True)
        rows = max(1, _GATHERED // self.edges)
        address = codes + (1 << (self.bits_in - 1))
        for start in range(0, len(codes), rows):
            part = slice(start, start + rows)
            entries = self.table[np.arange(self.edges), address[part][:, self.source]]
            total[part, nodes] += np.add.reduceat(entries, first, axis=1)
        return total

    def evaluate(self, codes: Codes) -> Codes:
        """Give the nodes' codes ``(n, n_out)`` for input codes ``(n, n_in)``."""
        result: Codes = narrow(self.sums(codes), self.guard_bits, SQ(self.bits_out, 0), "half_up").result
        return result

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, also one of a time when all nodes of a layer had one step and one offset."""
        if "step" in state:
            state = dict(state)
            for one, field in (("step", "steps"), ("offset", "offsets")):
                state[field] = np.full(state["n_out"], state.pop(one))
        self.__dict__.update(state)
