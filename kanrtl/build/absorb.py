"""Registers of ECP5 moved into the blocks that feed them: multipliers and block memories have one at their output.

yosys leaves a registered product as a MULT18X18D with flip-flops somewhere else, and nextpnr places what it gets, so
the product travels before it is held. In the block's own register it is held first; so is a word of a block memory.

A port of a block is changed only where the function stays the same: every output that is used goes into one flip-flop
and nowhere else, and all of these have the same clock and enable, no reset, and begin as zeros, as the block's register
does.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Bit = int | str
"""A net, by its number, or a constant."""


@dataclass(frozen=True)
class _Register:
    """What flip-flops have to agree in to become one register."""

    clock: Bit
    enable: Bit
    gsr: str
    """Whether the global reset clears it: boards have one, and it reaches what has no reset of its own."""


@dataclass(frozen=True)
class _OutputPort:
    """Outputs of a block that share a register, which is not used yet."""

    outputs: tuple[str, ...]
    clock: str
    """The register's clock pin; where the block is clocked anyway, the flip-flops must have the same clock."""
    enables: tuple[str, ...]
    resets: tuple[str, ...]
    gated: bool
    """Whether the register can have an enable."""
    gsr: str | None
    """What the block does at a global reset; None where that can be chosen."""
    parameters: dict[str, str]
    """What switches the register on."""

    def takes(self, register: _Register, block: dict[str, Any]) -> bool:
        return (
            (self.gated or register.enable == "1")
            and block["connections"].get(self.clock) in (None, [register.clock])
            and self.gsr in (None, register.gsr)
        )

    def switch_on(self, register: _Register, block: dict[str, Any]) -> None:
        pins = {
            self.clock: register.clock,
            **dict.fromkeys(self.enables, register.enable),
            **dict.fromkeys(self.resets, "0"),
        }
        block["parameters"].update(self.parameters, GSR=register.gsr)
        block["port_directions"].update(dict.fromkeys(pins, "input"))
        block["connections"].update({pin: [bit] for pin, bit in pins.items()})


def absorb_registers_in(path: Path, top: str) -> int:
    """Do :func:`absorb_registers` in the module ``top`` of the file at ``path``, which yosys has written.

    The file is written only if anything has moved; return how many flip-flops have.
    """
    design = json.loads(path.read_text())
    absorbed = absorb_registers(design["modules"][top])
    if absorbed:
        path.write_text(json.dumps(design))
    return absorbed


def absorb_registers(module: dict[str, Any]) -> int:
    """Move flip-flops of the flat ``module`` into the blocks before them; return how many.

    ``module`` is what yosys writes to JSON, and is changed.
    """
    cells, users = module["cells"], _users(module)
    absorbed = 0
    for block in [cell for cell in cells.values() if cell["type"] in _PORTS]:
        for port in _PORTS[block["type"]](block):
            followers = _followers(block, port, cells, users)
            registers = {_register(cells[name]) for name in followers.values()}
            register = registers.pop() if len(registers) == 1 else None
            if register is None or not port.takes(register, block):
                continue
            for pin, name in followers.items():
                block["connections"][pin] = cells.pop(name)["connections"]["Q"]
            port.switch_on(register, block)
            absorbed += len(followers)
    return absorbed


