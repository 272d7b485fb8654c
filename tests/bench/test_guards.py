"""Rows that measure guards, in small."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.guards import FAMILY, FAULTS, BitFlips, FaultRow, HealthyRow
from bench.tables import guard_tables


def quiet(_: str) -> None:
    """Tell nobody."""


def test_every_signature_has_a_fault() -> None:
    assert [fault.signature for fault in FAULTS] == ["divergence", "stagnation", "precision", "deadline"]
    assert [row.fault for row in FAMILY.rows if isinstance(row, FaultRow)] == list(FAULTS)


def test_a_fault_is_seen_and_its_absence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.guards.SAMPLES", 2400)
    broken = replace(FAULTS[2], at=1000, until=1200)
    found = FaultRow("small", "small", broken).measure(quiet)
    assert found["seen"] == ["precision"]
    assert 0 < found["seen_after"] <= 200
    assert found["errors"]["alone"] > found["errors"]["guarded"]
    with pytest.raises(AssertionError, match=r"^precision is not seen$"):
        FaultRow("small", "small", replace(broken, lesson=None)).measure(quiet)


def test_healthy_plants_and_flips_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = HealthyRow("small", "small", "channel", in_loop=200, samples=500).measure(quiet)
    assert healthy["samples"] == 3 * 199
    assert healthy["alarms"] == {}
    flips = BitFlips("small", "small", 1 / 8, trials=3).measure(quiet)
    assert len(flips["alone"]["errors"]) == len(flips["spans"])
    monkeypatch.setattr(guard_tables, "_measured", lambda kind: [flips] if kind is BitFlips else [healthy])
    assert guard_tables.guard_flips().count("\n") == 3
    assert "597" in guard_tables.healthy_plants()
