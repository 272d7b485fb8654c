"""What every sequencer looks like from outside, whatever its schedule."""

from __future__ import annotations

from typing import Any

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec import LearnerSpec

__all__ = ["Handshake", "SequencerSignature"]


class Handshake(wiring.Signature):  # type: ignore[misc]
    """The two bits of a stream that tell when something is transferred: at a clock edge at which both are high.

    Members
    -------
    valid : Out(1)
    ready : In(1)
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "ready": In(1)})


class SequencerSignature(wiring.Signature):  # type: ignore[misc]
    """The members of what tells the parts of a learner when to go.

    Members
    -------
    samples : In, Handshake
    learn : In(1)
        Whether the sample that is offered is to be learned.
    freeze : In(1)
        A sample that is taken while this is high is not learned.
    predictions : Out, Handshake
        Where samples stream, ``ready`` is not looked at.
    teaching : In, Handshake
        Only with ``teaching="after_prediction"``.
    requests : In, Handshake
        Of reads and writes from outside.
    responding : In(1)
        An answer waits to be taken: no request is taken.
    busy : In(1)
        Tables are being made: nothing is taken, and what is being served waits.
    take : Out, one bit for every layer
        Its :attr:`~.LayerSignature.take`.
    update : Out, one bit for every layer
        Its :attr:`~.LayerSignature.update`.
    load : Out(1)
        The last layer's outputs are the prediction, which is offered after the clock edge.
    leap : Out(1)
        The noise register goes on at the clock edge.
    updated : Out(1)
        The last coefficient of an update is written at the clock edge.
    serving : Out(1)
        A request is being served.
    second : Out(1)
        That is in its second cycle.
    done : Out(1)
        That ends with this cycle.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        members: dict[str, Any] = {
            "samples": In(Handshake()),
            "learn": In(1),
            "freeze": In(1),
            "predictions": Out(Handshake()),
            "requests": In(Handshake()),
            "responding": In(1),
            "busy": In(1),
            "take": Out(spec.n_layers),
            "update": Out(spec.n_layers),
            "load": Out(1),
            "leap": Out(1),
            "updated": Out(1),
            "serving": Out(1),
            "second": Out(1),
            "done": Out(1),
        }
        if spec.timing.after_prediction:
            members["teaching"] = In(Handshake())
        super().__init__(members)
