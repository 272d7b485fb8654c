"""Several seeds: the median of what placement changes, and all else as it is for each."""

import pytest

from kanrtl.build.seeds import summarise_seeds, table_of_seeds
from support.pretended_builds import built

SPEEDS = (50.0, 20.0, 40.0, None)


def test_the_median_is_of_known_speeds() -> None:
    found = summarise_seeds([built("LFE5U-25F", seed, mhz).to_json() for seed, mhz in enumerate(SPEEDS)])
    assert (found["fmax_mhz"], found["fmax_mhz_by_seed"]) == (40.0, list(SPEEDS))
    assert (found["step_ns"], found["steps_per_second"]) == (50.0, 10_000_000)
    assert (found["lut"], found["dsp"], found["latency_cycles"], found["interval_cycles"]) == (900, 8, 2, 4)
    assert found["critical_path"] == "path at 40.0"


def test_the_table_tells_the_spread() -> None:
    reports = [built("LFE5U-25F", seed, mhz) for seed, mhz in enumerate(SPEEDS)]
    table = dict(table_of_seeds(reports))
    assert table["device"] == "LFE5U-25F, seeds 0, 1, 2, 3"
    assert table["fmax"] == "40.0 MHz, the median of 20.0 to 50.0"
    assert table["one step"] == "50 ns"
    assert table["LUT4"] == dict(reports[0].table())["LUT4"]


@pytest.mark.parametrize("count", [1, 3])
def test_no_speed_is_known(count: int) -> None:
    reports = [built("LFE5U-25F", seed, None) for seed in range(count)]
    found = summarise_seeds([report.to_json() for report in reports])
    assert (found["fmax_mhz"], found["step_ns"], found["steps_per_second"]) == (None, None, None)
    table = dict(table_of_seeds(reports))
    assert table["fmax"] == "unknown"
    assert "one step" not in table
