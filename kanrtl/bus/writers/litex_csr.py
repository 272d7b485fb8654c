"""``csr.csv`` and ``csr.json``, as the tools of LiteX read them (``litex.soc.integration.export``)."""

from __future__ import annotations

import json

from ..register import WORD
from ..register_map import PlacedRegister
from .described_map import DescribedMap

__all__ = ["write_csv", "write_json"]


def write_csv(described: DescribedMap) -> str:
    """Write the map as ``csr.csv``; arrays are regions of memory."""
    lines = [f"# {described.title}", f"csr_base,{described.name},{described.base:#010x},,"]
    for placed in described.map.registers:
        address = described.base + placed.address
        lines.append(f"csr_register,{described.name}_{placed.name},{address:#010x},1,{_access(placed)}")
    lines += [f"constant,{name},{value},," for name, value in _constants(described).items()]
    for name, (address, size) in _memories(described).items():
        lines.append(f"memory_region,{name},{address:#010x},{size},io")
    return "\n".join(lines) + "\n"


def write_json(described: DescribedMap) -> str:
    """Write the map as ``csr.json``; arrays are regions of memory."""
    content = {
        "csr_bases": {described.name: described.base},
        "csr_registers": {
            f"{described.name}_{placed.name}": {
                "addr": described.base + placed.address,
                "size": 1,
                "type": _access(placed),
            }
            for placed in described.map.registers
        },
        "constants": _constants(described),
        "memories": {
            name: {"base": address, "size": size, "type": "io"}
            for name, (address, size) in _memories(described).items()
        },
    }
    return json.dumps(content, indent=4) + "\n"


def _access(placed: PlacedRegister) -> str:
    """Give the access: rw, ro or wo."""
    register = placed.register
    return ("rw" if register.writable else "ro") if register.readable else "wo"


def _constants(described: DescribedMap) -> dict[str, int]:
    """Give what is constant in an array, by name: counts, and bytes from one number to the next."""
    # LiteX's remote client asks for these two.
    found = {"config_csr_data_width": WORD, "config_bus_address_width": 32}
    for numbers in described.map.arrays:
        for dimension in numbers.dimensions:
            stem = f"{described.name}_{numbers.name}_{dimension.name}"
            found |= {f"{stem}_count": dimension.count, f"{stem}_stride": dimension.stride}
        found[f"{described.name}_{numbers.name}_fraction_bits"] = numbers.format.f
    return found


def _memories(described: DescribedMap) -> dict[str, tuple[int, int]]:
    """Give address and bytes of the arrays, by name."""
    return {
        f"{described.name}_{numbers.name}": (described.base + numbers.address, numbers.size)
        for numbers in described.map.arrays
    }
