"""Garbage is searched more rarely within the context, and as before after it."""

import gc
from collections.abc import Iterator

import pytest

from kanrtl.tools.garbage import YOUNG, collect_rarely


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_it_is_rare_within_and_as_before_after_an_error():
    gc.set_threshold(700, 10, 10)
    seen = []

    def elaborate() -> None:
        with collect_rarely():
            with collect_rarely():
                seen.append(gc.get_threshold()[0])
            seen.append(gc.get_threshold()[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        elaborate()
    assert seen == [YOUNG, YOUNG]
    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("chosen", [(0, 10, 10), (YOUNG, 5, 5), (4 * YOUNG, 20, 20)])
def test_what_is_rarer_already_stays(chosen: tuple[int, int, int]):
    gc.set_threshold(*chosen)
    with collect_rarely():
        assert gc.get_threshold() == chosen
