"""Arguments and options that several commands take, and how their values are read.

Options that only a network takes, and those that only a learner takes, are groups of their own on every help page.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cloup

from ..build.programming import looks_like_bitstream
from ..errors import InputError
from ..file_content import describe_content, is_file
from ..files import find_obstacle
from ..learner.spec import LearnerSpec
from ..link.layout import BAUD
from ..link.transports import is_address
from ..lookup.network import LookupNetwork
from ..sessions.backends import BACKENDS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


STANDARD_OUTPUT = Path("/dev/stdout")
"""What ``-`` stands for where an option takes it."""

_FILES = "kanrtl.files"
"""What a context keeps the files under that its command reads and writes."""


def note_file(ctx: click.Context, name: str, value: str, *, written: bool = False) -> None:
    """Note a file that a command reads or writes, by the ``name`` of its option or argument.

    Raises
    ------
    InputError
        If it is to be written and is another of them, which would be lost.
    """
    path = Path(value)
    if written or is_file(path):
        files: list[tuple[str, Path, bool]] = ctx.meta.setdefault(_FILES, [])
        for other, there, also_written in files:
            if (written or also_written) and _is_same(path, there):
                output, kept = (name, other) if written else (other, name)
                lost = "writes too" if written and also_written else "reads"
                raise InputError(f"{output} = {str(path)!r}: is the file that {kept} {lost}; name another")
        files.append((name, path, written))


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths are of one regular file, or of one that would be."""
    if os.path.exists(path) and os.path.exists(other):
        return is_file(path) and path.samefile(other)
    return path.absolute() == other.absolute()


