"""Estimators for scikit-learn and river. They need scikit-learn, which the extra ``sklearn`` installs."""

from .frozen import LookupClassifier, LookupRegressor
from .kan_classifier import KANClassifier
from .kan_regressor import KANRegressor

__all__ = ["KANClassifier", "KANRegressor", "LookupClassifier", "LookupRegressor"]
