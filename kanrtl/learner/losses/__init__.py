"""What a learner minimises: one module a loss, whose name is the loss's. To add a loss is to add a file here.

A module has a :class:`~kanrtl.learner.loss.Loss` called ``LOSS``, which gives everything that is particular to it;
nothing else has to know of it.
"""

from importlib import import_module

from ...discovery import modules_of
from ..loss import Loss

__all__ = ["LOSSES", "explain_target_range", "find_loss"]

LOSSES = modules_of(__path__, first=("squared", "logistic", "external"))
"""The names of all losses: those of kanrtl, then those that were added."""


def find_loss(name: str) -> Loss:
    """The loss of that name, one of :data:`LOSSES`."""
    loss = import_module(f"{__name__}.{name}").LOSS
    assert isinstance(loss, Loss)
    return loss


def explain_target_range(name: str) -> str:
    """What to say of a target that is out of the range of the loss of that name: the range, and the mend."""
    loss = find_loss(name)
    lowest, highest = loss.target_range
    if loss.binary_targets:
        return f'loss = "{name}" takes {lowest:g} and {highest:g}; give classes so, or probabilities between'
    return f'loss = "{name}" takes {lowest:g} to {highest:g}; give targets so'
