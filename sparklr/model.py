"""The fitted model: it scores rows with its coefficients, with or without Spark."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property

from pyspark.ml.classification import ProbabilisticClassificationModel
from pyspark.ml.linalg import Matrix, Vector
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame

from sparklr.batches.facts import StreamFacts
from sparklr.exports.made_from import MadeFrom
from sparklr.exports.of_model import Exports
from sparklr.fitting.from_params import check_offset
from sparklr.fitting.outcome import FitReport
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.fitting.posterior import check_posterior_columns
from sparklr.inference.of_model import InferenceOnRows
from sparklr.inference.posterior_of_model import PosteriorOfModel
from sparklr.inference.stream_of_model import StreamOfModel, numbers_of_stream
from sparklr.objective.families import family_of_flag
from sparklr.params import LogisticRegressionParams, check_thresholds, offset_name
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.posterior.of_stream import posterior_of_stream
from sparklr.rows.columns import check_frame, find_features, find_offset
from sparklr.saving.estimates import KeptFit
from sparklr.saving.json_text import model_json
from sparklr.saving.model_files import ModelReader, ModelWriter
from sparklr.scoring.coefficients import CoefficientsOfModel
from sparklr.scoring.frame import Scored, check_width, score_by_arrow, score_by_twin, scorer_of
from sparklr.scoring.in_memory import PredictsInMemory, read_rows
from sparklr.scoring.numbers import ModelNumbers
from sparklr.scoring.offset import RAW, moved, read_offsets
from sparklr.scoring.outputs import OUTPUTS, check_output_columns, output_columns
from sparklr.scoring.scorer import Scorer, Scores
from sparklr.spark.classic import SparkModelCache
from sparklr.spark.matrices import by_row, dense_vector, stored_matrix
from sparklr.spark.types import Keywords, ParamDict
from sparklr.summary import (
    BinaryLogisticRegressionSummary,
    BinaryLogisticRegressionTrainingSummary,
    LogisticRegressionSummary,
    LogisticRegressionTrainingSummary,
)


class LogisticRegressionModel(
    InferenceOnRows,
    PosteriorOfModel,
    StreamOfModel,
    CoefficientsOfModel,
    PredictsInMemory,
    MadeFrom,
    Exports,
    LogisticRegressionParams,
    ProbabilisticClassificationModel,
    MLWritable,
    MLReadable["LogisticRegressionModel"],
):
    """A fitted logistic regression, from `LogisticRegressionEstimator.fit` or `load`.

    `transform` scores a frame. `predict`, `predictProbability` and `predictRaw` score one row, or
    a numpy array or scipy matrix of rows, without a Spark session.

    Examples
    --------
    >>> from pyspark.ml.linalg import Vectors
    >>> frame = spark.createDataFrame(
    ...     [(1.0, 0.5, 2.0), (0.0, 1.5, 1.0), (1.0, 0.2, 0.3), (0.0, 2.0, 2.5)],
    ...     ["label", "age", "dose"])
    >>> model = LogisticRegressionEstimator(featuresCols=["age", "dose"], regParam=0.1).fit(frame)
    >>> model.featureNames
    ['age', 'dose']
    >>> model.predict(Vectors.dense(0.1, 1.0))
    1.0
    >>> import numpy as np
    >>> model.predict(np.array([[0.1, 1.0], [2.2, 1.0]])).tolist()
    [1.0, 0.0]
    >>> LogisticRegressionModel.fromJson(model.toJson()).intercept == model.intercept
    True
    """

    def __init__(
        self,
        coefficientMatrix: Matrix,
        interceptVector: Vector,
        numClasses: int,
        isMultinomial: bool,
    ) -> None:
        super().__init__()
        self._numbers = ModelNumbers(
            coefficients=coefficientMatrix,
            intercepts=interceptVector,
            classes=numClasses,
            family=family_of_flag(isMultinomial),
        )
        self._summary: LogisticRegressionTrainingSummary | None = None
        self._kept: KeptFit | None = None
        self._posterior: PosteriorNumbers | None = None
        self._stream: StreamFacts | None = None

    @classmethod
    def _of(
        cls,
        numbers: ModelNumbers,
        kept: KeptFit | None = None,
        posterior: PosteriorNumbers | None = None,
        stream: StreamFacts | None = None,
    ) -> LogisticRegressionModel:
        """Return a model of these numbers, with feature names, and of a fit or a stream."""
        many = numbers.family.per_class
        made = cls(numbers.coefficients, numbers.intercepts, numbers.classes, many)
        made._numbers, made._kept = numbers, kept
        made._posterior, made._stream = posterior, stream
        return made

    def toJson(self) -> str:
        """Return the model as JSON text, readable without Spark.

        It has numbers, Params, names and `fitSummary` and, of `estimates`, all but the covariances.
        It has no posterior, and of a stream only the coefficients.

        Returns
        -------
        str
            The text, which `fromJson` reads.
        """
        return model_json(self, self._numbers, self._what_is_kept())

    @property
    def hasSummary(self) -> bool:
        """Whether there is a training summary; a loaded model has none, but has `fitSummary`."""
        return self._summary is not None

    @property
    def summary(self) -> LogisticRegressionTrainingSummary:
        """The training summary: how this model was fitted."""
        if self._summary is None:
            raise RuntimeError(
                f"No training summary available for this {type(self).__name__}: only a model "
                "that was fitted in this program has a summary. The table of coefficients is in "
                "model.estimates, if it was saved with the model."
            )
        return self._summary

    def hasParam(self, paramName: str) -> bool:
        """Return whether the model has a Param; `posterior` is one of the estimator alone."""
        return paramName != "posterior" and bool(super().hasParam(paramName))

    def sample(self, seed: int = 0) -> LogisticRegressionModel:
        """Return a model whose coefficients are one draw of the posterior.

        An ordinary model with these Params, except those of the posterior's columns: it has no
        posterior itself.

        Parameters
        ----------
        seed : int
            Of the draw.

        Returns
        -------
        LogisticRegressionModel
            The model of the draw.
        """
        numbers = self._numbers
        coefficients, intercepts = self.posterior.drawn(seed)
        drawn = ModelNumbers.of(
            coefficients,
            intercepts,
            numbers.classes,
            family=numbers.family,
            names=numbers.names,
        )
        model = LogisticRegressionModel._of(drawn)
        self._copyValues(model)
        for name in ("averaged", *(its for its in OUTPUTS if OUTPUTS[its].of_spark is None)):
            model.clear(model.getParam(name))
        return model

    def evaluate(self, dataset: DataFrame | PackedRows) -> LogisticRegressionSummary:
        """Return a lazy summary of how well this model predicts the labels of a frame.

        Parameters
        ----------
        dataset : DataFrame or PackedRows
            The rows, with their labels.

        Returns
        -------
        LogisticRegressionSummary, or BinaryLogisticRegressionSummary for two classes
            The measures. Each is computed when it is first read.

        Examples
        --------
        >>> from pyspark.ml.linalg import Matrices, Vectors
        >>> one = Matrices.dense(1, 1, [2.0])
        >>> model = LogisticRegressionModel(one, Vectors.dense(-1.0), 2, False)
        >>> rows = [(1.0, Vectors.dense(1.5)), (0.0, Vectors.dense(0.1)), (1.0, Vectors.dense(0.2))]
        >>> summary = model.evaluate(spark.createDataFrame(rows, ["label", "features"]))
        >>> round(summary.accuracy, 3), summary.areaUnderROC
        (0.667, 1.0)
        """
        frame = frame_of(dataset)
        check_frame(frame)
        if self.numClasses > 2:
            return LogisticRegressionSummary(self, frame)
        return BinaryLogisticRegressionSummary(self, frame)

    def _scores(self, value: object) -> Scores:
        offsets = read_offsets(value, offset_name(self))
        return self._scorer.scores(read_rows(value, self._numbers), offsets)

    @cached_property
    def _cache(self) -> SparkModelCache:
        numbers = self._numbers
        matrix = numbers.coefficients
        return SparkModelCache(
            self.uid,
            matrix if numbers.family.per_class else by_row(matrix),
            numbers.intercepts,
            numbers.classes,
            numbers.family.per_class,
        )

    @property
    def _scorer(self) -> Scorer:
        """The scorer, made anew at each use, so that a changed threshold takes effect at once."""
        numbers = self._numbers
        return scorer_of(
            self,
            stored_matrix(numbers.coefficients),
            dense_vector(numbers.intercepts),
            classes=numbers.classes,
            family=numbers.family,
            posterior=self._margin_posterior(),
        )

    def _transform(self, dataset: DataFrame) -> DataFrame:
        check_thresholds(self)
        check_output_columns(dataset, self)
        wanted = output_columns(self)
        if not wanted:
            return dataset
        many = self._numbers.family.per_class
        scored = self._score(dataset, wanted)
        return scored.with_columns(wanted, self.numClasses, per_class=many)

    def _score(self, dataset: DataFrame, wanted: Collection[str]) -> Scored:
        """Score in the fastest way for the frame's session; both ways give the same result."""
        scorer = self._scorer
        features = find_features(dataset, self)
        check_width(features, self.numFeatures)
        offset = find_offset(dataset, self)
        check_offset(self, scorer.family)
        check_posterior_columns(self, offset_name(self))
        needed = wanted if offset is None else (RAW,)
        twin = None
        if scorer.posterior is None:
            twin = self._cache.copy_in(dataset.sparkSession)
        if twin is None:
            many = scorer.family.per_class
            scored = score_by_arrow(dataset, features, scorer, needed, per_class=many)
        else:
            scored = score_by_twin(dataset, features, twin, scorer, needed)
        return scored if offset is None else moved(scored, offset.column, scorer)

    def copy(self, extra: ParamDict | None = None) -> LogisticRegressionModel:
        """Return a copy with the same summary and estimates, and the values of `extra`."""
        copied = super().copy(extra)
        copied._summary, copied._cache = self._summary, self._cache
        copied._kept, copied._posterior = self._kept, self._posterior
        copied._stream = self._stream
        return copied

    def __getstate__(self) -> Keywords:
        """Return the state to pickle, for use in workers: what scores, no frames or handles."""
        kept = {name: value for name, value in self.__dict__.items() if name != "_cache"}
        return {**kept, "_summary": None, "_kept": None, "_stream": None}

    def write(self) -> MLWriter:
        """Return a writer of this model."""
        kept = self._what_is_kept()
        return ModelWriter(self, self._numbers, kept, self._posterior, self._stream)

    @classmethod
    def read(cls) -> MLReader[LogisticRegressionModel]:
        """Return a reader of saved models."""
        return ModelReader(cls, cls._of)

    def __repr__(self) -> str:
        return (
            f"LogisticRegressionModel: uid={self.uid}, numClasses={self.numClasses}, "
            f"numFeatures={self.numFeatures}"
        )


def stream_model(
    state: StreamFacts, estimator: LogisticRegressionParams, *, posterior: bool = True
) -> LogisticRegressionModel:
    """Return the model of what a stream has taught, with the estimator's Params."""
    found = posterior_of_stream(state) if posterior else None
    model = LogisticRegressionModel._of(numbers_of_stream(state), None, found, state)
    model._resetUid(estimator.uid)
    estimator._copyValues(model)
    return model


def fitted_model(
    numbers: ModelNumbers,
    estimator: LogisticRegressionParams,
    dataset: DataFrame,
    report: FitReport,
    posterior: PosteriorNumbers | None = None,
) -> LogisticRegressionModel:
    """Return the model of an estimator's fit, with the estimator's Params and a summary."""
    model = LogisticRegressionModel._of(numbers, None, posterior)
    model._resetUid(estimator.uid)
    estimator._copyValues(model)
    many = LogisticRegressionTrainingSummary
    kind = many if numbers.classes > 2 else BinaryLogisticRegressionTrainingSummary
    model._summary = kind(model, dataset, report)
    return model
