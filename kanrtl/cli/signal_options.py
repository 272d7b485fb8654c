"""Options for measured signals that a learner learns, and what is shown of them."""

from __future__ import annotations

import math
from typing import Any

import cloup
from rich.markup import escape
from rich.table import Table

from ..errors import InputError
from ..experiments.compare_methods import Comparison
from ..experiments.fit_task import check_task
from ..learner.spec import LearnerSpec
from ..signals.column_scale import ColumnScale
from ..sim.recording import Recording
from .console import results, say
from .options import SIGNALS, Decorator, choice_option, count_option, list_option

_OUTSIDE = 0.1
"""The share of samples outside of what the first part holds from which on that is told."""


def signal_group() -> Decorator:
    """The group of options that say what a file of signals is."""
    return cloup.option_group(
        SIGNALS,
        list_option(
            "--inputs",
            str.strip,
            metavar="COLUMN,...",
            help="Take these columns as inputs, by name, or by number from 1 on. For arrays in .npz files, NAME.2 is "
            "the second column, NAME.I and NAME.Q are the parts of complex numbers, and NAME means all of them.",
        ),
        list_option("--targets", str.strip, metavar="COLUMN,...", help="Learn these columns."),
        count_option("--taps", 0, help="Take N past values of each input column as inputs too.  [default: 0]"),
        count_option(
            "--target-taps",
            0,
            help="Take N past values of each target column as inputs too: one step is predicted.  [default: 0]",
        ),
        count_option("--first", 2, help="Find scales by the first N samples.  [default: a quarter of them]"),
        list_option(
            "--target-range",
            float,
            metavar="LOW,HIGH",
            help="Scale targets onto this range.  [default: the grid's]",
        ),
        choice_option("--decimal", (".", ","), help="Read numbers in CSV with this decimal mark.  [default: .]"),
    )


SIGNAL_OPTIONS = ("inputs", "targets", "taps", "target_taps", "first", "target_range", "decimal")
"""The options of :func:`signal_group` by the names of their values."""


def take_signal_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options of :func:`signal_group` out of those of a command."""
    return {name: options.pop(name) for name in SIGNAL_OPTIONS}


def check_without_data(signals: dict[str, Any]) -> None:
    """Refuse options for signals where no file of them is given."""
    for name, value in signals.items():
        if value is not None:
            raise InputError(f"--{name.replace('_', '-')} = {value!r}: only with --data; name a file, or leave it out")


def choose_seed(seed: int | None, data: str | None) -> int:
    """The seed that ``--seed`` gives, or 0; raise :exc:`InputError` where ``--data`` leaves nothing to draw."""
    if seed is not None and data is not None:
        raise InputError(f"--seed = {seed}: with --data nothing is drawn at random; leave it out")
    return seed or 0


def read_recording(
    data: str, task: str | None, samples: int | None, signals: dict[str, Any], spec: LearnerSpec | None = None
) -> Recording:
    """Read the file of ``--data`` as the options say.

    Raise :exc:`InputError` where ``--task`` is given too; and before anything is said of its columns, where it does not
    fit the ``spec`` of who learns it, if that is known.
    """
    if task is not None:
        raise InputError(f"--task = {task!r}: with --data its signals are what is learned; leave one of them out")
    given = {name: value for name, value in signals.items() if value is not None}
    if samples is not None:
        given["rows"] = samples + max(given.get("taps", 0), given.get("target_taps", 0))
    if len(given.get("target_range", (0, 1))) != 2:
        raise InputError(f"--target-range = {given['target_range']!r}: must be two numbers, the lower one first")
    recording = Recording.read(data, **{"targets": (), **given})
    if spec is not None:
        check_task(spec, recording)
    if samples is not None and recording.samples < samples:
        say_all_are_taken(samples, data, recording.samples)
    warn_of_outside(recording)
    return recording


def say_all_are_taken(samples: int, data: str | None, found: int) -> None:
    """Say that a file has fewer samples than ``--samples`` asks for."""
    say(f"--samples = {samples}: {data} has {found}; all of them are taken")


def warn_of_outside(recording: Recording) -> None:
    """Say of which columns much lies beyond what the first part holds."""
    for scale in {scale.name: scale for scale in recording.scales}.values():
        if scale.outside > _OUTSIDE:
            say(
                f"column {scale.name!r}: of the samples after the first {recording.first}, {scale.outside:.0%} lie "
                f"beyond the {' to '.join(_ends(scale))} by which its scale is found; leave it out if it counts time, "
                "else choose --first so that it sees all"
            )


def _ends(scale: ColumnScale) -> tuple[str, str]:
    """The lowest and the highest value of a column, with as many digits as tell them well apart."""
    size = max(abs(scale.lowest), abs(scale.highest))
    digits = min(17, max(6, 3 + math.ceil(math.log10(size / (scale.highest - scale.lowest)))))
    return f"{scale.lowest:.{digits}g}", f"{scale.highest:.{digits}g}"


def show_comparison(found: Comparison) -> None:
    """Print the scales of a recording, and the errors of the learner beside other methods."""
    recording = found.recording
    scales = Table(title=f"scales of {escape(recording.name)}, by the first {recording.first} samples")
    for name, justify in (("column", "left"), ("lowest", "right"), ("highest", "right"), ("onto", "left")):
        scales.add_column(name, justify=justify)  # type: ignore[arg-type]  # rich's type is a literal
    scales.add_column("beyond, later", justify="right")
    for scale in dict.fromkeys(recording.scales):  # past values of targets may have the same
        onto = f"{scale.low:g} to {scale.high:g}"
        row = (scale.name, *_ends(scale), onto, f"{scale.outside:.2%}")
        scales.add_row(*map(escape, row))
    results.print(scales)
    table = Table(title=f"error before each update, over the {recording.samples - recording.first} samples after them")
    table.add_column("method")
    classes = bool(found.methods[0].wrong)
    for name in map(escape, recording.target_names):
        if classes:
            table.add_column(f"{name}: wrong", justify="right")
        table.add_column(f"{name}: RMS", justify="right")
        table.add_column("of its variance", justify="right")
    for method in found.methods:
        cells = []
        for output in range(recording.n_out):
            cells += [f"{method.wrong[output]:.2%}"] if classes else []
            rms, nmse = method.rms[output], method.nmse[output]
            if not math.isfinite(rms):
                cells += ["diverged", "diverged"]
            else:
                # Where the target no longer changes, it has no variance.
                cells += [f"{rms:.4g}", f"{nmse:.4g}" if math.isfinite(nmse) else "-"]
        table.add_row(escape(method.name), *cells)
    results.print(table)
