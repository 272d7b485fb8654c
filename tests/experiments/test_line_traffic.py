"""What a line can carry, drawn at random, and devices that answer it alike or do not."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.bitstreams import SPEC
from bench.foreign.configuration import Bit, find_bits, invert_bit
from bench.link_fuzz import ReferenceDevice
from kanrtl import LearnerSpec
from kanrtl.boards import BOARDS
from kanrtl.build.design_builds import fit_spec
from kanrtl.experiments.exercise import Difference
from kanrtl.experiments.line_traffic import Burst, Traffic, compare_traffic, draw_bursts, find_next_number
from kanrtl.experiments.verify import compare_linked, verify_bitstream
from kanrtl.fabric.device import Device
from kanrtl.link.frame_codec import FrameReader, decode_frame, encode_frame
from kanrtl.link.identification_rom import write_identification
from kanrtl.link.layout import BUFFER_BYTES, PIECE_BYTES, Kind
from kanrtl.simulators.native_serial import NativeSerial
from kanrtl.virtual.board_simulation import simulate_board
from kanrtl.virtual.simulated_wire import SimulatedWire
from support.foreign_tools import need
from support.linked_boards import tracker

BOARD = BOARDS["icebreaker"]


@pytest.fixture(autouse=True)
def optimised(compiled: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001  keeps what is compiled
    """There are many cycles in a byte: to compile a little longer saves much."""
    monkeypatch.setenv("CXXFLAGS", "-O1 -fno-sanitize=all")


def frames(content: bytes) -> list[bytes]:
    """The contents of the whole frames in it."""
    decoded = (decode_frame(frame) for frame in FrameReader().feed(content))
    return [found for found in decoded if found]


def test_bursts_ask_for_everything_and_more_than_there_is_room_for() -> None:
    bursts = draw_bursts(tracker(), 600, 0)
    assert bursts == draw_bursts(tracker(), 600, 0)
    assert bursts != draw_bursts(tracker(), 600, 1)
    kinds = [[found[0] for found in frames(burst.content)] for burst in bursts]
    assert all(burst[0] == Kind.HELLO for burst in kinds)
    assert kinds[0][1:] == [Kind.ROM] * -(-len(write_identification(tracker())) // PIECE_BYTES)
    assert {kind for burst in kinds for kind in burst} > set(Kind)
    assert any(len(burst.content) > BUFFER_BYTES for burst in bursts)
    assert len({burst.quiet for burst in bursts}) > 1
    assert len(draw_bursts(tracker(), 1, 0)) == 2


@given(st.integers(0, 2**32), st.booleans())
def test_the_number_that_is_next_is_the_references(seed: int, begin_anew: bool) -> None:
    """The reference reads every byte as a device does."""
    device, traffic, reader, number = ReferenceDevice(tracker()), Traffic(tracker(), seed), FrameReader(), 0
    for _ in range(20):
        item, whole = traffic.draw(number, begin_anew)
        device.feed(item, whole)
        number = find_next_number(item, number, reader)
        assert number == device.number


def simulate(spec: LearnerSpec) -> NativeSerial:
    return simulate_board(spec, BOARD)


def test_equal_devices_answer_alike_and_others_do_not() -> None:
    first, second = simulate(tracker()), simulate(tracker())
    bursts = draw_bursts(tracker(), 100, 0)
    assert compare_traffic(first, second, bursts) is None
    assert first.cycles == second.cycles > 0
    # One that has learned something answers the same until it is asked for that.
    first.restart()
    second.restart()
    hello, write = (
        bytes([Kind.HELLO, 0]) + bytes(4),
        bytes([Kind.WRITE, 0]) + b"\1" * Traffic(tracker(), 0).layout.record(Kind.WRITE),
    )
    second.feed(encode_frame(hello) + encode_frame(write))
    second.run(20_000)
    difference = compare_traffic(first, second, bursts)
    assert difference is not None
    assert difference.what == "answers"
    assert len(difference.expected) == len(difference.found) == 2
    assert difference.expected != difference.found
    # One that is silent, as nobody has said hello to it.
    first.restart()
    second.restart()
    first.feed(encode_frame(hello))
    silent = compare_traffic(first, second, [Burst(b"", 4000)])
    assert silent is not None
    assert (silent.sample, len(silent.expected), silent.found) == (0, 2, [])
    first.close()
    second.close()


def test_a_difference_names_the_burst() -> None:
    assert str(Difference("answers", 3, [1], [])) == "answers to burst 3: [] instead of [1]"


@pytest.mark.thorough
def test_initial_coefficients_that_are_arrays_are_compared() -> None:
    """They do not travel: the device tells their digest alone."""
    spec = fit_spec(tracker().replace(multiplier="serial"), Device.parse(BOARD.device))
    arrays = [np.linspace(-0.5, 0.5, spec.layers[0].coefficients).reshape(1, 1, -1)]
    given = spec.replace(initial_coefficients=arrays)
    simulation = simulate(given)
    wire = SimulatedWire(simulation, BOARD.clock_mhz * 1e6)
    assert compare_linked(given, BOARD, wire, 12) == (None, 12, given)
    simulation.close()


@pytest.mark.thorough
def test_a_bitstream_answers_as_its_design_does() -> None:
    for program in ("iceunpack", "icebox_vlog"):
        need(program, shutil.which(program))
    found = verify_bitstream(LearnerSpec(**SPEC), BOARD, 40)
    assert found.matches
    assert found.samples == 40
    assert found.compared_cells is not None
    assert found.compared_cells > 1000
    assert found.unequal_cells == []


@pytest.mark.thorough
def test_a_bitstream_with_a_bit_inverted_is_not_its_netlist() -> None:
    """Whatever the bit does: one of a memory may be written before it is read. It is one that is set, as what the
    netlist leaves open is zero."""
    for program in ("iceunpack", "icebox_vlog"):
        need(program, shutil.which(program))
    inverted: list[Bit] = []

    def invert(configuration: str) -> str:
        bits = [bit for bit in find_bits(configuration) if bit.kind == "memory"]
        for bit in random.Random(0).sample(bits, len(bits)):
            other = invert_bit(configuration, bit)
            if other < configuration:
                inverted.append(bit)
                return other
        raise AssertionError("no memory holds anything")

    found = verify_bitstream(LearnerSpec(**SPEC), BOARD, 40, edit=invert)
    assert not found.matches
    assert found.samples == 0
    (name,) = found.unequal_cells
    assert name.startswith(f"memory X{inverted[0].x}/Y{inverted[0].y} (")
    assert found.complaint == f"differs from its netlist: {name}"
