"""Simulated boards: which of them share what was compiled."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kanrtl.boards import BOARDS
from kanrtl.virtual import board_simulation
from kanrtl.virtual.board_simulation import simulate_board
from support.linked_boards import tracker

CHANGES: dict[str, dict[str, Any]] = {
    "clock": {"clock_mhz": 24.0},
    "no button": {"button": None},
    "LEDs": {"leds": (("led", 1), ("led", 0))},
    "serial port": {"uart": ("uart", 1)},
    "pins": {"uart_shares_pins": True},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_board_of_the_same_name_is_another(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[str] = []
    monkeypatch.setattr(board_simulation, "NativeSerial", lambda key, *_: keys.append(json.dumps(key)))
    board = BOARDS["icebreaker"]
    for one in (board, replace(board, **CHANGES[change]), board):
        simulate_board(tracker(), one)
    assert keys[0] == keys[2] != keys[1]
