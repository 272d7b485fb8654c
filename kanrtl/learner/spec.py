"""What a learner is: one validated description, from Python or from a flat TOML file with the same names."""

from __future__ import annotations

import inspect
import math
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from ..errors import InputError, LearningWarning, SpecError, warn_user
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..file_content import read_text
from ..files import as_path
from ..numeric.fixed import Codes, Format
from .arithmetic import LayerArithmetic, layers_of
from .fields import LearnerFields, one_line
from .folded_schedule import FoldedSchedule
from .formats import LearnerFormats, derive_formats
from .guard_settings import LIMITS
from .losses import find_loss
from .plan import LayerPlan, count_restart_cycles, plan_learner
from .schedule import Schedule
from .stability import Stability
from .stages import rename_presets
from .validation import check_arithmetic, check_fields

if TYPE_CHECKING:
    from ..transfer.start import Start, TrainedNetwork
    from .estimate.estimate import Estimate


class RateRegister(NamedTuple):
    """A register that holds a rate: its format, and the code that it begins with."""

    format: Format
    code: int


_PORT = re.compile(r"(?:serial:)?(?P<serial>/dev/.+|COM\d+)|(?:tcp:)?(?P<tcp>[\w.-]+:\d+)")
"""What a port of a device may be called, where its address is wanted."""


def _meant_as_address(text: str) -> str:
    """What a message says besides of what is read as a file, and may be meant as the port of a device."""
    match = _PORT.fullmatch(text)
    return f"; for a learner there give its address, {match.lastgroup}://{match[match.lastindex or 0]}" if match else ""


def _is_device(path: Path) -> bool:
    """Whether a path is that of a serial port or such, from which nothing may ever come. Where that cannot be told,
    what reads it says why."""
    with suppress(OSError):
        return path.is_char_device()
    return False


_LARGEST = 1 << 24
"""Bytes of a file of a spec, which has a few hundred; more where it lists coefficients."""


