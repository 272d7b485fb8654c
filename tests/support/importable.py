"""Libraries of extras, such as those whose models can be imported, which a user's machine may lack."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

HEAVY = frozenset({"torch", "xgboost"})
"""Libraries of hundreds of megabytes, which the extra ``test`` leaves out: bench compares with them."""


def foreign(name: str, extra: str = "importers") -> Any:
    """Import a library of an extra, or skip the test with a reason; where continuous integration runs, it must be
    there, unless it is one of :data:`HEAVY`."""
    try:
        return importlib.import_module(name)
    except ImportError:
        assert not os.environ.get("CI") or name in HEAVY, f"{name} is missing: pip install 'kanrtl[{extra}]'"
        pytest.skip(f"{name} is not installed: pip install 'kanrtl[{extra}]'")
