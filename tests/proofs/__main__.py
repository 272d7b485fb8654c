"""``python -m tests.proofs``, or ``make prove``: proves every contract, finds the fault that is put into each, and
prints both as a table."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

# The tests' own modules are named as pytest names them.
sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from kanrtl.errors import ToolError  # noqa: E402
from proofs.contracts import CONTRACTS  # noqa: E402
from proofs.engine import ENGINE, find_fault, prove  # noqa: E402


def main() -> int:
    failed = 0
    print("| contract | promise | engine | reach | proved in s | its fault found in s |\n|---|---|---|---|---|---|")
    for contract in CONTRACTS:
        with tempfile.TemporaryDirectory() as name:
            told = []
            for check in (prove, find_fault):
                try:
                    told.append(f"{check(contract, Path(name)):.1f}")
                except (ToolError, AssertionError) as error:
                    failed += 1
                    told.append(f"FAILED: {error}")
        print(
            f"| {contract.name} | {contract.promise} | {ENGINE} | {contract.reach} | {' | '.join(told)} |", flush=True
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
