"""Builds: what makes a bitstream of a component, and the report on it.

The flow is synthesise, place the multipliers if they are many, place and route the rest, pack, read the report. Every
build is cached under a hash of all that goes into it; a build that is asked for again costs nothing.

What the report says of timing is what the tools have checked. Where they check nothing, because nextpnr takes
a multiplier for registered that is not, or because it does not look inside one that is, the report says so:
``fmax_kind`` is ``measured``, ``derated`` (a lower bound) or ``unverified``.
"""

from ..errors import BuildError
from ..fabric.device import Device
from .bitstream import build_board
from .design_builds import build_baseline, build_exercise, build_learner, build_network, build_self_check
from .optimise import Optimum, optimise_network
from .out_of_context import build_core
from .programming import Programming, plan_programming
from .report import Report, TimingError

__all__ = [
    "BuildError",
    "Device",
    "Optimum",
    "Programming",
    "Report",
    "TimingError",
    "build_baseline",
    "build_board",
    "build_core",
    "build_exercise",
    "build_learner",
    "build_network",
    "build_self_check",
    "optimise_network",
    "plan_programming",
]
