"""A core with one port for each number, by names that Verilog and VHDL take."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...numeric.fixed import Format
from ..byte_layout import ByteLayout
from ..core_ports import Core, CorePorts

__all__ = ["PlainShell"]

_ROOTS = {"raw": "y", "argmax": "class", "threshold": "above"}


class PlainShell(wiring.Component):  # type: ignore[misc]
    """A core whose streams have one port for each number, and plain names for their handshakes.

    Nothing is added to the core. Names have no two underscores beside each other, as VHDL wants it.

    Parameters
    ----------
    core : Learner or LookupCore
        What is wrapped; it becomes a part of the shell.

    Attributes
    ----------
    formats : dict of Format
        Those of the ports that carry fixed-point numbers.

    Members
    -------
    samples_valid : In(1), samples_ready : Out(1), x_0, x_1, ..., target_0, ..., learn : In
        The stream ``samples``; what the core does not have is missing.
    teaching_valid : In(1), teaching_ready : Out(1), target_0, ... : In
        The stream ``teaching``.
    predictions_valid : Out(1), predictions_ready : In(1), y_0, ... : Out
        The stream ``predictions``; of a network with the output stage argmax ``class_0``, with threshold ``above_0``,
        ...
    updated : Out(1), gradient_0, ... : Out, freeze : In(1)
    guard_fault : Out(1), guard_status : Out(4), guard_release : In(1); only with a guard
        As of :class:`kanrtl.Learner`.
    access_request_valid, access_address, access_write, access_data : In, access_request_ready : Out(1)
    access_response_valid, access_response_data : Out, access_response_ready : In(1)
        The access port.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._numbers: dict[str, tuple[Any, ByteLayout, bool]] = {}
        learner = "access" in core.signature.members
        root = "y" if learner else _ROOTS[core.network.output]
        for name, into, label in (("samples", True, "x"), ("teaching", True, "target"), ("predictions", False, root)):
            if name in core.signature.members:
                payload = getattr(core, name).payload
                self._numbers[name] = payload, ByteLayout.of(payload.shape(), label), into
        members: dict[str, Any] = {}
        for name, (_, _, into) in self._numbers.items():
            members[f"{name}_valid"] = In(1) if into else Out(1)
            if not getattr(core, name).signature.always_ready:
                members[f"{name}_ready"] = Out(1) if into else In(1)
        if learner:
            gradient = ByteLayout.of(core.gradient.shape(), "gradient")
            self._numbers["gradient"] = core.gradient, gradient, False
            request, response = (port.payload.shape() for port in (core.access.request, core.access.response))
            members |= {
                **CorePorts(core).pins,
                "access_request_valid": In(1),
                "access_request_ready": Out(1),
                "access_address": In(request["address"].shape),
                "access_write": In(1),
                "access_data": In(request["data"].shape),
                "access_response_valid": Out(1),
                "access_response_ready": In(1),
                "access_response_data": Out(response),
            }
        self.formats: dict[str, Format] = {}
        for _, layout, into in self._numbers.values():
            for field in layout.fields:
                if field.format is not None:
                    self.formats[field.name] = field.format
                shape = Shape(field.width, field.signed)
                members[field.name] = In(shape) if into else Out(shape)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles that it adds: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self.core
        for payload, layout, into in self._numbers.values():
            packed = Value.cast(payload)
            for field in layout.fields:
                port, bits = getattr(self, field.name), packed[field.low : field.low + field.width]
                m.d.comb += bits.eq(port) if into else port.eq(bits)
        for name in ("samples", "teaching", "predictions"):
            if name not in core.signature.members:
                continue
            port, valid = getattr(core, name), getattr(self, f"{name}_valid")
            ready = None if port.signature.always_ready else getattr(self, f"{name}_ready")
            into = name != "predictions"
            m.d.comb += port.valid.eq(valid) if into else valid.eq(port.valid)
            if ready is not None:
                m.d.comb += ready.eq(port.ready) if into else port.ready.eq(ready)
        if "access" in core.signature.members:
            CorePorts(core).connect_pins(m, self)
            request, response = core.access.request, core.access.response
            m.d.comb += [
                request.valid.eq(self.access_request_valid),
                self.access_request_ready.eq(request.ready),
                request.payload.address.eq(self.access_address),
                request.payload.write.eq(self.access_write),
                request.payload.data.eq(self.access_data),
                self.access_response_valid.eq(response.valid),
                response.ready.eq(self.access_response_ready),
                self.access_response_data.eq(response.payload),
            ]
        return m
