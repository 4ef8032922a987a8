"""A model as an estimator of scikit-learn, which is optional."""

from __future__ import annotations

import numpy as np

from sparklr.scoring.numbers import ModelNumbers


def sklearn_model(numbers: ModelNumbers) -> object:
    """Return a fitted sklearn.linear_model.LogisticRegression with the same probabilities."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError:
        raise ModuleNotFoundError(
            "toSklearn needs scikit-learn. Install it: pip install scikit-learn."
        ) from None
    coefficients, intercepts = numbers.arrays
    if numbers.classes < 2 or (numbers.classes > 2 and np.isinf(intercepts).any()):
        raise ValueError(
            "toSklearn: scikit-learn's LogisticRegression needs two classes or more, but this "
            "model was fitted on one label alone."
        )
    if numbers.family.per_class and numbers.classes == 2:  # scikit-learn has one margin for two
        coefficients, intercepts = np.diff(coefficients, axis=0), np.diff(intercepts)
    made = LogisticRegression()
    made.classes_ = np.arange(numbers.classes, dtype=np.float64)
    made.coef_ = coefficients.copy()
    made.intercept_ = intercepts.copy()
    made.n_features_in_ = numbers.features
    if numbers.names is not None:
        made.feature_names_in_ = np.array(numbers.names, dtype=object)
    made.n_iter_ = np.zeros(1, dtype=np.int32)
    return made
