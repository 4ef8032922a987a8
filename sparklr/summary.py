"""Summaries with Spark's interface: how a model was fitted, and how well it predicts.

Values are computed on first use and kept. One Spark job sums weights by label and prediction, for
all measures by label and their means; another job sums weights by score, for the curves. The data
set is never persisted.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from pyspark.sql import DataFrame

from sparklr.arrays import Array
from sparklr.display import plots
from sparklr.display.pages import FittedParams, evaluation_page, fit_page
from sparklr.display.tables import Page
from sparklr.fitting.outcome import FitReport
from sparklr.inference.diagnostics import FitDiagnostics
from sparklr.inference.of_scores import ScoreInference
from sparklr.scoring.aggregates import PredictionFrame
from sparklr.scoring.metrics import Confusion, ScoreCurve
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.collect import as_frame
from sparklr.spark.types import AnyParam

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Predictor(FittedParams, Protocol):
    """The parts of a model that a summary uses: its Params, numbers and predictions."""

    @property
    def numbers(self) -> ModelNumbers: ...
    def getPredictionCol(self) -> str: ...
    def getProbabilityCol(self) -> str: ...
    def getWeightCol(self) -> str: ...
    def isDefined(self, param: str, /) -> bool: ...
    def getOrDefault(self, param: str, /) -> Any: ...
    def getParam(self, paramName: str, /) -> AnyParam: ...
    def copy(self, extra: Any, /) -> Predictor: ...
    def transform(self, dataset: DataFrame, /) -> DataFrame: ...


class LogisticRegressionSummary:
    """How well a model predicts the labels of a data set; made by the model's `evaluate`.

    Values are computed on first use. A row with missing features or a missing label is not
    counted; if the data set lacks the weight column, each row has weight 1. Lists by label are
    in the order of `labels`. `print` shows the measures as tables, and runs the Spark jobs that
    they need.

    Examples
    --------
    >>> rows = [(0.0, 0.1), (0.0, 0.6), (1.0, 0.5), (1.0, 0.9)]
    >>> frame = spark.createDataFrame(rows, ["label", "dose"])
    >>> model = LogisticRegressionEstimator(featuresCols=["dose"], regParam=0.01).fit(frame)
    >>> summary = model.evaluate(frame)
    >>> summary.accuracy, summary.areaUnderROC
    (0.5, 0.75)
    >>> summary.precisionByLabel
    [0.5, 0.5]
    """

    def __init__(self, model: Predictor, dataset: DataFrame) -> None:
        generated = {
            model.getParam(param): f"{param.removesuffix('Col')}_{uuid4().hex}"
            # The columns that are read below.
            for param in ("rawPredictionCol", "probabilityCol", "predictionCol")
            if not model.getOrDefault(param)
        }
        # A copy: a Param set on the model later, such as a threshold, must not change this summary.
        self._model = model.copy(generated)
        self._dataset = dataset

    @cached_property
    def predictions(self) -> DataFrame:
        """The data set with the model's output columns."""
        return self._model.transform(self._dataset)

    @property
    def predictionCol(self) -> str:
        """The name of the column of `predictions` with the predicted label."""
        return self._model.getPredictionCol()

    @property
    def probabilityCol(self) -> str:
        """The name of the column of `predictions` with the vector of class probabilities."""
        return self._model.getProbabilityCol()

    @property
    def labelCol(self) -> str:
        """The name of the column of `predictions` with the true label."""
        return self._model.getLabelCol()

    @property
    def featuresCol(self) -> str:
        """The name of the column of `predictions` with the features."""
        return self._model.getFeaturesCol()

    @property
    def weightCol(self) -> str:
        """The name of the column of weights; 'weightCol' if no column is set, as in Spark."""
        model = self._model
        return model.getWeightCol() if model.isDefined("weightCol") else "weightCol"

    @property
    def labels(self) -> list[float]:
        """The labels that occur in the data set, ascending."""
        return _floats(self._confusion.labels)

    @property
    def truePositiveRateByLabel(self) -> list[float]:
        """For each label, the share of its weight that was predicted correctly."""
        return self.recallByLabel

    @property
    def falsePositiveRateByLabel(self) -> list[float]:
        """For each label, the share of all other labels' weight that was given this label."""
        return _floats(self._confusion.false_positive_rate)

    @property
    def precisionByLabel(self) -> list[float]:
        """For each label, the correct share of the weight predicted as this label; 0 if none."""
        return _floats(self._confusion.precision)

    @property
    def recallByLabel(self) -> list[float]:
        """For each label, the share of its weight that was predicted correctly."""
        return _floats(self._confusion.recall)

    def fMeasureByLabel(self, beta: float = 1.0) -> list[float]:
        """For each label, the harmonic mean of precision and recall; recall counts `beta` times."""
        return _floats(self._confusion.f_measure(beta))

    @property
    def accuracy(self) -> float:
        """The share of the weight that was predicted correctly."""
        return self._confusion.accuracy

    @property
    def weightedTruePositiveRate(self) -> float:
        """The weighted mean of `truePositiveRateByLabel`, which equals the accuracy."""
        return self.weightedRecall

    @property
    def weightedFalsePositiveRate(self) -> float:
        """The weighted mean of `falsePositiveRateByLabel`."""
        return self._confusion.mean(self._confusion.false_positive_rate)

    @property
    def weightedRecall(self) -> float:
        """The weighted mean of `recallByLabel`, which equals the accuracy."""
        return self._confusion.mean(self._confusion.recall)

    @property
    def weightedPrecision(self) -> float:
        """The weighted mean of `precisionByLabel`."""
        return self._confusion.mean(self._confusion.precision)

    def weightedFMeasure(self, beta: float = 1.0) -> float:
        """Return the weighted mean of `fMeasureByLabel`."""
        return self._confusion.mean(self._confusion.f_measure(beta))

    @cached_property
    def _confusion(self) -> Confusion:
        return self._predictions.by_label()

    @cached_property
    def _predictions(self) -> PredictionFrame:
        set_by_user = self._model.isDefined("weightCol")
        return PredictionFrame(
            self.predictions,
            label=self.labelCol,
            prediction=self.predictionCol,
            probability=self.probabilityCol,
            weight=self.weightCol if set_by_user else "",
        )

    def _page(self) -> Page:
        return evaluation_page(self._predictions, self._confusion, None)

    def __str__(self) -> str:
        return self._page().text()

    def _repr_html_(self) -> str:
        return self._page().html()


