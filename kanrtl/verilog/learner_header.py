"""The comment on top of a learner's Verilog."""

from __future__ import annotations

from ..learner.address_map import SATURATIONS, AddressMap
from ..learner.guard_settings import LIMITS, SIGNATURES
from ..learner.losses import find_loss
from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec
from ..version import __version__
from .clocking import Clocking
from .port_table import align_rows, list_fields

__all__ = ["learner_header"]


def learner_header(learner: Learner, clocking: Clocking = Clocking()) -> str:
    """Write the comment at the top of a learner's Verilog file: spec, timing, ports and the bits of their payloads."""
    spec = learner.spec
    lines = [
        f"kanrtl {__version__} {title_learner(spec)}.",
        "",
        f"A transfer on a stream takes place at a rising edge of {clocking.clock} at which valid and ready are both "
        "high.",
        *timing_lines(spec),
        *refusal_lines(spec),
        *modulation_lines(spec),
        f"{clocking.words}; {describe_reset(spec)}",
        "",
        *_port_lines(learner),
        "",
        *access_lines(spec),
    ]
    return "\n".join(lines)


def access_lines(spec: LearnerSpec) -> list[str]:
    """Write what the pins beside the streams do, and the addresses of the access port."""
    addresses = AddressMap.of(spec)
    lines = [
        "updated is high in the cycle at whose end an update is written; gradient is then that of its sample.",
        "While freeze is high, a sample that is taken is predicted but not learned.",
        "",
        "Addresses of the access port:",
        f"  coefficient  index [{addresses.index_bits - 1}:0]"
        + "".join(f", {name} {bits} bits" for name, bits in _upper_fields(addresses)),
        *(f"  {addresses.learning_rate(layer):#x}  learning rate {layer}" for layer in range(spec.n_layers)),
        *(f"  {addresses.linear_rate(layer):#x}  linear rate {layer}" for layer in spec.linear_layers),
        *(f"  {addresses.saturations(kind):#x}  saturations: {kind}" for kind in SATURATIONS),
        *(f"  {addresses.saturations(kind):#x}  counts: {kind}" for kind in spec.counts),
    ]
    if spec.update_rounding == "stochastic":
        lines += [
            f"  {addresses.noise:#x}  noise: reads bits 31..16; a write moves bits 15..0 up and in below them",
            "  (two writes of 0 end stochastic rounding; read h, write h, read l, write l leaves it as it was)",
        ]
    restores = ", a 1 in bit 1 restores" if spec.restarts else ""
    lines.append(f"  {addresses.control:#x}  control: bit 0 freezes{restores}")
    if spec.guard is not None:
        lines += _guard_lines(addresses)
    return lines


def _guard_lines(addresses: AddressMap) -> list[str]:
    """Write what the guard's pins and registers are."""
    seen = ", ".join(f"{index} {name}" for index, name in enumerate(SIGNATURES))
    return [
        f"  {addresses.guard_status:#x}  guard: bits {seen}, {len(SIGNATURES)} fault; a 1 in bit {len(SIGNATURES)} "
        f"releases, in bit {len(SIGNATURES) + 1} makes the coefficients as they are the good ones",
        f"  {addresses.guard_error_sum:#x}  guard: sum of the errors of the last window",
        *(f"  {addresses.guard_limit(name):#x}  guard: limit {name}" for name in LIMITS),
        *(f"  {addresses.guard_count(name):#x}  guard: count of {name}" for name in SIGNATURES),
        "",
        "guard_fault is high from the cycle after the guard sees a fault, while the learner is frozen, until",
        "guard_release is high after the last good coefficients were written back; guard_status has a bit for what was",
        "seen.",
    ]


def describe_reset(spec: LearnerSpec) -> str:
    """Write what a reset does to what was learned."""
    if spec.restart_cycles is None:
        return "it does not restore coefficients and learning rates."
    return f"after it everything is at its start, and a sample taken {spec.restart_cycles} cycles later."


def title_learner(spec: LearnerSpec) -> str:
    """Name a learner by its sizes, and by how it is taught."""
    return f"learner, layers {list(spec.layer_sizes)}, teaching {spec.teaching}, loss {spec.loss}"


def timing_lines(spec: LearnerSpec) -> list[str]:
    """Write the cycles of a learner."""
    timing = spec.timing
    lines = [
        f"sample to prediction {timing.prediction_latency} cycles, sample to written update {timing.latency}, "
        f"one taught sample to the next {timing.interval}."
    ]
    if timing.streaming:
        delays = ", ".join(map(str, spec.delays))
        lines.append(f"An update is seen by samples taken so many cycles later, by layer: {delays}.")
    return lines


def refusal_lines(spec: LearnerSpec) -> list[str]:
    """Write what is different about the predictions of a streaming learner."""
    return ["A prediction cannot be refused: it is valid for one cycle."] if spec.timing.streaming else []


def modulation_lines(spec: LearnerSpec) -> list[str]:
    """Write what the numbers of a sample are where edges are modulated."""
    if not spec.modulation:
        return []
    numbers = "u, z" if spec.modulation == 1 else "Re u, Im u, z"
    lines = [f"x has {numbers} for every input; its edges give u f(z)."]
    if spec.modulation == 2:
        lines.append("Nodes of the first layer are real and imaginary parts in turn.")
    return lines


def _upper_fields(addresses: AddressMap) -> list[tuple[str, int]]:
    """Name the fields of a coefficient's address above its index, with their bits."""
    fields = [("input", addresses.input_bits), ("node", addresses.node_bits), ("layer", addresses.layer_bits)]
    return [(name, bits) for name, bits in fields if bits]


def _port_lines(learner: Learner) -> list[str]:
    """Write one line for each number that a port carries."""
    ports = [
        ("samples__payload", "", learner.samples.payload),
        ("predictions__payload", "y", learner.predictions.payload),
    ]
    if learner.spec.timing.after_prediction:
        kind = "gradient" if find_loss(learner.spec.loss).takes_gradients else "target"
        ports.append(("teaching__payload", kind, learner.teaching.payload))
    ports += [
        ("gradient", "gradient", learner.gradient),
        ("access__request__payload", "", learner.access.request.payload),
        ("access__response__payload", "data", learner.access.response.payload),
    ]
    return align_rows(
        [
            (f"{port}{bits}", name, format)
            for port, root, value in ports
            for bits, name, format in list_fields(value.shape(), root)
        ]
    )
