"""Components alone: simulated, and made into what a synthesis tool reads."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from amaranth.hdl import ClockDomain, Fragment, MemoryInstance, Module, Shape, Value
from amaranth.hdl._xfrm import DomainCollector
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


class _Cells(DomainCollector):
    """Counts some of what :func:`convert` makes a cell of, everywhere in a design, where its base leads."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[int] = set()
        self.multiplications = 0
        self.memories = Counter[tuple[int, int]]()

    def on_fragment(self, fragment: Any) -> None:
        if isinstance(fragment, MemoryInstance):
            self.memories[Shape.cast(fragment._data.shape).width, fragment._data.depth] += 1
        super().on_fragment(fragment)

    def on_value(self, value: Any) -> None:
        if id(value) not in self._seen:
            self._seen.add(id(value))
            super().on_value(value)

    def on_Operator(self, value: Any) -> None:
        self.multiplications += value.operator == "*"
        super().on_Operator(value)


def count_cells(component: Any) -> tuple[int, Counter[tuple[int, int]]]:
    """Count multiplications, and memories by width and depth, in a small part of the time of :func:`convert`.

    It has as many cells ``$mul``, and as many lines ``memory width``. ``component`` may be a fragment that is simulated
    afterwards.
    """
    cells = _Cells()
    cells.on_fragment(Fragment.get(component, None))
    return cells.multiplications, cells.memories


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
