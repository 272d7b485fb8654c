"""Outputs and nodes wherever they lie: all bits of their codes are used, and the hardware is what it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from amaranth.hdl import Fragment

import kanrtl
from kanrtl import InputError, LookupNetwork
from kanrtl.lookup import FloatKAN, FloatLayer, LookupCore, NamedFunctions
from kanrtl.sessions.simulated import network_ports
from kanrtl.verilog.network_header import network_header
from support.float_kans import random_kan

RANDOM = np.random.default_rng(7)
X = RANDOM.uniform(-1, 1, (400, 2))


def sines(scale: npt.ArrayLike, bias: npt.ArrayLike) -> FloatKAN:
    """Nodes that are sums of two sines."""
    weights = np.asarray(scale, dtype=np.float64)[:, None] * np.array([[1.0, 0.6]])
    return FloatKAN.of([FloatLayer.of_functions("layer", NamedFunctions.of("sin", 2, scale=2.0), weights, bias=bias)])


def relative_errors(kan: FloatKAN, network: LookupNetwork, x: npt.NDArray[np.float64] = X) -> npt.NDArray[np.float64]:
    """Of every output the RMS error over its standard deviation."""
    exact = kan.evaluate(x)[-1]
    errors: npt.NDArray[np.float64] = np.sqrt(((network.predict(x) - exact) ** 2).mean(axis=0)) / exact.std(axis=0)
    return errors


@pytest.mark.parametrize(
    ("scale", "bias"),
    [([0.003], [-0.054]), ([0.003], [1e4]), ([1e-6], [0.5]), ([1e3, 1e-3], [0.0, 7.0]), ([1.0, 1.0], [-90.0, 30.0])],
)
def test_outputs_keep_their_bits_wherever_they_lie(scale: list[float], bias: list[float], tmp_path: Path) -> None:
    kan = sines(scale, bias)
    plain = sines([1.0], [0.0])
    network = kan.calibrate(X, [8, 6]).quantise(kan)
    usual = relative_errors(plain, plain.calibrate(X, [8, 6]).quantise(plain))[0]
    assert usual < 0.04
    np.testing.assert_allclose(relative_errors(kan, network), usual, rtol=0.1)
    network.save(tmp_path / "network.npz")
    assert np.array_equal(LookupNetwork.load(tmp_path / "network.npz").predict(X), network.predict(X))
    with kanrtl.connect(network, backend="pysim", latency=1) as chip:
        assert np.array_equal(chip.predict(X[:20]), network.predict(X[:20]))


def test_an_offset_takes_no_hardware() -> None:
    """The tables are the same, and so is what is made of them."""
    near, far = (sines([1.0], [bias]) for bias in (0.0, 64.0))
    networks = [kan.calibrate(X, [6, 6]).quantise(kan) for kan in (near, far)]
    assert np.array_equal(networks[0].layers[0].table, networks[1].layers[0].table)
    assert np.array_equal(networks[0].layers[0].bias, networks[1].layers[0].bias)


def test_a_constant_output_is_exact() -> None:
    """Whether its edges are constants, cancel each other, or are not there."""
    wave = NamedFunctions.of([["sin", "cos", "one"]] * 2, 2, count=3)
    weights = np.zeros((4, 2, 3))
    weights[0, :, 2] = 0.4, 0.3
    weights[1, :, :2] = 1.0
    weights[3, 0, 0] = 1.0
    layer = FloatLayer.of_functions("layer", wave, weights, bias=[0.1, -0.25, 5.0, 0.0])
    squares = NamedFunctions.of("power", 2, scale=[[1.0], [1.0]])
    last = FloatLayer.of_functions("last", squares, [[1.0, 1.0]])
    kan = FloatKAN.of([layer])
    predictions = kan.calibrate(X, [6, 6]).quantise(kan).predict(X)
    np.testing.assert_allclose(predictions[:, [0, 2]], np.tile([0.8, 5.0], (len(X), 1)), rtol=1e-12)
    # The square of a sine and that of a cosine of the same input.
    pair = FloatLayer.of_functions("pair", NamedFunctions.of([["sin", "cos"]], 1, count=2), [[[1, 0]], [[0, 1]]])
    kan = FloatKAN.of([pair, last])
    network = kan.calibrate(X[:, :1], [8, 8, 6]).quantise(kan)
    assert np.abs(network.predict(X[:, :1]) - 1).max() < 0.05
    assert max(int(np.abs(layer.table).max()) for layer in network.layers) < 1 << 12


def test_compared_outputs_have_one_scale() -> None:
    kan = random_kan([2, 3], 2, "silu", 4)
    kan = FloatKAN.of(
        [FloatLayer.of_functions("layer", kan.layers[0].functions, kan.layers[0].weights, bias=[20.0] * 3)]
    )
    exact = kan.evaluate(X)[-1]
    calibration = kan.calibrate(X, [8, 6])
    network = calibration.quantise(kan, output="argmax")
    assert network.layers[-1].is_uniform
    assert (network.predict(X) == exact.argmax(axis=1)).mean() > 0.97
    assert np.array_equal(network.with_output("raw").predict(X).argmax(axis=1), network.predict(X))
    above = calibration.quantise(kan, output="threshold")
    assert not above.layers[-1].offsets.any()
    raw = calibration.quantise(kan)
    with pytest.raises(InputError, match="output = 'argmax': every output has a step and an offset of its own"):
        raw.with_output("argmax")
    with pytest.raises(InputError, match=r"thresholds: the codes of output 0 stand for .*, without zero"):
        raw.with_output("threshold")


def test_a_threshold_is_zero_in_real_numbers_where_outputs_have_offsets() -> None:
    kan = sines([1.0, 3.0], [0.5, -1.0])
    network = kan.calibrate(X, [8, 8]).quantise(kan)
    assert network.layers[-1].offsets.all()
    above = network.with_output("threshold")
    assert np.array_equal(above.predict(X), network.predict(X) > 0)


def test_inputs_with_an_offset_keep_their_bits() -> None:
    wave = NamedFunctions.of("sin", 2, scale=2.0, offset=[[-2e4], [-2e4]])
    kan = FloatKAN.of([FloatLayer.of_functions("layer", wave, [[1.0, 0.6]])])
    network = kan.calibrate(X + 1e4, [8, 6]).quantise(kan)
    plain = sines([1.0], [0.0])
    usual = relative_errors(plain, plain.calibrate(X, [8, 6]).quantise(plain))
    np.testing.assert_allclose(relative_errors(kan, network, X + 1e4), usual, rtol=0.01)


def test_header_and_waveforms_speak_of_offsets() -> None:
    kan = sines([1.0, 3.0], [0.5, -1.0])
    network = kan.quantise([4, 5], [0.25, [0.125, 0.5]], offsets=[0, [0.5, -1.0]])
    core = LookupCore(network)
    header = network_header(core)
    assert "Outputs are code * step + offset, with step and offset\n  of y[0]: 0.125, 0.5\n  of y[1]: 0.5, -1" in header
    ports = network_ports(network, Fragment.get(core, None))
    common = LookupCore(kan.quantise([4, 5], [0.25, 0.5], offsets=[0, -1.0]))
    assert "One step of an output stands for 0.5, and code 0 for -1." in network_header(common)
    Fragment.get(common, None)  # an unused component is a warning
    [leaves] = [port.leaves for port in ports if port.name == "predictions__payload"]
    assert [(leaf.lsb, leaf.offset) for leaf in leaves] == [(0.125, 0.5), (0.5, -1.0)]


def test_what_only_a_relu_sees_has_no_codes_below_zero() -> None:
    """Nor do nodes have codes for what splines without a base function do not reach."""
    first = FloatLayer.of_functions("first", NamedFunctions.of("identity", 2), [[1.0, 2.0], [3.0, -1.0]])
    last = FloatLayer.of_functions("last", NamedFunctions.of("relu", 2), [[1.0, 1.0]])
    kan = FloatKAN.of([first, last])
    for method in ("range", "least_squares", "output"):
        scale = kan.calibrate(X, [8, 6, 8], method).scales[1]
        # Zero itself has a code, or the nearest is less than one away.
        assert ((scale.levels(0)[0] > -1.01 * scale.step[0]) & (scale.levels(0)[0] < scale.step[0])).all()
    knots = [-0.5, -0.25, 0.0, 0.25, 0.5]
    splines = FloatLayer.of("last", knots=knots, coefficients=np.ones((1, 2, 3)), base="zero")
    scale = FloatKAN.of([first, splines]).calibrate(X, [8, 6, 8], "range").scales[1]
    assert np.abs(scale.levels(0)[[0, -1]]) == pytest.approx([0.5, 0.5], abs=1e-6)


def test_a_node_before_a_jump_is_not_finer_than_it_can_be() -> None:
    first = FloatLayer.of_functions("first", NamedFunctions.of("identity", 2), [[1.0, 2.0]])
    last = FloatLayer.of_functions("last", NamedFunctions.of("sign", 1), [[1.0]])
    kan = FloatKAN.of([first, last])
    network = kan.calibrate(X, [8, 2, 2]).quantise(kan)
    assert (np.sign(network.predict(X)) == kan.evaluate(X)[-1]).mean() > 0.97
    assert np.abs(network.layers[0].table).max() < 1 << 10
