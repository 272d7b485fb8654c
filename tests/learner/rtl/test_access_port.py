"""How requests look, outside and inside."""

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.rtl.access_port import AccessPort, HeldRequest

SPEC = LearnerSpec(layer_sizes=[2, 3, 1], grid_range=(-2, 2), update_rounding="stochastic")


def test_addresses_and_data_are_as_wide_as_the_map_says() -> None:
    addresses = AddressMap.of(SPEC)
    port, held = AccessPort(SPEC).create(), HeldRequest(SPEC).create()
    assert len(port.request.payload.address) == len(held.address) == addresses.width
    words = [port.request.payload.data, port.response.payload, held.data, held.read]
    assert [len(word) for word in words] == [addresses.data_width] * 4 == [32] * 4
    assert all(word.shape().signed for word in words)
