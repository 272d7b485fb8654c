"""A spec with a guard: the same bits on every backend, whatever is done in which order; files, digests and descriptions
of it."""

from __future__ import annotations

import tomllib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import kanrtl
from kanrtl import InputError, LearnerSpec, LearningWarning, SpecError, connect
from kanrtl.bus.identification import Identification, digest_spec
from kanrtl.bus.register_map import RegisterMap
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.guard import Guard
from kanrtl.learner.spec_file import to_toml
from kanrtl.loop import GuardSettings
from kanrtl.verilog.learner_header import learner_header
from support.components import convert, register_bits
from support.guarded_specs import GUARD, GUARDED, PLAIN
from support.linked_boards import connect_line
from support.search import examples
from support.tiers import only, thorough

VARIANTS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "two layers, teacher answers later": {
        "layer_sizes": [1, 2, 1],
        "teaching": "after_prediction",
        "update_rounding": "stochastic",
        "guard": GUARD | {"imprecise": 4},
    },
    "streaming": {"schedule": "streaming"},
    "folded, reset": {"layer_sizes": [2, 1], "reuse_factor": 2, "initial": "reset"},
}


def use(session: kanrtl.Session, seed: int) -> list[Any]:
    """Do things in an order that the seed says, and give all that can be seen of them."""
    random = np.random.default_rng(seed)
    spec, seen = session.spec, []
    for _ in range(9):
        count = int(random.integers(1, 40))
        x = random.uniform(-2, 2, (count, spec.n_in))
        wild = random.random() < 0.4
        target = np.full((count, spec.n_out), 3.9) if wild else np.sin(x[:, : spec.n_out])
        match int(random.integers(0, 9)):
            case 0 | 1 | 2 | 3:
                seen.append(session.learn_many(x, target))
            case 4:
                seen.append(session.predict_many(x))
            case 5:
                session.release()
            case 6:
                session.frozen = not session.frozen
            case 7:
                seen += [session.status["guard"], session.status["saturations"]]
                session.clear_counters()
            case 8:
                [session.restore, session.adopt, lambda: session.set_limits(error=2.0)][int(random.integers(3))]()
    return [*seen, *session.coefficients, session.status["guard"], session.status["saturations"]]


def assert_equal(found: list[Any], expected: list[Any]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, dict):
            assert one == other
        else:
            assert np.array_equal(one, other)


