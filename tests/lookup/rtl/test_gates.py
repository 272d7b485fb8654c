"""Gates compute what their cells do."""

from __future__ import annotations

from kanrtl.lookup.rtl.gates import Gate, Logic
from kanrtl.lookup.rtl.truth_tables import ALL_ROWS, INPUT_TRUTHS

A, B, C, D, E, F = INPUT_TRUTHS


def test_luts_multiplexers_and_constants() -> None:
    logic = Logic(
        gates=(
            Gate((0, 1), 0b1000),  # signal 6: a & b
            Gate((2, 3, 6), 0b1001_0110),  # signal 7: c ^ d ^ signal 6
            Gate((6, 7, 4), None),  # signal 8: signal 7 where e is high, else signal 6
            Gate((8, 8, 5), None, wide=True),  # signal 9: signal 8
        ),
        outputs=(-1, -2, 5, 6, 7, 8, 9),
    )
    both = A & B
    odd = C ^ D ^ both
    chosen = odd & E | both & ~E
    assert logic.evaluate() == [0, ALL_ROWS, F, both, odd, chosen, chosen]
    assert logic.luts == 2


def test_missing_inputs_of_a_lut_are_low() -> None:
    assert Logic((Gate((3,), 0b01),), (6,)).evaluate() == [D ^ ALL_ROWS]
