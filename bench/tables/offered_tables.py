"""What there is to choose from: boards, pipelines, and the command behind every row."""

from __future__ import annotations

from kanrtl.boards import BOARDS
from kanrtl.build import Device
from kanrtl.learner.stages import PRESETS, STAGES

from ..rows import ROWS
from .markdown import table


def boards() -> str:
    """The boards that can be built for."""
    rows = []
    for board in BOARDS.values():
        part = Device.parse(board.device)
        chip = [board.device, f"{board.clock_mhz:g} MHz", str(part.lut), str(part.dsp), str(part.bram)]
        rows.append([f"`{board.name}`", *chip, board.fits])
    return table(["board", "device", "clock", "LUT", "DSP", "memory blocks", "what fits"], rows)


def programming() -> str:
    """What loads a bitstream into each board, and for how long it stays."""
    rows: dict[tuple[str, str], list[str]] = {}
    for board in BOARDS.values():
        command = " ".join([board.flasher, *board.flasher_options, "FILE"])
        memory = "its flash" if board.keeps_bitstream else "the FPGA alone"
        rows.setdefault((f"`{command}`", memory), []).append(f"`{board.name}`")
    return table(["command", "into", "boards"], [[*how, ", ".join(names)] for how, names in rows.items()])


def presets() -> str:
    """What a learner's ``pipeline`` can be by a name, the fewest registers on top."""
    rows = []
    for name, stages in PRESETS.items():
        others = [stage for stage in STAGES if stage not in stages]
        words = ", ".join(stages) or "none"
        if len(others) < len(stages):
            words = f"all but {', '.join(others)}" if others else "all"
        rows.append([f'`"{name}"`', words])
    return table(["`pipeline`", "stages that end in a register"], rows)


def commands() -> str:
    """The command lines that give the figures of every row again."""
    rows = [
        [f"`{row.name}`", "<br>".join(f"`{command}`" for command in row.commands), row.needs] for row in ROWS.values()
    ]
    return table(["row", "commands", "what they need besides"], rows)
