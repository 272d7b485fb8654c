"""Guards: each fault that they see, on a plant that provokes it; false alarms on plants that are healthy; and what
becomes of a coefficient of which a bit flips.

In a loop every period of a plant is two samples of the learner: it predicts, and then learns the sample before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, Session, connect
from kanrtl.arrays import Reals
from kanrtl.sessions.backend import AddressedLearner
from kanrtl.sessions.guarded_backend import GuardedBackend
from kanrtl.sim import PLANTS
from kanrtl.sim.plant import ChipTiming, Plant, run_loop

from .row import Family, Progress, Result, Row

__all__ = ["FAMILY", "FAULTS", "BitFlips", "Fault", "FaultRow", "HealthyRow"]

CHIP = ChipTiming(50e-9, 1, 1)
"""About what a learner whose step takes one clock cycle has on an ECP5."""

SAMPLES = 12_000
BROKEN_AT = 3000
"""The sample at which a teacher breaks: before the plant itself changes, at half of the run."""

WINDOWS = {"window": 256, "copy_every": 8}
GUARD: dict[str, Any] = {**WINDOWS, "error": 0.5, "rails": 64, "imprecise": 48}
"""What guards look at where nothing else is said: errors are between -2 and 2."""

END = 1.99
"""The end of what a target may be."""

BOUND = 2.0
"""The loop works while its error is below so many times what it was before the fault."""


def _plant_spec(kind: type[Plant], **fields: Any) -> LearnerSpec:
    """A learner for a plant, whose step takes one clock cycle."""
    sizes = {"layer_sizes": [kind.n_in, kind.n_out], "grid_range": (-1, 1), "target_range": (-1, 1)}
    return LearnerSpec(**{**sizes, "learning_rate": 0.25, "pipeline": "no_registers", "counts": ["lost"], **fields})


Lesson = Callable[[Plant, Reals, Reals], tuple[Reals, Reals]]


@dataclass(frozen=True)
class Fault:
    """A fault, and what provokes it.

    Attributes
    ----------
    signature, plant, about
        What the guard is to see, on which plant, and what happens to that, in words.
    guard
        What it looks at.
    fields
        Of the learner's spec, besides.
    lesson
        What the teacher says from the fault on, of a sample and its target; None: it is right.
    at, until
        The sample of the fault, and the last of the run.
    annealed
        From which sample on the learning rate is so low that updates round to nothing; None: never. Who sees the pin
        ``fault`` sets it back, and releases.
    silent
        Clock cycles in which no sample comes, at the fault; it needs a backend with a clock.
    """

    signature: str
    plant: str
    about: str
    guard: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)
    lesson: Lesson | None = None
    at: int = BROKEN_AT
    until: int = SAMPLES // 2
    annealed: int | None = None
    silent: int = 0

    @property
    def spec(self) -> LearnerSpec:
        """The learner, with its guard."""
        return _plant_spec(PLANTS[self.plant], **self.fields).replace(guard=self.guard)


def _stick(_plant: Plant, x: Reals, target: Reals) -> tuple[Reals, Reals]:
    """A sensor that is stuck at the end of its range."""
    return x, np.full_like(target, END)


def _jump(plant: Plant, x: Reals, target: Reals) -> tuple[Reals, Reals]:
    """A converter that gives either end of its range."""
    return x, np.where(plant.random.random(target.shape) < 0.5, -END, END)


def _slip(plant: Plant, x: Reals, target: Reals) -> tuple[Reals, Reals]:
    """Words that come with a sample of much later."""
    late = plant.__dict__.setdefault("late", [])
    late.append(target)
    return x, late[max(0, len(late) - 40)]


FAULTS = (
    Fault(
        "divergence",
        "cavity",
        "the sensor that the teacher reads sticks at the end of its range",
        {**WINDOWS, "error": 0.5, "rails": 64},
        fields={"learning_rate": 1 / 16},
        lesson=_stick,
    ),
    Fault(
        "stagnation",
        "cavity",
        "the tuner moves while the learning rate is so low that every update rounds to nothing",
        {**WINDOWS, "stagnant_error": 0.1, "stagnant_lost": 96},
        fields={"update_rounding": "half_up", "coefficient_format": "SQ(2, 12)"},
        at=SAMPLES // 2,
        until=3 * SAMPLES // 4,
        annealed=SAMPLES // 3,
    ),
    Fault(
        "precision",
        "channel",
        "a converter of the teacher gives either end of its range, and gradients saturate",
        {**WINDOWS, "imprecise": 48},
        fields={"gradient_format": "SQ(1, 12)"},
        lesson=_jump,
    ),
    Fault(
        "deadline",
        "channel",
        "samples stop for 200 cycles, and from then on the teacher's words belong to others",
        {**WINDOWS, "slot": 64},
        lesson=_slip,
        silent=200,
    ),
)


class Watched:
    """A session in a loop, and what its guard does there: samples are counted in periods of the plant."""

    def __init__(self, session: Session, fault: Fault, plant: Plant) -> None:
        self._session, self._fault, self._plant = session, fault, plant
        self.seen: int | None = None
        self.restored: int | None = None
        self._rate = session.learning_rate

    def predict(self, x: Any) -> Reals:
        """The session's; at the fault of a deadline it comes late."""
        fault, now = self._fault, self._plant.now
        if fault.annealed == now:
            self._session.learning_rate = 2.0**-12
        backend = self._session.backend
        if fault.silent and fault.at == now and isinstance(backend, AddressedLearner):
            # The bus is asked for something else meanwhile.
            before = backend.cycles or 0
            while (backend.cycles or 0) < before + fault.silent:
                backend.access([(backend.addresses.control, None)])
            self._look(now)
        return self._session.predict(x)

    def learn(self, x: Any, target: Any) -> Reals:
        """The session's."""
        prediction = self._session.learn(x, target)
        self._look(self._plant.now)
        return prediction

    def _look(self, now: int) -> None:
        """Look at the guard, as who sees its pin."""
        backend = self._session.backend
        if self._session.spec.guard is None or self.restored is not None:
            return
        if isinstance(backend, GuardedBackend):
            assert backend.rules is not None
            fault, restoring = backend.rules.fault, backend.rules.restoring
        elif now < self._fault.at:
            return  # to read its status would take time
        else:
            # What is read is answered when all is restored.
            fault, restoring = backend.read_guard().fault, False
        if fault and self.seen is None:
            self.seen = now
        if fault and not restoring:
            self.restored = now
            if self._fault.annealed is not None:
                self._session.learning_rate = self._rate
                self._session.release()


