"""Probabilities of several classes over a posterior, against plain sums over all of its draws."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from sparklr.arrays import Array
from sparklr.objective.families import MULTINOMIAL
from sparklr.objective.normal_margins import chance_moments
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.scoring import class_posterior
from sparklr.scoring.class_posterior import DRAWS, ClassMargins, ClassPosterior
from sparklr.scoring.scorer import Scorer

RANDOM = np.random.default_rng(4)
B = RANDOM.normal(size=(3, 5))  # of three classes: four features and an intercept
ROWS = np.where(RANDOM.random((50, 4)) < 0.4, 0.0, RANDOM.normal(size=(50, 4)))


def numbers_of(mean: Array, factor: Array, draws: Array | None = None) -> PosteriorNumbers:
    return PosteriorNumbers(
        kind="laplace" if draws is None else "sampled", mean=mean, factor=factor, draws=draws,
        prior_deviations=np.ones(4), readings=0, converged=True, reason="", tolerance=0.0,
        shift_from_mode=None,
    )  # fmt: skip


def posterior(*, averaged: bool = False, level: float = 0.8, seed: int = 3) -> ClassPosterior:
    numbers = numbers_of(B.ravel(), np.random.default_rng(5).normal(size=(15, 15)) / 5)
    return ClassPosterior(numbers.spread(DRAWS, 1).reshape(DRAWS, 3, 5), level, averaged, seed)


def chances(its: ClassPosterior, matrix: Array) -> Array:
    """P (D, n, C)."""
    return np.stack([softmax(matrix @ b[:, :-1].T + b[:, -1], axis=1) for b in its.draws])


@pytest.mark.parametrize("convert", [np.asarray, sp.csr_matrix], ids=["dense", "csr"])
@pytest.mark.parametrize("numbers", [2**20, 1])
def test_means_deviations_and_ends_are_those_of_all_draws(
    convert: type, numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_posterior, "NUMBERS", numbers)
    its, expected = posterior(), chances(posterior(), ROWS)
    margins = its.of_rows(convert(ROWS), None)
    assert_allclose(softmax(margins.averaged_margins, axis=1), expected.mean(axis=0), rtol=1e-9)
    assert_allclose(margins.averaged_margins.sum(axis=1), 0, atol=1e-9)
    assert_allclose(margins.chance_deviations, expected.std(axis=0), rtol=1e-9)
    lower, upper = np.quantile(expected, (0.1, 0.9), axis=0)
    assert_allclose(margins.interval[:, ::2], lower, rtol=1e-9)
    assert_allclose(margins.interval[:, 1::2], upper, rtol=1e-9)


def test_a_row_is_drawn_by_the_seed_and_its_batch() -> None:
    its = posterior().of_rows(ROWS, None).sampled
    every = chances(posterior(), ROWS)
    assert (np.abs(every - its).max(axis=2).min(axis=0) < 1e-12).all()  # each is of some draw
    assert_array_equal(posterior().of_rows(ROWS, None).sampled, its)
    assert (posterior(seed=9).of_rows(ROWS, None).sampled != its).any()


def test_rows_far_away_keep_digits_and_what_is_no_number_has_none() -> None:
    far = np.vstack((1e3 * ROWS[:2], [[np.nan, 0, 0, 0], [np.inf, 0, 0, 0]]))
    margins = posterior().of_rows(far, None)
    assert np.isfinite(margins.averaged_margins[:2]).all()
    assert np.isnan(margins.averaged_margins[2:]).all()
    assert np.isnan(margins.interval[2:]).all()
    none = posterior().of_rows(ROWS[:0], None)
    assert (none.interval.shape, none.sampled.shape) == ((0, 6), (0, 3))


def test_two_classes_are_those_of_the_formula_for_one_margin() -> None:
    """Up to the error of 256 draws in pairs."""
    factor = np.random.default_rng(6).normal(size=(10, 10)) / 6
    numbers = numbers_of(B[:2].ravel(), factor)
    its = ClassPosterior(numbers.spread(DRAWS, 2).reshape(DRAWS, 2, 5), 0.9, True, 0)
    matrix = np.column_stack((ROWS, np.ones(len(ROWS))))
    difference = factor[5:] - factor[:5]
    means = matrix @ (B[1] - B[0])
    mean, deviation = chance_moments(means, np.linalg.norm(matrix @ difference, axis=1))
    margins = its.of_rows(ROWS, None)
    assert isinstance(margins, ClassMargins)
    assert_allclose(softmax(margins.averaged_margins, axis=1)[:, 1], mean, atol=0.04)
    assert_allclose(margins.chance_deviations[:, 1], deviation, atol=0.045)


def test_a_scorer_predicts_by_the_mean_probability() -> None:
    plain = Scorer(B[:, :-1], B[:, -1], MULTINOMIAL, (0.2, 0.5, 0.3), posterior())
    averaged = Scorer(B[:, :-1], B[:, -1], MULTINOMIAL, (0.2, 0.5, 0.3), posterior(averaged=True))
    assert_array_equal(plain.scores(ROWS).raw, ROWS @ B[:, :-1].T + B[:, -1])
    scores = averaged.scores(ROWS)
    expected = chances(posterior(), ROWS).mean(axis=0)
    assert_allclose(scores.probability, expected, rtol=1e-9)
    assert_array_equal(scores.prediction, (expected / [0.2, 0.5, 0.3]).argmax(axis=1))


def test_draws_of_a_sampled_posterior_are_its_own() -> None:
    draws = RANDOM.normal(size=(1000, 15))
    spread = numbers_of(draws.mean(axis=0), np.zeros((15, 15)), draws).spread(DRAWS, 0)
    places = [int(np.flatnonzero((draws == one).all(axis=1))[0]) for one in spread]
    assert places == sorted(set(places))
    assert (places[0], places[-1]) == (0, 999)
