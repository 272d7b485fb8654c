"""From a learner to a lookup network: the integers that it computes, as tables.

A layer of a learner takes from an input no more than its position in the grid, one of ``grid_size * table_size``. So a
table with an entry for each position holds all that an edge is; with a linear path, a table with an entry for each
activation. The network is the learner to the bit where nothing else is lost:

- Inputs become positions in the quantiser, in integers.
- A hidden node's exact sum becomes the position that the next layer takes: rounding to an activation and then to a
  position is rounding once, where a position is a power of two of activations. Where it is not, tables are addressed by
  the activations within the grid instead.
- A periodic grid is repeated as often as activations reach, as the network's codes saturate and do not wrap.
- An output is the exact sum, rounded once; how, is a constant in the sum.

With fewer address bits a table samples its edge in the middle of what each address stands for. How far that can move a
prediction is followed from layer to layer in integers: for every address, the positions that the learner might be at
while the network takes this entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, real_rows
from ..errors import InputError, cut
from ..learner.arithmetic import checked_coefficients
from ..learner.model_batch import ModelBatch
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..lookup.number_checks import LAYERS, MAX_BITS, check_each_bits, check_guard_bits, check_positive
from ..numeric.fixed import Codes
from .addressing import Scaling, unroll
from .network_draft import NetworkDraft

SAMPLES = 1024
"""How many samples a frozen network is compared with its learner over, where none are given."""

_WIDEST = 32
"""Bits of the widest activation: products with the constants of addresses then fit the model's integers."""


_MOST_POSITIONS = 1 << 20
"""Positions of a periodic grid in all periods that activations reach: for each there is a number of every edge."""


