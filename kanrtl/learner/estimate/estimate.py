"""What a learner will take of a device, before it is synthesised.

Memories, multipliers and cycles follow from the spec: they are what a build gives, no more and no less. For LUTs and
flip-flops the parts of a learner are counted, each beside its component, and what a unit of each costs on a family was
fitted to measured builds: ``python -m bench.fit`` writes that into ``costs.json``, with the error of the fit. For a
family of which nothing has been built it is what its file says (:attr:`kanrtl.fabric.family.Family.costs`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ...fabric.blocks import Blocks
from ...fabric.device import Device
from ...fabric.families import FAMILIES
from ...fabric.parts import Parts
from ...fabric.resource_estimate import ResourceEstimate
from ..losses import find_loss
from ..rtl.folded_layer import count_folded_layer
from ..rtl.layer import count_layer
from ..rtl.learner import count_learner

if TYPE_CHECKING:
    from ..spec import LearnerSpec


@dataclass(frozen=True)
class Estimate(ResourceEstimate):
    """What a learner, alone or with a teacher, takes of a device.

    Attributes
    ----------
    device : str
        The part.
    lut, ff : int
        As in :class:`kanrtl.build.Report`, about.
    dsp, bram, lutram : int
        As there, exactly.
    latency, interval, prediction_latency : int
        Clock cycles, exactly; see :class:`kanrtl.Learner`.
    lut_margin : float
        The largest error of ``lut`` in any build that it was fitted to, each held out from the fit in its turn;
        relative to the build; twice that for an exercise.
    capacity : dict
        ``lut``, ``ff``, ``dsp``, ``bram`` of the device.
    """

    device: str
    lut: int
    ff: int
    dsp: int
    bram: int
    lutram: int
    latency: int
    interval: int
    prediction_latency: int
    lut_margin: float
    capacity: Mapping[str, int]

    @property
    def _lut_words(self) -> str:
        return f", {self.lutram} as memory" if self.lutram else ""

    @property
    def _cycle_words(self) -> str:
        return f", prediction after {self.prediction_latency}"


UNFITTED_MARGIN = 0.25
"""How far an estimate of LUTs may be off, relative to what is built, for a family whose costs have not been fitted.
With what the parts cost by themselves it is 0.235 at most for the builds of ECP5 and iCE40 that are measured."""


@cache
def _fits() -> dict[str, Any]:
    """Of learners and of baselines, by family: what a unit of each kind of part costs, and the errors of the fit."""
    return json.loads(files(__package__).joinpath("costs.json").read_text())  # type: ignore[no-any-return]


def _costs_of(family: str, kind: str) -> tuple[Mapping[str, Mapping[str, float]], float]:
    """What a unit of each kind of part costs in learners or in baselines, fitted if it has been; and the largest error
    of LUTs."""
    fits = _fits()
    fitted = fits[kind].get(family)
    if fitted is not None:
        return fitted, fitted["errors"]["lut"]["held_out_largest"]
    # What it costs in learners is nearer to what it costs in baselines than what it costs by itself.
    return fits["learners"].get(family, FAMILIES[family].costs), UNFITTED_MARGIN


def estimate(spec: LearnerSpec, device: str | Device) -> Estimate:
    """What ``spec`` takes of ``device``, as it is built for that.

    Raises :exc:`BuildError` for an unknown device, :exc:`SpecError` for what it cannot have.
    """
    part = Device.of(device)
    spec = spec.for_device(part)
    return estimate_parts(spec, part, count_parts(spec, FAMILIES[part.family].blocks, multiplies=bool(part.dsp)))


class _Timing(Protocol):
    @property
    def prediction_latency(self) -> int: ...


class Timed(Protocol):
    """What has cycles, as a :class:`kanrtl.LearnerSpec` has them."""

    @property
    def latency(self) -> int:
        """As :attr:`kanrtl.Learner.latency`."""

    @property
    def interval(self) -> int:
        """As :attr:`kanrtl.Learner.interval`."""

    @property
    def timing(self) -> _Timing:
        """What knows the latency of a prediction."""


def estimate_parts(
    spec: Timed, part: Device, parts: Parts, kind: Literal["learners", "baselines"] = "learners"
) -> Estimate:
    """What ``parts``, among them those of a learner of ``spec``, take of a device; or of a baseline, as synthesis makes
    other LUTs of the same parts there."""
    costs, margin = _costs_of(part.family, kind)
    lutram = 4 * parts.blocks(block=False)
    counted = {what: sum(cost * parts.counts[kind] for kind, cost in costs[what].items()) for what in ("lut", "ff")}
    return Estimate(
        device=part.name,
        lut=round(lutram + counted["lut"]),
        ff=round(counted["ff"]),
        dsp=parts.multipliers,
        bram=parts.blocks(block=True),
        lutram=lutram,
        latency=spec.latency,
        interval=spec.interval,
        prediction_latency=spec.timing.prediction_latency,
        lut_margin=margin,
        capacity={"lut": part.lut, "ff": part.ff, "dsp": part.dsp, "bram": part.bram},
    )


def count_parts(spec: LearnerSpec, fabric: Blocks, *, multiplies: bool, reached: bool = True) -> Parts:
    """Count the parts of a learner.

    ``multiplies``: whether products that are left to synthesis get multipliers; ``reached``: whether anything looks at
    a prediction, or reaches for a coefficient or a register. Synthesis removes what would serve nothing.
    """
    parts = Parts(fabric, multiplies=multiplies)
    for plan in spec.plans:
        parts.counts["layer"] += 1
        predicts = reached or plan.index < spec.n_layers - 1 or find_loss(spec.loss).reads_outputs
        (count_folded_layer if spec.folded else count_layer)(parts, plan, predicts=predicts)
    count_learner(parts, spec, reached=reached)
    return parts
