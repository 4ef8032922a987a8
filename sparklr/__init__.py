"""sparklr: logistic regression for Spark in Python, with the same API as Spark's own."""

from sparklr.estimator import LogisticRegressionEstimator
from sparklr.fitting.cautions import ConvergenceWarning, SeparationError, SeparationWarning
from sparklr.model import LogisticRegressionModel
from sparklr.packed import PackedRows, pack
from sparklr.summary import (
    BinaryLogisticRegressionSummary,
    BinaryLogisticRegressionTrainingSummary,
    LogisticRegressionSummary,
    LogisticRegressionTrainingSummary,
)

# Spark's name for it, so that a program only has to change its import.
LogisticRegression = LogisticRegressionEstimator

__all__ = [
    "BinaryLogisticRegressionSummary",
    "BinaryLogisticRegressionTrainingSummary",
    "ConvergenceWarning",
    "LogisticRegression",
    "LogisticRegressionEstimator",
    "LogisticRegressionModel",
    "LogisticRegressionSummary",
    "LogisticRegressionTrainingSummary",
    "PackedRows",
    "SeparationError",
    "SeparationWarning",
    "pack",
]
__version__ = "0.1.0"
