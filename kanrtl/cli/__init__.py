"""The command line."""

from .command_line import cli, main

__all__ = ["cli", "main"]
