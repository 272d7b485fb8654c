"""A part of the contracts is proved in every run, with their faults; `make prove` proves all."""

from __future__ import annotations

from pathlib import Path

import pytest

from proofs.contracts import CONTRACTS
from proofs.engine import Contract, find_fault, prove
from support.tiers import only

QUICK = ("narrow, half_even", "predictions wait", "latency and interval", "AXI4-Lite, offers stay")


def test_contracts_have_names_of_their_own() -> None:
    names = [contract.name for contract in CONTRACTS]
    assert len(set(names)) == len(names)
    assert set(QUICK) <= set(names)


@pytest.mark.parametrize(
    "contract",
    only(lambda one: "AXI" not in one.name, [one for one in CONTRACTS if one.name in QUICK]),
    ids=lambda one: one.name,
)
def test_a_contract_holds_and_its_fault_is_found(contract: Contract, tmp_path: Path) -> None:
    prove(contract, tmp_path)
    find_fault(contract, tmp_path)
