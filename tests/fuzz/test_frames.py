"""Frames of odd names, types and metadata, through Spark: refused in words, or fitted rightly.

An example is a job or two, so they are few: rows by themselves are fuzzed below Spark.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from pyspark.errors import AnalysisException
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import StructField, StructType

from sparklr import LogisticRegressionEstimator
from sparklr.rows.columns import find_features, training_rows
from tests.fuzz.reference import fuzzed, outcome, slopes

# Of what is a job or two: three examples, or sixteen in depth.
few = settings(fuzzed, max_examples=max(3, fuzzed.max_examples // 25))

ODD_NAMES = [
    "a.b",
    "a`b",
    "`x`",
    " ",
    "häufig x",
    "1",
    "%s",
    "{}",
    "x'y",
    "a;b",
    "A",
    "x\ty",
    "日本",
]
odd_names = st.sampled_from(ODD_NAMES)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(0, 9) | st.sampled_from(["", "a"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["attrs", "num_attrs", "numeric", "idx", "name", "type", "vals"]), inner
        )
    ),
    max_leaves=8,
)
metadata = st.one_of(
    junk,
    st.fixed_dictionaries({"num_attrs": junk, "attrs": junk}),
    st.fixed_dictionaries({"attrs": st.fixed_dictionaries({"numeric": st.lists(junk)})}),
    st.fixed_dictionaries({"type": st.just("nominal"), "num_vals": junk}),
    st.fixed_dictionaries({"type": st.just("nominal"), "vals": junk}),
)
types = st.sampled_from(
    ["struct<a:double>", "array<array<double>>", "map<string,double>", "binary", "date", "string",
     "timestamp", "array<string>", "array<struct<a:int>>", "interval day", "void", "boolean"]
)  # fmt: skip


def values(rows: int = 24) -> tuple[Any, Any, Any]:
    """Features, labels and weights, as `frame_of` makes them."""
    of = np.arange(rows)
    matrix = np.column_stack((np.sin(of * 12.9898), 1e3 + np.cos(of * 78.233)))
    return matrix, (of % 3 == 0).astype(float), 1.0 + of % 2


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    """The rows of `values`."""
    of = F.col("id")
    return spark.range(0, 24, 1, 2).select(
        F.sin(of * 12.9898).alias("x"),
        (1e3 + F.cos(of * 78.233)).alias("y"),
        (of % 3 == 0).cast("double").alias("label"),
        (1.0 + of % 2).alias("weight"),
    )


def assert_right(model: Any) -> None:
    """The model is at the optimum of the rows of `values`."""
    found = model.coefficientMatrix.toArray(), model.interceptVector.toArray()
    residual = slopes(*found, *values(), 0.1)
    assert np.abs(residual).max() < 1e-6


@few
@given(st.lists(odd_names, min_size=4, max_size=4, unique=True))
def test_columns_of_any_name_are_fitted_and_scored(frame: Any, names: list[str]) -> None:
    named = frame.toDF(*names)
    x, y, label, weight = names
    estimator = LogisticRegressionEstimator(
        featuresCols=[x, y], labelCol=label, weightCol=weight, regParam=0.1, tol=1e-10
    )
    model = estimator.fit(named)
    assert_right(model)
    assert model.featureNames == [x, y]
    assert len(model.transform(named).select("prediction").collect()) == 24


@fuzzed
@given(odd_names | st.sampled_from(["", "a.b.c", "x.y", "`", "..", "label.x"]), st.data())
def test_a_column_that_is_missing_is_named(frame: Any, name: str, data: st.DataObject) -> None:
    role = data.draw(st.sampled_from(["featuresCol", "labelCol", "weightCol"]))
    if (name, role) == ("", "weightCol"):  # no weights
        return
    others = {} if role == "featuresCol" else {"featuresCols": ["x", "y"]}
    estimator = LogisticRegressionEstimator(**others, **{role: name})
    with pytest.raises(ValueError, match="does not exist") as caught:
        training_rows(frame, estimator)
    assert f"Column '{name}'" in str(caught.value)
    assert f"Set {role}" in str(caught.value)


@fuzzed
@given(types, st.sampled_from(["featuresCol", "labelCol", "weightCol", "featuresCols"]))
def test_a_column_of_any_type_is_taken_or_refused_by_name(frame: Any, kind: str, role: str) -> None:
    odd = frame.withColumn("z", F.lit(None).cast(kind))
    given = {"featuresCols": ["x", "y"], role: ["x", "z"] if role == "featuresCols" else "z"}
    if role == "featuresCol":
        del given["featuresCols"]
    estimator = LogisticRegressionEstimator(**given)
    found = outcome(lambda: training_rows(odd, estimator), TypeError)
    if isinstance(found, TypeError):
        assert "Column 'z' is of type" in str(found)
        assert role in str(found)
    else:
        assert (kind, role) == ("boolean", "featuresCols")


@fuzzed
@given(metadata, st.sampled_from(["v", "label"]))
def test_metadata_of_any_shape_are_a_hint_or_nothing(frame: Any, given: Any, column: str) -> None:
    """Whatever anybody wrote there: no error of Python's own, and sizes that are sizes."""
    vector = F.from_json(F.lit("{}"), StructType([StructField("v", VectorUDT())]))["v"]
    plain = frame.withColumn("v", vector)
    known = {"ml_attr": given}
    odd = outcome(
        lambda: plain.withColumn(column, F.col(column).alias(column, metadata=known)), Exception
    )
    if isinstance(odd, Exception):  # Spark cannot hold every JSON as metadata
        return
    estimator = LogisticRegressionEstimator(featuresCol="v")
    rows = training_rows(odd, estimator)
    assert rows.width is None or (type(rows.width) is int and rows.width > 0)
    assert rows.classes is None or type(rows.classes) is int
    each = find_features(odd, estimator).each
    assert each is None or (len(each) == rows.width and all(type(one) is str for one in each))


