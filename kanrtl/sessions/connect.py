"""Starts a learner or a lookup network on any backend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from ..errors import InputError, TraceError
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..progress import Progress
from ..simulators.trace import Trace
from .backends import load_backend
from .learner_session import Session
from .network_session import LookupSession


def connect_network(
    network: LookupNetwork,
    backend: str = "model",
    latency: int | None = None,
    memory: str | Sequence[str] = "auto",
    whole_from: int | None = None,
    reuse_factor: int | Sequence[int] = 1,
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
) -> LookupSession:
    """Start a lookup network as :func:`kanrtl.connect` does.

    The parameters that :func:`kanrtl.connect` does not name are those of :class:`kanrtl.LookupCore`. Raises
    :exc:`kanrtl.InputError` where a parameter cannot be used.
    """
    kind = load_backend(backend)
    options = {"latency": latency, "memory": memory, "whole_from": whole_from, "reuse_factor": reuse_factor}
    try:
        started = kind.network(network, options, Trace(trace) if trace is not None else None, progress)
    except TraceError as error:
        raise InputError(str(error)) from None
    return LookupSession(network, started)


@overload
def connect(
    spec: LearnerSpec | str | Path,
    backend: str = "model",
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
) -> Session: ...


@overload
def connect(
    spec: LookupNetwork,
    backend: str = "model",
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> LookupSession: ...


def connect(
    spec: LearnerSpec | LookupNetwork | str | Path,
    backend: str = "model",
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Session | LookupSession:
    """Start a learner, or a lookup network. Learning rates at which a learner may diverge are warned of, as
    :exc:`kanrtl.StabilityWarning`; so are those that are set later.

    Parameters
    ----------
    spec
        The learner, or the path of a TOML file that describes it; or a :class:`kanrtl.LookupNetwork`.
    backend
        ``"model"``: the integer model, in numpy. ``"compiled"``: the same of a learner in machine code, which takes a
        C++ compiler, and two seconds once. ``"pysim"``: the RTL in Amaranth's simulator. ``"native"``: the RTL
        compiled to machine code, which takes a C++ compiler, and some seconds once for every spec.
    trace
        A file that ends in ``.vcd``, for the waveforms of a ``"pysim"`` or ``"native"`` run; complete when the session
        is closed. A view for GTKWave is put beside it, as ``.gtkw``.
    progress
        Told in one line what takes a while: compiling.
    options
        For a network, how it becomes hardware: parameters of :class:`kanrtl.LookupCore`, such as ``latency``.

    Raises
    ------
    InputError
        If a parameter cannot be used.
    SpecError
        If the file holds no spec that works.
    ToolError
        If ``"native"`` finds no yosys or no compiler, or one of them fails.
    """
    if isinstance(spec, LookupNetwork):
        return connect_network(spec, backend, trace=trace, progress=progress, **options)
    if options:
        raise InputError(f"{min(options)}: not known for a learner; set it in the spec")
    if not isinstance(spec, LearnerSpec):
        spec = LearnerSpec.from_toml(spec)
    kind = load_backend(backend)
    spec.stability.warn()
    try:
        return Session(spec, kind.learner(spec, Trace(trace) if trace is not None else None, progress))
    except TraceError as error:
        raise InputError(str(error)) from None
