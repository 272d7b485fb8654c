"""Estimators for scikit-learn and river. They need scikit-learn, which the extra ``sklearn`` installs."""

from .frozen import LookupClassifier, LookupRegressor
from .online import KANClassifier, KANRegressor

__all__ = ["KANClassifier", "KANRegressor", "LookupClassifier", "LookupRegressor"]
