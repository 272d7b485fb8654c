"""Access from outside: requests, while they are served, and the registers and coefficients that they reach."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.lfsr import LEAP
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ..address_map import CONTROL_FREEZE, CONTROL_RESTORE, COUNTER_WIDTH, AddressMap
from ..folded_schedule import FoldedSchedule
from ..spec import LearnerSpec
from .coefficients import CoefficientAccess
from .saturation import count_flags
from .sequencer import Handshake


class AccessPort(wiring.Signature):  # type: ignore[misc]
    """Reads and writes of coefficients and registers from outside, one at a time: :mod:`kanrtl.learner.address_map`.

    A request is taken between samples, before the next one. Every request is answered: a read with what was read, a
    write with what was written. An address that stands for nothing reads zero, and a write to it changes nothing.

    Members
    -------
    request : Out, stream of ``address``, ``write`` and ``data`` (integer codes)
    response : In, stream of integer codes
    """

    def __init__(self, spec: LearnerSpec) -> None:
        addresses = AddressMap.of(spec)
        word = signed(addresses.data_width)
        request = data.StructLayout({"address": addresses.width, "write": 1, "data": word})
        super().__init__(
            {
                "request": Out(stream.Signature(request)),
                "response": In(stream.Signature(word)),
            }
        )


class HeldRequest(wiring.Signature):  # type: ignore[misc]
    """A request while it is served, as what it may reach sees it.

    Members
    -------
    address : Out
        As in :mod:`kanrtl.learner.address_map`.
    write : Out(1)
        Whether something is written.
    data : Out
        What is written; zero except while something is.
    serving : Out(1)
        It is being served; the address is valid.
    second : Out(1)
        That is in its second cycle.
    done : Out(1)
        That ends with this cycle: what is written is written at the clock edge, and what is read is taken there.
    read : In
        What is read, integer codes; zero where the address is another's, and while something is written.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        addresses = AddressMap.of(spec)
        word = signed(addresses.data_width)
        super().__init__(
            {
                "address": Out(addresses.width),
                "write": Out(1),
                "data": Out(word),
                "serving": Out(1),
                "second": Out(1),
                "done": Out(1),
                "read": In(word),
            }
        )


class Access(wiring.Component):  # type: ignore[misc]
    """Holds a request while it is served, and then its answer until that is taken.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    port : In, :class:`.AccessPort`
    requests : Out, :class:`.Handshake`
        A request is there; it is taken when the sequencer is ready for it.
    responding : Out(1)
        An answer waits to be taken.
    serving, second, done : In(1)
        Of the sequencer: see :class:`.SequencerSignature`.
    registers, coefficients : Out, :class:`.HeldRequest`
        The request, for both.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._addresses = AddressMap.of(spec)
        super().__init__(
            {
                "port": In(AccessPort(spec)),
                "requests": Out(Handshake()),
                "responding": Out(1),
                "serving": In(1),
                "second": In(1),
                "done": In(1),
                "registers": Out(HeldRequest(spec)),
                "coefficients": Out(HeldRequest(spec)),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the cycle in which a request is done to that in which it is answered."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, response = self.port.request, self.port.response
        held = Signal(data.StructLayout({"address": self._addresses.width, "write": 1}), reset_less=True)
        # Zero except while something is written, so that no choice is needed where it meets other data.
        written = Signal(signed(self._addresses.data_width))
        m.d.comb += [
            self.requests.valid.eq(request.valid),
            request.ready.eq(self.requests.ready),
            self.responding.eq(response.valid),
        ]
        taken = request.valid & request.ready
        with m.If(taken):
            m.d.sync += [held.address.eq(request.payload.address), held.write.eq(request.payload.write)]
        with m.If(self.done | (taken & ~request.payload.write)):
            m.d.sync += written.eq(0)
        with m.Elif(taken):
            m.d.sync += written.eq(request.payload.data)
        with m.If(self.done):
            m.d.sync += [
                response.payload.eq(written | self.registers.read | self.coefficients.read),
                response.valid.eq(1),
            ]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)
        for reached in (self.registers, self.coefficients):
            m.d.comb += [
                reached.address.eq(held.address),
                reached.write.eq(held.write),
                reached.data.eq(written),
                reached.serving.eq(self.serving),
                reached.second.eq(self.second),
                reached.done.eq(self.done),
            ]
        return m


def count_access(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`Access` has."""
    addresses = AddressMap.of(spec)
    parts.register(addresses.width + 1)
    parts.register(2 * addresses.data_width + 1, moved=False)
    parts.choice(addresses.data_width, times=2)


