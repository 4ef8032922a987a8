"""Folds of a search: Spark's row for row, or those of a column."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sparklr import LogisticRegressionEstimator
from sparklr.tuning import CrossValidator, TrainValidationSplit
from tests.search.by_hand import assert_metrics, by_hand
from tests.search.searches import TIGHT, area, maps_of, searched
from tests.tiers import first_and_deep

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def numbered(spark: Any) -> Any:
    """Rows of several partitions."""
    return spark.range(0, 300, 1, 5)


def ids(frame: Any) -> set[int]:
    return {row.id for row in frame.select("id").collect()}


@pytest.mark.parametrize(("folds", "seeds"), first_and_deep([(7, (-5,)), (3, (0, 42)), (49, (7,))]))
def test_every_row_is_in_the_fold_that_spark_puts_it_in(
    numbered: Any, folds: int, seeds: Sequence[int]
) -> None:
    for seed in seeds:
        validator = CrossValidator(numFolds=folds, seed=seed)
        split = validator.split(numbered)
        assert list(split.held) == list(range(folds))
        assert set(split.frame.columns) == {"id", split.column}
        members = {row["id"]: row[split.column] for row in split.frame.collect()}
        theirs = validator._kFold(numbered)
        held = [its.withColumn("fold", F.lit(fold)) for fold, (_, its) in enumerate(theirs)]
        rows = reduce(DataFrame.union, held).coalesce(2).select("id", "fold").collect()
        assert sorted((row.id, row.fold) for row in rows) == sorted(members.items())
        assert len(members) == 300
        mine = {number for number, its in members.items() if its == 1}
        assert ids(theirs[1][0]) == members.keys() - mine == ids(split.without(1))
        assert ids(split.only(1)) == mine


@pytest.mark.parametrize("ratio", [0.75, 0.3])
def test_the_one_split_is_sparks(numbered: Any, ratio: float) -> None:
    validator = TrainValidationSplit(trainRatio=ratio, seed=9)
    split = validator.split(numbered)
    held = numbered.withColumn("random", F.rand(9)).where(F.col("random") >= ratio)
    assert list(split.held) == [1]
    assert ids(split.only(1)) == ids(held)
    assert ids(split.without(1)) == ids(numbered) - ids(held)


@pytest.fixture
def parted(two: Any) -> Any:
    """Rows whose fold is in a column."""
    return two.withColumn("part", F.expr("pmod(hash(x0), 3)"))


def test_folds_of_a_column(parted: Any) -> None:
    estimator = LogisticRegressionEstimator(**TIGHT)
    maps = maps_of(estimator, [{"regParam": 0.3}, {"regParam": 0.01}])
    what = CrossValidator, estimator, maps, area(), parted
    found = searched(*what, foldCol="part", numFolds=3)
    expected = by_hand(*what, foldCol="part", numFolds=3)
    assert_metrics(found, expected)
    assert all((rows["part"] != fold).all() for fold, rows in expected.train.items())
    assert found.getFoldCol() == "part"


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("part + 1", r"must be whole and in range \[0, 3\), but got 3"),
        ("part + 0.5", r"but got \d.5"),
        ("part - 1", "but got -1"),
    ],
)
def test_no_row_is_in_a_fold_that_is_none(parted: Any, part: str, message: str) -> None:
    frame = parted.withColumn("part", F.expr(part))
    split = CrossValidator(foldCol="part", numFolds=3).split(frame)
    with pytest.raises(Exception, match=message):
        split.frame.select(split.column).collect()


@pytest.mark.parametrize(
    ("part", "folds", "message"),
    [
        ("nullif(part, 1)", 3, "but got null"),
        ("part", 4, "validation data at fold 3 is empty"),
        ("part * 0", 2, "training data at fold 0 is empty"),
    ],
)
def test_a_search_on_folds_that_are_wrong_fails(
    parted: Any, part: str, folds: int, message: str
) -> None:
    estimator = LogisticRegressionEstimator()
    frame = parted.withColumn("part", F.expr(part))
    with pytest.raises(Exception, match=message):
        searched(CrossValidator, estimator, [{}], area(), frame, foldCol="part", numFolds=folds)
