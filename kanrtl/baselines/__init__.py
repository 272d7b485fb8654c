"""What one would use instead of a Kolmogorov-Arnold network, in the same flow: filters that learn by LMS, and a
small perceptron.

A spec says what to build: :class:`LmsSpec`, which is NLMS or a polynomial LMS, or :class:`MlpSpec`.
:func:`create_model` gives its integer model, :func:`create_learner` the hardware, with the streams of a
:class:`kanrtl.Learner`, :func:`estimate_baseline` what that takes of a device.
:func:`kanrtl.sessions.baseline_session.connect_baseline` runs either, and :func:`kanrtl.build.build_baseline` places
and routes it.
"""

from .baseline_spec import BaselineSpec
from .kinds import baseline_from_dict, create_learner, create_model, estimate_baseline
from .lms_spec import LmsSpec
from .mlp_spec import MlpSpec

__all__ = [
    "BaselineSpec",
    "LmsSpec",
    "MlpSpec",
    "baseline_from_dict",
    "create_learner",
    "create_model",
    "estimate_baseline",
]
