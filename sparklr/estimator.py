"""The estimator: Params and a frame in, a model out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pyspark import keyword_only
from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.classification import ProbabilisticClassifier
from pyspark.ml.linalg import Matrix, Vector
from pyspark.ml.param import Param, Params
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame

from sparklr.arrays import MEGABYTE
from sparklr.fitting.bounds_and_start import read_bounds, read_initial
from sparklr.fitting.choose_solver import check_solver
from sparklr.fitting.plan import Fit
from sparklr.fitting.problem import Spec
from sparklr.fitting.shared import FitsInOrder, Reading, fit_each
from sparklr.model import LogisticRegressionModel
from sparklr.objective.moments import Moments
from sparklr.packing.job import PackSettings
from sparklr.params import HasVerbose, LogisticRegressionParams
from sparklr.rows.checks import MOST_COEFFICIENTS
from sparklr.rows.columns import TrainingRows
from sparklr.saving.files import EstimatorReader, ParamsWriter
from sparklr.spark import classic
from sparklr.spark.refusals import first_line, warn_once
from sparklr.summary import (
    BinaryLogisticRegressionTrainingSummary,
    FitReport,
    LogisticRegressionTrainingSummary,
)

# Settings of the Spark session, in megabytes; see docs/design.md.
LOCAL_MB = "spark.sparklr.localMB"
ROUND_MB = "spark.sparklr.roundMB"


def as_model(value: Any) -> LogisticRegressionModel:
    """A model of ours from one, from one of Spark's own, or from the text of `toJson`."""
    if isinstance(value, LogisticRegressionModel):
        return value
    if isinstance(value, SparkModel):
        return LogisticRegressionModel.fromSpark(value)
    if isinstance(value, str):
        return LogisticRegressionModel.fromJson(value)
    raise TypeError(
        f"initialModel must be a LogisticRegressionModel, of sparklr or of Spark, but got a "
        f"{type(value).__name__}."
    )


