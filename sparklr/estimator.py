"""The estimator: Params and a frame in, a model out."""

from __future__ import annotations

from typing import Any

from pyspark import keyword_only
from pyspark.ml.classification import ProbabilisticClassifier
from pyspark.ml.linalg import Matrix, Vector
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame

from sparklr import jvm
from sparklr.columns import TrainingRows, training_rows
from sparklr.model import LogisticRegressionModel
from sparklr.objective.moments import Moments
from sparklr.params import LogisticRegressionParams, check_params
from sparklr.passes.protocol import MEGABYTE
from sparklr.passes.spark import Storage, open_passes
from sparklr.persistence import EstimatorReader, ParamsWriter
from sparklr.plan import check_solver, fit_all
from sparklr.problem import Spec
from sparklr.summary import LogisticRegressionTrainingSummary

# Settings of the Spark session, in megabytes; see docs/design.md.
LOCAL_MB = "spark.sparklr.localMB"
ROUND_MB = "spark.sparklr.roundMB"
# Half a gigabyte of coefficients: beyond it, labels are surely identifiers and not classes.
MOST_COEFFICIENTS = 2**26


class LogisticRegressionEstimator(
    LogisticRegressionParams,
    ProbabilisticClassifier,
    MLWritable,
    MLReadable["LogisticRegressionEstimator"],
):
    """Logistic regression, binomial or multinomial, with L2, L1 or elastic net penalty.

    The Params are those of `pyspark.ml.classification.LogisticRegression`, with the same
    names, defaults and meaning, and `solver`. It minimises

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
        solver: str = "auto",
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
        solver: str = "auto",
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

    def setLowerBoundsOnCoefficients(self, value: Matrix) -> LogisticRegressionEstimator:
        """Set lower bounds on coefficients (not yet available: fitting refuses them)."""
        return self._set(lowerBoundsOnCoefficients=value)

    def setUpperBoundsOnCoefficients(self, value: Matrix) -> LogisticRegressionEstimator:
        """Set upper bounds on coefficients (not yet available: fitting refuses them)."""
        return self._set(upperBoundsOnCoefficients=value)

    def setLowerBoundsOnIntercepts(self, value: Vector) -> LogisticRegressionEstimator:
        """Set lower bounds on intercepts (not yet available: fitting refuses them)."""
        return self._set(lowerBoundsOnIntercepts=value)

    def setUpperBoundsOnIntercepts(self, value: Vector) -> LogisticRegressionEstimator:
        """Set upper bounds on intercepts (not yet available: fitting refuses them)."""
        return self._set(upperBoundsOnIntercepts=value)

    def write(self) -> MLWriter:
        """A writer of this estimator's Params."""
        return ParamsWriter(self)

    @classmethod
    def read(cls) -> MLReader[LogisticRegressionEstimator]:
        """A reader of what `write` wrote."""
        return EstimatorReader(cls)

    def _fit(self, dataset: DataFrame) -> LogisticRegressionModel:
        check_params(self)
        check_solver(self._spec("binomial"))
        rows = training_rows(dataset, self)
        if rows.classes is not None:
            self._family(rows.classes)
        with open_passes(rows.frame, rows.names, self._storage(rows)) as passes:
            classes = self._classes(rows, passes.moments)
            spec = self._spec(self._family(classes))
            budget = _megabytes(dataset, ROUND_MB, 256 * MEGABYTE)
            fits, readings = fit_all({0: spec}, passes, classes, budget=budget)
        fit = fits[0]
        model = LogisticRegressionModel._of(
            fit.coefficients, fit.intercepts, classes, multinomial=spec.family == "multinomial"
        )
        model._resetUid(self.uid)
        self._copyValues(model)
        model._summary = LogisticRegressionTrainingSummary(
            list(fit.history), fit.solver, fit.reason, fit.converged, readings
        )
        return model

    def _spec(self, family: Any) -> Spec:
        return Spec(
            family=family,
            regParam=self.getRegParam(),
            elasticNetParam=self.getElasticNetParam(),
            fitIntercept=self.getFitIntercept(),
            standardization=self.getStandardization(),
            maxIter=self.getMaxIter(),
            tol=self.getTol(),
            solver=self.getSolver().lower(),  # type: ignore[arg-type]  # checked by check_params
        )

    def _classes(self, rows: TrainingRows, moments: Moments) -> int:
        """One more than the largest label, unless the column's metadata say more."""
        classes = rows.classes or int(moments.labels[-1]) + 1
        if classes * (moments.features + 1) > MOST_COEFFICIENTS:
            raise ValueError(
                f"Column '{self.getLabelCol()}': the largest label is {classes - 1}, which makes "
                f"{classes} classes of {moments.features} features, more than {MOST_COEFFICIENTS} "
                "coefficients. Index the labels 0, 1, 2, ... with "
                "pyspark.ml.feature.StringIndexer."
            )
        return classes

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

    def _storage(self, rows: TrainingRows) -> Storage:
        session = rows.frame.sparkSession
        plain = Storage()
        block = int(self.getMaxBlockSizeInMB() * MEGABYTE) or plain.block_bytes
        return Storage(
            local_bytes=_megabytes(rows.frame, LOCAL_MB, plain.local_bytes),
            block_bytes=block,
            depth=self.getAggregationDepth(),
            slots=jvm.task_slots(session),
            width=rows.width,
            classes=rows.classes,
        )


def _megabytes(frame: DataFrame, setting: str, default: int) -> int:
    """A setting of the session in bytes."""
    text = frame.sparkSession.conf.get(setting, None)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{setting}={text} is not allowed: it must be a number of megabytes.")
    return int(value * MEGABYTE)
