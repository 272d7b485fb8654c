"""What icebox_vlog writes is taken whole, or refused."""

from __future__ import annotations

import pytest

from kanrtl.errors import ToolError
from kanrtl.simulators.chip_logic import ChipLogic, FlipFlop, LogicCell, find_memories, find_tables

ROWS = ",\n".join(f"  .INIT_{line:X}(256'h{line:064x})" for line in range(16))

TEXT = f"""\
module chip (input pin_35, output pin_9);

wire pin_35, pin_9, n1, n2, n3;
wire n4, n5, open_0, n6;
reg n7 = 0, n8 = 0;
assign n5 = 1;
// IO Cell (15, 0, 0)
assign pin_9 = n1 ? n7 : 1'bz;

SB_RAM40_4KNR #(
  .READ_MODE(1),
  .WRITE_MODE(3),
{ROWS}
) ram40_6_1 (
  .WADDR({{n1, 1'b0}}),
  .RDATA({{open_0, n6}}),
  .RCLKN(pin_35)
);

assign n2 = /* LUT    2  3  4 */ (n6 ? !n7 : 1'b1);
assign n3 = /* LUT   12  3  5 */ n6;
assign n4 = /* CARRY  2  3  4 */ (n6 & n7) | ((n6 | n7) & n5);
/* FF  2  3  4 */ always @(negedge pin_35) if (n1) n7 <= n3 ? 1'b1 : n2;
/* FF 12  3  5 */ assign n1 = n3;

endmodule

"""


def test_every_line_is_something() -> None:
    chip = ChipLogic.of(TEXT)
    assert (chip.inputs, chip.outputs) == (["pin_35"], ["pin_9"])
    assert chip.wires == ["pin_35", "pin_9", "n1", "n2", "n3", "n4", "n5", "open_0", "n6", "n7", "n8"]
    assert chip.logic == {"n5": "1", "pin_9": "n1 ? n7 : 1'bz", "n2": "(n6 ? !n7 : 1'b1)", "n3": "n6"}
    assert chip.carries == {(2, 3, 4): ("n4", "(n6 & n7) | ((n6 | n7) & n5)")}
    register = FlipFlop("neg", "pin_35", "n1", "n3", "1'b1", "n2")
    assert chip.cells == {(2, 3, 4): LogicCell("n7", register=register), (12, 3, 5): LogicCell("n1", logic="n3")}
    assert chip.memories == find_memories(TEXT)
    memory = chip.memories[6, 1]
    assert (memory.kind, memory.mode("READ"), memory.mode("WRITE")) == ("SB_RAM40_4KNR", 1, 3)
    assert memory.wires("WADDR") == ["1'b0", "n1"]
    assert memory.row(10).strip() == f".INIT_A(256'h{10:064x}),"
    assert {site: table.logic for site, table in find_tables(TEXT).items()} == {
        (2, 3, 4): "(n6 ? !n7 : 1'b1)",
        (12, 3, 5): "n6",
    }


@pytest.mark.parametrize(
    "line",
    [
        "/* FF  2  3  4 */ always @(posedge n1, posedge n2) if (n2) n7 <= 1'b0; else if (n1) n7 <= n3;",
        "/* DSP0    0  5 */ assign dsp0_0_5_clk = n1;",
        "SB_WARMBOOT (",
        "reg n9;",
        "module chip (inout pin_9);",
    ],
)
def test_what_no_design_of_this_project_has_is_refused(line: str) -> None:
    with pytest.raises(ToolError, match=r"^icebox_vlog gives logic of a kind that is not known: ") as refused:
        ChipLogic.of(TEXT.replace("endmodule", f"{line}\nendmodule"))
    assert " ".join(line.split())[:30] in str(refused.value)
