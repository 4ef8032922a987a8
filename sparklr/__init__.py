"""sparklr: logistic regression for Spark, in Python: same API as Spark's own."""

from sparklr.estimator import LogisticRegressionEstimator
from sparklr.model import LogisticRegressionModel
from sparklr.summary import LogisticRegressionTrainingSummary

__all__ = [
    "LogisticRegressionEstimator",
    "LogisticRegressionModel",
    "LogisticRegressionTrainingSummary",
]
__version__ = "0.1.0"
