"""The register map of a core: what lies at which address of a bus of 32 bits. All that tells of it is made from it.

At the bottom lie the registers of the shell: identification, status, events and, where the bus has no streams, those
through which samples go in and predictions come out. The upper half is a window on the core's access port: word ``n``
of it is address ``n`` of :class:`kanrtl.learner.address_map.AddressMap`, so that whatever the port reaches is reached
over a bus too. A network has no such window.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeVar

from ..errors import InputError, SpecError
from ..learner.address_map import (
    CONTROL_FREEZE,
    CONTROL_RESTORE,
    COUNTER_WIDTH,
    GUARD_ADOPT,
    GUARD_FAULT,
    SATURATIONS,
    AddressMap,
)
from ..learner.guard_settings import SIGNATURES
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..numeric.bits import clog2
from ..numeric.fixed import Format
from ..numeric.lfsr import initial_state
from .identification import HEAD, Identification
from .register import WORD, Field, OnWrite, Register, one_field

__all__ = ["BYTES", "Dimension", "Numbers", "PlacedRegister", "RegisterMap"]

BYTES = WORD // 8
"""Bytes of a word; an address of the map is one of bytes, and a multiple of this."""

_EVENT_FIELDS = (
    Field("predicted", 0, 1, "a prediction was handed over"),
    Field("updated", 1, 1, "an update was written"),
    Field("refused", 2, 1, "the bus was refused something: a part of a word, or what the core did not take then"),
    Field("fault", 3, 1, "the guard has seen a fault"),
)
_STATUS_FIELDS = (
    Field("ready", 0, 1, "a sample would be taken"),
    Field("predicted", 1, 1, "a prediction is there"),
    Field("pending", 2, 1, "a sample was submitted, and its prediction is not there yet"),
    Field("awaits_teaching", 3, 1, "the core waits for the teacher's word"),
)


@dataclass(frozen=True)
class PlacedRegister:
    """A register, and where it lies.

    Attributes
    ----------
    register : Register
        What it is.
    address : int
        Its first byte.
    reset : int or None
        What it reads after a reset; None where that is not the same after each, or a reset leaves it as it is.
    format : Format or None
        That of its only field, where this is a fixed-point number.
    constant : bool
        Whether it always reads ``reset``.
    """

    register: Register
    address: int
    reset: int | None = None
    format: Format | None = None
    constant: bool = False

    @property
    def name(self) -> str:
        """The name of the register."""
        return self.register.name


@dataclass(frozen=True)
class Dimension:
    """One index of an array of numbers.

    Attributes
    ----------
    name : str
        What it counts.
    count : int
        How many there are.
    stride : int
        Bytes from one to the next.
    """

    name: str
    count: int
    stride: int


@dataclass(frozen=True)
class Numbers:
    """An array of fixed-point numbers, each a word of its own in which it is sign extended.

    Attributes
    ----------
    name, description : str
        An identifier, and a sentence in one line.
    address : int
        The first byte of the first number.
    dimensions : tuple of Dimension
        From the slowest to the fastest; addresses between them read zero.
    format : Format
        That of every number.
    readable, writable : bool
        What can be done with them.
    """

    name: str
    description: str
    address: int
    dimensions: tuple[Dimension, ...]
    format: Format
    readable: bool = True
    writable: bool = True

    @property
    def size(self) -> int:
        """Bytes from the first number to the end of the last."""
        return sum((each.count - 1) * each.stride for each in self.dimensions) + BYTES


@dataclass(frozen=True)
class RegisterMap:
    """Everything that a bus reaches of a core.

    Attributes
    ----------
    identification : Identification
        What the first registers say.
    registers : tuple of PlacedRegister
        In the order of their addresses.
    arrays : tuple of Numbers
        In the order of their addresses.
    window : int or None
        The first byte of the window on the access port; None where there is none.
    address_width : int
        Bits of an address, in bytes.
    streams : bool
        Samples, teaching and predictions have streams of their own, and no registers here.
    """

    identification: Identification
    registers: tuple[PlacedRegister, ...]
    arrays: tuple[Numbers, ...]
    window: int | None
    address_width: int
    streams: bool

    @classmethod
    def of(cls, core: LearnerSpec | LookupNetwork, *, streams: bool) -> Self:
        """The map of a learner, by its spec, or of a network.

        Parameters
        ----------
        core
            The spec or the network.
        streams
            Whether the shell has streams for samples, teaching and predictions.

        Raises
        ------
        SpecError
            If a number that would lie in a register has more than 32 bits.
        """
        identification = Identification.of(core)
        if isinstance(core, LearnerSpec):  # first, as a bus with streams has coefficients too
            for layer in core.layers:
                _check("coefficient_format", layer.formats.coefficient)
        registers = _place_shell(identification, streams)
        arrays = [] if streams else _place_numbers(core, identification, registers[-1].address + BYTES)
        end = arrays[-1].address + arrays[-1].size if arrays else registers[-1].address + BYTES
        if isinstance(core, LookupNetwork):
            return cls(identification, tuple(registers), tuple(arrays), None, max(_LEAST, clog2(end)), streams)
        addresses = AddressMap.of(core)
        width = max(_LEAST - 1, clog2(max(end, BYTES << addresses.width)))
        window = 1 << width
        reached = _place_registers(core, addresses, window)
        coefficients = _place_coefficients(core, addresses, window)
        return cls(identification, (*registers, *reached), (*arrays, *coefficients), window, width + 1, streams)

    @property
    def entries(self) -> tuple[PlacedRegister | Numbers, ...]:
        """Registers and arrays, in the order of their addresses."""
        every: list[PlacedRegister | Numbers] = [*self.registers, *self.arrays]
        return tuple(sorted(every, key=lambda each: each.address))

    def find(self, name: str) -> PlacedRegister:
        """Give the register of a name; raise :exc:`InputError` where there is none."""
        return _find("register", name, {each.name: each for each in self.registers})

    def find_array(self, name: str) -> Numbers:
        """Give the array of a name; raise :exc:`InputError` where there is none."""
        return _find("array", name, {each.name: each for each in self.arrays})


_Placed = TypeVar("_Placed", PlacedRegister, Numbers)


def _find(kind: str, name: str, among: Mapping[str, _Placed]) -> _Placed:
    if name not in among:
        raise InputError(f"{kind} {name!r}: is not in the map; it has {', '.join(among) or 'none'}")
    return among[name]


_STATUS, _EVENTS, _ENABLE, _SUBMIT, _TEACH, _LAYERS = 0x40, 0x44, 0x48, 0x4C, 0x50, 0x80
"""Addresses that are the same in every map; the first registers of the layers are at the last of them."""

_LEAST = 12
"""Bits of an address at least: a page of 4 KiB, as processors and vendors' tools hand them out."""
_SPACING = 0x100
"""Bytes from one array of numbers to the next, at least."""


