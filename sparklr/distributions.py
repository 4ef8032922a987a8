"""Optimisation over distributions: a classifier that is a distribution of neurons."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.ml.classification import ProbabilisticClassificationModel, ProbabilisticClassifier
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame

from sparklr.arrays import Array
from sparklr.display.progress import Progress
from sparklr.fitting.cautions import warn_of_descent, warn_of_labels
from sparklr.fitting.from_params import pack_settings
from sparklr.fitting.outcome import Round
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.mean_field.checks import check_classes, check_params, check_width
from sparklr.mean_field.files import NetworkReader, NetworkWriter
from sparklr.mean_field.fit import FittedNetwork, Plan, fit_network
from sparklr.mean_field.params import MeanFieldFitParams, MeanFieldParams
from sparklr.mean_field.scorer import Network, NetworkScorer
from sparklr.mean_field.summary import MeanFieldTrainingSummary
from sparklr.objective.moments import Moments
from sparklr.params import (
    check_features,
    check_thresholds,
    keyword_only,
    keywords_of,
    verbose_if_set,
)
from sparklr.passes.jobs import open_passes
from sparklr.passes.protocol import Passes
from sparklr.rows.columns import TrainingRows, find_features, nameless, training_rows
from sparklr.saving.files import ParamsReader, ParamsWriter
from sparklr.scoring.frame import check_width as check_scored_width
from sparklr.scoring.frame import score_by_arrow
from sparklr.scoring.in_memory import PredictsInMemory, read_rows
from sparklr.scoring.outputs import check_output_columns, output_columns
from sparklr.scoring.scorer import Scores
from sparklr.spark.types import Keywords, ParamDict

__all__ = ["MeanFieldClassifier", "MeanFieldModel", "MeanFieldTrainingSummary"]


class MeanFieldClassifier(
    MeanFieldFitParams,
    ProbabilisticClassifier,
    MLWritable,
    MLReadable["MeanFieldClassifier"],
):
    """Two classes by a network of two layers, as the best distribution of neurons.

    A neuron theta = (a, b) gives C tanh(a.x + b), and the log odds of label 1 are its mean over a
    distribution m of neurons. A fit minimises over all distributions, with C = outputScale and
    s = temperature,

        mean loss + regParam/2 E_m |theta|^2 + s/2 int m log m                  ("entropy")
        mean loss + regParam/2 E_m |theta|^2 + s/4 int |grad log m|^2 m         ("fisher")

    Both are convex in m, so the best distribution is unique. Particles find it by Langevin
    dynamics: each step is one reading of the rows, which moves all particles.

    Examples
    --------
    >>> from sparklr.distributions import MeanFieldClassifier
    >>> rows = [(float(x), float(y), float(x * y > 0)) for x in range(-3, 4) for y in range(-3, 4)]
    >>> frame = spark.createDataFrame(rows, ["x", "y", "label"])
    >>> classifier = MeanFieldClassifier(featuresCols=["x", "y"], maxIter=200, numNeurons=100)
    >>> model = classifier.fit(frame)
    >>> model.predict([2.0, 2.0]), model.predict([2.0, -2.0])
    (1.0, 0.0)
    """

    _input_kwargs: Keywords

    @keyword_only
    def __init__(
        self,
        *,
        featuresCol: str = "features",
        labelCol: str = "label",
        predictionCol: str = "prediction",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
        regularizer: str = "entropy",
        regParam: float = 0.003,
        temperature: float = 0.002,
        outputScale: float = 10.0,
        numNeurons: int = 200,
        numSnapshots: int = 4,
        maxIter: int = 300,
        stepSize: float = 0.7,
        friction: float = 0.1,
        pathPoints: int | None = None,
        pathLength: float | None = None,
        fitIntercept: bool = True,
        standardization: bool = True,
        threshold: float = 0.5,
        thresholds: list[float] | None = None,
        weightCol: str | None = None,
        aggregationDepth: int = 2,
        maxBlockSizeInMB: float = 0.0,
        featuresCols: list[str] | None = None,
        seed: int = 0,
        verbose: bool | None = None,
    ) -> None:
        super().__init__()
        self._set_together(self._input_kwargs)

    @keywords_of(__init__)
    def setParams(self, **_: object) -> MeanFieldClassifier:
        """Set several Params by keyword."""
        self._set_together(self._input_kwargs)
        return self

    def _check_together(self) -> None:
        shared = self.shared()
        check_thresholds(shared)
        check_features(shared)

    def write(self) -> MLWriter:
        """Return a writer of this estimator's Params."""
        return ParamsWriter(self)

    @classmethod
    def read(cls) -> MLReader[MeanFieldClassifier]:
        """Return a reader of saved estimators."""
        return ParamsReader(cls)

    def _fit(self, dataset: DataFrame | PackedRows) -> MeanFieldModel:
        check_params(self)
        shared, frame = self.shared(), frame_of(dataset)
        check_output_columns(frame, shared)
        with Progress(verbose_if_set(self), "sparklr: mean-field fit") as progress:
            if isinstance(dataset, PackedRows):
                with dataset.lend([shared]) as (rows, passes):
                    return self._fit_rows(rows, passes, progress)
            rows = training_rows(dataset, shared)
            if rows.classes is not None:
                check_classes(self, rows.classes)
            if rows.width is not None:
                check_width(self, rows.width)
            progress.stage("packing rows")
            with open_passes(rows.frame, rows.names, pack_settings(shared, rows)) as passes:
                return self._fit_rows(rows, passes, progress)

    def _fit_rows(self, rows: TrainingRows, passes: Passes, progress: Progress) -> MeanFieldModel:
        moments = passes.moments
        check_classes(self, rows.classes or int(moments.labels[-1]) + 1)
        check_width(self, moments.features)
        plan = Plan(
            measure=self.measure,
            particles=self.getNumNeurons(),
            snapshots=self.getNumSnapshots(),
            steps=self.getMaxIter(),
            step=self.getStepSize(),
            friction=self.getFriction(),
            bias=self.getFitIntercept(),
            standardization=self.getStandardization(),
            seed=self.getSeed(),
        )

        def watch(step: int, loss: float) -> None:
            progress.round(
                Round(passes=step + 1, live=1, members=1, objective=loss, residual=float("nan"))
            )

        fitted = fit_network(passes, plan, watch)
        column = str(rows.names.label)
        warn_of_labels(moments, 2, column, declared=rows.classes is not None)
        if not fitted.settled:
            warn_of_descent()
        return fitted_model(self, fitted, moments, rows.names.each)


