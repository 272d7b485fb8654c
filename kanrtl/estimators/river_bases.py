"""What makes an estimator river's too: its base classes where river is installed, empty ones where it is not."""

from __future__ import annotations

import importlib.util
from typing import Any

if importlib.util.find_spec("river") is None:

    class RiverRegressor:
        """Stands for river's regressor where river is not installed."""

    class RiverClassifier:
        """Stands for river's classifier where river is not installed."""

else:
    from river.base import Base, Classifier, Regressor

    class _River(Base):
        """Mends where the base classes of river and of scikit-learn disturb each other."""

        def _get_params(self) -> dict[str, Any]:
            """The parameters, with None for an empty tuple, which means the same here.

            river's clone takes every tuple for one of its own and fails at an empty one.
            """
            return {name: None if value == () else value for name, value in super()._get_params().items()}

        @property
        def _tags(self) -> set[str]:
            """No tags: river collects them with a method whose name scikit-learn 1.6 uses for another purpose."""
            return set()

    class RiverRegressor(_River, Regressor):  # type: ignore[no-redef]
        """The base class by which river recognises a regressor."""

    class RiverClassifier(_River, Classifier):  # type: ignore[no-redef]
        """The base class by which river recognises a classifier."""

        @property
        def _multiclass(self) -> bool:
            return True
