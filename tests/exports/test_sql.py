"""Scores by SQL: in SQLite, in DuckDB and in Spark, on drawn models beside the model itself."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.exports.sql import SqlScores
from tests.exports.drawn import CASES, Drawn, drawn
from tests.made_models import certain_models, fitted_model, several_models

MANY = 5000  # features of a sum that a parser reads as deep as its parentheses


def in_sqlite(query: str, rows: pd.DataFrame) -> pd.DataFrame:
    with closing(sqlite3.connect(":memory:")) as base:
        base.create_function("EXP", 1, lambda x: None if x is None else np.exp(x))
        rows.to_sql("visits", base, index=False)
        return pd.read_sql_query(query, base)


def in_duckdb(query: str, rows: pd.DataFrame) -> pd.DataFrame:
    duckdb = pytest.importorskip("duckdb")
    with closing(duckdb.connect(":memory:")) as base:
        base.register("given", rows)
        nothing = ", ".join(  # pandas has no other missing value than NaN
            f"CASE WHEN isnan({its}) THEN NULL ELSE {its} END AS {its}"
            for its in ('"' + name.replace('"', '""') + '"' for name in rows.columns)
        )
        base.execute(f"CREATE TABLE visits AS SELECT {nothing} FROM given")
        return base.execute(query).df()


ENGINES = {"sqlite": in_sqlite, "duckdb": in_duckdb}


def assert_scores(found: pd.DataFrame, case: Drawn) -> None:
    """The scores are the model's, and missing in the rows with a missing value."""
    expected = case.expected()
    many = case.model.numClasses > 2
    names = {
        word: [f"{word}_{k}" for k in range(case.model.numClasses)] if many else [word]
        for word in ("margin", "probability")
    }
    scores = found[[*names["margin"], *names["probability"], "prediction"]]
    assert_array_equal(scores.notna().all(axis=1), case.whole)
    assert_array_equal(scores.isna().all(axis=1), ~case.whole)
    scores = scores[case.whole].astype(float)
    scale = 1e-12 * np.abs(expected["margin"]).max()
    assert_allclose(scores[names["margin"]], expected["margin"], rtol=1e-12, atol=scale)
    chances = expected["probability"] if many else expected["probability"][:, 1:]
    assert_allclose(scores[names["probability"]], chances, rtol=1e-9, atol=1e-14)
    assert_array_equal(scores["prediction"], expected["prediction"])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_a_query_gives_what_the_model_gives(name: str, engine: str) -> None:
    case = drawn(**CASES[name])
    query = case.model.toSql().query("visits")
    assert_scores(ENGINES[engine](query, case.rows), case)


def test_the_expressions_give_it_without_a_query_around_them() -> None:
    for name in ("two classes", "three classes"):
        case = drawn(**CASES[name])
        assert_scores(in_sqlite(f"SELECT {case.model.toSql()} FROM visits", case.rows), case)


def test_each_label_has_its_probability() -> None:
    case = drawn(seed=8, margins=1)
    zero, one = case.model.toSql().probabilities
    found = in_sqlite(f"SELECT {zero} AS a, {one} AS b FROM visits", case.rows)
    assert_allclose(found, case.expected()["probability"], rtol=1e-9, atol=1e-14)
    assert case.model.toSql().probability == one
    with pytest.raises(ValueError, match=r"each of its 3 labels: read probabilities\[label\]"):
        _ = drawn(seed=8, margins=3).model.toSql().probability


def test_spark_gives_what_transform_gives(spark: Any) -> None:
    """On the rows themselves, with nulls."""
    for name in ("two classes", "sparse, three classes", "offset"):
        case = drawn(**CASES[name])
        frame = spark.createDataFrame(case.rows.astype(object).where(case.rows.notna(), None))
        frame.createOrReplaceTempView("visits")
        try:
            found = spark.sql(case.model.toSql(quote="`").query("visits")).toPandas()
        finally:
            spark.catalog.dropTempView("visits")
        assert_scores(found, case)
        scored = case.model.transform(frame).select("prediction").toPandas()["prediction"]
        assert_array_equal(found["prediction"], scored)


