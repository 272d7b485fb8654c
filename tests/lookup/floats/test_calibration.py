"""What codes stand for: quantising with steps and offsets, choosing these by data; and files of KANs in floats."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kanrtl import InputError, LookupNetwork
from kanrtl.lookup import CodeScale, FloatKAN, FloatLayer, NamedFunctions, calibrate
from kanrtl.lookup.floats.calibration import METHODS, NO_SPREAD, compared_scale, input_scale
from support.damaged import refused_or_harmless
from support.float_kans import kans, random_kan, samples
from support.search import examples

KAN = random_kan([3, 2, 2], 2, "silu", 1)
X = samples(KAN, 200)


@pytest.mark.parametrize("bits", [5, np.int64(5), [5, 5, 5], (5, 5, 5), np.full(3, 5)])
def test_one_number_is_for_all(bits: Any) -> None:
    network = calibrate(KAN, X, bits).quantise(KAN, 1)
    assert network.bits == (5, 5, 5)
    assert [layer.guard_bits for layer in network.layers] == [1, 1]
    assert KAN.search(X, bits=bits, guard_bits=np.int64(1)).points[0].bits == (5, 5, 5)
    assert KAN.quantise(bits, 0.25).bits == (5, 5, 5)


@examples(20)
@given(kans(), st.data())
def test_a_quantised_node_is_off_by_half_an_entry_for_each_edge_at_most(kan: FloatKAN, data: st.DataObject) -> None:
    count = len(kan.layers)
    widths = st.lists(st.integers(1, 8), min_size=count + 1, max_size=count + 1)
    guards = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    x = samples(kan, 40)
    calibration = calibrate(kan, x, data.draw(widths), "range")
    network = calibration.quantise(kan, guards)
    assert network.bits == calibration.bits
    codes = network.quantiser.codes(x)
    for layer, floats, inputs, nodes in zip(
        network.layers, kan.layers, calibration.scales[:-1], calibration.scales[1:], strict=True
    ):
        exact = floats.evaluate(codes * inputs.step + inputs.offset)
        lsb = nodes.step / 2**layer.guard_bits
        error = np.abs(layer.sums(codes) * lsb + nodes.offset - exact)
        # An entry for each edge, and the bias.
        assert (error <= lsb * (floats.edges.sum(axis=1) + 1) * (0.5 + 1e-6)).all()
        codes = layer.evaluate(codes)
    assert np.array_equal(network.predict(x), codes * calibration.steps[-1] + calibration.offsets[-1])


def test_without_offsets_it_is_as_it_was() -> None:
    plain = KAN.quantise([4, 5, 6], [0.25, 0.25, 0.125])
    given = KAN.quantise([4, 5, 6], [[0.25] * 3, [0.25] * 2, [0.125] * 2], offsets=[[0, 0, 0], 0, [0, 0]])
    assert plain.steps == given.steps == (0.25, 0.25, 0.125)
    for one, other in zip(plain.layers, given.layers, strict=True):
        assert np.array_equal(one.table, other.table)
        assert np.array_equal(one.bias, other.bias)


def line(bias: float = 0.0) -> FloatKAN:
    """One straight line through one input."""
    return FloatKAN.of([FloatLayer.of_functions("line", NamedFunctions.of("identity", 1), [[1.0]], bias=[bias])])


def test_outputs_of_one_bit_are_compared_only_where_a_code_is_above_zero() -> None:
    kan, x = line(), np.linspace(-1, 1, 50)[:, None]
    calibration = kan.calibrate(x, [8, 1])
    with pytest.raises(InputError, match=r"^thresholds: output 0 has 1 bit, and no code that stands for more"):
        calibration.quantise(kan, output="threshold")
    assert set(calibration.quantise(kan, output="threshold", thresholds=[-1]).predict(x)) == {0, 1}
    network = kan.quantise([8, 1], [1 / 64, 1], offsets=[0, 0.5], guard_bits=6, saturate=False, output="threshold")
    assert np.array_equal(network.predict(x), x[:, 0] > 0)


def test_a_bias_beyond_the_range_of_its_node_is_no_entry_that_saturates() -> None:
    network = line(10.0).quantise([4, 4], [1, 1])
    assert network.predict([-8.0]) == 2
    assert not network.notes
    far = line(1e12).quantise([4, 4], [1, 1])
    assert far.layers[0].bias == 2**31 - 1
    assert str(*far.notes) == "layers.0 tables = 1 (an edge alone leaves the range of its node, or an entry 31 bits)"


def test_entries_saturate_unless_edges_are_to_cancel() -> None:
    kan = random_kan([2, 1], 1, "identity", 0)
    layer = replace(kan.layers[0].with_splines(base_weights=[[100.0, -100.0]]), bias=np.zeros(1))
    kan = FloatKAN.of([layer])
    x = np.linspace(-1, 1, 50)[:, None].repeat(2, axis=1)
    free, ended = (kan.quantise([6, 8], [1 / 32, 1 / 64], saturate=saturate) for saturate in (False, True))
    assert max(abs(ended.layers[0].table).max(), 128) == 128
    exact = kan.evaluate(np.rint(x * 32).clip(-32, 31) / 32)[-1]
    assert np.abs(free.predict(x) - exact.clip(-2, 127 / 64)).max() <= 1.5 / 64
    assert np.abs(ended.predict(x) - exact.clip(-2, 127 / 64)).max() > 0.5


@examples(60)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=3, max_size=3), min_size=1, max_size=30), st.integers(1, 9))
@example([[0.0, 0.0, 0.0], [1e-300, 0.0, 0.0]], 1)  # parts of such a spread have no exact reciprocal
def test_scales_hold_the_values(rows: list[list[float]], bits: int) -> None:
    values = np.array(rows)
    found = {name: input_scale(values, bits, name) for name in METHODS}
    errors = {name: ((scale.round(values) - values) ** 2).mean(axis=0) for name, scale in found.items()}
    for name, scale in found.items():
        assert (scale.step > 0).all(), name
        assert (errors["least_squares"] <= errors[name] + 1e-9).all() or name.startswith("percentile")
    assert (np.abs(found["range"].round(values) - values) <= found["range"].step * (0.5 + 1e-6)).all()
    spread = np.ptp(values, axis=0)
    ends = found["range"].levels(0)
    assert ends[0] == pytest.approx(values[:, 0].min(), abs=1e-9)
    assert ends[-1] == pytest.approx(values[:, 0].max() if spread[0] > NO_SPREAD else ends[0] + len(ends) - 1, abs=1e-9)


@examples(60)
@given(st.lists(st.lists(st.floats(-100, 100), min_size=2, max_size=2), min_size=1, max_size=30), st.integers(1, 9))
@example([[0.0, 5e-324]], 1)
@example([[0.0, 1e-300], [-1e-310, 0.0]], 4)
def test_outputs_that_are_compared_share_a_step(rows: list[list[float]], bits: int) -> None:
    values = np.array(rows)
    whole, best = (compared_scale(values, bits, method, "threshold") for method in ("range", "least_squares"))
    for scale in (whole, best):
        assert scale.step[0] == scale.step[1] > 0
        assert not scale.offset.any()
    for method in METHODS:
        scale = compared_scale(values, bits, method, "argmax")
        assert scale.step[0] == scale.step[1] > 0
        assert scale.offset[0] == scale.offset[1]
    if bits > 1:  # of one bit, codes are 0 and -1
        assert (np.abs(whole.round(values) - values) <= whole.step * (0.5 + 1e-6)).all()
    assert ((best.round(values) - values) ** 2).sum() <= ((whole.round(values) - values) ** 2).sum() + 1e-9


def test_an_outlier_makes_the_outputs_choose_another_scale() -> None:
    kan = random_kan([1, 1], 2, "zero", 3)
    x = np.linspace(-1, 1, 300)[:, None]
    far = np.append(x, [[1e6]], axis=0)  # no spline reaches there
    assert calibrate(kan, far, [4, 8]).methods[0] != "range"
    assert calibrate(kan, far, [4, 8]).error < 0.1 < calibrate(kan, far, [4, 8], "range").error


def test_hidden_layers_have_guard_bits_unless_told_otherwise() -> None:
    calibration = KAN.calibrate(X, [5, 4, 8])
    exact = KAN.evaluate(X)[-1]
    networks = [calibration.quantise(KAN, guards) for guards in (None, [2, 0], [0, 0])]
    assert [[layer.guard_bits for layer in network.layers] for network in networks] == [[2, 0], [2, 0], [0, 0]]
    errors = [((network.predict(X) - exact) ** 2).mean() for network in networks]
    assert errors[0] == errors[1] < errors[2]


@pytest.mark.parametrize("method", ["output", *METHODS])
def test_many_bits_leave_no_error(method: str) -> None:
    calibration = calibrate(KAN, X, [14, 14, 14], method)
    network = calibration.quantise(KAN, [2, 0])
    exact = KAN.evaluate(X)[-1]
    # Splines are not smooth at the ends of their knots, and percentiles saturate.
    limit = 0.1 if method.startswith("percentile") else 1e-5
    assert ((network.predict(X) - exact) ** 2).mean() < limit * exact.var()
    assert calibration.error < limit


def test_hidden_nodes_far_from_zero_keep_their_bits() -> None:
    layers = list(KAN.layers)
    knots = layers[1].knots + 50
    far = FloatKAN.of(
        [replace(layers[0], bias=layers[0].bias + 50), layers[1].with_splines(knots=knots, base="zero")],
        KAN.input_scale,
        KAN.input_offset,
    )
    near = FloatKAN.of([layers[0], layers[1].with_splines(base="zero")], KAN.input_scale, KAN.input_offset)
    networks = [kan.calibrate(X, [6, 6, 8], "range").quantise(kan) for kan in (far, near)]
    # Their steps differ by the floats' own rounding.
    codes = [network.predict_codes(network.quantiser.codes(X)) for network in networks]
    assert np.array_equal(*codes)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KAN.calibrate(X, [4, 4]), "bits: 2 values; give one for all, or 3"),
        (lambda: KAN.calibrate(X, [4, 0, 4]), r"bits\[1\] = 0"),
        (lambda: KAN.calibrate(X[:, :2], [4, 4, 4]), r"x: shape \(200, 2\); must be \(n, 3\)"),
        (lambda: KAN.calibrate(X[:0], [4, 4, 4]), "with one sample or more"),
        (lambda: KAN.calibrate("x", [4, 4, 4]), "x: not an array of numbers"),
        (lambda: KAN.calibrate(X + 1j, [4, 4, 4]), r"x: not an array of numbers; give shape \(n, 3\)"),
        (lambda: KAN.calibrate(np.ma.masked_array(X, X == X[5, 1]), [4, 4, 4]), r"x\[5, 1\] is masked; give a number"),
        (lambda: KAN.quantise(4, 1, guard_bits=-9), "guard_bits = -9: must be an integer from 0 to 30"),
        (lambda: KAN.quantise(4, 1, guard_bits=[0, 2.5]), r"guard_bits\[1\] = 2.5: must be an integer from 0 to 30"),
        (lambda: KAN.quantise(4, 1, guard_bits="a"), "guard_bits = 'a': must be an integer from 0 to 30"),
        (lambda: KAN.calibrate(X, [4, 4, 4], "luck"), "method = 'luck': must be one of 'output', 'range'"),
        (
            lambda: KAN.quantise([4, 4, 4], [1, [1, 2], [1, 2]], output="argmax"),
            "output = 'argmax': every output has a step and an offset of its own",
        ),
        (
            lambda: KAN.quantise([4, 4, 4], [1, 1, 1], offsets=[0, 0, [9, 0]], output="threshold"),
            "thresholds: the codes of output 0 stand for 1 to 16, without zero; give thresholds",
        ),
        (lambda: KAN.quantise([4, 4, 4], [1, 1, 1], offsets=[0]), "offsets: 1 values; give one for all, or 3"),
        (lambda: KAN.quantise([4, 4, 4], [1, [1, 2, 3], 1]), r"steps\[1\]: shape \(3,\); must be \(2,\)"),
        (lambda: KAN.quantise([4, 4, 4], [1, [1, 0], 1]), r"steps\[1\] = .*0.0.*: must be a number above 0"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


# Files.


@examples(10)
@given(kans())
def test_what_is_saved_is_loaded(tmp_path_factory: pytest.TempPathFactory, kan: FloatKAN) -> None:
    path = tmp_path_factory.mktemp("saved") / "kan.npz"
    kan.save(path)
    loaded = FloatKAN.load(path)
    x = samples(kan, 30)
    assert all(map(np.array_equal, loaded.evaluate(x), kan.evaluate(x)))
    count = len(kan.layers) + 1
    networks = [one.quantise([5] * count, [0.25] * count) for one in (kan, loaded)]
    for one, other in zip(networks[0].layers, networks[1].layers, strict=True):
        assert np.array_equal(one.source, other.source)
        assert np.array_equal(one.table, other.table)


def test_a_damaged_or_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kan.npz"
    KAN.save(path)
    refused_or_harmless(path, lambda path: FloatKAN.load(path).layers[0].coefficients, every=37)
    with np.load(path) as content:
        arrays = dict(content)
    for change, message in [
        ({"kan": np.array("{}")}, "not a saved FloatKAN; give a file that FloatKAN.save wrote"),
        ({"kan": np.array(json.dumps({"format": "kanrtl float kan 9"}))}, "is of format 'kanrtl float kan 9'"),
        ({"knots_0": np.zeros((3, 2))}, r"layer 0.knots: shape \(3, 2\)"),
        ({"input_scale": np.zeros(5)}, "input_scale"),
    ]:
        np.savez(path, **arrays | change)
        with pytest.raises(InputError, match=message):
            FloatKAN.load(path)
    KAN.quantise([4, 4, 4], [1, 1, 1]).save(path)
    with pytest.raises(InputError, match="not a saved FloatKAN"):
        FloatKAN.load(path)
    with pytest.raises(InputError, match="No such file"):
        FloatKAN.load(tmp_path / "none.npz")


def test_a_scale_rounds_to_the_nearest_level_and_saturates() -> None:
    scale = CodeScale(2, np.array([0.5]), np.array([10.0]))
    assert scale.levels(0).tolist() == [9.0, 9.5, 10.0, 10.5]
    assert scale.round(np.array([[-100.0], [9.7], [10.2], [99.0]])).ravel().tolist() == [9.0, 9.5, 10.0, 10.5]
    assert isinstance(KAN.quantise([2, 2, 2], [1, 1, 1]), LookupNetwork)
