"""Names of clock and reset, and the level of the latter."""

import pytest

from kanrtl.errors import InputError
from kanrtl.verilog.clocking import Clocking

LOW = (
    "rst_n rst_ni resetn aresetn ARESETN nreset n_rst sys_rst_n rstn rstni por_n i_rst_n rst_n_i rstn_i resetn_i "
    "RST_N_I rst_n_in reset_n_sync aresetn_0 arst_n_o sys_nrst i_nreset nrst_i "
    "rst_n0 rst_b resetb RESET_B reset_b_i rst_l rst_bar resetn1"
)
HIGH = (
    "rst reset areset reset_in rst_main rst_network open resetting rst_i reset_i rst_in rstin reset_next rst_no "
    "resetname gen_rst main_rst RST_I rst_0 reset_sync rst_bus reset_link reset_block rst_lane"
)


@pytest.mark.parametrize("name", LOW.split())
def test_names_of_low_resets(name: str) -> None:
    assert Clocking.of("clk", name) == Clocking("clk", name, active_low=True)
    assert Clocking.of("clk", name, "high") == Clocking("clk", name, active_low=False)


@pytest.mark.parametrize("name", HIGH.split())
def test_names_of_high_resets(name: str) -> None:
    assert Clocking.of("clk", name) == Clocking("clk", name, active_low=False)
    assert Clocking.of("clk", name, "low") == Clocking("clk", name, active_low=True)


def test_one_name_is_not_for_both() -> None:
    with pytest.raises(InputError, match=r"^--reset = 'CLK': is the name of the clock; give it another one$"):
        Clocking.of("clk", "CLK")
