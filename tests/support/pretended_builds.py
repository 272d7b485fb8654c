"""Builds that are only pretended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kanrtl import LookupCore
from kanrtl.build import Device, Report, design_builds


def built(device: str, seed: int, mhz: float | None) -> Report:
    """What a build reports that took two cycles and 900 LUTs."""
    return Report(
        device=device,
        seed=seed,
        clock_mhz=200.0,
        fmax_mhz=mhz,
        fmax_kind="measured" if mhz else "unverified",
        fmax_nextpnr_mhz=mhz,
        timing_met=False,
        lut=900,
        ff=100,
        dsp=8,
        bram=0,
        lutram=64,
        capacity={"lut": 24_000, "ff": 24_000, "dsp": 28, "bram": 56},
        critical_path={"summary": f"path at {mhz}"},
        tools={"yosys": "1"},
    ).with_facts({"latency_cycles": 2, "interval_cycles": 4})


class Reports:
    def __init__(self, mhz: float, facts: dict[str, int]) -> None:
        self._content = {"fmax_mhz": mhz, "critical_path": {"summary": "a path"}, **facts}

    def to_json(self) -> dict[str, Any]:
        names = ("fmax_kind", "clock_mhz", "lut", "lutram", "ff", "dsp", "bram", "capacity", "notes", "tools")
        return dict.fromkeys(names, 7) | {"fmax_kind": "measured", "tools": {}} | self._content


def pretend_builds(monkeypatch: pytest.MonkeyPatch, mhz: Callable[[int], float]) -> list[dict[str, Any]]:
    """Networks are planned, but not built; what builds of them are asked for. A seed gives a speed."""
    asked = []

    def build(component: LookupCore, *, device: str, seed: int, facts: dict[str, int], **options: Any) -> Reports:
        component._MustUse__silence = True  # it is not elaborated here
        part = Device.parse(device)
        assert component.family == part.family
        assert facts == {"latency_cycles": component.latency, "interval_cycles": component.interval}
        asked.append({"component": component, "device": device, "seed": seed, **options})
        return Reports(mhz(seed), facts | {"capacity": {"bram": part.bram}})

    monkeypatch.setattr(design_builds, "build_core", build)
    return asked
