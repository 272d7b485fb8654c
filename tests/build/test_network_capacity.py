"""Whether a network fits, what is refused because it does not, and that every mend that is named was tried."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl import LookupNetwork
from kanrtl.boards import BOARDS
from kanrtl.build import BuildError, Device, build_network, build_self_check
from kanrtl.build.network_capacity import check_network_fits, find_network_fit
from kanrtl.lookup.rtl.network_estimate import estimate_network


def dense(sizes: tuple[int, int], bits: tuple[int, int]) -> LookupNetwork:
    """Every edge of one layer, noise in its table."""
    node, source = np.nonzero(np.ones((sizes[1], sizes[0])))
    half = 1 << (bits[1] - 3)
    tables = np.random.default_rng(0).integers(-half, half, (len(node), 1 << bits[0]))
    return LookupNetwork.of(sizes, bits, [1, 1], [{"source": source, "node": node, "table": tables}])


@pytest.fixture(autouse=True)
def no_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is synthesised for a refusal."""
    monkeypatch.setattr("kanrtl.build.design_builds.build_core", lambda *_, **__: pytest.fail("built"))


CASES: list[tuple[LookupNetwork, str, dict[str, Any], str]] = [
    (dense((12, 6), (4, 6)), "iCE40LP384", {}, "lut"),
    (dense((18, 1), (9, 4)), "iCE40HX1K", {}, "bram"),
    (dense((20, 2), (5, 6)), "iCE40HX1K", {"memory": "block"}, "bram"),
]


@pytest.mark.parametrize(("network", "device", "options", "lacking"), CASES)
def test_a_refusal_names_only_what_fits(
    network: LookupNetwork, device: str, options: dict[str, Any], lacking: str
) -> None:
    part = Device.parse(device)
    fit = find_network_fit(network, part, **options)
    assert (fit.fits, fit.estimate.lacks) == (False, lacking)
    assert fit.mends
    for mend in fit.mends:
        assert mend.estimate.fits
        if mend.options is not None:
            changed = {name: value for name, value in options.items() if name != "memory"} | mend.options
            assert estimate_network(network, part, **changed) == mend.estimate
    with pytest.raises(BuildError) as refusal:
        build_network(network, device, **options)
    said = str(refusal.value)
    assert said == f"device = {device!r}: {fit.shortage}; {fit.mend}"
    assert "share" not in said
    assert "larger" not in said
    check_network_fits(dense((2, 1), (3, 3)), part)


def test_what_fits_needs_no_mend() -> None:
    fit = find_network_fit(dense((4, 2), (4, 5)), Device.parse("LFE5U-25F"))
    assert (fit.fits, fit.mends, fit.sentence) == (True, (), "It fits.")
    assert fit.to_json() == fit.estimate.to_json() | {"fits": True, "lacks": None, "set": None, "mends": []}


def test_a_board_is_refused_too() -> None:
    with pytest.raises(BuildError, match=r"^device = 'iCE40UP5K-SG48': the network needs \d+ memory blocks, there are"):
        build_self_check(dense((32, 1), (9, 4)), BOARDS["icebreaker"])


def test_what_is_far_too_large_is_refused_without_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "kanrtl.lookup.rtl.network_plan._plan", lambda network, _: pytest.fail(f"planned {network.edges} edges")
    )
    monkeypatch.setattr("kanrtl.build.network_capacity._find_mends", lambda *_: ())
    with pytest.raises(BuildError, match=r"^device = 'iCE40LP384': the network needs \d+ or more LUTs, there are 384"):
        build_network(dense((40, 8), (8, 8)), "iCE40LP384")
    with pytest.raises(BuildError, match=r"^device = 'iCE40HX1K': the network needs \d+ or more memory blocks, there"):
        build_network(dense((40, 8), (8, 8)), "iCE40HX1K", reuse_factor=8)
    with pytest.raises(BuildError, match=r"^device = 'iCE40UP5K-SG48': the network needs \d+ or more LUTs, there are"):
        build_self_check(dense((60, 20), (8, 8)), BOARDS["icebreaker"])


def test_fewer_bits_are_tried_however_many_edges_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    network, part = dense((9, 2), (9, 10)), Device.parse("iCE40HX1K")
    monkeypatch.setattr("kanrtl.build.network_capacity._PLANNED", network.edges - 1)
    fit = find_network_fit(network, part, memory="block")
    assert fit.fits is False
    (narrowed,) = [mend for mend in fit.mends if mend.words.startswith("convert it with --bits ")]
    assert narrowed.estimate.fits
    assert narrowed.estimate.device == part.name


@pytest.mark.parametrize("bits", [(5, 6), (8, 5)], ids=str)
def test_an_estimate_without_chosen_offsets_is_no_lower(bits: tuple[int, int]) -> None:
    network, device = dense((6, 3), bits), Device.parse("LFE5U-25F")
    rough, built = (estimate_network(network, device, chooses_offsets=one) for one in (False, True))
    assert built.lut <= rough.lut <= 1.1 * built.lut
