"""What brings a learner back to what it was: a walk through its access port, and where the values come from."""

from __future__ import annotations

from math import ceil
from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...fabric.logic_table import look_up
from ...fabric.parts import Parts
from ...numeric.bits import bits_for
from ..address_map import AddressMap
from ..restoration import Restoration
from ..spec import LearnerSpec
from .access import AccessPort


class RestoredValues(wiring.Signature):  # type: ignore[misc]
    """Where a :class:`Restorer` takes from what it writes: a table of what there was at the start, or a memory.

    Parameters
    ----------
    spec
        The learner.
    count
        How many values there are.

    Members
    -------
    position : Out
        The number of the value that is written next: coefficients by layer, node, input and index, each faster than the
        one before, then registers.
    value : In
        Its code, a cycle later at the latest; held while the position is.
    """

    def __init__(self, spec: LearnerSpec, count: int) -> None:
        word = signed(AddressMap.of(spec).data_width)
        super().__init__({"position": Out(range(count)), "value": In(word)})


class StartValues(wiring.Component):  # type: ignore[misc]
    """What a learner holds at its start, as logic.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    values : In, :class:`RestoredValues`
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._words = Restoration.of(spec).values
        super().__init__({"values": In(RestoredValues(spec, len(self._words)))})

    @property
    def latency(self) -> int:
        """Clock cycles from a position to its value: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        value = self.values.value
        m.d.comb += value.eq(look_up(self.values.position, self._words, len(value)).as_signed())
        return m


