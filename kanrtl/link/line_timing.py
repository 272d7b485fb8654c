"""How long an answer may take, by what is on the line before its end."""

from __future__ import annotations

__all__ = ["LineTiming"]

FIRST_TIMEOUT, SHORTEST_TIMEOUT, LONGEST_TIMEOUT = 0.1, 0.02, 4.0
"""Seconds: before any time was measured, and bounds of what follows from the turnarounds that were. An adapter may keep
bytes for 16 ms."""

MARGIN = 2
"""Times the measured time of a byte: a simulated board is as quick as its computer just now."""

MEANINGFUL_BYTES = 512
"""Bytes one way from which on the time of a byte is that of the line, and not that of a turnaround."""


class LineTiming:
    """Measures a line: the turnaround of a request that is alone on it, and the time of a byte.

    An answer comes not later than a turnaround after all bytes that go before its end, either way, have gone. The
    turnaround is smoothed and bounded as TCP does it (RFC 6298). The time of a byte is that of a busy line over the
    bytes of the direction that carried more: never less than it is, and nearer to it the longer the line was busy.
    """

    def __init__(self) -> None:
        self._mean = self._deviation = self._byte = 0.0
        self._began: float | None = None
        self._requests = self._answers = 0

    def begin(self, now: float) -> None:
        """A request is sent while nothing is on the line."""
        self._began, self._requests, self._answers = now, 0, 0

    def forget(self) -> None:
        """Something is sent again: until the line has been quiet, what comes says nothing of its rate."""
        self._began = None

    def end(self, now: float, request: int, answer: int, *, alone: bool) -> None:
        """An answer has come: ``request`` and ``answer`` are the bytes on the line, ``alone`` says whether nothing was
        on it when the request was sent."""
        if self._began is None:
            return
        elapsed = now - self._began
        if alone:
            self._take_turnaround(elapsed)
        self._requests += request
        self._answers += answer
        carried = max(self._requests, self._answers)
        time = elapsed / carried
        if carried >= MEANINGFUL_BYTES or not self._byte or time < self._byte:
            self._byte = time

    def _take_turnaround(self, time: float) -> None:
        if self._mean:
            self._deviation += (abs(time - self._mean) - self._deviation) / 4
            self._mean += (time - self._mean) / 8
        else:
            self._mean, self._deviation = time, time / 2

    def expect(self, outstanding: int) -> float:
        """Give the seconds in which so many bytes go, and something comes back."""
        return self._mean + self._byte * outstanding

    def limit(self, outstanding: int) -> float:
        """Give the seconds after which an answer is late that has so many bytes before its end."""
        if not self._mean:
            return FIRST_TIMEOUT
        turnaround = min(max(self._mean + 4 * self._deviation, SHORTEST_TIMEOUT), LONGEST_TIMEOUT)
        return turnaround + MARGIN * self._byte * outstanding
