"""Names of clock and reset, and the level of the latter."""

import pytest

from kanrtl.errors import InputError
from kanrtl.verilog.clocking import Clocking


@pytest.mark.parametrize("name", ["rst_n", "rst_ni", "resetn", "aresetn", "ARESETN", "nreset", "n_rst", "sys_rst_n"])
def test_names_of_low_resets(name: str) -> None:
    assert Clocking.of("clk", name) == Clocking("clk", name, active_low=True)
    assert Clocking.of("clk", name, "high") == Clocking("clk", name, active_low=False)


@pytest.mark.parametrize("name", ["rst", "reset", "areset", "reset_in", "rst_main", "rst_network", "open", "resetting"])
def test_names_of_high_resets(name: str) -> None:
    assert Clocking.of("clk", name) == Clocking("clk", name, active_low=False)
    assert Clocking.of("clk", name, "low") == Clocking("clk", name, active_low=True)


def test_one_name_is_not_for_both() -> None:
    with pytest.raises(InputError, match=r"^--reset = 'CLK': is the name of the clock; give it another one$"):
        Clocking.of("clk", "CLK")
