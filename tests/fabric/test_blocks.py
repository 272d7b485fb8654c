"""How memories and products are cut into the blocks of a device."""

from __future__ import annotations

import pytest

from kanrtl.fabric.blocks import MemoryDemand, multipliers
from kanrtl.fabric.families import FAMILIES, block_width


@pytest.mark.parametrize(
    ("family", "memory", "blocks"),
    [
        # name, depth, width, lanes, reads, block, count
        ("ecp5", MemoryDemand("", 512, 36, 0, 1, True, 1), 1),
        ("ecp5", MemoryDemand("", 512, 37, 0, 1, True, 1), 2),
        ("ecp5", MemoryDemand("", 513, 36, 0, 1, True, 1), 2),
        ("ecp5", MemoryDemand("", 1024, 18, 0, 1, True, 1), 1),
        ("ecp5", MemoryDemand("", 1024, 16, 2, 1, True, 1), 1),
        ("ecp5", MemoryDemand("", 1024, 20, 2, 1, True, 1), 2),  # lanes of ten bits do not share a byte of nine
        ("ecp5", MemoryDemand("", 1024, 16, 1, 2, True, 3), 6),
        ("ecp5", MemoryDemand("", 16, 16, 1, 1, False, 4), 16),
        ("ecp5", MemoryDemand("", 17, 16, 1, 1, False, 1), 8),
        ("ecp5", MemoryDemand("", 16, 34, 2, 1, False, 1), 10),
        ("ice40", MemoryDemand("", 256, 16, 1, 1, True, 1), 1),
        ("ice40", MemoryDemand("", 256, 36, 0, 1, True, 1), 3),
        ("ice40", MemoryDemand("", 512, 16, 1, 1, True, 1), 2),
        ("ice40", MemoryDemand("", 512, 12, 1, 1, True, 1), 2),
        ("ice40", MemoryDemand("", 2048, 1, 0, 1, True, 1), 1),
        ("ice40", MemoryDemand("", 256, 0, 0, 1, True, 1), 0),
    ],
)
def test_memories_are_cut_into_blocks(family: str, memory: MemoryDemand, blocks: int) -> None:
    assert memory.blocks(FAMILIES[family].blocks) == blocks


@pytest.mark.parametrize(
    ("a", "b", "ecp5", "ice40"),
    [
        (16, 10, 1, 1),
        (18, 18, 1, 3),  # the pieces of two bits are too short for one
        (17, 16, 1, 1),
        (19, 10, 1, 2),
        (24, 10, 2, 2),
        (24, 24, 4, 4),
        (6, 5, 1, 1),
        (6, 4, 1, 0),
        (2, 2, 1, 0),
        (2, 1, 0, 0),
        (18, 1, 0, 0),
        (19, 2, 1, 1),
        (20, 2, 2, 1),
    ],
)
def test_products_are_split(a: int, b: int, ecp5: int, ice40: int) -> None:
    for x, y in ((a, b), (b, a)):
        assert multipliers(x, y, FAMILIES["ecp5"].blocks) == ecp5
        assert multipliers(x, y, FAMILIES["ice40"].blocks) == ice40


@pytest.mark.parametrize(
    ("family", "depth", "width"),
    [
        ("ecp5", 1, 36),
        ("ecp5", 512, 36),
        ("ecp5", 513, 18),
        ("ecp5", 16384, 1),
        ("ecp5", 16385, None),
        ("ice40", 256, 16),
        ("ice40", 2048, 2),
        ("ice40", 2049, None),
        ("any", 16, None),
    ],
)
def test_the_widest_word_of_one_block(family: str, depth: int, width: int | None) -> None:
    assert block_width(family, depth) == width
