"""Any value for any Param, in each way that a Param can be given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vectors

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.fitting.bounds_and_start import read_bounds
from sparklr.objective.families import BINOMIAL
from sparklr.params import RULES, check_params
from sparklr.scoring.numbers import ModelNumbers
from tests.fuzz.reference import fuzzed, outcome

NAMES = sorted(param.name for param in LogisticRegressionEstimator().params)
MODEL = LogisticRegressionModel._of(
    ModelNumbers.of(np.ones((1, 2)), np.ones(1), 2, family=BINOMIAL)
)

numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 2, 0.5, 1.0, 10**400, math.nan, math.inf, 5e-324, True, 3 + 4j]),
    st.sampled_from([np.float32(0.5), np.int64(3), np.float64("nan"), np.bool_(True), np.array(1)]),
)
names = st.sampled_from(
    ["", "label", "a.b", "`x`", "häufig\n", "auto", "BINOMIAL", "owl-qn", "\x00"]
)
simple = st.one_of(st.none(), st.booleans(), numbers, names, st.text(max_size=5), st.binary())
shapes = st.sampled_from(
    [
        DenseMatrix(1, 2, [0.0, 1.0]),
        DenseMatrix(2, 1, [math.nan, math.inf]),
        DenseVector([0.0, -math.inf]),
        Vectors.sparse(3, {1: 2.0}),
        np.ones((2, 2)),
        np.array(["a"]),
        MODEL,
        MODEL.toJson(),
        LogisticRegressionEstimator,
        len,
        object(),
        range(3),
        {"regParam"},
    ]
)
values = st.recursive(
    simple | shapes,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(names, inner, max_size=2)
    ),
    max_leaves=4,
)


def _by_keyword(estimator: LogisticRegressionEstimator, name: str, value: Any) -> Any:
    return estimator.setParams(**{name: value})


def _by_setter(estimator: LogisticRegressionEstimator, name: str, value: Any) -> Any:
    setter = getattr(estimator, f"set{name[0].upper()}{name[1:]}")
    return setter(value)


def _by_map(estimator: LogisticRegressionEstimator, name: str, value: Any) -> Any:
    return estimator.copy({estimator.getParam(name): value})


def _by_set(estimator: LogisticRegressionEstimator, name: str, value: Any) -> Any:
    estimator.set(estimator.getParam(name), value)
    return estimator


def _by_constructor(_: LogisticRegressionEstimator, name: str, value: Any) -> Any:
    return LogisticRegressionEstimator(**{name: value})


def state(estimator: LogisticRegressionEstimator) -> dict[str, str]:
    return {param.name: repr(value) for param, value in estimator._paramMap.items()}


@pytest.mark.parametrize("way", [_by_keyword, _by_setter, _by_map, _by_set, _by_constructor])
@fuzzed
@given(st.sampled_from(NAMES), values)
def test_any_value_is_refused_in_words_or_is_of_its_params_kind(
    way: Any, name: str, value: Any
) -> None:
    estimator = LogisticRegressionEstimator(regParam=0.25)
    before = state(estimator)
    made = outcome(lambda: way(estimator, name, value), TypeError, ValueError)
    if isinstance(made, Exception):
        assert name in str(made)
        assert state(estimator) == before
        return
    if value is None:  # as in Spark's own keywords: not given
        assert name == "regParam" or state(made).get(name) is None
        return
    refused = outcome(lambda: (check_params(made), read_bounds(made)), ValueError)
    if isinstance(refused, Exception):
        assert name in str(refused)
        return
    known = made.getOrDefault(name)
    defaults = LogisticRegressionEstimator()._defaultParamMap
    default = {param.name: its for param, its in defaults.items()}.get(name)
    if default is not None:
        assert type(known) is type(default)
    if RULES[name].range is not None and isinstance(known, float):
        assert math.isfinite(known)
        assert known == pytest.approx(float(value))
    if isinstance(known, bool | str):
        assert known == value


@fuzzed
@given(st.dictionaries(st.sampled_from(NAMES), values, min_size=2, max_size=4))
def test_params_given_together_are_set_all_or_none(given: dict[str, Any]) -> None:
    estimator = LogisticRegressionEstimator(regParam=0.25, labelCol="ill")
    before = state(estimator)
    made = outcome(lambda: estimator.setParams(**given), TypeError, ValueError)
    if isinstance(made, Exception):
        assert any(name in str(made) for name in given)
        assert state(estimator) == before
        return
    assert set(state(made)) == set(before) | {n for n, its in given.items() if its is not None}
