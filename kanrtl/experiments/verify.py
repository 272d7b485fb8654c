"""Compares what goes onto a chip, gate by gate or as its bitstream configures it, with the integer model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import check_at_least
from ..boards import Board
from ..build.capacity import check_fits
from ..build.design_builds import build_linked, fit_spec
from ..build.placed_netlist import PLACED_NAME, PlacedNetlist
from ..build.programming import check_bitstream
from ..errors import InputError, SpecError, join_choices
from ..fabric.device import Device
from ..folders import temporary_folder
from ..learner.rtl.guard import Guard
from ..learner.spec import LearnerSpec
from ..link.host_link import FRAME_OVERHEAD, HostLink
from ..link.layout import BAUD, LARGEST_PAYLOAD, WIRE_BITS
from ..link.transport import Transport
from ..lookup.network import LookupNetwork
from ..numeric.fixed import Codes
from ..progress import Progress
from ..sessions.backends.model import ModelLearner, ModelNetwork
from ..sessions.backends.native import NativeLearner, NativeNetwork
from ..sessions.linked_learner import LinkedLearner, find_difference
from ..simulators.bitstream_proof import count_compared, find_unequal
from ..simulators.bitstream_rtlil import count_cells
from ..simulators.netlist_rtlil import MODELLED, simulate_cells
from ..virtual.bitstream_simulation import Edit, await_reset, check_readable, read_bitstream, simulate_chip
from ..virtual.board_simulation import simulate_board
from ..virtual.simulated_wire import SimulatedWire
from .exercise import Difference, compare_learners, draw_exercise
from .line_traffic import compare_traffic, draw_bursts

SAMPLES = 1000
"""How many samples are compared by default."""

SAMPLES_PER_ITEM, FEWEST_ITEMS = 4, 24
"""A bitstream gets a frame or stream of bytes drawn at random for so many samples, as it takes as many times longer;
and no fewer than this."""

PATIENCE_BYTES = 4 * (LARGEST_PAYLOAD + FRAME_OVERHEAD)
"""How many bytes' time a simulated device has to answer, beside what it computes: more than a request and its answer
take."""


@dataclass(frozen=True)
class Verification:
    """What came of a comparison.

    Attributes
    ----------
    device : str
        The part that the netlist, or the bitstream, is for.
    samples : int
        How many samples were compared: up to the first that differs.
    cycles : int
        The clock cycles that it took for them; of a bitstream those of the serial port too.
    seed : int
        What the samples were drawn with.
    cells : dict
        The cells of the netlist, or those that the bitstream configures, by kind, and how many of each there are.
    observed : dict
        Latencies and intervals that were seen at the netlist's ports, in cycles; empty for a bitstream.
    difference : Difference or None
        The first difference from the model; None where there is none.
    compared_cells : int or None
        Of a bitstream that was built for the comparison, how many logic cells and memories were compared with those of
        the netlist, for every input; None of others.
    unequal_cells : list of str
        Those of them that differ. Where any does, no sample was sent.
    """

    device: str
    samples: int
    cycles: int
    seed: int
    cells: dict[str, int]
    observed: dict[str, list[int]]
    difference: Difference | None
    compared_cells: int | None = None
    unequal_cells: list[str] = field(default_factory=list)

    @property
    def matches(self) -> bool:
        """Whether everything was equal."""
        return self.complaint is None

    @property
    def complaint(self) -> str | None:
        """What differs from what, in words; None where nothing does."""
        if self.unequal_cells:
            first, *others = self.unequal_cells
            return f"differs from its netlist: {first}{f' and {len(others)} more' if others else ''}"
        if self.difference is None:
            return None
        other = "its design" if self.difference.what == "answers" else "the model"
        return f"differs from {other}: {self.difference}"

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        difference = None if self.difference is None else vars(self.difference)
        return {
            **vars(self),
            "cells": dict(sorted(self.cells.items())),
            "matches": self.matches,
            "difference": difference,
        }


def verify(
    design: LearnerSpec | LookupNetwork,
    device: str,
    samples: int = SAMPLES,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    **options: Any,
) -> Verification:
    """Simulate the netlist that place and route is given, cell by cell, beside the integer model.

    Of a learner predictions are compared, and between runs of samples its coefficients, rates, noise register and
    counters; in between it is written to, frozen and let go. Latency and interval have to be those of the spec. Of a
    network predictions are compared: of all inputs where there are no more than ``samples``.

    Parameters
    ----------
    design
        The learner or the network.
    device
        The part, by a name that :meth:`kanrtl.fabric.device.Device.parse` knows.
    samples
        How many samples are sent.
    seed
        What they are drawn with.
    progress
        Told what takes a while.
    options
        For a network, how it becomes hardware: parameters of :class:`kanrtl.LookupCore`, such as ``latency``.

    Raises
    ------
    InputError
        If ``samples`` or ``options`` cannot be, or the cells of the device's family have no models.
    BuildError
        If there is no such device.
    ToolError
        If a tool is missing or fails.
    """
    samples = check_at_least("samples", samples, 1)
    part = Device.parse(device)
    if part.family not in MODELLED:
        raise InputError(
            f"device = {device!r}: there are no models of the cells of {part.family}; use one of "
            f"{join_choices(MODELLED)}"
        )
    cells: dict[str, int] = {}

    def rewrite(rtlil: str) -> str:
        return simulate_cells(rtlil, "dut", part, cells, progress)

    if isinstance(design, LookupNetwork):
        return _verify_network(design, part, samples, seed, cells, rewrite, progress, options)
    if options:
        raise InputError(f"{min(options)}: not known for a learner; set it in the spec")
    spec = fit_spec(design, part)
    netlist = NativeLearner(spec, None, progress, rewrite)
    try:
        if progress is not None:
            progress(f"comparing {samples} samples")
        difference, sent = compare_learners(ModelLearner(spec), netlist, draw_exercise(spec, samples, seed))
        observed = netlist.observed
        difference = difference or compare_cycles(spec, observed, sent)
        return Verification(part.name, sent, netlist.cycles, seed, cells, observed, difference)
    finally:
        netlist.close()


def verify_bitstream(
    spec: LearnerSpec,
    board: Board,
    samples: int = SAMPLES,
    *,
    seed: int = 0,
    baud: int = BAUD,
    bitstream: Path | None = None,
    edit: Edit | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Read a bitstream back into logic, compare that with the netlist that it was made from, and simulate it, from pin
    to pin, beside the integer model.

    Of each logic cell and memory it is proved that it is that of the netlist, for every input. Then the same is done
    and compared as in :func:`verify`, through the board's serial port: the bitstream is that of ``kanrtl build --board
    NAME --host uart``. At last it is started anew, and sent whatever a line can carry: it must answer as the design
    does that it was built from, to the byte and to the cycle.

    Parameters
    ----------
    spec
        The learner.
    board
        The board, with an iCE40 and a serial port.
    samples, seed
        As of :func:`verify`.
    baud
        The rate of the serial port, in bits per second.
    bitstream
        The packed bitstream, as it is loaded into the board; by default it is built. Nothing is proved of one that is
        given, as it does not tell which of its cells is which.
    edit
        What is changed in its configuration before it is read: to see that a fault is found.
    progress
        Told what takes a while.

    Raises
    ------
    InputError
        If ``samples`` or the board cannot be, or the bitstream is none for that board, or has another
        learner or none.
    SpecError
        If the learner takes multipliers of the chip, which cannot be read back, or has no link.
    BuildError
        If the learner does not fit, or the bitstream cannot be built.
    ToolError
        If a tool is missing or fails.
    """
    samples = check_at_least("samples", samples, 1)
    part = check_readable(board)
    check_fits(spec, part)
    fitted = fit_spec(spec, part)
    multipliers = fitted.estimate(board.device).dsp
    if multipliers:
        raise SpecError.of(
            "multiplier",
            spec.multiplier,
            f"takes {multipliers} multipliers of the chip, which no tool reads back from a bitstream; set it to "
            f'"lut" or "serial", or verify the netlist for --device {board.device}',
        )
    netlist: PlacedNetlist | None = None
    with temporary_folder() as cwd:
        if bitstream is not None:
            check_bitstream(board, bitstream, "bitstream")
        else:
            bitstream = cwd / "board.bin"
            build_linked(spec, board, baud=baud, output=bitstream, keep=cwd, progress=progress)
            netlist = PlacedNetlist.read(cwd / PLACED_NAME)
        chip = read_bitstream(bitstream, board, progress, edit)
    cells = count_cells(chip)
    compared = None if netlist is None else count_compared(netlist)
    if netlist is not None and (unequal := find_unequal(netlist, chip, progress)):
        return Verification(board.device, 0, 0, seed, cells, {}, None, compared, unequal)
    simulation = simulate_chip(chip, board, baud, progress)
    if progress is not None:
        progress(f"comparing {samples} samples")
    try:
        await_reset(simulation, board)
        wire = SimulatedWire(simulation, board.clock_mhz * 1e6)
        difference, sent, built = compare_linked(spec, board, wire, samples, seed, baud)
        cycles = simulation.cycles
        if difference is None:
            simulation.restart()
            await_reset(simulation, board)
            bursts = draw_bursts(built, max(samples // SAMPLES_PER_ITEM, FEWEST_ITEMS), seed)
            if progress is not None:
                progress(f"comparing answers to {len(bursts)} bursts of requests, damaged frames and other bytes")
            design = simulate_board(built, board, baud, progress)
            try:
                difference = compare_traffic(design, simulation, bursts)
            finally:
                design.close()
            cycles += simulation.cycles
        return Verification(board.device, sent, cycles, seed, cells, {}, difference, compared)
    finally:
        simulation.close()


def compare_linked(
    spec: LearnerSpec, board: Board, wire: Transport, samples: int, seed: int = 0, baud: int = BAUD
) -> tuple[Difference | None, int, LearnerSpec]:
    """Compare a learner at the other end of a quiet wire with the integer model, as :func:`verify_bitstream` does.

    Nothing is lost on such a wire: what has to be sent again is a difference, and what does not answer at once never
    will.

    Parameters
    ----------
    spec
        The learner.
    board
        The one that it is built for.
    wire
        What leads to it; it stays open.
    samples, seed, baud
        As of :func:`verify_bitstream`.

    Returns
    -------
    Difference or None
        The first difference; None where there is none.
    int
        How many samples were compared.
    LearnerSpec
        What it was built from: the spec, with the pipeline that was chosen.

    Raises
    ------
    InputError
        If what answers is not to be understood, or another learner, which is told by a field where one differs.
    LinkError
        If nothing answers, or nothing does any more.
    """
    fitted = fit_spec(spec, Device.parse(board.device))
    tables = sum(plan.making_cycles for plan in fitted.plans if not plan.folded and plan.block_tables)
    computed = LARGEST_PAYLOAD * fitted.interval + tables
    link = HostLink(wire, PATIENCE_BYTES * WIRE_BITS / baud + computed / (board.clock_mhz * 1e6))
    learner = LinkedLearner(link)
    # A build for a board chooses the pipeline where that is left open, and changes no bit.
    expected = fitted.replace(pipeline=learner.spec.pipeline) if spec.pipeline == "auto" else fitted
    differing = find_difference(link.device, fitted)
    # Initial coefficients that are arrays do not travel; the digest has told whether they differ.
    told = learner.spec.replace(initial_coefficients=expected.initial_coefficients)
    if differing is not None or told != expected or expected.delays != fitted.delays:
        if differing is None:
            raise InputError("bitstream: has a learner of another spec; give that, or build it anew")
        field, built = differing
        reason = f"the bitstream has a learner with {built}; give its spec, or build it anew"
        raise SpecError.of(field, getattr(spec, field), reason)
    exercise = draw_exercise(expected, samples, seed)
    difference, sent = compare_learners(ModelLearner(expected), learner, exercise)
    if difference is None and link.recoveries:
        difference = Difference("requests sent again", sent - 1, [0], [link.recoveries])
    return difference, sent, expected


def compare_cycles(spec: LearnerSpec, observed: dict[str, list[int]], sent: int) -> Difference | None:
    """Give the first kind of cycles, as a simulation has observed them, that are not those of the spec; None where all
    are. A run may be too short to have any."""
    expected = {
        "latency": spec.latency,
        "prediction_latency": spec.timing.prediction_latency,
        "interval": spec.interval,
    }
    # A sample may wait for an access of the guard, and for no longer.
    waits = {"interval": Guard(spec, spec.guard, addressed=True).slot_cycles} if spec.guard is not None else {}
    for kind, cycles in expected.items():
        allowed = range(cycles, cycles + waits.get(kind, 0) + 1)
        if any(found not in allowed for found in observed[kind]):
            return Difference(kind, sent - 1, [cycles], observed[kind])
    return None


def _verify_network(
    network: LookupNetwork,
    part: Device,
    samples: int,
    seed: int,
    cells: dict[str, int],
    rewrite: Any,
    progress: Progress | None,
    options: dict[str, Any],
) -> Verification:
    netlist = NativeNetwork(network, {"family": part.family, **options}, None, progress, rewrite)
    try:
        codes = _draw_codes(network, samples, seed)
        if progress is not None:
            progress(f"comparing {len(codes)} samples")
        model = ModelNetwork(network, options, None)
        expected, found = model.run(codes), netlist.run(codes)
        wrong = np.flatnonzero((expected != found).any(axis=1))
        difference = None
        if len(wrong):
            row = int(wrong[0])
            difference = Difference("predictions", row, expected[row].tolist(), found[row].tolist())
        return Verification(part.name, len(codes), netlist.cycles, seed, cells, netlist.observed, difference)
    finally:
        netlist.close()


def _draw_codes(network: LookupNetwork, samples: int, seed: int) -> Codes:
    """Inputs as the ports carry them: all there are, or the lowest, the highest and others at random."""
    format = network.sample_format
    count = 1 << format.width
    if network.n_in * format.width <= 30 and count**network.n_in <= samples:
        rows = np.indices((count,) * network.n_in).reshape(network.n_in, -1).T
        return rows + format.minimum
    random = np.random.default_rng(seed)
    codes = random.integers(format.minimum, format.maximum + 1, (samples, network.n_in))
    codes[: min(2, samples)] = [[format.minimum], [format.maximum]][: min(2, samples)]
    return codes
