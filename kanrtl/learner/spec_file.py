"""A spec as a commented TOML file: every field, and beside it what follows from it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ..errors import SpecError
from ..numeric.fixed import Format
from .arithmetic import LayerArithmetic
from .folded_schedule import fold
from .formats import Formats, linear_rates_of
from .losses import LOSSES
from .spec import LearnerSpec
from .stages import STAGES

_COMMENTS = {
    "layer_sizes": "inputs, nodes of each hidden layer, outputs",
    "grid_range": "lowest and highest x of the grid; one pair, or one per layer",
    "grid_size": "cells of the grid, 1 to 4096; one value, or one per layer",
    "periodic": "true, false: whether x is taken modulo the grid's range, as an angle; one value, or one per layer",
    "modulated": 'true, false, "complex": whether curves of the first layer are multiplied by further inputs',
    "spline_order": "1, 2 or 3; a sample touches spline_order + 1 coefficients of an edge",
    "learning_rate": "initial content of the learning rate register; one value, or one per layer",
    "table_size": "rows of the basis table: steps in a cell; a power of two",
    "target_range": "lowest and highest target",
    "activation_format": "outputs of hidden layers; inputs, outputs and targets where these are not given",
    "input_format": "inputs",
    "output_format": "outputs, targets",
    "coefficient_format": "what is learned; one value, or one per layer",
    "factor_format": "its high bits, which bases are multiplied by; one value, or one per layer",
    "basis_format": "values of the basis table",
    "slope_format": "d phi / dx, hidden layers; one value, or one per layer",
    "gradient_format": "dL/dy; one value, or one per layer",
    "step_format": "learning rate times basis; one value, or one per layer",
    "learning_rate_format": "the learning rate register",
    "linear": "whether every edge has a linear path, w x, beside its spline; one value, or one per layer",
    "linear_rate": "initial content of the linear path's rate register; one value, or one per layer",
    "linear_rate_format": "the linear path's rate register",
    "linear_step_format": "the linear path's rate times x; one value, or one per layer",
    "gradient_limit": "the largest dL/dy of an output that is learned from; 0: what its format holds",
    "outside": "auto, hold, learn: what a sample teaches splines whose input is outside of the grid; one, or one per "
    "layer",
    "leak": "a coefficient that is touched first loses its 2**leak-th part; 0: nothing; one, or one per layer",
    "counts": "what is counted besides what saturates: outside, lost",
    "rounding": "floor, half_up, half_even",
    "update_rounding": "floor, half_up, half_even, stochastic",
    "teaching": "with_sample, after_prediction",
    "loss": ", ".join(LOSSES),
    "initial_coefficients": "zeros, uniform, or arrays",
    "seed": "of uniform initial coefficients and of stochastic rounding",
    "memory": "auto, distributed, block; one value, or one per layer",
    "table_memory": "auto, logic, block; one value, or one per layer",
    "edge_sums": "auto, products, differences; one value, or one per layer",
    "schedule": "sequential: exact SGD; streaming: a sample every clock, updates seen later",
    "pipeline": "auto, no_registers, few_registers, most_registers, all_registers, or a list of stages; one, or one "
    "per layer",
    "reuse_factor": "edges that share one set of multipliers; one value, or one per layer",
    "share_multipliers": "whether forward and backward pass use the same multipliers",
    "multiplier": "auto, dsp, lut, serial",
    "initial": "memory, reset: whether it begins with initial contents of memories, or with what a reset writes",
    "guard": "what a guard looks at: window, copy_every, error, rails, stagnant_error, stagnant_lost, imprecise, slot",
}


# What comes from downstream is the gradient of the layer before.
_FORMATS = ("activation", *(name for name in Formats.__dataclass_fields__ if name != "downstream"))


def derived(spec: LearnerSpec) -> dict[str, Any]:
    """What follows from a spec, as plain values: formats, widths, memories, cycles."""
    layers = []
    for index, (layer, steps, stages) in enumerate(
        zip(spec.layers, spec.per_layer("reuse_factor"), _stages(spec), strict=True)
    ):
        inputs, nodes = fold(steps, layer.n_in, layer.n_out) or (1, 1)
        formats = {name: str(format) for name, format in layer.exact_formats().items()}
        if index == 0:
            del formats["slope_sum"], formats["downstream_sum"]
        else:
            formats["derivative"] = str(layer.derivative)
        layers.append(
            {
                "n_in": layer.n_in,
                "n_out": layer.n_out,
                "coefficients": layer.n_out * layer.n_in * layer.coefficients,
                "banks": layer.n_in // inputs * layer.banks,
                "bank_rows": steps * layer.depth,
                "bank_width": layer.n_out // nodes * layer.formats.coefficient.width,
                "steps": steps,
                "memory": "block" if spec.timing.block_memory[index] else "distributed",
                "stages": stages,
                "table_memory": "block" if spec.timing.block_tables[index] else "logic",
                "edge_sums": "differences" if spec.plans[index].differences else "products",
                "cell_width": float(layer.cell_width),
                "learning_rate": float(layer.formats.learning_rate.to_float(layer.learning_rate_code)),
                "smallest_learning_rate": layer.smallest_learning_rate(spec.rounding, spec.update_rounding),
                **_stable_rates(spec, index),
                "periodic": layer.periodic,
                "locate": {
                    "scale": layer.locator.scale,
                    "offset": layer.locator.offset,
                    "shift": layer.locator.shift,
                },
                "formats": formats,
                **_linear_path(spec, layer),
            }
        )
    return {
        "formats": {
            name: _plain(_derived_format(spec, name))
            for name in _FORMATS
            if spec.linear_layers or not name.startswith("linear_")
        },
        "layers": layers,
        "latency": spec.latency,
        "interval": spec.interval,
        "prediction_latency": spec.timing.prediction_latency,
        "prediction_interval": spec.timing.prediction_interval,
        "delays": list(spec.delays),
        "restart_cycles": spec.restart_cycles,
    }


def _stable_rates(spec: LearnerSpec, index: int) -> dict[str, float | None]:
    """The learning rates up to which a layer is stable; None where what the layers behind it have learned decides."""
    stability, last = spec.stability, index == spec.n_layers - 1
    return {
        "stable_learning_rate": stability.stable_learning_rate if last else None,
        "critical_learning_rate": stability.critical_learning_rate if last else None,
    }


def _linear_path(spec: LearnerSpec, layer: LayerArithmetic) -> dict[str, Any]:
    if not layer.linear:
        return {}
    return {
        "linear_rate": layer.linear.linear_rate,
        "smallest_linear_rate": layer.smallest_linear_rate(spec.rounding, spec.update_rounding),
        "linear_input_shift": layer.linear.input_shift,
    }


def _linear_comments(values: dict[str, Any]) -> list[str]:
    shift, smallest = values["linear_input_shift"], values["smallest_linear_rate"]
    return [
        f"#   linear path with rate {values['linear_rate']:g}" + (f", for x * 2^{shift}" if shift else ""),
        "#   linear path learns at " + (f"rates from {smallest:g} on" if smallest else "no rate"),
    ]


def _plain(formats: Format | tuple[Format, ...]) -> str | list[str]:
    return str(formats) if isinstance(formats, Format) else list(map(str, formats))


def to_toml(spec: LearnerSpec) -> str:
    """A TOML file that gives an equal spec, with every field, and in comments what follows from it.

    Fields that were not given appear as comments with the value that they have. Any one of them may be uncommented, and
    the learner stays as it is, unless it says that others are to be taken together with it. Where no value would do
    that, none is there.
    """
    lines = ["# A kanrtl learner. Lines that begin with '#' hold what follows from the others.", ""]
    shown = [field for field in _COMMENTS if spec.linear_layers or not field.startswith("linear_")]
    given = {field for field in shown if field in spec.model_fields_set and getattr(spec, field) is not None}
    followed = {field: _find_value(spec, field) for field in shown if field not in given}
    for field in shown:
        comment = _COMMENTS[field]
        if field in given:
            value = getattr(spec, field)
            entry = f"{field} = {_toml_value(value.to_dict() if field == 'guard' else value)}"
        else:
            mend = _find_partners(spec, field, followed)
            if mend is None:
                lines.append(f"# {field}: {comment}" + _describe_format(field, followed[field]))
                continue
            entry, comment = f"# {field} = {_toml_value(followed[field])}", comment + mend
        lines.append(f"{entry:<44}  # {comment}" if len(entry) <= 60 else f"# {comment}\n{entry}")
    return "\n".join([*lines, "", *_derived_comments(spec)]) + "\n"


def _find_value(spec: LearnerSpec, field: str) -> Any:
    """The value that a field has which was not given."""
    value = getattr(spec, field)
    if value is not None:
        return value
    if field.endswith("_format"):
        return _derived_format(spec, field.removesuffix("_format"))
    if field == "target_range":
        reach = 2.0 ** (spec.formats.output.i - 2)
        return -reach, reach
    if field == "linear_rate":
        return linear_rates_of(spec)
    if field == "initial_coefficients":
        return "zeros" if spec.n_layers == 1 else "uniform"
    return value


_TOGETHER = {"coefficient_format": "factor_format", "factor_format": "coefficient_format"}
"""Formats that follow from each other where one of them is given."""


def _find_partners(spec: LearnerSpec, field: str, followed: dict[str, Any]) -> str | None:
    """What is to be said of a field that is uncommented: nothing, if the learner stays as it is, or else what is to be
    taken together with it. None where that changes it too."""
    if followed[field] is None:
        return None
    formats = [name for name, value in followed.items() if name.endswith("_format") and _is_format(name, value)]
    partner = _TOGETHER.get(field)
    choices = [([field], "")]
    if partner in formats:
        choices.append(([field, partner], f"; take it together with {partner}"))
    if field in formats:
        choices.append((formats, "; take it together with all formats that stand as comments"))
    for names, mend in choices:
        if _keeps(spec, {name: followed[name] for name in names}):
            return mend
    return None


def _is_format(field: str, value: Any) -> bool:
    """Whether a value can be given: there is one format of all hidden layers' outputs."""
    return field != "activation_format" or isinstance(value, Format)