@pytest.mark.parametrize("name", only(lambda name: not name.startswith("two"), VARIANTS))
@settings(examples(1), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(seed=st.integers(0, 2**32 - 1))
def test_model_and_simulation_are_the_same(name: str, seed: int) -> None:
    spec = GUARDED.replace(**VARIANTS[name])
    with kanrtl.connect(spec) as model, kanrtl.connect(spec, "pysim") as simulated:
        assert_equal(use(simulated, seed), use(model, seed))


@pytest.mark.parametrize("backend", ["compiled", thorough("native")])
def test_machine_code_is_the_same(backend: str) -> None:
    with kanrtl.connect(GUARDED) as model, kanrtl.connect(GUARDED, backend) as compiled:
        for seed in range(4):
            assert_equal(use(compiled, seed), use(model, seed))


def fail(session: kanrtl.Session) -> None:
    """Learn well, and then from a teacher that has gone wild, until the guard sees it."""
    x = np.random.default_rng(0).uniform(-2, 2, (400, 1))
    session.learn_many(x, np.sin(x))
    assert not session.status["guard"]["fault"]
    session.learn_many(x[:16], np.full((16, 1), 3.9))


@pytest.mark.usefixtures("compiled")
@pytest.mark.thorough
def test_a_device_on_a_serial_line_is_the_same() -> None:
    """Its fault comes back as reads of registers; limits, copies and what is released reach it as writes."""
    with kanrtl.connect(GUARDED) as model, connect_line(GUARDED) as device:
        for session in (model, device):
            fail(session)
        assert device.status["guard"]["fault"]
        assert device.status["guard"] == model.status["guard"]
        assert_equal(use(device, 5), use(model, 5))


def test_a_fault_ends_with_release_alone() -> None:
    with kanrtl.connect(GUARDED) as session:
        fail(session)
        status = session.status["guard"]
        assert status["fault"]
        assert status["seen"] == ["divergence"]
        assert status["counts"]["divergence"] == 1
        assert status["error"] > 1
        assert status["limits"]["error"] == 1
        x = np.linspace(-1.9, 1.9, 50)[:, None]
        assert np.abs(session.predict_many(x) - np.sin(x)).mean() < 0.15
        before = session.coefficients
        session.learn_many(x, np.sin(x) + 1)
        assert np.array_equal(session.coefficients[0], before[0])
        session.release()
        session.learn_many(x, np.sin(x) + 0.5)
        assert not np.array_equal(session.coefficients[0], before[0])


def test_what_is_written_is_what_comes_back() -> None:
    """After a load the guard's good copy is what was loaded."""
    with kanrtl.connect(GUARDED) as session:
        session.coefficients = [codes + 7 for codes in session.coefficients]
        written = session.coefficients
        session.learn_many(np.zeros((24, 1)), np.full((24, 1), 3.9))
        assert session.status["guard"]["fault"]
        assert np.array_equal(session.coefficients[0], written[0])


def test_a_restored_session_begins_anew() -> None:
    with kanrtl.connect(GUARDED) as session:
        first = use(session, 3)
        if session.frozen:
            session.frozen = False
        session.restore()
        assert_equal(use(session, 3), first)


def test_healthy_learner_is_as_without_a_guard() -> None:
    """To the bit, in spite of copies."""
    x = np.random.default_rng(0).uniform(-2, 2, (300, 1))
    with kanrtl.connect(PLAIN) as plain, kanrtl.connect(GUARDED.replace(guard=GUARD | {"error": 3.0})) as guarded:
        assert np.array_equal(plain.learn_many(x, np.sin(x)), guarded.learn_many(x, np.sin(x)))
        assert np.array_equal(plain.coefficients[0], guarded.coefficients[0])


# What describes it.


def test_files_keep_it(tmp_path: Path) -> None:
    assert LearnerSpec.from_dict(GUARDED.to_dict()) == GUARDED
    assert LearnerSpec.from_dict(tomllib.loads(to_toml(GUARDED))) == GUARDED
    assert LearnerSpec.from_dict(tomllib.loads(to_toml(PLAIN))).guard is None
    with kanrtl.connect(GUARDED) as session:
        session.save(tmp_path / "guarded.npz")
        fail(session)
        with pytest.warns(
            LearningWarning, match=r"^save: the guard has seen divergence, and a file does not hold that"
        ):
            session.save(tmp_path / "guarded.npz")
        saved = session.coefficients
    for spec in (GUARDED, PLAIN):
        with kanrtl.connect(spec) as session:
            session.load(tmp_path / "guarded.npz")
            assert np.array_equal(session.coefficients[0], saved[0])
            assert not session.status.get("guard", {}).get("fault")


def test_a_spec_without_has_the_digest_that_it_had() -> None:
    assert digest_spec(PLAIN) == digest_spec(PLAIN.replace(guard=None))
    assert digest_spec(PLAIN) == PLAIN_DIGEST
    assert digest_spec(GUARDED) != digest_spec(PLAIN)
    assert digest_spec(GUARDED) == digest_spec(PLAIN.replace(guard=GuardSettings.of(GUARD)))
    assert digest_spec(GUARDED) != digest_spec(PLAIN.replace(guard=GUARD | {"copy_every": 2}))


PLAIN_DIGEST = 0x9D7D7CBF46CDBC6C
"""As it was before there was a guard."""


def test_register_map_has_it() -> None:
    plain, guarded = RegisterMap.of(PLAIN, streams=False), RegisterMap.of(GUARDED, streams=False)
    assert guarded.identification.guarded
    assert Identification.from_words(guarded.identification.words) == guarded.identification
    names = {each.name for each in guarded.registers} - {each.name for each in plain.registers}
    assert {"guard_status", "guard_error_sum", "guard_limit_slot", "guard_count_deadline"} < names
    assert len(names) == 12
    # A reset leaves the limits as they are, unless it restores everything.
    assert guarded.find("guard_limit_error").reset is None
    error = RegisterMap.of(GUARDED.replace(initial="reset"), streams=False).find("guard_limit_error")
    assert error.reset == 8 * 2**6 * 2 ** (PLAIN.formats.layers[-1].gradient.f - 6)
    assert [field.name for field in guarded.find("guard_status").register.fields][-2:] == ["fault", "adopt"]


@pytest.mark.parametrize("fields", [{}, {"layer_sizes": [2, 3, 2], "counts": []}, {"initial": "reset"}])
def test_estimate_has_it_to_the_flip_flop(fields: dict[str, Any]) -> None:
    spec = GUARDED.replace(**fields)
    dut, parts = Guard(spec, spec.guard, addressed=True), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    dut.count(parts)
    assert parts.counts["register"] == register_bits(convert(dut))
    with_it, without = (one.estimate("LFE5U-25F-6") for one in (spec, spec.replace(guard=None)))
    assert with_it.lut > without.lut


def test_verilog_tells_its_addresses() -> None:
    learner = kanrtl.Learner(GUARDED)
    learner._MustUse__silence = True  # it need not become hardware
    header = learner_header(learner)
    assert "guard: limit slot" in header
    assert "fault" in header


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        ({"window": 100}, r"guard.window = 100: must be a power of two from 8 to 32768"),
        ({"errors": 1}, r"guard.errors = 1: a guard has no such setting; it has window, .*"),
        (3, r"guard = 3: must be a table of a guard's settings, .*"),
        ({"error": 99.0}, r"guard.error = 99.0: the learner's errors are between 0 and \d+"),
        ({"error": 10**400}, r"guard.error = 10{56}...: is higher than any error; set it lower"),
        ({"error": "much"}, r"guard.error = 'much': must be a number"),
        ({"window": 1 << 15, "copy_every": 1.5}, r"guard.copy_every = 1.5: must be an integer from 1 to 32768"),
    ],
)
def test_what_cannot_be_is_refused(guard: object, message: str) -> None:
    with pytest.raises(SpecError, match=f"^{message}$"):
        PLAIN.replace(guard=guard)


