"""An exchange as a testbench in Verilog-2005 with a clock from outside, the same for every simulator.

It prints what comes from the module in hexadecimal digits, unknown bits as x.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from .exchange import Exchange, read_ports

__all__ = ["LIMIT", "read_answers", "write_exchange", "write_testbench"]

LIMIT = 20_000
"""Cycles after which nothing more is awaited: an unknown valid or ready would be awaited for ever."""

_BENCH = """\
`timescale 1ns/1ps
`default_nettype none
module bench(input wire clk, output reg finished);
{memories}
  integer cycle, sent, taught, asked, predicted, answered, done;
{signals}
  {top} dut ({ports});
  initial begin
    finished = 0; cycle = 0; sent = 0; taught = 0; asked = 0; predicted = 0; answered = 0; done = 0;
{initial}
  end
  always @(posedge clk) begin
    cycle <= cycle + 1;
{reset}    if (cycle > 3 && (!samples__valid || {samples_ready})) begin
      samples__valid <= sent < {n_samples};
      samples__payload <= samples[sent < {n_samples} ? sent : 0];
      if (sent < {n_samples}) sent <= sent + 1;
    end
    if (predictions__valid{started}) begin
      $display("prediction %h", predictions__payload);
      predicted <= predicted + 1;
    end
{teaching}
{access}
    if (predicted == {n_predictions}) done <= done + 1;
    if (done > {pause} && answered == {n_requests}) finished <= 1;
    if (cycle == {limit}) begin $display("nothing more"); finished <= 1; end
  end
endmodule
`default_nettype wire
"""

_TEACHING = """\
    if (cycle > 3 && (!teaching__valid || teaching__ready)) begin
      teaching__valid <= taught < {count};
      teaching__payload <= teaching[taught < {count} ? taught : 0];
      if (taught < {count}) taught <= taught + 1;
    end"""

_ACCESS = """\
    if (access__request__valid && access__request__ready) access__request__valid <= 0;
    if (done > {pause} && asked == answered && asked < {count}) begin
      access__request__valid <= 1;
      access__request__payload <= requests[asked];
      asked <= asked + 1;
    end
    if (access__response__valid{started}) begin
      $display("response %h", access__response__payload);
      answered <= answered + 1;
    end"""


def write_testbench(verilog: Path, top: str, exchange: Exchange, folder: Path) -> Path:
    """Write the testbench of the module ``top`` in ``verilog`` into ``folder``, and what it sends beside it."""
    ports = read_ports(verilog.read_text())
    inputs = {name: width for name, (direction, width) in ports.items() if direction == "input" and name != "clk"}
    outputs = {name: width for name, (direction, width) in ports.items() if direction == "output"}
    streams = {"samples": exchange.samples}
    if "teaching__payload" in ports:
        streams["teaching"] = exchange.teaching
    if "access__request__payload" in ports:
        streams["requests"] = exchange.requests
    memories = []
    for name, words in streams.items():
        width = ports["access__request__payload" if name == "requests" else f"{name}__payload"][1]
        (folder / f"{name}.hex").write_text("".join(f"{word:x}\n" for word in words))
        memories.append(f"  reg [{width - 1}:0] {name} [0:{len(words) - 1}];")
        memories.append(f'  initial $readmemh("{name}.hex", {name});')
    ready = ("predictions__ready", "access__response__ready")
    started = " && !rst" if exchange.resets else ""
    text = _BENCH.format(
        top=top,
        memories="\n".join(memories),
        signals="\n".join(
            [f"  reg [{width - 1}:0] {name};" for name, width in inputs.items()]
            + [f"  wire [{width - 1}:0] {name};" for name, width in outputs.items()]
        ),
        ports=", ".join(f".{name}({name})" for name in ports),
        initial="\n".join(
            f"    {name} = {int(name in ready or (exchange.resets and name == 'rst'))};" for name in inputs
        ),
        reset="    rst <= cycle < 1;\n" if exchange.resets else "",
        samples_ready="samples__ready" if "samples__ready" in ports else "1'b1",
        n_samples=len(exchange.samples),
        n_predictions=len(exchange.predictions),
        n_requests=len(exchange.requests),
        teaching=_TEACHING.format(count=len(exchange.teaching)) if "teaching" in streams else "",
        access=_ACCESS.format(count=len(exchange.requests), pause=exchange.pause, started=started)
        if "requests" in streams
        else "",
        started=started,
        pause=exchange.pause,
        limit=LIMIT,
    )
    path = folder / "bench.v"
    path.write_text(text)
    return path


def write_exchange(exchange: Exchange, path: Path) -> None:
    """Write an exchange as JSON, for a testbench in Python that knows nothing of kanrtl."""
    path.write_text(json.dumps(asdict(exchange)))


def read_answers(printed: str) -> tuple[list[str], list[str]]:
    """Find the predictions and the responses in what a testbench has printed, as hexadecimal digits without zeros."""
    lines = [line.split() for line in printed.splitlines() if line.startswith(("prediction ", "response "))]
    kinds: dict[str, list[str]] = {"prediction": [], "response": []}
    for kind, word in lines:
        kinds[kind].append(word.lower().lstrip("0") or "0")
    return kinds["prediction"], kinds["response"]
