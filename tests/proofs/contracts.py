"""Every contract that is proved."""

from __future__ import annotations

from proofs import axi_lite, learner, narrowing

CONTRACTS = [*narrowing.CONTRACTS, *learner.CONTRACTS, *axi_lite.CONTRACTS]