def scored(scores: SqlScores, values: dict[str, float | None]) -> Any:
    """The scores of a single row in SQLite."""
    row = pd.DataFrame([values], dtype=object)
    return in_sqlite(f"SELECT {scores} FROM visits", row).iloc[0]


def test_a_missing_value_counts_where_it_is_asked_to() -> None:
    model = fitted_model([[1.0, 0.0]], [0.0], names=["a", "b"])
    assert np.isnan(scored(model.toSql(), {"a": 1.0, "b": None})["probability"] or np.nan)
    sql = model.toSql(nulls="used")
    assert '"b"' not in str(sql)
    assert scored(sql, {"a": 1.0})["probability"] == pytest.approx(1 / (1 + np.exp(-1)))
    with pytest.raises(ValueError, match="nulls='none' is not allowed: it must be 'any' or 'used'"):
        model.toSql(nulls="none")  # type: ignore[arg-type]


def test_only_coefficients_other_than_zero_are_in_the_sum() -> None:
    text = several_models()["sparse"].toSql([f"c{at}" for at in range(30)], nulls="used").margins
    assert text == (
        '0E0 + 1E-1 * "c3"',
        '0E0 - 1E-300 * "c7"',
        '0E0 + 3.333333333333333E-1 * "c7" - 2.5E0 * "c29"',
    )


@pytest.mark.parametrize(("threshold", "label"), [(0.0, 1.0), (1.0, 0.0)])
def test_a_threshold_at_an_end_gives_one_label(threshold: float, label: float) -> None:
    model = fitted_model([[1.0]], [0.0], names=["a"], threshold=threshold)
    for value in (-1e4, 0.0, 1e4):
        assert scored(model.toSql(), {"a": value})["prediction"] == label


def test_a_label_with_threshold_zero_is_always_predicted() -> None:
    model = fitted_model(np.eye(3), np.zeros(3), names=list("abc"), thresholds=[0.5, 0.0, 0.5])
    row = {"a": 9.0, "b": -9.0, "c": 0.0}
    assert scored(model.toSql(), row)["prediction"] == model.predict(pd.Series(row)) == 1.0


def test_of_equal_labels_the_first_is_predicted() -> None:
    model = fitted_model(np.ones((3, 1)), np.zeros(3), names=["a"])
    assert scored(model.toSql(), {"a": 2.0})["prediction"] == model.predict([2.0]) == 0.0


def test_an_infinite_value_has_no_score() -> None:
    model = fitted_model([[1.0]], [0.0], names=["a"])
    found = scored(model.toSql(), {"a": np.inf})
    assert found["probability"] is None
    assert found["prediction"] is None


def test_many_features_are_within_the_limits_of_a_parser() -> None:
    """SQLite takes a depth of 1000."""
    names = [f"c{at % 20}" for at in range(MANY)]
    values = np.random.default_rng(0).normal(size=MANY)
    values[::2] = 0.0
    model = fitted_model([values], [0.5])
    found = scored(model.toSql(names), {f"c{at}": float(at) for at in range(20)})
    assert found["margin"] == pytest.approx(0.5 + values @ (np.arange(MANY) % 20))


def test_columns_may_be_expressions() -> None:
    model = fitted_model([[1.0, 2.0]], [0.0])
    sql = model.toSql(["v[0]", "a - b"], quote="")
    assert sql.margins == ("0E0 + 1E0 * v[0] + 2E0 * (a - b)",)
    with pytest.raises(ValueError, match="quote='#' is not allowed"):
        model.toSql(["a", "b"], quote="#")


def test_what_sql_cannot_say_is_refused() -> None:
    nameless = several_models()["ternary"]
    with pytest.raises(ValueError, match=r"no names, so toSql needs .* one for each of the 3"):
        nameless.toSql()
    for columns in ("abc", ["a"]):
        with pytest.raises(ValueError, match=r"for each of the 3 features .* but got 1"):
            nameless.toSql(columns)
    for model in certain_models():
        with pytest.raises(ValueError, match="fitted on one label alone"):
            model.toSql(["a", "b", "c"])
    with pytest.raises(ValueError, match=r"with averaged=True .* Call setAveraged\(False\)"):
        several_models()["binary"]._set(averaged=True).toSql()
