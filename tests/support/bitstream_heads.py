"""Files that begin and end as bitstreams do, with nothing between."""

ICE40_BANKS = {"hx1k": (332, 144), "hx8k": (872, 272), "up5k": (692, 336)}


def ice40(die: str, comment: bytes = b"") -> bytes:
    """As icepack writes it."""
    width, height = ICE40_BANKS[die]
    size = b"\x62" + (width - 1).to_bytes(2, "big") + b"\x72" + height.to_bytes(2, "big")
    head = b"\xff\0" + comment + b"\0\xff\x7e\xaa\x99\x7e\x51\0\x01\x05\x92\0\x20"
    return head + size + b"\x82\0\0\x11\0\x01\x01" + bytes(64) + b"\x22\x9f\x90\x01\x06\0"


def ecp5(part: str, idcode: int) -> bytes:
    """As ecppack writes it."""
    head = b"\xff\0Part: " + part.encode() + b"\0\xff\xff\xff\xbd\xb3\xff\xff\xff\xff\x3b\0\0\0"
    body = b"\xe2\0\0\0" + idcode.to_bytes(4, "big") + b"\x22\0\0\0" + bytes(64)
    return head + body + b"\x5e\0\0\0\xff\xff\xff\xff"


ULX3S_85F = ecp5("LFE5U-85F-6CABGA381", 0x41113043)
