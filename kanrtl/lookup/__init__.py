"""The lookup network: a frozen KAN for pure inference, every edge a truth table and every node an adder tree.

::

    KANELÉ, efficient-kan, pykan --+--> FloatKAN   real numbers (splines.py): calibrate, prune, search
    plain arrays, train() ---------+       |  quantise
    KANELÉ's truth tables ---------> LookupNetwork   integers (network.py, quantiser.py): predict, save, load
    (importers.py)                         |
                                           +--> LookupSession   on a backend (session.py)
                                           +--> plan.py         which tables and sums are needed, exactly
                                           +--> pipeline.py     where registers stand
                                           +--> LookupCore      the hardware (core.py)

The way of a sample through the hardware: quantiser, then for every layer tables (``tables.py``, made of LUTs by
``functions.py``), sums and saturation (``nodes.py``), then the output stage.
"""

from .calibration import Calibration, calibrate
from .core import LookupCore
from .importers import from_efficient_kan, from_kanele, from_kanele_tables, from_pykan, kanele_floats
from .network import LookupLayer, LookupNetwork
from .pruning import edge_effects, prune
from .quantiser import FixedQuantiser, Quantiser
from .scales import CodeScale
from .searching import Search, search
from .session import LookupSession, connect_network
from .size import Size, network_size
from .splines import FloatKAN, FloatLayer
from .training import Penalty, Trained, initial_kan, train

__all__ = [
    "Calibration",
    "CodeScale",
    "FixedQuantiser",
    "FloatKAN",
    "FloatLayer",
    "LookupCore",
    "LookupLayer",
    "LookupNetwork",
    "LookupSession",
    "Penalty",
    "Quantiser",
    "Search",
    "Size",
    "Trained",
    "calibrate",
    "connect_network",
    "edge_effects",
    "from_efficient_kan",
    "from_kanele",
    "from_kanele_tables",
    "from_pykan",
    "initial_kan",
    "kanele_floats",
    "network_size",
    "prune",
    "search",
    "train",
]
