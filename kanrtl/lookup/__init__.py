"""The lookup network: a frozen KAN for pure inference, every edge a truth table and every node an adder tree.

::

    KANELÉ, efficient-kan, pykan --+--> FloatKAN   real numbers (floats/): calibrate, prune, search
    plain arrays, train() ---------+       |  quantise
    KANELÉ's truth tables ---------> LookupNetwork   integers (network.py, quantiser.py): predict, save, load
                                           |
                                           +--> rtl/network_plan.py  which tables and sums are needed, exactly
                                           +--> rtl/pipeline.py      where registers stand
                                           +--> rtl/folding.py       or what shares a port of a memory
                                           +--> LookupCore           the hardware (rtl/lookup_core.py)

The path of a sample through the hardware: quantiser, then for every layer tables (``tables.py``, made of LUTs by
``minimise.py``), sums and saturation (``nodes.py``; in a folded layer ``folded_lanes.py``), then the output stage.

:mod:`kanrtl.transfer` leads from a learner to a network and back. Its names, and those of the sessions of a network,
can be imported from here too, as they could before they moved.
"""

from .floats.additive_importers import from_additive
from .floats.basis_kans import from_cheby_kan, from_fast_kan, from_fourier_kan
from .floats.calibration import Calibration, calibrate
from .floats.dense_importers import from_mlp
from .floats.edge_functions import NamedFunctions, PythonFunctions
from .floats.float_kan import FloatKAN
from .floats.float_layer import FloatLayer
from .floats.float_network import FloatNetwork
from .floats.importers import from_efficient_kan, from_kanele, from_kanele_tables, kanele_floats
from .floats.pruning import edge_effects, prune
from .floats.pykan import from_pykan
from .floats.sampled_functions import SampledFunctions, Splines
from .floats.search import Search, search
from .floats.training import Trained, initial_kan, train
from .floats.training_losses import Penalty
from .lookup_layer import LookupLayer
from .network import LookupNetwork
from .quantiser import FixedQuantiser, Quantiser
from .rtl.lookup_core import LookupCore
from .rtl.size import Size, network_size
from .scales import CodeScale

__all__ = [
    "Calibration",
    "CodeScale",
    "FixedQuantiser",
    "FloatKAN",
    "FloatLayer",
    "FloatNetwork",
    "LookupCore",
    "LookupLayer",
    "LookupNetwork",
    "NamedFunctions",
    "Penalty",
    "PythonFunctions",
    "Quantiser",
    "SampledFunctions",
    "Search",
    "Size",
    "Splines",
    "Trained",
    "calibrate",
    "edge_effects",
    "from_additive",
    "from_cheby_kan",
    "from_efficient_kan",
    "from_fast_kan",
    "from_fourier_kan",
    "from_kanele",
    "from_kanele_tables",
    "from_mlp",
    "from_pykan",
    "initial_kan",
    "kanele_floats",
    "network_size",
    "prune",
    "search",
    "train",
]
