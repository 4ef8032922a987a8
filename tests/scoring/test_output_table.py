"""An output column is one entry of a table: each way writes a new one, where it is wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vectors, VectorUDT
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from sparklr import LogisticRegressionModel
from sparklr.params import LogisticRegressionParams
from sparklr.scoring.evaluators import HeldOut, array_evaluator
from sparklr.scoring.outputs import OUTPUTS, Output, check_output_columns, output_columns
from sparklr.spark.classic import MADE_BY_SPARK, SparkModelCache
from tests.tiers import first_and_deep

NAN = float("nan")
ROWS = [
    (0, Vectors.dense(1.0, 2.0), 0.0),
    (1, Vectors.sparse(2, [1], [-3.0]), 1.0),
    (2, None, 1.0),
    (3, Vectors.dense(NAN, 1.0), 0.0),
    (4, Vectors.dense(-0.5, 0.25), 1.0),
]


def model_of(classes: int, **params: Any) -> LogisticRegressionModel:
    rows = 1 if classes == 2 else classes
    values = np.linspace(-1.0, 2.0, 2 * rows)
    matrix = DenseMatrix(rows, 2, values, isTransposed=True)
    intercepts = DenseVector(np.linspace(0.5, -0.5, rows))
    return LogisticRegressionModel(matrix, intercepts, classes, rows > 1)._set(**params)


@pytest.fixture
def frame(spark: Any) -> Any:
    schema = "at int, label double"
    rows = spark.createDataFrame([(at, label) for at, _, label in ROWS], schema)
    features = spark.createDataFrame([(at, its) for at, its, _ in ROWS], ["at", "features"])
    return rows.join(features, "at").coalesce(1)


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fourth output, a number, and a fifth, a vector; each a Param and an entry."""
    for name in ("entropyCol", "surpriseCol"):
        text = TypeConverters.toString
        param = Param(Params._dummy(), name, "The column.", typeConverter=text)
        monkeypatch.setattr(LogisticRegressionParams, name, param, raising=False)

    # Inside of this function, so that they travel to workers without this module.
    def entropy(scores: Any) -> Any:
        chances = scores.probability
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(chances == 0, 0.0, -chances * np.log(chances)).sum(axis=1)

    def spark_entropy(columns: Any) -> Any:
        chances = vector_to_array(columns["probabilityCol"])
        return F.aggregate(chances, F.lit(0.0), lambda sum_, p: sum_ - p * F.log(p))

    def spark_surprise(columns: Any) -> Any:
        chances = vector_to_array(columns["probabilityCol"])
        return array_to_vector(F.transform(chances, lambda p: -F.log(p)))

    entry = Output("double", lambda classes, _: {"most": f"log {classes}"}, entropy, spark_entropy)
    monkeypatch.setitem(OUTPUTS, "entropyCol", entry)
    monkeypatch.setitem(
        OUTPUTS,
        "surpriseCol",
        Output("vector", lambda *_: {}, lambda its: -np.log(its.probability), spark_surprise),
    )


def without_jvm(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SparkModelCache, "copy_in", lambda *_: None)


def collected(frame: Any, *columns: str) -> list[tuple[Any, ...]]:
    rows = sorted(frame.collect(), key=lambda row: row.at)
    return [tuple(row[name] for name in columns) for row in rows]


def test_every_output_is_a_param_of_the_model() -> None:
    assert set(MADE_BY_SPARK) <= set(OUTPUTS)
    model = model_of(2)
    assert all(model.hasParam(name) for name in OUTPUTS)
    assert output_columns(model) == {f"{name}Col": name for name in
                                     ("rawPrediction", "probability", "prediction")}  # fmt: skip


@pytest.mark.usefixtures("more")
def test_an_output_without_a_name_is_not_wanted() -> None:
    assert list(output_columns(model_of(2))) == list(MADE_BY_SPARK)
    assert list(output_columns(model_of(2, entropyCol=""))) == list(MADE_BY_SPARK)
    assert list(output_columns(model_of(2, entropyCol="h"))) == [*MADE_BY_SPARK, "entropyCol"]


