"""An exchange as a cocotb test; it runs inside the simulator, and knows nothing of kanrtl."""

import json
import os
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

LIMIT = 20_000


@cocotb.test()  # type: ignore[misc]
async def exchange(dut):  # type: ignore[no-untyped-def]
    """Sends everything as early as it is taken, and prints what comes."""
    told = json.loads(Path(os.environ["KANRTL_EXCHANGE"]).read_text())
    printed = []
    ports = {name: getattr(dut, name) for name in os.environ["KANRTL_PORTS"].split()}
    inputs = os.environ["KANRTL_INPUTS"].split()
    for name in inputs:
        if name != "clk":
            ports[name].value = int(name in ("rst", "predictions__ready", "access__response__ready"))
    # The clock rises at once, when ports have no values yet: what is taken for a sample then has to be reset.
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    queues = {"samples": list(told["samples"]), "teaching": list(told["teaching"])}
    requests, left, pause = list(told["requests"]), len(told["predictions"]), told["pause"]
    answers = len(requests)
    waiting = False
    for _ in range(LIMIT):
        if left <= 0 and pause < 0 and answers == 0:
            break
        for stream, words in queues.items():
            if f"{stream}__valid" in ports:
                ports[f"{stream}__valid"].value = int(bool(words))
                ports[f"{stream}__payload"].value = words[0] if words else 0
        asks = bool(requests) and left <= 0 and pause < 0 and not waiting
        if "access__request__valid" in ports:
            ports["access__request__valid"].value = int(asks)
            ports["access__request__payload"].value = requests[0] if asks else 0
        # At the edge itself registers still have what they had before it.
        await RisingEdge(dut.clk)
        for stream, words in queues.items():
            ready = ports.get(f"{stream}__ready")
            if words and (ready is None or ready.value == 1):
                words.pop(0)
        if asks and ports["access__request__ready"].value == 1:
            requests.pop(0)
            waiting = True
        if ports["predictions__valid"].value == 1:
            printed.append(f"prediction {_hex(ports['predictions__payload'].value)}")
            left -= 1
        if "access__response__valid" in ports and ports["access__response__valid"].value == 1:
            printed.append(f"response {_hex(ports['access__response__payload'].value)}")
            answers -= 1
            waiting = False
        if left <= 0:
            pause -= 1
    Path(os.environ["KANRTL_ANSWERS"]).write_text("\n".join(printed))


def _hex(value) -> str:  # type: ignore[no-untyped-def]
    return f"{value.to_unsigned():x}" if value.is_resolvable else str(value)
