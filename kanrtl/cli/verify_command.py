"""``kanrtl verify``: what goes onto a chip against the integer model."""

from __future__ import annotations

from typing import Any

import cloup

from ..errors import ToolError
from ..experiments.verify import SAMPLES, Verification, verify
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from .console import name_cycles, show, show_pairs, show_work
from .options import (
    OUTPUT,
    as_json,
    check_only_for,
    count_option,
    hardware_options,
    network_group,
    spec_or_network_argument,
)


@cloup.command("verify")
@spec_or_network_argument
@cloup.option_group(
    "What to verify",
    cloup.option(
        "--device", required=True, metavar="PART", help="Synthesise for a part such as LFE5U-25F or iCE40UP5K."
    ),
    count_option("--samples", 1, default=SAMPLES, help="Compare N samples."),
    count_option("--seed", 0, default=0, help="Draw samples at random with this seed."),
)
@network_group()
@cloup.option_group(OUTPUT, as_json)
def verify_command(
    spec: LearnerSpec | LookupNetwork, device: str, samples: int, seed: int, as_json: bool, **hardware: Any
) -> None:
    """Simulate a netlist beside the integer model.

    It is the one that place and route is given. Every cell of the chip is replaced by what it does. Predictions,
    coefficients, rates and counters are compared, and cycles with those of the spec. Where anything differs, the first
    sample is named, and the exit status is 1.
    """
    if isinstance(spec, LearnerSpec):
        check_only_for("network", hardware)
    with show_work(f"verifying for {device}") as progress:
        found = verify(spec, device, samples, seed=seed, progress=progress, **hardware_options(hardware))
    show(found.to_json(), as_json, lambda: _show(found))
    if found.difference is not None:
        raise ToolError(f"the netlist for {found.device} differs from the model: {found.difference}")


def _show(found: Verification) -> None:
    """Print what came of it."""
    cells = ", ".join(f"{count} {kind}" for kind, count in sorted(found.cells.items()))
    told = [("compared", f"{found.samples} samples, {name_cycles(found.cycles)}")]
    told += [(kind.replace("_", " "), ", ".join(map(str, seen))) for kind, seen in found.observed.items() if seen]
    told += [("cells", cells), ("result", "equal" if found.matches else str(found.difference))]
    show_pairs(f"netlist for {found.device}", told)
