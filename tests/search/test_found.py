"""What a search prints, and that it is saved as Spark's own."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.ml import tuning as spark_tuning

from sparklr import LogisticRegressionEstimator
from sparklr.search.found import CrossValidatorModel, TrainValidationSplitModel
from sparklr.search.penalty_grid import PenaltyGrid
from tests.made_models import fitted_model

ESTIMATOR = LogisticRegressionEstimator()
MAPS = [{ESTIMATOR.regParam: 0.1, ESTIMATOR.elasticNetParam: 0.5}, {ESTIMATOR.regParam: 1e-4}]


class Deviance:
    """An evaluator of which Spark knows nothing but its sign."""

    def isLargerBetter(self) -> bool:
        return False


def given(found: Any, maps: Any = MAPS) -> Any:
    found._paramMap[found.estimatorParamMaps] = maps
    found._paramMap[found.evaluator] = Deviance()
    found._paramMap[found.estimator] = ESTIMATOR
    return found


def by_folds(chosen: int = 1) -> CrossValidatorModel:
    model: Any = fitted_model([[1.0]], [0.0])
    return given(CrossValidatorModel(model, [0.75, 0.5], None, [0.25, 0.125], chosen))


def test_a_search_prints_its_maps_metrics_and_choice() -> None:
    text = str(by_folds())
    assert [line.split() for line in text.splitlines()[2:5]] == [
        ["maps", "2,", "each", "fitted", "without", "3", "folds", "in", "turn"],
        ["metric", "metric,", "the", "smaller", "the", "better"],
        ["chosen", "(*)", "regParam=0.0001:", "0.5000"],
    ]
    assert "regParam=0.1, elasticNetParam=0.5  0.7500          0.2500" in text
    assert "regParam=0.0001 *                  0.5000          0.1250" in text
    assert "<td" in by_folds()._repr_html_()


def test_a_search_with_one_split_has_one_metric_per_map() -> None:
    model: Any = fitted_model([[1.0]], [0.0])
    text = str(given(TrainValidationSplitModel(model, [0.75, 0.5], None, 0)))
    assert "each fitted on 75% of the rows" in text
    assert "regParam=0.1, elasticNetParam=0.5 *  0.7500" in text


def test_a_copy_of_a_search_prints_the_same() -> None:
    """Spark's own fails without the models of folds."""
    found = by_folds()
    assert str(found.copy()) == str(found)
    model: Any = fitted_model([[1.0]], [0.0])
    split = given(TrainValidationSplitModel(model, [0.75, 0.5], None, 0))
    assert str(split.copy()) == str(split)


@pytest.mark.parametrize("count", [1, 3])
def test_a_grid_of_penalties_prints_its_values(count: int) -> None:
    grid = PenaltyGrid({ESTIMATOR.regParam: 0.123456 / 10**at} for at in range(count))
    shown = {1: "1 value of regParam: 0.1235", 3: "3 values of regParam: 0.1235, 0.01235, 0.001235"}
    assert repr(grid) == str(grid) == shown[count]
    assert isinstance(grid, list)


@pytest.mark.classic  # Spark Connect wraps the writer; tests/connect saves and loads there
def test_what_was_found_is_written_as_sparks_own() -> None:
    found = by_folds()
    writer: Any = found.write()
    assert type(writer.instance) is spark_tuning.CrossValidatorModel
    assert writer.instance.uid == found.uid
