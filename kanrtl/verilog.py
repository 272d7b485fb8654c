"""What a Verilog user has to know about a learner's ports."""

from __future__ import annotations

from amaranth.hdl import Shape
from amaranth.lib import data

from .address_map import SATURATIONS, AddressMap
from .rtl.learner import Learner
from .spec import LearnerSpec
from .version import __version__

__all__ = ["header"]


def header(spec: LearnerSpec) -> str:
    """The comment at the top of a learner's Verilog file: its spec, timing, ports and the bits of their payloads."""
    learner, schedule, addresses = Learner(spec), spec.schedule, AddressMap.of(spec)
    lines = [
        f"kanrtl {__version__} learner, layers {list(spec.layer_sizes)}, teaching {spec.teaching}, loss {spec.loss}.",
        "",
        "A transfer on a stream takes place at a rising edge of clk at which valid and ready are both high.",
        f"sample to prediction {schedule.prediction_latency} cycles, sample to written update {schedule.latency}, "
        f"one taught sample to the next {schedule.interval}.",
        "rst is synchronous and active high; it does not restore coefficients.",
        "",
        *_fields("samples__payload", learner.samples.payload.shape()),
        *_fields("predictions__payload", learner.predictions.payload.shape()),
    ]
    if hasattr(learner, "teaching"):
        lines += _fields("teaching__payload", learner.teaching.payload.shape())
    lines += [
        *_fields("access__request__payload", learner.access.request.payload.shape()),
        "",
        "Addresses of the access port:",
        f"  coefficient  index [{addresses.index_bits - 1}:0]"
        + "".join(f", {name} {bits} bits" for name, bits in _upper_fields(addresses)),
        *(f"  {addresses.learning_rate(layer):#x}  learning rate {layer}" for layer in range(spec.n_layers)),
        *(f"  {addresses.saturations(kind):#x}  saturations: {kind}" for kind in SATURATIONS),
    ]
    if spec.update_rounding == "stochastic":
        lines.append(f"  {addresses.noise:#x}  noise state")
    lines.append(f"  {addresses.control:#x}  control: bit 0 freezes")
    return "\n".join(lines)


def _upper_fields(addresses: AddressMap) -> list[tuple[str, int]]:
    fields = [("input", addresses.input_bits), ("node", addresses.node_bits), ("layer", addresses.layer_bits)]
    return [(name, bits) for name, bits in fields if bits]


def _fields(port: str, layout: data.Layout, path: str = "", offset: int = 0) -> list[str]:
    """One line for each number in a payload: its bits and its format."""
    if not isinstance(layout, data.Layout):
        width = Shape.cast(layout).width
        bits = f"[{offset + width - 1}:{offset}]" if width > 1 else f"[{offset}]"
        return [f"  {port}{bits:<10} {path.lstrip('.')} {layout if not isinstance(layout, int) else ''}".rstrip()]
    lines = []
    for key, field in layout:
        name = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
        lines += _fields(port, field.shape, name, offset + field.offset)
    return lines
