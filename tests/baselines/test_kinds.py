"""What is made of the spec of a baseline."""

from collections.abc import Callable
from typing import Any

import pytest

from kanrtl import InputError, LearnerSpec
from kanrtl.baselines import LmsSpec, create_learner, create_model, estimate_baseline


@pytest.mark.parametrize("make", [create_model, create_learner, lambda spec: estimate_baseline(spec, "LFE5U-25F")])
def test_only_baselines_are_made(make: Callable[[Any], object]) -> None:
    with pytest.raises(InputError, match=r"^spec: is of type LearnerSpec; give the spec of a baseline$"):
        make(LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1)))


def test_a_device_is_called_by_its_name() -> None:
    with pytest.raises(InputError, match=r"^device: is of type int; give its name, such as \"LFE5U-25F\"$"):
        estimate_baseline(LmsSpec(n_in=1), 5)  # type: ignore[arg-type]
