"""Our fits beside Spark's own on drawn data and Params, and what both then predict and report.

Spark's side of all cases is recorded in differential.json, and ours runs here on blocks in memory,
without Spark; some cases go through the estimator. `test_differential_live.py` asks Spark anew.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from pyspark.ml.linalg import DenseVector

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.fitting.bounds_and_start import read_bounds
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import family_named
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from tests.parity.agreement import Outcome, Pair, assert_agree, assert_same_scores
from tests.parity.cases import FAULTS, Case, matrix
from tests.parity.make_differential import (
    EVALUATED,
    FITS,
    Recorded,
    outcome_of,
    read_fits,
    read_refused,
)
from tests.parity.measures import assert_same_measures, measures, measures_at_hand
from tests.tiers import first_and_deep

# Among them every kind of feature, vector, label set, penalty, bound, solver and threshold, each
# of the latter two in both families; and all are evaluated. The first four, for `make test`, are of
# both families, dense and sparse, weighted and not, with bounds, L1 terms and thresholds.
THROUGH_THE_ESTIMATOR = (
    18, 147, 297, 315, 39, 60, 63, 66, 72, 87, 105, 114, 168, 180, 273, 291,
)  # fmt: skip


def recorded(number: int) -> Recorded:
    return read_fits()[number]


def steps_of(case: Case) -> int:
    """How many iterations a tight fit may take."""
    return 1000 if case.solver in ("l-bfgs", "owl-qn") else 100


def blocks_of(case: Case) -> list[Block]:
    """The rows that weigh anything: dense, sparse, or some of each."""
    features, labels, weights = case.data
    kept = np.flatnonzero(weights > 0)
    blocks = []
    for number, rows in enumerate(np.array_split(kept, 1 if len(kept) < 6 else 2)):
        sparse = case.vectors == "sparse" or (case.vectors == "mixed" and number == 0)
        its = sp.csr_matrix(features[rows]) if sparse else features[rows]
        blocks.append(Block(its, labels[rows], weights[rows] if case.weighted else None))
    return blocks


@cache
def engine_fit(number: int) -> Fit:
    """Fit a recorded case without Spark."""
    case = recorded(number).case
    params = LogisticRegressionEstimator(**case.all_params())
    spec = Spec(
        **{**vars(case.setting), "family": family_named(case.setting.family)},
        tol=1e-12,
        maxIter=steps_of(case),
        solver=case.solver,
        bounds=read_bounds(params, case.margins, len(case.kinds)),
    )
    passes = LocalPasses.of(blocks_of(case), len(case.kinds))
    fits, _ = fit_all({0: spec}, passes, case.classes)
    return fits[0]


def model_of(case: Case, numbers: Fit | Outcome) -> LogisticRegressionModel:
    """A model with these coefficients, and the case's thresholds."""
    weight = {"weightCol": "weight"} if case.weighted else {}
    model = LogisticRegressionModel(
        matrix(numbers.coefficients),
        DenseVector(numbers.intercepts),
        case.classes,
        case.multinomial,
    )
    return model._set(**case.deciding(), **weight)


def scored(case: Case, numbers: Fit | Outcome) -> Outcome:
    """What a model with these coefficients says of the rows."""
    scores = model_of(case, numbers)._scorer.scores(case.data[0])
    return Outcome(
        numbers.coefficients,
        numbers.intercepts,
        case.classes,
        scores.probability,
        scores.prediction,
    )


every_case = pytest.mark.parametrize("number", range(FITS))
evaluated = pytest.mark.parametrize("number", range(0, FITS, EVALUATED))


@every_case
def test_the_record_is_of_the_data_that_the_case_makes(number: int) -> None:
    it = recorded(number)
    assert it.case.digest == it.digest
    if np.isfinite(it.objective):
        assert it.theirs.value(it.case) == pytest.approx(it.objective, rel=1e-12)


def pair_of(number: int) -> Pair:
    """Our fit without Spark, and Spark's."""
    it = recorded(number)
    return Pair(it.case, scored(it.case, engine_fit(number)), it.theirs)


@every_case
def test_a_fit_ends_as_low_as_sparks_and_predicts_the_same(number: int) -> None:
    assert_agree(pair_of(number), engine_fit(number).history[-1])


def test_spark_seldom_stops_short_of_the_optimum() -> None:
    """Else there would be little to compare with."""
    pairs = [pair for pair in map(pair_of, range(FITS)) if pair.trained]
    assert sum(pair.stopped_short() for pair in pairs) <= 0.1 * FITS


@every_case
def test_sparks_coefficients_predict_here_what_they_predict_there(number: int) -> None:
    it = recorded(number)
    assert_same_scores(Pair(it.case, scored(it.case, it.theirs), it.theirs), atol=1e-10)


@evaluated
def test_measures_are_what_spark_says_of_the_same_model(number: int) -> None:
    it = recorded(number)
    _, labels, weights = it.case.data
    said = scored(it.case, it.theirs)
    curves = it.case.classes == 2
    score = said.probability[:, -1]
    ours = measures_at_hand(labels, weights, said.prediction, score, curves=curves)
    assert it.measures is not None
    assert_same_measures(ours, it.measures, it.case)


# Through the estimator

few_cases = pytest.mark.parametrize("number", first_and_deep(THROUGH_THE_ESTIMATOR, first=4))


@few_cases
def test_the_estimator_ends_as_low_as_spark_and_predicts_the_same(spark: Any, number: int) -> None:
    it = recorded(number)
    frame = it.case.frame(spark)
    params = {**it.case.all_params(), "solver": it.case.solver, "maxIter": steps_of(it.case)}
    model = LogisticRegressionEstimator(**params, tol=1e-12).fit(frame)
    final = model.summary.objectiveHistory[-1]
    assert_agree(Pair(it.case, outcome_of(model, frame), it.theirs), final)


@few_cases
def test_summaries_say_what_spark_says_of_the_same_model(spark: Any, number: int) -> None:
    it = recorded(number)
    summary = model_of(it.case, it.theirs).evaluate(it.case.frame(spark))
    assert it.measures is not None
    assert_same_measures(measures(summary, curves=it.case.classes == 2), it.measures, it.case)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_spark_refuses_is_refused(spark: Any, fault: str) -> None:
    (case, digest), *_ = [one for one in read_refused() if one[0].fault == fault]
    assert case.digest == digest
    with pytest.raises((ValueError, TypeError)):
        LogisticRegressionEstimator(**case.all_params()).fit(case.frame(spark))
