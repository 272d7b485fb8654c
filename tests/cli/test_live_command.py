"""``kanrtl live`` as a process: where its page is, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from support.importable import foreign


def test_a_signal_ends_it_as_any_command(tmp_path: Path) -> None:
    foreign("bokeh", "live")
    spec = tmp_path / "learner.toml"
    spec.write_text("layer_sizes = [1, 1]\ngrid_range = [-2, 2]\n")
    command = [sys.executable, "-m", "kanrtl", "live", str(spec), "--no-open", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as live:
        assert live.stdout is not None
        address = live.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=60) as page:
            assert page.status == 200
        live.send_signal(signal.SIGTERM)
        out, err = live.communicate(timeout=60)
    assert (live.returncode, out) == (143, "")
    assert err.endswith("kanrtl: stopped\n")
