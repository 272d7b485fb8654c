"""``python -m tests.campaign --minutes N``: random learners and networks with hard settings, for as long as one likes.

Each is compared with the model on native, some on pysim too, some as netlists. A failure is shrunk by hypothesis,
printed as a spec file and a stimulus, and kept in ``kept/``, which the tests replay.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# The tests' own modules are named as pytest names them.
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parent)]

from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402

from campaign.cases import Case, LearnerCase, describe  # noqa: E402
from campaign.drawing import learner_cases, network_cases  # noqa: E402
from campaign.readers import fuzz_readers  # noqa: E402
from support.quick_compiler import QUICK_FLAGS  # noqa: E402

DEVICES = ("LFE5U-85F", "iCE40HX8K", "iCE40UP5K")
BATCH = 20


class Campaign:
    """Cases one after another, until the time is over."""

    def __init__(self, minutes: float, seed: int, pysim: int, netlists: int) -> None:
        self.until = time.monotonic() + 60 * minutes
        self.seed, self.pysim, self.netlists = seed, pysim, netlists
        self.counts: Counter[str] = Counter()
        self.failures = 0

    def run(self) -> None:
        batch = 0
        while time.monotonic() < self.until:
            self.run_batch(learner_cases() if batch % 4 else network_cases(), self.seed * 1_000_000 + batch)
            batch += 1
            print(json.dumps({"seed": self.seed, "batches": batch, **self.counts}), flush=True)

    def run_batch(self, strategy: Any, number: int) -> None:
        failed: list[tuple[Case, str]] = []

        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        )
        @seed(number)
        @given(strategy)
        def compare(case: Case) -> None:
            if time.monotonic() > self.until and not failed:
                return
            try:
                fault = self.find_fault(case)
            except Exception as error:  # whatever it is, it is not what the model does
                fault = f"{type(error).__name__}: {error}"
            if fault is not None:
                failed.append((case, fault))
                raise AssertionError(fault)

        try:
            compare()
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) or not failed:
                raise
            self.keep(*failed[-1])

    def find_fault(self, case: Case) -> str | None:
        kind = "learners" if isinstance(case, LearnerCase) else "networks"
        self.counts[kind] += 1
        number, backends = self.counts[kind], ["native"]
        if self.pysim and number % self.pysim == 0:
            backends.append("pysim")
            self.counts[f"{kind} on pysim"] += 1
        fault = case.find_fault(backends)
        if fault is None and self.netlists and number % self.netlists == 0:
            device = DEVICES[number // self.netlists % len(DEVICES)]
            self.counts[f"{kind} on {device}"] += 1
            fault = case.find_fault_in_netlist(device)
        return fault

    def keep(self, case: Case, fault: str) -> None:
        self.failures += 1
        content = json.dumps(case.to_json())
        path = HERE / "kept" / f"{hashlib.sha256(content.encode()).hexdigest()[:12]}.json"
        path.write_text(f"{content}\n")
        print(f"{fault}\n{describe(case)}kept as {path}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (10)")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn follows from it (1)")
    parser.add_argument("--pysim", type=int, default=10, metavar="N", help="one of N on pysim too (10; 0: none)")
    parser.add_argument("--netlists", type=int, default=40, metavar="N", help="one of N as a netlist (40; 0: none)")
    parser.add_argument("--readers", action="store_true", help="fuzz the readers of files instead")
    chosen = parser.parse_args()
    # Twice as many cases in the time as with optimised code.
    os.environ.setdefault("CXXFLAGS", " ".join(QUICK_FLAGS))
    if chosen.readers:
        return fuzz_readers(chosen.minutes, chosen.seed)
    campaign = Campaign(chosen.minutes, chosen.seed, chosen.pysim, chosen.netlists)
    campaign.run()
    return int(campaign.failures > 0)


if __name__ == "__main__":
    sys.exit(main())
