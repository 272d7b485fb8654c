"""Every contract that is proved."""

from __future__ import annotations

from proofs import axi_lite, guard, learner, memories, narrowing, queues, serial_port, step_tables, wishbone

CONTRACTS = [
    *narrowing.CONTRACTS,
    *learner.CONTRACTS,
    *guard.CONTRACTS,
    *memories.CONTRACTS,
    *step_tables.CONTRACTS,
    *queues.CONTRACTS,
    *axi_lite.CONTRACTS,
    *wishbone.CONTRACTS,
    *serial_port.CONTRACTS,
]