class Restorer(wiring.Component):  # type: ignore[misc]
    """Writes one value after another, through the access port: every coefficient, and then registers.

    Each is written when the answer to the one before has come. What is written is asked for by its position, so that it
    may come from anywhere.

    Parameters
    ----------
    spec
        The learner.
    registers
        The addresses that are written after the coefficients, in this order; none leaves registers as they are.
    after_reset
        Whether it also begins by itself, after a reset.

    Members
    -------
    begin : In(1)
        It begins after the clock edge; not while ``busy``.
    busy : Out(1)
        From the edge that begins it until all is written.
    values : Out, :class:`RestoredValues`
    access : Out, :class:`.AccessPort`
    """

    def __init__(self, spec: LearnerSpec, registers: tuple[int, ...] = (), *, after_reset: bool = False) -> None:
        self._spec = spec
        self._registers = registers
        self._after_reset = after_reset
        self._addresses = AddressMap.of(spec)
        self._coefficients = sum(layer.n_out * layer.n_in * layer.coefficients for layer in spec.layers)
        super().__init__(
            {
                "begin": In(1),
                "busy": Out(1),
                "values": Out(RestoredValues(spec, self._coefficients + len(registers))),
                "access": Out(AccessPort(spec)),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that begins it to that from which it asks for the first write."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, position = self.access.request, self.values.position
        # Once it has begun, a value is given the time to come; then it is written, and its answer awaited.
        running, waiting = Signal(init=self._after_reset), Signal(init=self._after_reset)
        # The last has been taken.
        passed = Signal()
        onward = Signal()
        m.d.comb += [
            self.busy.eq(running),
            onward.eq(request.valid & request.ready),
            request.payload.address.eq(self._walk(m, onward)),
            request.payload.write.eq(1),
            request.payload.data.eq(self.values.value),
            self.access.response.ready.eq(1),
        ]
        m.d.sync += waiting.eq(self.begin)
        with m.If(waiting | (self.access.response.valid & ~passed)):
            m.d.sync += request.valid.eq(1)
        with m.If(onward):
            last = position == self._coefficients + len(self._registers) - 1
            m.d.sync += [request.valid.eq(0), position.eq(Mux(last, 0, position + 1)), passed.eq(last)]
        with m.If(self.access.response.valid & passed):
            m.d.sync += [running.eq(0), passed.eq(0)]
        with m.If(self.begin):
            m.d.sync += running.eq(1)
        return m

    def _walk(self, m: Module, onward: Value) -> Value:
        """Give the address that is written, the next one after an edge with ``onward``; behind the last the first."""
        addresses, layers = self._addresses, self._spec.layers
        behind = Signal(name="behind_coefficients")
        indices = max(len(self._registers), *(layer.coefficients for layer in layers))
        index, source = Signal(range(indices), name="index"), Signal(addresses.input_bits, name="input")
        node, layer = Signal(addresses.node_bits, name="node"), Signal(addresses.layer_bits, name="layer")

        def last(counter: Signal, counts: list[int]) -> Value:
            """Whether a counter is at its end in the layer that is written."""
            ends = [Const(count - 1, len(counter)) for count in counts]
            return counter == (ends[0] if len(set(counts)) == 1 else Array(ends)[layer])

        ended = [
            last(index, [each.coefficients for each in layers]),
            last(source, [each.n_in for each in layers]),
            last(node, [each.n_out for each in layers]),
            layer == len(layers) - 1,
        ]
        with m.If(onward & ~behind):
            carries = Const(1)
            for counter, end in zip((index, source, node, layer), ended, strict=True):
                with m.If(carries):
                    m.d.sync += counter.eq(Mux(end, 0, counter + 1))
                carries = carries & end
            if self._registers:
                with m.If(carries):
                    m.d.sync += behind.eq(1)
        below = Cat(
            _resize(index, addresses.index_bits), source, node, layer, Const(0, 1)
        )  # the fields of a coefficient's address
        if not self._registers:
            return below
        with m.If(onward & behind):
            done = index == len(self._registers) - 1
            m.d.sync += [index.eq(Mux(done, 0, index + 1)), behind.eq(~done)]
        return Mux(behind, look_up(index, self._registers, addresses.width), below)


def _resize(value: Value, bits: int) -> Value:
    """Give the value in so many bits, which are enough for it."""
    return Cat(value, Const(0, bits))[:bits]


class AccessSwitch(wiring.Component):  # type: ignore[misc]
    """Lets two ask one access port: the second whenever it wants, and the first at other times.

    Whoever asked gets the answer.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    first, second : In, :class:`.AccessPort`
    second_only : In(1)
        No request is taken of the first.
    both : Out, :class:`.AccessPort`
        Those of either.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        port = AccessPort(spec)
        super().__init__({"first": In(port), "second": In(port), "second_only": In(1), "both": Out(port)})

    @property
    def latency(self) -> int:
        """Clock cycles from a request to the same on the other side: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        first, second, both = self.first, self.second, self.both
        of_second = Signal()
        m.d.comb += [
            both.request.valid.eq(Mux(self.second_only, second.request.valid, first.request.valid)),
            Value.cast(both.request.payload).eq(
                Mux(self.second_only, Value.cast(second.request.payload), Value.cast(first.request.payload))
            ),
            first.request.ready.eq(both.request.ready & ~self.second_only),
            second.request.ready.eq(both.request.ready & self.second_only),
            first.response.valid.eq(both.response.valid & ~of_second),
            first.response.payload.eq(both.response.payload),
            second.response.valid.eq(both.response.valid & of_second),
            second.response.payload.eq(both.response.payload),
            both.response.ready.eq(Mux(of_second, second.response.ready, first.response.ready)),
        ]
        with m.If(both.request.valid & both.request.ready):
            m.d.sync += of_second.eq(self.second_only)
        return m


class Restoring(wiring.Component):  # type: ignore[misc]
    """Brings a learner to its start after a reset, and whenever it is told to, between the outer access port and what
    serves it.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    begin : In(1), busy : Out(1)
        As those of :class:`Restorer`.
    outer : In, :class:`.AccessPort`
        Of others; they wait while ``busy``.
    access : Out, :class:`.AccessPort`
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        port = AccessPort(spec)
        super().__init__({"begin": In(1), "busy": Out(1), "outer": In(port), "access": Out(port)})

    @property
    def latency(self) -> int:
        """Clock cycles for which it is busy after a reset, or after ``begin``."""
        assert self._spec.restart_cycles is not None
        return self._spec.restart_cycles - 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        registers = tuple(address for address, _ in Restoration.of(self._spec).registers)
        m.submodules.restorer = restorer = Restorer(self._spec, registers, after_reset=True)
        m.submodules.values = start = StartValues(self._spec)
        m.submodules.switch = switch = AccessSwitch(self._spec)
        connect(m, restorer.values, start.values)
        connect(m, flipped(self.outer), switch.first)
        connect(m, restorer.access, switch.second)
        connect(m, switch.both, flipped(self.access))
        m.d.comb += [
            restorer.begin.eq(self.begin),
            self.busy.eq(restorer.busy),
            switch.second_only.eq(restorer.busy),
        ]
        return m


def count_restoring(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`Restoring` has."""
    addresses, restoration = AddressMap.of(spec), Restoration.of(spec)
    values = restoration.values
    count_table(parts, values, addresses.data_width)
    count_table(parts, [address for address, _ in restoration.registers], addresses.width)
    counted = bits_for(len(values)) + addresses.width
    parts.counts["counter"] += counted
    parts.register(counted + 6, moved=False)
    # The address, and whose request goes on.
    parts.choice(addresses.width)
    parts.choice(addresses.width + addresses.data_width + 2)


def count_table(parts: Parts, words: Any, width: int) -> None:
    """Count a :func:`.look_up`: a LUT holds 16 bits of those that differ, and multiplexers choose among LUTs."""
    mask = (1 << width) - 1
    differing = 0
    for word in words:
        differing |= (int(word) ^ int(words[0])) & mask
    parts.counts["truth table"] += ceil(differing.bit_count() * len(words) / 16)
