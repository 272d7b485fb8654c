"""A learner on a recording beside other methods, in the units of the recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Reals
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..plots.recording_plot import RecordingCurves, plot_recording
from ..progress import Progress
from ..sim.recording import Recording
from .fit_task import find_errors
from .float_references import run_float_references


@dataclass(frozen=True)
class MethodErrors:
    """The errors of one method over what comes after the first part, each before its update.

    Attributes
    ----------
    name
        What it is called.
    setting
        Its step size or forgetting factor for each target, where it was chosen on the first part; else empty.
    rms
        For each target, in its units.
    nmse
        For each target: the mean squared error in parts of the variance of the target.
    wrong
        Of classes 0 and 1: the share for each target that is told wrong; else empty.
    """

    name: str
    setting: tuple[float, ...]
    rms: tuple[float, ...]
    nmse: tuple[float, ...]
    wrong: tuple[float, ...]

    @classmethod
    @np.errstate(over="ignore", invalid="ignore")  # floats may diverge, which their errors show
    def of(cls, name: str, setting: tuple[float, ...], error: Reals, target: Reals, classes: bool) -> MethodErrors:
        """The errors ``(samples, n_out)`` of one method, counted."""
        squares = np.mean(error**2, axis=0)
        variance = np.where(np.ptp(target, axis=0) > 0, np.var(target, axis=0), 0)
        wrong = tuple(np.mean(np.abs(error) > 0.5, axis=0).tolist()) if classes else ()
        # A target that is constant after the first part has no variance to compare with.
        nmse = np.divide(squares, variance, out=np.full_like(squares, np.inf), where=variance > 0)
        return cls(name, setting, tuple(np.sqrt(squares).tolist()), tuple(nmse.tolist()), wrong)


@dataclass(frozen=True)
class Comparison:
    """Methods on a recording, the learner first.

    Attributes
    ----------
    recording
        As the learner was given it.
    methods
        Their errors after the first part.
    errors
        Their errors by name over the whole run, shape ``(samples, n_out)``, in the units of the targets.
    target
        In these units, of the same shape.
    """

    recording: Recording
    methods: tuple[MethodErrors, ...]
    errors: dict[str, Reals]
    target: Reals

    def to_json(self) -> dict[str, Any]:
        """Plain values, by target where they are of one."""
        names = self.recording.target_names

        def by_target(values: tuple[float, ...]) -> dict[str, float | None]:
            return {name: value if np.isfinite(value) else None for name, value in zip(names, values, strict=False)}

        return {
            "first": self.recording.first,
            "inputs": list(self.recording.input_names),
            "targets": list(names),
            "scales": [scale.to_json() for scale in self.recording.scales],
            "methods": [
                {
                    "name": method.name,
                    **({"setting": by_target(method.setting)} if method.setting else {}),
                    "rms": by_target(method.rms),
                    "nmse": by_target(method.nmse),
                    **({"wrong": by_target(method.wrong)} if method.wrong else {}),
                }
                for method in self.methods
            ],
        }

    def plot(self, title: str, path: Path) -> None:
        """Draw the run into a file, as :func:`kanrtl.plots.recording_plot.plot_recording` does."""
        name = self.recording.target_names[0]
        errors = {method: error[:, 0] for method, error in self.errors.items()}
        curves = RecordingCurves(title, name, self.target[:, 0], errors, self.recording.first)
        plot_recording(curves, path)


def compare_methods(
    spec: LearnerSpec, recording: Recording, learners: Mapping[str, Reals], progress: Progress | None = None
) -> Comparison:
    """Compare ``learners``, predictions ``(samples, n_out)`` of a recording that was fitted to ``spec`` by name, with
    what :func:`kanrtl.experiments.float_references.run_float_references` runs."""
    target = recording.unscaled_target
    errors = {name: find_errors(spec, recording, predictions) for name, predictions in learners.items()}
    settings: dict[str, tuple[float, ...]] = dict.fromkeys(errors, ())
    for reference in run_float_references(recording, progress):
        errors[reference.name] = reference.predictions - target
        settings[reference.name] = reference.setting
    classes = find_loss(spec.loss).binary_targets
    rest = slice(recording.first, None)
    methods = tuple(
        MethodErrors.of(name, settings[name], error[rest], target[rest], classes) for name, error in errors.items()
    )
    return Comparison(recording, methods, errors, target)
