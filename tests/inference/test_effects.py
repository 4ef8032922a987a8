"""Average marginal effects and their errors, against R and statsmodels, and what is a flag."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from sparklr.arrays import Array
from sparklr.inference.effects import EffectSums, average_effects
from sparklr.objective.families import BINOMIAL, MULTINOMIAL
from sparklr.objective.sums import Probe
from sparklr.rows.blocks import Block
from tests.inference.references import column, data, of_classes, reference

NAMES = ["birthwt", "birthwt_weighted", "ucb", "spector", "rare", "pima_offset"]


def effects_of(name: str, *, sparse: bool = False) -> tuple[Array, Array]:
    """Effects and derivatives, from blocks of 50 rows."""
    rows, known = data(name), reference(name)
    matrix = sp.csr_matrix(rows.matrix) if sparse else rows.matrix
    offsets = column(name, "offset") if known["offset"] else None
    block = Block(matrix, rows.labels, rows.weights, row_offsets=offsets)
    *coefficients, intercept = known["coefficients"]
    values = np.array(coefficients)
    flags = np.flatnonzero((rows.matrix.min(axis=0) == 0) & (rows.matrix.max(axis=0) == 1))
    reading = EffectSums(Probe(BINOMIAL, values[None], np.array([intercept]), 1), flags)
    effects, derivatives = summed(reading, block)
    return effects[0], derivatives[0, :, 0]


def summed(reading: EffectSums, block: Block) -> tuple[Array, Array]:
    total = reading.accumulator(block.features, None)
    for at in range(0, block.rows, 50):
        total.add(block.take(slice(at, at + 50)))
    sums = reading.effects(total.part())
    coefficients = reading.probe.coefficients
    return average_effects(sums, coefficients, reading.flags, block.total_weight)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sparse", [False, True])
def test_effects_are_those_of_r(name: str, sparse: bool) -> None:
    effects, derivatives = effects_of(name, sparse=sparse)
    known = reference(name)
    names = list(data(name).names)
    covariance = np.array(known["covariance"])
    errors = np.sqrt(np.einsum("ij,jk,ik->i", derivatives, covariance, derivatives))
    marginal = known["marginal_effects"]
    differences = marginal.get("difference") or {"columns": []}
    flags = list(differences["columns"])
    for at, one in enumerate(names):
        kind = differences if one in flags else marginal["derivative"]
        place = list(kind["columns"]).index(one)
        assert_allclose(effects[at], kind["effects"][place], rtol=1e-9)
        assert_allclose(errors[at], kind["standard_errors"][place], rtol=1e-7)


@pytest.mark.parametrize("name", ["anes96", "alligators"])
@pytest.mark.parametrize("kind", ["difference", "derivative"])
def test_effects_of_classes_are_those_of_statsmodels(name: str, kind: str) -> None:
    rows, known = data(name), reference(name)
    apart = np.array(known["coefficients"])
    values = np.vstack((np.zeros(apart.shape[1]), apart))
    values -= values.mean(axis=0)  # as models have them
    both = (rows.matrix.min(axis=0) == 0) & (rows.matrix.max(axis=0) == 1)
    flags = np.flatnonzero(both) if kind == "difference" else np.array([], dtype=int)
    block = Block(rows.matrix, rows.labels, rows.weights)
    reading = EffectSums(Probe(MULTINOMIAL, values[:, :-1], values[:, -1], 1), flags)
    effects, derivatives = summed(reading, block)
    expected = of_classes(name)["marginal_effects"][kind]
    assert_allclose(effects, expected["effects"], rtol=1e-7, atol=1e-9)
    assert_allclose(effects.sum(axis=0), 0, atol=1e-12)
    # By the coefficients of all classes but the first, whose covariance is known.
    by_others = derivatives[:, :, 1:].reshape(effects.size, -1)
    variances = np.einsum("ij,jk,ik->i", by_others, np.array(known["covariance"]), by_others)
    errors = np.sqrt(variances).reshape(effects.shape)
    assert_allclose(errors, expected["standard_errors"], rtol=1e-6)
