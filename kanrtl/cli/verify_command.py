"""``kanrtl verify``: what goes onto a chip against the integer model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cloup

from ..boards import BOARDS
from ..build.capacity import check_fits
from ..build.network_capacity import check_network_fits
from ..errors import InputError, ToolError
from ..experiments.verify import SAMPLES, Verification, verify, verify_bitstream
from ..fabric.device import Device
from ..file_content import is_file
from ..learner.spec import LearnerSpec
from ..link.layout import BAUD
from ..lookup.network import LookupNetwork
from ..progress import Progress
from .console import name_cycles, show, show_pairs, show_work
from .options import (
    OUTPUT,
    as_json,
    check_only_for,
    count_option,
    hardware_options,
    input_option,
    network_group,
    spec_or_network_argument,
)

MOST_SAMPLES = 10_000_000
"""A bound, so that a slip of the keyboard is refused before anything is synthesised: so many take days."""


@cloup.command("verify")
@spec_or_network_argument
@cloup.option_group(
    "What to verify (one of the two)",
    cloup.option("--device", metavar="PART", help="The netlist for a part such as LFE5U-25F or iCE40UP5K."),
    cloup.option("--board", metavar="NAME", help="The bitstream of build --host uart for a board with an iCE40."),
)
@cloup.option_group(
    "How to verify it",
    input_option(
        "--bitstream",
        help="With --board: this one, of which nothing is proved.  [default: build it]",
    ),
    count_option("--baud", 1, help=f"With --board: rate of its serial port in bits a second.  [default: {BAUD}]"),
    count_option("--samples", 1, MOST_SAMPLES, default=SAMPLES, help="Compare N samples."),
    count_option("--seed", 0, default=0, help="Draw samples at random with this seed."),
)
@network_group()
@cloup.option_group(OUTPUT, as_json)
def verify_command(
    spec: LearnerSpec | LookupNetwork,
    device: str | None,
    board: str | None,
    bitstream: str | None,
    baud: int | None,
    samples: int,
    seed: int,
    as_json: bool,
    **hardware: Any,
) -> None:
    """Simulate a netlist or a bitstream beside the integer model.

    The netlist is the one that place and route is given; every cell of the chip is replaced by what it does. A
    bitstream is read back into logic, which is proved to be that of the netlist, and simulated from pin to pin.
    Predictions, coefficients, rates and counters are compared, a netlist's cycles with those of the spec, and a
    bitstream's answers to damaged frames and noise with those of the design. Where anything differs, the first cell or
    sample is named, and the exit status is 1.
    """
    if isinstance(spec, LearnerSpec):
        check_only_for("network", hardware)
    if (device is None) == (board is None):
        raise InputError("--device or --board: give one of the two, what to verify it for")
    if bitstream is not None and board is None:
        raise InputError("--bitstream: a file is verified for a board; give --board")
    if baud is not None and board is None:
        raise InputError(f"--baud = {baud}: is the rate of a board's serial port; give --board, or leave it out")
    with show_work(f"verifying for {device or board}") as progress:
        if board is not None:
            what = "bitstream"
            found = _verify_bitstream(spec, board, bitstream, baud or BAUD, samples, seed, progress)
        elif device is not None:
            what = "netlist"
            options = hardware_options(hardware)
            _check_fits(spec, device, options)
            found = verify(spec, device, samples, seed=seed, progress=progress, **options)
    show(found.to_json(), as_json, lambda: _show(what, found))
    if found.complaint is not None:
        raise ToolError(f"the {what} for {found.device} {found.complaint}")


def _verify_bitstream(
    spec: LearnerSpec | LookupNetwork,
    name: str,
    bitstream: str | None,
    baud: int,
    samples: int,
    seed: int,
    progress: Progress,
) -> Verification:
    if name not in BOARDS:
        raise InputError(f"--board = {name!r}: unknown; use one of {', '.join(BOARDS)}")
    board = BOARDS[name]
    if isinstance(spec, LookupNetwork):
        raise InputError("--board: the bitstream of a network has no link to send samples over; give --device")
    if bitstream is not None and not is_file(bitstream):
        raise InputError(
            f"--bitstream = {bitstream!r}: is no file that can be read; give one that kanrtl build --host uart has made"
        )
    path = None if bitstream is None else Path(bitstream)
    return verify_bitstream(spec, board, samples, seed=seed, baud=baud, bitstream=path, progress=progress)


def _check_fits(design: LearnerSpec | LookupNetwork, device: str, options: dict[str, Any]) -> None:
    """Refuse what does not fit before it is synthesised, which can take hours."""
    part = Device.parse(device)
    if isinstance(design, LearnerSpec):
        check_fits(design, part)
    else:
        check_network_fits(design, part, **options)


def _show(what: str, found: Verification) -> None:
    """Print what came of it."""
    cells = ", ".join(f"{count} {kind}" for kind, count in sorted(found.cells.items()))
    told = [("compared", f"{found.samples} samples, {name_cycles(found.cycles)}")]
    told += [(kind.replace("_", " "), ", ".join(map(str, seen))) for kind, seen in found.observed.items() if seen]
    if found.compared_cells is not None:
        proved = found.compared_cells - len(found.unequal_cells)
        told.append(("proved", f"{proved} of {found.compared_cells} logic cells and memories are those of the netlist"))
    told += [("cells", cells), ("result", found.complaint or "equal")]
    show_pairs(f"{what} for {found.device}", told)
