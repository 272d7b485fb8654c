"""The lookup network of a learner while it is made, layer by layer, and how far it is from the learner."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np

from ..arrays import Reals
from ..errors import InputError
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..lookup.number_checks import MAX_BITS, MAX_GUARD_BITS
from ..lookup.quantiser import FixedQuantiser, Quantiser
from ..numeric.bits import clog2
from ..numeric.fixed import Codes
from .addressing import SLACK_PARTS, Addressing, Scaling, edge_locator, find_activations, grid_position
from .sampled_sums import InputBounds, SampledSums

_ENTRY_LIMIT = 1 << 31


class NetworkDraft:
    """The layers of a network, first layer first, and how far they are from the learner's.

    Parameters
    ----------
    spec, coefficients
        The learner: its codes are one array ``(n_out, n_in, coefficients)`` for each layer.
    limits
        How many address bits each layer may take at most.
    precise
        Whether tables have all guard bits even where addresses are left out.
    guard_bits
        How many guard bits a layer has at most, or None for as many as tables can have.
    scaling
        What stands around the learner, if anything does.

    Attributes
    ----------
    bound : int
        By how much a prediction differs from the learner's at most, in LSBs of an activation.
    reasons : list of str
        What made the bound more than zero.
    output_codes : int
        How many LSBs of an activation one LSB of a prediction is.

    Raises
    ------
    InputError
        If an edge reaches further than a table's entry can.
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
        format = spec.formats.input
        # Real inputs are rounded to the nearest, and one on a border may then be on either side of it.
        inputs = InputBounds.of_samples(format, spec.n_in, None if scaling is None else "half_even")
        if scaling is not None:
            self.reasons.append("scaling: real inputs on the border between two codes may become either")
        addresses = self._address_layer(0, inputs, limits[0])
        self._addressings = [addresses]
        for index, (layer, codes) in enumerate(zip(spec.layers, coefficients, strict=True)):
            node = SampledSums(layer, codes, spec.rounding, inputs, addresses)
            if index + 1 < spec.n_layers:
                following = InputBounds(node.reach, [], None if node.direct else node.rounding)
                addresses = self._address_layer(index + 1, following, limits[index + 1])
            else:
                addresses = self._address_outputs(node)
            inputs = self._add_layer(index, node, addresses)
            self._addressings.append(addresses)
        self.bound = _bound_outputs(inputs, addresses)
        self.output_codes = 1 << addresses.shift

    def network(self) -> LookupNetwork:
        """Make the network."""
        spec, formats = self.spec, self.spec.formats
        lsbs = [*(each.input.lsb for each in formats.layers), formats.output.lsb]
        first, scaling = self._addressings[0], self._scaling
        steps: list[float | Reals] = [
            float(addressing.step) * lsb for addressing, lsb in zip(self._addressings, lsbs, strict=True)
        ]
        quantiser: FixedQuantiser | Quantiser
        output_offset: float | Reals = 0.0
        if scaling is None:
            quantiser = first.quantiser(formats.input, spec.n_in)
        else:
            quantiser = first.real_quantiser(formats.input, spec.n_in, scaling)
            output_offset = scaling.output_offset
            steps[-1] = steps[-1] * scaling.output_scale
        lost = 0 if spec.rounding == "floor" else Fraction(1, 2)
        return LookupNetwork.of(
            spec.layer_sizes,
            [addressing.bits for addressing in self._addressings],
            steps,
            self._edges,
            guard_bits=self._guard_bits,
            offsets=[
                *(
                    float(hidden.zero - lost) * lsb
                    for hidden, lsb in zip(self._addressings[1:-1], lsbs[1:-1], strict=True)
                ),
                output_offset,
            ],
            quantiser=quantiser,
        )

    def _address_layer(self, index: int, inputs: InputBounds, limit: int) -> Addressing:
        """Choose how the tables of a layer are addressed, in ``limit`` bits at most."""
        locator = edge_locator(self.spec.layers[index], inputs.reach)
        start, stop = find_activations(locator, inputs.reach)
        low, high = (int(grid_position(locator, np.array(x))) for x in (start, stop))
        bits = max(1, clog2(high - low + 1))
        positions = Addressing(locator.scale, locator.offset - (low << locator.shift), locator.shift, bits)
        zero = locator.offset >> locator.shift
        half = 1 << (bits - 1)
        if -half <= low - zero and high - zero < half:  # the code is then the input itself, except for its scale
            positions = Addressing(locator.scale, locator.offset + (half - zero << locator.shift), locator.shift, bits)
        if positions.bits <= limit and (inputs.rounding is None or locator.scale == 1):
            return positions
        activations = max(1, clog2(stop - start + 1))
        if activations <= limit:
            return Addressing(1, -start, 0, activations)
        self._sampled = True
        aligned = inputs.rounding is None or locator.scale == 1
        needed = min(positions.bits, activations) if aligned else activations
        self.reasons.append(f"bits: layer {index} takes {needed} address bits to be exact, and has {limit}")
        if positions.bits <= limit:
            return positions
        shift = activations + 8
        scale = (1 << (limit + shift)) // (stop - start + 1)
        while scale % 2 == 0:
            scale, shift = scale // 2, shift - 1
        return Addressing(scale, -start * scale, shift, limit)

    def _address_outputs(self, node: SampledSums) -> Addressing:
        """Choose the codes of the outputs: activations, or where these have too many bits, the upper ones that can
        occur."""
        bits, dropped = self.spec.formats.output.width, 0
        if bits > MAX_BITS:
            lowest, highest = node.reach
            needed = 1 + max(int(highest.max()).bit_length(), int(-1 - lowest.min()).bit_length())
            bits, dropped = MAX_BITS, max(0, needed - MAX_BITS)
        if dropped:
            self.reasons.append(f"activation_format: outputs need {needed} bits, and a code has {MAX_BITS}")
        return Addressing(1, (1 << (bits - 1 + dropped)) + (1 << dropped >> 1), dropped, bits)

    def _add_layer(self, index: int, node: SampledSums, following: Addressing) -> InputBounds:
        """Add a layer whose nodes give the addresses ``following``, and give what its successor knows of them."""
        nodes, sources = np.divmod(np.arange(node.layer.n_out * node.layer.n_in), node.layer.n_in)
        if node.direct:
            table, bias, guard = following.codes(node.round(node.samples)), np.zeros(node.layer.n_out, np.int64), 0
            slack = [
                0 if not error else (int(error) >> node.dropped) * SLACK_PARTS + SLACK_PARTS for error in node.error
            ]
            rounding = None
        else:
            guard = self._choose_guard_bits(index, node, following)
            table, bias, lost = node.tables(following, guard)
            if node.rounding == "half_even":
                self.reasons.append(f"rounding: layer {index} sends ties to the even code, and a sum of tables up")
            slack = [
                ceil(Fraction(int(error) * SLACK_PARTS, 1 << node.dropped) + lost * SLACK_PARTS) for error in node.error
            ]
            rounding = node.rounding
        self._edges.append(
            {"source": sources, "node": nodes, "table": table.reshape(len(nodes), table.shape[-1]), "bias": bias}
        )
        self._guard_bits.append(guard)
        return InputBounds(node.reach, slack, rounding)

    def _choose_guard_bits(self, index: int, node: SampledSums, following: Addressing) -> int:
        """Choose how many fraction bits the tables of a layer have."""
        wanted = following.shift + node.dropped
        if self._sampled and not self._precise:
            # All entries of a node together are then off by no more than a 32nd of an address.
            wanted = min(wanted, clog2(node.layer.n_in + 1) + 4)
        guard = min(wanted, self._most_guard_bits)
        while node.largest_entry(following, guard) >= _ENTRY_LIMIT:
            if not guard:
                raise InputError(
                    f"coefficient_format = {node.layer.formats.coefficient}: an edge reaches {node.highest_real():g}, "
                    f"more than a table's entry can hold; freeze a learner with smaller coefficients"
                )
            guard -= 1
        if guard < wanted:
            self.reasons.append(f"guard_bits: layer {index} takes {wanted}, and has {guard}")
        return guard


def _bound_outputs(outputs: InputBounds, addresses: Addressing) -> int:
    """Give the bound of the predictions' difference, in LSBs of an activation."""
    slack = max(outputs.slack)
    bound = -(-slack // SLACK_PARTS)
    if outputs.rounding == "half_even":
        bound = slack // SLACK_PARTS + 1
    return bound + (1 << addresses.shift) - 1
