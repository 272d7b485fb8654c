"""Devices by their names."""

import pytest

from kanrtl.errors import BuildError
from kanrtl.fabric.device import Device


@pytest.mark.parametrize(
    ("name", "options", "lut", "dsp", "bram"),
    [
        ("LFE5U-25F-6", "--25k --package CABGA381 --speed 6", 24288, 28, 56),
        ("LFE5U-85F-8", "--85k --package CABGA381 --speed 8", 83640, 156, 208),
        ("LFE5U-25F", "--25k --package CABGA381 --speed 6", 24288, 28, 56),
        ("LFE5U-25F-6BG256C", "--25k --package CABGA256 --speed 6", 24288, 28, 56),
        ("LFE5UM5G-85F-8", "--um5g-85k --package CABGA381 --speed 8", 83640, 156, 208),
        ("lfe5um-45f-7", "--um-45k --package CABGA381 --speed 7", 43848, 72, 108),
        ("iCE40UP5K", "--up5k --package sg48", 5280, 8, 30),
        ("iCE40UP5K-UWG30", "--up5k --package uwg30", 5280, 8, 30),
        ("iCE40HX8K-CT256", "--hx8k --package ct256", 7680, 0, 32),
        ("iCE40HX1K-TQ144", "--hx1k --package tq144", 1280, 0, 16),
        ("iCE40LP384", "--lp384 --package qn32", 384, 0, 0),
    ],
)
def test_device(name: str, options: str, lut: int, dsp: int, bram: int) -> None:
    device = Device.parse(name)
    assert " ".join(device.nextpnr_options) == options
    assert (device.lut, device.dsp, device.bram) == (lut, dsp, bram)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "LFE5U",
        "LFE5U-26F-6",
        "LFE5U-25F-9",
        "LFE5U-25F-6XY12",
        "LFE5UM-12F-6",
        "LFE5UM5G-25F-6",
        "LFE5U-25F-6\n",
        "iCE40",
        "iCE40UP9K",
        "iCE40UP5K-CT256",
        "xc7a35t",
    ],
)
def test_bad_device_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(BuildError, match=r"\Adevice: [^\n]*\Z") as refusal:
        Device.parse(name)
    assert repr(name) in str(refusal.value)
