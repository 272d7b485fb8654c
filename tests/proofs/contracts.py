"""Every contract that is proved."""

from __future__ import annotations

from proofs import axi_lite, learner, memories, narrowing, queues, step_tables

CONTRACTS = [
    *narrowing.CONTRACTS,
    *learner.CONTRACTS,
    *memories.CONTRACTS,
    *step_tables.CONTRACTS,
    *queues.CONTRACTS,
    *axi_lite.CONTRACTS,
]
