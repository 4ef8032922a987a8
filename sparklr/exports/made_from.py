"""The ways in: a model from Spark's own, from JSON text, or from the folder of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pyspark.ml.classification import LogisticRegressionModel as SparkModel

from sparklr.batches.facts import StreamFacts
from sparklr.objective.families import MULTINOMIAL, family_of_flag
from sparklr.params import LogisticRegressionParams
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.posterior.of_stream import posterior_of_stream
from sparklr.saving.estimates import KeptFit
from sparklr.saving.json_text import json_model
from sparklr.saving.stream_folder import read_latest
from sparklr.scoring.numbers import ModelNumbers

M = TypeVar("M", bound="MadeFrom")


class MadeFrom(LogisticRegressionParams):
    """The class methods of a model that make one of what is elsewhere."""

    _posterior: PosteriorNumbers | None
    _stream: StreamFacts | None

    if TYPE_CHECKING:  # the model has it

        @classmethod
        def _of(cls: type[M], numbers: ModelNumbers, kept: KeptFit | None = None) -> M: ...

    @classmethod
    def loadLatest(cls: type[M], path: str) -> M:
        """Return the newest model of a stream; needs no session.

        Parameters
        ----------
        path : str
            The folder of `updates`.

        Returns
        -------
        LogisticRegressionModel
            The model after the newest batch, with its `posterior`.
        """
        state, text = read_latest(path)
        model = cls.fromJson(text)
        model._posterior, model._stream = posterior_of_stream(state), state
        return model

    @classmethod
    def fromSpark(cls: type[M], model: SparkModel) -> M:
        """Return a model with the numbers and Params of a Spark model.

        Parameters
        ----------
        model : pyspark.ml.classification.LogisticRegressionModel
            The model, fitted or loaded; on Spark Connect too.

        Returns
        -------
        LogisticRegressionModel
            A model that scores the same. It has no summary.

        Examples
        --------
        >>> from pyspark.ml.classification import LogisticRegression as SparkLogisticRegression
        >>> from pyspark.ml.linalg import Vectors
        >>> rows = [(1.0, Vectors.dense(0.5)), (0.0, Vectors.dense(1.5)), (1.0, Vectors.dense(2.0))]
        >>> frame = spark.createDataFrame(rows, ["label", "features"])
        >>> theirs = SparkLogisticRegression(regParam=0.1).fit(frame)
        >>> model = LogisticRegressionModel.fromSpark(theirs)
        >>> model.coefficients == theirs.coefficients, model.getRegParam()
        (True, 0.1)
        """
        if not isinstance(model, SparkModel):
            raise TypeError(
                f"fromSpark takes a pyspark.ml.classification.LogisticRegressionModel, but got a "
                f"{type(model).__name__}."
            )
        matrix = model.coefficientMatrix
        # A multinomial model of a single class has one row, like a binomial model.
        multinomial = matrix.numRows > 1 or model.getFamily().lower() == MULTINOMIAL.name
        numbers = ModelNumbers(
            coefficients=matrix,
            intercepts=model.interceptVector,
            classes=model.numClasses,
            family=family_of_flag(multinomial),
        )
        ours = cls._of(numbers)
        ours._resetUid(model.uid)
        for param in model.params:
            if model.isSet(param) and ours.hasParam(param.name):
                ours._set(**{param.name: model.getOrDefault(param)})
        return ours

    @classmethod
    def fromJson(cls: type[M], text: str) -> M:
        """Return the model of a `toJson` text; needs no Spark session and runs no code from it.

        Parameters
        ----------
        text : str
            What `toJson` has returned.

        Returns
        -------
        LogisticRegressionModel
            The model, with its Params, feature names, `fitSummary` and `estimates`.

        Examples
        --------
        >>> from pyspark.ml.linalg import Matrices, Vectors
        >>> two = Matrices.dense(1, 2, [0.5, -2.0])
        >>> model = LogisticRegressionModel(two, Vectors.dense(0.25), 2, False)
        >>> again = LogisticRegressionModel.fromJson(model.setThreshold(0.4).toJson())
        >>> again.coefficients.toArray().tolist(), again.intercept, again.getThreshold()
        ([0.5, -2.0], 0.25, 0.4)
        """
        return json_model(cls, text, cls._of)
