"""From a learner to a lookup network: the integers that it computes, as tables.

A layer of a learner takes from an input no more than its place in the grid, one of ``grid_size * table_size``
positions. So a table with an entry for each position holds all that an edge is, and the network is the learner to the
bit where nothing else is lost:

- Inputs become positions in the quantiser, in integers.
- A hidden node's exact sum becomes the position that the next layer takes: rounding to an activation and then to a
  position is rounding once, where a position is a power of two of activations. Where it is not, tables are addressed by
  the activations within the grid instead.
- An output is the exact sum, rounded once; how, is a constant in the sum.

With fewer address bits a table samples its edge in the middle of what each address stands for. How far that can move a
prediction is followed from layer to layer in integers: for every address, the positions that the learner might be at
while the network takes this entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..arrays import real_rows
from ..errors import InputError
from ..learner.arithmetic import LayerArithmetic
from ..learner.codes import checked_coefficients
from ..learner.model_batch import ModelBatch
from ..learner.spec import LearnerSpec
from ..lookup.network import MAX_BITS, MAX_GUARD_BITS, LookupNetwork, bits_of, guard_bits_of, positive
from ..lookup.quantiser import FixedQuantiser, Quantiser
from ..numeric.fixed import Codes, Format, narrow
from ..numeric.spline import Locator
from ..numeric.widths import clog2

__all__ = ["Frozen", "Scaling", "edge_sums", "freeze", "position"]

Reals = npt.NDArray[np.float64]

SAMPLES = 1024
"""Over which a frozen network is compared with its learner, where none are given."""

_WIDEST = 32
"""Bits of an activation: products with the constants of addresses then fit the model's integers."""

_FINE = 256  # slack is counted in so many parts of an activation's LSB, rounded up

_ENTRY = 1 << 31


@dataclass(frozen=True, eq=False)
class Scaling:
    """What stands around a learner: it takes ``x * scale + offset``, and what it gives counts ``output_scale`` times,
    plus ``output_offset``.

    Attributes
    ----------
    scale, offset : arrays ``(n_in,)``
    output_scale, output_offset : float
        The scale is above 0.
    """

    scale: Reals
    offset: Reals
    output_scale: float = 1.0
    output_offset: float = 0.0

    def raw(self, inputs: Reals) -> Reals:
        """What real inputs the learner takes as ``inputs``; zero where it takes none."""
        result: Reals = (inputs - self.offset) / np.where(self.scale == 0, np.inf, self.scale)
        return result


@dataclass(frozen=True, eq=False)
class Frozen:
    """A lookup network made of a learner, and how far it is from it.

    Attributes
    ----------
    network : LookupNetwork
        Takes the learner's inputs, in its ``activation_format``, and gives its predictions; with a :class:`Scaling`,
        takes and gives real numbers on its outside.
    spec : LearnerSpec
    bound : float
        No prediction differs from the learner's by more, whatever the input; 0 where the network is the learner to the
        bit.
    max_error, rms_error : float
        Of the predictions measured, against the learner's own.
    samples : int
        How many were measured.
    reasons : tuple of str
        Why the bound is not 0, by the names of what has to be changed for it.
    """

    network: LookupNetwork
    spec: LearnerSpec
    bound: float
    max_error: float
    rms_error: float
    samples: int
    reasons: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether every prediction is the learner's own."""
        return self.bound == 0

    def __str__(self) -> str:
        sizes = " x ".join(map(str, self.network.layer_sizes))
        entries = sum(layer.table.size for layer in self.network.layers)
        head = f"lookup network {sizes}, {entries} entries: "
        if self.exact:
            return f"{head}the learner to the bit"
        return (
            f"{head}error at most {self.bound:g}; over {self.samples} samples {self.max_error:g}, "
            f"{self.rms_error:.3g} RMS ({'; '.join(self.reasons)})"
        )


