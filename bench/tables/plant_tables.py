"""What the pages show of plants and loops: every method beside the others, and how large and fast each is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import stored
from ..loops import LOOPS
from ..plant_setups import SETUPS
from ..trackers import USUAL, pair_equals
from .markdown import table

NAMES = {
    "none": "none",
    "kan": "KAN",
    "kan-float": "KAN, float64",
    "nlms": "NLMS",
    "polynomial": "polynomial LMS",
    "mlp": "MLP, equal multipliers",
    "mlp-lut": "MLP, equal LUTs",
    "mlp-folded": "MLP of 16, folded",
    "rls": "RLS, float",
    "volterra": "Volterra by RLS, float",
    "mlp-float": "MLP of 16, float",
    "one-euro": "1 euro filter, float",
}


def _read(folder: Path, name: str) -> Any:
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if name and path.exists() else None


def _built(core: Any, estimated: Any = None) -> list[str]:
    """LUTs, multipliers and nanoseconds of a step: measured, else LUTs and multipliers as estimated, else dashes."""
    if core:
        return [str(core["lut"]), str(core["dsp"]), f"{core['step_ns']:.1f}"]
    if estimated and "estimated_lut" in estimated:
        return [f"~{estimated['estimated_lut']}", f"~{estimated['estimated_dsp']}", "-"]
    return ["-"] * 3


def _marked(values: Sequence[float], value: float) -> str:
    """A value, bold where it is the least of all."""
    return f"**{value:.3g}**" if value == min(values) else f"{value:.3g}"


def plants() -> str:
    """Every plant under every method, and what each takes."""
    return table(*plant_rows(stored.RESULTS, sorted(SETUPS)))


def decisions() -> str:
    """Plants that ask for decisions: how many are wrong."""
    return table(*decision_rows(stored.RESULTS, sorted(SETUPS)))


def trackers() -> str:
    """Function tracking by learners, polynomials and perceptrons."""
    return table(*track_rows(stored.RESULTS))


def equal_errors() -> str:
    """Learners and perceptrons at equal error."""
    return table(*equal_rows(stored.RESULTS, sorted(SETUPS)))


def loops() -> str:
    """Whole loops: cycles, nanoseconds and deadlines."""
    return table(*loop_rows(stored.RESULTS, list(LOOPS)))


def plant_rows(folder: Path, plants: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of plants; the least errors of a plant, adapted and drifting, are bold."""
    head = ["plant, error in", "method", "adapted", "drifting", "samples to recover", "µs at the plant's rate"]
    head += ["µs at the core's", "LUT", "DSP", "ns a step"]
    rows = []
    for plant in plants:
        data = _read(folder, f"plant-{plant}")
        if data is None:
            rows.append([plant, "not measured", *["-"] * (len(head) - 2)])
            continue
        methods = data["methods"]
        errors = {part: [method[part] for method in methods] for part in ("adapted", "drifting")}
        for method in methods:
            core = _read(folder, method.get("core", ""))
            settles = method["method"] != "none"
            rows.append(
                [
                    f"{plant}, {data['unit']}",
                    NAMES[method["method"]],
                    *(_marked(errors[part], method[part]) for part in errors),
                    f"{method['recovery_samples']:.0f}" if settles else "-",
                    f"{method['recovery_us']:,.0f}" if settles else "-",
                    f"{method['recovery_samples'] * core['sample_cycles'] / core['fmax_mhz']:,.1f}" if core else "-",
                    *_built(core, method),
                ]
            )
    return head, rows


