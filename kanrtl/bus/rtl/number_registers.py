"""Registers through which samples go in and predictions come out, on a bus that has no streams."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..register_map import BYTES, Numbers, RegisterMap
from .register_decoder import LocalBus

__all__ = ["NumberRegisters"]


class NumberRegisters(wiring.Component):  # type: ignore[misc]
    """Holds a sample, the teacher's word and a prediction, and hands the first two to a core when they are submitted.

    A sample is refused while the prediction of the one before is due, and a teacher's word unless the core waits for
    it. What is submitted stays as it is: until the core has taken it, its numbers are not written, and writing them is
    refused. A prediction is taken as soon as it is there, and held until the next one.

    Parameters
    ----------
    map
        What lies where.
    samples, predictions, teaching : stream.Signature
        Those of the core's streams; the last where it has one.

    Members
    -------
    local : In, :class:`.LocalBus`
    samples : Out, stream
    predictions : In, stream
    teaching : Out, stream; only where the core has one
    pending : Out(1)
        A sample was submitted, and its prediction is not there yet.
    predicted : Out(1)
        The prediction of the last sample is there.
    """

    def __init__(
        self,
        map: RegisterMap,
        samples: stream.Signature,
        predictions: stream.Signature,
        teaching: stream.Signature | None,
    ) -> None:
        self._map = map
        members: dict[str, Any] = {
            "local": In(LocalBus(map.address_width - 2)),
            "samples": Out(samples),
            "predictions": In(predictions),
            "pending": Out(1),
            "predicted": Out(1),
        }
        if teaching is not None:
            members["teaching"] = Out(teaching)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles from the edge at which a sample is submitted to that from which the core is offered it."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        local, samples, map = self.local, self.samples, self._map
        payload = samples.payload
        has_teaching = "teaching" in self.signature.members
        learner = map.identification.kind == "learner"
        x = payload.x if learner else payload
        submitted, learn = Signal(), Signal()
        for index, number in self._written(m, "sample", submitted):
            m.d.comb += Value.cast(x[index]).eq(number)
        if learner:
            target = self.teaching.payload if has_teaching else payload.target
            # A word of its own is taken at once, and the sample that waits may be the next, which waits for it.
            for index, number in self._written(m, "target", Const(0) if has_teaching else submitted):
                m.d.comb += Value.cast(target[index]).eq(number)
            m.d.comb += payload.learn.eq(learn)
        m.d.comb += samples.valid.eq(submitted)
        with m.If(samples.ready):
            m.d.sync += submitted.eq(0)
        with m.If(local.address == map.find("submit").address // BYTES):
            m.d.comb += local.refused.eq(self.pending)
            with m.If(local.write & ~self.pending):
                m.d.sync += [submitted.eq(1), learn.eq(local.data[0]), self.pending.eq(1), self.predicted.eq(0)]
        if has_teaching:
            with m.If(local.address == map.find("teach").address // BYTES):
                m.d.comb += [local.refused.eq(~self.teaching.ready), self.teaching.valid.eq(local.write)]

        predictions = self.predictions
        if not predictions.signature.always_ready:
            m.d.comb += predictions.ready.eq(1)
        held = Signal.like(predictions.payload, name="prediction")
        with m.If(predictions.valid):
            m.d.sync += [held.eq(predictions.payload), self.pending.eq(0), self.predicted.eq(1)]
        with m.Switch(local.address):
            numbers = map.find_array("prediction")
            for address, index in _addresses(numbers):
                code = Value.cast(held[index])
                with m.Case(address):
                    m.d.comb += local.read.eq(code.as_signed() if numbers.format.signed else code.as_unsigned())
        return m

    def _written(self, m: Module, name: str, held: Value) -> list[tuple[int, Value]]:
        """Make registers that are written, except while they are ``held``; give each with its index."""
        local, numbers = self.local, self._map.find_array(name)
        registers = []
        for address, index in _addresses(numbers):
            register = Signal(numbers.format.width, name=f"{name}{index}")
            with m.If(local.address == address):
                m.d.comb += local.refused.eq(held)
                with m.If(local.write & ~held):
                    m.d.sync += register.eq(local.data)
            registers.append((index, register))
        return registers


def _addresses(numbers: Numbers) -> list[tuple[int, int]]:
    """List the address, in words, and the index of every number of a row."""
    (row,) = numbers.dimensions
    return [((numbers.address + index * row.stride) // BYTES, index) for index in range(row.count)]