def freeze(
    spec: LearnerSpec,
    coefficients: Sequence[npt.ArrayLike],
    bits: int | Sequence[int] | None = None,
    *,
    guard_bits: int | None = None,
    x: npt.ArrayLike | None = None,
    scaling: Scaling | None = None,
) -> Frozen:
    """The lookup network of a learner as it is now.

    Parameters
    ----------
    spec, coefficients
        The learner: codes, one array ``(n_out, n_in, grid_size + spline_order)`` per layer.
    bits
        Address bits of a table at most, for all layers or a list with one for each. By default as few as make the
        network the learner itself, and 16 at most.
    guard_bits
        At most so many fraction bits that tables have below their nodes' codes. By default all that the learner's
        rounding sees, but only as many as the sampled tables are worth where ``bits`` leaves addresses out.
    x
        Inputs ``(n, n_in)`` that the error is measured with; by default random ones from all of the grid.
    scaling
        Becomes a part of the network: of its quantiser, which then takes real inputs rather than those in the learner's
        ``activation_format``, and of its last layer's ``step`` and ``offset``.

    Raises
    ------
    InputError
        If an argument cannot be, or the learner has numbers that no table can hold.
    """
    activation = spec.formats.activation
    if activation.width > _WIDEST:
        raise InputError(f"activation_format = {activation}: is {activation.width} bits wide, the limit is {_WIDEST}")
    codes = checked_coefficients(spec, coefficients)
    limits = _limits(spec, bits)
    if guard_bits is not None:
        guard_bits = guard_bits_of("guard_bits", guard_bits)
    if scaling is not None:
        positive("scaling.output_scale", scaling.output_scale)
    draft = _Draft(spec, codes, limits, precise=bits is None, guard_bits=guard_bits, scaling=scaling)
    network = draft.network()
    errors = _errors(spec, codes, network, scaling, _samples(spec, x, scaling))
    lsb = network.steps[-1] / draft.output_codes
    return Frozen(
        network=network,
        spec=spec,
        bound=draft.bound * lsb,
        max_error=float(np.abs(errors).max(initial=0)),
        rms_error=float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0,
        samples=len(errors),
        reasons=tuple(draft.reasons) if draft.bound else (),
    )


def _limits(spec: LearnerSpec, bits: int | Sequence[int] | None) -> list[int]:
    if bits is None:
        return [MAX_BITS] * spec.n_layers
    if not isinstance(bits, (Sequence, np.ndarray)):
        return [bits_of("bits", bits)] * spec.n_layers
    if len(bits) != spec.n_layers:
        raise InputError(f"bits = {list(bits)}: give one number, or {spec.n_layers}, one for each layer")
    return [bits_of(f"bits[{index}]", value) for index, value in enumerate(bits)]


def _samples(spec: LearnerSpec, x: npt.ArrayLike | None, scaling: Scaling | None) -> Reals:
    """Real inputs, as the network takes them."""
    if x is not None:
        return real_rows("x", x, spec.n_in)
    low, high = spec.per_layer("grid_range")[0]
    inputs = np.random.default_rng(0).uniform(low, high, (SAMPLES, spec.n_in))
    return inputs if scaling is None else scaling.raw(inputs)


def _errors(
    spec: LearnerSpec, coefficients: list[Codes], network: LookupNetwork, scaling: Scaling | None, x: Reals
) -> Reals:
    """The network's predictions less the learner's, ``(n, n_out)``."""
    model = ModelBatch([spec])
    model.coefficients = [layer[None] for layer in coefficients]
    taken = x if scaling is None else x * scaling.scale + scaling.offset
    codes = spec.formats.activation.quantise(taken)
    expected = spec.formats.activation.to_float(model.predict_many(codes)[0])
    if scaling is not None:
        expected = expected * scaling.output_scale + scaling.output_offset
    errors: Reals = network.predict(x) - expected
    return errors


def edge_sums(layer: LayerArithmetic, coefficients: Codes, source: int) -> Codes:
    """What all edges from one input add to their nodes, ``(n_out, positions)``, by position: exact codes with the
    fraction bits of ``node_sum``."""
    windows = np.lib.stride_tricks.sliding_window_view(coefficients[:, source], layer.window, axis=1)
    sums: Codes = np.einsum("okj,rj->okr", windows, layer.basis_table)
    return sums.reshape(layer.n_out, -1)