def _place_shell(identification: Identification, streams: bool) -> list[PlacedRegister]:
    """Place the registers of the shell itself."""
    learner = identification.kind == "learner"
    identified = [
        PlacedRegister(register, start + BYTES * index, word, constant=True)
        for start, registers, words in (
            (0, HEAD, identification.words),
            (_LAYERS, identification.registers[len(HEAD) :], identification.words[len(HEAD) :]),
        )
        for index, (register, word) in enumerate(zip(registers, words, strict=False))
    ]
    absent = set() if learner else {"updated", *(("refused",) if streams else ())}
    if not identification.guarded:
        absent.add("fault")
    events = tuple(field for field in _EVENT_FIELDS if field.name not in absent)
    reported = [
        field
        for field in _STATUS_FIELDS
        if (identification.after_prediction or field.name != "awaits_teaching")
        and not (streams and field.name == "pending")
    ]
    changing = [
        PlacedRegister(Register("status", "What the core does now.", tuple(reported)), _STATUS),
        PlacedRegister(Register("events", _EVENTS_SINCE, events, True, True, "clear_ones"), _EVENTS, 0),
        PlacedRegister(Register("interrupt_enable", _ENABLED, events, writable=True), _ENABLE, 0),
    ]
    if not streams:
        learn = Field("learn", 0, 1, "whether the sample is to be learned; else it is predicted alone")
        fields = (learn,) if learner else (_ANYTHING,)
        changing.append(PlacedRegister(Register("submit", _SUBMITTED, fields, False, True), _SUBMIT))
    if not streams and identification.after_prediction:
        changing.append(PlacedRegister(Register("teach", _TAUGHT, (_ANYTHING,), False, True), _TEACH))
    return [*identified[: len(HEAD)], *changing, *identified[len(HEAD) :]]


