"""``kanrtl spec``: what a spec says, and what follows from it."""

from __future__ import annotations

import click
import cloup

from ..learner.spec import LearnerSpec
from ..learner.spec_file import derived, to_toml
from .console import show
from .options import OUTPUT, as_json, read_spec

__all__ = ["DEMO_SPEC", "spec_command"]

# What the demo learns with: the configuration of the reference paper's function tracking.
DEMO_SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, spline_order=3, learning_rate=0.3)


@cloup.command("spec")
@cloup.argument(
    "spec", metavar="[SPEC]", callback=read_spec, required=False, help="A spec, a TOML file; the demo's if not given."
)
@cloup.option_group(OUTPUT, as_json)
def spec_command(spec: LearnerSpec | None, as_json: bool) -> None:
    """Print a spec as commented TOML, with what follows from it.

    These are all formats, widths, memories and cycles.
    """
    spec = spec or DEMO_SPEC
    show(spec.to_dict() | {"derived": derived(spec)}, as_json, lambda: click.echo(to_toml(spec), nl=False))
