"""The example that classifies, the rows measured of it, and their table and picture. Nothing is built here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from bench import classify, draw, netlists, stored
from bench.tables import network_tables
from examples.classify import EXAMPLES, main
from kanrtl import LookupNetwork
from kanrtl.experiments.verify import Verification
from kanrtl.lookup import network_size
from support.pretended_builds import pretend_builds


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples as they are, but trained for no longer than it takes to see them work."""
    for name, example in EXAMPLES.items():
        settings = {**example.settings, "epochs": 3, "fine_tuning_epochs": 1}
        searched = {"bits": 3, "loss": 0.01}
        monkeypatch.setitem(EXAMPLES, name, replace(example, settings=settings, repeats=1, searched=searched))
    classify.learn_example.cache_clear()


@pytest.mark.usefixtures("short")
def test_rows_and_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = pretend_builds(monkeypatch, lambda seed: 40.0 + seed)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    assert [row.name for row in classify.FAMILY.rows] == list(network_tables.CLASSIFIERS)
    for row in classify.FAMILY.rows:
        assert isinstance(row, classify.Classifier)
        if row.example == "wine":
            result = row.run(lambda _: None)
            assert {"numpy", "scikit-learn", "openblas"} <= {*result["tools"]}
            assert result["held_out"]["rows"] == 45
            assert {*result["held_out"]["accuracy"]} == {"floats", "untuned", "tables"}
            assert len(result["cross_validation"]["accuracy"]["tables"]) == 5
    assert [(build["device"], build["frequency"]) for build in builds] == [("iCE40UP5K", 60.0)] * 5 + [
        ("LFE5U-25F-6", 250.0)
    ] * 5
    assert {build["component"].latency for build in builds} == {EXAMPLES["wine"].latency}
    result["held_out"]["accuracy"] = {"floats": 0.9, "untuned": 0.7, "tables": 0.8}
    result["cross_validation"]["accuracy"] = {"floats": [1.0, 1.0], "untuned": [0.5, 0.7], "tables": [0.5, 1.0]}
    for row in classify.FAMILY.rows:
        assert isinstance(row, classify.Classifier)
        same = result | {"title": row.title, "example": row.example, "device": row.device}
        (tmp_path / f"{row.name}.json").write_text(json.dumps(same))
    lines = network_tables.classify().splitlines()
    assert len(lines) == 2 + len(classify.FAMILY.rows)
    assert lines[2].startswith(
        "| **digits**: [13, 3], 39 edges, bits [4, 7] | 100.0 % | 60.0 % | **75.0 %** | 90.0 %, 80.0 % of 45 |"
    )
    assert lines[2].endswith(
        "| iCE40UP5K | **7** | 7 | 43.0 MHz (41.0 to 45.0) | 4 | **93 ns** | `classify-digits-up5k` |"
    )
    assert lines[3].startswith("|  |  |  |  |  | LFE5U-25F-6 |")


@pytest.mark.usefixtures("short")
def test_a_front_is_scored_on_what_the_search_has_not_seen() -> None:
    row = classify.Front("front-wine", "wine", "wine")
    result = json.loads(json.dumps(row.run(lambda _: None)))
    assert any(point["score"] != point["score_in_search"] for point in result["points"])
    front = sorted((point for point in result["points"] if point["on_front"]), key=lambda point: point["lut"])
    assert [point["score"] for point in front] == sorted({point["score"] for point in front})
    draw.draw_front([result], Figure())


@pytest.mark.usefixtures("short")
def test_a_netlist_of_another_network_than_was_measured_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the training has changed since."""
    row = next(row for row in classify.FAMILY.rows if row.name == "classify-wine-25f")
    assert isinstance(row, classify.Classifier)
    verified = netlists.VerifiedNetwork("verify-wine", "wine", row)
    sizes = network_size(row.make()).as_dict()
    monkeypatch.setattr(netlists, "RESULTS", tmp_path)
    found = Verification("LFE5U-25F-6", 500, 510, 0, {}, {}, None)
    monkeypatch.setattr(netlists, "verify", lambda *_, **__: found)
    assert verified.run(lambda _: None)["matches"]  # nothing has been measured
    path = tmp_path / f"{row.name}.json"
    path.write_text(json.dumps({"estimated": sizes}))
    assert verified.run(lambda _: None)["matches"]
    path.write_text(json.dumps({"estimated": sizes | {"edges": 40}}))
    with pytest.raises(AssertionError, match=r"^classify-wine-25f was measured of a network with .* 40, .* row again$"):
        verified.run(lambda _: None)


@pytest.mark.usefixtures("short")
def test_the_example_tells_accuracy_and_size(tmp_path: Path) -> None:
    saved, picture = tmp_path / "wine.npz", tmp_path / "front.png"
    found = CliRunner().invoke(main, ["wine", "--save", str(saved), "--search", str(picture)])
    assert found.exit_code == 0, found.output
    assert "layers [13, 3], bits [4, 7]: 39 edges" in found.output
    assert "mean of 5 folds:" in found.output
    assert LookupNetwork.load(saved).bits == (4, 7)
    assert picture.exists()


@pytest.mark.usefixtures("short")
def test_the_example_refuses_in_one_line(tmp_path: Path) -> None:
    for options, message in [
        (["rice"], "'rice' is not one of"),
        (["wine", "--build", "XC7"], "XC7"),
        (["wine", "--search", str(tmp_path / "front.txt")], "unknown kind of picture"),
        (["wine", "--save", str(tmp_path / "none" / "wine.npz")], "none"),
    ]:
        found = CliRunner().invoke(main, options)
        assert found.exit_code == 2, found.output
        assert message in found.output
