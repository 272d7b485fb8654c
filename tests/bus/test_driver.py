"""The driver in Python, on a shell that is simulated word by word."""

from collections.abc import Callable, Iterator
from queue import Queue
from random import Random
from threading import Thread
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kanrtl import Learner
from kanrtl.bus import driver as driver_module
from kanrtl.bus.driver import Driver
from kanrtl.bus.register_map import RegisterMap
from kanrtl.bus.rtl.register_shell import WishboneShell
from kanrtl.errors import InputError, ToolError
from kanrtl.sessions.backends.model import ModelLearner
from support.bus_masters import WishboneMaster
from support.small_cores import SPECS, create_learner, create_network, pins_of, random_codes, random_samples

Access = Callable[[int, int | None], int]


@pytest.fixture
def simulate() -> Iterator[Callable[[WishboneShell], Access]]:
    """A function that simulates a shell on a thread of its own, and gives one that reads and writes its words."""
    asked: Queue[tuple[int, int | None] | None] = Queue()
    answered: Queue[int] = Queue()
    threads = []

    def start(shell: WishboneShell) -> Access:
        async def serve(ctx: Any) -> None:
            master = WishboneMaster(ctx, pins_of(shell, "wb"), Random(1), 0)
            while (request := asked.get()) is not None:
                address, word = request
                answer = await (master.read(address) if word is None else master.write(address, word))
                answered.put(answer.data)

        simulator = Simulator(shell)
        simulator.add_clock(1e-8)
        simulator.add_testbench(serve)
        threads.append(Thread(target=simulator.run, daemon=True))
        threads[-1].start()

        def access(address: int, word: int | None) -> int:
            asked.put((address, word))
            return answered.get(timeout=60)

        return access

    yield start
    asked.put(None)
    for thread in threads:
        thread.join(timeout=60)


BASE = 0x30000000


def drive(shell: WishboneShell, access: Access) -> Driver:
    return Driver(shell.map, lambda at: access(at - BASE, None), lambda at, word: access(at - BASE, word), BASE)


