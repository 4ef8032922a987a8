"""The estimator: it fits a model to a frame, as its Params specify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast, overload

import numpy as np
from pyspark.ml.classification import LogisticRegressionModel as SparkModel
from pyspark.ml.classification import ProbabilisticClassifier
from pyspark.ml.linalg import Matrix, Vector
from pyspark.ml.param import Param, Params
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame

from sparklr.display.progress import Progress
from sparklr.fitting.from_params import Request, class_factors_of
from sparklr.fitting.in_order import FitsInOrder
from sparklr.fitting.outcome import Fit, FitReport
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.fitting.posterior import search_of
from sparklr.fitting.shared import RowFacts, data_key, grouped, open_shared_fits
from sparklr.model import LogisticRegressionModel, fitted_model
from sparklr.params import EstimatorParams, keyword_only, keywords_of, verbose_if_set
from sparklr.rows.columns import fitted_rows
from sparklr.saving.files import ParamsReader, ParamsWriter
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.types import Keywords, ParamDict
from sparklr.streams import LearnsFromStreams


def as_model(value: object) -> LogisticRegressionModel:
    """Return a sparklr model from a sparklr model, a Spark model, or the text of `toJson`."""
    if isinstance(value, LogisticRegressionModel):
        return value
    if isinstance(value, SparkModel):
        return LogisticRegressionModel.fromSpark(value)
    if isinstance(value, str):
        return LogisticRegressionModel.fromJson(value)
    raise TypeError(
        f"initialModel must be a LogisticRegressionModel of sparklr or of Spark, but got a "
        f"{type(value).__name__}."
    )


class LogisticRegressionEstimator(
    LearnsFromStreams,
    EstimatorParams,
    ProbabilisticClassifier,
    MLWritable,
    MLReadable["LogisticRegressionEstimator"],
):
    """Logistic regression, binomial or multinomial, with L2, L1 or elastic net penalty.

    The Params are those of `pyspark.ml.classification.LogisticRegression`, with the same names,
    defaults and meaning, plus `featuresCols`, `initialModel`, `solver`, `inference`,
    `separation`, `biasReduction`, `offsetCol`, `classWeights`, `validationIndicatorCol`,
    `patience`, `stepRule`, `learningRate`, `verbose`, `posterior` and the columns made of that,
    those of `solver="sgd"`, and `decayFactor`, `halfLife` and `timeUnit` of `partialFit`. A fit
    minimises

        (1/W) sum_i w_i loss_i + regParam ((1 - a)/2 ||b||^2 + a ||b||_1),   a = elasticNetParam

    where W is the sum of the weights and b are the coefficients of the features scaled to unit
    standard deviation (with standardization=False, of the unscaled features). The intercept is
    not penalised. With `offsetCol` each row's value is added to its log odds; with `classWeights`
    w_i is the row's weight times the factor of its class.

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
        "The model that the optimisation starts from, a model of sparklr or of Spark.",
        typeConverter=as_model,
    )

    _input_kwargs: Keywords

    # fmt: off
    @keyword_only
    def __init__(
        self,
        *,
        featuresCol: str = "features", labelCol: str = "label", predictionCol: str = "prediction",
        maxIter: int = 100, regParam: float = 0.0, elasticNetParam: float = 0.0, tol: float = 1e-6,
        fitIntercept: bool = True, threshold: float = 0.5, thresholds: list[float] | None = None,
        probabilityCol: str = "probability", rawPredictionCol: str = "rawPrediction",
        standardization: bool = True, weightCol: str | None = None, aggregationDepth: int = 2,
        family: str = "auto",
        lowerBoundsOnCoefficients: Matrix | None = None,
        upperBoundsOnCoefficients: Matrix | None = None,
        lowerBoundsOnIntercepts: Vector | None = None,
        upperBoundsOnIntercepts: Vector | None = None,
        maxBlockSizeInMB: float = 0.0,
        # What Spark's estimator does not have: about rows and the fit,
        offsetCol: str | None = None, classWeights: str | list[float] | None = None,
        validationIndicatorCol: str | None = None, patience: int = 5,
        featuresCols: list[str] | None = None,
        initialModel: LogisticRegressionModel | SparkModel | None = None, solver: str = "auto",
        stepRule: str = "bb", learningRate: float | str = "auto",
        # about errors, posteriors and streams,
        inference: str = "auto", separation: str = "warn", biasReduction: str = "none",
        posterior: str = "none", posteriorTol: float = 0.01, numDraws: int = 1024,
        decayFactor: float = 1.0, halfLife: float | None = None, timeUnit: str = "batches",
        averaged: bool = False, intervalLevel: float = 0.9, probabilityIntervalCol: str = "",
        probabilityStdCol: str = "", sampledProbabilityCol: str = "", seed: int = 0,
        # and about stochastic gradient descent.
        schedule: str = "constant", batchSize: int = 64, epochs: int = 10, momentum: float = 0.0,
        adaptive: str = "auto", averaging: bool = False,
        verbose: bool | None = None,
    ) -> None:
        super().__init__()
        self._set_together(self._input_kwargs)
    # fmt: on

    @keywords_of(__init__)
    def setParams(self, **_: object) -> LogisticRegressionEstimator:
        """Set several Params by keyword."""
        self._set_together(self._input_kwargs)
        return self

    def setInitialModel(
        self, value: LogisticRegressionModel | SparkModel
    ) -> LogisticRegressionEstimator:
        """Set the model for a warm start, which changes the passes needed but not the optimum."""
        return self._set(initialModel=value)

    def getInitialModel(self) -> LogisticRegressionModel:
        """Return the value of `initialModel`; raise if it is not set."""
        return as_model(self.getOrDefault(self.initialModel))

    def write(self) -> MLWriter:
        """Return a writer of this estimator's Params."""
        return ParamsWriter(self)

    @classmethod
    def read(cls) -> MLReader[LogisticRegressionEstimator]:
        """Return a reader of saved estimators."""
        return ParamsReader(cls)

    @overload
    def fit(
        self, dataset: DataFrame | PackedRows, params: ParamDict | None = ...
    ) -> LogisticRegressionModel: ...
    @overload
    def fit(
        self, dataset: DataFrame | PackedRows, params: list[ParamDict] | tuple[ParamDict, ...]
    ) -> list[LogisticRegressionModel]: ...
    def fit(self, dataset: DataFrame | PackedRows, params: Any = None) -> Any:
        """Fit a model to a frame or to packed rows; with several param maps, a model for each.

        Parameters
        ----------
        dataset : DataFrame or PackedRows
            The rows.
        params : param map, or list or tuple of param maps, optional
            The Params to change.

        Returns
        -------
        LogisticRegressionModel, or list of LogisticRegressionModel
            The model, or the model of each param map.
        """
        return super().fit(cast(DataFrame, dataset), params)

    def _fit(self, dataset: DataFrame | PackedRows) -> LogisticRegressionModel:
        return fit_each([self], dataset)[0]

    def fitMultiple(
        self, dataset: DataFrame | PackedRows, paramMaps: Sequence[ParamDict]
    ) -> Iterator[tuple[int, LogisticRegressionModel]]:
        """Fit a model for each param map, all in the same passes over the same packed rows.

        Maps with different columns (features, label, weight, offset) are packed separately.

        Parameters
        ----------
        dataset : DataFrame or PackedRows
            The rows to fit.
        paramMaps : sequence of param maps
            For each fit, the Params to change.

        Returns
        -------
        iterator of (int, LogisticRegressionModel)
            The index of each param map and its model. Threads may share the iterator; the first
            call of `next` fits all models.
        """
        estimators = [self.copy(extra) for extra in paramMaps]
        return FitsInOrder(lambda: fit_each(estimators, dataset), len(estimators))


