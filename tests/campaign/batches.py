"""Cases of a campaign in processes of their own: what hangs or crashes there is a finding, and ends nothing else."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from amaranth.hdl._nir import Netlist

from campaign.cases import Case, RefusedError
from kanrtl.experiments.runs import end_with_parent
from kanrtl.simulators.cxxrtl_batch import compile_together

Send = Callable[[Any], None]


@dataclass(frozen=True)
class Outcome:
    """What came of a case: a fault, or none; ``refused`` where there is no such hardware."""

    fault: str | None = None
    refused: bool = False


@dataclass(frozen=True)
class Check:
    """What is done with a case: the backends that are compared with the model, or what is verified in their stead, a
    device's netlist or a board's bitstream. ``brief``: a slow backend is sent a part of the stimulus."""

    backends: tuple[str, ...] = ()
    device: str | None = None
    board: str | None = None
    brief: bool = False

    @property
    def seconds(self) -> float:
        """The longest that a case may take: what tools make takes minutes, more so where other work goes on beside."""
        if self.board is not None:
            return 900
        return 120 if self.device is None else 300

    def suit(self, case: Case) -> Check:
        """The same without the slow backend, where a case has so much to read back that it would take minutes there."""
        return replace(self, backends=self.backends[:1], brief=False) if self.brief and not case.is_short else self

    def find_fault(self, case: Case) -> str | None:
        if self.device is not None:
            return case.find_fault_in_netlist(self.device)
        if self.board is not None:
            return case.find_fault_in_bitstream(self.board)
        return (case.shorten() if self.brief else case).find_fault(list(self.backends))


def run_batch(cases: list[Case], checks: list[Check]) -> list[Outcome | None]:
    """The outcome of each case: None for those that were not reached before the process ended or the time was over."""
    found: list[Outcome | None] = [None] * len(cases)
    seconds = sum(check.seconds for check in checks)
    for index, outcome in _run_apart(lambda send: _compare_all(cases, checks, send), seconds):
        found[index] = outcome
    return found


def run_alone(case: Case, check: Check) -> Outcome:
    """The outcome of one case; a process that ends otherwise is a fault too."""
    (found,) = run_batch([case], [check])
    return Outcome(f"no end within {check.seconds:.0f} s, or the process died") if found is None else found


def _compare_all(cases: list[Case], checks: list[Check], send: Send) -> None:
    # Loops are looked for in every test of the product, and take a quarter of the time of an elaboration.
    Netlist.check_comb_cycles = lambda _self: None
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    designs = []
    for case, check in zip(cases, checks, strict=True):
        if "native" in check.backends:
            with suppress(Exception):  # it comes again when the case is run, and is told there
                design = case.design()
                _ = design.rtlil
                designs.append(design)
    with compile_together(designs):
        for index, (case, check) in enumerate(zip(cases, checks, strict=True)):
            send((index, _compare(case, check)))


def _compare(case: Case, check: Check) -> Outcome:
    try:
        return Outcome(check.find_fault(case))
    except RefusedError:
        return Outcome(refused=True)
    except Exception as error:  # whatever it is, it is not what the model does
        return Outcome(f"{type(error).__name__}: {error}")


def _run_apart(work: Callable[[Send], None], seconds: float) -> list[Any]:
    """What ``work`` sends from a process, until that ends or the time is over; nothing of it is left then."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def begin() -> None:
        os.setpgid(0, 0)
        end_with_parent()
        work(sender.send)

    process = context.Process(target=begin)
    process.start()
    sender.close()
    sent = []
    try:
        with suppress(EOFError):
            while receiver.poll(seconds):
                sent.append(receiver.recv())
    finally:
        receiver.close()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join()
    return sent
