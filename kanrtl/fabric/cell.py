"""A cell of a netlist, as yosys writes it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A primitive of the device.

    Attributes
    ----------
    kind : str
        Its type, such as ``LUT4``.
    parameters : dict
        Its parameters, as yosys writes them.
    inputs, outputs : dict
        The nets at every port, by number; constants are text.
    source : str or None
        The line of Python that it comes from.
    """

    kind: str
    parameters: dict[str, str]
    inputs: dict[str, list[Any]]
    outputs: dict[str, list[Any]]
    source: str | None

    def flag(self, name: str) -> bool:
        """Whether any bit of the parameter ``name`` is set."""
        return "1" in str(self.parameters.get(name, "0"))

    def bits(self, ports: Iterable[str] | None = None) -> Iterable[int]:
        """The nets at the inputs, or at those among ``ports``; constants are no nets."""
        names = self.inputs if ports is None else [name for name in self.inputs if name in ports]
        return (bit for name in names for bit in self.inputs[name] if isinstance(bit, int))

    @property
    def output_bits(self) -> Iterable[int]:
        """The nets at the outputs."""
        return (bit for bits in self.outputs.values() for bit in bits if isinstance(bit, int))
