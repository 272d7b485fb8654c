"""Learners at the end of a serial port."""

from __future__ import annotations

from .. import links as bench_links
from ..stored import result
from .markdown import table


def links() -> str:
    """T at the end of a board's serial port: size, rate, and what a damaged line did."""
    rows = []
    for row in bench_links.FAMILY.rows:
        if not isinstance(row, bench_links.Linked):
            continue
        data = result(row.name)
        quiet, damaged = data["quiet"], data["damaged"]
        rows.append(
            [
                data["title"],
                f"{data['lut']} / {data['lut_of_t']}",
                f"{data['bram']}",
                f"{data['fmax_mhz']:.1f} / {data['clock_mhz']:g} MHz",
                f"{quiet['samples_per_second']:,}",
                f"{100 * quiet['share_of_wire']:.0f} %",
                f"{damaged['differing']} of {damaged['samples']:,}",
                f"{damaged['recoveries']:,}",
                f"`{row.name}`",
            ]
        )
    head = ["board", "LUT, and of T alone", "memory blocks", "clock", "taught samples a second"]
    return table([*head, "of the wire", "differing on a damaged line", "recoveries", "row"], rows)


def link_rates() -> str:
    """What a line of each rate carries."""
    data = result("link-rates")
    rows = [
        [
            f"{one['baud']:,}",
            f"{one['samples_per_second']:,}",
            f"{one['share_of_wire']:.0%}",
            f"{one['one_at_a_time_per_second']:,}",
        ]
        for one in data["rates"]
    ]
    columns = ["taught samples a second in batches", "of the line carries samples", "one at a time, without an adapter"]
    return table(["baud", *columns], rows)


def fuzzed_links() -> str:
    """What fuzzed frames and bytes did to a device and to a host."""
    data = result("fuzz-link")
    device, host = data["device"], data["host"]
    rows = [
        [
            "device",
            f"{device['items']:,}",
            f"{device['bytes_sent']:,}",
            f"{device['obeyed']:,}, {device['learned']:,} samples",
            f"{device['differing']}",
        ],
        [
            "host",
            f"{host['items']:,}",
            f"{host['bytes_sent']:,}",
            f"{host['obeyed']:,} answers",
            f"{host['differing']}",
        ],
    ]
    return table(["side", "frames and streams", "bytes", "whole and in turn", "differing"], rows)
