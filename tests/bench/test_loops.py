"""Whole loops: their cycles are constant and those that they say, and what the table shows of deadlines."""

import json
from pathlib import Path

import pytest

from bench.loops import LOOPS, OPEN, count_cycles
from bench.tables.plant_tables import loop_rows
from support.tiers import only


@pytest.mark.parametrize("name", only(lambda name: name not in ("control-2-1", "control-2-2"), LOOPS))
def test_the_cycles_of_a_loop_are_constant(name: str) -> None:
    loop = LOOPS[name][1]()
    found = count_cycles(loop, 6)
    assert found.latency == [loop.latency] * 6
    assert found.learned == [loop.learned_after] * 6
    # Words that come without a pause are taken at a constant rate, too.
    assert set(found.interval) == {loop.interval}


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("name", LOOPS)
def test_what_sets_and_reads_the_parts_is_a_port(name: str) -> None:
    """Synthesis would make constants of gains that nothing sets, and leave out counters that nothing reads."""
    loop = LOOPS[name][1]()
    ports = loop.signature.members
    assert {"learner_access", "learner_freeze"} <= set(ports)
    for part in loop.parts:
        of_part = {name for name in OPEN if name in part.signature.members}
        assert {f"{type(part).__name__.lower()}_{name}" for name in of_part} <= set(ports)


def test_a_deadline_that_is_missed_is_told(tmp_path: Path) -> None:
    data = {"fmax_mhz": 25.0, "lut": 2000, "dsp": 20, "deadlines": {"1": True, "10": False}}
    data |= {f"{part}_ns": cycles * 40.0 for part, cycles in (("actuator", 5), ("learned", 3), ("interval", 4))}
    (tmp_path / "loop-control-2-1.json").write_text(json.dumps(data))
    head, rows = loop_rows(tmp_path, ["control-2-1", "readout"])
    assert [len(row) for row in rows] == [len(head)] * 2
    assert rows[0][1:] == ["5", "3", "4", "25.0", "200", "120", "160", "2000", "20", "met", "no: 200 ns of 100"]
    assert rows[1][1:] == ["3", "4", "3", *["-"] * 8]