def decision_rows(folder: Path, plants: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of decisions that are wrong, in percent; methods with the least of them are bold."""
    rows = []
    for plant in plants:
        data = _read(folder, f"plant-{plant}")
        for method in data["methods"] if data else []:
            if "wrong_adapted" in method and method["method"] != "none":
                shown = [_marked([one[part] for one in data["methods"]], method[part]) for part in _WRONG]
                rows.append([plant, NAMES[method["method"]], *shown])
    return ["plant", "method", "% wrong, adapted", "% wrong, drifting"], rows


_WRONG = ("wrong_adapted", "wrong_drifting")


def track_rows(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of ``track``; the least error over the whole run is bold."""
    methods = _read(folder, "track-baselines")["methods"]
    whole = [method["mse"]["all"] for method in methods]
    rows = []
    for method in methods:
        errors = [f"{value:.2g}" for value in method["mse"].values()]
        if method["mse"]["all"] == min(whole):
            errors[-1] = f"**{errors[-1]}**"
        core = _read(folder, _tracker_row(method["name"]))
        rows.append([_called(method["name"]), f"{method['learning_rate']:g}", *errors, *_built(core, method)])
    head = ["method", "rate", "regime 1", "regime 2", "regime 3", "whole run"]
    return [*head, "LUT", "DSP", "ns a step"], rows


def _tracker_row(name: str) -> str:
    """The row that builds a method on ``track``."""
    return "t-stochastic" if name == USUAL["track"] else f"track-{name}"


def _called(name: str) -> str:
    """A method of a size in words."""
    kind, _, size = name.partition("-")
    words = {
        "kan": f"KAN, {size} cells",
        "mlp": f"MLP, {size} hidden node{'s' * (size != '1')}",
        "polynomial": f"polynomial LMS, degree {size}",
    }
    return words[kind]


def equal_rows(folder: Path, plants: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of learners and perceptrons at equal error (:func:`.pair_equals`), of ``track`` and
    plants."""
    rows = []
    tracked = _read(folder, "track-baselines")
    tasks = [("track, mse", tracked["methods"], USUAL["track"])] if tracked else []
    for plant in plants:
        data = _read(folder, f"sizes-{plant}")
        if data:
            tasks.append((f"{plant}, {data['unit']}", data["methods"], USUAL["plant"]))
    for task, methods, usual in tasks:
        errors = {method["name"]: method["mse"]["all"] if "mse" in method else method["error"] for method in methods}
        about = {method["name"]: method for method in methods}
        for pair in pair_equals(errors, usual):
            for name, other in zip(pair, ("KAN", "MLP"), strict=True):
                rows.append([task, *_equal_row(folder, name, other, about, errors)])
    return ["task, error in", "method", "error", "LUT", "DSP", "ns a step"], rows


def _equal_row(folder: Path, name: str | None, kind: str, about: Any, errors: Any) -> list[str]:
    if name is None:
        return [f"no {kind} of those tried is as good", *["-"] * 4]
    core = _read(folder, about[name].get("core") or _tracker_row(name))
    return [_called(name), f"{errors[name]:.3g}", *_built(core, about[name])]


def loop_rows(folder: Path, loops: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of loops; of each deadline whether it is met, or by how much not."""
    rows = []
    for name in loops:
        title, make = LOOPS[name]
        loop, data = make(), _read(folder, f"loop-{name}")
        cycles = [str(number) for number in (loop.latency, loop.learned_after, loop.interval)]
        rows.append([title, *cycles, *(_timed(data) if data else ["-"] * 8)])
    head = ["loop", "cycles to the actuator", "until learned", "from word to word", "MHz", "ns to the actuator"]
    return [*head, "until learned", "from word to word", "LUT", "DSP", "1 MHz", "10 MHz"], rows


def _timed(data: Any) -> list[str]:
    """What place and route make of a loop."""
    needed = max(data["actuator_ns"], data["learned_ns"])
    deadlines = [
        "met" if met else f"no: {needed:.0f} ns of {1000 / float(rate):.0f}" for rate, met in data["deadlines"].items()
    ]
    times = [f"{data[f'{part}_ns']:.0f}" for part in ("actuator", "learned", "interval")]
    return [f"{data['fmax_mhz']:.1f}", *times, str(data["lut"]), str(data["dsp"]), *deadlines]
