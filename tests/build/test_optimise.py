"""The search for the best setting, with builds that are made up: which it asks for, what it takes, that it repeats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from kanrtl import InputError, LookupNetwork
from kanrtl.build import BuildError, Device, Report, optimise_network
from kanrtl.build import optimise as module
from kanrtl.build.optimise import Goal, describe_options, list_settings
from kanrtl.build.shortage import ShortageError


def network() -> LookupNetwork:
    """Two layers: four inputs of four bits, two nodes, three classes."""
    random = np.random.default_rng(0)
    edges = []
    for n_in, n_out in ((4, 2), (2, 3)):
        node, source = np.nonzero(np.ones((n_out, n_in)))
        edges.append({"source": source, "node": node, "table": random.integers(-6, 6, (len(node), 16))})
    return LookupNetwork.of([4, 2, 3], [4, 4, 4], [1, 1, 1], edges, output="argmax")


Asked = list[dict[str, Any]]


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], float]], Asked]:
    """Make builds up, whose cycle in ns is what a function says of their options; gives those that were asked for."""
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(module, "YOSYS", type("Sham", (), {"version": staticmethod(lambda: "1")}))
    monkeypatch.setattr("kanrtl.tools.toolchain.Tool.version", lambda _: "1")

    def make_up(cycle: Callable[[dict[str, Any]], float]) -> Asked:
        asked: Asked = []

        def build(network: LookupNetwork, device: str, **options: Any) -> Report:  # noqa: ARG001
            del options["progress"]
            asked.append(options)
            facts = {"latency_cycles": options["latency"], "interval_cycles": 1}
            return Report(
                device=device,
                seed=options["seed"],
                clock_mhz=250.0,
                fmax_mhz=1000 / cycle(options),
                fmax_kind="measured",
                fmax_nextpnr_mhz=1000 / cycle(options),
                timing_met=True,
                lut=100 + 10 * options["latency"],
                ff=1,
                dsp=0,
                bram=0,
                lutram=0,
                capacity={"lut": 1, "ff": 1, "dsp": 1, "bram": 1},
                critical_path={},
                tools={},
                notes=[],
            ).with_facts(facts)

        monkeypatch.setattr(module, "build_network", build)
        return asked

    return make_up


def test_the_least_time_that_was_placed_is_taken(builds: Any) -> None:
    # Three registers make a cycle of 4 ns, and with the other placer one of 3.
    asked = builds(lambda one: (4 if one["latency"] == 3 else 20) - (one["placer"] == "static"))
    found = optimise_network(network(), "LFE5U-25F-6", memory="logic", seed=7)
    assert (found.options, found.placer) == ({"memory": "logic", "latency": 3}, "static")
    assert found.report.step_ns == 9.0
    assert found.words == "--memory logic --latency 3 --placer static"
    assert len(asked) == len(found.trials) <= 7
    assert {one["seed"] for one in asked} == {7}
    assert len({str(one) for one in asked}) == len(asked)
    assert found.to_json()["trials"][0].keys() == {"options", "placer", "step_ns", "fmax_mhz", "lut", "bram"}


def test_a_search_is_made_once(builds: Any) -> None:
    asked = builds(lambda _: 5)
    first = optimise_network(network(), "LFE5U-25F-6", builds=3)
    count = len(asked)
    again = optimise_network(network(), "LFE5U-25F-6", builds=3)
    assert again == first
    assert len(asked) == count + 1  # the report, which the cache of builds has
    optimise_network(network(), "LFE5U-25F-6", "mhz", builds=3)
    assert len(asked) > count + 2


def refuse_some(monkeypatch: pytest.MonkeyPatch, too_large: Callable[[dict[str, Any]], bool]) -> None:
    """Have a tool find some settings too large."""
    made_up: Any = module.build_network

    def build(network: LookupNetwork, device: str, **options: Any) -> Report:
        report: Report = made_up(network, device, **options)
        if too_large(options):
            shortage = ShortageError(Device.parse(device), "lut", 24_300 + options["latency"])
            raise BuildError(str(shortage)) from shortage
        return report

    monkeypatch.setattr(module, "build_network", build)


def test_a_setting_that_is_too_large_is_passed_over(builds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = builds(lambda one: one["latency"])
    refuse_some(monkeypatch, lambda one: one["latency"] < 3)
    found = optimise_network(network(), "LFE5U-25F-6", memory="logic")
    assert found.options == {"memory": "logic", "latency": 3}
    assert len(asked) <= 7
    assert len({str(one) for one in asked}) == len(asked)
    assert {one["options"]["latency"] >= 3 for one in found.trials} == {True}


def test_where_all_settings_are_too_large_the_last_says_so(builds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = builds(lambda _: 5)
    refuse_some(monkeypatch, lambda _: True)
    with pytest.raises(BuildError, match=r"^device = 'LFE5U-25F-6': the design needs \d+ LUTs, there are ") as failure:
        optimise_network(network(), "LFE5U-25F-6", builds=4)
    assert f"needs {24_300 + asked[-1]['latency']} LUTs" in str(failure.value)
    assert len(asked) == 4


def test_an_argument_that_cannot_be_ends_the_search(builds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = builds(lambda _: 5)
    made_up: Any = module.build_network

    def build(*arguments: Any, **options: Any) -> Report:
        made_up(*arguments, **options)
        raise BuildError("placer: 'x' is not known")

    monkeypatch.setattr(module, "build_network", build)
    with pytest.raises(BuildError, match=r"^placer: 'x' is not known$"):
        optimise_network(network(), "LFE5U-25F-6")
    assert len(asked) == 1


def test_what_is_given_stays(builds: Any) -> None:
    asked = builds(lambda _: 5)
    found = optimise_network(network(), "LFE5U-25F-6", latency=4, placer="heap", builds=2)
    assert {(one["latency"], one["placer"]) for one in asked} == {(4, "heap")}
    assert found.placer == "heap"


@pytest.mark.parametrize("default", [{"reuse_factor": 1}, {"reuse_factor": [1, 1]}, {"memory": "auto"}])
def test_what_is_given_at_its_default_leaves_the_choice(default: dict[str, Any]) -> None:
    part, lookup = Device.parse("LFE5U-25F-6"), network()
    for goal in get_args(Goal):
        assert list_settings(lookup, part, goal, **default) == list_settings(lookup, part, goal)
    with pytest.raises(InputError, match=r"^reuse_factor: 3 values; "):
        list_settings(lookup, part, "ns", reuse_factor=[1, 1, 1])


def test_goals_rank_settings() -> None:
    part, lookup = Device.parse("LFE5U-25F-6"), network()
    by_ns, by_mhz, by_lut = (list_settings(lookup, part, goal) for goal in ("ns", "mhz", "lut"))
    steps = [one.estimate.step_ns for one in by_ns]
    assert steps == sorted(steps)
    cycles = [one.estimate.step_ns / one.estimate.latency for one in by_mhz]
    assert cycles == sorted(cycles)
    luts = [one.estimate.lut for one in by_lut]
    assert luts == sorted(luts)
    assert any("reuse_factor" in one.options for one in by_lut)
    assert not any("reuse_factor" in one.options for one in by_ns)
    assert all(one.options["memory"] == "logic" for one in list_settings(lookup, part, "ns", memory="logic"))


def test_refusals(builds: Any) -> None:
    builds(lambda _: 5)
    with pytest.raises(InputError, match=r"^optimise = 'size': must be one of 'ns', 'lut', 'mhz', 'interval'$"):
        optimise_network(network(), "LFE5U-25F-6", "size")
    with pytest.raises(InputError, match=r"^latency = 99: must be"):
        optimise_network(network(), "LFE5U-25F-6", latency=99)
    with pytest.raises(BuildError, match=r"^device: 'Z80' is not known"):
        optimise_network(network(), "Z80")


def test_options_as_the_command_line_takes_them() -> None:
    assert describe_options({"memory": ["logic", "block"], "latency": 2}) == "--memory logic,block --latency 2"
