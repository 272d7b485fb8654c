"""One way to use a learner, whichever backend it runs on."""

from __future__ import annotations

import io
import json
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import numpy.typing as npt

from .backends import BACKENDS, Backend
from .backends.trace import Trace, TraceError
from .files import write_whole
from .fixed import Codes, Format
from .noise import WIDTH as NOISE_WIDTH
from .spec import LearnerSpec, SpecError
from .toolchain import Progress

if TYPE_CHECKING:
    from .lookup import Frozen, LookupNetwork, LookupSession

__all__ = [
    "Closing",
    "InputError",
    "Session",
    "checked_coefficients",
    "connect",
    "read_arrays",
    "real_rows",
    "write_arrays",
]

Reals = npt.NDArray[np.float64]


class InputError(ValueError):
    """An argument or a file that cannot be used, in one line: the field, its value, and the mend."""


@overload
def connect(
    spec: LearnerSpec | str | Path,
    backend: str = "model",
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
) -> Session: ...
@overload
def connect(
    spec: LookupNetwork,
    backend: str = "model",
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> LookupSession: ...
def connect(
    spec: LearnerSpec | LookupNetwork | str | Path,
    backend: str = "model",
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Session | LookupSession:
    """Starts a learner, or a lookup network.

    Parameters
    ----------
    spec
        What it is, or the path of a TOML file that says so; or a :class:`kanrtl.LookupNetwork`.
    backend
        ``"model"``: the integer model, in numpy. ``"pysim"``: the RTL in Amaranth's simulator. ``"native"``: the RTL
        compiled to machine code, which takes a C++ compiler, and some seconds once for every spec.
    trace
        A file that ends in ``.vcd``, for the waveforms of a ``"pysim"`` or ``"native"`` run; complete when the session
        is closed. A view for GTKWave is put beside it, as ``.gtkw``.
    progress
        Is told in one line what takes a while: compiling.
    options
        For a network, how it becomes hardware: parameters of :class:`kanrtl.LookupCore`, such as ``latency``.
    """
    from .lookup import LookupNetwork, connect_network

    if isinstance(spec, LookupNetwork):
        return connect_network(spec, backend, trace=trace, progress=progress, **options)
    if options:
        raise InputError(f"{min(options)}: not known for a learner; set it in the spec")
    if not isinstance(spec, LearnerSpec):
        spec = LearnerSpec.from_toml(spec)
    if backend not in BACKENDS:
        raise InputError(f"backend = {backend!r}: unknown; use one of {', '.join(map(repr, BACKENDS))}")
    try:
        return Session(spec, BACKENDS[backend](spec, Trace(trace) if trace is not None else None, progress))
    except TraceError as error:
        raise InputError(str(error)) from None


class Closing(ABC):
    """A context manager that closes itself at the end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Ends it."""


class Session(Closing):
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
        reals = real_rows("x", x, self.spec.n_in)
        codes = self._codes(reals, self.spec.formats.activation)
        predictions = self._run(codes, np.zeros((len(codes), self.spec.n_out), dtype=np.int64), learn=False)
        if len(codes):
            self._last_x = codes[-1:]
        return predictions

    def learn_many(self, x: npt.ArrayLike, target: npt.ArrayLike) -> Reals:
        """Learns from samples ``(n, n_in)`` and targets ``(n, n_out)``, one after another; returns the predictions,
        each made before its step."""
        if self.spec.loss == "external":
            raise InputError('learn: the spec has loss = "external"; call predict, then feedback with dL/dy')
        x, target = real_rows("x", x, self.spec.n_in), real_rows("target", target, self.spec.n_out)
        if len(x) != len(target):
            raise InputError(f"target: {len(target)} rows for {len(x)} samples; give one for each")
        codes = self._codes(x, self.spec.formats.activation)
        return self._run(codes, self._codes(target, self.spec.target_format), learn=True)

    def feedback(self, gradient: npt.ArrayLike) -> None:
        """Takes one step for the last :meth:`predict` with a gradient dL/dy, shape ``(n_out,)``, computed elsewhere.

        The sample is run again, with the same coefficients. Needs ``loss="external"``.
        """
        if self.spec.loss != "external":
            raise InputError(f'feedback: the spec has loss = "{self.spec.loss}"; set loss = "external", or call learn')
        if self._last_x is None:
            raise InputError("feedback: there is no prediction to give it for; call predict first")
        row = self._row("gradient", gradient, self.spec.n_out)
        self._run(self._last_x, self._codes(row, self.spec.target_format), learn=True)
        self._last_x = None

    def _run(self, x: Codes, teaching: Codes, *, learn: bool) -> Reals:
        self._samples += len(x)
        codes = self._backend.run(x, teaching, np.full(len(x), learn))
        return self.spec.formats.activation.to_float(codes)

    @staticmethod
    def _row(field: str, values: npt.ArrayLike, count: int) -> Reals:
        """One sample as a row of an array."""
        array = np.atleast_1d(_reals(field, values, f"shape ({count},)"))
        if array.shape != (count,):
            raise InputError(f"{field}: shape {array.shape}; must be ({count},)")
        return array[None]

    def _codes(self, reals: Reals, format: Format) -> Codes:
        lowest, highest = format.to_float([format.minimum, format.maximum])
        if reals.size and (reals.min() < lowest or reals.max() > highest):
            nearest = np.rint(reals / format.lsb)
            self._inputs_saturated += int(((nearest < format.minimum) | (nearest > format.maximum)).sum())
        return format.quantise(reals)

    # What it has learned.

    @property
    def coefficients(self) -> list[Codes]:
        """Integer codes, one array ``(n_out, n_in, grid_size + spline_order)`` per layer. May be assigned to."""
        return self._backend.read_coefficients()

    @coefficients.setter
    def coefficients(self, coefficients: list[npt.ArrayLike]) -> None:
        self._backend.write_coefficients(checked_coefficients(self.spec, coefficients))
        self._last_x = None

    def freeze(
        self,
        bits: int | Sequence[int] | None = None,
        *,
        guard_bits: int | None = None,
        x: npt.ArrayLike | None = None,
    ) -> Frozen:
        """What has been learned so far as a :class:`kanrtl.LookupNetwork`, and how near it is: by default it is the
        learner to the bit. Parameters as for :func:`kanrtl.lookup.freeze`."""
        from .lookup import freeze

        return freeze(self.spec, self.coefficients, bits, guard_bits=guard_bits, x=x)

    @property
    def learning_rate(self) -> tuple[float, ...]:
        """One per layer, as the registers hold it. A number assigned to it sets all layers."""
        rates = self._backend.read_learning_rates()
        return tuple(float(self.spec.formats.learning_rate.to_float(rate)) for rate in rates)

    @learning_rate.setter
    def learning_rate(self, rate: float | tuple[float, ...]) -> None:
        count = self.spec.n_layers
        rates = _reals("learning_rate", rate, f"one for all layers, or {count}")
        if rates.shape not in ((), (count,)):
            raise InputError(f"learning_rate: shape {rates.shape}; give one number for all layers, or {count}")
        rates = np.broadcast_to(rates, (count,))
        format = self.spec.formats.learning_rate
        for value in rates:
            if not np.isfinite(value) or not format.holds(float(value)):
                highest = float(format.to_float(format.maximum))
                raise InputError(f"learning_rate = {value}: {format} holds 0 to {highest}")
            if value and not format.quantise(value):
                raise InputError(
                    f"learning_rate = {value}: rounds to zero in {format}; give {format.lsb} or more, or 0"
                )
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
        kind, ``inputs_saturated`` on the way in, and the ``latency``, ``prediction_latency`` and ``interval`` in
        cycles."""
        schedule = self.spec.timing
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
        write_arrays(Path(path), content)

    def load(self, path: str | Path) -> None:
        """Takes over what :meth:`save` wrote, if it is of the same sizes, grid and formats; else changes nothing."""
        try:
            self._load(_Saved.read(Path(path)))
        except InputError as error:
            raise InputError(f"load: {str(path)!r}: {error}") from None

    def _load(self, saved: _Saved) -> None:
        for field in ("layer_sizes", "grid_range", "grid_size", "spline_order"):
            ours, theirs = (
                (spec.layer_sizes if field == "layer_sizes" else spec.per_layer(field))
                for spec in (self.spec, saved.spec)
            )
            if ours != theirs:
                raise InputError(f"{field} = {theirs}, but this learner has {ours}; load it into one with the same")
        for field in ("coefficient", "learning_rate"):
            ours, theirs = getattr(self.spec.formats, field), getattr(saved.spec.formats, field)
            if ours != theirs:
                raise InputError(
                    f"{field}_format = {theirs}, but this learner has {ours}; load it into one with the same"
                )
        coefficients = checked_coefficients(self.spec, saved.coefficients)
        self._backend.write_coefficients(coefficients)
        self._backend.write_learning_rates(saved.learning_rates)
        if self.spec.update_rounding == "stochastic" and saved.noise is not None:
            self._backend.write_noise(saved.noise)
        self._last_x = None


def checked_coefficients(spec: LearnerSpec, coefficients: Sequence[npt.ArrayLike]) -> list[Codes]:
    """``coefficients`` as the codes of a learner, one array ``(n_out, n_in, bases)`` per layer; raises
    :exc:`InputError` if they are not."""
    shapes = [(layer.n_out, layer.n_in, layer.bases) for layer in spec.layers]
    if not isinstance(coefficients, (list, tuple)) or len(coefficients) != len(shapes):
        raise InputError(f"coefficients: give a list of arrays, one for each layer, here {len(shapes)}")
    format = spec.formats.coefficient
    checked = []
    for index, (layer, shape) in enumerate(zip(coefficients, shapes, strict=True)):
        codes = _array(f"coefficients[{index}]", layer, f"shape {shape}")
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


def _array(field: str, values: npt.ArrayLike, wanted: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{field}: not an array of numbers; give {wanted}")
    return array


def _reals(field: str, values: npt.ArrayLike, wanted: str) -> Reals:
    array = _array(field, values, wanted).astype(np.float64)
    if np.isnan(array).any():
        bad = np.argwhere(np.isnan(array))
        place = f"[{', '.join(map(str, bad[0]))}]" if array.ndim else ""
        raise InputError(f"{field}{place} = nan: give a number")
    return array


def real_rows(field: str, values: npt.ArrayLike, count: int) -> Reals:
    """Samples ``(n, count)``; raises :exc:`InputError` if that is not what ``values`` are."""
    array = _reals(field, values, f"shape (n, {count})")
    if array.ndim != 2 or array.shape[1] != count:
        raise InputError(f"{field}: shape {array.shape}; must be (n, {count})")
    return array


@dataclass(frozen=True)
class _Saved:
    """What a file of :meth:`Session.save` holds, with every value in its range but for the coefficients."""

    spec: LearnerSpec
    coefficients: list[npt.ArrayLike]
    learning_rates: list[int]
    noise: int | None

    @classmethod
    def read(cls, path: Path) -> Self:
        try:
            return cls._from_arrays(read_arrays(path))
        except (KeyError, TypeError, json.JSONDecodeError):  # something is missing, or of another kind
            raise InputError("not a saved learner; give a file that save wrote") from None

    @classmethod
    def _from_arrays(cls, content: dict[str, npt.NDArray[Any]]) -> Self:
        try:
            spec = LearnerSpec.from_dict(json.loads(str(content["spec"])))
        except SpecError as error:
            raise InputError(f"the saved spec does not work here ({error}); save it again with this version") from None
        rates = _in_range("learning_rates", content["learning_rates"], spec.formats.learning_rate.maximum)
        if rates.shape != (spec.n_layers,):
            raise InputError(f"learning_rates: shape {rates.shape}; must be ({spec.n_layers},)")
        noise = int(_in_range("noise", content["noise"], (1 << NOISE_WIDTH) - 1)) if "noise" in content else None
        coefficients = [content[f"coefficients_{index}"] for index in range(spec.n_layers)]
        return cls(spec, list(coefficients), [int(rate) for rate in rates], noise)


def _in_range(field: str, codes: npt.NDArray[Any], highest: int) -> npt.NDArray[Any]:
    if codes.dtype.kind not in "iu" or codes.size == 0 or codes.min() < 0 or codes.max() > highest:
        raise InputError(f"{field}: must be integers from 0 to {highest}; give a file that save wrote")
    return codes


def write_arrays(path: Path, content: dict[str, Any]) -> None:
    """Writes arrays by name to an ``.npz`` file, which is complete or not there."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise InputError(
            f"save: {str(path)!r}: {error.strerror or error}; name a file in a folder that can be written"
        ) from None


def read_arrays(
    path: Path, kind: str = "a saved learner", mend: str = "give a file that save wrote"
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file, each as it was written; a message says that it is not ``kind``, and ``mend``."""
    try:
        with zipfile.ZipFile(path) as members:
            damaged = members.testzip()
        if damaged is None:
            with np.load(path, allow_pickle=False) as content:
                return dict(content)
    except OSError as error:
        raise InputError(f"{error.strerror or f'not {kind}'}; {mend}") from None
    except Exception:  # only zipfile, zlib and numpy run here: they have a dozen ways to stumble over a damaged file
        raise InputError(f"not {kind}; {mend}") from None
    raise InputError(f"{damaged!r} is damaged; {mend}")
