"""The reference numbers belong to the data beside them, in the order and by the names they have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit, softmax

from tests.inference.references import Array, cases, column, data, reference

FITTED = [name for name in cases() if "covariance" in reference(name)]


def design(name: str) -> tuple[Array, Array]:
    """Features with the intercept's column last, and weights."""
    rows, case = data(name), reference(name)
    ones = np.ones(len(rows.labels))
    matrix = np.column_stack([rows.matrix, ones]) if case["intercept"] else rows.matrix
    if "class_weights" in case:
        return matrix, np.array(case["class_weights"])[rows.labels.astype(int)]
    return matrix, ones if rows.weights is None else rows.weights


def probabilities(name: str, matrix: Array) -> Array:
    """Of classes 1 .. K-1, as columns."""
    coefficients = np.atleast_2d(reference(name)["coefficients"])
    margins = matrix @ coefficients.T
    if reference(name)["offset"]:
        margins += column(name, "offset")[:, None]
    if len(coefficients) == 1:
        return np.asarray(expit(margins))
    return np.asarray(softmax(np.column_stack([0.0 * margins[:, 0], margins]), axis=1)[:, 1:])


@pytest.mark.parametrize("name", FITTED)
def test_the_score_is_zero_and_the_covariance_the_inverse_information(name: str) -> None:
    matrix, weights = design(name)
    chances = probabilities(name, matrix)
    classes = np.arange(1, chances.shape[1] + 1)
    away = weights[:, None] * ((data(name).labels[:, None] == classes) - chances)
    covariance = np.array(reference(name)["covariance"])
    step = covariance @ (away.T @ matrix).ravel()
    assert np.abs(step / reference(name)["standard_errors"]).max() < 1e-9

    curvature = np.einsum("ia,ab->iab", chances, np.eye(len(classes)))
    curvature -= np.einsum("ia,ib->iab", chances, chances)
    blocks = np.einsum("i,iab,ij,ik->ajbk", weights, curvature, matrix, matrix, optimize=True)
    information = blocks.reshape(covariance.shape)
    np.testing.assert_allclose(information @ covariance, np.eye(len(covariance)), atol=1e-8)


def test_every_file_is_used_and_starts_with_labels() -> None:
    files = {path.name for path in (Path(__file__).parent / "data").glob("*.csv")}
    assert files == {reference(name)["file"] for name in cases()}
    for name in cases():
        assert set(data(name).labels) == set(range(reference(name).get("classes", 2)))
        assert len(data(name).names) == data(name).matrix.shape[1]


def test_weights_are_given_only_to_cases_that_use_them() -> None:
    assert data("birthwt").weights is None
    weights = data("birthwt_weighted").weights
    assert weights is not None
    assert weights[:4].tolist() == [1.0, 2.0, 3.0, 1.0]