class BinaryLogisticRegressionSummary(ScoreInference, LogisticRegressionSummary):
    """How well a model of two classes predicts, with curves over all thresholds.

    Curves are exact, with a point for each distinct score. Beyond 4 million distinct scores,
    scores within 2^-15 of each other on the log odds scale share a point.
    """

    @property
    def scoreCol(self) -> str:
        """The name of the column of scores: the vector of class probabilities."""
        return self.probabilityCol

    @cached_property
    def roc(self) -> DataFrame:
        """The ROC curve: FPR and TPR from (0, 0) to (1, 1), by descending threshold."""
        rates, recall = self._curve.roc
        return as_frame(self._dataset, {"FPR": rates, "TPR": recall})

    @cached_property
    def pr(self) -> DataFrame:
        """The precision-recall curve: recall and precision, by descending threshold."""
        recall, precision = self._curve.pr
        return as_frame(self._dataset, {"recall": recall, "precision": precision})

    @property
    def areaUnderROC(self) -> float:
        """The area under the ROC curve: how often a positive row scores above a negative row."""
        return self._curve.area_under_roc

    @property
    def areaUnderPR(self) -> float:
        """The area under the precision-recall curve."""
        return self._curve.area_under_pr

    @cached_property
    def fMeasureByThreshold(self) -> DataFrame:
        """The F1 measure at each distinct score as the threshold, in descending order."""
        return self._by_threshold("F-Measure", self._curve.f_measure())

    @cached_property
    def precisionByThreshold(self) -> DataFrame:
        """The precision at each distinct score as the threshold, in descending order."""
        return self._by_threshold("precision", self._curve.precision)

    @cached_property
    def recallByThreshold(self) -> DataFrame:
        """The recall at each distinct score as the threshold, in descending order."""
        return self._by_threshold("recall", self._curve.recall)

    def plot_roc(self, ax: Axes | None = None) -> Axes:
        """Draw the ROC curve.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib Axes
            The axes with the curve.
        """
        return plots.plot_roc(plots.axes(ax), self._curve)

    def plot_pr(self, ax: Axes | None = None) -> Axes:
        """Draw precision over recall.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            The axes to draw on; by default those of a new figure.

        Returns
        -------
        matplotlib Axes
            The axes with the curve.
        """
        return plots.plot_pr(plots.axes(ax), self._curve)

    @cached_property
    def _curve(self) -> ScoreCurve:
        return self._predictions.by_score()

    def _by_threshold(self, name: str, values: Array) -> DataFrame:
        return as_frame(self._dataset, {"threshold": self._curve.thresholds, name: values})

    def _page(self) -> Page:
        return evaluation_page(self._predictions, self._confusion, self._curve)


class LogisticRegressionTrainingSummary(FitDiagnostics, LogisticRegressionSummary):
    """How a model was fitted, and how well it predicts the rows it was fitted on.

    `print` shows the outcome of the fit and the coefficients, and runs no Spark job. There are
    standard errors, p-values and intervals for fits without a penalty: others are not valid.
    """

    _model: Predictor

    def __init__(self, model: Predictor, dataset: DataFrame, report: FitReport) -> None:
        super().__init__(model, dataset)
        self._report = report

    @property
    def objectiveHistory(self) -> list[float]:
        """The objective with penalty at the start and after each iteration, or epoch of "sgd".

        It never increases, but with solver="sgd", and with "gd" by stepRule="bb" or "accelerated".
        """
        return list(self._report.history)

    @property
    def totalIterations(self) -> int:
        """The number of iterations: the length of `objectiveHistory` minus one."""
        return len(self._report.history) - 1

    @property
    def solver(self) -> str:
        """The name of the solver that was used."""
        return self._report.solver

    @property
    def stopReason(self) -> str:
        """The reason why the solver stopped, as a sentence."""
        return self._report.reason

    @property
    def converged(self) -> bool:
        """Whether the tolerance was met."""
        return self._report.converged

    @property
    def passes(self) -> int:
        """The passes of the fit over the data: packing and later readings are not counted."""
        return self._report.passes

    def _page(self) -> Page:
        return fit_page(self._model.numbers, self._model, self._report, self._measures())


class BinaryLogisticRegressionTrainingSummary(
    BinaryLogisticRegressionSummary, LogisticRegressionTrainingSummary
):
    """How a model of two classes was fitted, and how well it predicts the rows it was fitted on."""

    _fitted = True

    def _page(self) -> Page:
        return LogisticRegressionTrainingSummary._page(self)


def _floats(values: Array) -> list[float]:
    return [float(value) for value in values]
