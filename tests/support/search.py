"""How long the property tests that take most of the time search for a counterexample."""

from __future__ import annotations

from hypothesis import settings

_USUAL = settings.get_profile("default").max_examples


def examples(count: int) -> settings:
    """Searches ``count`` examples, one or more, times what hypothesis' profile has over its default: ``brief`` a third,
    ``long`` twenty."""
    return settings(max_examples=max(1, count * settings().max_examples // _USUAL), deadline=None)