@pytest.mark.usefixtures("more")
def test_a_new_output_is_refused_where_its_name_is_taken(frame: Any) -> None:
    with pytest.raises(ValueError, match="already has the output column entropyCol='label'"):
        check_output_columns(frame, model_of(2, entropyCol="label"))
    with pytest.raises(ValueError, match="Output columns share a name"):
        model_of(2, entropyCol="prediction").transform(frame)


@pytest.mark.classic
@pytest.mark.usefixtures("more")
@pytest.mark.parametrize(
    ("classes", "alone"),
    first_and_deep([(3, False), (2, True), (2, False), (3, True)], first=2),
)
def test_new_outputs_are_written_by_each_way(
    frame: Any, monkeypatch: pytest.MonkeyPatch, classes: int, alone: bool
) -> None:
    left_out = dict.fromkeys(MADE_BY_SPARK, "") if alone else {}
    model = model_of(classes, entropyCol="h", surpriseCol="s", **left_out)
    by_twin = model.transform(frame)
    with monkeypatch.context() as patch:
        without_jvm(patch)
        by_arrow = model.transform(frame)
        patch.delattr(F, "arrow_udf", raising=False)  # as before Spark 4.1
        by_pandas = model.transform(frame)
    ways = (by_twin, by_arrow, by_pandas)
    plans = [its._jdf.queryExecution().executedPlan().toString() for its in ways]
    assert ["ArrowEvalPython" in plan for plan in plans] == [False, True, True]
    assert by_twin.schema == by_arrow.schema == by_pandas.schema
    own = [] if alone else ["rawPrediction", "probability", "prediction"]
    assert by_twin.columns == [*frame.columns, *own, "h", "s"]
    assert by_twin.schema["h"].dataType == DoubleType()
    assert by_twin.schema["h"].metadata == {"most": f"log {classes}"}
    assert by_twin.schema["s"].dataType == VectorUDT()
    for way in ways:
        scores = collected(way, "h", "s")
        for (_, features, _), (number, vector) in zip(ROWS, scores, strict=True):
            if features is None:
                assert (number, vector) == (None, None)
                continue
            chances = model.predictProbability(features).toArray()
            assert_allclose(vector.toArray(), -np.log(chances), rtol=1e-12)
            assert_allclose(number, -np.sum(chances * np.log(chances)), rtol=1e-12)
        assert np.isnan(scores[3][0])  # not null: the features are there


@pytest.mark.usefixtures("more")
def test_python_makes_only_what_is_wanted(frame: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the prediction, which tells what was scored."""
    without_jvm(monkeypatch)

    def refuse(_: Any) -> Any:
        raise ValueError("made in vain")

    for unwanted in ("rawPredictionCol", "probabilityCol", "entropyCol"):
        entry = OUTPUTS[unwanted]
        monkeypatch.setitem(
            OUTPUTS, unwanted, Output(entry.kind, entry.metadata, refuse, entry.of_spark)
        )
    model = model_of(2, rawPredictionCol="", probabilityCol="", surpriseCol="s")
    rows = collected(model.transform(frame), "prediction", "s")
    assert [row[0] is None for row in rows] == [row[1] is None for row in rows]
    assert [row[0] is None for row in rows] == [False, False, True, False, False]


@pytest.mark.usefixtures("more")
@pytest.mark.parametrize("column", ["h", "s"])
def test_an_area_is_taken_of_a_new_output_too(frame: Any, column: str) -> None:
    """In memory as on frames, since the evaluator names a column and knows no more of it."""
    model = model_of(2, entropyCol="h", surpriseCol="s")
    known = frame.where("at in (0, 1, 4)")
    evaluator = BinaryClassificationEvaluator(rawPredictionCol=column)
    rows = [row for row in ROWS if row[0] in (0, 1, 4)]
    margins = np.array([[model.predictRaw(features)[1]] for _, features, _ in rows])
    found = array_evaluator(evaluator, model)
    assert found is not None
    labels = np.array([label for *_, label in rows])
    area = found.metric(model._scorer, margins, HeldOut(labels, None))
    assert area == evaluator.evaluate(model.transform(known))


def test_scores_are_made_when_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(2)
    scorer = model._scorer
    monkeypatch.setattr(type(scorer), "probability", None)
    scores = scorer.scores(np.array([[1.0, 2.0], [3.0, -4.0]]))
    assert_array_equal(scores.prediction, [1.0, 0.0])
    with pytest.raises(TypeError):
        _ = scores.probability
