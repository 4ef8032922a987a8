"""A frame is scored by Spark's own model, or by Arrow where there is no JVM: with one result."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.ml.linalg import DenseVector, Vectors
from pyspark.sql import functions as F

from sparklr.spark.classic import SparkModelCache
from tests.made_models import without_jvm
from tests.scoring.ways import (
    BINOMIAL,
    INF,
    MULTINOMIAL,
    ROWS,
    goes_to_python,
    model_of,
    odd_rows,
    scored_alike,
)
from tests.tiers import first_and_deep

KINDS: dict[str, dict[str, Any]] = {
    "vectors": {"featuresCol": "features"},
    "lists of doubles": {"featuresCol": "list"},
    "lists of integers": {"featuresCol": "whole"},
    "columns": {"featuresCols": ["x.0", "x1", "x2"]},
}


@pytest.fixture(scope="module")
def odd(spark: Any) -> Iterator[Any]:
    with odd_rows(spark) as frame:
        yield frame


@pytest.mark.parametrize(
    "kind",
    first_and_deep(["lists of integers", "columns", "vectors", "lists of doubles"], first=2),
)
def test_both_ways_give_the_same_however_features_and_coefficients_are_stored(
    odd: Any, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    models = {
        f"{stored}, {len(coefficients)}": model_of(coefficients, stored=stored, **KINDS[kind])
        for stored in ("dense", "CSR")
        for coefficients in (BINOMIAL, MULTINOMIAL)
    }
    place = list(KINDS).index(kind)
    for scores in scored_alike(monkeypatch, odd, models).values():
        for given, score in zip(ROWS, scores, strict=True):
            value: Any = given[place]
            missing = value is None or (isinstance(value, (list, tuple)) and None in value)
            assert all((one is None) == missing for one in score), (kind, given)


def test_coefficients_may_be_stored_by_column(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's own fits store one row by row always; the constructor takes what it is given."""
    models = {
        f"{stored}, {len(coefficients)}": model_of(coefficients, stored=stored)
        for stored in ("dense by column", "CSC")
        for coefficients in (BINOMIAL, MULTINOMIAL)
    }
    scored_alike(monkeypatch, odd, models)


def test_one_row_scores_as_its_frame_does(odd: Any) -> None:
    for model in (model_of(BINOMIAL), model_of(MULTINOMIAL, stored="CSR")):
        rows = model.transform(odd).where("features IS NOT NULL").collect()
        assert rows
        for row in rows:
            found = model.predictRaw(row.features), model.predictProbability(row.features)
            assert_allclose(found[0], row.rawPrediction, rtol=1e-12, atol=1e-12)
            assert_allclose(found[1], row.probability, rtol=1e-12, atol=1e-12)
            assert model.predict(row.features) == row.prediction, row.features


ZEROS = np.zeros((3, 3))
# The models of a single label, and stranger ones.
INFINITE = {
    "all zero": model_of(ZEROS[:1], [-INF]),
    "all one": model_of(ZEROS[:1], [INF], stored="CSR"),
    "sloped": model_of(BINOMIAL, [INF]),
    "all two": model_of(ZEROS, [0.0, 0.0, INF], stored="CSC"),
    "all two, cut": model_of(ZEROS, [0.0, 0.0, INF], thresholds=[0.0, 1.0, 1.0]),
    "never two": model_of(MULTINOMIAL, [0.0, 0.5, -INF], stored="CSR"),
    "all tied": model_of(ZEROS, [INF, INF, INF]),
    "none likely": model_of(ZEROS, [-INF, -INF, -INF]),
    "two tied": model_of(MULTINOMIAL, [-INF, INF, INF]),
}


def test_both_ways_score_alike_where_intercepts_are_infinite(
    odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = {name: its[0] for name, its in scored_alike(monkeypatch, odd, INFINITE).items()}
    assert first["all one"].probability == DenseVector([0.0, 1.0])
    assert first["all two"].probability == DenseVector([0.0, 0.0, 1.0])
    assert [first[name].prediction for name in ("all zero", "all one", "all two")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("way", "kind"), [("jvm", "dense"), ("jvm", "sparse"), ("jvm", "list"), ("arrow", "sparse")]
)
def test_rows_of_the_wrong_width_are_refused_in_words(
    spark: Any, monkeypatch: pytest.MonkeyPatch, way: str, kind: str
) -> None:
    value: Any = {
        "dense": Vectors.dense(1.0, 2.0),
        "sparse": Vectors.sparse(2, [0], [1.0]),
        "list": [1.0, 2.0],
    }[kind]
    frame = spark.createDataFrame([(value,)], ["features"])
    if way == "arrow":
        without_jvm(monkeypatch)
    scored = model_of(BINOMIAL).transform(frame)
    # Spark 3.5 passes on what Java threw.
    with pytest.raises((PySparkException, Py4JJavaError)) as caught:
        scored.collect()
    assert "A row has 2 features, but the model was fitted on 3. Transform" in str(caught.value)


def test_a_wrong_width_in_the_schema_is_refused_at_once(odd: Any) -> None:
    narrow = odd.select(F.col("features").alias("features", metadata={"ml_attr": {"num_attrs": 2}}))
    with pytest.raises(ValueError, match="'features' has 2 features, but the model was fitted on"):
        model_of(BINOMIAL).transform(narrow)
    with pytest.raises(ValueError, match="'x1, x2' has 2 features, but the model was fitted on 3"):
        model_of(BINOMIAL, featuresCols=["x1", "x2"]).transform(odd)


def test_one_jvm_model_serves_many_transforms(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make = SparkModelCache._make

    def counted(self: SparkModelCache, context: Any) -> Any:
        made.append(self)
        return make(self, context)

    monkeypatch.setattr(SparkModelCache, "_make", counted)
    model = model_of(BINOMIAL)
    for cut in (0.2, 0.8):
        model.setThreshold(cut).transform(odd)
    assert len(made) == 1


def test_transform_works_where_the_jvm_refuses(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise Py4JError("class org.apache.spark.ml is not whitelisted\nat a.b.c")

    model = model_of(MULTINOMIAL)
    expected = model.transform(odd).where("at = 0").collect()
    monkeypatch.setattr(SparkModelCache, "_make", refuse)
    again = model_of(MULTINOMIAL).transform(odd)
    assert goes_to_python(again)
    assert again.where("at = 0").first().prediction == expected[0].prediction


def test_a_fault_of_our_own_is_not_taken_for_a_refusal(
    odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(*_: Any) -> Any:
        raise TypeError("a typo")

    monkeypatch.setattr(SparkModelCache, "_make", fault)
    with pytest.raises(TypeError, match="a typo"):
        model_of(MULTINOMIAL).transform(odd)