class LogisticRegressionEstimator(
    LogisticRegressionParams,
    HasVerbose,
    ProbabilisticClassifier,
    MLWritable,
    MLReadable["LogisticRegressionEstimator"],
):
    """Logistic regression, binomial or multinomial, with L2, L1 or elastic net penalty.

    The Params are those of `pyspark.ml.classification.LogisticRegression`, with the same
    names, defaults and meaning, and `solver` and `verbose`. It minimises

        (1/W) sum_i w_i loss_i + regParam ((1 - a)/2 ||b||^2 + a ||b||_1),   a = elasticNetParam

    where W is the sum of the weights and b the coefficients of features scaled to unit
    standard deviation (of the features as they are, with standardization=False). The
    intercept is not penalised.

    Examples
    --------
    >>> from pyspark.ml.linalg import Vectors
    >>> rows = [(1.0, Vectors.dense(0.0, 5.0)), (0.0, Vectors.dense(1.0, 2.0)),
    ...         (1.0, Vectors.dense(2.0, 1.0)), (0.0, Vectors.dense(3.0, 3.0))]
    >>> frame = spark.createDataFrame(rows, ["label", "features"])
    >>> model = LogisticRegressionEstimator(regParam=0.1).fit(frame)
    >>> [round(float(value), 3) for value in model.coefficients]
    [-0.53, 0.018]
    >>> [row.prediction for row in model.transform(frame).collect()]
    [1.0, 1.0, 0.0, 0.0]
    """

    initialModel: Param[LogisticRegressionModel] = Param(
        Params._dummy(),
        "initialModel",
        "A model to start the optimisation from: one of sparklr's or of Spark's own.",
        typeConverter=as_model,
    )

    _input_kwargs: dict[str, Any]

    @keyword_only
    def __init__(
        self,
        *,
        featuresCol: str = "features",
        labelCol: str = "label",
        predictionCol: str = "prediction",
        maxIter: int = 100,
        regParam: float = 0.0,
        elasticNetParam: float = 0.0,
        tol: float = 1e-6,
        fitIntercept: bool = True,
        threshold: float = 0.5,
        thresholds: list[float] | None = None,
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
        standardization: bool = True,
        weightCol: str | None = None,
        aggregationDepth: int = 2,
        family: str = "auto",
        lowerBoundsOnCoefficients: Matrix | None = None,
        upperBoundsOnCoefficients: Matrix | None = None,
        lowerBoundsOnIntercepts: Vector | None = None,
        upperBoundsOnIntercepts: Vector | None = None,
        maxBlockSizeInMB: float = 0.0,
        featuresCols: list[str] | None = None,
        initialModel: LogisticRegressionModel | SparkModel | None = None,
        solver: str = "auto",
        verbose: bool | None = None,
    ) -> None:
        super().__init__()
        self._set_together(self._input_kwargs)

    @keyword_only
    def setParams(
        self,
        *,
        featuresCol: str = "features",
        labelCol: str = "label",
        predictionCol: str = "prediction",
        maxIter: int = 100,
        regParam: float = 0.0,
        elasticNetParam: float = 0.0,
        tol: float = 1e-6,
        fitIntercept: bool = True,
        threshold: float = 0.5,
        thresholds: list[float] | None = None,
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
        standardization: bool = True,
        weightCol: str | None = None,
        aggregationDepth: int = 2,
        family: str = "auto",
        lowerBoundsOnCoefficients: Matrix | None = None,
        upperBoundsOnCoefficients: Matrix | None = None,
        lowerBoundsOnIntercepts: Vector | None = None,
        upperBoundsOnIntercepts: Vector | None = None,
        maxBlockSizeInMB: float = 0.0,
        featuresCols: list[str] | None = None,
        initialModel: LogisticRegressionModel | SparkModel | None = None,
        solver: str = "auto",
        verbose: bool | None = None,
    ) -> LogisticRegressionEstimator:
        """Set several Params by keyword."""
        self._set_together(self._input_kwargs)
        return self

    def setMaxIter(self, value: int) -> LogisticRegressionEstimator:
        """Set the most iterations allowed."""
        return self._set(maxIter=value)

    def setRegParam(self, value: float) -> LogisticRegressionEstimator:
        """Set the penalty's weight."""
        return self._set(regParam=value)

    def setElasticNetParam(self, value: float) -> LogisticRegressionEstimator:
        """Set the L1 share of the penalty: 0 is L2, 1 is L1."""
        return self._set(elasticNetParam=value)

    def setTol(self, value: float) -> LogisticRegressionEstimator:
        """Set the tolerance."""
        return self._set(tol=value)

    def setFitIntercept(self, value: bool) -> LogisticRegressionEstimator:
        """Set whether to fit an intercept."""
        return self._set(fitIntercept=value)

    def setStandardization(self, value: bool) -> LogisticRegressionEstimator:
        """Set whether the penalty counts coefficients of scaled features."""
        return self._set(standardization=value)

    def setWeightCol(self, value: str) -> LogisticRegressionEstimator:
        """Set the column of row weights; an empty name means none."""
        return self._set(weightCol=value)

    def setAggregationDepth(self, value: int) -> LogisticRegressionEstimator:
        """Set the depth of the tree in which partial sums merge."""
        return self._set(aggregationDepth=value)

    def setFamily(self, value: str) -> LogisticRegressionEstimator:
        """Set the label's distribution: auto, binomial or multinomial."""
        return self._set(family=value)

    def setMaxBlockSizeInMB(self, value: float) -> LogisticRegressionEstimator:
        """Set the size of a block of rows; 0 leaves the choice to sparklr."""
        return self._set(maxBlockSizeInMB=value)

    def setSolver(self, value: str) -> LogisticRegressionEstimator:
        """Set the method of optimisation."""
        return self._set(solver=value)

    def setInitialModel(
        self, value: LogisticRegressionModel | SparkModel
    ) -> LogisticRegressionEstimator:
        """Set the model to start from; a warm start changes the passes needed, not the optimum."""
        return self._set(initialModel=value)

    def getInitialModel(self) -> LogisticRegressionModel:
        """The value of `initialModel`; an error if it is not set."""
        return as_model(self.getOrDefault(self.initialModel))

    def setLowerBoundsOnCoefficients(self, value: Matrix) -> LogisticRegressionEstimator:
        """Set lower bounds on coefficients: (1, features), or (classes, features)."""
        return self._set(lowerBoundsOnCoefficients=value)

    def setUpperBoundsOnCoefficients(self, value: Matrix) -> LogisticRegressionEstimator:
        """Set upper bounds on coefficients: (1, features), or (classes, features)."""
        return self._set(upperBoundsOnCoefficients=value)

    def setLowerBoundsOnIntercepts(self, value: Vector) -> LogisticRegressionEstimator:
        """Set lower bounds on intercepts: one, or one a class."""
        return self._set(lowerBoundsOnIntercepts=value)

    def setUpperBoundsOnIntercepts(self, value: Vector) -> LogisticRegressionEstimator:
        """Set upper bounds on intercepts: one, or one a class."""
        return self._set(upperBoundsOnIntercepts=value)

    def write(self) -> MLWriter:
        """A writer of this estimator's Params."""
        return ParamsWriter(self)

    @classmethod
    def read(cls) -> MLReader[LogisticRegressionEstimator]:
        """A reader of what `write` wrote."""
        return EstimatorReader(cls)

    def _fit(self, dataset: DataFrame) -> LogisticRegressionModel:
        return fit_each([self], dataset)[0]

    def fitMultiple(
        self, dataset: DataFrame, paramMaps: Sequence[Any]
    ) -> Iterator[tuple[int, LogisticRegressionModel]]:
        """Fit a model for each param map, all in the same passes over the same packed rows.

        Maps that name other columns (features, label, weight) are packed apart.

        Parameters
        ----------
        dataset : DataFrame
            The rows to fit.
        paramMaps : sequence of param maps
            What each fit changes of this estimator's Params.

        Returns
        -------
        iterator of (int, LogisticRegressionModel)
            Index of the param map, and its model. Threads may share it; the first call fits all.
        """
        estimators = [self.copy(extra) for extra in paramMaps]
        return FitsInOrder(lambda: fit_each(estimators, dataset), len(estimators))

    def _model(self, fit: Fit, reading: Reading) -> LogisticRegressionModel:
        """The model of a fit, with this estimator's Params and a summary."""
        moments, classes = reading.moments, reading.classes
        multinomial = self._family(classes) == "multinomial"
        model = LogisticRegressionModel._of(
            fit.coefficients, fit.intercepts, classes, multinomial=multinomial
        )
        model._resetUid(self.uid)
        self._copyValues(model)
        if reading.names is not None and len(reading.names) == moments.features:
            model._feature_names = list(reading.names)  # else the metadata were of other features
        report = FitReport(
            fit.history,
            fit.solver,
            fit.reason,
            fit.converged,
            reading.passes,
            moments.rows,
            moments.histogram(classes),
            np.sqrt(moments.variance),
            fit.loss,
        )
        many = LogisticRegressionTrainingSummary
        kind = many if classes > 2 else BinaryLogisticRegressionTrainingSummary
        model._summary = kind(model, reading.dataset, report)
        return model

    def _check_sizes(self, rows: TrainingRows) -> None:
        """Refuse, before any job, what the metadata already show not to fit together."""
        if rows.classes:
            self._check_thresholds(rows.classes)
        family = self._family(rows.classes) if rows.classes else self.getFamily().lower()
        columns = {"binomial": 1, "multinomial": rows.classes}.get(family)
        check_solver(self._spec(family, columns, rows.width))

    def _spec(self, family: Any, columns: int | None, features: int | None) -> Spec:
        """What to fit, for so many margins and features (None: not known yet)."""
        columns = 1 if family == "binomial" else columns
        initial = None
        if self.isSet(self.initialModel):
            initial = read_initial(self.getInitialModel(), self, columns, features)
        return Spec(
            family=family,
            regParam=self.getRegParam(),
            elasticNetParam=self.getElasticNetParam(),
            fitIntercept=self.getFitIntercept(),
            standardization=self.getStandardization(),
            maxIter=self.getMaxIter(),
            tol=self.getTol(),
            solver=self.getSolver().lower(),  # type: ignore[arg-type]  # checked by check_params
            bounds=read_bounds(self, columns, features),
            initial=initial,
        )

    def _grid_spec(self, classes: int, features: int) -> Spec:
        """What to fit, on rows of which both are known."""
        self._check_thresholds(classes)
        return self._spec(self._family(classes), classes, features)

    def _round_bytes(self, dataset: DataFrame) -> int:
        """What the sums of a pass may take in a worker."""
        return _megabytes(dataset, ROUND_MB, 256 * MEGABYTE)

    def _classes(self, rows: TrainingRows, moments: Moments) -> int:
        """One more than the largest label, unless the column's metadata say more."""
        classes = rows.classes or int(moments.labels[-1]) + 1
        if classes * (moments.features + 1) > MOST_COEFFICIENTS:
            raise ValueError(
                f"Column '{self.getLabelCol()}': the largest label is {classes - 1:.10g}, which "
                f"makes {classes:.10g} classes of {moments.features} features, more than "
                f"{MOST_COEFFICIENTS} coefficients. Index the labels 0, 1, 2, ... with "
                "pyspark.ml.feature.StringIndexer."
            )
        return classes

    def _check_thresholds(self, classes: int) -> None:
        """Refuse thresholds that are not one a class."""
        count = len(self.getOrDefault("thresholds")) if self.isSet(self.thresholds) else classes
        if count != classes:
            raise ValueError(
                f"thresholds has {count} values, but column '{self.getLabelCol()}' has {classes} "
                "classes. Give one threshold a class."
            )

    def _family(self, classes: int) -> str:
        family = self.getFamily().lower()
        if family == "auto":
            return "binomial" if classes <= 2 else "multinomial"
        if family == "binomial" and classes > 2:
            raise ValueError(
                f"family='binomial' is for at most 2 classes, but column '{self.getLabelCol()}' "
                f"has {classes}. Use family='multinomial' or 'auto'."
            )
        return family

    def _storage(self, rows: TrainingRows) -> PackSettings:
        session = rows.frame.sparkSession
        plain = PackSettings()
        block = int(self.getMaxBlockSizeInMB() * MEGABYTE) or plain.block_bytes
        return PackSettings(
            local_bytes=_megabytes(rows.frame, LOCAL_MB, plain.local_bytes),
            block_bytes=block,
            depth=self.getAggregationDepth(),
            slots=classic.task_slots(session),
            width=rows.width,
            classes=rows.classes,
            folded=rows.folded,
        )


def _megabytes(frame: DataFrame, setting: str, default: int) -> int:
    """A setting of the session in bytes."""
    try:
        text = frame.sparkSession.conf.get(setting, None)
    except Exception as refusal:  # serverless has few settings to be read
        warn_once(f"the default of {setting} is taken: {first_line(refusal)}")
        return default
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{setting}={text} is not allowed: it must be a number of megabytes.")
    return int(value * MEGABYTE)
