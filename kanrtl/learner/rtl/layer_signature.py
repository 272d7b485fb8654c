"""What every layer looks like from outside, whether it is folded or not."""

from __future__ import annotations

from typing import Any

from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...numeric.fixed import Codes
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ..arithmetic import LayerArithmetic
from ..plan import LayerPlan


class CoefficientAccess(wiring.Signature):  # type: ignore[misc]
    """Reads or writes one coefficient from outside, while no sample is in work.

    Members
    -------
    enable : Out(1), the index replaces the cell of every input, as if it had been located: the window then begins with
        it
    output, input, index : Out, which coefficient: ``index`` in ``[0, bases)``
    write : Out(1), write the window's coefficient at ``index`` at the clock edge
    read_data : In, code of the coefficient; read with the latency of a window
    """

    def __init__(self, layer: LayerArithmetic) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "output": Out(range(layer.n_out)),
                "input": Out(range(layer.n_in)),
                "index": Out(range(layer.bases)),
                "write": Out(1),
                "read_data": In(layer.formats.coefficient),
            }
        )


class LayerSignature(wiring.Signature):  # type: ignore[misc]
    """The members of a layer of any kind, all decided by its plan.

    Members
    -------
    take : In(1)
        A layer that is not folded takes ``x`` at the clock edge, if it is the first and samples do not stream; the
        others need none. A folded layer begins its forward pass in the next cycle, and the first takes ``x`` with it.
    update : In(1)
        Coefficients are updated: at the clock edge, or where samples stream and the stage ``update`` is named, a cycle
        later. A folded layer begins its backward pass in the next cycle.
    x : In
        ``n_in`` activations; with ``located`` exact sums of the layer before, with what that adds to them.
    y : Out
        ``n_out`` activations.
    total : Out
        ``n_out`` exact node sums, with what ``next_located`` adds to them; not with ``forms_error``.
    target : In
        ``n_out`` activations; only with ``forms_error``.
    error : Out
        ``n_out`` gradients, there with ``y``; only with ``forms_error``.
    gradient : In
        dL/dy of ``n_out`` nodes.
    downstream : Out
        dL/dx of ``n_in`` inputs; not in the first layer.
    learning_rate : In
    rate_written : In(1)
        The learning rate changes at the clock edge.
    busy : Out(1)
        Tables are being made for it, and nothing else can be done; always low in a folded layer, which has none.
    noise : In(32)
        State of the noise register, for the sample whose coefficients change; only with stochastic rounding.
    saturated : Out
        One bit for every kind of value that can saturate: whether any does.
    access : In
        :class:`CoefficientAccess`
    access_write : In(1)
        What ``access`` writes is ``access_data``; otherwise both are low.
    access_data : In
        Code of a coefficient.
    """

    def __init__(self, plan: LayerPlan) -> None:
        layer, formats = plan.layer, plan.layer.formats
        gradients = data.ArrayLayout(formats.gradient, layer.n_out)
        members: dict[str, Any] = {
            "take": In(1),
            "update": In(1),
            "x": In(data.ArrayLayout(plan.located.format if plan.located else formats.activation, layer.n_in)),
            "y": Out(data.ArrayLayout(formats.activation, layer.n_out)),
            "gradient": In(gradients),
            "learning_rate": In(formats.learning_rate),
            "rate_written": In(1),
            "busy": Out(1),
            "saturated": Out(data.StructLayout(dict.fromkeys(sorted(plan.saturating), 1))),
            "access": In(CoefficientAccess(layer)),
            "access_write": In(1),
            "access_data": In(formats.coefficient),
        }
        if plan.hidden:
            members["downstream"] = Out(data.ArrayLayout(formats.gradient, layer.n_in))
        if plan.forms_error:
            members["target"] = In(data.ArrayLayout(formats.activation, layer.n_out))
            members["error"] = Out(gradients)
        else:
            total = plan.next_located.format if plan.next_located else layer.node_sum
            members["total"] = Out(data.ArrayLayout(total, layer.n_out))
        if plan.stochastic:
            members["noise"] = In(NOISE_WIDTH)
        super().__init__(members)


class AnyLayer(wiring.Component):  # type: ignore[misc]
    """What layers of every kind are made of: a plan, and the coefficients that they begin with.

    Parameters
    ----------
    plan
        How it is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, bases)``.

    Members
    -------
    See :class:`LayerSignature`.
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        super().__init__(LayerSignature(plan))