def test_windows_whose_sums_no_word_holds_are_refused() -> None:
    with pytest.raises(SpecError, match=r"^guard.window = 32768: the sum of its errors has \d+ bits, and may have 31"):
        PLAIN.replace(gradient_format="SQ(8, 14)", guard={"window": 1 << 15})


def test_sessions_without_a_guard_say_so() -> None:
    with kanrtl.connect(PLAIN) as session:
        assert "guard" not in session.status
        for call in (session.release, session.adopt, lambda: session.set_limits(error=1.0)):
            with pytest.raises(InputError, match=r"^\w+: the spec has no guard; set guard in it$"):
                call()
    with (
        kanrtl.connect(GUARDED) as session,
        pytest.raises(InputError, match=r"^errors = 1: the guard has no such limit; it has error, .*"),
    ):
        session.set_limits(errors=1)


def test_a_model_alone_has_none() -> None:
    with pytest.raises(InputError, match=r"^guard: a model alone has none; use kanrtl.loop.GuardedModel .*"):
        kanrtl.Model(GUARDED)


def test_one_limit_is_set_beside_the_others() -> None:
    spec = PLAIN.replace(counts=["lost"], guard={"window": 16, "stagnant_error": 0.5, "stagnant_lost": 10})
    with connect(spec) as session:
        session.set_limits(stagnant_error=0.25)
        session.set_limits(stagnant_lost=5)
        session.set_limits(rails=3)
        limits = session.status["guard"]["limits"]
        assert (limits["stagnant_error"], limits["stagnant_lost"], limits["rails"]) == (0.25, 5, 3)
        for name, held in (("stagnant_lost", "stagnant_error is 0.25"), ("stagnant_error", "stagnant_lost is 5")):
            with pytest.raises(InputError, match=rf"^{name} = 0: {held}, and stagnation .*; set both, or neither$"):
                session.set_limits(**{name: 0})
        session.set_limits(stagnant_lost=0, stagnant_error=0)
        assert session.status["guard"]["limits"]["rails"] == 3


