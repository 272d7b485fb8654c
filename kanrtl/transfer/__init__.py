"""Between a learner and a lookup network, in both directions.

::

    Session, Model, estimator --> freeze.py --> Frozen: a LookupNetwork, and how far it is from the learner
    FloatKAN, LookupNetwork ----> start.py ---> Start: a LearnerSpec with coefficients, and how far it is from them
"""

from .freeze import Frozen, Scaling, freeze
from .start import FitError, Start, to_learner

__all__ = ["FitError", "Frozen", "Scaling", "Start", "freeze", "to_learner"]
