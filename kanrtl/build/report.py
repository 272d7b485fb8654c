"""What came of a build, for programs and for people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..errors import BuildError, ToolError
from ..fabric.device import Device
from ..fabric.families import FAMILIES


@dataclass(frozen=True)
class Report:
    """What came of a build.

    Attributes
    ----------
    device : str
        The part, as asked for.
    seed : int
        The seed of placement; the same seed gives the same result.
    clock_mhz : float
        The frequency that the tools aimed at: what was asked for, else more than can be had.
    fmax_mhz : float or None
        The frequency that the design reaches, of kind ``fmax_kind``; None where nothing can be said.
    fmax_kind : str
        ``measured``: nextpnr has timed every path between registers. ``derated``: it has not timed paths
        through multipliers; their delay is added from data. ``unverified``: it has not, and there are no
        data. ``none``: no path leads from register to register.
    fmax_nextpnr_mhz : float or None
        The frequency that nextpnr says.
    timing_met : bool or None
        Whether ``fmax_mhz`` is known and not below ``clock_mhz``; None where nobody asked for a frequency.
    latency_cycles, interval_cycles : int or None
        The cycles of a step, and from one sample to the next, where the caller stated them.
    step_ns : float or None
        ``latency_cycles`` at ``fmax_mhz``, in ns.
    lut, ff, dsp, bram : int
        What the design takes. ``lut`` counts LUT4 on ECP5, those of distributed memories included, and logic
        cells on iCE40, those with nothing but a flip-flop included. ``ff`` leaves out registers within multipliers
        and memory blocks.
    lutram : int
        The LUTs among ``lut`` that are distributed memory. Each group of four also blocks two that nextpnr does not
        count.
    capacity : dict
        The ``lut``, ``ff``, ``dsp`` and ``bram`` that the device has.
    critical_path : dict
        Its ``summary`` in one sentence; ``delay_ns``; ``routing_ns``; ``hops``, each with ``kind`` (``logic`` or
        ``routing``), ``cell``, ``delay_ns`` and ``source``. Empty where ``fmax_kind`` is ``none``.
    tools : dict
        The versions of the tools, by name.
    notes : list of str
        What a reader of the figures must know.
    bitstream : str or None
        The path of the bitstream, where one was made.
    """

    device: str
    seed: int
    clock_mhz: float
    fmax_mhz: float | None
    fmax_kind: str
    fmax_nextpnr_mhz: float | None
    timing_met: bool | None
    lut: int
    ff: int
    dsp: int
    bram: int
    lutram: int
    capacity: dict[str, int]
    critical_path: dict[str, Any]
    tools: dict[str, str]
    notes: list[str] = field(default_factory=list)
    latency_cycles: int | None = None
    interval_cycles: int | None = None
    step_ns: float | None = None
    bitstream: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as a dictionary that :mod:`json` can write."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """The report that :meth:`to_json` made.

        Raises
        ------
        TypeError
            If a value is missing or not known.
        """
        return cls(**{str(key): value for key, value in values.items()})

    def with_facts(self, facts: Mapping[str, int] | None) -> "Report":
        """This report with the cycle counts in ``facts``, and the time of a step that comes of them.

        Raises
        ------
        BuildError
            If a fact is not one of ``latency_cycles`` and ``interval_cycles``.
        """
        facts = check_facts(facts)
        latency = facts.get("latency_cycles")
        step = None if latency is None or self.fmax_mhz is None else round(latency * 1000 / self.fmax_mhz, 2)
        return replace(self, latency_cycles=latency, interval_cycles=facts.get("interval_cycles"), step_ns=step)

    def table(self) -> list[tuple[str, str]]:
        """The labels and values of all that a person wants to see, in order."""
        fmax = "unknown" if self.fmax_mhz is None else f"{self.fmax_mhz:.1f} MHz"
        rows = [
            ("device", f"{self.device}, seed {self.seed}"),
            ("fmax", fmax + ("" if self.fmax_kind == "measured" else f" ({self.fmax_kind})")),
            ("clock asked for", self._judgement()),
            ("latency", "" if self.latency_cycles is None else _cycles(self.latency_cycles)),
            ("interval", "" if self.interval_cycles is None else _cycles(self.interval_cycles)),
            ("one step", "" if self.step_ns is None else f"{self.step_ns:g} ns"),
            (
                FAMILIES[Device.parse(self.device).family].resources.lut_name,
                self._used("lut") + (f", {self.lutram} as memory" if self.lutram else ""),
            ),
            ("flip-flops", self._used("ff")),
            ("multipliers", self._used("dsp")),
            ("memory blocks", self._used("bram")),
            ("critical path", self.critical_path.get("summary", "")),
            ("bitstream", self.bitstream or ""),
            *(("note", note) for note in self.notes),
        ]
        return [row for row in rows if row[1]]

    def _judgement(self) -> str:
        return "" if self.timing_met is None else f"{self.clock_mhz:g} MHz, {'met' if self.timing_met else 'not met'}"

    def _used(self, name: str) -> str:
        number, of = getattr(self, name), self.capacity[name]
        return f"{number} of {of}" + (f" ({100 * number / of:.0f}%)" if of else "")


def check_facts(facts: Mapping[str, int] | None) -> Mapping[str, int]:
    """Return ``facts`` for :meth:`Report.with_facts`; raise :exc:`BuildError` if one of them is not known."""
    for name in facts or {}:
        if name not in ("latency_cycles", "interval_cycles"):
            raise BuildError(f"facts: {name!r} is not known; state latency_cycles and interval_cycles")
    return facts or {}


class TimingError(ToolError):
    """A design that is built but slower than its board's clock. ``report`` has the details."""

    def __init__(self, message: str, report: Report):
        super().__init__(message)
        self.report = report


def _cycles(count: int) -> str:
    return f"{count} cycle{'' if count == 1 else 's'}"
