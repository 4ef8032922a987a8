"""Pictures of a search: what is drawn is what the search has found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from pyspark.ml import Pipeline
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import StandardScaler

from sparklr import LogisticRegressionEstimator
from sparklr.display import plots
from sparklr.spark.errors import InvalidValueError
from sparklr.tuning import CrossValidator, TrainValidationSplit, plot_path, plot_scores
from tests.search.searches import area, maps_of, searched

PENALTIES = [0.1, 0.001, 0.01]


def maps_for(estimator: Any, *mixing: float) -> list[dict[Any, Any]]:
    each = [{"regParam": one, "elasticNetParam": its} for its in mixing for one in PENALTIES]
    return maps_of(estimator, each)


def axes() -> Any:
    return Figure().subplots()


def test_scores_have_a_line_per_setting_and_the_chosen_map(two: Any) -> None:
    estimator = LogisticRegressionEstimator()
    maps = maps_for(estimator, 0.0, 1.0)
    found = searched(
        CrossValidator, estimator, maps, area(), two, numFolds=4, selectionRule="1se", seed=3
    )
    ax = plot_scores(found, axes())
    legend = [its.get_text() for its in ax.get_legend().get_texts()]
    chosen = found.bestModel.getRegParam()
    assert legend == [f"chosen: {chosen:.3g}", "elasticNetParam=0.0", "elasticNetParam=1.0"]
    errors = np.array(found.stdMetrics) / np.sqrt(3)
    for at, bars in enumerate(ax.containers):
        data, _, (limits,) = bars.lines
        places = [3 * at + 1, 3 * at + 2, 3 * at]  # by ascending penalty
        assert_allclose(data.get_ydata(), np.array(found.avgMetrics)[places])
        low, high = np.array([its[:, 1] for its in limits.get_segments()]).T
        assert_allclose((high - low) / 2, errors[places])
    place = next(
        at
        for at, its in enumerate(maps)
        if its[estimator.regParam] == chosen
        and its[estimator.elasticNetParam] == found.bestModel.getElasticNetParam()
    )
    (ring,) = [its for its in ax.lines if its.get_markersize() == 11]
    assert_allclose(ring.get_ydata(), [found.avgMetrics[place]])
    assert "areaUnderROC, mean of 4 folds ± standard error" in ax.get_ylabel()


def test_the_path_has_the_means_of_the_folds_per_deviation(two: Any) -> None:
    estimator = LogisticRegressionEstimator()
    rest = {"numFolds": 2, "collectSubModels": True, "seed": 3}
    found = searched(CrossValidator, estimator, maps_for(estimator, 1.0), area(), two, **rest)
    ax = plot_path(found, axes())
    names = [its.get_text() for its in ax.texts]
    assert names
    for name, line in zip(names, ax.lines, strict=False):
        at = found.bestModel.featureNames.index(name)
        deviation = found.bestModel.summary.featureDeviations[at]
        mean = np.mean([[its.coefficients[at] for its in fold] for fold in found.subModels], axis=0)
        assert_allclose(line.get_ydata(), deviation * mean[[1, 2, 0]])
        assert_allclose(line.get_xdata(), sorted(PENALTIES))


def test_one_validation_part_in_a_pipeline_has_no_bars(two: Any) -> None:
    estimator = LogisticRegressionEstimator(featuresCol="scaled")
    pipeline = Pipeline(stages=[StandardScaler(inputCol="features", outputCol="scaled"), estimator])
    maps = maps_of(estimator, [{"regParam": one} for one in [0.0, 0.1]])
    rest = {"collectSubModels": True, "seed": 3}
    found = searched(TrainValidationSplit, pipeline, maps, area(), two, **rest)
    ax = plot_scores(found, axes())
    assert ax.get_xscale() == "symlog"
    assert ax.get_ylabel() == "areaUnderROC on the validation rows"
    assert_allclose(ax.containers[0].lines[0].get_ydata(), found.validationMetrics)
    assert plot_path(found, axes()).get_ylabel() == "coefficient per standard deviation"


@pytest.mark.deep
def test_what_cannot_be_drawn_is_refused(two: Any) -> None:
    ours, theirs = LogisticRegressionEstimator(), LogisticRegression()
    single = maps_of(ours, [{"regParam": 0.1, "tol": its} for its in (1e-3, 1e-6)])
    found = searched(CrossValidator, ours, single, area(), two, numFolds=2)
    with pytest.raises(InvalidValueError, match=r"all maps have regParam=0\.1"):
        plot_scores(found, axes())
    several = maps_of(ours, [{"regParam": its} for its in (0.1, 1.0)])
    found = searched(CrossValidator, ours, several, area(), two, numFolds=2)
    with pytest.raises(InvalidValueError, match="collectSubModels=True"):
        plot_path(found, axes())
    with pytest.raises(TypeError, match="plot_path takes the model of a CrossValidator"):
        plot_path(found.bestModel, axes())
    other = maps_of(theirs, [{"regParam": its} for its in (0.1, 1.0)])
    found = searched(CrossValidator, theirs, other, area(), two, numFolds=2)
    with pytest.raises(TypeError, match="searches over a LogisticRegressionEstimator"):
        plot_scores(found, axes())


def test_names_are_moved_apart_and_stay_in_the_plot() -> None:
    places = plots._apart(np.array([0.99, 0.5, 0.5, 1.0, 0.01]))
    ordered = np.sort(places)
    assert (np.diff(ordered) >= plots.LINE - 1e-12).all()
    assert ordered[-1] <= 1
    assert places[4] == 0.01
    assert_allclose(plots._apart(np.array([0.2, 0.8])), [0.2, 0.8])
