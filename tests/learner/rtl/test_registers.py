"""Requests for registers, alone: every address there is."""

from typing import Any

import pytest

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.rtl.registers import Registers
from kanrtl.learner.rtl.saturation_counters import count_flags
from support.components import convert, record

PLAIN = LearnerSpec(layer_sizes=[1, 2, 1], grid_range=(-2, 2))
SPECS = [PLAIN, PLAIN.replace(update_rounding="stochastic")]


@pytest.mark.parametrize("spec", SPECS)
def test_every_register_is_found_at_its_address_and_nothing_elsewhere(spec: LearnerSpec) -> None:
    addresses, kinds, stochastic = AddressMap.of(spec), tuple(count_flags(spec)), spec.plans[0].stochastic
    strobes = {addresses.learning_rate(index): f"write_rate.{index}" for index in range(2)}
    strobes |= {addresses.saturations(kind): f"clear.{kind}" for kind in kinds}
    values = {addresses.learning_rate(index): 50 + index for index in range(2)}
    values |= {addresses.saturations(kind): 100 + index for index, kind in enumerate(kinds)}
    state: dict[str, Any] = {f"rates.{index}": 50 + index for index in range(2)}
    state |= {f"counts.{kind}": 100 + index for index, kind in enumerate(kinds)}
    if stochastic:
        strobes[addresses.noise], values[addresses.noise] = "load_noise", 0x12345678
        state["noise_state"] = 0x12345678
    places = [*range(1 << addresses.width - 1, 1 << addresses.width), 0]
    for write in (0, 1):
        dut = Registers(spec)
        assert dut.latency == 0
        inputs: list[dict[str, Any]] = [{"request.address": address} for address in places]
        # Every cycle is the second one, and the last.
        inputs[0] |= state | {"request.write": write, "request.second": 1, "request.done": 1, "request.serving": 1}
        found = record(dut, inputs, ["request.read", *strobes.values()])
        for cycle, address in enumerate(places):
            assert found["request.read"][cycle] == (0 if write else values.get(address, 0))
            struck = [name for name in strobes.values() if found[name][cycle]]
            assert struck == ([strobes[address]] if write and address in strobes else [])


def test_rates_are_written_in_the_second_cycle_and_counters_cleared_in_the_last() -> None:
    addresses = AddressMap.of(PLAIN)
    for address, strobe, cycle in [
        (addresses.learning_rate(1), "write_rate.1", 1),
        (addresses.saturations("coefficient"), "clear.coefficient", 2),
    ]:
        inputs: list[dict[str, Any]] = [
            {"request.address": address, "request.write": 1, "request.serving": 1},
            {"request.second": 1},
            {"request.second": 0, "request.done": 1},
            {"request.done": 0, "request.serving": 0},
        ]
        assert record(Registers(PLAIN), inputs, [strobe])[strobe] == [int(place == cycle) for place in range(4)]


def test_the_control_register_freezes() -> None:
    control = AddressMap.of(PLAIN).control
    writes: list[dict[str, Any]] = [
        {"request.address": control, "request.write": 1, "request.done": 1, "request.data": 1},
        {"request.data": 0b10},  # no bit that there is
        {"request.data": 0b11},
        {"request.write": 0, "request.data": 0},
    ]
    found = record(Registers(PLAIN), writes, ["freeze", "request.read"])
    assert found == {"freeze": [0, 1, 0, 1], "request.read": [0, 0, 0, 1]}


def test_it_can_be_synthesised_alone() -> None:
    for spec in SPECS:
        convert(Registers(spec))
