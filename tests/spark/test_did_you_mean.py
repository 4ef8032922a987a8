"""Names that are nearly those of a column, a Param or a solver."""

from __future__ import annotations

from typing import Any

import pytest

from sparklr import LogisticRegressionEstimator
from sparklr.distributions import MeanFieldClassifier
from sparklr.spark.did_you_mean import did_you_mean
from sparklr.tuning import CrossValidator


@pytest.mark.parametrize(
    ("name", "meant"),
    [("agee", "age"), ("AGE", "age"), ("dosi", "Dosis"), ("weigth", "weight"), (None, None),
     ("label", None), ("", None)],
)  # fmt: skip
def test_a_close_name_is_suggested_and_no_other(name: Any, meant: str | None) -> None:
    expected = "" if meant is None else f" Did you mean '{meant}'?"
    assert did_you_mean(name, ["age", "Dosis", "weight"]) == expected


def test_a_misspelled_param_is_refused_with_the_name_that_was_meant() -> None:
    words = r"has no Param '{}'\. Did you mean '{}'\? explainParams\(\) lists all of them"
    made = LogisticRegressionEstimator()
    for refused in (
        lambda: LogisticRegressionEstimator(regParm=0.1),  # type: ignore[call-arg]
        lambda: made.setParams(regParm=0.1),  # type: ignore[call-arg]
    ):
        with pytest.raises(TypeError, match=words.format("regParm", "regParam")):
            refused()
    with pytest.raises(TypeError, match=words.format("foldcol", "foldCol")):
        CrossValidator(foldcol="fold")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=words.format("neurons", "numNeurons")):
        MeanFieldClassifier(neurons=3)  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match=words.format("regParm", "regParam")):
        made.getParam("regParm")
    with pytest.raises(TypeError, match=r"has no Param 'colour'\. explainParams"):
        LogisticRegressionEstimator(colour="red")  # type: ignore[call-arg]


def test_a_misspelled_solver_is_refused_with_the_name_that_was_meant() -> None:
    with pytest.raises(ValueError, match=r"one of auto, .*\. Did you mean 'newton'\?"):
        LogisticRegressionEstimator(solver="newtn")


def test_a_misspelled_column_is_refused_with_the_name_that_was_meant(spark: Any) -> None:
    frame = spark.createDataFrame([(1.0, 2.0)], ["Label", "dose"])
    estimator = LogisticRegressionEstimator(featuresCols=["doze"])
    with pytest.raises(ValueError, match=r"'doze' does not exist\. Did you mean 'dose'\? The col"):
        estimator.fit(frame)
