"""Starts a learner or a lookup network on any backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, overload

from ..errors import InputError, TraceError, check_kind
from ..learner.spec import LearnerSpec
from ..link.host_link import HostLink
from ..link.transports import is_address, open_transport
from ..lookup.network import LookupNetwork
from ..lookup.rtl.folding import CORE_DEFAULTS
from ..progress import Progress
from ..simulators.trace import Trace
from .backends import load_backend
from .learner_session import Session
from .linked_learner import LinkedLearner
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
    if is_address(backend):
        raise InputError(f"backend = {backend!r}: a link carries learners only; use a simulator for a network")
    check_kind("network", network, LookupNetwork, "a LookupNetwork; connect takes a LearnerSpec")
    kind = load_backend(backend)
    options = {"latency": latency, "memory": memory, "whole_from": whole_from, "reuse_factor": reuse_factor}
    try:
        started = kind.network(network, options, Trace(trace) if trace is not None else None, progress)
    except TraceError as error:
        raise InputError(str(error)) from None
    return LookupSession(network, started)


def connect_device(
    address: str, spec: LearnerSpec | str | Path | None, trace: str | Path | None, options: Mapping[str, Any]
) -> Session:
    """Start the session of a learner at the other end of a wire, as :func:`kanrtl.connect` does."""
    if trace is not None:
        raise InputError(f'trace: {address!r} has no signals to be seen; use "pysim" or "native"')
    if options:
        raise InputError(f"{min(options)}: not known for a learner; set it in the spec")
    if spec is not None and not isinstance(spec, LearnerSpec):
        spec = LearnerSpec.from_toml(spec)
    transport = open_transport(address)
    try:
        learner = LinkedLearner(HostLink(transport), spec)
    except BaseException:
        transport.close()
        raise
    learner.spec.warn()
    return Session(learner.spec, learner)


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
        The learner, or the path of a TOML file that describes it; or a :class:`kanrtl.LookupNetwork`. Or the address
        of a device with a learner, which knows its spec.
    backend
        ``"model"``: the integer model, in numpy. ``"compiled"``: the same of a learner in machine code, which takes a
        C++ compiler, and two seconds once. ``"pysim"``: the RTL in Amaranth's simulator. ``"native"``: the RTL
        compiled to machine code, which takes a C++ compiler, and some seconds once for every spec. Or the address of
        a device, ``"serial:///dev/ttyUSB0"``, with ``?baud=`` where its rate is not 3 Mbaud, or ``"tcp://host:port"``:
        it must have been built from ``spec``, but for what that leaves to the device.
    trace
        A file that ends in ``.vcd``, for the waveforms of a ``"pysim"`` or ``"native"`` run; complete when the session
        is closed. A view for GTKWave is put beside it, as ``.gtkw``. An exception that leaves the session's ``with``
        block leaves both files as they were.
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
    LinkError
        If a device does not answer.
    """
    wanted = (
        "a LearnerSpec, the path of its file or a LookupNetwork; baselines have "
        "kanrtl.sessions.baseline_session.connect_baseline"
    )
    check_kind("spec", spec, (LearnerSpec, LookupNetwork, str, PathLike), wanted)
    if isinstance(spec, str) and is_address(spec):
        if backend != "model":
            raise InputError(f"backend = {backend!r}: {spec!r} is one already; give a spec before it, or leave it out")
        return connect_device(spec, None, trace, options)
    if is_address(backend) and not isinstance(spec, LookupNetwork):
        return connect_device(backend, spec, trace, options)
    if isinstance(spec, LookupNetwork):
        unknown = set(options) - set(CORE_DEFAULTS)
        if unknown:
            raise InputError(f"{min(unknown)}: not known for a network; it must be one of {', '.join(CORE_DEFAULTS)}")
        return connect_network(spec, backend, trace=trace, progress=progress, **options)
    if options:
        raise InputError(f"{min(options)}: not known for a learner; set it in the spec")
    if not isinstance(spec, LearnerSpec):
        spec = LearnerSpec.from_toml(spec)
    kind = load_backend(backend)
    spec.warn()
    try:
        return Session(spec, kind.learner(spec, Trace(trace) if trace is not None else None, progress))
    except TraceError as error:
        raise InputError(str(error)) from None
