"""The command line: a thin layer over the library.

Exit status 0: done; 1: a tool or the machine failed, or what was built does not meet its clock; 2: bad input; 130,
143 and 141: stopped by ^C, by SIGTERM, or by a reader of its output that has ended. Every failure is one line on
standard error. Progress goes to standard error, results to standard output.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click
import cloup
from amaranth.hdl import UnusedElaboratable

from ..build.report import TimingError
from ..cache import CacheWarning
from ..errors import BuildError, InputError, LearningWarning, SpecError, ToolError
from ..folders import FULL, explain_os_error
from ..version import __version__
from .hardware_commands import build_command, estimate_command, simulate_command
from .learner_commands import demo_command, spec_command, sweep_command
from .link_commands import serve_command
from .live_command import live_command
from .network_commands import convert_command
from .program_command import program_command
from .verify_command import verify_command
from .verilog_commands import registers_command, verilog_command


@cloup.group(
    sections=[
        cloup.Section("Learners", [demo_command, spec_command, sweep_command, serve_command, live_command]),
        cloup.Section("Networks", [convert_command]),
        cloup.Section(
            "Learners and networks as hardware",
            [
                simulate_command,
                estimate_command,
                verilog_command,
                registers_command,
                build_command,
                verify_command,
                program_command,
            ],
        ),
    ],
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@cloup.version_option(__version__, prog_name="kanrtl")
@cloup.pass_context
def cli(ctx: cloup.Context) -> None:
    """Kolmogorov-Arnold networks that learn in hardware."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit.

    What asks the process to end is obeyed as ^C is, so that nothing is left of work that was begun.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _stop)
    sys.exit(run(arguments))


class StopError(KeyboardInterrupt):
    """A signal that asks the process to end; ``status`` is the exit status that says so."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


def _stop(number: int, _frame: object) -> None:
    raise StopError(number)


def run(arguments: list[str] | None) -> int:
    """Run the command line; return the exit status."""
    if sys.stdout is None:  # it is closed: printing nothing there would pass for success
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a name that cannot be printed is no failure
    try:
        with _lines_for_warnings():
            cli.main(arguments, prog_name="kanrtl", standalone_mode=False)
            sys.stdout.flush()
    except click.exceptions.Abort as error:  # click makes one of what interrupts it
        return _fail("stopped", getattr(error.__cause__, "status", 130))
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "kanrtl"
        return _fail(f"{error.format_message()} (see {command} --help)", 2)
    except (SpecError, InputError, BuildError) as error:
        return _fail(str(error), 2)
    except (ToolError, TimingError) as error:
        return _fail(str(error), 1)
    except (BrokenPipeError, SystemExit):
        # click exits where a pipe is closed, and for nothing else here. A program that SIGPIPE ends has this status.
        _abandon_output()
        return 141
    except OSError as error:
        # All other files and folders that are written to are named in their errors.
        if error.filename is None and error.errno == errno.EBADF:
            _abandon_output()
            return _fail("standard output: is closed; let it go somewhere, such as to /dev/null", 1)
        if error.filename is None and error.errno in FULL:
            _abandon_output()
            return _fail(f"standard output: {error.strerror}; make room where it goes", 1)
        return _fail(explain_os_error(error), 1)
    except MemoryError:
        return _fail("not enough memory; take a smaller network, or fewer samples", 1)
    except KeyboardInterrupt as error:
        return _fail("stopped", getattr(error, "status", 130))
    return 0


@contextmanager
def _lines_for_warnings() -> Iterator[None]:
    """Print as one line that a cache cannot be used, or that something is not learned as it was given; other warnings
    are left as they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", CacheWarning)
        # A simulation runs a learner beside its integer model: both warn.
        warnings.simplefilter("once", LearningWarning)
        show = warnings.showwarning

        def print_line(message: Any, category: type[Warning], *more: Any, **named: Any) -> None:
            if issubclass(category, (CacheWarning, LearningWarning)):
                click.echo(f"kanrtl: warning: {message}", err=True)
            else:
                show(message, category, *more, **named)

        warnings.showwarning = print_line
        yield


def _abandon_output() -> None:
    """Let the rest of standard output go nowhere, as Python would complain at its end of what it cannot write."""
    with suppress(OSError, ValueError, AttributeError):  # it may be no file at all
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(line: str, status: int) -> int:
    # A refusal may leave components that nobody elaborates; Amaranth would add lines of its own about them.
    warnings.simplefilter("ignore", UnusedElaboratable)
    with suppress(OSError):  # standard error may be closed, too
        click.echo(f"kanrtl: {' '.join(line.split())}", err=True)
    return status
