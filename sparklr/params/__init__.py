"""The Params of LogisticRegression: Spark's, with its names, defaults and rules, and our own.

`declared` declares the Params and holds `RULES`, the table of their rules; `accessors` has the
setters and getters; `checks` refuses invalid values in Python, before any job: Spark's own checks
run in its JVM, which Spark Connect does not have.
"""

from sparklr.params.accessors import EstimatorParams, LogisticRegressionParams
from sparklr.params.checked import CheckedParams, check_map, keyword_only, keywords_of
from sparklr.params.checks import (
    as_threshold,
    check_features,
    check_params,
    check_thresholds,
)
from sparklr.params.declared import RULES, DeclaredParams, check_value, row_params
from sparklr.params.early_stopping import held_name
from sparklr.params.offset import offset_name
from sparklr.params.rules import ParamRule, Range
from sparklr.params.stream import (
    HasStream,
    check_all_count_the_same,
    check_decay,
    discount_of,
)
from sparklr.params.verbose import HasVerbose, verbose_if_set

__all__ = [
    "RULES",
    "CheckedParams",
    "DeclaredParams",
    "EstimatorParams",
    "HasStream",
    "HasVerbose",
    "LogisticRegressionParams",
    "ParamRule",
    "Range",
    "as_threshold",
    "check_all_count_the_same",
    "check_decay",
    "check_features",
    "check_map",
    "check_params",
    "check_thresholds",
    "check_value",
    "discount_of",
    "held_name",
    "keyword_only",
    "keywords_of",
    "offset_name",
    "row_params",
    "verbose_if_set",
]
