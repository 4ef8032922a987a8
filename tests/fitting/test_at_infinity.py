"""Fits of separated rows end in the limit, and soon; those of other rows do not change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import family_for
from sparklr.objective.moments import moments_of
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.separation.complete import complete_along, shows_complete
from sparklr.separation.search import find_separation
from sparklr.separation.sides import SidesOfRows
from tests.inference.references import data, reference
from tests.separation.exact import CountedPasses
from tests.separation.sets import IRIS, SPECIES, noise, on_lattice, with_flag


def rows_of(name: str) -> Block:
    rows = data(name)
    return Block(rows.matrix, rows.labels, rows.weights)


def of_iris(*species: int) -> Block:
    chosen = np.isin(SPECIES, species)
    labels = np.searchsorted(species, SPECIES[chosen]).astype(float)
    return Block(IRIS[chosen], labels, None)


def corner() -> Block:
    """Two directions separate rows: the second only those that the first lets it."""
    matrix, labels = noise(0, 300, 3)
    matrix[:, :2] = 0.0
    matrix[:10], labels[:10] = [1, -1, 0], 1.0
    matrix[10], labels[10] = [0, 1, 0], 1.0
    return Block(matrix, labels, None)


def complete(features: int = 3, rows: int = 60) -> Block:
    matrix, _ = noise(3, rows, features)
    return Block(matrix, (matrix[:, 1] > 0.25).astype(float), None)


def rare_flag() -> Block:
    """100,000 rows with fifty flags, of which the first, in 20 rows, occurs with label 1 alone."""
    rng = np.random.default_rng(1)
    matrix = (rng.random((100_000, 50)) < np.geomspace(2e-3, 0.3, 50)).astype(float)
    margins = matrix @ rng.normal(0, 0.5, 50) - 1
    labels = (rng.random(100_000) < 1 / (1 + np.exp(-margins))).astype(float)
    matrix[:, 0] = 0.0
    matrix[rng.choice(np.flatnonzero(labels), 20, replace=False), 0] = 1.0
    return Block(matrix, labels, None)


def fitted(
    block: Block, *, watched: bool = True, sample: int | None = None, **params: object
) -> tuple[Fit, CountedPasses]:
    """A fit with inference, and its passes with all that was read."""
    inner = LocalPasses.of([block], block.features)
    if sample is not None:
        every = np.random.default_rng(3).permutation(block.rows)
        inner = replace(inner, sample=block.take(np.sort(every[:sample])))
    passes = CountedPasses(inner, local=sample is None)
    classes = int(block.labels.max()) + 1
    spec = Spec(family_for(classes), inference=True, watched=watched)
    fits, readings = fit_all({0: replace(spec, **params)}, passes, classes)  # type: ignore[arg-type]
    assert readings == len(passes.asked)
    return fits[0], passes


# The most readings, and about how many there are if the fit is not ended.
SEPARATED = {
    "endometrial": (lambda: rows_of("endometrial"), 8, 20),
    "sex2": (lambda: rows_of("sex2"), 8, 18),
    "corner": (corner, 7, 17),
    "complete": (complete, 10, 26),
    "oblique": (lambda: on_lattice(2), 18, 27),
    "setosa, versicolor": (lambda: of_iris(0, 1), 8, 23),
    "iris": (lambda: of_iris(0, 1, 2), 16, 24),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_a_fit_of_separated_rows_ends_soon_and_where_it_would_have(name: str) -> None:
    make, most, without = SEPARATED[name]
    rows = make()
    fit, passes = fitted(rows)
    long, longer = fitted(rows, watched=False)
    assert fit.converged
    assert len(passes.asked) <= most
    assert len(longer.asked) >= without - 2
    assert (np.diff(fit.history) < 0).all()
    found = fit.separation
    assert found is not None
    known = find_separation(
        passes, family_for(found.direction.shape[0]), len(found.labels), intercept=True
    )
    assert (found.kind, found.rows, found.features) == (known.kind, known.rows, known.features)
    assert fit.information is not None
    assert long.information is not None
    assert fit.information.rank == long.information.rank
    assert fit.loss <= long.loss
    assert_allclose(fit.loss, long.loss, atol=1e-8)
    finite = np.ones(rows.features + 1, dtype=bool)
    finite[list(found.features)] = False
    finite[-1] = not found.intercept
    here, there = (np.column_stack((its.coefficients, its.intercepts)) for its in (fit, long))
    assert_allclose(here[:, finite], there[:, finite], rtol=1e-6)


@pytest.mark.parametrize("name", ["endometrial", "sex2"])
def test_the_limit_is_that_of_r(name: str) -> None:
    fit, _ = fitted(rows_of(name))
    known = reference(name)
    names = [*data(name).names, "(intercept)"]
    places = [names.index(term) for term in known["rest_terms"]]
    values = np.append(fit.coefficients[0], fit.intercepts[0])[places]
    assert_allclose(values, known["rest_coefficients"], rtol=1e-9)
    assert fit.information is not None
    covariance = fit.information.covariance()[np.ix_(places, places)]
    expected = np.array(known["rest_covariance"])
    assert_allclose(covariance, expected, atol=1e-8 * np.diagonal(expected).max())
    assert_allclose(2 * data(name).labels.size * fit.loss, known["deviance"], rtol=1e-10)


def test_a_class_apart_leaves_the_fit_of_the_other_two() -> None:
    """Setosa is apart, so in the limit the loss is that of the other two species alone."""
    fit, _ = fitted(of_iris(0, 1, 2))
    assert_allclose(2 * 150 * fit.loss, reference("iris_two")["deviance"], rtol=1e-8)


def test_a_rare_flag_among_many_rows_takes_few_readings_more() -> None:
    rows = rare_flag()
    fit, passes = fitted(rows, sample=10_000)
    assert fit.separation is not None
    assert fit.separation.features == (0,)
    searching = sum(isinstance(reading, SidesOfRows) for reading in passes.asked)
    assert searching == fit.separation.readings <= 5
    _, longer = fitted(rows, watched=False, sample=10_000)
    assert len(passes.asked) <= 12 < 14 <= len(longer.asked)


@pytest.mark.parametrize("name", ["birthwt", "birthwt_weighted", "spector", "iris_two", "rare"])
def test_fits_of_other_rows_are_the_same_to_the_bit(name: str) -> None:
    fit, passes = fitted(rows_of(name))
    plain, others = fitted(rows_of(name), watched=False)
    assert fit.separation is None
    assert len(passes.asked) == len(others.asked)
    assert fit.history == plain.history
    assert_array_equal(fit.coefficients, plain.coefficients)


def test_rows_that_are_hardly_separated_are_not_followed_to_the_limit() -> None:
    """The way there would be so long that roundings move the other rows."""
    matrix, labels = noise(6, 200, 2)
    matrix = np.column_stack((matrix, np.zeros(200)))
    matrix[:20, 2], labels[:20] = 1.0, 1.0
    matrix[0, 2] = 1e-8
    fit, _ = fitted(Block(matrix, labels, None))
    assert fit.separation is not None
    assert fit.separation.features == (2,)
    assert np.abs(fit.coefficients).max() < 1e4


def test_a_fit_ends_at_its_last_step_also_in_the_limit() -> None:
    for most in range(1, 8):
        fit, _ = fitted(rows_of("endometrial"), maxIter=most)
        assert len(fit.history) <= most + 1
        assert fit.converged == (most >= 6)
        assert (fit.separation is not None) == (most >= 4)


@pytest.mark.parametrize("solver", ["newton", "l-bfgs"])
def test_many_coefficients_need_no_search_if_all_rows_are_right(solver: str) -> None:
    rows = complete(120, 300)
    fit, passes = fitted(rows, solver=solver)
    found = fit.separation
    assert found is not None
    assert (found.kind, found.rows, found.readings) == ("complete", 300, 0)
    assert not any(isinstance(reading, SidesOfRows) for reading in passes.asked)
    signs = np.where(rows.labels > 0, 1.0, -1.0)
    raised = signs * (np.asarray(rows.matrix) @ found.direction[0, :-1] + found.direction[0, -1])
    assert raised.min() >= found.least > 0
    assert 300 * fit.loss < 1e-6


def losses_of(margins: Array) -> Array:
    return np.log1p(np.exp(-margins))


def test_a_small_loss_shows_complete_separation_only_of_rows_of_weight_one() -> None:
    """With a weight of 0.01 a wrong row, of loss 1.3, is hidden among others."""
    matrix, labels = np.array([[3.0], [4.0], [-1.0], [-4.0]]), np.array([1.0, 1.0, 1.0, 0.0])
    margins = np.where(labels > 0, 1.0, -1.0) * matrix[:, 0]
    light = np.array([1.0, 1.0, 0.01, 1.0])
    moments = moments_of(Block(matrix, labels, light))
    assert light @ losses_of(margins) < np.log(2)
    assert not shows_complete(light @ losses_of(margins) / moments.weight, moments)
    even = moments_of(Block(matrix, labels, np.full(4, 0.5)))
    assert not shows_complete(0.1, even)
    plain = moments_of(Block(matrix, labels, None))
    assert shows_complete(0.17, plain)
    assert not shows_complete(0.18, plain)
    found = complete_along(np.array([[-2.0, 0.0]]), 0.1, plain, 2)
    assert_array_equal(found.direction, [[-1.0, 0.0]])
    assert (found.labels, found.features, found.intercept) == ((1, 3), (0,), False)


def test_with_few_rows_of_a_flag_no_hessian_is_needed() -> None:
    """L-BFGS asks for none: the search is then made when it has ended, by the caller."""
    fit, passes = fitted(with_flag(0, 79, 5), solver="l-bfgs")
    assert fit.separation is None
    assert fit.certificate is not None
    assert not fit.certificate.estimateExists
    assert not any(isinstance(reading, SidesOfRows) for reading in passes.asked)
