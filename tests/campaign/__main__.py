"""``python -m tests.campaign --minutes N``: random learners and networks with hard settings, for as long as one likes.

Each is compared with the model on native, some on pysim too; ``--netlists`` and ``--bitstreams`` verify what tools make
of them instead. A failure is shrunk by hypothesis, printed as a spec file and a stimulus, and kept in ``kept/``, which
the tests replay. What was compared is added to the ledger.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# The tests' own modules are named as pytest names them.
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402

from campaign.batches import Check, Outcome, run_alone, run_batch  # noqa: E402
from campaign.cases import Case, LearnerCase, describe, identify  # noqa: E402
from campaign.drawing import learner_cases, network_cases, serial_cases  # noqa: E402
from campaign.kills import WORKS, kill_at_random  # noqa: E402
from campaign.ledger import LEDGER, merge, record  # noqa: E402
from campaign.readers import READERS, fuzz_readers  # noqa: E402
from kanrtl.fabric.device import Device  # noqa: E402
from support.quick_compiler import precompile_headers  # noqa: E402

DEVICES = ("LFE5U-85F", "iCE40UP5K")
BATCH = 60
"""Cases that are compiled together: what they have in common is compiled once."""

Draw = tuple[Any, list[Check]]
"""A strategy, and what is done with each case of a batch."""


class Campaign:
    """Batches of cases one after another, until the time is over.

    Each batch is drawn from the seed and its own number, compiled at once and run in a process of its own. Cases that
    the run has met before are left out.
    """

    def __init__(self, minutes: float, seed: int, choose: Callable[[int], Draw]) -> None:
        self.until = time.monotonic() + 60 * minutes
        self.seed, self.choose = seed, choose
        self.counts: Counter[str] = Counter()
        self.failures = 0
        self._met: set[str] = set()

    def run(self, after: Callable[[], None]) -> None:
        while time.monotonic() < self.until:
            strategy, checks = self.choose(self.counts["batches"])
            self.run_batch(strategy, checks, self.seed * 1_000_000 + self.counts["batches"])
            self.counts["batches"] += 1
            print(json.dumps({"seed": self.seed, **self.figures()}), flush=True)
            after()

    def run_batch(self, strategy: Any, checks: list[Check], number: int) -> None:
        cases = [case for case in draw_cases(strategy, number, len(checks)) if identify(case) not in self._met]
        self._met |= {identify(case) for case in cases}
        checks = [check.suit(case) for check, case in zip(checks, cases, strict=False)]
        outcomes = run_batch(cases, checks)
        known: dict[str, Outcome] = {}
        for case, check, outcome in zip(cases, checks, outcomes, strict=True):
            # What ended a whole batch shows alone.
            alone = outcome if outcome is not None else run_alone(case, check)
            known[identify(case)] = alone
            self._count(case, check, alone)
        wrong = [(case, check) for case, check in zip(cases, checks, strict=True) if known[identify(case)].fault]
        for case, check in wrong[:1]:  # the others are likely to be the same fault
            self._keep(
                *self._shrink(strategy, number, len(checks), check, known) or (case, known[identify(case)].fault)
            )

    def figures(self) -> dict[str, Any]:
        """What was done so far."""
        return {**dict(sorted(self.counts.items())), "mismatches": self.failures}

    def _count(self, case: Case, check: Check, outcome: Outcome) -> None:
        kind = "learners" if isinstance(case, LearnerCase) else "networks"
        if outcome.refused:
            self.counts[f"{kind} refused"] += 1
            return
        if check.device is not None:
            self.counts[f"netlists {Device.parse(check.device).family}"] += 1
        elif check.board is not None:
            self.counts["bitstreams"] += 1
        else:
            self.counts[kind] += 1
            self.counts[f"{kind} pysim"] += "pysim" in check.backends
        self.failures += outcome.fault is not None

    def _shrink(
        self, strategy: Any, number: int, count: int, check: Check, known: dict[str, Outcome]
    ) -> tuple[Case, str] | None:
        """The least case that hypothesis makes of the first fault of a batch, which is drawn again; None where it does
        not come up again."""
        failed: list[tuple[Case, str]] = []

        def compare(case: Case) -> None:
            outcome = known.get(identify(case)) or run_alone(case, check)
            known[identify(case)] = outcome
            if outcome.fault is not None:
                failed.append((case, outcome.fault))
                raise AssertionError(outcome.fault)

        try:
            _search(strategy, number, count, compare, [Phase.generate, Phase.shrink])
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or not failed:
                raise
        return failed[-1] if failed else None

    def _keep(self, case: Case, fault: str | None) -> None:
        path = HERE / "kept" / f"{identify(case)}.json"
        path.write_text(f"{json.dumps(case.to_json())}\n")
        print(f"{fault}\n{describe(case)}kept as {path}", flush=True)


def draw_cases(strategy: Any, number: int, count: int) -> list[Case]:
    """Different cases, ``count`` at most, which follow from the number alone."""
    found: dict[str, Case] = {}

    def note(case: Case) -> None:
        found.setdefault(identify(case), case)

    _search(strategy, number, count, note, [Phase.generate])
    return list(found.values())[-count:]


def _search(strategy: Any, number: int, count: int, call: Callable[[Case], None], phases: list[Phase]) -> None:
    health = list(HealthCheck)
    # The first example of each batch is the simplest that there is, the same in all.
    chosen = settings(max_examples=count + 1, deadline=None, database=None, suppress_health_check=health, phases=phases)

    @chosen
    @seed(number)
    @given(strategy)
    def search(case: Case) -> None:
        call(case)

    search()


def choose_random(pysim: int) -> Callable[[int], Draw]:
    """Learners, and in one of four batches networks; of each batch one in ``pysim`` on pysim too."""

    def choose(batch: int) -> Draw:
        also = [bool(pysim) and number % pysim == pysim - 1 for number in range(BATCH)]
        checks = [Check(("native", "pysim"), brief=True) if slow else Check(("native",)) for slow in also]
        return learner_cases() if batch % 4 else network_cases(), checks

    return choose


def choose_netlists(devices: Sequence[str]) -> Callable[[int], Draw]:
    """Learners and networks in turn, four at a time, for one device after another."""

    def choose(batch: int) -> Draw:
        checks = [Check(device=devices[batch // 2 % len(devices)])] * 4
        return network_cases() if batch % 2 else learner_cases(), checks

    return choose


def choose_bitstreams(_batch: int) -> Draw:
    return serial_cases(), [Check(board="icebreaker")]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn follows from it (1)")
    parser.add_argument("--pysim", type=int, default=10, metavar="N", help="one of N on pysim too (10; 0: none)")
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS), help="what --kills ends (all)")
    parser.add_argument("--ledger", type=Path, default=LEDGER, help="where what was done is added up")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument(
        "--netlists", nargs="*", choices=DEVICES, metavar="DEVICE", help="verify netlists instead, for these devices"
    )
    kinds.add_argument("--bitstreams", action="store_true", help="verify bitstreams instead")
    kinds.add_argument(
        "--readers", nargs="*", choices=list(READERS), metavar="KIND", help="fuzz readers of files instead"
    )
    kinds.add_argument("--kills", type=int, metavar="N", help="end works at N random moments instead")
    kinds.add_argument("--merge", type=Path, metavar="FILE", help="add the runs of another ledger, and nothing else")
    chosen = parser.parse_args()
    if chosen.merge is not None:
        merge(chosen.ledger, chosen.merge)
        return 0
    began = time.monotonic()
    if chosen.readers is not None:
        figures = fuzz_readers(chosen.readers or list(READERS), chosen.minutes, chosen.seed)
        record(chosen.ledger, "readers", chosen.seed, time.monotonic() - began, figures)
        return int(figures["failures"] > 0)
    if chosen.kills is not None:
        with tempfile.TemporaryDirectory(prefix="kanrtl-kills-") as folder:
            figures = kill_at_random(chosen.works, chosen.kills, chosen.seed, Path(folder), print)
        record(chosen.ledger, "kills", chosen.seed, time.monotonic() - began, figures)
        return int(figures["failures"] > 0)
    kind = "random" if chosen.netlists is None else "netlists"
    choose = choose_random(chosen.pysim) if chosen.netlists is None else choose_netlists(chosen.netlists or DEVICES)
    if chosen.bitstreams:
        kind, choose = "bitstreams", choose_bitstreams
    campaign = Campaign(chosen.minutes, chosen.seed, choose)
    # What is drawn follows from them too.
    about = {"devices": chosen.netlists} if chosen.netlists else {}

    def note() -> None:
        record(chosen.ledger, kind, chosen.seed, time.monotonic() - began, about | campaign.figures())

    with tempfile.TemporaryDirectory(prefix="kanrtl-campaign-") as folder:
        os.environ.setdefault("CXXFLAGS", shlex.join(precompile_headers(Path(folder))))
        campaign.run(note)
    return int(campaign.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