@dataclass(frozen=True)
class FaultRow(Row):
    """One fault, with a guard and without."""

    fault: Fault

    def measure(self, progress: Progress) -> Result:
        fault, runs = self.fault, {}
        kind = PLANTS[fault.plant]
        seen: Result = {}
        for name, spec in (("guarded", fault.spec), ("alone", fault.spec.replace(guard=None))):
            progress(name)
            plant = kind(SAMPLES, 0)
            _break(plant, fault)
            backend = "native" if fault.silent else "compiled"
            with connect(spec, backend, progress=progress) as session:
                watched = Watched(session, fault, plant)
                runs[name] = run_loop(plant, watched, CHIP, fault.until).errors
                if spec.guard is not None:
                    assert watched.seen is not None, f"{fault.signature} is not seen"
                    assert watched.restored is not None, f"{fault.signature} is not restored"
                    report = session.status["guard"]
                    seen = {
                        "seen": report["seen"] or [fault.signature],
                        "seen_after": watched.seen - fault.at,
                        "restored_after": watched.restored - watched.seen,
                        "counts": report["counts"],
                    }
        errors = {
            "before": _mean_root(runs["guarded"][fault.at - 1000 : fault.at]),
            **{name: _mean_root(errors[-1000:]) for name, errors in runs.items()},
            "worst": float(np.abs(runs["guarded"][fault.at :]).max()),
        }
        return {
            "signature": fault.signature,
            "plant": fault.plant,
            "about": fault.about,
            "unit": kind.unit,
            "guard": fault.guard,
            "backend": backend,
            **seen,
            "errors": errors,
            "bound": BOUND * errors["before"],
            "tools": {"numpy": version("numpy")},
        }


def _break(plant: Plant, fault: Fault) -> None:
    """Let the teacher of a plant break."""
    right, lesson = plant.find_lesson, fault.lesson
    if lesson is None:
        return

    def find_lesson(x: Reals, action: Reals) -> tuple[Reals, Reals]:
        found = right(x, action)
        assert lesson is not None
        return lesson(plant, *found) if plant.now >= fault.at else found

    plant.find_lesson = find_lesson  # type: ignore[method-assign]


def _mean_root(errors: Reals) -> float:
    return float(np.sqrt(np.mean(errors**2)))