@dataclass(frozen=True, eq=False)
class Frozen:
    """A lookup network made of a learner, and how far it is from it.

    Attributes
    ----------
    network : LookupNetwork
        It takes the learner's inputs, in its ``activation_format``, and gives its predictions; with a
        :class:`Scaling` it takes and gives the real numbers outside of that.
    spec : LearnerSpec
        What the learner is.
    bound : float
        No prediction differs from the learner's by more, whatever the input that the learner's ``input_format`` holds.
        It is 0 where the network is the learner to the bit. Beyond the format inputs of both saturate, except for those
        of a periodic grid: a session takes angles modulo its range, the network does not.
    max_error, rms_error : float
        The largest error of the predictions that were measured, and the root of the mean square, against the learner's
        own.
    samples : int
        How many predictions were measured.
    reasons : tuple of str
        Why the bound is not 0, by the names of what has to be changed for it to be 0.
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
            where = f", for angles that {self.spec.formats.input} holds" if self.spec.input_period else ""
            return f"{head}the learner to the bit{where}"
        return (
            f"{head}error at most {self.bound:g}; over {self.samples} samples {self.max_error:g}, "
            f"{self.rms_error:.3g} RMS ({'; '.join(self.reasons)})"
        )


def _check_widths(spec: LearnerSpec) -> None:
    """Raise :exc:`InputError`, which names the field that it follows from, where a code is too wide."""
    *hidden, last = (layer.output for layer in spec.formats.layers)
    ranges = "target_range" if spec.target_range else "grid_range"
    for format, own, derived in (
        (spec.formats.input, "input_format", "grid_range"),
        *((format, "", "grid_range") for format in hidden),
        (last, "output_format", ranges),
    ):
        if format.width <= _WIDEST:
            continue
        given = [field for field in (own, "activation_format") if field and getattr(spec, field)]
        if given:
            raise InputError(f"{given[0]} = {format}: is {format.width} bits wide, the limit is {_WIDEST}")
        wide = f"makes codes of {format.width} bits, in {format}, and the limit of a network is {_WIDEST}"
        raise InputError(f"{derived} = {cut(getattr(spec, derived))}: {wide}; scale it down")


def freeze(
    spec: LearnerSpec,
    coefficients: Sequence[npt.ArrayLike],
    bits: int | Sequence[int] | None = None,
    *,
    guard_bits: int | None = None,
    x: npt.ArrayLike | None = None,
    scaling: Scaling | None = None,
) -> Frozen:
    """Make the lookup network of a learner as it is now.

    Parameters
    ----------
    spec : LearnerSpec
        What the learner is.
    coefficients : list of arrays ``(n_out, n_in, bases)``
        The learner's codes, one array for each layer, with one more code, w, where it has linear paths.
    bits : int or list of int, optional
        How many address bits a table has at most, for all layers or a list with one number for each. By default they
        are as few as make the network the learner itself, and 16 at most.
    guard_bits : int, optional
        How many fraction bits tables have at most below their nodes' codes. By default they are all that the learner's
        rounding sees, but only as many as the sampled tables are worth where ``bits`` leaves addresses out.
    x : array ``(n, n_in)``, optional
        The inputs that the error is measured with; by default random ones from all of the grid.
    scaling : Scaling, optional
        What stands around the learner. It becomes a part of the network: of its quantiser, which then takes real inputs
        rather than those in the learner's ``input_format``, and of its last layer's ``step`` and ``offset``.

    Returns
    -------
    Frozen
        The network, and how far it is from the learner.

    Raises
    ------
    InputError
        If an argument is refused, or the learner has numbers that no table can hold.
    """
    _check_widths(spec)
    if spec.modulated:
        raise InputError(
            f"modulated = {spec.modulated!r}: a lookup network has no products of two inputs; freeze a learner without"
        )
    for layer in spec.layers:
        if layer.periodic and unroll(layer).end > _MOST_POSITIONS:
            raise InputError(
                f"input_format = {layer.formats.input}: goes around a periodic grid of "
                f"{layer.grid_max - layer.grid_min:g} in {unroll(layer).end} steps of its tables, the "
                f"limit is {_MOST_POSITIONS}; freeze a learner with "
                "fewer integer bits, or a smaller table_size"
            )
    codes = checked_coefficients(spec.layers, coefficients)
    limits = _address_limits(spec, bits)
    if guard_bits is not None:
        guard_bits = check_guard_bits("guard_bits", guard_bits)
    if scaling is not None:
        check_positive("scaling.output_scale", float(np.min(scaling.output_scale)))
    draft = NetworkDraft(spec, codes, limits, precise=bits is None, guard_bits=guard_bits, scaling=scaling)
    network = draft.network()
    errors = _measure_errors(spec, codes, network, scaling, _real_samples(spec, x, scaling))
    lsb = float(network.layers[-1].steps.max()) / draft.output_codes
    return Frozen(
        network=network,
        spec=spec,
        bound=draft.bound * lsb,
        max_error=float(np.abs(errors).max(initial=0)),
        rms_error=float(np.sqrt(np.mean(errors**2))) if errors.size else 0.0,
        samples=len(errors),
        reasons=tuple(draft.reasons) if draft.bound else (),
    )


def _address_limits(spec: LearnerSpec, bits: int | Sequence[int] | None) -> list[int]:
    """Check ``bits``, and give how many address bits each layer may take."""
    if bits is None:
        return [MAX_BITS] * spec.n_layers
    return check_each_bits("bits", bits, spec.n_layers, LAYERS)


def _real_samples(spec: LearnerSpec, x: npt.ArrayLike | None, scaling: Scaling | None) -> Reals:
    """Give the real inputs that the error is measured with, as the network takes them."""
    if x is not None:
        return real_rows("x", x, spec.n_in)
    low, high = spec.per_layer("grid_range")[0]
    inputs = np.random.default_rng(0).uniform(low, high, (SAMPLES, spec.n_in))
    return inputs if scaling is None else scaling.unscale(inputs)


def _measure_errors(
    spec: LearnerSpec, coefficients: list[Codes], network: LookupNetwork, scaling: Scaling | None, x: Reals
) -> Reals:
    """Give the network's predictions less the learner's, ``(n, n_out)``."""
    model = ModelBatch([spec])
    model.coefficients = [layer[None] for layer in coefficients]
    taken = x if scaling is None else x * scaling.scale + scaling.offset
    codes = spec.formats.input.quantise(taken, spec.input_period)
    expected = spec.formats.output.to_float(model.predict_many(codes)[0])
    if scaling is not None:
        expected = expected * scaling.output_scale + scaling.output_offset
    errors: Reals = network.predict(x) - expected
    return errors
