"""What makes networks: ``kanrtl convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click
import cloup
from rich.markup import escape

from ..errors import InputError
from ..experiments.simulate_network import read_samples, simulate_network
from ..lookup.floats.convert import KINDS, convert
from ..lookup.floats.named_functions import BASES
from ..lookup.network import LookupNetwork, Output
from ..lookup.notes import Note
from ..numeric.fixed import Format
from .console import score_pairs, show, show_pairs, show_work
from .options import OUTPUT, as_json, choice_option, file_option, input_option, list_option, note_file


def _read_format(_ctx: click.Context, param: click.Parameter, value: str | None) -> Format | None:
    try:
        return None if value is None else Format.parse(value)
    except ValueError as error:
        raise InputError(f"{param.opts[-1]}: {error}") from None


def _note_model(ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if not _is_network(value):  # of a network nothing is lost, as another one of the same tables takes its place
        note_file(ctx, "MODEL", value)
    return value


def _is_network(path: str) -> bool:
    try:
        LookupNetwork.load(path)
    except InputError:
        return False
    return True


@cloup.command("convert")
@cloup.argument(
    "model",
    callback=_note_model,
    help="A checkpoint (.pt, .pth, .safetensors, .npz, or NAME of pykan's files), KANELÉ's truth tables (.npz, "
    ".json or .json.gz), or a network, which is to have another output stage.",
)
@cloup.option_group(
    "What MODEL is",
    cloup.option("--kind", help=f"Read it as {', '.join(KINDS)}, where its names do not tell."),
    input_option(
        "--config",
        help="Take KANELÉ's config.json or pykan's NAME_config.yml from here, where it is not in or beside MODEL.",
    ),
    cloup.option(
        "--base-function",
        "--base",
        "base",
        metavar="NAME",
        help=f"Add this function to the splines, {', '.join(BASES)}, where MODEL does not tell. It must be given for a "
        "state dict of pykan; for one of efficient-kan it is assumed to be silu.",
    ),
    list_option(
        "--activations", str, help="Put these functions between layers of a dense network: one for all, or each."
    ),
    cloup.option("--entry", metavar="NAME", help="Take the network that stands here in MODEL, where it holds several."),
)
@cloup.option_group(
    "Quantisation (numbers for the inputs and for each layer, or one for all)",
    list_option("--bits", int, help="Give codes so many bits."),
    list_option("--steps", float, help="Let an LSB stand for so much."),
    list_option("--guard-bits", int, help="Give tables so many bits below an LSB; inputs have none."),
    input_option("--data", help="Derive steps from X, and score by y if known, of this .npz file."),
    cloup.option(
        "--input-format",
        metavar="FORMAT",
        callback=_read_format,
        help="Quantise in hardware, from this format.",
    ),
)
@cloup.option_group(
    OUTPUT,
    choice_option("--stage", get_args(Output), help="End in this output stage: numbers, classes or bits."),
    list_option("--thresholds", int, help="Compare with these codes, one for each output."),
    file_option("-o", "--output", default="network.npz", show_default=True, help="Write the network into this file."),
    as_json,
)
def convert_command(
    model: str, output: Path, stage: str | None, data: str | None, as_json: bool, **options: Any
) -> None:
    """Make a lookup network of a trained KAN.

    KANs of KANELÉ, efficient-kan and pykan are known, and dense networks of torch.
    """
    if output.suffix != ".npz":
        raise InputError(f"--output = {str(output)!r}: must end in .npz")
    if options["thresholds"] is not None and stage not in (None, "threshold"):
        raise InputError(f"--thresholds: the stage {stage} has none; leave them out, or give --stage threshold")
    x, y = (None, None) if data is None else read_samples(Path(data))
    with show_work(f"converting {escape(model)}"):
        converted = convert(model, x=x, output=stage, **options)
        score = {} if y is None else simulate_network(converted.network, "model", x=x, y=y).score
        converted.network.save(output)
    found = {"network": str(output), **converted.to_json(), **score}
    show(found, as_json, lambda: _show_network(found))


def _show_network(data: dict[str, Any]) -> None:
    pairs = [
        ("layers", f"{data['layer_sizes']}, bits {data['bits']}, output {data['output']}"),
        ("tables", f"{data['edges']} edges, {data['table_bits']} bits"),
    ]
    if "rms_difference" in data:
        what = f"{data['rms_difference']:.4g} RMS, of {data['rms_nodes']:.4g}, over {data['samples']} samples"
        pairs.append(("quantising changes outputs by", what))
    pairs += score_pairs(data)
    kinds: dict[str, list[str]] = {}
    for note in data["notes"]:
        kinds.setdefault(note["kind"], []).append(str(Note.from_json(note)))
    pairs += [(kind, "\n".join(lines)) for kind, lines in kinds.items()]
    show_pairs(f"{data['kind']} to {data['network']}", pairs)
