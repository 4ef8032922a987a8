"""L1 fits of rows in memory that are fewer than their features: cheap steps, and the optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from sparklr.fitting import members
from sparklr.fitting.spec import Spec
from sparklr.objective.families import BINOMIAL, MULTINOMIAL, Family
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from tests.fitting.fits import CountedPasses, fit_one, pass_over
from tests.tiers import first_and_deep

ROWS, FEATURES, WORDS = 400, 4_000, 30


def words(classes: int) -> LocalPasses:
    """Counts of words, few of them common, and labels that depend on some of them."""
    rng = np.random.default_rng(5)
    columns = (FEATURES * rng.random((ROWS, WORDS)) ** 3).astype(np.int32)
    rows = np.repeat(np.arange(ROWS), WORDS)
    matrix = sp.csr_matrix((np.ones(ROWS * WORDS), (rows, columns.ravel())), (ROWS, FEATURES))
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    margins = matrix[:, :200] @ rng.normal(size=(200, classes)) + rng.gumbel(size=(ROWS, classes))
    return pass_over(Block(matrix, margins.argmax(axis=1).astype(float), None))


@pytest.mark.parametrize(
    ("strength", "family", "classes"),
    first_and_deep(
        [
            (0.003, BINOMIAL, 2),
            (0.01, MULTINOMIAL, 3),
            (0.01, BINOMIAL, 2),
            (0.05, BINOMIAL, 2),
            (0.003, MULTINOMIAL, 3),
            (0.05, MULTINOMIAL, 3),
        ],
        first=2,
    ),
)
def test_text_has_its_optimum_after_few_readings(
    strength: float, family: Family, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = Spec(family, regParam=strength, elasticNetParam=1.0)
    passes = words(classes)
    counted = CountedPasses(passes)
    fit = fit_one(spec, counted, classes)  # type: ignore[arg-type]
    assert fit.converged
    assert len(counted.readings) <= 6
    monkeypatch.setattr(members, "by_cheap_steps", lambda *_: False)
    slowly = fit_one(replace(spec, maxIter=5_000, tol=1e-9), passes, classes)
    assert slowly.converged
    assert fit.history[-1] == pytest.approx(slowly.history[-1], rel=1e-7)
    assert fit.history[0] == pytest.approx(slowly.history[0], rel=1e-14), "the plain start"


def test_fewer_rows_than_coefficients_start_near_the_optimum() -> None:
    """OWL-QN by cheap readings in memory, and proximal Newton from there."""
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(100, 250))
    labels = (matrix[:, :4].sum(axis=1) + rng.logistic(size=100) > 0).astype(float)
    spec = Spec(BINOMIAL, regParam=1e-3, elasticNetParam=1.0)
    counted = CountedPasses(pass_over(Block(matrix, labels, None)))
    fit = fit_one(spec, counted)  # type: ignore[arg-type]
    assert fit.converged
    assert fit.solver == "proximal-newton"
    assert len(counted.readings) <= 4
    again = fit_one(replace(spec, tol=1e-10, initial=(fit.coefficients, fit.intercepts)), counted)  # type: ignore[arg-type]
    assert fit.history[-1] == pytest.approx(again.history[-1], rel=1e-9)
