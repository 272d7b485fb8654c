"""What every word of a register map must read, by the integer model, and that what is written can be read."""

from __future__ import annotations

import itertools
import random
from typing import Any

from kanrtl.bus.register_map import Numbers, PlacedRegister, RegisterMap
from kanrtl.learner.address_map import SATURATIONS
from kanrtl.sessions.backends.model import ModelLearner

MASK = 0xFFFFFFFF


def addresses_of(numbers: Numbers) -> list[tuple[tuple[int, ...], int]]:
    """The indices and the address of every number of an array."""
    return [
        (index, numbers.address + sum(i * each.stride for i, each in zip(index, numbers.dimensions, strict=True)))
        for index in itertools.product(*(range(each.count) for each in numbers.dimensions))
    ]


def rates_of(map: RegisterMap) -> list[PlacedRegister]:
    """The registers of rates."""
    names = ("learning_rate", "linear_rate")
    return [placed for placed in map.registers if placed.name.startswith(names) and not placed.constant]


def expected_words(map: RegisterMap, model: ModelLearner | None) -> dict[int, int]:
    """What a core reads, by address, after it did what the model did; registers that change by themselves are left
    out."""
    words = {placed.address: placed.reset for placed in map.registers if placed.constant}
    words |= {map.find("interrupt_enable").address: 0}
    if model is None:
        return words
    for layer, codes in enumerate(model.read_coefficients()):
        numbers = map.find_array(f"coefficients{layer}")
        words |= {address: int(codes[index]) & MASK for index, address in addresses_of(numbers)}
    words |= {placed.address: rate for placed, rate in zip(rates_of(map), model.read_learning_rates(), strict=True)}
    saturations = model.read_saturations()
    words |= {map.find(f"saturations_{kind}").address: saturations[kind] for kind in SATURATIONS}
    names = {placed.name for placed in map.registers}
    if "noise" in names:
        words[map.find("noise").address] = model.read_noise() >> 16
    words[map.find("control").address] = 0
    return words


async def write_everything(map: RegisterMap, master: Any, dice: random.Random) -> None:
    """Write every word that can be written, and check that it is read; what is none changes nothing."""
    for numbers in map.arrays:
        if not (numbers.writable and numbers.readable):
            continue
        written = {}
        for _, address in addresses_of(numbers):
            written[address] = dice.randint(numbers.format.minimum, numbers.format.maximum)
            assert not (await master.write(address, written[address])).refused
        for address, code in written.items():
            assert (await master.read(address)).data == code & MASK, hex(address)
    for placed in map.registers:
        before = await master.read(placed.address)
        assert not before.refused
        # Only some bytes: refused, and nothing changes. None: nothing changes.
        if placed.name not in ("status", "events"):
            assert (await master.write(placed.address, MASK, strobes=dice.randint(1, 14))).refused
            assert not (await master.write(placed.address, MASK, strobes=0)).refused
            assert (await master.read(placed.address)).data == before.data
        if placed.constant:
            assert not (await master.write(placed.address, ~placed.reset)).refused
            assert (await master.read(placed.address)).data == placed.reset
    for name in ("interrupt_enable", "control"):
        if any(placed.name == name for placed in map.registers):
            placed = map.find(name)
            for word in (MASK, 0):
                await master.write(placed.address, word)
                expected = sum(field.mask for field in placed.register.fields) if word else 0
                assert (await master.read(placed.address)).data == expected
    for placed in rates_of(map):
        rate = (await master.read(placed.address)).data + 1
        await master.write(placed.address, rate)
        assert (await master.read(placed.address)).data == rate
    for placed in map.registers:
        if placed.name.startswith("saturations_"):
            await master.write(placed.address, MASK)
            assert (await master.read(placed.address)).data == 0
    await master.write(map.find("events").address, MASK)
    assert not (await master.read(map.find("events").address)).data & 1
    used = {placed.address for placed in map.registers}
    used |= {address for numbers in map.arrays for _, address in addresses_of(numbers)}
    holes = [address for address in range(0, 1 << map.address_width, 4) if address not in used]
    for address in dice.sample(holes, 6):
        await master.write(address, MASK)
        answer = await master.read(address)
        assert (answer.data, answer.refused) == (0, False), hex(address)
