"""The Params of LogisticRegression, with Spark's names, defaults and rules, and our own.

`declared` says what Params there are and holds `RULES`, what is known of each; `accessors` has
their setters and getters; `checks` refuses what cannot be, in Python and before any job: Spark's
own checks sit in its JVM, which Spark Connect does not have.
"""

from sparklr.params.accessors import EstimatorParams, LogisticRegressionParams
from sparklr.params.checks import (
    as_threshold,
    check_features,
    check_params,
    check_thresholds,
)
from sparklr.params.declared import RULES, DeclaredParams, check_map, check_value
from sparklr.params.rules import ParamRule, Range
from sparklr.params.verbose import HasVerbose, verbose_if_set

__all__ = [
    "RULES",
    "DeclaredParams",
    "EstimatorParams",
    "HasVerbose",
    "LogisticRegressionParams",
    "ParamRule",
    "Range",
    "as_threshold",
    "check_features",
    "check_map",
    "check_params",
    "check_thresholds",
    "check_value",
    "verbose_if_set",
]
