"""kanrtl: Kolmogorov-Arnold networks that learn in hardware, for small FPGAs and open tools.

::

    LearnerSpec --+--> arithmetic (formats, tables, widths) --+--> model     the contract, in numpy integers
    (spec.py)     |                                           |
                  +--> schedule, sweep (registers, cycles)    +--> rtl/      the same, as Amaranth components
                                                                     |
       connect(spec, backend) --> Session: predict, learn, save      +--> toolchain, build: Verilog, bitstreams
       (session.py, backends/)

    LookupNetwork (lookup/): a frozen KAN of truth tables --> LookupCore, one inference a clock

The way of a sample through the learner (``rtl/learner.py``)::

    forward   samples --> locate --> basis, coefficients --> multiply --> sum --> narrow --> predictions, next layer
    loss      sum - target ------------------------------------------> gradient
    backward  gradient * slope --> downstream -----------------------> gradient of the layer before
    update    learning rate * basis --> step;  coefficients - gradient * step --> coefficients
"""

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from .fixed import SQ, UQ, Format
from .lookup import LookupCore, LookupNetwork
from .model import Model
from .rtl.learner import Learner
from .session import InputError, Session, connect
from .spec import LearnerSpec, SpecError
from .version import __version__

if TYPE_CHECKING:
    from .estimators import KANClassifier as KANClassifier
    from .estimators import KANRegressor as KANRegressor
    from .lookup.estimators import LookupClassifier as LookupClassifier
    from .lookup.estimators import LookupRegressor as LookupRegressor

__all__ = [
    "SQ",
    "UQ",
    "Format",
    "InputError",
    "Learner",
    "LearnerSpec",
    "LookupCore",
    "LookupNetwork",
    "Model",
    "Session",
    "SpecError",
    "__version__",
    "connect",
]


_ESTIMATORS = {
    "KANClassifier": ".estimators",
    "KANRegressor": ".estimators",
    "LookupClassifier": ".lookup.estimators",
    "LookupRegressor": ".lookup.estimators",
}


def __getattr__(name: str) -> Any:
    """The estimators, imported only when they are asked for: scikit-learn takes a second, and is an extra."""
    if name not in _ESTIMATORS:
        raise AttributeError(f"module 'kanrtl' has no attribute {name!r}")
    if importlib.util.find_spec("sklearn") is None:
        raise ImportError(f"{name}: scikit-learn is not installed; run `pip install 'kanrtl[sklearn]'`")
    return getattr(importlib.import_module(_ESTIMATORS[name], __name__), name)
