"""Tools that a user's machine may lack: what needs one is skipped there, but fails where everything has to be."""

import os

import pytest

__all__ = ["need"]


def need(tool: str, there: object) -> None:
    """Skips a test whose tool is not there; on CI it fails instead."""
    if not there:
        why = f"{tool} is not installed"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
