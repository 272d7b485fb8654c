"""A loss that is not one of kanrtl's, as the file that adds it."""

ABSOLUTE = '''
"""The absolute error: its gradient is the sign of the difference."""

import numpy as np
from amaranth.hdl import Cat

from kanrtl.learner.loss import Loss
from kanrtl.numeric.fixed import SQ, FixedValue


class _Absolute(Loss):
    def gradient_format(self, layer):
        return SQ(2, 0)

    def in_integers(self, layers):
        up = [layer.node_sum.f - layer.formats.output.f for layer in layers]
        return lambda value, target: np.where(value >= target << up, 1, -1)

    def in_reals(self, value, target):
        return np.where(value >= target, 1.0, -1.0)

    def in_hardware(self, m, layer, value, target, name):
        return FixedValue(SQ(2, 0), Cat(1, (value - target).raw < 0).as_signed())


LOSS = _Absolute()
'''
