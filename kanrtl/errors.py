"""Errors, each in one line: of what was given, of what was asked for, of what was run."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np


def represent(value: object) -> str:
    """A value as Python writes it, or why it does not."""
    if isinstance(value, np.generic):
        value = value.item()  # without the name of its type around it
    try:
        return repr(value)
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits; lists in thousands of lists
        return f"({error})"


def cut(value: object) -> str:
    """The same in one line; a long value is cut."""
    return cut_text(represent(value))


def cut_text(text: str) -> str:
    """A text in one line; a long one is cut."""
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:57] + "..."


class InputError(ValueError):
    """An argument or a file that cannot be used, in one line: the field, its value, and the mend."""


class SpecError(ValueError):
    """A spec that cannot work, in one line: the field, its value, what is wrong and the mend."""

    @classmethod
    def of(cls, field: str, value: object, mend: str) -> SpecError:
        """The error of a field and its value; a long value is cut."""
        return cls(f"{field} = {cut(value)}: {mend}")


def check_kind(field: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raise :exc:`InputError`, which names ``field`` and says what is ``wanted``, where ``value`` is something else."""
    if not isinstance(value, kinds):
        raise InputError(f"{field}: is of type {type(value).__name__}; give {wanted}")


class LearningWarning(UserWarning):
    """Something is not learned as it was given, in one line: the field, its value, what becomes of it, and the mend."""


class StabilityWarning(LearningWarning):
    """A learning rate at which what is learned may diverge: the field, its value, and up to where it is stable."""


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn of something at the line outside of this package that led to it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "kanrtl":
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


class BuildError(ValueError):
    """Something that cannot be built. One line that names the field, its value and the mend."""


class TraceError(ValueError):
    """A file that cannot be traced into, in one line."""


class ToolError(RuntimeError):
    """A tool is missing or has failed. The message is one line; ``log`` is the log file, if there is one."""

    def __init__(self, message: str, log: Path | None = None):
        super().__init__(" ".join(message.split()))
        self.log = log


class LinkError(ToolError):
    """A device at the end of a wire does not answer. ``answered_bytes`` is the size of the answers to a call before."""

    answered_bytes = 0


def join_choices(choices: Iterable[str], conjunction: str = "or") -> str:
    """The choices in one phrase: "a, b or c"."""
    *others, last = choices
    return f"{', '.join(others)} {conjunction} {last}" if others else last
