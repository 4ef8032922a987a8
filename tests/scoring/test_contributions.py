"""What features add to a row's margin: the largest, against the mean of the rows of the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.scoring import contributions
from sparklr.scoring.contributions import Contributions
from sparklr.scoring.scorer import Scorer
from tests.made_models import fitted_model

ROWS = np.array([[1.0, 2.0, 5.0], [3.0, 0.0, 5.0], [0.0, 1.0, 5.0]])
TWO = Scorer(np.array([[2.0, -3.0, 0.0]]), np.array([0.5]), BINOMIAL)
BINARY = Contributions(TWO, np.array([0, 1]), np.array([1.0, 1.0]), None, 2)


def test_a_contribution_is_against_the_baseline_and_the_largest_stands_first() -> None:
    found = BINARY.of_rows(ROWS)
    assert found["place"].tolist() == [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    assert found["value"].tolist() == [[2.0, 1.0], [3.0, 0.0], [0.0, 1.0]]
    assert found["contribution"].tolist() == [[-3.0, 0.0], [4.0, 3.0], [-2.0, 0.0]]
    assert replace(BINARY, label=0).of_rows(ROWS)["contribution"][0].tolist() == [3.0, 0.0]
    assert replace(BINARY, top=1).of_rows(ROWS)["contribution"].tolist() == [[-3], [4], [-2]]


def test_all_contributions_add_up_to_the_margin_less_that_of_the_baseline() -> None:
    random = np.random.default_rng(1)
    scorer = Scorer(random.normal(size=(3, 6)), random.normal(size=3), MULTINOMIAL)
    rows, baseline = random.normal(size=(20, 6)), random.normal(size=6)
    its = Contributions(scorer, np.arange(6), baseline, None, 6)
    rise = scorer.raw(rows) - scorer.raw(baseline[None])
    label = scorer.prediction(scorer.raw(rows)).astype(int)
    expected = rise[np.arange(20), label] - rise.mean(axis=1)
    assert_allclose(its.of_rows(rows)["contribution"].sum(axis=1), expected)
    one = replace(its, label=2).of_rows(rows)["contribution"].sum(axis=1)
    assert_allclose(one, rise[:, 2] - rise.mean(axis=1))


def test_sparse_rows_and_slices_of_rows_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = BINARY.of_rows(ROWS)
    monkeypatch.setattr(contributions, "SLICE", 2)
    for found in (BINARY.of_rows(ROWS), BINARY.of_rows(sp.csr_matrix(ROWS))):
        for name, values in whole.items():
            assert_array_equal(found[name], values)
    assert BINARY.of_rows(ROWS[:0])["value"].shape == (0, 2)


def test_a_value_that_is_not_a_number_stands_first() -> None:
    found = BINARY.of_rows(np.array([[np.nan, 50.0, 0.0]]))
    assert found["place"].tolist() == [[0.0, 1.0]]


@pytest.mark.connect
def test_a_frame_has_the_names_and_the_means_of_the_fit(spark: Any) -> None:
    """Also after the model was loaded, and nulls where a feature is missing."""
    rows = [(0.0, 1.0, 0.0), (1.0, 2.0, 1.0), (0.0, 3.0, 5.0), (1.0, 6.0, None)]
    frame = spark.createDataFrame(rows, ["label", "dose", "age"])
    estimator = LogisticRegressionEstimator(featuresCols=["dose", "age"], regParam=0.1)
    model = estimator.fit(frame.dropna())
    dose, age = model.coefficients
    for its in (model, LogisticRegressionModel.fromJson(model.toJson())):
        found = its.explain(frame, top=2).collect()
        assert found[3].contributions is None
        for row, (_, x, z) in zip(found, rows[:3], strict=False):
            expected = {"dose": (x, dose * (x - 2.0)), "age": (z, age * (z - 2.0))}
            ours = {one.feature: (one.value, one.contribution) for one in row.contributions}
            assert set(ours) == set(expected)
            for name, pair in expected.items():
                assert_allclose(ours[name], pair)
            sizes = [abs(one.contribution) for one in row.contributions]
            assert sizes == sorted(sizes, reverse=True)


def test_what_cannot_be_explained_is_refused(spark: Any) -> None:
    model = fitted_model([[1.0, 2.0]], [0.0], names=["a", "b"], featuresCols=["a", "b"])
    frame = spark.createDataFrame([(1.0, 2.0)], ["a", "b"])
    for refused, words in (
        (lambda: model.explain(frame, top=0), "top=0 is not allowed"),
        (lambda: model.explain(frame, label=2), "label=2 is not a label .* between 0 and 1"),
        (lambda: model.explain(frame, column="a"), "already has a column 'a'"),
    ):
        with pytest.raises(ValueError, match=words):
            refused()
    row = model.explain(frame).first()
    assert [tuple(its) for its in row.contributions] == [("b", 2.0, 4.0), ("a", 1.0, 1.0)]
