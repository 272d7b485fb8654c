"""One way to use a learner, whichever backend it runs on."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from .backends import BACKENDS, Backend
from .fixed import Codes, Format
from .spec import LearnerSpec, SpecError

__all__ = ["InputError", "Session", "connect"]

Reals = npt.NDArray[np.float64]


class InputError(ValueError):
    """An argument or a file that cannot be used, in one line: the field, its value, and the mend."""


def connect(spec: LearnerSpec | str | Path, backend: str = "model") -> Session:
    """Starts a learner.

    Parameters
    ----------
    spec
        What it is, or the path of a TOML file that says so.
    backend
        ``"model"``: the integer model, in numpy. ``"pysim"``: the RTL in Amaranth's simulator.
    """
    if not isinstance(spec, LearnerSpec):
        spec = LearnerSpec.from_toml(spec)
    if backend not in BACKENDS:
        raise InputError(f"backend = {backend!r}: unknown; use one of {', '.join(map(repr, BACKENDS))}")
    return Session(spec, BACKENDS[backend](spec))


class Session:
    """A running learner; made by :func:`connect`. A context manager.

    Values are real numbers; they are rounded to the formats of the spec on the way in (and saturated, which
    :attr:`status` counts). Arrays for one sample may be given as numbers where they have one element.
    """

    def __init__(self, spec: LearnerSpec, backend: Backend) -> None:
        self.spec = spec
        self._backend = backend
        self._last_x: Codes | None = None
        self._samples = 0
        self._inputs_saturated = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the learner; what it has learned is lost unless it was saved."""
        self._backend.close()

    # Predict and learn.

    def predict(self, x: npt.ArrayLike) -> Reals:
        """The prediction, shape ``(n_out,)``, for inputs of shape ``(n_in,)``. With ``loss="logistic"`` it is the
        logit."""
        return self.predict_many(self._row("x", x, self.spec.n_in))[0]  # type: ignore[no-any-return]

    def learn(self, x: npt.ArrayLike, target: npt.ArrayLike) -> Reals:
        """Predicts, then takes one step towards ``target``, shape ``(n_out,)``; returns the prediction made before
        it."""
        rows = self._row("x", x, self.spec.n_in), self._row("target", target, self.spec.n_out)
        return self.learn_many(*rows)[0]  # type: ignore[no-any-return]

    def predict_many(self, x: npt.ArrayLike) -> Reals:
        """Predictions ``(n, n_out)`` for inputs ``(n, n_in)``, one sample after another."""
        codes = self._codes("x", x, self.spec.n_in, self.spec.formats.activation)
        predictions = self._run(codes, np.zeros((len(codes), self.spec.n_out), dtype=np.int64), learn=False)
        if len(codes):
            self._last_x = codes[-1:]
        return predictions

    def learn_many(self, x: npt.ArrayLike, target: npt.ArrayLike) -> Reals:
        """Learns from samples ``(n, n_in)`` and targets ``(n, n_out)``, one after another; returns the predictions,
        each made before its step."""
        if self.spec.loss == "external":
            raise InputError('learn: the spec has loss = "external"; call predict, then feedback with dL/dy')
        codes = self._codes("x", x, self.spec.n_in, self.spec.formats.activation)
        targets = self._codes("target", target, self.spec.n_out, self.spec.target_format)
        if len(codes) != len(targets):
            raise InputError(f"target: {len(targets)} rows for {len(codes)} samples; give one for each")
        return self._run(codes, targets, learn=True)

    def feedback(self, gradient: npt.ArrayLike) -> None:
        """Takes one step for the last :meth:`predict` with a gradient dL/dy, shape ``(n_out,)``, computed elsewhere.

        The sample is run again, with the same coefficients. Needs ``loss="external"``.
        """
        if self.spec.loss != "external":
            raise InputError(f'feedback: the spec has loss = "{self.spec.loss}"; set loss = "external", or call learn')
        if self._last_x is None:
            raise InputError("feedback: there is no prediction to give it for; call predict first")
        row = self._row("gradient", gradient, self.spec.n_out)
        codes = self._codes("gradient", row, self.spec.n_out, self.spec.target_format)
        self._run(self._last_x, codes, learn=True)
        self._last_x = None

    def _run(self, x: Codes, teaching: Codes, *, learn: bool) -> Reals:
        self._samples += len(x)
        codes = self._backend.run(x, teaching, np.full(len(x), learn))
        return self.spec.formats.activation.to_float(codes)

    @staticmethod
    def _row(field: str, values: npt.ArrayLike, count: int) -> Any:
        array = np.atleast_1d(np.asarray(values))
        if array.shape != (count,):
            raise InputError(f"{field}: shape {array.shape}; must be ({count},)")
        return array[None]

    def _codes(self, field: str, values: npt.ArrayLike, count: int, format: Format) -> Codes:
        try:
            array = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{field}: not an array of numbers; give shape (n, {count})") from None
        if array.ndim != 2 or array.shape[1] != count:
            raise InputError(f"{field}: shape {array.shape}; must be (n, {count})")
        bad = np.argwhere(np.isnan(array))
        if len(bad):
            raise InputError(f"{field}[{bad[0][0]}, {bad[0][1]}] = nan: give a number")
        codes = format.quantise(array)
        self._inputs_saturated += int((np.abs(array - format.to_float(codes)) > format.lsb).sum())
        return codes

    # What it has learned.

    @property
    def coefficients(self) -> list[Codes]:
        """Integer codes, one array ``(n_out, n_in, grid_size + spline_order)`` per layer. May be assigned to."""
        return self._backend.read_coefficients()

    @coefficients.setter
    def coefficients(self, coefficients: list[npt.ArrayLike]) -> None:
        self._backend.write_coefficients(self._checked_coefficients(coefficients))

    def _checked_coefficients(self, coefficients: list[npt.ArrayLike]) -> list[Codes]:
        shapes = [(layer.n_out, layer.n_in, layer.bases) for layer in self.spec.layers]
        if len(coefficients) != len(shapes):
            raise InputError(f"coefficients: {len(coefficients)} arrays for {len(shapes)} layers; give one for each")
        format = self.spec.formats.coefficient
        checked = []
        for index, (layer, shape) in enumerate(zip(coefficients, shapes, strict=True)):
            codes = np.asarray(layer)
            if codes.shape != shape:
                raise InputError(f"coefficients[{index}]: shape {codes.shape}; must be {shape}")
            if codes.dtype.kind not in "iu":
                raise InputError(f"coefficients[{index}]: type {codes.dtype}; give integer codes (Format.quantise)")
            if codes.min() < format.minimum or codes.max() > format.maximum:
                raise InputError(
                    f"coefficients[{index}]: codes from {codes.min()} to {codes.max()} do not fit {format} "
                    f"({format.minimum} to {format.maximum})"
                )
            checked.append(codes.astype(np.int64))
        return checked

    @property
    def learning_rate(self) -> tuple[float, ...]:
        """One per layer, as the registers hold it. A number assigned to it sets all layers."""
        rates = self._backend.read_learning_rates()
        return tuple(float(self.spec.formats.learning_rate.to_float(rate)) for rate in rates)

    @learning_rate.setter
    def learning_rate(self, rate: float | tuple[float, ...]) -> None:
        rates = np.broadcast_to(np.asarray(rate, dtype=np.float64), (self.spec.n_layers,))
        format = self.spec.formats.learning_rate
        for value in rates:
            if not np.isfinite(value) or not format.holds(float(value)):
                highest = float(format.to_float(format.maximum))
                raise InputError(f"learning_rate = {value}: {format} holds 0 to {highest}")
        self._backend.write_learning_rates([int(code) for code in format.quantise(rates)])

    @property
    def frozen(self) -> bool:
        """Whether samples are predicted but not learned. May be assigned to."""
        return self._backend.read_frozen()

    @frozen.setter
    def frozen(self, frozen: bool) -> None:
        self._backend.write_frozen(bool(frozen))

    @property
    def status(self) -> dict[str, Any]:
        """``samples`` sent, clock ``cycles`` (None without a clock), ``frozen``, ``saturations`` in the learner by
        kind,
        ``inputs_saturated`` on the way in, and the ``latency``, ``prediction_latency`` and ``interval`` in cycles."""
        schedule = self.spec.schedule
        return {
            "backend": self._backend.name,
            "samples": self._samples,
            "cycles": self._backend.cycles,
            "frozen": self.frozen,
            "saturations": self._backend.read_saturations(),
            "inputs_saturated": self._inputs_saturated,
            "latency": schedule.latency,
            "prediction_latency": schedule.prediction_latency,
            "interval": schedule.interval,
            "observed": self._backend.observed,
        }

    # Files.

    def save(self, path: str | Path) -> None:
        """Writes what was learned, with the spec, to an ``.npz`` file; the file is complete or not there."""
        content: dict[str, Any] = {
            f"coefficients_{index}": layer for index, layer in enumerate(self._backend.read_coefficients())
        }
        content["learning_rates"] = np.array(self._backend.read_learning_rates(), dtype=np.int64)
        if self.spec.update_rounding == "stochastic":
            content["noise"] = np.array(self._backend.read_noise(), dtype=np.int64)
        content["spec"] = np.array(json.dumps(self.spec.to_dict()))
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **content)
        path = Path(path)
        try:
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name, delete=False) as file:
                file.write(buffer.getvalue())
            os.replace(file.name, path)
        except OSError as error:
            raise InputError(
                f"save: {str(path)!r}: {error.strerror or error}; name a file in a folder that exists"
            ) from None

    def load(self, path: str | Path) -> None:
        """Takes over what :meth:`save` wrote, if it is of the same sizes, grid and formats; else changes nothing."""
        content = _read_saved(Path(path))
        try:
            saved = LearnerSpec.from_dict(json.loads(str(content["spec"])))
            coefficients = [content[f"coefficients_{index}"] for index in range(saved.n_layers)]
            rates = [int(rate) for rate in content["learning_rates"]]
        except (KeyError, json.JSONDecodeError, SpecError, TypeError, ValueError) as error:
            raise InputError(f"load: {str(path)!r}: not a saved learner ({error})") from None
        for field in ("layer_sizes", "grid_range", "grid_size", "spline_order"):
            ours, theirs = (
                (spec.layer_sizes if field == "layer_sizes" else spec.per_layer(field)) for spec in (self.spec, saved)
            )
            if ours != theirs:
                raise InputError(f"load: {str(path)!r}: {field} = {theirs}, but this learner has {ours}")
        for field in ("coefficient", "learning_rate"):
            ours, theirs = getattr(self.spec.formats, field), getattr(saved.formats, field)
            if ours != theirs:
                raise InputError(f"load: {str(path)!r}: {field}_format = {theirs}, but this learner has {ours}")
        checked = self._checked_coefficients(coefficients)
        self._backend.write_coefficients(checked)
        self._backend.write_learning_rates(rates)
        if self.spec.update_rounding == "stochastic" and "noise" in content:
            self._backend.write_noise(int(content["noise"]))
        self._last_x = None


def _read_saved(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as content:
            if not isinstance(content, np.lib.npyio.NpzFile):
                raise InputError(f"load: {str(path)!r}: not a saved learner; give a file that save wrote")
            return dict(content)
    except OSError as error:
        raise InputError(
            f"load: {str(path)!r}: {error.strerror or 'not a saved learner'}; give a file that save wrote"
        ) from None
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise InputError(f"load: {str(path)!r}: not a saved learner; give a file that save wrote") from None
