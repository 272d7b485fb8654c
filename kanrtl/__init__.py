"""kanrtl: Kolmogorov-Arnold networks that learn in hardware, for small FPGAs and open tools.

Storeys, from the top; imports run downward only::

    cli           commands                       estimators    for scikit-learn and river
    experiments   simulations, sweeps            sessions      connect(spec, backend): predict, learn, save
    transfer      learner <--> network           simulators    pysim, native (CXXRTL), waveforms
    build         bitstreams and reports         demos         tops that teach or check themselves
    verilog       Verilog with its comment       link          a learner at the end of a wire
    loop          what stands around a learner   bus           AXI, Wishbone, and maps of registers
    learner       LearnerSpec, its model and     lookup        LookupNetwork, its importers and
                  its hardware (learner/rtl)                   its hardware (lookup/rtl)
    fabric        what chips hold                tools         yosys, nextpnr, ...
    plots         pictures of plain data         numeric       formats, splines, pseudo-random bits

The path of a sample through the learner (``learner/rtl/learner.py``)::

    forward   samples --> locate --> basis, coefficients --> multiply --> sum --> narrow --> predictions, next layer
    loss      sum - target ------------------------------------------> gradient
    backward  gradient * slope --> downstream -----------------------> gradient of the layer before
    update    learning rate * basis --> step;  coefficients - gradient * step --> coefficients
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from .errors import InputError, LearningWarning, LinkError, SpecError, StabilityWarning
from .former_names import keep_former_names
from .learner.rtl.learner import Learner
from .learner.spec import LearnerSpec
from .lookup.network import LookupNetwork
from .lookup.rtl.lookup_core import LookupCore
from .numeric.fixed import SQ, UQ, Format
from .sessions.connect import connect
from .sessions.learner_session import Session
from .sessions.standalone_model import Model
from .version import __version__

if TYPE_CHECKING:
    from .estimators import KANClassifier as KANClassifier
    from .estimators import KANRegressor as KANRegressor
    from .estimators import LookupClassifier as LookupClassifier
    from .estimators import LookupRegressor as LookupRegressor

__all__ = [
    "SQ",
    "UQ",
    "Format",
    "InputError",
    "Learner",
    "LearnerSpec",
    "LearningWarning",
    "LinkError",
    "LookupCore",
    "LookupNetwork",
    "Model",
    "Session",
    "SpecError",
    "StabilityWarning",
    "__version__",
    "connect",
]

_ESTIMATORS = {"KANClassifier", "KANRegressor", "LookupClassifier", "LookupRegressor"}


def __getattr__(name: str) -> Any:
    """The estimators, imported only when they are asked for: scikit-learn takes a second, and is an extra."""
    if name not in _ESTIMATORS:
        raise AttributeError(f"module 'kanrtl' has no attribute {name!r}")
    if importlib.util.find_spec("sklearn") is None:
        raise ImportError(f"{name}: scikit-learn is not installed; run `pip install 'kanrtl[sklearn]'`")
    return getattr(importlib.import_module(".estimators", __name__), name)


keep_former_names()