class LearnerSpec(LearnerFields):
    __doc__ = LearnerFields.__doc__

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise one_line(error) from None
        except RecursionError:
            raise SpecError("spec: a field has lists in lists in lists; give plain values") from None
        check_fields(self)
        check_arithmetic(self, self.formats, self.layers)

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """From a pickle, the fields alone: what follows from them is derived anew, as this version does it. A field
        that its version did not have is at its default."""
        known = type(self).model_fields
        given = rename_presets(state["__dict__"])
        fields = {name: field.default for name, field in known.items() if not field.is_required()}
        fields |= {name: value for name, value in given.items() if name in known}
        super().__setstate__(state | {"__dict__": fields})

    def __repr_args__(self) -> Iterator[tuple[str, Any]]:
        """Of a representation, which makes the spec again: the fields that are not at their defaults."""
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if field.is_required() or value != field.default:
                yield name, value

    def __str__(self) -> str:
        return repr(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """A spec from a mapping of field names to plain values, as a TOML file holds them."""
        if not isinstance(fields, Mapping) or not all(isinstance(name, str) for name in fields):
            raise SpecError("fields: not a mapping of names to values; give one such as {'layer_sizes': [1, 1]}")
        return cls(**fields)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read a flat TOML file. Raise :exc:`SpecError` for a file that cannot be read or is not such a file."""
        name = as_path(path)
        if _is_device(name):
            raise SpecError(f"spec file {str(path)!r}: is a device; name a TOML file{_meant_as_address(str(path))}")
        try:
            fields = tomllib.loads(read_text(name, _LARGEST))
        except OSError as error:
            reason, mend = error.strerror or error, _meant_as_address(str(path))
            raise SpecError(f"spec file {str(path)!r}: {reason}; name a TOML file{mend}") from None
        except InputError as error:
            if "zip archive" in str(error):  # as networks and learners are saved in
                mend = "give a network to LookupNetwork.load, and of a saved learner its spec, and load it then"
                raise SpecError(f"spec file {str(path)!r}: is no TOML file but a zip archive; {mend}") from None
            raise SpecError(f"spec file {str(path)!r}: {error}") from None
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            reason = str(error).replace("Cannot overwrite a value", "a field is given twice")
            raise SpecError(f"spec file {str(path)!r}: not TOML ({reason}); mend the file") from None
        except ValueError:  # Python reads no more
            reason = f"has an integer of more than {sys.get_int_max_str_digits()} digits"
            raise SpecError(f"spec file {str(path)!r}: {reason}; mend the file") from None
        return cls.from_dict(fields)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked again."""
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | changes)

    def for_device(self, device: Device) -> Self:
        """The spec as it is built for a device, with ``auto`` decided.

        Where a family has no distributed memory, as iCE40, what would go there goes to block memory. Where multipliers
        are timed only with registers around them, there is a register after every stage. The bits are the same,
        except where samples stream and :attr:`delays` change: behind a block memory, if the pipeline has no register
        there; builds refuse that. Raises :exc:`SpecError` where a choice cannot be had.
        """
        if self.multiplier == "dsp" and not device.dsp:
            raise SpecError.of("multiplier", "dsp", f'{device.name} has no multipliers; use "auto", "lut" or "serial"')
        family = FAMILIES[device.family]
        changes: dict[str, Any] = {}
        if not family.blocks.distributed:
            if "distributed" in self.per_layer("memory"):
                refusal = f'{family.title} has no distributed memory; use "auto" or "block"'
                raise SpecError.of("memory", self.memory, refusal)
            changes["memory"] = tuple("block" if choice == "auto" else choice for choice in self.per_layer("memory"))
        if not family.times_multipliers:
            # A subtraction would part a multiplier from the register before it.
            sums = tuple("products" if choice == "auto" else choice for choice in self.per_layer("edge_sums"))
            automatic = "all_registers" if self.schedule == "streaming" else "most_registers"
            changes |= {"edge_sums": sums, "pipeline": automatic if self.pipeline == "auto" else self.pipeline}
        return self.replace(**changes) if changes else self

    def estimate(self, device: str | Device) -> Estimate:
        """What the learner will take of a device, such as "LFE5U-25F": see :class:`.Estimate`."""
        from .estimate.estimate import estimate  # it stands above

        return estimate(self, device)

    def warn(self) -> None:
        """Warn of what works, and hardly as it is meant: a learning rate at which the learner may diverge
        (:exc:`kanrtl.StabilityWarning`), a guard without a limit, or with one that is never reached
        (:exc:`kanrtl.LearningWarning`)."""
        self.stability.warn()
        if self.guard is None:
            return
        self.guard.warn(self.n_out, self.largest_gradients, self.interval)
        if self.guard.is_idle:
            warn_user(
                f"guard = {self.guard.to_dict()}: has no limit, so that it sees nothing; set one of "
                f"{', '.join(LIMITS)}, here or in the session",
                LearningWarning,
            )

    def start_from(self, network: TrainedNetwork, x: npt.ArrayLike | None = None, **options: Any) -> Start:
        """This spec with the coefficients that are nearest to a trained network, such as an importer or
        :meth:`kanrtl.Session.freeze` gives, and how near they are. Arguments as for
        :func:`kanrtl.lookup.to_learner`."""
        from ..transfer.start import to_learner  # it stands above

        return to_learner(network, self, x, **options)

    @cached_property
    def formats(self) -> LearnerFormats:
        """Every format, given or derived."""
        return derive_formats(self)

    @property
    def target_format(self) -> Format:
        """Of what the teacher sends: a target, or with ``loss="external"`` a gradient."""
        return find_loss(self.loss).target_format(self.layers[-1].formats)

    @property
    def input_period(self) -> float | None:
        """The period of the inputs in LSBs, where the first layer's grid is periodic: real inputs beyond their format
        come back into it. None where edges are modulated, as what multiplies them does not wrap."""
        return self.layers[0].input_period

    @cached_property
    def layers(self) -> tuple[LayerArithmetic, ...]:
        """The arithmetic of every layer, first layer first."""
        return layers_of(self, self.formats)

    @cached_property
    def rate_registers(self) -> tuple[RateRegister, ...]:
        """The registers of rates: the learning rate of every layer, then those of the linear paths of layers that have
        them."""
        formats, linear = self.formats, [layer.linear for layer in self.layers if layer.linear]
        return (
            *(RateRegister(formats.learning_rate, layer.learning_rate_code) for layer in self.layers),
            *(RateRegister(one.rate, one.rate_code) for one in linear),
        )

    @cached_property
    def timing(self) -> Schedule | FoldedSchedule:
        """When everything happens, in clock cycles."""
        schedule = Schedule.of(self, self.layers)
        return FoldedSchedule.of(self, self.layers, schedule) if self.folded else schedule

    @cached_property
    def plans(self) -> tuple[LayerPlan, ...]:
        """How every layer is built, first layer first."""
        return plan_learner(self, self.layers, self.timing)

    @property
    def largest_gradients(self) -> dict[str, float]:
        """The largest dL/dy of an output, by what sets it, as messages name that; infinity where it does not."""
        return {
            f"gradient_limit = {self.gradient_limit}": self.gradient_limit or math.inf,
            f'loss = "{self.loss}"': find_loss(self.loss).largest_gradient,
        }

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge that writes its update."""
        return self.timing.latency

    @property
    def interval(self) -> int:
        """Clock cycles from one taught sample to the next; in the sequential schedule the same as the latency."""
        return self.timing.interval

    @property
    def restart_cycles(self) -> int | None:
        """Clock cycles from the last edge at which the reset is active, or that at which the control register is told
        to restore, to the first edge at which a sample can be taken. None with ``initial="memory"``, where a sample can
        be taken at the next."""
        if not self.restarts:
            return None
        registers = len(self.rate_registers) + 2 * (self.update_rounding == "stochastic")
        return count_restart_cycles(self.plans, self.timing.access_cycles, registers)

    @property
    def delays(self) -> tuple[int, ...]:
        """For every layer, how many samples later a prediction sees a sample's update, where samples come at every
        clock; 1, exact SGD, in the sequential schedule."""
        return self.timing.delays

    @cached_property
    def stability(self) -> Stability:
        """Up to which learning rates the last layer is stable, where samples come at every clock."""
        return self.stability_at()

    def stability_at(self, learning_rate: float | None = None, linear_rate: float | None = None) -> Stability:
        """The same at other rates of the last layer."""
        return Stability.of(self.layers[-1], find_loss(self.loss), self.delays[-1], learning_rate, linear_rate)

    def initial_codes(self) -> list[Codes]:
        """Initial coefficient codes, one array ``(n_out, n_in, coefficients)`` per layer."""
        choice = self.initial_coefficients
        if choice is None:
            choice = "zeros" if self.n_layers == 1 else "uniform"
        random = np.random.default_rng(self.seed)
        codes = []
        for index, layer in enumerate(self.layers):
            shape = (layer.n_out, layer.n_in, layer.bases)
            if choice == "zeros":
                real: Any = np.zeros(shape)
            elif choice == "uniform":
                real = random.uniform(-1, 1, shape) / np.sqrt(layer.n_in)
            else:
                real = np.array(choice[index], dtype=np.float64)
            if isinstance(choice, str) and layer.linear:
                real = np.concatenate([real, np.zeros((*shape[:2], 1))], axis=2)
            codes.append(layer.formats.coefficient.quantise(real))
        return codes


# What help and notebooks show of it: names and defaults. Pydantic's own has each field's validators, pages of them.
LearnerSpec.__signature__ = inspect.Signature(
    [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(LearnerFields).parameters.values()
    ]
)
