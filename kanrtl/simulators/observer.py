"""Latencies and intervals, measured at the ports."""

from __future__ import annotations

from collections import deque


class Observer:
    """Measures latencies and intervals from what happens at the ports.

    An interval counts from one sample to the next only while samples are offered without a pause. Between pauses either
    all that is taught is learned, or nothing.
    """

    def __init__(self) -> None:
        self.seen: dict[str, set[int]] = {"latency": set(), "interval": set(), "prediction_latency": set()}
        self._unpredicted: deque[int] = deque()
        self._untaught: deque[int] = deque()
        self._last: tuple[int, bool] | None = None

    def cycle(self, now: int, taken: bool, predicted: bool, taught: bool | None = None, updated: bool = False) -> None:
        """Takes note of clock edge number ``now`` and of the transfers that happened at it.

        ``taught`` is None where nothing ever is, so that all samples follow each other alike.
        """
        if updated and self._untaught:
            self.seen["latency"].add(now - self._untaught.popleft())
        if predicted:
            # The prediction was loaded at the edge before the one that takes it.
            self.seen["prediction_latency"].add(now - 1 - self._unpredicted.popleft())
        if taken:
            if self._last and self._last[1]:
                self.seen["interval"].add(now - self._last[0])
            self._last = (now, taught is not False)
            self._unpredicted.append(now)
            if taught:
                self._untaught.append(now)

    def idle(self) -> None:
        """Takes note of a clock edge at which no sample was offered."""
        self._last = None
        self._untaught.clear()