def request_of(estimator: LogisticRegressionEstimator) -> Request:
    """Return the request for a fit with this estimator's Params and warm start."""
    initial = None
    if estimator.isSet(estimator.initialModel):
        initial = estimator.getInitialModel().numbers.arrays
    return Request(
        estimator,
        initial,
        inference=estimator.getInference().lower(),
        separation=estimator.getSeparation().lower(),
        posterior=search_of(estimator),
    )


def model_of(
    estimator: LogisticRegressionEstimator, fit: Fit, facts: RowFacts, dataset: DataFrame
) -> LogisticRegressionModel:
    """Return the model of a fit, with the estimator's Params and a training summary."""
    moments, names = facts.moments, facts.names
    known = names is not None and len(names) == moments.features
    numbers = ModelNumbers.of(
        fit.coefficients,
        fit.intercepts,
        facts.classes,
        family=facts.family,
        names=names if known else None,  # else the metadata describe other features
    )
    report = FitReport(
        history=fit.history,
        solver=fit.solver,
        reason=fit.reason,
        converged=fit.converged,
        passes=facts.passes,
        rows=moments.rows,
        label_weights=moments.histogram(facts.classes),
        deviation=np.sqrt(moments.variance),
        loss=fit.loss,
        information=fit.information,
        certificate=fit.certificate,
        products=fit.products,
        null_loss=fit.null_loss,
        factors=class_factors_of(estimator, moments, facts.classes),
        separation=fit.separation,
        penalised=fit.penalised,
        means=moments.mean,
        rates=fit.rates,
        held=fit.held,
        held_rows=facts.held_rows,
        chosen=fit.chosen,
        early=fit.early,
    )
    return fitted_model(numbers, estimator, fitted_rows(dataset, estimator), report, fit.posterior)


def fit_each(
    estimators: Sequence[LogisticRegressionEstimator], dataset: DataFrame | PackedRows
) -> list[LogisticRegressionModel]:
    """Return a model per estimator; estimators of the same columns are fitted together."""
    models: dict[int, LogisticRegressionModel] = {}
    for group in grouped(range(len(estimators)), lambda at: data_key(estimators[at])):
        alike = {at: estimators[at] for at in group}
        title = "fit" if len(alike) == 1 else f"{len(alike)} fits"
        with Progress(verbose_if_set(estimators[group[0]]), f"sparklr: {title}") as progress:
            requests = {at: request_of(its) for at, its in alike.items()}
            with open_shared_fits(
                requests, dataset, stage=progress.stage, watch=progress.round
            ) as shared:
                fits = shared.fit()
                for at, its in alike.items():
                    models[at] = model_of(its, fits[at], shared.facts(at), frame_of(dataset))
    return [models[at] for at in range(len(estimators))]
