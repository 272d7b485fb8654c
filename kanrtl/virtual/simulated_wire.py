"""A wire to a device that is simulated in this process; its time is that of the simulation."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..link.transport import Transport
from ..simulators.native_serial import NativeSerial

__all__ = ["Damage", "SimulatedWire", "damage_bytes"]

Damage = Callable[[bytes], bytes]
"""Gives what becomes of bytes on their way."""

STRETCH = 400
"""Clock cycles between two looks at what has come."""


def damage_bytes(share: float, seed: int = 0) -> Damage:
    """A line that loses, changes or repeats this share of its bytes, or makes them delimiters, at random."""
    chance = random.Random(seed)

    def damage(content: bytes) -> bytes:
        carried = bytearray()
        for byte in content:
            if chance.random() < share:
                carried += chance.choice([b"", bytes([byte ^ 1 << chance.randrange(8)]), bytes([byte, byte]), b"\0"])
            else:
                carried.append(byte)
        return bytes(carried)

    return damage


class SimulatedWire(Transport):
    """A serial line to a simulated device. The simulation stands still while nothing is waited for.

    Parameters
    ----------
    simulation
        The device.
    clock_hz
        The frequency of its clock.
    damage
        What the line does to bytes, both ways; nothing by default.
    """

    name = "simulated wire"

    def __init__(self, simulation: NativeSerial, clock_hz: float, damage: Damage | None = None) -> None:
        self._simulation, self._clock_hz, self._damage = simulation, clock_hz, damage

    def send(self, content: bytes) -> None:
        self._simulation.feed(self._damage(content) if self._damage else content)

    def receive(self, timeout: float) -> bytes:
        end = self._simulation.cycles + max(1, round(timeout * self._clock_hz))
        while True:
            left = end - self._simulation.cycles
            content = self._simulation.run(min(left, STRETCH))
            if content and self._damage:
                content = self._damage(content)
            if content or left <= STRETCH:
                return content

    @property
    def waiting(self) -> int:
        """The bytes that are not yet on their way to the device."""
        return self._simulation.waiting

    def now(self) -> float:
        return self._simulation.cycles / self._clock_hz

    def close(self) -> None:
        self._simulation.close()
