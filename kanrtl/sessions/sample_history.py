"""What was predicted lately, so that a gradient that comes late can still be taught."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..errors import InputError
from ..numeric.fixed import Codes

REMEMBERED = 4096
"""How many samples are remembered; an older one is taught by its inputs."""


class SampleHistory:
    """The inputs of the last :data:`REMEMBERED` samples that were predicted, as codes, numbered from 0.

    Attributes
    ----------
    count
        How many were predicted, which is the number of the next one.
    """

    def __init__(self, n_in: int) -> None:
        self.count = 0
        self._rows = np.empty((REMEMBERED, n_in), dtype=np.int64)

    def append(self, codes: Codes) -> None:
        """Remember samples, shape ``(n, n_in)``."""
        if len(codes) == 1:
            self._rows[self.count % REMEMBERED] = codes[0]
        elif len(codes):
            kept = codes[-REMEMBERED:]
            end = self.count + len(codes)
            self._rows[np.arange(end - len(kept), end) % REMEMBERED] = kept
        self.count += len(codes)

    def find(self, sample: Any) -> Codes:
        """The codes of the sample with that number, shape ``(1, n_in)``; raises :exc:`InputError` where it is none, or
        none that is remembered."""
        try:
            number = operator.index(sample)
        except TypeError:
            number = None
        if number is None or isinstance(sample, (bool, np.bool_)):
            raise InputError(f"sample = {sample!r}: not the number of a sample; give an integer, such as last_sample")
        if not self.count:
            raise InputError(f"sample = {number}: nothing was predicted yet; call predict first")
        first = max(0, self.count - REMEMBERED)
        if not first <= number < self.count:
            raise InputError(
                f"sample = {number}: those remembered are {first} to {self.count - 1}; name one of them, or give "
                "inputs to feedback_many"
            )
        return self._rows[[number % REMEMBERED]]
