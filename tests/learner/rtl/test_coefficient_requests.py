"""Requests for coefficients, alone: every address there is."""

from typing import Any

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.rtl.coefficient_requests import CoefficientRequests
from support.components import convert, record

SPEC = LearnerSpec(layer_sizes=[2, 3, 1], grid_range=(-2, 2), grid_size=[3, 8], spline_order=[2, 3])
SIGNALS = ("enable", "input", "output", "index", "write")


def paths(layer: int) -> dict[str, str]:
    return {name: f"layer{layer}.{name}" for name in SIGNALS}


def test_every_coefficient_is_reached_at_its_address_and_nothing_elsewhere() -> None:
    addresses = AddressMap.of(SPEC)
    where = {
        addresses.coefficient(number, node, source, index): (number, source, node, index)
        for number, layer in enumerate(SPEC.layers)
        for node in range(layer.n_out)
        for source in range(layer.n_in)
        for index in range(layer.bases)
    }
    dut = CoefficientRequests(SPEC)
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
    address = AddressMap.of(SPEC).coefficient(1, 0, 2, 4)
    inputs: list[dict[str, Any]] = [
        {"request.address": address, "request.write": 1, "layer1.read_data": 77},
        {"request.serving": 1},
        {"request.done": 1},
        {"request.done": 0, "request.serving": 0},
    ]
    outputs = ["write", "layer0.write", "layer1.write", "layer1.enable", "request.read"]
    found = record(CoefficientRequests(SPEC), inputs, outputs)
    assert found == {
        "write": [0, 0b10, 0b10, 0],
        "layer0.write": [0] * 4,
        "layer1.write": [0, 0, 1, 0],
        "layer1.enable": [0, 1, 1, 0],
        "request.read": [0] * 4,
    }


def test_it_can_be_synthesised_alone() -> None:
    convert(CoefficientRequests(SPEC))
