"""A driver in Python: what a core behind a bus can do, by two functions that read and write words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt

from ..arrays import as_array, as_integer
from ..errors import InputError, ToolError, cut
from ..learner.address_map import CONTROL_RESTORE, GUARD_RELEASE
from ..numeric.fixed import Codes
from .identification import Identification
from .register import WORD
from .register_map import Numbers, RegisterMap

__all__ = ["Driver"]

TRIES = 1000
"""Reads of the status before nothing more is awaited."""


class Driver:
    """Drives a core over a bus of any kind: memory that is mapped, LiteX's ``RemoteClient``, a simulator's master.

    Parameters
    ----------
    map : RegisterMap
        What lies where.
    read : callable
        Takes an address in bytes, and gives the word there.
    write : callable
        Takes an address and a word.
    base : int
        The address of the map's first byte.
    """

    def __init__(
        self,
        map: RegisterMap,
        read: Callable[[int], int],
        write: Callable[[int, int], object],
        base: int = 0,
    ) -> None:
        self.map = map
        self._read, self._write, self._base = read, write, base

    def read_register(self, name: str) -> int:
        """Read the word of a register by its name.

        Raises
        ------
        InputError
            If the map has none of that name, or it is only written.
        """
        placed = self.map.find(name)
        _check_access(name, "read", allowed=placed.register.readable)
        return self._read(self._base + placed.address)

    def write_register(self, name: str, word: int) -> None:
        """Write the word of a register by its name; a code below zero as two's complement.

        Raises
        ------
        InputError
            If the map has none of that name, it is only read, or the word has more than 32 bits.
        """
        placed = self.map.find(name)
        _check_access(name, "written", allowed=placed.register.writable)
        code = as_integer(name, word)
        if not -(1 << (WORD - 1)) <= code < 1 << WORD:
            raise InputError(f"{name} = {cut(word)}: must have {WORD} bits")
        self._write(self._base + placed.address, code & (1 << WORD) - 1)

    def read_array(self, name: str) -> Codes:
        """Read the codes of an array, in its shape.

        Raises
        ------
        InputError
            If the map has none of that name, or it is only written.
        """
        numbers = self.map.find_array(name)
        _check_access(name, "read", allowed=numbers.readable)
        shape = tuple(dimension.count for dimension in numbers.dimensions)
        words = [self._read(self._base + address) for address in _addresses(numbers)]
        codes = np.array(words, dtype=np.int64) & (1 << WORD) - 1
        if numbers.format.signed:
            codes = np.where(codes >> (WORD - 1), codes - (1 << WORD), codes)
        return codes.reshape(shape)

    def write_array(self, name: str, codes: npt.ArrayLike) -> None:
        """Write the codes of an array, in its shape.

        Raises
        ------
        InputError
            If the map has none of that name, it is only read, they have another shape, or its format does not hold
            them.
        """
        numbers = self.map.find_array(name)
        _check_access(name, "written", allowed=numbers.writable)
        shape = tuple(dimension.count for dimension in numbers.dimensions)
        array = as_array(name, codes, f"integers in the shape {shape}")
        if array.shape != shape or array.dtype.kind not in "iu":
            raise InputError(f"{name}: shape {array.shape} of {array.dtype}; must be integers in the shape {shape}")
        if array.size and not numbers.format.minimum <= array.min() <= array.max() <= numbers.format.maximum:
            raise InputError(f"{name}: from {array.min()} to {array.max()}; {numbers.format} does not hold that")
        for address, code in zip(_addresses(numbers), array.reshape(-1).tolist(), strict=True):
            self._write(self._base + address, code & (1 << WORD) - 1)

    def identify(self) -> Identification:
        """Read what the core is.

        Raises
        ------
        InputError
            If there is no core, or another one than the map was made for.
        """
        words = [self._read(self._base + placed.address) for placed in self.map.registers if placed.constant]
        found = Identification.from_words(words)
        if found != self.map.identification:
            raise InputError("identification: another core than the map is of; make the map of its spec")
        return found

    def freeze(self, frozen: bool = True) -> None:
        """Let samples be predicted alone from now on, or be learned again."""
        self.write_register("control", int(frozen))

    def restore(self) -> None:
        """Bring coefficients, rates, noise and counters to their start, and wait for that; what is frozen stays so.

        Raises
        ------
        InputError
            If the core cannot: its spec has ``initial="memory"``.
        """
        if not self.map.identification.restores:
            raise InputError(
                'restore: the core has initial = "memory"; write what it shall hold, or make it with "reset"'
            )
        self.write_register("control", self.read_register("control") | CONTROL_RESTORE)
        self.read_register("control")  # answered when it is done

    def release(self) -> None:
        """End a fault that the guard has seen: the core learns again.

        Raises
        ------
        InputError
            If the core has no guard.
        """
        if not self.map.identification.guarded:
            raise InputError("release: the core has no guard; make it of a spec with one")
        self.write_register("guard_status", GUARD_RELEASE)

    def submit(self, sample: npt.ArrayLike, target: npt.ArrayLike | None = None) -> Codes:
        """Have codes predicted, and learned where there is a target; only on a bus without streams.

        Where the teacher's word comes after the prediction, ``target`` is sent then.

        Raises
        ------
        InputError
            If the core's bus has streams, on which samples go.
        ToolError
            If no prediction comes; or that of a sample is still due for which none came before, as while the core
            restores what it begins with, or waits for the teacher's word. Nothing is sent then.
        """
        if self.map.streams:
            raise InputError("submit: samples and predictions of this core are on streams; send them there")
        # What is written while a sample waits would be refused, and its prediction taken for that of this one.
        self._await("pending", False)
        self.write_array("sample", sample)
        late = self.map.identification.after_prediction
        if target is not None and not late:
            self.write_array("target", target)
        self.write_register("submit", int(target is not None))
        self._await("predicted")
        prediction = self.read_array("prediction")
        if target is not None and late:
            self._await("awaits_teaching")
            self.write_array("target", target)
            self.write_register("teach", 1)
        return prediction

    def _await(self, flag: str, wanted: bool = True) -> None:
        status = self.map.find("status").register
        for _ in range(TRIES):
            if bool(status.unpack(self.read_register("status"))[flag]) == wanted:
                return
        stays = "clear" if wanted else "set"
        raise ToolError(f"the core does not answer: the bit {flag!r} of its status stays {stays}")


def _check_access(name: str, how: str, *, allowed: bool) -> None:
    if not allowed:
        raise InputError(f"{name}: cannot be {how}")


def _addresses(numbers: Numbers) -> list[int]:
    """The addresses of an array's numbers, the last dimension fastest."""
    steps = [range(0, each.count * each.stride, each.stride) for each in numbers.dimensions]
    return [numbers.address + sum(offsets) for offsets in product(*steps)]
