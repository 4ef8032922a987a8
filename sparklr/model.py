"""The model: coefficients that score rows, in Spark and out of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from pyspark.ml.classification import ProbabilisticClassificationModel
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseVector, Matrix, SparseVector, Vector, VectorUDT
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf

from sparklr.arrays import Array
from sparklr.columns import check_output_columns, features_column, find_column, output_columns
from sparklr.compressed import compress_matrix, compress_vector, dense_matrix, dense_vector
from sparklr.params import LogisticRegressionParams, check_thresholds
from sparklr.persistence import ModelReader, ModelWriter
from sparklr.scoring import SCORES, Scorer
from sparklr.summary import LogisticRegressionTrainingSummary


class LogisticRegressionModel(
    LogisticRegressionParams,
    ProbabilisticClassificationModel,
    MLWritable,
    MLReadable["LogisticRegressionModel"],
):
    """A fitted logistic regression; made by `LogisticRegressionEstimator.fit` or `load`."""

    def __init__(
        self,
        coefficientMatrix: Matrix,
        interceptVector: Vector,
        numClasses: int,
        isMultinomial: bool,
    ) -> None:
        super().__init__()
        self._coefficient_matrix = coefficientMatrix
        self._intercept_vector = interceptVector
        self._num_classes = numClasses
        self._is_multinomial = isMultinomial
        self._summary: LogisticRegressionTrainingSummary | None = None

    @classmethod
    def _of(
        cls, coefficients: Array, intercepts: Array, classes: int, *, multinomial: bool
    ) -> LogisticRegressionModel:
        """A model of these numbers, stored as Spark stores them."""
        stored = compress_vector(intercepts)
        if multinomial and np.isinf(intercepts).any():  # the model of a single label
            kept = np.flatnonzero(intercepts)
            stored = SparseVector(len(intercepts), kept, intercepts[kept])
        return cls(compress_matrix(coefficients), stored, classes, multinomial)

    @property
    def coefficientMatrix(self) -> Matrix:
        """Coefficients: (1, features) for binomial, (classes, features) for multinomial models."""
        return self._coefficient_matrix

    @property
    def interceptVector(self) -> Vector:
        """Intercepts: one for binomial, one a class for multinomial models."""
        return self._intercept_vector

    @property
    def coefficients(self) -> Vector:
        """Coefficients of a binomial model."""
        self._refuse_multinomial("coefficients", "coefficientMatrix")
        matrix = self._coefficient_matrix
        values = dense_matrix(matrix)[0]
        if hasattr(matrix, "colPtrs"):
            kept = np.flatnonzero(values)
            return SparseVector(len(values), kept, values[kept])
        return DenseVector(values)

    @property
    def intercept(self) -> float:
        """Intercept of a binomial model."""
        self._refuse_multinomial("intercept", "interceptVector")
        return float(dense_vector(self._intercept_vector)[0])

    def _refuse_multinomial(self, name: str, other: str) -> None:
        if self._is_multinomial:
            raise ValueError(
                f"This model is multinomial and has a row of numbers for each of its "
                f"{self.numClasses} classes, so it has no '{name}'. Use '{other}'."
            )

    @property
    def numClasses(self) -> int:
        """The number of classes."""
        return self._num_classes

    @property
    def numFeatures(self) -> int:
        """The number of features."""
        return int(self._coefficient_matrix.numCols)

    @property
    def hasSummary(self) -> bool:
        """Whether there is a training summary: not for a loaded model."""
        return self._summary is not None

    @property
    def summary(self) -> LogisticRegressionTrainingSummary:
        """How this model was fitted."""
        if self._summary is None:
            raise RuntimeError(
                f"No training summary available for this {type(self).__name__}: only a model "
                "that was fitted in this program has one."
            )
        return self._summary

    def predictRaw(self, value: Any) -> Vector:
        """Raw predictions of one row, a vector or an array of features."""
        return DenseVector(self._scorer.raw(self._row(value))[0])

    def predictProbability(self, value: Any) -> Vector:
        """The probability of each class for one row."""
        return DenseVector(self._scorer.probability(self._scorer.raw(self._row(value)))[0])

    def predict(self, value: Any) -> float:
        """The predicted label of one row."""
        return float(self._scorer.scores(self._row(value))[2][0])

    def _row(self, value: Any) -> Any:
        if isinstance(value, SparseVector):
            pointers = [0, len(value.indices)]
            row = sp.csr_matrix((value.values, value.indices, pointers), shape=(1, value.size))
        else:
            row = np.asarray(value.toArray() if isinstance(value, DenseVector) else value)
            row = row.astype(np.float64).reshape(1, -1)
        if row.shape[1] != self.numFeatures:
            raise ValueError(
                f"The row has {row.shape[1]} features, but the model was fitted on "
                f"{self.numFeatures}."
            )
        return row

    @cached_property
    def _numbers(self) -> tuple[Array, Array]:
        return dense_matrix(self._coefficient_matrix), dense_vector(self._intercept_vector)

    @property
    def _scorer(self) -> Scorer:
        """Made anew at each use, so that a changed threshold counts at once."""
        coefficients, intercepts = self._numbers
        if not self._is_multinomial:
            return Scorer(coefficients, intercepts, False, threshold=self.getThreshold())
        thresholds = tuple(self.getThresholds()) if self.isSet(self.thresholds) else None
        if thresholds is not None and len(thresholds) != self.numClasses:
            raise ValueError(
                f"thresholds={list(thresholds)} has {len(thresholds)} values, but the model has "
                f"{self.numClasses} classes. Give one threshold a class."
            )
        return Scorer(coefficients, intercepts, True, thresholds=thresholds)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        check_thresholds(self)
        check_output_columns(dataset, self)
        found = find_column(dataset, self.getFeaturesCol(), "featuresCol")
        features, vectors = features_column(found), isinstance(found.field.dataType, VectorUDT)
        wanted = output_columns(self)
        if not wanted:
            return dataset
        # One column for all three, so that rows go to Python once; it never leaves this frame.
        scores = f"sparklr_{uuid4().hex}"
        scored = dataset.select(
            "*", _score_udf(self._scorer, vectors=vectors)(features).alias(scores)
        )
        present = F.col(f"{scores}.prediction").isNotNull()
        group = {"ml_attr": {"num_attrs": self.numClasses}}
        outputs = []
        if "rawPredictionCol" in wanted:
            raw = F.when(present, array_to_vector(F.col(f"{scores}.raw")))
            outputs.append(raw.alias(wanted["rawPredictionCol"], metadata=group))
        if "probabilityCol" in wanted:
            chance = F.when(present, array_to_vector(F.col(f"{scores}.probability")))
            outputs.append(chance.alias(wanted["probabilityCol"], metadata=group))
        if "predictionCol" in wanted:
            label = {"ml_attr": {"type": "nominal", "num_vals": self.numClasses}}
            prediction = F.col(f"{scores}.prediction")
            outputs.append(prediction.alias(wanted["predictionCol"], metadata=label))
        return scored.select("*", *outputs).drop(scores)

    def write(self) -> MLWriter:
        """A writer of this model."""
        return ModelWriter(self)

    @classmethod
    def read(cls) -> MLReader[LogisticRegressionModel]:
        """A reader of what `write` wrote."""
        return ModelReader(cls)

    def __repr__(self) -> str:
        return (
            f"LogisticRegressionModel: uid={self.uid}, numClasses={self.numClasses}, "
            f"numFeatures={self.numFeatures}"
        )


def _score_udf(scorer: Scorer, *, vectors: bool) -> Any:
    """A function of the features column that scores it, Arrow in and out where Spark can."""
    if hasattr(F, "arrow_udf"):  # Spark 4.1

        def score(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            for batch in batches:
                yield scorer.score_column(batch)

        return F.arrow_udf(score, SCORES)

    def score_pandas(batches: Iterator[Any]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            scores = scorer.score_column(_from_pandas(batch))
            names = [field.name for field in scores.type]
            columns = [scores.field(name).to_pandas() for name in names]
            yield pd.DataFrame(dict(zip(names, columns, strict=True)))

    # Spark reads the kind of function off its types: an unwrapped vector comes as a frame.
    batch: Any = pd.DataFrame if vectors else pd.Series
    score_pandas.__annotations__ = {
        "batches": Iterator[batch],
        "return": Iterator[pd.DataFrame],
    }
    return pandas_udf(score_pandas, SCORES)  # type: ignore[call-overload]  # knows no list columns


def _from_pandas(batch: Any) -> pa.Array:
    """An Arrow feature column from what pandas made of it."""
    if isinstance(batch, pd.Series):
        return pa.array(batch, pa.list_(pa.float64()))
    kinds = {"type": pa.int8(), "size": pa.int32()}
    kinds |= {"indices": pa.list_(pa.int32()), "values": pa.list_(pa.float64())}
    fields = [pa.array(batch[name], kind, from_pandas=True) for name, kind in kinds.items()]
    return pa.StructArray.from_arrays(
        fields, names=list(kinds), mask=pa.array(batch["type"].isna().to_numpy())
    )