@dataclass(frozen=True)
class HealthyRow(Row):
    """A healthy plant, with all that it changes and drifts: a run in a loop, whose lessons are then learned over and
    over.

    Attributes
    ----------
    plant
        Its name.
    in_loop, samples
        Lessons of the run, and of all.
    """

    plant: str
    in_loop: int = 20_000
    samples: int = 10_000_000

    def measure(self, progress: Progress) -> Result:
        kind = PLANTS[self.plant]
        spec = _plant_spec(kind)
        lessons: list[tuple[Reals, Reals]] = []
        plant = kind(self.in_loop, 0)
        right = plant.find_lesson

        def find_lesson(x: Reals, action: Reals) -> tuple[Reals, Reals]:
            lessons.append(right(x, action))
            return lessons[-1]

        plant.find_lesson = find_lesson  # type: ignore[method-assign]
        alarms: dict[str, int] = {}
        learned = 0
        with connect(spec.replace(guard=GUARD), "compiled") as session:
            progress(f"{self.in_loop} samples in the loop")
            run_loop(plant, session, CHIP)
            again = tuple(np.array(part) for part in zip(*lessons, strict=True))
            while True:
                learned += len(lessons)
                report = session.status["guard"]
                if report["fault"]:
                    for signature in report["seen"]:
                        alarms[signature] = alarms.get(signature, 0) + 1
                    session.release()
                if learned >= self.samples:
                    break
                progress(f"{learned:,} of {self.samples:,} samples")
                session.learn_many(*again)
        return {
            "plant": self.plant,
            "guard": GUARD,
            "in_loop": self.in_loop,
            "samples": learned,
            "alarms": alarms,
            "tools": {"numpy": version("numpy")},
        }


FLIPS = 10_000
SPANS = (0, 16, 64, 256, 1024)
"""Samples after a flip between which errors are told."""


@dataclass(frozen=True)
class BitFlips(Row):
    """A bit of a coefficient flips, any bit of any coefficient, in a learner that has learned a curve and goes on; with
    a guard, which is not released before the next, and without.

    Attributes
    ----------
    rate
        The learning rate.
    """

    rate: float
    trials: int = FLIPS

    def measure(self, progress: Progress) -> Result:
        guard = {"window": 64, "copy_every": 64, "error": 0.1}
        spec = LearnerSpec(
            layer_sizes=[1, 1], grid_range=(-1, 1), grid_size=8, target_range=(-1, 1), learning_rate=self.rate
        )
        found: Result = {}
        for name, one in (("alone", spec), ("guarded", spec.replace(guard=guard))):
            progress(f"{self.trials:,} flips, {name}")
            found[name] = self._flip(one, progress)
        return {
            "learning_rate": self.rate,
            "trials": self.trials,
            "guard": guard,
            "spans": [list(span) for span in pairwise(SPANS)],
            **found,
            "tools": {"numpy": version("numpy")},
        }

    def _flip(self, spec: LearnerSpec, progress: Progress) -> Result:
        random, length = np.random.default_rng(0), SPANS[-1]
        format = spec.layers[0].formats.coefficient

        def lessons(count: int) -> tuple[Reals, Reals]:
            x = random.uniform(-1, 1, (count, 1))
            return x, 0.7 * np.sin(3 * x) + random.normal(0, 0.01, (count, 1))

        errors = np.zeros((self.trials, length))
        seen = 0
        with connect(spec, "compiled") as session:
            backend = session.backend
            assert isinstance(backend, GuardedBackend)
            # What has not learned yet has errors that a limit would take for a fault.
            if spec.guard is not None:
                session.set_limits(error=0)
            session.learn_many(*lessons(30_000))
            if spec.guard is not None:
                session.set_limits(error=spec.guard.error)
            good = session.coefficients
            for trial in range(self.trials):
                session.coefficients = good  # good to the guard too, when it has copied them
                backend.reach()
                index, bit = int(random.integers(good[0].size)), int(random.integers(format.width))
                _upset(backend, index, bit, format.width)
                x, target = lessons(length)
                clean = 0.7 * np.sin(3 * x)
                errors[trial] = (session.learn_many(x, target) - clean)[:, 0]
                if backend.rules is not None and backend.rules.fault:
                    seen += 1
                    session.release()
                if trial % 1000 == 999:
                    progress(f"{trial + 1:,} of {self.trials:,} flips")
        squares = errors**2
        settled = float(np.sqrt(np.median(squares[:, -256:].mean(axis=1))))
        means = [float(np.sqrt(squares[:, a:b].mean())) for a, b in pairwise(SPANS)]
        return {"errors": means, "settled": settled, "seen": seen}


def _upset(backend: GuardedBackend, index: int, bit: int, width: int) -> None:
    """Flip a bit of a coefficient, behind the back of whoever guards it."""
    array = backend.stored_coefficients()[0].reshape(-1)
    code = (int(array[index]) & ((1 << width) - 1)) ^ (1 << bit)
    array[index] = code - (1 << width) if code >> (width - 1) else code


FAMILY = Family(
    "guards",
    "guards that watch learners",
    (
        *(FaultRow(f"guard-{fault.signature}", f"{fault.signature}, {fault.plant}", fault) for fault in FAULTS),
        *(HealthyRow(f"guard-healthy-{name}", f"{name}, healthy", name) for name in sorted(PLANTS)),
        BitFlips("guard-flips", "bits of coefficients that flip, rate 1/8", 1 / 8),
        BitFlips("guard-flips-slow", "bits of coefficients that flip, rate 1/128", 1 / 128),
    ),
)
