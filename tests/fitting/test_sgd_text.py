"""Stochastic gradient descent on wide sparse rows: one epoch predicts as well as the optimum."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from benchmarks.packaged import PACKAGES, docstrings
from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.spec import Spec, Steps
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from tests.fitting.fits import fit_one

FIRST = Steps(epochs=1)
WORDS = 2**18


def in_blocks(rows: Block, blocks: int = 2) -> LocalPasses:
    ends = np.linspace(0, rows.rows, blocks + 1).astype(int)
    parts = [rows.part(*ends[at : at + 2]) for at in range(blocks)]
    return LocalPasses.of(parts, rows.features)


def loss(fit: Fit, rows: Block) -> float:
    return loss_of((fit.coefficients, fit.intercepts), rows)


def loss_of(numbers: tuple[Array, Array], rows: Block) -> float:
    coefficients, intercepts = numbers
    margins = rows.matrix @ coefficients.T + intercepts
    if margins.shape[1] == 1:
        margins = np.column_stack((np.zeros(len(margins)), margins))
    own = margins[np.arange(rows.rows), rows.labels.astype(int)]
    return float(np.mean(np.logaddexp.reduce(margins, axis=1) - own))


def made(rows: int, words: int = 3_000) -> Block:
    """Rows of 40 words each, few of which are common; each word has an effect on the label."""
    random = np.random.default_rng(8)
    drawn = (words * random.random((rows, 40)) ** 3).astype(int)
    places = np.repeat(np.arange(rows), 40), drawn.ravel()
    matrix = sp.csr_matrix((np.ones(drawn.size), places), shape=(rows, words))
    matrix.sum_duplicates()
    margins = matrix @ (random.standard_normal(words) / 3)
    return Block(matrix, (margins > random.logistic(size=rows)).astype(float), None)


def test_the_first_epoch_is_about_as_good_as_the_optimum() -> None:
    rows = made(14_000)
    passes, held = in_blocks(rows.part(0, 12_000)), rows.part(12_000, 14_000)
    spec = Spec(BINOMIAL, regParam=1e-3)
    first = fit_one(Spec(BINOMIAL, regParam=1e-3, solver="sgd", steps=FIRST), passes)
    assert first.rates is not None
    assert first.rates.rule == "adagrad"
    assert loss(first, held) < loss(fit_one(spec, passes), held) + 0.01


def of_docstrings(*, two: bool) -> Block:
    """Hashed words of docstrings with inverse document frequencies, by package."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    texts = docstrings()
    hashing = HashingVectorizer(
        n_features=WORDS, alternate_sign=False, norm=None, token_pattern=r"\S+"
    )
    counts = hashing.transform([text for _, text in texts])
    matrix = sp.csr_matrix(TfidfTransformer(norm=None).fit_transform(counts))
    matrix.indices = matrix.indices.astype(np.int32)
    labels = [float(of == "pandas") if two else float(PACKAGES.index(of)) for of, _ in texts]
    return Block(matrix, np.array(labels), None)


@pytest.mark.deep
@pytest.mark.parametrize("two", [True, False], ids=["two classes", "five classes"])
def test_of_docstrings_the_first_epoch_predicts_better_than_the_optimum(two: bool) -> None:
    """With the penalty of the benchmark, by which the optimum knows its rows too well."""
    rows = of_docstrings(two=two)
    passes, held = in_blocks(rows.part(0, 4_800)), rows.part(4_800, rows.rows)
    family, classes = (BINOMIAL, 2) if two else (MULTINOMIAL, len(PACKAGES))
    best = fit_one(Spec(family, regParam=1e-3), passes, classes)
    first = fit_one(Spec(family, regParam=1e-3, solver="sgd", steps=FIRST), passes, classes)
    assert loss(first, held) < loss(best, held) - 0.03
