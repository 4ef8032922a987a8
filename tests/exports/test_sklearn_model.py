"""A model as scikit-learn's own: the same probabilities, on numbers of its own."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from tests.made_models import certain_models, several_models


def test_scikit_learn_gives_the_same_probabilities() -> None:
    models = several_models()
    for model in models.values():
        matrix = np.random.default_rng(3).normal(size=(200, model.numFeatures))
        made = model.toSklearn()
        if hasattr(made, "feature_names_in_"):
            matrix = pd.DataFrame(matrix, columns=model.featureNames)
        assert_allclose(made.predict_proba(matrix), model.predictProbability(matrix), rtol=1e-13)
        assert_array_equal(made.classes_, np.arange(model.numClasses))
        plain = model.copy()
        for param in (plain.threshold, plain.thresholds):
            plain.clear(param)
        assert_array_equal(made.predict(matrix), plain.predict(matrix))
    binary, pair = models["binary"].toSklearn(), models["pair"].toSklearn()
    assert binary.coef_.shape == pair.coef_.shape == (1, 3)
    with pytest.raises(ValueError, match="3 features"):
        pair.predict(np.zeros((2, 2)))


def test_scikit_learns_model_knows_the_names_of_the_features() -> None:
    """So a frame with its columns in another order is refused there, as is a lacking one."""
    models = several_models()
    made = models["binary"].toSklearn()
    assert made.feature_names_in_.tolist() == ["x0", "x1", "x2"]
    assert not hasattr(models["ternary"].toSklearn(), "feature_names_in_")
    with pytest.raises(ValueError, match="feature names"):
        made.predict(pd.DataFrame(np.ones((1, 3)), columns=["x2", "x1", "x0"]))


def test_scikit_learns_model_is_a_copy() -> None:
    binary = several_models()["binary"]
    before = binary.predictRaw([1.0, 2.0, 3.0])
    made = binary.toSklearn()
    made.coef_ *= 0
    made.intercept_ *= 0
    assert binary.predictRaw([1.0, 2.0, 3.0]) == before
    assert binary.toSklearn().coef_.any()


def test_without_scikit_learn_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-learn"):
        several_models()["binary"].toSklearn()


def test_scikit_learn_takes_certain_models_or_they_are_refused() -> None:
    none, all_one, all_two = certain_models()
    with pytest.raises(ValueError, match=r"toSklearn: .* two classes or more.*one label alone"):
        none.toSklearn()
    assert_array_equal(all_one.toSklearn().predict_proba(np.ones((2, 3))), [[0, 1], [0, 1]])
    # Its softmax of an infinite margin is NaN.
    with pytest.raises(ValueError, match=r"toSklearn: .*one label alone"):
        all_two.toSklearn()