@dataclass(frozen=True)
class _Addresses:
    """Addresses of numbers ``y`` in LSBs of an activation: ``floor((y * scale + offset) / 2**shift)``, saturated."""

    scale: int
    offset: int
    shift: int
    bits: int

    @property
    def step(self) -> Fraction:
        """What an address stands for, in LSBs of an activation."""
        return Fraction(1 << self.shift, self.scale)

    @property
    def zero(self) -> Fraction:
        """The ``y`` in the middle of what code 0 stands for."""
        half = 1 << (self.bits - 1)
        return ((half << self.shift) - self.offset) / Fraction(self.scale) + self.step / 2

    def of(self, x: Codes) -> Codes:
        """Addresses as the codes of a network, from ``-2**(bits - 1)``."""
        half = 1 << (self.bits - 1)
        codes: Codes = np.clip((x * self.scale + self.offset >> self.shift) - half, -half, half - 1)
        return codes

    def lowest(self, slack: int) -> tuple[Codes, Codes]:
        """For every address, and the one behind the last, the least ``y`` that has it, less ``slack / _FINE``: rounded
        down and up."""
        numerator = ((np.arange((1 << self.bits) + 1).astype(object) << self.shift) - self.offset) * _FINE
        numerator = numerator - slack * self.scale
        down = numerator // (self.scale * _FINE)
        up = -(-numerator // (self.scale * _FINE))
        return down, up

    def real_quantiser(self, format: Format, n_in: int, scaling: Scaling) -> Quantiser:
        """What gives the addresses of real inputs that are scaled and then rounded to ``format``: but for those on the
        border between two."""
        step = float(self.step)
        code = scaling.scale / format.lsb / step
        offset = (scaling.offset / format.lsb + 0.5) / step + self.offset / (1 << self.shift)
        return Quantiser.of(code, offset - 0.5 - (1 << (self.bits - 1)), self.bits, n_in)

    def quantiser(self, format: Format, n_in: int) -> FixedQuantiser:
        """What gives the addresses of inputs in ``format``."""
        offset = self.offset - (1 << (self.bits - 1) << self.shift)
        scale, shift = self.scale, self.shift
        if shift:
            # Half even of twice as many parts: rounded down, and never a tie.
            scale, offset, shift = 2 * scale, 2 * offset - (1 << shift) + 1, shift + 1
        return FixedQuantiser(format, np.full(n_in, scale), np.full(n_in, offset), shift, self.bits)


@dataclass(frozen=True)
class _Inputs:
    """What is known of the inputs of a layer.

    Attributes
    ----------
    reach : tuple of arrays ``(n_in,)``
        The lowest and the highest activation that the learner can have there.
    slack : array ``(n_in,)`` of Python integers
        By how much the network's number can differ from the learner's before either is rounded, in ``1 / _FINE`` LSBs.
    rounded : str or None
        How the learner rounds what the network addresses tables by; None: it is rounded already.
    """

    reach: tuple[Codes, Codes]
    slack: list[int]
    rounded: str | None

    def positions(self, addresses: _Addresses, locator: Locator) -> tuple[Codes, Codes, Codes]:
        """For every input and address, ``(n_in, 2**bits)``: the first and the last position that the learner can be
        at, and that in the middle of what the address stands for."""
        begins, ends = {}, {}
        for slack in set(self.slack):
            down, up = addresses.lowest(slack)
            _, beyond = addresses.lowest(-slack)
            low = down if self.rounded in ("floor", "half_up") else up
            # A tie that goes to the even number below.
            begins[slack], ends[slack] = low[:-1] - (self.rounded == "half_even"), beyond[1:] - 1
        first, last = [begins[slack] for slack in self.slack], [ends[slack] for slack in self.slack]
        lowest, highest = self.reach
        first[:] = [np.concatenate([[int(reach)], one[1:]]) for one, reach in zip(first, lowest, strict=True)]
        last[:] = [np.concatenate([one[:-1], [int(reach)]]) for one, reach in zip(last, highest, strict=True)]
        _, up = addresses.lowest(0)
        middle = (up[:-1] + up[1:] - 1) // 2
        places = []
        for begin, end, low, high in zip(first, last, lowest.tolist(), highest.tolist(), strict=True):
            end = np.maximum(begin, end)  # there may be no activation that has this address
            inside = np.minimum(np.maximum(middle, begin), end)
            x = np.clip([begin, end, inside], low, high).astype(np.int64)
            places.append(position(locator, x))
        result: tuple[Codes, Codes, Codes] = tuple(np.stack(places, axis=1))
        return result

    @classmethod
    def of_samples(cls, format: Format, n_in: int, rounded: str | None) -> Self:
        return cls((np.full(n_in, format.minimum), np.full(n_in, format.maximum)), [0] * n_in, rounded)


class _Draft:
    """The layers of a network, first layer first, and how far they are from the learner's.

    Attributes
    ----------
    bound
        Of a prediction, in LSBs of an activation.
    reasons
        What made it more than zero.
    output_codes
        LSBs of an activation in one of a prediction.
    """

    def __init__(
        self,
        spec: LearnerSpec,
        coefficients: list[Codes],
        limits: list[int],
        *,
        precise: bool,
        guard_bits: int | None,
        scaling: Scaling | None,
    ) -> None:
        self.spec = spec
        self._scaling = scaling
        self.reasons: list[str] = []
        self._precise = precise
        self._sampled = False  # whether addresses are too few for all that the learner tells apart
        self._most_guard_bits = MAX_GUARD_BITS if guard_bits is None else guard_bits
        self._guard_bits: list[int] = []
        self._edges: list[dict[str, Any]] = []
        format = spec.formats.activation
        # Real inputs are rounded to the nearest, and one on a border may then be on either side of it.
        inputs = _Inputs.of_samples(format, spec.n_in, None if scaling is None else "half_even")
        if scaling is not None:
            self.reasons.append("scaling: real inputs on the border between two codes may become either")
        addresses = self._addresses(0, inputs, limits[0])
        self._places = [addresses]
        for index, (layer, codes) in enumerate(zip(spec.layers, coefficients, strict=True)):
            node = _Nodes(layer, codes, spec.rounding, inputs, addresses)
            if index + 1 < spec.n_layers:
                following = _Inputs(node.reach, [], None if node.direct else node.rounding)
                addresses = self._addresses(index + 1, following, limits[index + 1])
            else:
                addresses = self._outputs(node)
            inputs = self._tables(index, node, addresses)
            self._places.append(addresses)
        self.bound = self._bound(inputs, addresses)
        self.output_codes = 1 << addresses.shift

    def network(self) -> LookupNetwork:
        spec, lsb = self.spec, self.spec.formats.activation.lsb
        first, scaling = self._places[0], self._scaling
        steps = [float(place.step) * lsb for place in self._places]
        quantiser: FixedQuantiser | Quantiser
        if scaling is None:
            quantiser, output_offset = first.quantiser(spec.formats.activation, spec.n_in), 0.0
        else:
            quantiser = first.real_quantiser(spec.formats.activation, spec.n_in, scaling)
            output_offset = scaling.output_offset
            steps[-1] *= scaling.output_scale
        rounded = 0 if spec.rounding == "floor" else Fraction(1, 2)
        return LookupNetwork.of(
            spec.layer_sizes,
            [place.bits for place in self._places],
            steps,
            self._edges,
            guard_bits=self._guard_bits,
            offsets=[float(place.zero - rounded) * lsb for place in self._places[1:-1]] + [output_offset],
            quantiser=quantiser,
        )

    def _addresses(self, index: int, inputs: _Inputs, limit: int) -> _Addresses:
        """How the tables of a layer are addressed: in ``limit`` bits at most."""
        locator = self.spec.layers[index].locator
        start, stop = _activations(locator, inputs.reach)
        low, high = (int(position(locator, np.array(x))) for x in (start, stop))
        bits = max(1, clog2(high - low + 1))
        positions = _Addresses(locator.scale, locator.offset - (low << locator.shift), locator.shift, bits)
        zero = locator.offset >> locator.shift
        half = 1 << (bits - 1)
        if -half <= low - zero and high - zero < half:  # the code is then the input itself, but for its scale
            positions = _Addresses(locator.scale, locator.offset + (half - zero << locator.shift), locator.shift, bits)
        if positions.bits <= limit and (inputs.rounded is None or locator.scale == 1):
            return positions
        activations = max(1, clog2(stop - start + 1))
        if activations <= limit:
            return _Addresses(1, -start, 0, activations)
        self._sampled = True
        aligned = inputs.rounded is None or locator.scale == 1
        needed = min(positions.bits, activations) if aligned else activations
        self.reasons.append(f"bits: layer {index} takes {needed} address bits to be exact, and has {limit}")
        if positions.bits <= limit:
            return positions
        shift = activations + 8
        scale = (1 << (limit + shift)) // (stop - start + 1)
        while scale % 2 == 0:
            scale, shift = scale // 2, shift - 1
        return _Addresses(scale, -start * scale, shift, limit)

    def _outputs(self, node: _Nodes) -> _Addresses:
        """The codes of the outputs: activations; where these have too many bits, the upper ones that can occur."""
        bits, dropped = self.spec.formats.activation.width, 0
        if bits > MAX_BITS:
            lowest, highest = node.reach
            needed = 1 + max(int(highest.max()).bit_length(), int(-1 - lowest.min()).bit_length())
            bits, dropped = MAX_BITS, max(0, needed - MAX_BITS)
        if dropped:
            self.reasons.append(f"activation_format: outputs need {needed} bits, and a code has {MAX_BITS}")
        return _Addresses(1, (1 << (bits - 1 + dropped)) + (1 << dropped >> 1), dropped, bits)

    def _tables(self, index: int, node: _Nodes, following: _Addresses) -> _Inputs:
        """Adds a layer whose nodes give the addresses ``following``; gives what its successor knows of them."""
        nodes, sources = np.divmod(np.arange(node.layer.n_out * node.layer.n_in), node.layer.n_in)
        if node.direct:
            table, bias, guard = following.of(node.rounded(node.samples)), np.zeros(node.layer.n_out, np.int64), 0
            slack = [0 if not error else (int(error) >> node.dropped) * _FINE + _FINE for error in node.error]
            rounded = None
        else:
            guard = self._guard(index, node, following)
            table, bias, lost = node.summed(following, guard)
            if node.rounding == "half_even":
                self.reasons.append(f"rounding: layer {index} sends ties to the even code, and a sum of tables up")
            slack = [ceil(Fraction(int(error) * _FINE, 1 << node.dropped) + lost * _FINE) for error in node.error]
            rounded = node.rounding
        self._edges.append(
            {"source": sources, "node": nodes, "table": table.reshape(len(nodes), table.shape[-1]), "bias": bias}
        )
        self._guard_bits.append(guard)
        return _Inputs(node.reach, slack, rounded)

    def _guard(self, index: int, node: _Nodes, following: _Addresses) -> int:
        """Fraction bits of the tables of a layer."""
        wanted = following.shift + node.dropped
        if self._sampled and not self._precise:
            # All entries of a node together are then off by no more than a 32nd of an address.
            wanted = min(wanted, clog2(node.layer.n_in + 1) + 4)
        guard = min(wanted, self._most_guard_bits)
        while node.largest(following, guard) >= _ENTRY:
            if not guard:
                raise InputError(
                    f"coefficient_format = {node.layer.formats.coefficient}: an edge reaches {node.highest_real():g}, "
                    f"more than a table's entry can hold; freeze a learner with smaller coefficients"
                )
            guard -= 1
        if guard < wanted:
            self.reasons.append(f"guard_bits: layer {index} takes {wanted}, and has {guard}")
        return guard

    @staticmethod
    def _bound(outputs: _Inputs, addresses: _Addresses) -> int:
        """In LSBs of an activation."""
        slack = max(outputs.slack)
        bound = -(-slack // _FINE)
        if outputs.rounded == "half_even":
            bound = slack // _FINE + 1
        return bound + (1 << addresses.shift) - 1


class _Nodes:
    """The exact sums of a layer's nodes as the learner has them, and as far as a network's tables know them.

    ``samples``: what every edge adds, by address, ``(n_out, n_in, addresses)``. ``error``: for every node how far the
    sum of these can be from the learner's. ``reach``: the lowest and highest activation that each node can have. Sums
    have ``dropped`` fraction bits more than an activation.
    """

    def __init__(
        self, layer: LayerArithmetic, coefficients: Codes, rounding: str, inputs: _Inputs, addresses: _Addresses
    ) -> None:
        self.layer = layer
        self.fraction = layer.node_sum.f
        more = max(0, layer.formats.activation.f - self.fraction)
        self.fraction += more
        self.dropped = self.fraction - layer.formats.activation.f
        # Where no bit is dropped nothing is rounded.
        self.rounding = rounding if self.dropped else "floor"
        self._half = 0 if self.rounding == "floor" else 1 << (self.dropped - 1)
        first, last, middle = inputs.positions(addresses, layer.locator)
        self.samples = np.empty((layer.n_out, layer.n_in, middle.shape[1]), dtype=np.int64)
        self.error = np.zeros(layer.n_out, dtype=np.int64)
        sums = np.zeros((2, layer.n_out), dtype=np.int64)
        ends = [position(layer.locator, reach) for reach in inputs.reach]
        for source in range(layer.n_in):
            values = edge_sums(layer, coefficients, source) << more
            reachable = values[:, ends[0][source] : ends[1][source] + 1]
            sums += [reachable.min(axis=1), reachable.max(axis=1)]
            self.samples[:, source] = values[:, middle[source]]
            lowest, highest = _extremes(values, first[source], last[source])
            sample = self.samples[:, source]
            self.error += np.maximum(highest - sample, sample - lowest).max(axis=1)
        self.reach: tuple[Codes, Codes] = (self.rounded(sums[0]), self.rounded(sums[1]))

    @property
    def direct(self) -> bool:
        """Whether tables can give addresses themselves: there is nothing to add."""
        return self.layer.n_in == 1

    def rounded(self, sums: Codes) -> Codes:
        """Activations, as the learner rounds them."""
        codes: Codes = narrow(sums, self.fraction, self.layer.formats.activation, self.rounding).result
        return codes

    def highest_real(self) -> float:
        return float(np.abs(self.samples).max()) * 2.0**-self.fraction

    def largest(self, following: _Addresses, guard: int) -> int:
        """The largest number that a table or a bias takes."""
        cut = following.shift + self.dropped - guard
        constant = abs(following.offset << self.dropped) + (1 << (following.bits + following.shift + self.dropped))
        return (max(int(np.abs(self.samples).max()) * following.scale, constant) >> cut) + 1

    def summed(self, following: _Addresses, guard: int) -> tuple[Codes, Codes, Fraction]:
        """Tables and bias with ``guard`` fraction bits below an address, and by how much rounding them moves a sum at
        most, in LSBs of an activation."""
        cut = following.shift + self.dropped - guard
        values = self.samples
        if int(np.abs(values).max()) * following.scale >= 1 << 61:
            values = values.astype(object)
        table = _cut(values * following.scale, cut).astype(np.int64)
        # The network adds a half before it cuts off the guard bits; there its lowest code is half its range below zero.
        constant = (self._half * following.scale + (following.offset << self.dropped)) - (
            1 << (following.bits - 1 + following.shift + self.dropped)
        )
        bias = int(_cut(np.array(constant, dtype=object) - (1 << cut + guard >> 1), cut))
        lost = Fraction(0)
        if cut:
            lost = Fraction(self.layer.n_in + 1, 2) * Fraction(1 << cut, following.scale << self.dropped)
        return table, np.full(self.layer.n_out, bias), lost


def position(locator: Locator, x: Codes) -> Codes:
    """Positions in the grid, clamped to it."""
    cell, row, _ = locator.locate(x)
    position: Codes = (cell << locator.row_bits) + row
    return position


def _cut(values: Any, bits: int) -> Any:
    """Without the last ``bits``, to the nearest."""
    return values + (1 << bits >> 1) >> bits


def _activations(locator: Locator, reach: tuple[Codes, Codes]) -> tuple[int, int]:
    """The lowest and the highest activation that a grid tells from those beyond, of those that can occur."""
    first = -(locator.offset // locator.scale)
    last = -((locator.offset - (locator.end << locator.shift)) // locator.scale) - 1
    low, high = sorted((first, last))  # there may be none inside the grid
    # Those beyond may be at positions that none inside is at.
    low -= int(position(locator, np.array(low)) > 0)
    high += int(position(locator, np.array(high)) < locator.end - 1)
    lowest, highest = int(reach[0].min()), int(reach[1].max())
    return min(max(lowest, low), high), min(max(highest, low), high)


def _extremes(values: Codes, first: Codes, last: Codes) -> tuple[Codes, Codes]:
    """The lowest and the highest of ``values[:, first[k] : last[k] + 1]``, for every ``k``."""
    level = np.array([int(length).bit_length() - 1 for length in last - first + 1])
    lowest = np.empty((len(values), len(first)), dtype=np.int64)
    highest = np.empty_like(lowest)
    low = high = values
    for power in range(int(level.max()) + 1):
        here = level == power
        ends = first[here], last[here] - (1 << power) + 1
        lowest[:, here] = np.minimum(low[:, ends[0]], low[:, ends[1]])
        highest[:, here] = np.maximum(high[:, ends[0]], high[:, ends[1]])
        if power < level.max():
            width = 1 << power
            low, high = np.minimum(low[:, :-width], low[:, width:]), np.maximum(high[:, :-width], high[:, width:])
    return lowest, highest