def input_option(*names: str, **settings: Any) -> Decorator:
    """An option for a file to read."""

    def note(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        if value is not None:
            note_file(ctx, param.opts[-1], value)
        return value

    return cloup.option(*names, metavar="FILE", callback=note, **settings)


def file_option(*names: str, text: bool = False, **settings: Any) -> Decorator:
    """An option for a file to write, whose folder is there; with ``text`` also for ``-``, standard output."""

    def parse(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
        if value is None:
            return None
        if value == "-":
            if text:
                return STANDARD_OUTPUT
            raise InputError(f"{param.opts[-1]} = '-': only text can go to standard output; name a file")
        check_output(param.opts[-1], value)
        note_file(ctx, param.opts[-1], value, written=True)
        return Path(value)

    return cloup.option(*names, metavar="FILE", callback=parse, **settings)


def check_output(option: str, value: str) -> None:
    """Raise :exc:`InputError` where the file that an option names cannot be written, before long work ends in that."""
    obstacle = find_obstacle(Path(value)) if value else "is empty; name a file"
    if obstacle is None and value.endswith("/"):
        obstacle = "is the name of a folder; name a file in it"
    if obstacle is not None:
        raise InputError(f"{option} = {value!r}: {obstacle}")


def list_option(name: str, kind: Callable[[str], Any], metavar: str = "N,...", **settings: Any) -> Decorator:
    """An option for numbers, or words, with commas between them."""

    def parse(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[Any] | None:
        try:
            return None if value is None else [kind(word) for word in value.split(",")]
        except ValueError:
            what = "integers" if kind is int else "numbers"
            raise InputError(f"{name} = {value!r}: must be {what} with commas between them") from None

    return cloup.option(name, metavar=metavar, callback=parse, **settings)


class _Count(click.IntRange):
    name = "integer"  # click's own is that of a range


def count_option(name: str, least: int, most: int | None = None, **settings: Any) -> Decorator:
    """An option for an integer from ``least`` to ``most``."""
    return cloup.option(name, type=_Count(least, most), metavar="N", show_default=True, **settings)


def choice_option(name: str, choices: Any, **settings: Any) -> Decorator:
    """An option for one of several words."""
    return cloup.option(name, type=click.Choice(list(choices)), show_default=True, **settings)


def backend_option(**settings: Any) -> Decorator:
    """The option for a backend: its name, or the address of a device."""

    def parse(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
        if value is None or value in BACKENDS or is_address(value):
            return value
        raise InputError(
            f"--backend = {value!r}: unknown; use one of {', '.join(BACKENDS)}, or an address such as "
            "serial:///dev/ttyUSB0 or tcp://localhost:4000"
        )

    metavar = f"[{'|'.join(BACKENDS)}|ADDRESS]"
    return cloup.option("--backend", metavar=metavar, callback=parse, show_default=True, **settings)


def _holds_arrays(path: str) -> bool:
    """Whether a file is one of arrays by what is in it or, where nothing is or it is not there, by its name."""
    found = describe_content(Path(path)) if is_file(path) else None
    return "zip archive" in found if found else Path(path).suffix == ".npz"


def _read_spec(ctx: click.Context, _param: click.Parameter, value: str | None) -> LearnerSpec | None:
    if value is None:
        return None
    if _holds_arrays(value):
        raise InputError(f"SPEC = {value!r}: a file of arrays; this command takes the spec of a learner, a TOML file")
    note_file(ctx, "SPEC", value)
    return LearnerSpec.from_toml(value)


def read_spec_or_network(ctx: click.Context, _param: click.Parameter, value: str) -> LearnerSpec | LookupNetwork:
    """Read what the argument of a command names: a spec, or a network."""
    note_file(ctx, "SPEC", value)
    if not _holds_arrays(value):
        return LearnerSpec.from_toml(value)
    try:
        return LookupNetwork.load(value)
    except InputError as error:
        other = _explain_arrays(value)
        raise (InputError(f"SPEC = {value!r}: {other}") if other else error) from None


_CHECKPOINTS = ("layers.0.", "act_fun.0.", "input_layer.", "L0_table", "kan.npy")
"""How names in files of arrays begin that ``kanrtl convert`` makes networks of."""


def _explain_arrays(path: str) -> str | None:
    """What a file of arrays is that is no network, and what to do with it, by the names in it."""
    if not is_file(path):
        return None
    try:
        with zipfile.ZipFile(path) as members:
            names = members.namelist()
    except (OSError, zipfile.BadZipFile):
        return None
    if any(name.endswith("/data.pkl") for name in names) or any(name.startswith(_CHECKPOINTS) for name in names):
        return "a checkpoint; make a network of it with kanrtl convert"
    if "estimator.npy" in names:
        return "a saved estimator; give the network that its freeze makes, saved"
    if {"spec.npy", "learning_rates.npy"} <= set(names):
        return "a saved learner; give its spec, a TOML file, or the network that its freeze makes, saved"
    if "baseline.npy" in names:
        return "a saved filter or perceptron; use it in Python, as load of a connect_baseline"
    return None


def spec_argument(**settings: Any) -> Decorator:
    """The argument for the spec of a learner."""
    return cloup.argument("spec", **{"callback": _read_spec, "metavar": "SPEC", "help": f"{_LEARNER}.", **settings})


def _read_learner(ctx: click.Context, param: click.Parameter, value: str) -> LearnerSpec | str | None:
    return value if is_address(value) else _read_spec(ctx, param, value)


_LEARNER = "The spec of a learner, a TOML file (see kanrtl spec)"


def _read_design(ctx: click.Context, param: click.Parameter, value: str) -> LearnerSpec | LookupNetwork | Path:
    if not looks_like_bitstream(Path(value)):
        return read_spec_or_network(ctx, param, value)
    note_file(ctx, "SPEC", value)
    return Path(value)


spec_or_network_argument = cloup.argument(
    "spec",
    metavar="SPEC",
    callback=read_spec_or_network,
    help=f"{_LEARNER}; or a network, an .npz file (see kanrtl convert).",
)

learner_argument = cloup.argument(
    "learner",
    metavar="SPEC",
    callback=_read_learner,
    help=f"{_LEARNER}; or the address of a device, such as serial:///dev/ttyUSB0.",
)

design_argument = cloup.argument(
    "design",
    metavar="SPEC",
    callback=_read_design,
    help=f"{_LEARNER}; a network, an .npz file (see kanrtl convert); or a bitstream (see kanrtl build).",
)

as_json = cloup.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

LEARNER, NETWORK, OUTPUT = "Options of a learner", "Options of a network", "Output"
SIGNALS = "Options of a learner with --data"
"""Titles of groups of options."""


def network_group(*options: Decorator) -> Decorator:
    """The group of options for a network: some of a command's own, and those that say how it becomes hardware."""
    return cloup.option_group(
        NETWORK,
        *options,
        cloup.option("--latency", type=int, metavar="N", help="Take N clock cycles to a prediction."),
        cloup.option("--memory", metavar="KIND,...", help="Keep all tables, or each layer's, in auto, logic or block."),
        cloup.option("--whole-from", type=int, metavar="LAYER", help="Make a single table from this layer on."),
        list_option("--reuse-factor", int, help="Let N edges share a memory port, in all layers or each."),
    )


HOSTS = ("uart",)
"""What a board's learner can be taught over."""


def host_group(title: str) -> Decorator:
    """The group of options for a board with a learner that a host teaches."""
    return cloup.option_group(
        title,
        choice_option("--host", HOSTS, help="Let a host teach it over this, and not the board itself."),
        count_option("--baud", 1, help="Rate of --host uart in bits a second.  [default: 3000000]"),
    )


def host_options(design: LearnerSpec | LookupNetwork, host: str | None, baud: int | None) -> dict[str, Any]:
    """What the options of :func:`host_group` ask a build for: the rate, where there is a host.

    Raises
    ------
    InputError
        If they are for a network, or there is a rate and no host.
    """
    if isinstance(design, LookupNetwork):
        check_only_for("learner", {"host": host, "baud": baud})
    if baud is not None and host is None:
        raise InputError(f"--baud = {baud}: there is no host; give --host uart too, or leave it out")
    return {} if host is None else {"baud": baud or BAUD}


optimise_option = cloup.option(
    "--optimise",
    metavar="GOAL",
    help="Find the setting with the least ns or lut, the most mhz, or the least interval in time, and take it.",
)


def check_only_for(what: str, given: dict[str, Any]) -> None:
    """Refuse options that were given although they are for the other kind."""
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