def _users(module: dict[str, Any]) -> dict[Bit, list[tuple[str, str]]]:
    """The names of cell and pin that every net goes to, by net; a port of the module has no cell."""
    users: dict[Bit, list[tuple[str, str]]] = {}
    for name, port in module["ports"].items():
        if port["direction"] != "input":
            for bit in port["bits"]:
                users.setdefault(bit, []).append(("", name))
    for name, cell in module["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                for bit in bits:
                    users.setdefault(bit, []).append((name, pin))
    return users


def _followers(
    block: dict[str, Any], port: _OutputPort, cells: dict[str, Any], users: dict[Bit, list[tuple[str, str]]]
) -> dict[str, str]:
    """The flip-flops at the outputs that are used, by pin; none at all if anything else is there."""
    followers = {}
    for pin in port.outputs:
        for bit in block["connections"].get(pin, ()):
            match users.get(bit, []):
                case []:
                    continue
                case [(name, "DI")] if name and cells[name]["type"] == "TRELLIS_FF":
                    followers[pin] = name
                case _:
                    return {}
    return followers


def _register(cell: dict[str, Any]) -> _Register | None:
    """What the flip-flop ``cell`` wants of a register; None if it does more than a block's register can."""

    def parameter(name: str, default: str) -> str:
        return str(cell["parameters"].get(name, default)).strip()

    def pin(name: str, default: str) -> Bit:
        bits: list[Bit] = cell["connections"].get(name, [default])
        return bits[0]

    plain = {"CLKMUX": "CLK", "LSRMUX": "LSR", "REGSET": "RESET", "LSRMODE": "LSR"}
    gate = parameter("CEMUX", "1")
    if (
        any(parameter(name, value) != value for name, value in plain.items())
        or pin("LSR", "0") != "0"
        or gate not in ("1", "CE")
    ):
        return None
    return _Register(pin("CLK", "0"), pin("CE", "1") if gate == "CE" else "1", _global_reset(cell))


def _global_reset(cell: dict[str, Any]) -> str:
    return str(cell["parameters"].get("GSR", "ENABLED"))


def _multiplier_ports(block: dict[str, Any]) -> Iterable[_OutputPort]:
    """The outputs of a MULT18X18D, if it has no register so far.

    Its register gets no enable: which of the four enables it listens to is not known to Project Trellis, so it must
    not matter, and it does not where all are high.
    """
    stages = ("INPUTA", "INPUTB", "INPUTC", "PIPELINE", "OUTPUT")
    if any(block["parameters"].get(f"REG_{stage}_CLK", "NONE") != "NONE" for stage in stages):
        return
    yield _OutputPort(
        tuple(f"P{bit}" for bit in range(36)),
        clock="CLK0",
        enables=("CE0",),
        resets=("RST0",),
        gated=False,
        gsr=None,
        parameters={
            "REG_OUTPUT_CLK": "CLK0",
            "REG_OUTPUT_CE": "CE0",
            "REG_OUTPUT_RST": "RST0",
            "RESETMODE": "SYNC",
        },
    )


def _memory_ports(block: dict[str, Any]) -> Iterable[_OutputPort]:
    """The ports of a DP16KD that read; at 36 bits the outputs of both sides belong to side B."""
    wide = str(block["parameters"].get("DATA_WIDTH_B", "")).lstrip("0") == f"{36:b}"
    for sides, side in [("AB", "B")] if wide else [("A", "A"), ("B", "B")]:
        modes = [f"REGMODE_{one}" for one in sides]
        if _is_free(block, modes, f"CLK{side}", f"RST{side}"):
            yield _OutputPort(
                tuple(f"DO{one}{bit}" for one in sides for bit in range(18)),
                clock=f"CLK{side}",
                enables=tuple(f"OCE{one}" for one in sides),
                resets=(),
                gated=True,
                gsr=_global_reset(block),
                parameters=dict.fromkeys(modes, "OUTREG"),
            )


def _wide_memory_ports(block: dict[str, Any]) -> Iterable[_OutputPort]:
    """The reading port of a PDPW16KD."""
    if _is_free(block, ["REGMODE"], "CLKR", "RST"):
        outputs = tuple(f"DO{bit}" for bit in range(36))
        yield _OutputPort(
            outputs,
            clock="CLKR",
            enables=("OCER",),
            resets=(),
            gated=True,
            gsr=_global_reset(block),
            parameters={"REGMODE": "OUTREG"},
        )


def _is_free(block: dict[str, Any], modes: list[str], clock: str, reset: str) -> bool:
    """Whether the output registers of a memory's port are not in use and neither clock nor reset prevents their use."""
    parameters, connections = block["parameters"], block["connections"]
    return (
        all(parameters.get(mode, "NOREG") == "NOREG" for mode in modes)
        and parameters.get(f"{clock}MUX", clock) == clock
        and connections.get(reset, ["0"]) == ["0"]
        and clock in connections
    )


_PORTS = {"MULT18X18D": _multiplier_ports, "DP16KD": _memory_ports, "PDPW16KD": _wide_memory_ports}
