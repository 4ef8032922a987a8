"""Saving and loading: JSON metadata as Spark writes them, coefficients as Parquet.

A saved model has Spark's own layout: metadata (one line of JSON) and data (one row). Only a
session is used, never its context, so that Spark Connect can save too. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from pyspark.errors import AnalysisException
from pyspark.ml.linalg import DenseMatrix, DenseVector, SparseMatrix, SparseVector
from pyspark.ml.param import Param, Params
from pyspark.ml.util import MLReader, MLWriter
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from sparklr.remote import is_remote, remove_path

if TYPE_CHECKING:
    from sparklr.estimator import LogisticRegressionEstimator
    from sparklr.model import LogisticRegressionModel

FORMAT = 1


class RoomMaker(MLWriter):
    """A writer that can make room on Spark Connect too, where Spark's own asks for the JVM."""

    def _handleOverwrite(self, path: str) -> None:
        if is_remote(self.sparkSession):
            remove_path(self.sparkSession, path)
        else:
            super()._handleOverwrite(path)


class ParamsWriter(RoomMaker):
    """Writes the Params of an instance."""

    def __init__(self, instance: Params) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:
        """Write the metadata; Spark calls this from `save`, after it made room."""
        _write_metadata(self._instance, path, self.sparkSession)


class ModelWriter(RoomMaker):
    """Writes a model: its Params and its coefficients."""

    def __init__(self, model: LogisticRegressionModel) -> None:
        super().__init__()
        self._model = model

    def saveImpl(self, path: str) -> None:
        """Write metadata and data; Spark calls this from `save`, after it made room."""
        model, session = self._model, self.sparkSession
        _write_metadata(model, path, session, {"featureNames": model._feature_names})
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
        _set_params(estimator, metadata, path)
        return estimator


class ModelReader(MLReader["LogisticRegressionModel"]):
    """Reads a model."""

    def __init__(self, cls: type[LogisticRegressionModel]) -> None:
        super().__init__()
        self._cls = cls

    def load(self, path: str) -> LogisticRegressionModel:
        """The model saved at `path`; it has no summary."""
        metadata = _read_metadata(path, self.sparkSession, self._cls)
        row = None
        with suppress(FileNotFoundError):
            row = _first(self.sparkSession.read.parquet, f"{path}/data")
        if row is None:
            raise ValueError(f"'{path}/data' is empty: this is not a whole model. Save it again.")
        model = self._cls(
            row["coefficientMatrix"],
            row["interceptVector"],
            row["numClasses"],
            row["isMultinomial"],
        )
        model._feature_names = metadata.get("featureNames")
        _set_params(model, metadata, path)
        return model


def _write_metadata(
    instance: Params, path: str, session: SparkSession, more: dict[str, Any] | None = None
) -> None:
    metadata = {
        "class": class_name(type(instance)),
        "timestamp": int(time.time() * 1000),
        "sparkVersion": session.version,
        "uid": instance.uid,
        "paramMap": encode_params(instance._paramMap),
        "defaultParamMap": encode_params(instance._defaultParamMap),
        "sparklrFormat": FORMAT,
        **(more or {}),
    }
    line = json.dumps(metadata, separators=(",", ":"))
    session.createDataFrame([(line,)], ["value"]).coalesce(1).write.text(f"{path}/metadata")


def _read_metadata(path: str, session: SparkSession, cls: type) -> dict[str, Any]:
    try:
        row = _first(session.read.text, f"{path}/metadata")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"There is no saved model or estimator at '{path}': it has no folder 'metadata'. "
            "Check the path, and the file system it names."
        ) from None
    try:
        metadata = json.loads(row[0]) if row is not None else {}
    except ValueError:
        metadata = {}
    check_header(metadata if isinstance(metadata, dict) else {}, cls, f"'{path}'")
    return cast("dict[str, Any]", metadata)


def _first(read: Callable[[str], DataFrame], path: str) -> Row | None:
    """The first row of what is read, if it has any."""
    try:
        return read(path).first()
    except AnalysisException as reason:
        if "PATH_NOT_FOUND" not in str(reason):
            raise
        raise FileNotFoundError(path) from None


def class_name(cls: type) -> str:
    """A class as saved files name it."""
    return f"{cls.__module__}.{cls.__name__}"


def check_header(metadata: dict[str, Any], cls: type, where: str) -> None:
    """Refuse what another class saved, or a newer version."""
    expected, found = class_name(cls), metadata.get("class", "something that names no class")
    if found != expected:
        raise ValueError(
            f"{where} holds {found}, not {expected}. Load it with the class that saved it."
        )
    number = metadata.get("sparklrFormat")
    if not isinstance(number, int):
        raise ValueError(
            f"{where} names no format ('sparklrFormat'): it is damaged. Save it again."
        )
    if number > FORMAT:
        raise ValueError(
            f"{where} was saved in format {number} by a newer sparklr; this one reads up to "
            f"format {FORMAT}. Upgrade sparklr to load it."
        )


def _set_params(instance: Params, metadata: dict[str, Any], path: str) -> None:
    try:
        instance._resetUid(metadata["uid"])
        decode_params(instance, metadata["paramMap"])
        for name, value in metadata["defaultParamMap"].items():
            instance._setDefault(**{name: _from_json(value)})
    except (KeyError, TypeError, AttributeError, ValueError) as reason:
        raise ValueError(
            f"The metadata of '{path}' are damaged: {type(reason).__name__} {reason}. Save it "
            "again."
        ) from None


def encode_params(values: dict[Param[Any], Any]) -> dict[str, Any]:
    """Params by name, as JSON can hold them."""
    return {param.name: _to_json(value) for param, value in values.items()}


def decode_params(instance: Params, values: dict[str, Any]) -> None:
    """Set what `encode_params` made."""
    for name, value in values.items():
        instance._set(**{name: _from_json(value)})


def _to_json(value: Any) -> Any:
    """A Param's value as JSON: a matrix or vector as its dense values, a model as its own text."""
    if hasattr(value, "toJson"):
        return value.toJson()
    if isinstance(value, (DenseMatrix, SparseMatrix)):
        return {"matrix": _texts(value.toArray().tolist())}
    if isinstance(value, (DenseVector, SparseVector)):
        return {"vector": _texts(value.toArray().tolist())}
    return value


def _texts(values: Any) -> Any:
    """Infinite bounds as strings, for which JSON has no numbers."""
    if isinstance(values, list):
        return [_texts(value) for value in values]
    return values if math.isfinite(values) else str(values)


def _from_json(value: Any) -> Any:
    if isinstance(value, dict) and "matrix" in value:
        rows = np.array(value["matrix"], dtype=np.float64)
        return DenseMatrix(rows.shape[0], rows.shape[1], rows.ravel(order="F"))
    if isinstance(value, dict) and "vector" in value:
        return DenseVector([float(number) for number in value["vector"]])
    return value
