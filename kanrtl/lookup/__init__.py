"""The lookup network: a frozen KAN for pure inference, every edge a truth table and every node an adder tree.

::

    importers   KANELÉ, efficient-kan, pykan --+--> FloatKAN   real numbers (splines.py)
                plain arrays ------------------+       |  quantise
                KANELÉ's truth tables ------------> LookupNetwork   integers (network.py): predict, save, load
                                                       |
                plan (plan.py), registers (pipeline.py) +--> LookupCore   one sample a clock (core.py)
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
