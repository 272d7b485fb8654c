"""Whether a process runs, and waiting until it does not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        # One that has ended and whose parent has ended too may wait for init.
        status = Path(f"/proc/{process}/status")
        return not status.exists() or "State:\tZ" not in status.read_text()
    return False


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