@pytest.mark.parametrize("name", ["after prediction", "no registers"])
def test_learner_is_driven(name: str, simulate: Callable[[WishboneShell], Access]) -> None:
    spec = SPECS[name]
    shell = WishboneShell(create_learner(name))
    driver = drive(shell, simulate(shell))
    assert driver.identify() == shell.map.identification
    x, target = random_samples(spec, 8)
    learn = np.array([True, False] * 4)
    model = ModelLearner(spec)
    predictions = model.run(x, target, learn)
    for x_row, target_row, taught, prediction in zip(x, target, learn, predictions, strict=True):
        assert np.array_equal(driver.submit(x_row, target_row if taught else None), prediction)
    for layer, codes in enumerate(model.read_coefficients()):
        assert np.array_equal(driver.read_array(f"coefficients{layer}"), codes)
    before = driver.read_array("coefficients0")
    driver.freeze()
    driver.submit(x[0], target[0])
    assert np.array_equal(driver.read_array("coefficients0"), before)
    driver.freeze(False)
    driver.write_array("coefficients0", -before // 2)
    assert np.array_equal(driver.read_array("coefficients0"), -before // 2)


def test_what_was_learned_is_forgotten(simulate: Callable[[WishboneShell], Access]) -> None:
    spec = SPECS["no registers"].replace(initial="reset")
    driver = drive(shell := WishboneShell(Learner(spec)), simulate(shell))
    (x, target), start = random_samples(spec, 1), spec.initial_codes()
    driver.submit(x[0], target[0])
    assert not all(np.array_equal(driver.read_array(f"coefficients{n}"), codes) for n, codes in enumerate(start))
    driver.write_register("learning_rate0", 1)
    driver.freeze()
    driver.restore()
    for number, codes in enumerate(start):
        assert np.array_equal(driver.read_array(f"coefficients{number}"), codes)
    assert driver.read_register("learning_rate0") == spec.layers[0].learning_rate_code
    assert driver.read_register("control") == 1
    fixed = Driver(RegisterMap.of(SPECS["no registers"], streams=False), lambda _: 0, lambda *_: None)
    with pytest.raises(
        InputError, match=r'^restore: the core has initial = "memory"; write what it shall hold, or make '
    ):
        fixed.restore()


def test_network_is_driven(simulate: Callable[[WishboneShell], Access]) -> None:
    core = create_network("raw")
    shell = WishboneShell(core)
    driver = drive(shell, simulate(shell))
    codes, predictions = random_codes(core.network, 5)
    for row, prediction in zip(codes, predictions, strict=True):
        assert np.array_equal(driver.submit(row), prediction)


def test_another_core_is_refused() -> None:
    map = RegisterMap.of(SPECS["no registers"], streams=False)
    other = RegisterMap.of(SPECS["after prediction"], streams=False)
    words = {placed.address: placed.reset or 0 for placed in other.registers if placed.constant}
    driver = Driver(map, lambda address: words.get(address, 0), lambda *_: None)
    with pytest.raises(InputError, match=r"^identification: another core than the map is of; make "):
        driver.identify()
    words.clear()
    with pytest.raises(InputError, match=r"^identification: begins with 0x00000000, not 0x4b414e52; "):
        driver.identify()


def test_what_cannot_be_is_refused() -> None:
    map = RegisterMap.of(SPECS["no registers"], streams=False)
    written: list[int] = []
    driver = Driver(map, lambda _: 0, lambda address, _: written.append(address))
    with pytest.raises(InputError, match=r"^sample: shape \(2,\) of int64; must be integers in the shape \(1,\)$"):
        driver.submit([1, 2])
    with pytest.raises(InputError, match=r"^sample: from 400 to 400; SQ\(2, 3\) does not hold that$"):
        driver.submit([400])
    with pytest.raises(InputError, match=r"^sample: rows of different lengths; give integers in the shape \(1,\)$"):
        driver.submit([[1], [2, 3]])  # type: ignore[list-item]
    assert not written
    with pytest.raises(ToolError, match=r"^the core does not answer: the bit 'predicted' of its status stays clear$"):
        driver.submit([1])


def test_no_prediction_is_taken_for_that_of_another_sample(
    simulate: Callable[[WishboneShell], Access], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an earlier one never came, as the core waited for the teacher's word."""
    monkeypatch.setattr(driver_module, "TRIES", 50)
    spec = SPECS["after prediction"]
    driver = drive(shell := WishboneShell(create_learner("after prediction")), simulate(shell))
    x, target = random_samples(spec, 3)
    model = ModelLearner(spec)
    predictions = model.run(x, target, np.array([True, False, False]))
    driver.write_array("sample", x[0])
    driver.write_register("submit", 1)
    with pytest.raises(ToolError, match=r"^the core does not answer: the bit 'predicted' of its status stays clear$"):
        driver.submit(x[1])
    with pytest.raises(ToolError, match=r"^the core does not answer: the bit 'pending' of its status stays set$"):
        driver.submit(x[2])
    driver.write_array("target", target[0])
    driver.write_register("teach", 1)
    assert np.array_equal(driver.submit(x[2]), predictions[2])


def test_what_cannot_be_done_is_refused_by_name() -> None:
    spec, written = SPECS["no registers"].replace(layer_sizes=[2, 1]), []
    driver = Driver(RegisterMap.of(spec, streams=False), lambda _: 0, lambda *access: written.append(access))
    for call, line in (
        (lambda: driver.read_register("nope"), r"register 'nope': is not in the map; it has magic, .*"),
        (lambda: driver.write_array("nope", [1]), r"array 'nope': is not in the map; it has sample, .*"),
        (lambda: driver.write_register("status", 1), "status: cannot be written"),
        (lambda: driver.read_register("submit"), "submit: cannot be read"),
        (lambda: driver.write_array("prediction", [1]), "prediction: cannot be written"),
        (lambda: driver.read_array("sample"), "sample: cannot be read"),
        (lambda: driver.write_register("learning_rate0", 1 << 33), "learning_rate0 = 8589934592: must have 32 bits"),
        (lambda: driver.write_register("learning_rate0", 0.5), r"learning_rate0 = 0.5: must be an integer"),
    ):
        with pytest.raises(InputError, match=f"^{line}$"):
            call()
    assert not written
    driver.write_register("learning_rate0", -1)
    assert [word for _, word in written] == [0xFFFFFFFF]
    streamed = Driver(RegisterMap.of(spec, streams=True), lambda _: 0, lambda *_: None)
    with pytest.raises(InputError, match=r"^submit: samples and predictions of this core are on streams; send them"):
        streamed.submit([0, 0])
