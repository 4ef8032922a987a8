"""sparklr: logistic regression for Spark, in Python: same API as Spark's own."""

from sparklr.estimator import LogisticRegressionEstimator
from sparklr.model import LogisticRegressionModel
from sparklr.summary import (
    BinaryLogisticRegressionSummary,
    BinaryLogisticRegressionTrainingSummary,
    LogisticRegressionSummary,
    LogisticRegressionTrainingSummary,
)

# The name of Spark's own, so that a program changes its import and nothing else.
LogisticRegression = LogisticRegressionEstimator

__all__ = [
    "BinaryLogisticRegressionSummary",
    "BinaryLogisticRegressionTrainingSummary",
    "LogisticRegression",
    "LogisticRegressionEstimator",
    "LogisticRegressionModel",
    "LogisticRegressionSummary",
    "LogisticRegressionTrainingSummary",
]
__version__ = "0.1.0"
