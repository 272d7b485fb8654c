"""Between a learner and a lookup network, in both directions.

::

    Session, Model, estimator --> freeze.py --> Frozen: a LookupNetwork, and how far it is from the learner
    FloatKAN, LookupNetwork ----> start.py ---> Start: a LearnerSpec with coefficients, and how far it is from them

Freezing chooses how tables are addressed (``addressing.py``) and takes the exact sums of nodes (``sampled_sums.py``)
for every layer in turn (``network_draft.py``). Starting reads a trained network edge by edge and fits
splines to it (``edge_fit.py``). Both know the positions in a grid (``addressing.py``).
"""

from .addressing import Scaling
from .freeze import Frozen, freeze
from .start import FitError, Start, to_learner

__all__ = ["FitError", "Frozen", "Scaling", "Start", "freeze", "to_learner"]
