"""What every bus is turned into: requests for single words, one after another, each of which is answered."""

from __future__ import annotations

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .register import WORD

__all__ = ["WordBus"]


class WordBus(wiring.Signature):  # type: ignore[misc]
    """Reads and writes of words of 32 bits; the next is sent when the last one is answered.

    Parameters
    ----------
    address_width
        Bits of an address, which counts words.

    Members
    -------
    request : Out, stream of ``address``, ``write``, ``strobes`` (one for each byte of what is written) and ``data``
    response : In, stream of ``data`` (what is read; zero for a write) and ``refused``
    """

    def __init__(self, address_width: int) -> None:
        request = {"address": address_width, "write": 1, "strobes": WORD // 8, "data": WORD}
        super().__init__(
            {
                "request": Out(stream.Signature(data.StructLayout(request))),
                "response": In(stream.Signature(data.StructLayout({"data": WORD, "refused": 1}))),
            }
        )