class Registers(wiring.Component):  # type: ignore[misc]
    """Finds the register of an address, and holds that of control.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    request : In, :class:`.HeldRequest`
    freeze : Out(1)
        The control register says that nothing is learned.
    restore : Out(1)
        It is told to restore, with the last cycle of that request; only where the learner restarts.
    rates : In
        The learning rate of every layer.
    linear_rates : In
        The rate of the linear paths of every layer that has them; only where any has.
    write_rate : Out, one bit for every layer, and then for every layer with linear paths
        Its rate is written at the clock edge: early enough for the layer to be busy when the request would be done.
    counts : In
        A counter for every kind of saturation that the learner has.
    clear : Out, one bit for every such kind
        The counter becomes zero at the clock edge.
    noise_state : In(32), load_noise : Out(1)
        The noise register, and whether its low half is written at the clock edge; only with stochastic rounding.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        self._kinds = tuple(count_flags(spec))
        members: dict[str, Any] = {
            "request": In(HeldRequest(spec)),
            "freeze": Out(1),
            "rates": In(data.ArrayLayout(spec.formats.learning_rate, spec.n_layers)),
            "write_rate": Out(len(spec.rate_registers)),
            "counts": In(data.StructLayout(dict.fromkeys(self._kinds, COUNTER_WIDTH))),
            "clear": Out(data.StructLayout(dict.fromkeys(self._kinds, 1))),
        }
        if spec.linear_layers:
            members["linear_rates"] = In(_linear_rates(spec))
        if spec.restarts:
            members["restore"] = Out(1)
        if spec.plans[0].stochastic:
            members |= {"noise_state": In(NOISE_WIDTH), "load_noise": Out(1)}
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles from an address to what is read there: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, addresses = self.request, AddressMap.of(self._spec)
        number, write = request.address[:-1], request.done & request.write
        read = Signal(signed(addresses.data_width))

        def at(address: int) -> Any:
            return m.Case(address & ((1 << len(number)) - 1))

        with m.If(request.address[-1]), m.Switch(number):
            for index in range(self._spec.n_layers):
                with at(addresses.learning_rate(index)):
                    m.d.comb += read.eq(self.rates[index].raw)
                    m.d.comb += self.write_rate[index].eq(request.second & request.write)
            for number_of_rate, index in enumerate(self._spec.linear_layers):
                with at(addresses.linear_rate(index)):
                    m.d.comb += read.eq(self.linear_rates[number_of_rate].raw)
                    written = self.write_rate[self._spec.n_layers + number_of_rate]
                    m.d.comb += written.eq(request.second & request.write)
            for kind in self._kinds:
                with at(addresses.saturations(kind)):
                    m.d.comb += [read.eq(self.counts[kind]), self.clear[kind].eq(write)]
            if self._spec.plans[0].stochastic:
                with at(addresses.noise):
                    m.d.comb += [read.eq(self.noise_state[LEAP:]), self.load_noise.eq(write)]
            with at(addresses.control):
                m.d.comb += read.eq(self.freeze)
                if self._spec.restarts:
                    m.d.comb += self.restore.eq(write & ((request.data & CONTROL_RESTORE) != 0))
                with m.If(write):
                    m.d.sync += self.freeze.eq((request.data & CONTROL_FREEZE) != 0)
        if self._spec.restarts:
            with m.If(self.restore):
                m.d.comb += [self.clear[kind].eq(1) for kind in self._kinds]
        m.d.comb += request.read.eq(Mux(request.write, 0, read))
        return m


def count_registers(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`Registers` has."""
    parts.union(spec.formats.learning_rate.width, spec.n_layers + 1)
    if spec.formats.linear_rate:
        parts.union(spec.formats.linear_rate.width, len(spec.linear_layers) + 1)
    parts.union(COUNTER_WIDTH, len(count_flags(spec)) + 1 + spec.plans[0].stochastic)


def _linear_rates(spec: LearnerSpec) -> data.ArrayLayout:
    """The rate of every layer with linear paths."""
    return data.ArrayLayout(spec.formats.linear_rate, len(spec.linear_layers))