def _keeps(spec: LearnerSpec, changes: dict[str, Any]) -> bool:
    """Whether the learner is the same with some fields given."""
    try:
        other = spec.replace(**changes)
    except SpecError:
        return False
    return (other.formats, other.layers, other.guard) == (spec.formats, spec.layers, spec.guard)


def _describe_format(field: str, value: Any) -> str:
    """What a format is that cannot be given."""
    return f"; here {_toml_value(value)}" if field.endswith("_format") else ""


def _derived_format(spec: LearnerSpec, name: str) -> Format | tuple[Format, ...]:
    """The format of a learner, or those of its layers where they differ."""
    layers = spec.formats.layers
    if name in ("input", "output"):
        return getattr(spec.formats, name)  # type: ignore[no-any-return]
    if name == "activation":
        found = tuple(each.output for each in layers[:-1]) or (spec.formats.output,)
    else:
        found = tuple(getattr(each, name) for each in layers)
    return found[0] if len(set(found)) == 1 else found


def _toml_value(value: Any) -> str:
    if isinstance(value, Format):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_toml_value(item)}' for name, item in value.items())} }}"
    if isinstance(value, np.ndarray):
        return _toml_value(tuple(value.tolist()))
    return json.dumps(value)


def _derived_comments(spec: LearnerSpec) -> list[str]:
    schedule = spec.timing
    lines = [
        "# cycles, for every input:",
        f"#   sample to written update   {schedule.latency}",
        f"#   one sample to the next     {schedule.interval}",
        f"#   sample to prediction       {schedule.prediction_latency}",
    ]
    if spec.restart_cycles is not None:
        lines.append(f"#   reset to the first sample  {spec.restart_cycles}")
    if spec.timing.streaming:
        lines.append(f"# samples until an update is seen, by layer: {', '.join(map(str, spec.delays))}")
    for index, values in enumerate(derived(spec)["layers"]):
        locate, rates = values["locate"], spec.formats.learning_rate
        modulo = f" modulo {spec.layers[index].locator.end}" if values["periodic"] else ""
        lines += [
            "#",
            f"# layer {index}: {values['n_in']} x {values['n_out']} edges, {values['coefficients']} coefficients in "
            f"{values['banks']} {values['memory']} banks of {values['bank_rows']} x {values['bank_width']} bits"
            + (f", folded into {values['steps']} steps" if values["steps"] > 1 else ""),
            f"#   cell width {values['cell_width']:g}; position = (x * {locate['scale']} + {locate['offset']}) >> "
            f"{locate['shift']}{modulo}, in codes",
            f"#   registers after {', '.join(values['stages']) or 'no stage'}",
            f"#   learning rate {spec.layers[index].learning_rate:g} is {values['learning_rate']} in a register of "
            f"multiples of {rates.lsb} up to {float(rates.to_float(rates.maximum))}",
            f"#   learns at rates from {values['smallest_learning_rate']:g} on"
            if values["smallest_learning_rate"]
            else "#   learns at no rate: no update reaches a coefficient",
            _describe_stability(spec, values),
            *(_linear_comments(values) if "linear_rate" in values else []),
        ]
        width = max(16, *map(len, values["formats"]))
        lines += [f"#   {name:<{width}} {format}" for name, format in values["formats"].items()]
    return lines


def _describe_stability(spec: LearnerSpec, values: dict[str, Any]) -> str:
    if values["stable_learning_rate"] is None:
        return "#   up to which rate it is stable depends on the slopes of the layers behind it"
    stable, critical = values["stable_learning_rate"], values["critical_learning_rate"]
    rates = f"{stable:.3g} with any inputs"
    if stable < critical:
        rates += f", below {critical:.3g} with inputs that stand still"
    return f"#   stable at rates up to {rates}" + ("" if spec.stability.known else ", if d2L/dy2 is at most 1")


def _stages(spec: LearnerSpec) -> list[list[str]]:
    """For every layer, the stages that end in a register."""
    return [[stage for stage in STAGES if stage in stages] for stages in spec.timing.stages]
