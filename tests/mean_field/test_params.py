"""The Params of the classifier: a rule, a setter and a getter for each."""

from __future__ import annotations

from typing import Any

import pytest

from sparklr.distributions import MeanFieldClassifier, MeanFieldModel
from sparklr.mean_field.params import OF_PATHS, OWN_RULES, SHARED
from sparklr.params import LogisticRegressionParams

# For each Param a value that is not its default.
OTHERS: dict[str, Any] = {
    "featuresCol": "turned",
    "featuresCols": ["one", "two"],
    "labelCol": "answer",
    "weightCol": "one",
    "predictionCol": "guess",
    "probabilityCol": "chance",
    "rawPredictionCol": "raw",
    "regularizer": "fisher",
    "regParam": 0.25,
    "temperature": 0.5,
    "outputScale": 3.0,
    "numNeurons": 40,
    "numSnapshots": 2,
    "maxIter": 70,
    "stepSize": 0.25,
    "friction": 2.0,
    "pathPoints": 9,
    "pathLength": 3.0,
    "fitIntercept": False,
    "standardization": False,
    "threshold": 0.25,
    "thresholds": [0.75, 0.25],
    "aggregationDepth": 3,
    "maxBlockSizeInMB": 2.0,
    "seed": 5,
    "verbose": True,
}


def test_there_is_a_value_here_for_each_param() -> None:
    assert {param.name for param in MeanFieldClassifier().params} == set(OTHERS)
    assert {*OWN_RULES, *OF_PATHS, *SHARED} <= set(OTHERS)


@pytest.mark.parametrize("name", list(OTHERS))
def test_each_has_a_setter_and_a_getter(name: str) -> None:
    classifier = MeanFieldClassifier()
    suffix = f"et{name[0].upper()}{name[1:]}"
    assert getattr(classifier, f"s{suffix}")(OTHERS[name]) is classifier
    if name == "thresholds":
        assert classifier.getThreshold() == pytest.approx(0.25)
    assert getattr(classifier, f"g{suffix}")() == OTHERS[name]
    assert MeanFieldClassifier(**{name: OTHERS[name]}).getOrDefault(name) == OTHERS[name]
    assert classifier.copy().getOrDefault(name) == OTHERS[name]


@pytest.mark.parametrize("name", SHARED)
def test_packing_and_scoring_see_what_is_set(name: str) -> None:
    shared = MeanFieldClassifier(**{name: OTHERS[name]}).shared()
    assert shared.getOrDefault(name) == OTHERS[name]
    assert [its.name for its in shared.params if shared.isSet(its)] == [name]
    assert LogisticRegressionParams().hasParam(name)


def test_the_measure_is_that_of_the_params() -> None:
    fisher = MeanFieldClassifier(**{**OTHERS, "featuresCols": None}).measure
    assert (fisher.regularizer, fisher.kappa, fisher.temperature) == ("fisher", 0.25, 0.5)
    assert (fisher.scale, fisher.beads, fisher.length) == (3.0, 9, 3.0)
    assert MeanFieldClassifier().measure.beads == 1


def test_a_refused_value_changes_nothing() -> None:
    classifier = MeanFieldClassifier(temperature=0.5)
    with pytest.raises(ValueError, match="numNeurons"):
        classifier.setParams(temperature=0.25, numNeurons=3)
    assert classifier.getTemperature() == 0.5


def test_a_model_has_no_say_in_how_it_was_fitted() -> None:
    for name in ("setMaxIter", "setTemperature", "setNumNeurons", "setVerbose"):
        assert not hasattr(MeanFieldModel, name)
