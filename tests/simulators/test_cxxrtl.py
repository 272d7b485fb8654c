"""The C++ compiler as it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanrtl.simulators.cxxrtl import Compiler


def test_what_a_compiler_leaves_lies_in_the_folder_of_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parts pass text on in temporary files, which are left where it is killed."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "build").mkdir()
    source = tmp_path / "build" / "a.cc"
    script = 'echo "$TMPDIR" > a.so'
    Compiler(("/bin/sh", "-c", script), "sham").compile(source, source.with_name("a.so"), ())
    assert source.with_name("a.so").read_text() == f"{tmp_path / 'build'}\n"
