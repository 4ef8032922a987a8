"""Margins of models on held-out rows, and what Spark's evaluators are asked to say of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from pyspark.ml.evaluation import (
    BinaryClassificationEvaluator,
    MulticlassClassificationEvaluator,
)
from pyspark.ml.linalg import Vectors
from scipy.special import expit

from sparklr import LogisticRegressionEstimator
from sparklr.arrays import Array
from sparklr.objective.families import family_of_flag
from sparklr.scoring.evaluators import HeldOut, array_evaluator
from sparklr.scoring.scorer import Scorer

METRICS = [
    "f1", "accuracy", "weightedPrecision", "weightedRecall", "weightedTruePositiveRate",
    "weightedFalsePositiveRate", "weightedFMeasure", "truePositiveRateByLabel",
    "falsePositiveRateByLabel", "precisionByLabel", "recallByLabel", "fMeasureByLabel",
    "logLoss", "hammingLoss",
]  # fmt: skip
BINARY, MULTICLASS = BinaryClassificationEvaluator, MulticlassClassificationEvaluator
AREAS = ["areaUnderROC", "areaUnderPR"]
COLUMNS = ["rawPrediction", "probability", "prediction", "label", "weight"]


@dataclass(frozen=True, eq=False)
class Case:
    """Margins of a model on held-out rows; `weighted` says whether metrics count weights."""

    scorer: Scorer
    margins: Array
    rows: HeldOut
    weighted: bool

    @property
    def digest(self) -> str:
        """A hash of the margins and rows."""
        told = hashlib.sha256()
        for part in (self.margins, self.rows.labels, self.rows.weights):
            told.update(np.ascontiguousarray(part).tobytes())
        return told.hexdigest()[:16]

    def judged(self, evaluator: Any) -> float:
        judge = array_evaluator(evaluator, LogisticRegressionEstimator(weightCol="weight"))
        assert judge is not None
        return judge.metric(self.scorer, self.margins, self.rows)

    def evaluator(self, kind: Any, **params: Any) -> Any:
        return kind(**params, **({"weightCol": "weight"} if self.weighted else {}))


def case(
    labels: Array, margins: Array, *, weighted: bool = True, digits: int = 1, **decide: Any
) -> Case:
    """Of margins that are rounded, so that scores tie, and weights of which some are zero."""
    family = family_of_flag(margins.shape[1] > 1)
    shape = (margins.shape[1], 1)
    scorer = Scorer(np.zeros(shape), np.zeros(shape[0]), family, **decide)
    weights = np.random.default_rng(5).integers(0, 5, len(labels)) / 2
    rows = HeldOut(labels.astype(np.float64), weights)
    return Case(scorer, np.round(margins, digits), rows, weighted)


def frame_of(spark: Any, case: Case) -> Any:
    """What the model would add to a frame of these rows."""
    margins, scorer = case.margins, case.scorer
    raw = scorer.family.raw(margins)
    probability = scorer.probability(raw)
    prediction = scorer.prediction(raw, probability)
    rows = [
        (Vectors.dense(values), Vectors.dense(shares), *(float(number) for number in numbers))
        for values, shares, *numbers in zip(
            raw, probability, prediction, case.rows.labels, case.rows.weights, strict=True
        )
    ]
    return spark.createDataFrame(rows, COLUMNS).coalesce(1).cache()


@cache
def made_case(name: str) -> Case:
    """A case by its name."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 3, 300)
    margins = random.normal(size=(300, 3)) + np.eye(3)[labels]
    binary = labels % 2
    if name == "two classes":
        return case(binary, margins[:, :1] + binary[:, None], thresholds=(0.6,))
    if name == "two margins":
        return case(binary, margins[:, :2], weighted=False, thresholds=(0.4, 0.6))
    if name == "three classes":
        return case(labels, margins)
    if name == "thresholds":  # no row has label 1, and none is predicted to have label 2
        return case(labels // 2 * 2, margins, weighted=False, thresholds=(0.5, 0.2, 1e6))
    if name == "no positives":
        return case(0 * labels, margins[:, :1])
    if name == "no negatives":
        return case(0 * labels + 1, margins[:, :1], weighted=False)
    if name == "no numbers":
        scores = np.array([[np.nan, np.nan, np.inf, np.inf, 1.0, -np.inf, 0.5, np.nan]]).T
        return case(np.array([1, 0, 1, 1, 0, 0, 1, 1]), scores, weighted=False)
    assert name == "many scores"
    margins = random.normal(size=(3001, 1))
    return case(random.random(3001) < expit(margins[:, 0]), margins, digits=9)


@dataclass(frozen=True)
class Question:
    """A metric of a case; None for a Param that is not set.

    `one_piece`: Spark's evaluators sort in one piece, so that points of the curve merge as ours do.
    """

    case: str
    metric: str
    column: str | None = None
    bins: int | None = None
    one_piece: bool = False
    rtol: float = 1e-12

    def __str__(self) -> str:
        words = (self.case, self.metric, self.column, self.bins, "in one piece" * self.one_piece)
        return ", ".join(str(word) for word in words if word not in (None, ""))

    def evaluator(self) -> Any:
        """Spark's, which must have a session."""
        one = made_case(self.case)
        if self.metric not in AREAS:
            params = {"beta": 2.0, "eps": 0.05, "metricLabel": float(one.rows.labels.max())}
            return one.evaluator(MULTICLASS, metricName=self.metric, **params)
        given = {"rawPredictionCol": self.column, "numBins": self.bins}
        params = {name: value for name, value in given.items() if value is not None}
        return one.evaluator(BINARY, metricName=self.metric, **params)


def _questions() -> list[Question]:
    of_predictions = [
        *product(("two classes", "three classes", "thresholds"), METRICS),
        ("no positives", "f1"),
        ("no positives", "weightedFalsePositiveRate"),
        ("no positives", "falsePositiveRateByLabel"),
    ]
    of_scores = [
        ("two classes", "rawPrediction"),
        ("two classes", "probability"),
        ("two classes", "prediction"),
        ("two margins", "rawPrediction"),
        ("two margins", "probability"),
        ("three classes", "prediction"),
        ("no positives", "rawPrediction"),
        ("no negatives", "rawPrediction"),
        ("no numbers", "rawPrediction"),
    ]
    return [
        *(Question(name, metric) for name, metric in of_predictions),
        *(Question(name, area, column) for name, column in of_scores for area in AREAS),
        *(
            Question("many scores", area, bins=bins, one_piece=True)
            for bins in (0, 1000)
            for area in AREAS
        ),
        # Spark merges points otherwise from run to run, and its number then changes by about a
        # tenth of what is allowed here.
        *(Question("many scores", area, rtol=3e-4) for area in AREAS),
    ]


QUESTIONS = _questions()
