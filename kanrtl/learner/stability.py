"""Up to which rates a learner is stable, where updates are seen late.

The last layer is linear in its coefficients c: with the values b of the bases at a sample, and x of linear paths,
y = b'c, and a gradient is h (y - y*) with the curvature h of the loss, at most :attr:`.Loss.curvature`. An update is
seen d samples later (:attr:`kanrtl.LearnerSpec.delays`; 1 is exact SGD)::

    c[n] = c[n-1] - r h b[n-d] (y[n-d] - y*[n-d]),    gain p = r h |b|^2, at most

**Inputs at rest.** Where all samples are the same, errors e = y - y* obey e[n] = e[n-1] - p e[n-d]. Solutions are sums
of z^n with z^(d-1) (z - 1) = -p. As p grows from zero, the first of these to reach the unit circle, z = exp(i a), has
2 sin(a/2) = p and (d - 1) a + a/2 = pi/2. So errors die out if and only if p < 2 sin(pi / (2 (2d - 1))) (S. A. Levin
and R. M. May, "A note on difference-delay equations", Theoretical Population Biology 9, 1976; for filters G. Long,
F. Ling and J. G. Proakis, "The LMS algorithm with delayed coefficient adaptation", IEEE Transactions on Acoustics,
Speech, and Signal Processing 37, 1989, where p is the rate times the largest eigenvalue of the inputs' correlation,
for means).

**Any inputs.** Between y[n-d] and the arrival of its update, c is changed by d - 1 others. With C = c - c* for targets
that the layer can reach, |C[n]|^2 - |C[n-1]|^2 = -2 r e[n-d] b[n-d]'C[n-1] + r^2 |b[n-d]|^2 e[n-d]^2, and b[n-d]'C[n-1]
is e[n-d] less d - 1 terms of at most r |b|^2 e. As 2 |e e'| <= e^2 + e'^2, the sum over all samples is at most that of
e^2 (-2 r + r^2 |b|^2 (2d - 1)): whatever comes, errors die out where p < 2 / (2d - 1). That is at least 2/pi of the
bound above, and the same where d = 1. Between the two there are sequences of inputs at which errors grow.

Of hidden layers nothing is known beforehand: their gain has the slopes of the layers behind them as factors. Where
samples come with pauses, updates are seen fewer samples later, and all is more stable.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, pi, sin
from typing import Self

import numpy as np

from ..errors import StabilityWarning, warn_user
from .arithmetic import LayerArithmetic
from .loss import Loss


@dataclass(frozen=True)
class Stability:
    """The gain of a step of the last layer, and the gains below which errors die out.

    Of inputs that multiply curves (``modulated``) the gain is that of numbers up to 1: it grows with their square. Of
    inputs beyond the grid, linear paths have more than is said here.

    Attributes
    ----------
    learning_rate
        The rate of which it is.
    linear_rate
        That of linear paths; 0 without.
    delay
        How many samples later an update is seen.
    known
        Whether the curvature of the loss is known; else, where the teacher sends gradients, all is for one of 1.
    gain
        What part of its error a step takes from a sample, at most.
    any_inputs
        Up to here, whatever the inputs.
    at_rest
        Below this, where inputs stand still; at more they diverge.
    modulated
        Whether inputs multiply curves.
    """

    learning_rate: float
    linear_rate: float
    delay: int
    known: bool
    gain: float
    any_inputs: float
    at_rest: float
    modulated: bool

    @classmethod
    def of(
        cls,
        layer: LayerArithmetic,
        loss: Loss,
        delay: int,
        learning_rate: float | None = None,
        linear_rate: float | None = None,
    ) -> Self:
        """That of the last ``layer``, whose updates are seen ``delay`` samples later; rates are those of the layer
        where they are not given."""
        rate = layer.learning_rate if learning_rate is None else learning_rate
        bases = layer.formats.basis.to_float(layer.basis_table)
        gain = rate * float(np.max(np.sum(bases**2, axis=1)))
        linear = 0.0
        if layer.linear:
            reach = max(abs(layer.grid_min), abs(layer.grid_max)) * 2.0**layer.linear.input_shift
            linear = layer.linear.linear_rate if linear_rate is None else linear_rate
            gain += linear * reach**2
        periods = 2 * delay - 1
        gain *= loss.curvature * layer.n_in
        any_inputs, at_rest = 2 / periods, 2 * sin(pi / (2 * periods))
        return cls(
            rate, linear, delay, not loss.takes_gradients, gain, any_inputs, at_rest, modulated=layer.modulation > 0
        )

    @property
    def stable_learning_rate(self) -> float:
        """Up to this rate errors die out whatever the inputs, if the rate of linear paths is changed with it."""
        return self.learning_rate * self.any_inputs / self.gain if self.gain else inf

    @property
    def stable_linear_rate(self) -> float:
        """The same of the rate of linear paths, if the learning rate is changed with it."""
        return self.linear_rate * self.any_inputs / self.gain if self.gain else inf

    @property
    def critical_learning_rate(self) -> float:
        """From this rate on errors grow where inputs stand still, likewise."""
        return self.learning_rate * self.at_rest / self.gain if self.gain else inf

    @property
    def is_certain(self) -> bool:
        """Whether errors die out whatever the inputs; also where the curvature of the loss is not known."""
        return not self.known or self.gain <= self.any_inputs

    def warn(self) -> None:
        """Warn (:exc:`StabilityWarning`) where errors may grow, if the curvature of the loss is known."""
        if self.is_certain:
            return
        what = "diverges where inputs stand still" if self.gain >= self.at_rest else "diverges with some inputs"
        late = self.delay > 1
        seen = f", as updates are seen {self.delay} samples later" if late else ""
        rates = {
            "learning_rate": (self.learning_rate, self.stable_learning_rate),
            "linear_rate": (self.linear_rate, self.stable_linear_rate),
        }
        at_work = {field: values for field, values in rates.items() if values[0]}
        names = " and ".join(f"{field} = {rate:.6g}" for field, (rate, _) in at_work.items())
        stable = " and ".join(f"{bound:.3g}" for _, bound in at_work.values())
        mend = "lower ones" if len(at_work) > 1 else "a lower one"
        registers = ", or fewer registers" if late else ""
        factors = " and multiply curves by one" if self.modulated else ""
        warn_user(
            f"{names}: {what}{factors}{seen}; it is stable up to {stable}: give {mend}{registers}",
            StabilityWarning,
        )
