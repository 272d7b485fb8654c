"""The lookup network: a frozen KAN for pure inference, every edge a truth table and every node an adder tree.

::

    KANELÉ, efficient-kan, pykan --+--> FloatKAN   real numbers (splines.py)
    plain arrays ------------------+       |  quantise
    KANELÉ's truth tables ---------> LookupNetwork   integers (network.py, quantiser.py): predict, save, load
    (importers.py)                         |
                                           +--> LookupSession   on a backend (session.py)
                                           +--> plan.py         which tables and sums are needed, exactly
                                           +--> pipeline.py     where registers stand
                                           +--> folding.py      or what shares a port of a memory
                                           +--> LookupCore      the hardware (core.py)

The way of a sample through the hardware: quantiser, then for every layer tables (``tables.py``, made of LUTs by
``functions.py``), sums and saturation (``nodes.py``; a folded layer is a ``sweep.py``), then the output stage.
``cells.py`` has what chips are made of.
"""

from .core import LookupCore
from .importers import from_efficient_kan, from_kanele, from_kanele_tables, from_pykan, kanele_floats
from .network import LookupLayer, LookupNetwork
from .quantiser import FixedQuantiser, Quantiser
from .session import LookupSession, connect_network
from .splines import FloatKAN, FloatLayer

__all__ = [
    "FixedQuantiser",
    "FloatKAN",
    "FloatLayer",
    "LookupCore",
    "LookupLayer",
    "LookupNetwork",
    "LookupSession",
    "Quantiser",
    "connect_network",
    "from_efficient_kan",
    "from_kanele",
    "from_kanele_tables",
    "from_pykan",
    "kanele_floats",
]
