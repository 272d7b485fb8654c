"""What a core says that it is, in words of 32 bits: to a driver on a bus, and to a host at the end of a wire."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, get_args

import numpy as np

from ..errors import InputError
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork, Output
from ..numeric.fixed import Format
from .register import Field, Register, one_field

__all__ = ["HEAD", "MAGIC", "MAP_VERSION", "Identification", "LayerSizes", "digest_network", "digest_spec"]

MAGIC = int.from_bytes(b"KANR", "big")
"""The first word of every identification."""

MAP_VERSION = 1
"""The version of the register map. It goes up whenever a word changes its address or its meaning."""

_KINDS = ("learner", "network")
_OUTPUTS: tuple[str, ...] = get_args(Output)

_MAGIC = one_field("magic", "The letters KANR, the first of them in the highest bits.")
_VERSION = Register(
    "version",
    "The version of this map, and what the core is.",
    (
        Field("map", 0, 16, "the version of the register map"),
        Field("kind", 16, 8, "0: a learner, 1: a lookup network"),
    ),
)
_DIGEST_LOW = one_field("digest_low", "The low half of the spec's digest.")
_DIGEST_HIGH = one_field("digest_high", "The high half of the spec's digest, the same for equal specs.")
_SIZES = Register(
    "sizes",
    "How many numbers travel.",
    (Field("sample", 0, 16, "the numbers of a sample"), Field("prediction", 16, 16, "the numbers of a prediction")),
)
_FEATURES = Register(
    "features",
    "How the core is taught, and what it gives.",
    (
        Field("layers", 0, 8, "the number of layers"),
        Field("after_prediction", 8, 1, "the teacher's word comes after the prediction, on a stream of its own"),
        Field("streaming", 9, 1, "a learner takes a sample in every cycle, and its predictions cannot be refused"),
        Field("gradients", 10, 1, "the teacher gives gradients, and not targets"),
        Field("restores", 11, 1, "the control register can be told to restore"),
        Field("guarded", 12, 1, "a guard watches the core, and has registers of its own"),
        Field("output", 16, 2, "a network's output stage: 0 raw, 1 argmax, 2 threshold"),
    ),
)


def _format_register(name: str, what: str) -> Register:
    """Give a register that holds a format, or zero where there is none."""
    fields = (
        Field("fraction", 0, 12, "fraction bits"),
        Field("integer", 12, 12, "integer bits, the sign's among them", signed=True),
        Field("is_signed", 24, 1, "whether it is signed"),
    )
    return Register(name, f"The format of {what}; 0 where there are none.", fields)


_FORMATS = {
    "input_format": _format_register("input_format", "a sample's numbers"),
    "output_format": _format_register("output_format", "a prediction's numbers"),
    "target_format": _format_register("target_format", "the teacher's numbers"),
    "gradient_format": _format_register("gradient_format", "gradients"),
    "learning_rate_format": _format_register("learning_rate_format", "learning rates"),
    "linear_rate_format": _format_register("linear_rate_format", "the rates of linear paths"),
}


def _layer_registers(index: int) -> tuple[Register, Register, Register]:
    """Give the registers of a layer."""
    sizes = Register(
        f"layer{index}_sizes",
        f"The size of layer {index}.",
        (Field("inputs", 0, 16, "inputs"), Field("nodes", 16, 16, "nodes")),
    )
    edge = Register(
        f"layer{index}_edge",
        f"What an edge in layer {index} has; 0 in a network.",
        (
            Field("bases", 0, 16, "bases, each with a coefficient"),
            Field("linear", 16, 1, "whether it has a linear path, whose coefficient lies behind those of the bases"),
        ),
    )
    return sizes, edge, _format_register(f"layer{index}_format", f"the coefficients of layer {index}")


HEAD = (_MAGIC, _VERSION, _DIGEST_LOW, _DIGEST_HIGH, _SIZES, _FEATURES, *_FORMATS.values())
"""The registers that every core has; those of its layers follow."""


@dataclass(frozen=True)
class LayerSizes:
    """The sizes of a layer, and what its coefficients are in.

    Attributes
    ----------
    n_in, n_out : int
        Its inputs and nodes.
    bases : int
        The bases of an edge, each with a coefficient; 0 in a network.
    linear : bool
        Whether an edge has a linear path, whose coefficient lies behind those of the bases.
    coefficient_format : Format or None
        The format of the coefficients; None in a network.
    """

    n_in: int
    n_out: int
    bases: int = 0
    linear: bool = False
    coefficient_format: Format | None = None


@dataclass(frozen=True)
class Identification:
    """What a core is: enough to drive it, and to tell whether it is the one that was meant.

    Attributes
    ----------
    kind : ``"learner"`` or ``"network"``
        Which of the two the core is.
    digest : int
        64 bits that are the same for equal specs or networks, on every machine: see :func:`digest_spec` and
        :func:`digest_network`.
    n_in, n_out : int
        The numbers of a sample, and those of a prediction.
    input_format, output_format : Format
        What those numbers are in.
    layers : tuple of LayerSizes
        First layer first.
    after_prediction : bool
        The teacher's word comes on a stream of its own.
    streaming : bool
        A sample is taken in every clock cycle, and a prediction cannot be refused.
    takes_gradients : bool
        The teacher gives gradients, and not targets.
    restores : bool
        The control register can be told to bring everything to its start.
    guarded : bool
        A guard watches it, and has registers of its own.
    output : ``"raw"``, ``"argmax"`` or ``"threshold"``
        The output stage of a network; ``"raw"`` of a learner.
    target_format, gradient_format, learning_rate_format : Format or None
        What the teacher's numbers are in, dL/dy of the last layer, and the learning rates; None in a network.
    linear_rate_format : Format or None
        What the rates of linear paths are in; None where no layer has any.
    """

    kind: str
    digest: int
    n_in: int
    n_out: int
    input_format: Format
    output_format: Format
    layers: tuple[LayerSizes, ...]
    after_prediction: bool = False
    streaming: bool = False
    takes_gradients: bool = False
    restores: bool = False
    guarded: bool = False
    output: str = "raw"
    target_format: Format | None = None
    gradient_format: Format | None = None
    learning_rate_format: Format | None = None
    linear_rate_format: Format | None = None

    @classmethod
    def of(cls, core: LearnerSpec | LookupNetwork) -> Self:
        """The identification of a learner, by its spec, or of a network."""
        return cls._of_network(core) if isinstance(core, LookupNetwork) else cls._of_learner(core)

    @classmethod
    def _of_learner(cls, spec: LearnerSpec) -> Self:
        formats = spec.formats
        return cls(
            kind="learner",
            digest=digest_spec(spec),
            n_in=spec.n_in,
            n_out=spec.n_out,
            input_format=formats.input,
            output_format=formats.output,
            layers=tuple(
                LayerSizes(layer.n_in, layer.n_out, layer.bases, layer.linear is not None, layer.formats.coefficient)
                for layer in spec.layers
            ),
            after_prediction=spec.timing.after_prediction,
            streaming=spec.timing.streaming,
            takes_gradients=find_loss(spec.loss).takes_gradients,
            restores=spec.restarts,
            guarded=spec.guard is not None,
            target_format=spec.target_format,
            gradient_format=formats.layers[-1].gradient,
            learning_rate_format=formats.learning_rate,
            linear_rate_format=formats.linear_rate,
        )

    @classmethod
    def _of_network(cls, network: LookupNetwork) -> Self:
        return cls(
            kind="network",
            digest=digest_network(network),
            n_in=network.n_in,
            n_out=network.n_predictions,
            input_format=network.sample_format,
            output_format=network.prediction_format,
            layers=tuple(LayerSizes(layer.n_in, layer.n_out) for layer in network.layers),
            output=network.output,
        )

    @property
    def registers(self) -> tuple[Register, ...]:
        """The registers of :attr:`words`, in the order of their addresses: as many as the layers need."""
        return (*HEAD, *(register for index in range(len(self.layers)) for register in _layer_registers(index)))

    @property
    def words(self) -> tuple[int, ...]:
        """Everything as words of 32 bits, one for each of :attr:`registers`."""
        mask = (1 << 32) - 1
        words = [
            MAGIC,
            _VERSION.pack(map=MAP_VERSION, kind=_KINDS.index(self.kind)),
            self.digest & mask,
            self.digest >> 32,
            _SIZES.pack(sample=self.n_in, prediction=self.n_out),
            _FEATURES.pack(
                layers=len(self.layers),
                after_prediction=self.after_prediction,
                streaming=self.streaming,
                gradients=self.takes_gradients,
                restores=self.restores,
                guarded=self.guarded,
                output=_OUTPUTS.index(self.output),
            ),
            *(_pack_format(register, getattr(self, name)) for name, register in _FORMATS.items()),
        ]
        for index, layer in enumerate(self.layers):
            sizes, edge, format = _layer_registers(index)
            words += [
                sizes.pack(inputs=layer.n_in, nodes=layer.n_out),
                edge.pack(bases=layer.bases, linear=layer.linear),
                _pack_format(format, layer.coefficient_format),
            ]
        return tuple(words)

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """Read :attr:`words`; more may follow.

        Raises
        ------
        InputError
            If they are those of no core, of another version of the map, or damaged.
        """
        if not words or words[0] != MAGIC:
            raise InputError(
                f"identification: begins with {words[0]:#010x}, not {MAGIC:#010x}; no kanrtl core is there"
                if words
                else "identification: is empty; no kanrtl core is there"
            )
        version = _VERSION.unpack(words[1])["map"] if len(words) > 1 else 0
        if version != MAP_VERSION:
            raise InputError(
                f"identification: has version {version} of the map; this version of kanrtl reads {MAP_VERSION}"
            )
        try:
            return cls._read(words)
        except (IndexError, ValueError):
            raise InputError("identification: its words are damaged; read them again") from None

    @classmethod
    def _read(cls, words: Sequence[int]) -> Self:
        """Read words of this version; raise :exc:`IndexError` or :exc:`ValueError` where they make no sense."""
        by_name = {register.name: word for register, word in zip(HEAD, words, strict=False)}
        sizes, features = _SIZES.unpack(words[4]), _FEATURES.unpack(words[5])
        formats = {name: _unpack_format(register, by_name.get(name, 0)) for name, register in _FORMATS.items()}
        input_format, output_format = formats.pop("input_format"), formats.pop("output_format")
        if input_format is None or output_format is None:
            raise ValueError("no format")
        layers = []
        for index in range(features["layers"]):
            place = len(HEAD) + 3 * index
            layer_sizes, edge_fields, format = _layer_registers(index)
            size, edge = layer_sizes.unpack(words[place]), edge_fields.unpack(words[place + 1])
            coefficient = _unpack_format(format, words[place + 2])
            layers.append(LayerSizes(size["inputs"], size["nodes"], edge["bases"], bool(edge["linear"]), coefficient))
        return cls(
            kind=_KINDS[_VERSION.unpack(words[1])["kind"]],
            digest=words[3] << 32 | words[2],
            n_in=sizes["sample"],
            n_out=sizes["prediction"],
            input_format=input_format,
            output_format=output_format,
            layers=tuple(layers),
            after_prediction=bool(features["after_prediction"]),
            streaming=bool(features["streaming"]),
            takes_gradients=bool(features["gradients"]),
            restores=bool(features["restores"]),
            guarded=bool(features["guarded"]),
            output=_OUTPUTS[features["output"]],
            **formats,
        )


def _pack_format(register: Register, format: Format | None) -> int:
    """Give the word of a format."""
    return register.pack(fraction=format.f, integer=format.i, is_signed=format.signed) if format else 0


def _unpack_format(register: Register, word: int) -> Format | None:
    """Give the format of a word; raise :exc:`ValueError` where it is none."""
    fields = register.unpack(word)
    return Format(bool(fields["is_signed"]), fields["integer"], fields["fraction"]) if word else None


# Digests.


_BUILD_CHOICES = frozenset(
    {
        "memory",
        "table_memory",
        "edge_sums",
        "multiplier",
        "reuse_factor",
        "share_multipliers",
        "pipeline",
        "schedule",
        "initial",
    }
)
"""Fields that say how a learner is built, and change no bit of what it computes but by its delays."""


def digest_spec(spec: LearnerSpec) -> int:
    """Give 64 bits that are the same for equal specs, on every machine.

    They stand for what the learner computes: how it is built, as for a device, does not count, except for the delays
    of a streaming one. Formats go into it as they are, given or derived, and numbers by their value: ``1`` and ``1.0``,
    a field for all layers and the same for each of them, are one spec. A field that is added in a later version has to
    be left out while it is at its default, so that cores that are out there are known by their digest; so is the guard.
    """
    names = [name for name in type(spec).model_fields if not (name in _BUILD_CHOICES or name.endswith("_format"))]
    content = {name: _simplify(getattr(spec, name), spec.n_layers) for name in names if name != "guard"}
    content["formats"] = [{name: str(format) for name, format in vars(each).items()} for each in spec.formats.layers]
    content["delays"] = list(spec.delays)
    if spec.guard is not None:
        content["guard"] = vars(spec.guard)
    return _digest(json.dumps(content, sort_keys=True).encode())


def digest_network(network: LookupNetwork) -> int:
    """Give 64 bits that are the same for equal networks, on every machine; notes do not count."""
    hashed = hashlib.sha256()
    for name, array in network.with_notes(()).arrays():
        if array.dtype.kind == "U":
            content = json.dumps(json.loads(str(array)), sort_keys=True).encode()
        else:
            # By value: the type is the smallest that holds it, and zero has two signs in floats.
            content = (array.astype(np.dtype("<f8" if array.dtype.kind == "f" else "<i8")) + 0).tobytes()
        hashed.update(f"{name} {array.shape} {len(content)} ".encode() + content)
    return int.from_bytes(hashed.digest()[:8], "big")


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")


def _simplify(value: Any, n_layers: int | None = None) -> Any:
    """Make of a field what JSON holds, the same for equal values; one value where it is the same for all layers."""
    if isinstance(value, (tuple, list)):
        items = [_simplify(item) for item in value]
        return items[0] if len(items) == n_layers and all(item == items[0] for item in items) else items
    if value is None or isinstance(value, (str, bool)):
        return value
    return float(value) + 0.0  # zero has two signs
