"""The type of what is told of anything that takes a while."""

from collections.abc import Callable

Progress = Callable[[str], None]
"""Called with one short line whenever something that takes a while begins."""
