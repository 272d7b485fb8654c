"""The command line: a thin layer over the library.

Exit status 0: done; 1: a tool failed, or what was built does not meet its clock; 2: bad input. Every failure is one
line on standard error. Progress goes to standard error, results to standard output.
"""

from __future__ import annotations

import sys
import warnings

import click
import cloup
from amaranth.hdl import UnusedElaboratable

from ..build.report import TimingError
from ..errors import BuildError, InputError, SpecError, ToolError
from ..version import __version__
from .hardware_commands import build_command, estimate_command, simulate_command, verilog_command
from .learner_commands import demo_command, spec_command, sweep_command
from .network_commands import convert_command

__all__ = ["cli", "main", "run"]


@cloup.group(
    sections=[
        cloup.Section("Learners", [demo_command, spec_command, sweep_command]),
        cloup.Section("Networks", [convert_command]),
        cloup.Section(
            "Learners and networks as hardware", [simulate_command, estimate_command, verilog_command, build_command]
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
    """Run the command line and exit."""
    sys.exit(run(arguments))


def run(arguments: list[str] | None) -> int:
    """Run the command line; return the exit status."""
    try:
        cli.main(arguments, prog_name="kanrtl", standalone_mode=False)
    except click.exceptions.Abort:
        return _fail("stopped", 130)
    except click.ClickException as error:
        command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "kanrtl"
        return _fail(f"{error.format_message()} (see {command} --help)", 2)
    except (SpecError, InputError, BuildError) as error:
        return _fail(str(error), 2)
    except (ToolError, TimingError) as error:
        return _fail(str(error), 1)
    except OSError as error:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}; name an output that can be written", 2)
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    return 0


def _fail(line: str, status: int) -> int:
    # A refusal may leave components that nobody elaborates; Amaranth would add lines of its own about them.
    warnings.simplefilter("ignore", UnusedElaboratable)
    click.echo(f"kanrtl: {' '.join(line.split())}", err=True)
    return status