@pytest.mark.parametrize("written", [{"rails": 1 << 20}, {"error": -1}, {"stagnant_error": -1, "stagnant_lost": -1}])
def test_a_limit_is_set_beside_what_a_bus_has_written(written: dict[str, int]) -> None:
    spec = PLAIN.replace(counts=["lost"], guard={"window": 16, "error": 0.5, "stagnant_error": 0.5, "stagnant_lost": 3})
    with connect(spec) as session:
        session.backend.write_limits(written)
        held = session.backend.read_guard().limits
        session.set_limits(slot=5)
        session.set_limits(stagnant_lost=4)
        assert session.backend.read_guard().limits == held | {"slot": 5, "stagnant_lost": 4}


def test_other_limits_are_set_whatever_a_bus_has_written_of_stagnation() -> None:
    # Nothing counts lost updates here, so that the spec could not ask for it.
    with connect(PLAIN.replace(counts=[], guard={"window": 16, "error": 0.5})) as session:
        session.backend.write_limits({"stagnant_lost": 4})
        session.set_limits(slot=5)
        assert session.backend.read_guard().limits["slot"] == 5
        with pytest.raises(InputError, match=r"^stagnant_lost = 1: needs a spec with counts = .*"):
            session.set_limits(stagnant_error=0.5)


def test_limits_that_are_never_seen_or_always_are_warned_of() -> None:
    counted = PLAIN.replace(counts=["lost"])
    for name in ("rails", "stagnant_lost"):
        with pytest.raises(SpecError, match=rf"{name} = 17: must be a number of steps of a window, 0 to 16$"):
            counted.replace(guard={"window": 16, name: 17, "stagnant_error": 0.1})
    assert counted.replace(guard={"window": 16, "imprecise": 32})
    logistic = PLAIN.replace(loss="logistic", guard={"window": 16, "error": 1.5})
    line = 'is never seen, as loss = "logistic" lets errors reach 1 at most; set it lower'
    with pytest.warns(LearningWarning, match=rf"^guard\.error = 1\.5: {line}$"):
        connect(logistic)
    slow = PLAIN.replace(pipeline="all_registers", guard={"window": 16, "slot": 2})
    with pytest.warns(
        LearningWarning, match=rf"^guard\.slot = 2: ends before a step does, which takes {slow.interval}"
    ):
        connect(slow)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connect(slow.replace(guard={"window": 16, "slot": slow.interval}))


def test_a_limit_beyond_the_gradients_is_warned_of() -> None:
    line = "is never seen, as gradient_limit = 0.5 lets errors reach 0.5 at most; set it lower"
    spec = PLAIN.replace(gradient_limit=0.5, counts=["lost"], guard={"window": 16, "error": 0.75})
    with pytest.warns(LearningWarning, match=rf"^guard\.error = 0\.75: {line}$"):
        session = connect(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.set_limits(error=0.5)
        connect(spec.replace(gradient_limit=0.0)).close()
    with pytest.warns(LearningWarning, match=rf"^guard\.stagnant_error = 0\.6: {line}$"):
        session.set_limits(stagnant_error=0.6, stagnant_lost=2)


def test_a_guard_without_limits_is_warned_of() -> None:
    spec = PLAIN.replace(guard={"window": 16})
    with pytest.warns(
        LearningWarning, match=r"^guard = {'window': 16}: has no limit, .* set one of error, rails, stag"
    ):
        connect(spec).close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connect(spec.replace(guard={"window": 16, "rails": 3})).close()
