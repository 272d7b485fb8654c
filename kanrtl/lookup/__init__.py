"""The lookup network: a frozen KAN for pure inference, every edge a truth table and every node an adder tree.

::

    KANELÉ, efficient-kan, pykan --+--> FloatKAN   real numbers (splines.py): calibrate, prune, search
    plain arrays, train() ---------+       |  quantise
    KANELÉ's truth tables ---------> LookupNetwork   integers (network.py, quantiser.py): predict, save, load
    (importers.py; files: convert.py,      |
     saved.py)                             |
                                           +--> LookupSession   on a backend (session.py, backends.py, simulate.py)
                                           +--> plan.py         which tables and sums are needed, exactly
                                           +--> pipeline.py     where registers stand
                                           +--> folding.py      or what shares a port of a memory
                                           +--> LookupCore      the hardware (core.py; checks itself: self_check.py)

Between a network and a learner, in both directions::

    Session, Model, estimator --> freeze.py --> Frozen: a LookupNetwork, and how far it is from the learner
    FloatKAN, LookupNetwork ----> start.py ---> Start: a LearnerSpec with coefficients, and how far it is from them

The way of a sample through the hardware: quantiser, then for every layer tables (``tables.py``, made of LUTs by
``functions.py``), sums and saturation (``nodes.py``; a folded layer is a ``sweep.py``), then the output stage.
``cells.py`` has what chips are made of.
"""

from .calibration import Calibration, calibrate
from .core import LookupCore
from .freeze import Frozen, Scaling, freeze
from .importers import from_efficient_kan, from_kanele, from_kanele_tables, from_pykan, kanele_floats
from .network import LookupLayer, LookupNetwork
from .pruning import edge_effects, prune
from .quantiser import FixedQuantiser, Quantiser
from .scales import CodeScale
from .searching import Search, search
from .session import LookupSession, connect_network
from .size import Size, network_size
from .splines import FloatKAN, FloatLayer
from .start import FitError, Start, to_learner
from .training import Penalty, Trained, initial_kan, train

__all__ = [
    "Calibration",
    "CodeScale",
    "FitError",
    "FixedQuantiser",
    "FloatKAN",
    "FloatLayer",
    "Frozen",
    "LookupCore",
    "LookupLayer",
    "LookupNetwork",
    "LookupSession",
    "Penalty",
    "Quantiser",
    "Scaling",
    "Search",
    "Size",
    "Start",
    "Trained",
    "calibrate",
    "connect_network",
    "edge_effects",
    "freeze",
    "from_efficient_kan",
    "from_kanele",
    "from_kanele_tables",
    "from_pykan",
    "initial_kan",
    "kanele_floats",
    "network_size",
    "prune",
    "search",
    "to_learner",
    "train",
]
