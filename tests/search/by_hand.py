"""A search by hand: one fit per map and fold in numpy, and the metric of the rows held out.

Other tests show that its parts are right: `parity` shows it of fits and of Spark's evaluators in
memory, and `test_folds.py` of the fold that a row is in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.testing import assert_allclose
from pyspark.ml import Pipeline
from pyspark.ml import tuning as spark_tuning
from pyspark.ml.linalg import Vector

from sparklr import LogisticRegressionEstimator
from sparklr.arrays import Array
from sparklr.estimator import request_of
from sparklr.fitting.from_params import spec_of
from sparklr.fitting.plan import fit_all
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.scoring.evaluators import HeldOut, array_evaluator
from sparklr.scoring.frame import scorer_of
from sparklr.scoring.scorer import Scorer
from tests.search.searches import Brier, validator_of

Table: TypeAlias = dict[str, Array]  # columns by name; one of vectors is a matrix
# What the stages before ours make of any rows, fitted by a param map on the first rows.
Stages: TypeAlias = Callable[[Mapping[Any, Any], Table], Callable[[Table], Table]]


@dataclass(frozen=True, eq=False)
class ByHand:
    """What was found.

    metrics : (folds, maps)
    scorers : a fit's numbers, by fold and map
    train : by fold, the rows that its fits saw, before any stage
    """

    metrics: Array
    scorers: Mapping[tuple[int, int], Scorer]
    train: Mapping[int, Table]


def by_hand(
    kind: Any,
    estimator: Any,
    maps: Sequence[Any],
    evaluator: Any,
    frame: Any,
    *,
    before: Stages | None = None,
    **rest: Any,
) -> ByHand:
    """What `searched` should find; `before` are the Pipeline's stages before its last."""
    split = validator_of(kind, estimator, maps, evaluator, **rest).split(frame)
    table = table_of(split.frame)
    fold = table[split.column]
    last = estimator.getStages()[-1] if isinstance(estimator, Pipeline) else estimator
    metrics, scorers = np.zeros((len(split.held), len(maps))), {}
    train = {held: taken(table, fold != held) for held in split.held}
    for number, held in enumerate(split.held):
        for at, extra in enumerate(maps):
            stages = _unchanged if before is None else before(extra, train[held])
            copy = last.copy(extra)
            scorer = scorers[held, at] = fitted(copy, stages(train[held]))
            rows = stages(taken(table, fold == held))
            matrix, offsets = features_of(copy, rows), offsets_of(copy, rows)
            metrics[number, at] = metric_of(evaluator, scorer, matrix, rows, offsets)
    return ByHand(metrics, scorers, train)


def assert_metrics(found: Any, expected: ByHand) -> None:
    """A fitted validator has the metrics that were found by hand."""
    if isinstance(found, spark_tuning.TrainValidationSplitModel):
        assert_allclose(found.validationMetrics, expected.metrics[0], atol=1e-6)
        return
    assert isinstance(found, spark_tuning.CrossValidatorModel)
    assert_allclose(found.avgMetrics, expected.metrics.mean(axis=0), atol=1e-6)
    assert_allclose(found.stdMetrics, expected.metrics.std(axis=0), atol=1e-6)


def table_of(frame: Any) -> Table:
    """The rows of a frame."""
    rows = frame.collect()
    return {name: np.array([_number(row[name]) for row in rows]) for name in frame.columns}


def _number(value: Any) -> Any:
    return value.toArray() if isinstance(value, Vector) else float(value)


def taken(table: Table, chosen: Array) -> Table:
    """Some of the rows."""
    return {name: values[chosen] for name, values in table.items()}


def _unchanged(table: Table) -> Table:
    return table


def fitted(estimator: LogisticRegressionEstimator, table: Table) -> Scorer:
    """What scores rows after a fit of these, which leaves out those of weight zero."""
    weights = weights_of(estimator, table)
    table = table if weights is None else taken(table, weights > 0)
    matrix, labels = features_of(estimator, table), table[estimator.getLabelCol()]
    classes, features = int(labels.max()) + 1, matrix.shape[1]
    spec = spec_of(request_of(estimator), classes, features)
    offsets = offsets_of(estimator, table)
    block = Block(matrix, labels, weights_of(estimator, table), row_offsets=offsets)
    fits, _ = fit_all({0: spec}, LocalPasses.of([block], features), classes)
    numbers = fits[0].coefficients, fits[0].intercepts
    return scorer_of(estimator, *numbers, classes=classes, family=spec.family)


def features_of(estimator: LogisticRegressionEstimator, table: Table) -> Array:
    """The features that the estimator reads."""
    if estimator.isSet(estimator.featuresCols):
        return np.column_stack([table[name] for name in estimator.getFeaturesCols()])
    return table[estimator.getFeaturesCol()]


def weights_of(params: Any, table: Table) -> Array | None:
    """The weights that an estimator or evaluator reads, if any."""
    return table[params.getWeightCol()] if params.isSet(params.weightCol) else None


def offsets_of(estimator: LogisticRegressionEstimator, table: Table) -> Array | None:
    """The offsets that the estimator reads, if any."""
    return table[estimator.getOffsetCol()] if estimator.isSet(estimator.offsetCol) else None


def metric_of(
    evaluator: Any, scorer: Scorer, matrix: Array, table: Table, offsets: Array | None = None
) -> float:
    """The evaluator's metric of rows, with the label and the weights that it names."""
    if isinstance(evaluator, Brier):
        return evaluator.error(table["label"], scorer.scores(matrix, offsets).probability[:, 1])
    names = {"labelCol": evaluator.getLabelCol()}
    if evaluator.isSet(evaluator.weightCol):
        names["weightCol"] = evaluator.getWeightCol()
    judge = array_evaluator(evaluator, LogisticRegressionEstimator(**names))
    assert judge is not None
    margins = matrix @ np.asarray(scorer.coefficients).T + scorer.intercepts
    margins = margins if offsets is None else margins + offsets[:, None]
    rows = HeldOut(table[evaluator.getLabelCol()], weights_of(evaluator, table))
    return judge.metric(scorer, margins, rows)
