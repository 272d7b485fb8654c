"""Components alone: simulated, and made into what a synthesis tool reads."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from amaranth.hdl import ClockDomain, Module, Value
from amaranth.sim import Simulator

from kanrtl.tools.rtlil import component_rtlil


def simulate(component: Any, *benches: Callable[[Any], Awaitable[None]]) -> None:
    """Runs testbenches beside each other on a component that stands alone."""
    top = Module()
    top.domains.sync = ClockDomain()  # for what has no register too
    top.submodules.dut = component
    simulator = Simulator(top)
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()


def evaluate(
    outputs: Sequence[Value], inputs: Sequence[Value], rows: Iterable[Sequence[int]], module: Module | None = None
) -> list[tuple[int, ...]]:
    """What values without registers are for every row of what ``inputs`` are; ``module`` has what drives them."""
    seen: list[tuple[int, ...]] = []

    async def bench(ctx: Any) -> None:
        for row in rows:
            for signal, number in zip(inputs, row, strict=True):
                ctx.set(signal, int(number))
            seen.append(tuple(ctx.get(output) for output in outputs))

    simulator = Simulator(Module() if module is None else module)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def convert(component: Any) -> str:
    """A component as the top of a design."""
    text = component_rtlil(component, "top")
    assert "\nmodule \\top\n" in text
    return text


def register_bits(text: str) -> int:
    """Flip-flops of what :func:`convert` gave."""
    return sum(int(width) for width in re.findall(r"cell \$[as]?dffe? .*\n\s*parameter \\WIDTH (\d+)", text))


def record(component: Any, inputs: Sequence[Mapping[str, int]], outputs: Sequence[str]) -> dict[str, list[int]]:
    """What a component gives in every cycle, by the path of a member such as ``samples.ready``.

    ``inputs`` has for every cycle the members that change, codes or bits as integers. Cycle ``n`` ends with clock edge
    ``n``; what a register takes at that edge is seen in cycle ``n + 1``.
    """
    found: dict[str, list[int]] = {path: [] for path in outputs}

    async def bench(ctx: Any) -> None:
        for changes in inputs:
            for path, value in changes.items():
                ctx.set(member(component, path), value)
            for path in outputs:
                found[path].append(ctx.get(member(component, path)))
            await ctx.tick()

    simulate(component, bench)
    return found


def member(component: Any, path: str) -> Value:
    """The bits of a member, or of an element of one that is a vector of bits, as in ``update.1``."""
    found: Any = component
    for name in path.split("."):
        found = found[int(name)] if name.isdigit() else getattr(found, name)
    return Value.cast(found)