def test_names_of_other_features_than_the_rows_have_are_dropped(frame: Any) -> None:
    """Or the model would be saved with names that are not one a feature."""
    ones = [{"idx": 0, "name": "only"}]
    named = array_to_vector(F.array("x", "y")).alias(
        "v", metadata={"ml_attr": {"attrs": {"numeric": ones}}}
    )
    model = LogisticRegressionEstimator(
        featuresCol="v", weightCol="weight", regParam=0.1, tol=1e-10
    ).fit(frame.select("*", named))
    assert_right(model)
    assert model.featureNames == ["v[0]", "v[1]"]


@few
@given(
    st.lists(st.sampled_from(["x", "y", "label", "weight"]), max_size=2),
    st.sampled_from(["NULL", "double('NaN')", "double('Infinity')", "-1D", "0D", "1D", "7.5D"]),
    st.integers(0, 23),
)
def test_one_spoilt_number_is_told_or_fitted_as_it_is(
    frame: Any, columns: list[str], value: str, row: int
) -> None:
    known = values()[0][row, 0]  # the row's own x, to find it by
    here = F.abs(F.col("at") - F.lit(float(known))) < 1e-12
    spoilt = frame.withColumn("at", F.col("x"))
    for column in columns:
        spoilt = spoilt.withColumn(column, F.when(here, F.expr(value)).otherwise(F.col(column)))
    estimator = LogisticRegressionEstimator(
        featuresCols=["x", "y"], weightCol="weight", regParam=0.1, tol=1e-10
    )
    model = outcome(lambda: estimator.fit(spoilt), ValueError)
    if isinstance(model, ValueError):
        assert columns
        assert "1 row has" in str(model)
        assert "Column" in str(model)
        return
    matrix, labels, weights = values()
    number = {"-1D": -1.0, "0D": 0.0, "1D": 1.0, "7.5D": 7.5}.get(value, np.nan)
    for column in columns:
        target = {"x": matrix[:, 0], "y": matrix[:, 1], "label": labels, "weight": weights}[column]
        target[row] = number
    found = model.coefficientMatrix.toArray(), model.interceptVector.toArray()
    kept = weights > 0
    residual = slopes(*found, matrix[kept], labels[kept], weights[kept], 0.1)
    assert_allclose(residual, 0.0, atol=1e-6)


def test_two_columns_of_one_name_are_refused(frame: Any) -> None:
    twice = frame.select("*", F.lit(1.0).alias("label"))
    with pytest.raises(AnalysisException, match="label"):
        LogisticRegressionEstimator(featuresCols=["x", "y"]).fit(twice)
