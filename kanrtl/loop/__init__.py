"""What stands around a learner where it works: components with streams, which compose with it by ``connect()``."""

from .canceller import Canceller
from .feedback_error import FeedbackErrorLearner
from .guard import Guard
from .guard_model import GuardedModel
from .guard_settings import GuardSettings
from .loop_estimate import estimate_loop
from .loop_part import LoopPart
from .pairs import Pairs
from .scale import Scale
from .taps import Taps

__all__ = [
    "Canceller",
    "FeedbackErrorLearner",
    "Guard",
    "GuardSettings",
    "GuardedModel",
    "LoopPart",
    "Pairs",
    "Scale",
    "Taps",
    "estimate_loop",
]
