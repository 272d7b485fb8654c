"""The comment on top of a lookup network's Verilog."""

from __future__ import annotations

from amaranth.lib import data

from ..lookup.network import LookupNetwork
from ..lookup.quantiser import FixedQuantiser
from ..lookup.rtl.lookup_core import LookupCore
from ..version import __version__
from .clocking import Clocking
from .port_table import align_rows, list_fields

__all__ = ["network_header"]

NETWORK_RESET = "what is on its way is lost."
"""What a reset does to what a network holds."""


def network_header(core: LookupCore, clocking: Clocking = Clocking()) -> str:
    """Write the comment at the top of a lookup network's Verilog file: what it is, timing, ports and formats."""
    network = core.network
    edge = f"at a rising edge of {clocking.clock} at which"
    transfer = f"A transfer on a stream takes place {edge} valid and ready are both high."
    if core.samples.signature.always_ready:
        edge = edge.replace("a rising", "every rising")
        transfer = f"A sample is taken {edge} samples__valid is high; its prediction is valid for one cycle."
    root = {"raw": "y", "argmax": "class", "threshold": "above"}[network.output]
    sample = str(network.sample_format)
    format = "" if network.output == "threshold" else str(network.prediction_format)
    lines = [
        f"kanrtl {__version__} {title_network(network)}.",
        "",
        transfer,
        network_timing(core.latency, core.interval),
        f"{clocking.words}; {NETWORK_RESET}",
        "",
        *align_rows(
            [
                *_list_numbers("samples__payload", "x", core.samples.payload.shape(), sample),
                *_list_numbers("predictions__payload", root, core.predictions.payload.shape(), format),
            ]
        ),
        "",
    ]
    return "\n".join([*lines, *meaning_lines(network)])


def network_timing(latency: int, interval: int) -> str:
    """Write the cycles of a network."""
    return f"sample to prediction {latency} cycles, one sample to the next {interval}."


def title_network(network: LookupNetwork) -> str:
    """Name a network by its sizes, and by what it gives."""
    return (
        f"lookup network, layers {list(network.layer_sizes)}, bits {list(network.bits)}, {network.edges} edges, "
        f"output {network.output}"
    )


def meaning_lines(network: LookupNetwork) -> list[str]:
    """Tell what the numbers of samples and predictions stand for."""
    quantiser = network.quantiser
    lines = []
    if not isinstance(quantiser, FixedQuantiser):
        lines += [
            "Inputs are codes: saturate(round_half_even(input * scale + offset)), with scale and offset",
            *(
                f"  of x[{index}]: {scale:.9g}, {offset:.9g}"
                for index, (scale, offset) in enumerate(zip(quantiser.scale, quantiser.offset, strict=True))
            ),
        ]
    if network.output == "raw":
        return [*lines, *_describe_outputs(network)]
    if network.output == "argmax":
        return [*lines, "The class is the index of the highest output, the lowest of equals."]
    return [*lines, f"Outputs are compared with the codes {list(network.thresholds)}: 1 above."]


def _describe_outputs(network: LookupNetwork) -> list[str]:
    """Tell what the codes of the outputs stand for."""
    last = network.layers[-1]
    if last.is_uniform:
        zero = f", and code 0 for {last.offset:.9g}" if last.offset else ""
        return [f"One step of an output stands for {last.step:.9g}{zero}."]
    return [
        "Outputs are code * step + offset, with step and offset",
        *(
            f"  of y[{index}]: {step:.9g}, {offset:.9g}"
            for index, (step, offset) in enumerate(zip(last.steps, last.offsets, strict=True))
        ),
    ]


def _list_numbers(port: str, root: str, layout: data.ArrayLayout, format: str) -> list[tuple[str, str, str]]:
    """List the numbers of an array, all in one format."""
    return [(f"{port}{bits}", name, format) for bits, name, _ in list_fields(layout, root)]
