"""Lookup networks on every backend: the model's bits, after every layer, with every setting; and their waveforms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import kanrtl
from kanrtl import SQ, UQ, InputError, LookupNetwork
from kanrtl.lookup import FixedQuantiser, Quantiser, connect_network
from kanrtl.lookup.rtl.lookup_core import create_core
from kanrtl.lookup.rtl.network_plan import plan_layers
from kanrtl.lookup.rtl.pipeline import Pipeline
from kanrtl.sessions.backends import native as made
from kanrtl.sessions.network_session import LookupSession
from support.lookup_networks import codes_for, networks, published
from support.reuse_factors import factors
from support.waveforms import read

pytestmark = pytest.mark.usefixtures("compiled")


@st.composite
def settings_for(draw: st.DrawFn, network: LookupNetwork) -> dict[str, Any]:
    """Any that the network can have."""
    plans = plan_layers(network)
    options: dict[str, Any] = {"memory": [draw(st.sampled_from(["auto", "logic", "block"])) for _ in network.layers]}
    small = [number for number, layer in enumerate(network.layers) if layer.n_in * layer.bits_in <= 10]
    options["whole_from"] = draw(st.sampled_from([None, *small]))
    free = Pipeline.of(network, plans, **options)
    options["latency"] = draw(st.none() | st.integers(free.least, len(free.positions)))
    return options


@st.composite
def any_networks(draw: st.DrawFn) -> LookupNetwork:
    """Half of them with a quantiser in hardware."""
    network = draw(networks())
    format = draw(st.sampled_from([None, None, SQ(3, 4), UQ(4, 2)]))
    if format is None:
        return network
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = random.choice([1.0, -2.0, 3.3, -0.7], network.n_in) * (1 << network.bits[0]) / 8
    exact = Quantiser.of(scale, random.normal(0, 2, network.n_in), network.bits[0], network.n_in)
    return network.with_quantiser(exact.fixed(format))


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), any_networks(), st.integers(0, 2**32 - 1))
def test_every_backend_gives_the_models_bits(data: st.DataObject, network: LookupNetwork, seed: int) -> None:
    check_every_backend(network, data.draw(settings_for(network)), seed)


@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), any_networks(), st.integers(0, 2**32 - 1))
def test_every_backend_waits_for_a_folded_network(data: st.DataObject, network: LookupNetwork, seed: int) -> None:
    reuse_factor = data.draw(factors(network))
    assume(np.max(reuse_factor) > 1)
    check_every_backend(network, {"reuse_factor": reuse_factor}, seed, 60)


def check_every_backend(network: LookupNetwork, options: dict[str, Any], seed: int, count: int = 300) -> None:
    random = np.random.default_rng(seed)
    real = isinstance(network.quantiser, FixedQuantiser)
    samples = random.uniform(-9, 9, (count, network.n_in)) if real else codes_for(network, count, seed)
    told = []
    for backend in ("model", "pysim", "native"):
        with connect_network(network, backend, **options) as session:
            ask = session.predict if real else session.predict_codes
            # In pieces, between which the clock runs on.
            parts = [ask(part) for part in np.split(samples, [0, 1, 7])]
            told.append((np.concatenate(parts).tolist(), session.status["cycles"], session.status["observed"]))
    expected = network.predict(samples) if real else network.predict_codes(samples)
    assert [predictions for predictions, _, _ in told] == [expected.tolist()] * 3
    assert told[1] == told[2]
    core = create_core(network, **options)
    core._MustUse__silence = True
    assert told[1][2] == {"latency": [core.latency], "interval": [core.interval]}


def assert_alike(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found, expected, strict=True)
    assert type(found) is type(expected)


EXTREME = [np.inf, -np.inf, 1.7e308, -1e300, -0.0, 5e-324]


def check_single_samples(session: LookupSession, network: LookupNetwork, seed: int) -> None:
    """Against the arrays of numpy: codes and ties between two, what is next to these, and what is far outside."""
    random = np.random.default_rng(seed)
    samples = random.uniform(-9, 9, (40, network.n_in))
    quantiser = network.quantiser
    if isinstance(quantiser, Quantiser):
        ties = (random.integers(-18, 18, (40, network.n_in)) / 2 - quantiser.offset) / quantiser.scale
    else:
        ties = random.integers(-40, 40, (40, network.n_in)) / 2 * quantiser.format.lsb
    rows = [*samples, *ties, *np.nextafter(ties, np.inf), *random.choice(EXTREME, (10, network.n_in))]
    before = session.status["samples"]
    for row in rows:
        with np.errstate(over="ignore"):
            expected = network.predict(row)
        for x in (row, row.tolist(), tuple(row)):
            assert_alike(session.predict(x), expected)
    assert session.status["samples"] == before + 3 * len(rows)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(any_networks(), st.integers(0, 2**32 - 1))
def test_a_single_sample_in_plain_numbers(network: LookupNetwork, seed: int) -> None:
    with connect_network(network) as session:
        check_single_samples(session, network, seed)


@pytest.mark.parametrize("backend", ["model", "native"])
@pytest.mark.parametrize(("output", "fixed"), [("raw", False), ("argmax", True)])
def test_a_single_sample_on_every_backend(output: str, fixed: bool, backend: str) -> None:
    exact = Quantiser.of([1.7, -2.3], [0.4, -0.1], 3, 2)
    network = tiny(output).with_quantiser(exact.fixed(SQ(3, 4)) if fixed else exact)
    with kanrtl.connect(network, backend) as session:
        check_single_samples(session, network, 3)
        kept = session.predict([0.5, 1.0])
        copy = kept.copy()
        session.predict([-2.0, 2.0])
        assert_alike(kept, copy)
        for x in ([0.5, np.nan], np.array([np.nan, 1]), [1.0], 1.0, "12", [0.5, 1j], [[1], [1, 2]]):
            found = []
            for ask in (network.predict, session.predict):
                with pytest.raises(InputError) as caught:
                    ask(x)  # type: ignore[arg-type]
                found.append(str(caught.value))
            assert found[0] == found[1]
        assert_alike(session.predict([[0.5, 1.0]] * 2), network.predict([[0.5, 1.0]] * 2))
        assert_alike(session.predict([2**60, True]), network.predict([2**60, True]))
    if backend == "native":
        with pytest.raises(RuntimeError, match="closed"):
            session.predict([0.5, 1.0])


@pytest.mark.parametrize("backend", ["pysim", "native"])
@pytest.mark.parametrize("name", ["Moons", "DryBean"])
def test_published_networks_after_every_layer(name: str, backend: str) -> None:
    network, vectors = published(name)
    codes = vectors["xvec_in"].astype(np.int64) - (1 << (network.bits[0] - 1))
    assert len(codes) == 2048
    for layers in range(1, len(network.layers) + 1):
        expected = vectors[f"xvec_l{layers - 1}"]
        assert np.array_equal(network.head(layers).predict_codes(codes), expected)
        with kanrtl.connect(network.head(layers), backend) as session:
            assert np.array_equal(session.predict_codes(codes), expected)


def tiny(output: str = "raw") -> LookupNetwork:
    """Two inputs of three bits, two outputs of four."""
    table = np.arange(8) - 4
    edges = {"source": [0, 1, 1], "node": [0, 0, 1], "table": [table, table * 2, -table]}
    return LookupNetwork.of([2, 2], [3, 4], [0.5, 0.25], [edges], output=output)


def test_a_head_is_the_first_layers_alone() -> None:
    network = LookupNetwork.of(
        [1, 2, 1],
        [2, 3, 4],
        [1, 1, 1],
        [
            {"source": [0, 0], "node": [0, 1], "table": [[0, 1, 2, 3], [3, 2, 1, 0]]},
            {"source": [0, 1], "node": [0, 0], "table": [np.arange(8), np.arange(8)]},
        ],
        output="threshold",
        thresholds=[3],
    )
    codes = codes_for(network, 9, 0)
    assert network.head(1).layer_sizes == (1, 2)
    assert np.array_equal(network.head(1).predict_codes(codes), network.layer_codes(codes)[0])
    assert np.array_equal(network.head(2).predict_codes(codes), network.layer_codes(codes)[1])
    with pytest.raises(InputError, match="layers = 3: must be an integer from 1 to 2"):
        network.head(3)


def test_what_was_compiled_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = codes_for(tiny(), 20, 0)
    with kanrtl.connect(tiny(), "native") as session:
        assert np.array_equal(session.predict_codes(codes), tiny().predict_codes(codes))

    def elaborated(*_: Any, **__: Any) -> None:
        raise InputError("was made again")

    monkeypatch.setattr(made, "create_core", elaborated)
    with kanrtl.connect(tiny(), "native") as again:
        assert np.array_equal(again.predict_codes(codes), tiny().predict_codes(codes))
    for network, options in [(tiny("argmax"), {}), (tiny(), {"latency": 3})]:
        with pytest.raises(InputError, match="was made again"):
            kanrtl.connect(network, "native", **options)


def test_an_interrupted_run_leaves_the_pipeline_empty(interrupt: Callable[[Any], None]) -> None:
    codes = codes_for(tiny(), 40, 0)
    with kanrtl.connect(tiny(), "native") as session:
        interrupt(session)
        with pytest.raises(KeyboardInterrupt):
            session.predict_codes(codes)
        assert np.array_equal(session.predict_codes(codes), tiny().predict_codes(codes))
    with pytest.raises(RuntimeError, match="closed"):
        session.predict_codes(codes)


def test_waveforms(tmp_path: Path) -> None:
    x = np.array([[-2.0, -2.0], [0.5, 0.0], [0.0, 1.0], [1.5, 1.5]])
    for backend in ("pysim", "native"):
        with kanrtl.connect(tiny(), backend, trace=tmp_path / f"{backend}.vcd") as session:
            predictions = session.predict(x)
            session.predict(x[:1])
            cycles = session.status["cycles"]
    pysim, native = ((tmp_path / f"{backend}.vcd").read_text() for backend in ("pysim", "native"))
    assert pysim == native
    kinds, changes = read(tmp_path / "native.vcd")
    assert kinds["network.samples.x_1"] == kinds["network.predictions.y_0"] == "real"
    assert kinds["network.predictions.y_0_code"] == "wire"
    # A value is there until another takes its place: what predictions were while they were valid.
    valid = [time for time, value in changes["network.predictions.valid"] if value == "1"]
    for node in range(2):
        history = changes[f"network.predictions.y_{node}"]
        shown = [[value for at, value in history if at <= valid[0] + 10 * index][-1] for index in range(len(x))]
        assert shown == predictions[:, node].tolist()
    rises = [time for time, value in changes["network.clk"] if value == "1"]
    assert rises == [10 * edge for edge in range(1, cycles)]
    view = (tmp_path / "native.gtkw").read_text()
    assert {"network.clk", "network.samples.x_0", "network.predictions.y_1"} <= set(view.splitlines())


def test_a_class_has_no_real_value(tmp_path: Path) -> None:
    with kanrtl.connect(tiny("argmax"), "pysim", trace=tmp_path / "a.vcd") as session:
        session.predict([0, 0])
    kinds, _ = read(tmp_path / "a.vcd")
    assert kinds["network.predictions.y_0"] == "wire"


def test_what_cannot_be_is_refused(tmp_path: Path, tracker: kanrtl.LearnerSpec) -> None:
    for arguments, message in [
        ({"backend": "model", "trace": tmp_path / "a.vcd"}, 'trace: backend "model" has no signals'),
        ({"backend": "pysim", "trace": tmp_path / "a.fst"}, "waveforms are written as VCD"),
        ({"backend": "native", "latency": 99}, "latency = 99: must be an integer from 1 to"),
        ({"latency": 99}, "latency = 99: must be an integer from 1 to"),
        ({"memory": "rom"}, "memory = 'rom': must be one of"),
        ({"reuse_factor": 2, "whole_from": 0}, "whole_from = 0: not with reuse_factor = 2"),
        ({"depth": 3}, "depth: not known for a network; it must be one of latency, memory, whole_from, reuse_factor$"),
        ({"backend": "serial"}, "backend = 'serial': unknown; use one of 'model', 'compiled', 'pysim', 'native'"),
        ({"backend": None}, "backend = None: unknown; use one of 'model', 'compiled', 'pysim', 'native'"),
    ]:
        with pytest.raises(InputError, match=message):
            kanrtl.connect(tiny(), **arguments)
    with pytest.raises(InputError, match="latency: not known for a learner"):
        kanrtl.connect(tracker, latency=3)  # type: ignore[call-overload]
    assert not list(tmp_path.iterdir())
