"""A learner at the other end of a wire, as sessions use it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bus.identification import digest_spec
from ..errors import InputError, LinkError, SpecError
from ..learner.spec import LearnerSpec
from ..link.host_link import HostLink, Request
from ..link.identification_rom import LinkedDevice
from ..link.layout import Kind, Layout
from ..numeric.fixed import Codes
from .backend import AddressedLearner

__all__ = ["LinkedLearner", "check_device"]


class LinkedLearner(AddressedLearner):
    """The learner of a device, by its link.

    Parameters
    ----------
    link
        The link, which is closed with this.
    spec
        What the device is meant to be; None for whatever it is. :attr:`spec` is that of the device either way.

    Raises
    ------
    InputError
        If the device is another.
    """

    def __init__(self, link: HostLink, spec: LearnerSpec | None = None) -> None:
        if spec is not None:
            check_device(link.name, link.device, spec)
        super().__init__(link.device.spec)
        self.name = link.name
        self._link = link
        self._layout = Layout.of(self.spec)
        self._start = self.spec if spec is None else spec

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        self.settle_noise()
        layout, spec = self._layout, self.spec
        inputs = _to_bytes(x, layout.input)
        taught = np.concatenate([_to_bytes(teaching, layout.target), inputs], axis=1)
        changes = [0, *(np.flatnonzero(learn[1:] != learn[:-1]) + 1).tolist(), len(x)]

        def requests() -> Iterator[Request]:
            for start, stop in pairwise(changes):
                if start < stop:
                    kind, rows = (Kind.LEARN, taught) if learn[start] else (Kind.PREDICT, inputs)
                    yield from self._divide(kind, rows[start:stop])

        follow = self._follow if spec.timing.streaming else iter
        try:
            content = b"".join(self._link.exchange(follow(requests())))
        except LinkError as error:
            known = error.answered_bytes // layout.answer(Kind.LEARN)
            told = LinkError(f"{error}: {known} of {len(x)} samples are done, of the others it is not known")
            told.answered_bytes = error.answered_bytes
            raise told from None
        return _from_bytes(content, layout.output, spec.formats.output.signed).reshape(len(x), spec.n_out)

    def _follow(self, requests: Iterator[Request]) -> Iterator[Request]:
        """Give requests for samples that follow each other in the streaming schedule: their predictions come with later
        ones, and those that are on their way at the end are asked for."""
        size, late, on_way = self._layout.answer(Kind.PREDICT), self.spec.timing.prediction_latency, 0
        for request in requests:
            on_way += request.answer_bytes // size
            given = max(0, on_way - late)
            on_way -= given
            yield replace(request, answer_bytes=given * size)
        while on_way:
            given = min(on_way, self._layout.answers(Kind.PREDICT))
            on_way -= given
            yield Request(Kind.PREDICT, b"", given * size)

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        layout = self._layout

        def divided() -> Iterator[Request]:
            for written, group in groupby(requests, lambda request: request[1] is not None):
                part = list(group)
                rows = _to_bytes(np.array([[address] for address, _ in part]), layout.address)
                if written:
                    data = _to_bytes(np.array([[value] for _, value in part], dtype=np.int64), layout.data)
                    rows = np.concatenate([data, rows], axis=1)
                yield from self._divide(Kind.WRITE if written else Kind.READ, rows)

        content = b"".join(self._link.exchange(divided()))
        return _from_bytes(content, layout.data, signed=True).tolist()  # type: ignore[no-any-return]

    def start_codes(self) -> list[Codes]:
        # Arrays do not travel, but count in the digest.
        if digest_spec(self._start) != self._link.device.identification.digest:
            raise InputError(
                f"restore: the learner at {self.name} was built with arrays as initial_coefficients, which do not "
                "travel; connect with its spec"
            )
        return self._start.initial_codes()

    def _divide(self, kind: Kind, rows: npt.NDArray[np.uint8]) -> Iterator[Request]:
        """Give requests for records, as many in each as the wire is good for now."""
        start, size, answer = 0, self._layout.record(kind), self._layout.answer(kind)
        while start < len(rows):
            count = max(1, self._link.payload_bytes // max(size, answer))
            part = rows[start : start + count]
            yield Request(kind, part.tobytes(), len(part) * answer)
            start += count

    def close(self) -> None:
        self._link.close()


def check_device(name: str, device: LinkedDevice, spec: LearnerSpec) -> None:
    """Refuse a device that computes anything else than ``spec`` says, by the first field that differs.

    Raises
    ------
    InputError
        If it does.
    """
    if (found := find_difference(device, spec)) is not None:
        field, built = found
        reason = f"the learner at {name} was built with {built}; give its spec, or none"
        raise InputError(str(SpecError.of(field, getattr(spec, field), reason)))


def find_difference(device: LinkedDevice, spec: LearnerSpec) -> tuple[str, str] | None:
    """The first field by which a device computes anything else than ``spec`` says, and what it was built with there;
    None where there is none. How it was built, as for its part, does not count."""
    theirs = device.spec
    if digest_spec(spec) == device.identification.digest:
        return None
    # Initial coefficients that are arrays do not travel, but count in the digest.
    last = "initial_coefficients"
    others = [field for field in type(spec).model_fields if field != last]
    expected = digest_spec(theirs)
    differing = (field for field in others if not _stays(theirs, field, getattr(spec, field), expected))
    field = next(differing, last)
    return field, "others" if field == last else repr(getattr(theirs, field))


def _stays(spec: LearnerSpec, field: str, value: Any, digest: int) -> bool:
    """Whether a spec with that value has the digest."""
    try:
        return digest_spec(spec.replace(**{field: value})) == digest
    except SpecError:
        return False


def _to_bytes(codes: Codes, size: int) -> npt.NDArray[np.uint8]:
    """Give codes ``(n, k)`` as bytes ``(n, k size)``, the lowest first."""
    rows, count = codes.shape
    wide = np.ascontiguousarray(codes, dtype="<i8").view(np.uint8).reshape(rows, count, 8)
    return np.ascontiguousarray(wide[:, :, :size]).reshape(rows, count * size)


def _from_bytes(content: bytes, size: int, signed: bool) -> Codes:
    """Give the codes that stand in so many bytes each."""
    narrow = np.frombuffer(content, dtype=np.uint8).reshape(-1, size)
    wide = np.zeros((len(narrow), 8), dtype=np.uint8)
    wide[:, 8 - size :] = narrow
    codes = wide.view("<i8" if signed else "<u8")[:, 0] >> (8 * (8 - size))
    return codes.astype(np.int64)
