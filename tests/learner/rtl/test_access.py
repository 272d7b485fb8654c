"""Access from outside: what holds requests, and what they reach, each alone beside what the test plays."""

from typing import Any

import pytest
from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.rtl.access import Access, AccessPort, CoefficientRequests, HeldRequest, LearningRates, Registers
from kanrtl.learner.rtl.saturation import count_flags
from support.components import convert, record

STOCHASTIC = LearnerSpec(layer_sizes=[2, 3, 1], grid_range=(-2, 2), update_rounding="stochastic")


def test_addresses_and_data_are_as_wide_as_the_map_says() -> None:
    addresses = AddressMap.of(STOCHASTIC)
    port, held = AccessPort(STOCHASTIC).create(), HeldRequest(STOCHASTIC).create()
    assert len(port.request.payload.address) == len(held.address) == addresses.width
    words = [port.request.payload.data, port.response.payload, held.data, held.read]
    assert [len(word) for word in words] == [addresses.data_width] * 4 == [20] * 4
    assert all(word.shape().signed for word in words)


SPEC = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2))
REACHED = ("registers", "coefficients")


def request(address: int, write: int, data: int) -> dict[str, int]:
    payload = {"address": address, "write": write, "data": data}
    return {"port.request.valid": 1} | {f"port.request.payload.{name}": value for name, value in payload.items()}


@pytest.mark.parametrize(("write", "answer"), [(0, 0b0110), (1, 9)])
def test_an_answer_is_what_was_written_or_read_anywhere(write: int, answer: int) -> None:
    dut = Access(SPEC)
    assert dut.latency == 1
    inputs: list[dict[str, Any]] = [
        request(21, write, 9),
        {"requests.ready": 1},
        {"port.request.valid": 0, "requests.ready": 0, "serving": 1, "port.request.payload.address": 3},
        {"second": 1},
        {"second": 0, "done": 1, **dict.fromkeys([f"{name}.read" for name in REACHED], 0)},
        {"serving": 0, "done": 0},
        {"port.response.ready": 1},
        {"port.response.ready": 0},
    ]
    if not write:
        inputs[4] |= {"registers.read": 0b0100, "coefficients.read": 0b0010}
    outputs = ["requests.valid", "port.request.ready", "responding", "port.response.valid", "port.response.payload"]
    signals = ("address", "write", "data", "serving", "second", "done")
    held = [f"{name}.{signal}" for name in REACHED for signal in signals]
    found = record(dut, inputs, outputs + held)
    assert found["requests.valid"] == [1, 1, 0, 0, 0, 0, 0, 0]
    assert found["port.request.ready"] == [0, 1, 0, 0, 0, 0, 0, 0]
    # From the cycle after it was done, until the answer is taken.
    assert found["port.response.valid"] == found["responding"] == [0, 0, 0, 0, 0, 1, 1, 0]
    assert found["port.response.payload"][5] == answer
    for name in REACHED:
        # What came with the request is held; data only while something is written.
        assert found[f"{name}.address"][2:5] == [21] * 3
        assert found[f"{name}.write"][2:5] == [write] * 3
        assert found[f"{name}.data"] == [0, 0, *[9 * write] * 3, 0, 0, 0]
        assert found[f"{name}.serving"] == [0, 0, 1, 1, 1, 0, 0, 0]
        assert found[f"{name}.second"] == [0, 0, 0, 1, 0, 0, 0, 0]
        assert found[f"{name}.done"] == [0, 0, 0, 0, 1, 0, 0, 0]


def test_what_holds_requests_can_be_synthesised_alone() -> None:
    convert(Access(SPEC))


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
        strobes[addresses.noise], values[addresses.noise] = "load_noise", 0x9234
        state["noise_state"] = 0x92345678
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


def test_registers_can_be_synthesised_alone() -> None:
    for spec in SPECS:
        convert(Registers(spec))


RATES = LearnerSpec(layer_sizes=[1, 2, 1], grid_range=(-2, 2), learning_rate=[0.25, 0.125])


def test_a_rate_is_there_a_cycle_after_it_was_written() -> None:
    first, second = (layer.learning_rate_code for layer in RATES.layers)
    dut = LearningRates(RATES)
    assert dut.latency == 1
    inputs = [{"write": 0b10, "data": 3}, {"write": 0b01, "data": 5}, {"write": 0, "data": 7}, {}]
    found = record(dut, inputs, ["rates.0", "rates.1"])
    assert found == {"rates.0": [first, first, 5, 5], "rates.1": [second, 3, 3, 3]}


def test_rates_outlast_a_reset() -> None:
    reset, dut, found = Signal(), LearningRates(RATES), []

    async def bench(ctx: Any) -> None:
        for change in ((dut.write, 0b01), (dut.write, 0), (reset, 1), (reset, 0)):
            ctx.set(dut.data, 9)
            ctx.set(*change)
            await ctx.tick()
        found.append(ctx.get(dut.rates[0].raw))

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [9]


def test_learning_rates_can_be_synthesised_alone() -> None:
    convert(LearningRates(RATES))


SHAPES = LearnerSpec(layer_sizes=[2, 3, 1], grid_range=(-2, 2), grid_size=[3, 8], spline_order=[2, 3])
SIGNALS = ("enable", "input", "output", "index", "write")


def paths(layer: int) -> dict[str, str]:
    return {name: f"layer{layer}.{name}" for name in SIGNALS}


def test_every_coefficient_is_reached_at_its_address_and_nothing_elsewhere() -> None:
    addresses = AddressMap.of(SHAPES)
    where = {
        addresses.coefficient(number, node, source, index): (number, source, node, index)
        for number, layer in enumerate(SHAPES.layers)
        for node in range(layer.n_out)
        for source in range(layer.n_in)
        for index in range(layer.coefficients)
    }
    dut = CoefficientRequests(SHAPES)
    assert dut.latency == 0
    inputs: list[dict[str, Any]] = [{"request.address": address} for address in range(1 << addresses.width)]
    inputs[0] |= {"request.serving": 1, "layer0.read_data": 100, "layer1.read_data": 200}
    layers = [paths(0), paths(1)]
    found = record(dut, inputs, ["request.read", *(path for layer in layers for path in layer.values())])
    for address in range(1 << addresses.width):
        number, *place = where.get(address, (None,))
        enabled = [found[layer["enable"]][address] for layer in layers]
        assert enabled == [int(number == 0), int(number == 1)]
        assert found["request.read"][address] == {None: 0, 0: 100, 1: 200}[number]
        if number is not None:
            seen = [found[layers[number][name]][address] for name in ("input", "output", "index")]
            assert seen == place
    assert not any(any(found[layer["write"]]) for layer in layers)


def test_a_write_takes_place_as_the_request_is_done() -> None:
    address = AddressMap.of(SHAPES).coefficient(1, 0, 2, 4)
    inputs: list[dict[str, Any]] = [
        {"request.address": address, "request.write": 1, "layer1.read_data": 77},
        {"request.serving": 1},
        {"request.done": 1},
        {"request.done": 0, "request.serving": 0},
    ]
    outputs = ["write", "layer0.write", "layer1.write", "layer1.enable", "request.read"]
    found = record(CoefficientRequests(SHAPES), inputs, outputs)
    assert found == {
        "write": [0, 0b10, 0b10, 0],
        "layer0.write": [0] * 4,
        "layer1.write": [0, 0, 1, 0],
        "layer1.enable": [0, 1, 1, 0],
        "request.read": [0] * 4,
    }


def test_requests_for_coefficients_can_be_synthesised_alone() -> None:
    convert(CoefficientRequests(SHAPES))
