"""Masters on buses, for Amaranth's simulator: they stall at random, and watch the rules of the bus."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

LIMIT = 20_000
"""Cycles after which nothing more is awaited."""


@dataclass
class Answer:
    """What a bus answered."""

    data: int
    refused: bool


async def transfer(ctx: Any, flag: Any, *values: Any) -> tuple[Any, ...]:
    """Wait for the first clock edge at which ``flag`` is high; give ``values`` as they are there."""
    for _ in range(LIMIT):
        _, _, found, *sampled = await ctx.tick().sample(flag, *values)
        if found:
            return tuple(sampled)
    raise AssertionError("nothing more comes")


async def pause(ctx: Any, dice: random.Random, longest: int) -> None:
    """Wait for none or some cycles."""
    for _ in range(dice.choice([0, 0, dice.randint(0, longest)])):
        await ctx.tick()


class AxiLiteMaster:
    """A master on AXI4-Lite that sends address and data of a write in any order.

    ``pins`` maps the names of the standard to signals.
    """

    def __init__(self, ctx: Any, pins: dict[str, Any], dice: random.Random, longest: int = 3) -> None:
        self._ctx, self._pins, self._dice, self._longest = ctx, pins, dice, longest

    async def _send(self, channels: list[tuple[str, dict[str, int]]]) -> None:
        """Send on several channels, each after a pause of its own."""
        ctx, pins = self._ctx, self._pins
        waiting = {name: self._dice.randint(0, self._longest) for name, _ in channels}
        fields = dict(channels)
        for _ in range(LIMIT):
            for name in waiting:
                if waiting[name] == 0:
                    ctx.set(pins[f"{name}valid"], 1)
                    for field, value in fields[name].items():
                        ctx.set(pins[field], value)
            names = list(waiting)
            _, _, *ready = await ctx.tick().sample(*(pins[f"{name}ready"] for name in names))
            taken = [name for name, one in zip(names, ready, strict=True) if one and waiting[name] == 0]
            for name in taken:
                ctx.set(pins[f"{name}valid"], 0)
                for field in fields[name]:
                    ctx.set(pins[field], self._dice.getrandbits(2))  # what is not valid is anything
                del waiting[name]
            waiting = {name: max(0, left - 1) for name, left in waiting.items()}
            if not waiting:
                return
        raise AssertionError("a channel takes nothing")

    async def _receive(self, name: str, fields: list[str]) -> list[int]:
        """Receive on a channel after a pause, in which what is offered must stay."""
        ctx, pins = self._ctx, self._pins
        ready, valid = pins[f"{name}ready"], pins[f"{name}valid"]
        if self._dice.random() < 0.5:  # ready before anything is offered
            ctx.set(ready, 1)
            offered = await transfer(ctx, valid, *(pins[field] for field in fields))
        else:
            offered = await transfer(ctx, valid, *(pins[field] for field in fields))
            for _ in range(self._dice.randint(0, self._longest)):
                _, _, still, *stays = await ctx.tick().sample(valid, *(pins[field] for field in fields))
                assert still
                assert tuple(stays) == offered
            ctx.set(ready, 1)
            assert await transfer(ctx, valid, *(pins[field] for field in fields)) == offered
        ctx.set(ready, 0)
        assert not ctx.get(valid)  # each request has one answer
        return list(offered)

    async def write(self, address: int, data: int, strobes: int = 0xF) -> Answer:
        """Write a word."""
        word = {"wdata": data & 0xFFFFFFFF, "wstrb": strobes}
        await self._send([("aw", {"awaddr": address}), ("w", word)])
        (response,) = await self._receive("b", ["bresp"])
        assert response in (0, 2)
        return Answer(0, response == 2)

    async def read(self, address: int) -> Answer:
        """Read a word."""
        await self._send([("ar", {"araddr": address})])
        data, response = await self._receive("r", ["rdata", "rresp"])
        assert response in (0, 2)
        return Answer(data, response == 2)


class WishboneMaster:
    """A master on Wishbone, classic or pipelined; ``pins`` maps names to signals."""

    def __init__(
        self, ctx: Any, pins: dict[str, Any], dice: random.Random, longest: int = 3, pipelined: bool = False
    ) -> None:
        self._ctx, self._pins, self._dice, self._longest, self._pipelined = ctx, pins, dice, longest, pipelined

    async def _transfer(self, address: int, write: int, data: int, strobes: int) -> Answer:
        ctx, pins = self._ctx, self._pins
        await pause(ctx, self._dice, self._longest)
        values = {"cyc": 1, "stb": 1, "we": write, "adr": address >> 2, "dat_w": data & 0xFFFFFFFF, "sel": strobes}
        for name, value in values.items():
            ctx.set(pins[name], value)
        for _ in range(LIMIT):
            requesting = ctx.get(pins["stb"])
            _, _, stall, ack, err, read = await ctx.tick().sample(*(pins[n] for n in ("stall", "ack", "err", "dat_r")))
            assert not (ack and err)
            if self._pipelined and requesting and not stall:
                ctx.set(pins["stb"], 0)
            if ack or err:
                ctx.set(pins["stb"], 0)
                # A master may keep its cycle between transfers.
                ctx.set(pins["cyc"], self._dice.randint(0, 1))
                return Answer(read, bool(err))
        raise AssertionError("nothing is answered")

    async def write(self, address: int, data: int, strobes: int = 0xF) -> Answer:
        """Write a word; addresses count bytes, as for other masters."""
        return await self._transfer(address, 1, data, strobes)

    async def read(self, address: int) -> Answer:
        """Read a word."""
        return await self._transfer(address, 0, self._dice.getrandbits(32), 0xF)


async def send_stream(
    ctx: Any, pins: dict[str, Any], words: Iterable[dict[str, int]], dice: random.Random, longest: int
) -> None:
    """Send transfers on an AXI4-Stream, with pauses."""
    for word in words:
        await pause(ctx, dice, longest)
        for name, value in word.items():
            ctx.set(pins[name], value)
        ctx.set(pins["tvalid"], 1)
        await transfer(ctx, pins["tready"])
        ctx.set(pins["tvalid"], 0)


async def receive_stream(
    ctx: Any, pins: dict[str, Any], count: int, dice: random.Random, longest: int
) -> list[tuple[int, int]]:
    """Receive data and last of transfers of an AXI4-Stream, with pauses in which what is offered must stay."""
    received = []
    for _ in range(count):
        values = pins["tdata"], pins["tlast"]
        offered = None
        if longest and dice.random() < 0.5:
            offered = await transfer(ctx, pins["tvalid"], *values)
            for _ in range(dice.randint(0, longest)):
                _, _, valid, *stays = await ctx.tick().sample(pins["tvalid"], *values)
                assert valid
                assert tuple(stays) == offered
        ctx.set(pins["tready"], 1)
        taken = await transfer(ctx, pins["tvalid"], *values)
        assert offered in (None, taken)
        received.append(taken)
        if longest:
            ctx.set(pins["tready"], 0)
    return received
