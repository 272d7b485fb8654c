"""The tables that pages show, by name."""

from __future__ import annotations

from collections.abc import Callable

from .foreign_tables import compatibility, registers, shells, socs
from .guard_tables import guard_faults, guard_flips, healthy_plants
from .learner_tables import builds, estimates, scale, schedules, summary
from .learning_tables import adapt, calls, errors, estimators, fits, late, precision, rates, simulations
from .link_tables import fuzzed_links, link_rates, links
from .netlist_tables import inverted_bits, netlists
from .network_tables import classify, folding, frozen, imports, lookup, network_estimates, self_checks
from .offered_tables import boards, commands, presets, programming
from .plant_tables import decisions, equal_errors, loops, plants, trackers
from .signal_tables import amplifier, control_tasks, signals
from .trust_tables import campaign

__all__ = ["TABLES"]

TABLES: dict[str, Callable[[], str]] = {
    "presets": presets,
    "summary": summary,
    "boards": boards,
    "programming": programming,
    "errors": errors,
    "builds": builds,
    "schedules": schedules,
    "scale": scale,
    "estimators": estimators,
    "signals": signals,
    "calls": calls,
    "fits": fits,
    "precision": precision,
    "rates": rates,
    "late": late,
    "control": control_tasks,
    "links": links,
    "link_rates": link_rates,
    "fuzzed_links": fuzzed_links,
    "plants": plants,
    "guard_faults": guard_faults,
    "healthy_plants": healthy_plants,
    "guard_flips": guard_flips,
    "trackers": trackers,
    "decisions": decisions,
    "equal_errors": equal_errors,
    "loops": loops,
    "simulations": simulations,
    "estimates": estimates,
    "network-estimates": network_estimates,
    "lookup": lookup,
    "adapt": adapt,
    "amplifier": amplifier,
    "frozen": frozen,
    "self_checks": self_checks,
    "folding": folding,
    "classify": classify,
    "imports": imports,
    "compatibility": compatibility,
    "shells": shells,
    "soc": socs,
    "registers": registers,
    "commands": commands,
    "campaign": campaign,
    "netlists": netlists,
    "inverted_bits": inverted_bits,
}
