"""How a learner's insides are reached: from outside, and further in."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..address_map import AddressMap
from ..spec import LearnerSpec

__all__ = ["AccessPort", "HeldRequest"]


class AccessPort(wiring.Signature):  # type: ignore[misc]
    """Reads and writes of coefficients and registers from outside, one at a time: :mod:`kanrtl.learner.address_map`.

    A request is taken between samples, before the next one. Every request is answered: a read with what was read, a
    write with what was written. An address that stands for nothing reads zero, and a write to it changes nothing.

    Members
    -------
    request : Out, stream of ``address``, ``write`` and ``data`` (integer codes)
    response : In, stream of integer codes
    """

    def __init__(self, spec: LearnerSpec) -> None:
        addresses = AddressMap.of(spec)
        word = signed(addresses.data_width)
        request = data.StructLayout({"address": addresses.width, "write": 1, "data": word})
        super().__init__(
            {
                "request": Out(stream.Signature(request)),
                "response": In(stream.Signature(word)),
            }
        )


class HeldRequest(wiring.Signature):  # type: ignore[misc]
    """A request while it is served, as what it may reach sees it.

    Members
    -------
    address : Out
        As in :mod:`kanrtl.learner.address_map`.
    write : Out(1)
        Whether something is written.
    data : Out
        What is written; zero except while something is.
    serving : Out(1)
        It is being served; the address is valid.
    second : Out(1)
        That is in its second cycle.
    done : Out(1)
        That ends with this cycle: what is written is written at the clock edge, and what is read is taken there.
    read : In
        What is read, integer codes; zero where the address is another's, and while something is written.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        addresses = AddressMap.of(spec)
        word = signed(addresses.data_width)
        super().__init__(
            {
                "address": Out(addresses.width),
                "write": Out(1),
                "data": Out(word),
                "serving": Out(1),
                "second": Out(1),
                "done": Out(1),
                "read": In(word),
            }
        )
