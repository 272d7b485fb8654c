"""What stands around a learner where it works: components with streams, which compose with it by ``connect()``."""

from ..learner.guard_model import GuardedModel
from ..learner.guard_settings import GuardSettings
from ..learner.rtl.guard import Guard
from .canceller import Canceller
from .feedback_error import FeedbackErrorLearner
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