_ANYTHING = Field("value", 0, WORD, "anything")
_EVENTS_SINCE = "What happened since it was cleared: writing 1 to a bit clears it."
_ENABLED = "Which events hold the pin irq high while they are set."
_SUBMITTED = "Writing it sends the sample (and target) to the core; refused while a prediction is due."
_HELD = "refused while a sample that was submitted waits for the core."
_TAUGHT = "Writing it sends target as the teacher's word; refused unless the core waits for it."


def _place_numbers(core: LearnerSpec | LookupNetwork, identification: Identification, start: int) -> list[Numbers]:
    """Place what goes in and comes out where there are no streams."""
    arrays: list[Numbers] = []
    teaching = f"The teacher's {'gradients' if identification.takes_gradients else 'targets'}"
    target = f"{teaching}." if identification.after_prediction else f"{teaching}; {_HELD}"
    fields = _number_fields(core)
    sample = f"The numbers of the next sample; {_HELD}"
    for name, field, count, format, what in (
        ("sample", fields[0], identification.n_in, identification.input_format, sample),
        ("target", fields[1], identification.n_out, identification.target_format, target),
        ("prediction", fields[2], identification.n_out, identification.output_format, "The last prediction."),
    ):
        if format is not None:
            size = max(_SPACING, BYTES << clog2(count))
            start = -(-start // size) * size
            into = name != "prediction"
            dimensions = (Dimension("number", count, BYTES),)
            arrays.append(Numbers(name, what, start, dimensions, _check(field, format, numbers=name), not into, into))
            start += size
    return arrays


def _number_fields(core: LearnerSpec | LookupNetwork) -> tuple[str, str, str]:
    """Name what has the formats of samples, the teacher's numbers and predictions: the fields of the spec from which
    these follow."""
    if isinstance(core, LookupNetwork):
        return "sample_format", "", "prediction_format"
    common = core.activation_format is not None
    inputs, outputs = (
        "activation_format" if common and given is None else field
        for field, given in (("input_format", core.input_format), ("output_format", core.output_format))
    )
    return inputs, "gradient_format" if core.loss == "external" else outputs, outputs


def _place_registers(spec: LearnerSpec, addresses: AddressMap, window: int) -> list[PlacedRegister]:
    """Place the registers that the access port reaches."""

    def place(register: Register, address: int, reset: int | None, format: Format | None = None) -> PlacedRegister:
        return PlacedRegister(register, window + BYTES * address, reset, format)

    rates = [
        (f"learning_rate{index}", f"The learning rate of layer {index}.", addresses.learning_rate(index))
        for index in range(spec.n_layers)
    ]
    rates += [
        (f"linear_rate{index}", f"The rate of the linear paths in layer {index}.", addresses.linear_rate(index))
        for index in spec.linear_layers
    ]
    found = []
    for (name, what, address), (format, code) in zip(rates, spec.rate_registers, strict=True):
        register = one_field(name, what, _check(f"{name.rstrip(string.digits)}_format", format).width, writable=True)
        # A reset leaves the rates as they are, unless it restores them.
        found.append(place(register, address, code if spec.restarts else None, format))
    for kind in SATURATIONS:
        what = f"How often the kind {kind} saturated, up to the highest count; a write clears it."
        counter = one_field(f"saturations_{kind}", what, COUNTER_WIDTH, writable=True, on_write="clear")
        found.append(place(counter, addresses.saturations(kind), 0))
    for kind in spec.counts:
        what = f"{_COUNTED[kind]}, up to the highest count; a write clears it."
        counter = one_field(f"count_{kind}", what, COUNTER_WIDTH, writable=True, on_write="clear")
        found.append(place(counter, addresses.saturations(kind), 0))
    if spec.update_rounding == "stochastic":
        start = initial_state(spec.seed) >> _NOISE_BITS if spec.restarts else None
        register = one_field("noise", _NOISE, _NOISE_BITS, writable=True, on_write="modify")
        found.append(place(register, addresses.noise, start))
    control = [Field("freeze", CONTROL_FREEZE.bit_length() - 1, 1, "samples are predicted, and nothing is learned")]
    if spec.restarts:
        control.append(Field("restore", CONTROL_RESTORE.bit_length() - 1, 1, _RESTORED))
    on_write: OnWrite = "modify" if spec.restarts else "store"
    register = Register("control", "How the core learns.", tuple(control), writable=True, on_write=on_write)
    found.append(place(register, addresses.control, 0))
    if spec.guard is not None:
        found += [place(register, address, reset) for register, address, reset in _guard_registers(spec, addresses)]
    return sorted(found, key=lambda each: each.address)


def _guard_registers(spec: LearnerSpec, addresses: AddressMap) -> list[tuple[Register, int, int | None]]:
    """Give the registers of a guard, their addresses at the port, and what a reset brings them to, if it does."""
    gradient = spec.formats.layers[-1].gradient
    widths = spec.guard.widths(spec.n_out, gradient)
    codes = spec.guard.codes(spec.n_out, gradient, spec.counts)
    status = [
        Field(name, index, 1, f"{name} was seen since the last release; not written")
        for index, name in enumerate(SIGNATURES)
    ]
    status.append(
        Field("fault", GUARD_FAULT.bit_length() - 1, 1, "the core is frozen and restored; writing 1 releases it")
    )
    adopts = "writing 1 makes the coefficients as they are the good ones; reads 0"
    status.append(Field("adopt", GUARD_ADOPT.bit_length() - 1, 1, adopts))
    seen = Register("guard_status", "What the guard sees.", tuple(status), writable=True, on_write="modify")
    found: list[tuple[Register, int, int | None]] = [
        (seen, addresses.guard_status, 0 if spec.restarts else None),
        (one_field("guard_error_sum", _ERROR_SUM, widths["error"]), addresses.guard_error_sum, 0),
    ]
    for name, width in widths.items():
        register = one_field(f"guard_limit_{name}", f"{_LIMITED[name]}; 0 looks at none.", width, writable=True)
        found.append((register, addresses.guard_limit(name), codes[name] if spec.restarts else None))
    for signature in SIGNATURES:
        what = f"How often the guard saw {signature}, up to the highest count; a write clears it."
        counter = one_field(f"guard_count_{signature}", what, COUNTER_WIDTH, writable=True, on_write="clear")
        found.append((counter, addresses.guard_count(signature), 0))
    return found


_ERROR_SUM = "The sum of |dL/dy| over the last window that was judged, in LSBs of the gradient format."

_LIMITED = {
    "error": "Divergence: the sum of a window's |dL/dy|, in LSBs of the gradient format",
    "rails": "Divergence: the steps of a window that leave a coefficient at the end of its format",
    "stagnant_error": "Stagnation: the sum of a window's |dL/dy|, in LSBs of the gradient format",
    "stagnant_lost": "Stagnation: the steps of a window in which an update rounds to nothing",
    "imprecise": "Precision: the steps of a window in which an update rounds to nothing or a gradient saturates",
    "slot": "Deadline: clock cycles from one sample to the next",
}

_COUNTED = {
    "outside": "In how many learning steps an input was outside of its grid",
    "lost": "In how many learning steps an edge with a gradient did not move",
}

_RESTORED = "writing 1 brings coefficients, rates, noise and counters to their start; other accesses wait; reads 0"

_NOISE = (
    "The high half of the noise register; a write moves its low half up, and the data in below it. Two writes of 0 end "
    "stochastic rounding: it stays zero. Read h, write h, read l, write l: h and l are its halves, and it is as "
    "before, if nothing is learned meanwhile."
)

_NOISE_BITS = 16
"""As many of the noise register as one access reaches."""


def _place_coefficients(spec: LearnerSpec, addresses: AddressMap, window: int) -> list[Numbers]:
    """Place the coefficients of every layer."""
    arrays = []
    for index, layer in enumerate(spec.layers):
        first = addresses.coefficient(index, 0, 0, 0)
        dimensions: list[Dimension] = []
        size = BYTES
        for name, count, step in (
            ("coefficient", layer.coefficients, (0, 0, 1)),
            ("input", layer.n_in, (0, 1, 0)),
            ("node", layer.n_out, (1, 0, 0)),
        ):
            stride = BYTES * (addresses.coefficient(index, *step) - first) if count > 1 else size
            dimensions.insert(0, Dimension(name, count, stride))
            size = count * stride
        what = f"The coefficients of layer {index}."
        place = window + BYTES * first
        arrays.append(Numbers(f"coefficients{index}", what, place, tuple(dimensions), layer.formats.coefficient))
    return arrays


def _check(field: str, format: Format, numbers: str | None = None) -> Format:
    """Give a format, if a word holds its numbers; ``numbers`` are those that AXI carries in streams."""
    if format.width > WORD:
        mend = "take fewer" if numbers is None else f"take fewer, or --bus axi, where {numbers}s have streams"
        raise SpecError.of(field, str(format), f"has {format.width} bits; a bus has words of {WORD}: {mend}")
    return format