class LearningRates(wiring.Component):  # type: ignore[misc]
    """The learning rate of every layer, and that of its linear paths; they outlast a reset, as the tables do that are
    made from them. In a learner that restarts they hold nothing until they are written.

    Parameters
    ----------
    spec
        The learner; its rates are there from the start.

    Members
    -------
    write : In, one bit for every layer, and then for every layer with linear paths
        At the clock edge its rate becomes ``data``.
    data : In
        The low bits are a code of the rate.
    rates : Out, one rate for every layer
    linear_rates : Out, one for every layer with linear paths; only where any has
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        super().__init__(
            {
                "write": In(len(spec.rate_registers)),
                "data": In(signed(AddressMap.of(spec).data_width)),
                "rates": Out(data.ArrayLayout(spec.formats.learning_rate, spec.n_layers)),
                **({"linear_rates": Out(_linear_rates(spec))} if spec.linear_layers else {}),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the cycle of a write to that from which the rate is there."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        given = list(self.rates)
        names = [f"learning_rate{index}" for index in range(self._spec.n_layers)]
        if self._spec.linear_layers:
            given += list(self.linear_rates)
            names += [f"linear_rate{index}" for index in self._spec.linear_layers]
        for index, (rate, name, (format, code)) in enumerate(zip(given, names, self._spec.rate_registers, strict=True)):
            first = 0.0 if self._spec.restarts else float(format.to_float(code))
            register = Signal(format, name=name, init=first, reset_less=True)
            with m.If(self.write[index]):
                m.d.sync += register.raw.eq(self.data)
            m.d.comb += rate.eq(register)
        return m


def count_learning_rates(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`LearningRates` has."""
    parts.register(sum(register.format.width for register in spec.rate_registers))


class CoefficientRequests(wiring.Component):  # type: ignore[misc]
    """Splits an address into the fields of :class:`.AddressMap`, and accesses the coefficient there, if there is one.

    Where samples stream, an access has many cycles, and paths to all coefficients and back would set the clock: there
    are registers on either side.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    request : In, :class:`.HeldRequest`
    layer0, layer1, ... : Out, :class:`.CoefficientAccess`
        One for every layer.
    write : Out, one bit for every layer
        Its :attr:`~.LayerSignature.access_write`.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        layers = {f"layer{index}": Out(CoefficientAccess(layer)) for index, layer in enumerate(spec.layers)}
        super().__init__({"request": In(HeldRequest(spec)), "write": Out(spec.n_layers), **layers})

    @property
    def latency(self) -> int:
        """Clock cycles that it adds to those of a layer."""
        return 3 if self._spec.timing.streaming else 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, addresses = self.request, AddressMap.of(self._spec)

        def register(value: Value, name: str) -> Value:
            if not self.latency:
                return value
            held = Signal(value.shape(), name=name, reset_less=True)
            m.d.sync += held.eq(value)
            return held

        fields, position = [], 0
        for width in (addresses.index_bits, addresses.input_bits, addresses.node_bits, addresses.layer_bits):
            fields.append(request.address[position : position + width])
            position += width
        index, source, node, number = fields
        reached = [register(field, name) for field, name in ((index, "index"), (source, "input"), (node, "node"))]
        found: list[Value] = []
        for layer_number, layer in enumerate(self._spec.layers):
            access = getattr(self, f"layer{layer_number}")
            exists = (
                ~request.address[-1]
                & (number == layer_number)
                & (index < layer.coefficients)
                & (source < layer.n_in)
                & (node < layer.n_out)
            )
            exists = register(exists, f"exists{layer_number}")
            m.d.comb += [
                member.eq(value)
                for member, value in zip((access.index, access.input, access.output), reached, strict=True)
            ]
            enable = exists & request.serving
            if self.latency:
                # It reaches every bank. After the cycle in which the request is done the next sample may come.
                enable = register(enable & ~request.done, f"enable{layer_number}")
            with m.If(enable):
                m.d.comb += [
                    access.enable.eq(1),
                    access.write.eq(request.done & request.write),
                    self.write[layer_number].eq(request.write),
                ]
            found.append(Mux(exists & ~request.write, access.read_data.raw, 0))
        m.d.comb += request.read.eq(register(reduce(or_, found), "found"))
        return m


def count_coefficient_requests(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`CoefficientRequests` has, and in the layers the choice of what is read."""
    if spec.timing.streaming:
        addresses = AddressMap.of(spec)
        reached = addresses.index_bits + addresses.input_bits + addresses.node_bits
        read = max(layer.formats.coefficient.width for layer in spec.layers)
        parts.register(reached + 2 * spec.n_layers + read, moved=False)
    for index, layer in enumerate(spec.layers):
        width = layer.formats.coefficient.width
        reads = layer.n_in * layer.banks
        if isinstance(spec.timing, FoldedSchedule):
            passes = spec.timing.passes[index]
            parts.choice(width, reads // passes.inputs * layer.n_out // passes.nodes)
        else:
            parts.union(width, reads, layer.n_out)
            parts.choice(width, layer.n_out)
