"""The map: everything is somewhere, and nothing on top of another."""

from typing import Any

import numpy as np
import pytest

from bench.compatibility import LEARNERS
from kanrtl import SQ, LearnerSpec, LookupNetwork
from kanrtl.bus.identification import Identification
from kanrtl.bus.register_map import RegisterMap
from kanrtl.errors import SpecError
from kanrtl.learner.address_map import SATURATIONS, AddressMap
from kanrtl.numeric.lfsr import initial_state
from support.register_reads import addresses_of
from support.small_cores import NETWORKS_BY_OUTPUT, SPECS

CORES = {
    **SPECS,
    "large": LearnerSpec(layer_sizes=[5, 7, 3, 2], grid_range=(-2, 2), grid_size=21, linear=[True, False, True]),
    **{f"{name} network": row.network for name, row in NETWORKS_BY_OUTPUT.items()},
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("core", CORES.values(), ids=list(CORES))
def test_no_two_things_have_one_address(core: LearnerSpec | LookupNetwork, streams: bool) -> None:
    map = RegisterMap.of(core, streams=streams)
    addresses = [placed.address for placed in map.registers]
    for numbers in map.arrays:
        inner = [address for _, address in addresses_of(numbers)]
        assert max(inner) - numbers.address + 4 == numbers.size
        addresses += inner
    assert len(set(addresses)) == len(addresses)
    assert all(address % 4 == 0 and 0 <= address < 1 << map.address_width for address in addresses)
    assert [placed.address for placed in map.registers] == sorted(placed.address for placed in map.registers)
    names = [each.name for each in map.entries]
    assert len(set(names)) == len(names)
    for placed in map.registers:
        covered = 0
        for field in placed.register.fields:
            assert not covered & field.mask
            covered |= field.mask
        assert covered < 1 << 32
        assert placed.reset is None or placed.reset & ~covered == 0


@pytest.mark.parametrize("core", CORES.values(), ids=list(CORES))
def test_what_tells_of_the_core_has_one_address_in_all_maps(core: LearnerSpec | LookupNetwork) -> None:
    map = RegisterMap.of(core, streams=True)
    words = {placed.address: placed.reset for placed in map.registers if placed.constant}
    identification = Identification.of(core)
    head = 12
    found = [words[4 * index] for index in range(head)]
    found += [words[0x80 + 4 * index] for index in range(3 * len(identification.layers))]
    assert Identification.from_words(found) == identification  # type: ignore[arg-type]
    assert [map.find(name).address for name in ("status", "events", "interrupt_enable")] == [0x40, 0x44, 0x48]


def test_what_restarts_can_be_told_to() -> None:
    spec = SPECS["streaming"]
    for initial, fields in (("memory", ["freeze"]), ("reset", ["freeze", "restore"])):
        map = RegisterMap.of(spec.replace(initial=initial), streams=True)
        assert [field.name for field in map.find("control").register.fields] == fields
        assert map.identification.restores == (initial == "reset")


@pytest.mark.parametrize("name", [*SPECS, "large"])
def test_window_is_the_access_port(name: str) -> None:
    """Every address that the port knows is a word of the window."""
    spec = CORES[name]
    assert isinstance(spec, LearnerSpec)
    map, addresses = RegisterMap.of(spec, streams=True), AddressMap.of(spec)
    assert map.window is not None
    words = {
        placed.name: (placed.address - map.window) // 4 for placed in map.registers if placed.address >= map.window
    }
    wanted = {f"learning_rate{layer}": addresses.learning_rate(layer) for layer in range(spec.n_layers)}
    wanted |= {f"linear_rate{layer}": addresses.linear_rate(layer) for layer in spec.linear_layers}
    wanted |= {f"saturations_{kind}": addresses.saturations(kind) for kind in SATURATIONS}
    wanted["control"] = addresses.control
    if spec.update_rounding == "stochastic":
        wanted["noise"] = addresses.noise
    assert words == wanted
    for layer, codes in enumerate(spec.initial_codes()):
        numbers = map.find_array(f"coefficients{layer}")
        found = {index: (address - map.window) // 4 for index, address in addresses_of(numbers)}
        assert found == {index: addresses.coefficient(layer, *index) for index in np.ndindex(codes.shape)}
        assert numbers.format == spec.layers[layer].formats.coefficient
    assert map.address_width >= addresses.width + 3


def test_what_is_counted_on_demand_has_a_register() -> None:
    spec = LEARNERS[0].spec
    plain, counting = (RegisterMap.of(each, streams=True) for each in (spec, spec.replace(counts=["outside", "lost"])))
    names = [placed.name for placed in plain.registers]
    assert {placed.name for placed in counting.registers} == {*names, "count_outside", "count_lost"}


def test_numbers_that_no_word_holds_are_refused() -> None:
    spec = LEARNERS[0].spec.replace(coefficient_format=SQ(2, 31))
    with pytest.raises(SpecError, match=r"^coefficient_format = 'SQ\(2, 31\)': has 33 bits; a bus has words of 32: "):
        RegisterMap.of(spec, streams=True)
    RegisterMap.of(spec.replace(coefficient_format=SQ(2, 30)), streams=True)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"activation_format": SQ(10, 24)}, "activation_format = 'SQ(10, 24)': has 34 bits; .*, where samples have"),
        ({"input_format": SQ(10, 24)}, "input_format = 'SQ(10, 24)': has 34 bits; .*, where samples have"),
        ({"output_format": SQ(9, 24)}, "output_format = 'SQ(9, 24)': has 33 bits; .*, where targets have"),
        (
            {"loss": "external", "gradient_format": SQ(10, 24)},
            "gradient_format = 'SQ(10, 24)': has 34 bits; .*, where targets have",
        ),
    ],
)
def test_numbers_of_samples_that_no_word_holds_need_streams(fields: dict[str, Any], told: str) -> None:
    """The message names a field of the spec."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), coefficient_format=SQ(6, 20), **fields)
    with pytest.raises(SpecError, match="^" + told.replace("(", r"\(").replace(")", r"\)") + " streams$"):
        RegisterMap.of(spec, streams=False)
    assert RegisterMap.of(spec, streams=True).streams


def test_only_what_a_reset_restores_has_a_value_after_it() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), linear=True, update_rounding="stochastic", seed=5)
    names = ("learning_rate0", "linear_rate0", "noise")
    for each, values in (
        (spec, [None, None, None]),
        (
            spec.replace(initial="reset"),
            [*(code for _, code in spec.rate_registers), initial_state(spec.seed) >> 16],
        ),
    ):
        map = RegisterMap.of(each, streams=True)
        assert [map.find(name).reset for name in names] == values