class MeanFieldModel(
    MeanFieldParams,
    PredictsInMemory,
    ProbabilisticClassificationModel,
    MLWritable,
    MLReadable["MeanFieldModel"],
):
    """A fitted network, from `MeanFieldClassifier.fit` or `load`.

    `transform` scores a frame. `predict`, `predictProbability` and `predictRaw` score one row, or a
    numpy array or scipy matrix of rows, without a Spark session.
    """

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network
        self._summary: MeanFieldTrainingSummary | None = None

    @property
    def weights(self) -> Array:
        """The neurons' weights a, (neurons, features), for features as they are in the frame."""
        return self._network.weights.copy()

    @property
    def biases(self) -> Array:
        """The neurons' biases b, (neurons,)."""
        return self._network.biases.copy()

    @property
    def numClasses(self) -> int:
        """The number of classes: 2."""
        return 2

    @property
    def numFeatures(self) -> int:
        """The number of features."""
        return self._network.features

    @property
    def featureNames(self) -> list[str]:
        """The feature names: from the columns or their metadata, else made from the index."""
        names, column = self._network.names, self.getFeaturesCol()
        return list(names or (nameless(column, at) for at in range(self.numFeatures)))

    @property
    def hasSummary(self) -> bool:
        """Whether there is a training summary; a loaded model has none."""
        return self._summary is not None

    @property
    def summary(self) -> MeanFieldTrainingSummary:
        """The training summary: how this model was fitted."""
        if self._summary is None:
            raise RuntimeError(
                f"No training summary available for this {type(self).__name__}: only a model that "
                "was fitted in this program has a summary."
            )
        return self._summary

    def _scores(self, value: object) -> Scores:
        return self._scorer.scores(read_rows(value, self._network))

    @property
    def _scorer(self) -> NetworkScorer:
        return NetworkScorer(self._network, self.getThreshold())

    def _transform(self, dataset: DataFrame) -> DataFrame:
        shared = self.shared()
        check_thresholds(shared)
        check_output_columns(dataset, shared)
        wanted = output_columns(shared)
        if not wanted:
            return dataset
        features = find_features(dataset, shared)
        check_scored_width(features, self.numFeatures)
        scored = score_by_arrow(dataset, features, self._scorer, wanted)
        return scored.with_columns(wanted, self.numClasses)

    def copy(self, extra: ParamDict | None = None) -> MeanFieldModel:
        """Return a copy with the same summary, and the values of `extra`."""
        copied = super().copy(extra)
        copied._summary = self._summary
        return copied

    def __getstate__(self) -> Keywords:
        """Return the state to pickle, for use in workers: what scores, and no summary."""
        return {**self.__dict__, "_summary": None}

    def write(self) -> MLWriter:
        """Return a writer of this model."""
        return NetworkWriter(self, self._network)

    @classmethod
    def read(cls) -> MLReader[MeanFieldModel]:
        """Return a reader of saved models."""
        return NetworkReader(cls, cls)

    def __repr__(self) -> str:
        return (
            f"MeanFieldModel: uid={self.uid}, neurons={len(self._network.biases)}, "
            f"numFeatures={self.numFeatures}"
        )


def fitted_model(
    estimator: MeanFieldClassifier,
    fitted: FittedNetwork,
    moments: Moments,
    names: Sequence[str] | None,
) -> MeanFieldModel:
    """Return the model of a fit, with the estimator's Params and a summary."""
    known = None if names is None or len(names) != moments.features else tuple(names)
    scale = estimator.getOutputScale()
    network = Network(fitted.weights, fitted.biases, scale, known)
    model = MeanFieldModel(network)
    model._resetUid(estimator.uid)
    estimator._copyValues(model)
    model._summary = MeanFieldTrainingSummary(estimator.copy(), fitted, moments)
    return model
