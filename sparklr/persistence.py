"""Saving and loading: JSON metadata as Spark writes them, coefficients as Parquet.

A saved model has Spark's own layout: metadata (one line of JSON) and data (one row). Only a
session is used, never its context, so that Spark Connect can save too. Nothing is unpickled.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.linalg import DenseMatrix, DenseVector, SparseMatrix, SparseVector
from pyspark.ml.param import Params
from pyspark.ml.util import MLReader, MLWriter
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from sparklr.estimator import LogisticRegressionEstimator
    from sparklr.model import LogisticRegressionModel

FORMAT = 1


class ParamsWriter(MLWriter):
    """Writes the Params of an instance."""

    def __init__(self, instance: Params) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:
        """Write the metadata; Spark calls this from `save`, after it made room."""
        _write_metadata(self._instance, path, self.sparkSession)


class ModelWriter(MLWriter):
    """Writes a model: its Params and its coefficients."""

    def __init__(self, model: LogisticRegressionModel) -> None:
        super().__init__()
        self._model = model

    def saveImpl(self, path: str) -> None:
        """Write metadata and data; Spark calls this from `save`, after it made room."""
        model, session = self._model, self.sparkSession
        _write_metadata(model, path, session)
        row = (
            model.numClasses,
            model.numFeatures,
            model.interceptVector,
            model.coefficientMatrix,
            model._is_multinomial,
        )
        names = [
            "numClasses",
            "numFeatures",
            "interceptVector",
            "coefficientMatrix",
            "isMultinomial",
        ]
        frame = session.createDataFrame([row], names)
        frame = frame.withColumns({name: F.col(name).cast("int") for name in names[:2]})
        frame.coalesce(1).write.parquet(f"{path}/data")


class EstimatorReader(MLReader["LogisticRegressionEstimator"]):
    """Reads an estimator."""

    def __init__(self, cls: type[LogisticRegressionEstimator]) -> None:
        super().__init__()
        self._cls = cls

    def load(self, path: str) -> LogisticRegressionEstimator:
        """The estimator saved at `path`."""
        metadata = _read_metadata(path, self.sparkSession, self._cls)
        estimator = self._cls()
        _set_params(estimator, metadata)
        return estimator


class ModelReader(MLReader["LogisticRegressionModel"]):
    """Reads a model."""

    def __init__(self, cls: type[LogisticRegressionModel]) -> None:
        super().__init__()
        self._cls = cls

    def load(self, path: str) -> LogisticRegressionModel:
        """The model saved at `path`; it has no summary."""
        metadata = _read_metadata(path, self.sparkSession, self._cls)
        row = self.sparkSession.read.parquet(f"{path}/data").first()
        if row is None:
            raise ValueError(f"'{path}/data' is empty: this is not a whole model. Save it again.")
        model = self._cls(
            row["coefficientMatrix"],
            row["interceptVector"],
            row["numClasses"],
            row["isMultinomial"],
        )
        _set_params(model, metadata)
        return model


def _write_metadata(instance: Params, path: str, session: SparkSession) -> None:
    kind = type(instance)
    metadata = {
        "class": f"{kind.__module__}.{kind.__name__}",
        "timestamp": int(time.time() * 1000),
        "sparkVersion": session.version,
        "uid": instance.uid,
        "paramMap": {p.name: _to_json(value) for p, value in instance._paramMap.items()},
        "defaultParamMap": {
            p.name: _to_json(value) for p, value in instance._defaultParamMap.items()
        },
        "sparklrFormat": FORMAT,
    }
    line = json.dumps(metadata, separators=(",", ":"))
    session.createDataFrame([(line,)], ["value"]).coalesce(1).write.text(f"{path}/metadata")


def _read_metadata(path: str, session: SparkSession, cls: type) -> dict[str, Any]:
    row = session.read.text(f"{path}/metadata").first()
    metadata: dict[str, Any] = json.loads(row[0]) if row is not None else {}
    expected = f"{cls.__module__}.{cls.__name__}"
    if metadata.get("class") != expected:
        raise ValueError(
            f"'{path}' holds a {metadata.get('class', 'file without a class')}, not a {expected}. "
            "Load it with the class that saved it."
        )
    if metadata.get("sparklrFormat", 0) > FORMAT:
        raise ValueError(
            f"'{path}' was saved in format {metadata['sparklrFormat']} by a newer sparklr; this "
            f"one reads up to format {FORMAT}. Upgrade sparklr to load it."
        )
    return metadata


def _set_params(instance: Params, metadata: dict[str, Any]) -> None:
    instance._resetUid(metadata["uid"])
    for name, value in metadata["paramMap"].items():
        instance._set(**{name: _from_json(value)})
    for name, value in metadata["defaultParamMap"].items():
        instance._setDefault(**{name: _from_json(value)})


def _to_json(value: Any) -> Any:
    """Params as JSON; a matrix or vector as its dense values."""
    if isinstance(value, (DenseMatrix, SparseMatrix)):
        return {"matrix": np.asarray(value.toArray()).tolist()}
    if isinstance(value, (DenseVector, SparseVector)):
        return {"vector": np.asarray(value.toArray()).tolist()}
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and "matrix" in value:
        rows = np.array(value["matrix"], dtype=np.float64)
        return DenseMatrix(rows.shape[0], rows.shape[1], rows.ravel(order="F"))
    if isinstance(value, dict) and "vector" in value:
        return DenseVector(value["vector"])
    return value
