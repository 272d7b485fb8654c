"""Arguments and options that several commands take, and how their values are read.

Options that only a learner takes, and those that only a network takes, are groups of their own on every help page.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cloup

from ..errors import InputError
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..numeric.fixed import Format

__all__ = [
    "LEARNER",
    "NETWORK",
    "OUTPUT",
    "as_json",
    "check_only_for",
    "format_callback",
    "frequency_callback",
    "group_of_network",
    "hardware_options",
    "numbers_callback",
    "output_callback",
    "read_spec",
    "spec_argument",
    "spec_or_network_argument",
]

LEARNER, NETWORK, OUTPUT = "Options of a learner", "Options of a network", "Output"
"""Titles of groups of options."""


def numbers_callback(kind: type) -> Callable[[click.Context, click.Parameter, str | None], list[Any] | None]:
    """A callback that reads numbers with commas between them."""

    def parse(_ctx: click.Context, param: click.Parameter, value: str | None) -> list[Any] | None:
        try:
            return None if value is None else [kind(word) for word in value.split(",")]
        except ValueError:
            what = "integers" if kind is int else "numbers"
            raise InputError(f"{param.opts[-1]} = {value!r}: must be {what} with commas between them") from None

    return parse


def format_callback(_ctx: click.Context, param: click.Parameter, value: str | None) -> Format | None:
    """Reads a format such as ``SQ(4, 8)``."""
    try:
        return None if value is None else Format.parse(value)
    except ValueError as error:
        raise InputError(f"{param.opts[-1]}: {error}") from None


def output_callback(_ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """Reads the name of a file that can be made: its folder is there."""
    if value is None:
        return None
    path = Path(value)
    if not path.parent.is_dir():
        raise InputError(f"{param.opts[-1]} = {value!r}: there is no folder {str(path.parent)!r}; make it first")
    if path.is_dir():
        raise InputError(f"{param.opts[-1]} = {value!r}: is a folder; name a file in it")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{param.opts[-1]} = {value!r}: cannot be written; name another, or change its permissions")
    return path


def frequency_callback(_ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Reads a frequency in MHz."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(f"{param.opts[-1]} = {value:g}: must be a number of MHz above 0")
    return value


def _is_network(path: str) -> bool:
    return Path(path).suffix == ".npz"


def read_spec(_ctx: click.Context, _param: click.Parameter, value: str | None) -> LearnerSpec | None:
    if value is not None and _is_network(value):
        raise InputError(f"SPEC = {value!r}: a file of arrays; this command takes the spec of a learner, a TOML file")
    return None if value is None else LearnerSpec.from_toml(value)


def _spec_or_network_callback(_ctx: click.Context, _param: click.Parameter, value: str) -> LearnerSpec | LookupNetwork:
    return LookupNetwork.load(value) if _is_network(value) else LearnerSpec.from_toml(value)


spec_argument = cloup.argument(
    "spec", metavar="SPEC", callback=read_spec, help="The spec of a learner, a TOML file; see kanrtl spec."
)

spec_or_network_argument = cloup.argument(
    "spec",
    metavar="SPEC",
    callback=_spec_or_network_callback,
    help="The spec of a learner, a TOML file (see kanrtl spec), or a network, an .npz file (see kanrtl convert).",
)

as_json = cloup.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

_HARDWARE = (
    cloup.option("--latency", type=int, metavar="N", help="Take N clock cycles to a prediction."),
    cloup.option(
        "--memory",
        metavar="KIND,...",
        help="Keep tables in this memory (auto, logic or block), one for all layers or one for each.",
    ),
    cloup.option(
        "--whole-from", type=int, metavar="LAYER", help="Make a single table of everything from this layer on."
    ),
    cloup.option(
        "--reuse-factor",
        metavar="N,...",
        callback=numbers_callback(int),
        help="Let N edges share a port of a block memory, one number for all layers or one for each.",
    ),
)


def group_of_network(*options: Callable[..., Any]) -> Callable[..., Any]:
    """The group of options for a network: some of a command's own, and those that say how it becomes hardware."""
    return cloup.option_group(NETWORK, *options, *_HARDWARE)


def check_only_for(what: str, given: dict[str, Any]) -> None:
    """Refuses options that were given although they are for the other kind."""
    for name, value in given.items():
        if value is not None:
            raise InputError(f"--{name.replace('_', '-')} = {value!r}: only for a {what}; leave it out")


def hardware_options(given: dict[str, Any]) -> dict[str, Any]:
    """Those options of a network that were given, as :class:`kanrtl.LookupCore` takes them."""
    options = {name: value for name, value in given.items() if value is not None}
    if "memory" in options and "," in options["memory"]:
        options["memory"] = options["memory"].split(",")
    if len(options.get("reuse_factor", ())) == 1:
        (options["reuse_factor"],) = options["reuse_factor"]
    return options
