"""Every contract that is proved."""

from __future__ import annotations

from proofs import (
    axi_lite,
    guard,
    learner,
    memories,
    narrowing,
    number_registers,
    queues,
    serial_port,
    step_tables,
    wishbone,
)

CONTRACTS = [
    *narrowing.CONTRACTS,
    *learner.CONTRACTS,
    *guard.CONTRACTS,
    *memories.CONTRACTS,
    *step_tables.CONTRACTS,
    *queues.CONTRACTS,
    *number_registers.CONTRACTS,
    *axi_lite.CONTRACTS,
    *wishbone.CONTRACTS,
    *serial_port.CONTRACTS,
]
