"""``kanrtl estimate``: what a learner will take of a device, and whether it fits."""

from __future__ import annotations

import click
import cloup

from ..build.capacity import find_fit
from ..fabric.device import Device
from ..learner.spec import LearnerSpec
from .console import show, show_pairs
from .options import OUTPUT, as_json, spec_argument

__all__ = ["estimate_command"]


@cloup.command("estimate")
@spec_argument
@cloup.option_group(
    "What to estimate for",
    cloup.option(
        "--device", metavar="PART", required=True, help="Estimate for this part, such as LFE5U-85F-6 or iCE40UP5K."
    ),
)
@cloup.option_group(OUTPUT, as_json)
def estimate_command(spec: LearnerSpec, device: str, as_json: bool) -> None:
    """Tell what a learner takes of a device, and whether it fits.

    Where it does not, what would make it fit is told too. Nothing is built. In JSON, "fits" is null where it may fit,
    within the error of the estimate. The exit status is 0 either way.
    """
    found = find_fit(spec, Device.parse(device))

    def pretty() -> None:
        show_pairs("estimated", found.estimate.table())
        click.echo(found.sentence)

    show(found.to_json(), as_json, pretty)
