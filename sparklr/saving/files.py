"""Saving and loading: JSON metadata in Spark's format, coefficients in Parquet files.

A saved model has Spark's own layout: metadata (one line of JSON) and data (one row). The code
uses the session but never its context, so it works on Spark Connect too. Nothing is unpickled.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from pyspark.ml.linalg import (
    DenseMatrix,
    DenseVector,
    SparseMatrix,
    SparseVector,
)
from pyspark.ml.param import Params
from pyspark.ml.util import MLReadable, MLReader, MLWriter
from pyspark.sql import Row, SparkSession

from sparklr.params import check_value
from sparklr.saving.damage import damage
from sparklr.spark.connect import is_remote, remove_path
from sparklr.spark.refusals import REFUSALS, first_line
from sparklr.spark.types import Json, ParamMap

# Since 2 models have estimates, and a text of JSON has "fit"; since 3 they may have a posterior;
# since 4 "fit" is there without estimates too, and has means, and models may go on with a stream.
FORMAT = 4

Nested: TypeAlias = "float | list[Nested]"

T = TypeVar("T", bound=MLReadable[Any])  # Params too, which a bound cannot express


class OverwritingWriter(MLWriter):
    """A writer that can overwrite on Spark Connect too; Spark's own writer needs the JVM."""

    def _handleOverwrite(self, path: str) -> None:
        if is_remote(self.sparkSession):
            remove_path(self.sparkSession, path)
        else:
            super()._handleOverwrite(path)


class ParamsWriter(OverwritingWriter):
    """A writer of the Params of an instance."""

    def __init__(self, instance: Params) -> None:
        super().__init__()
        self._instance = instance

    def saveImpl(self, path: str) -> None:
        """Write the metadata; `save` calls this after it has removed files to overwrite."""
        write_metadata(self._instance, path, self.sparkSession)


class ParamsReader(MLReader[T]):
    """A reader of files by `ParamsWriter`, which returns an instance of the saved class."""

    def __init__(self, kind: type[T]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> T:
        """Return the instance saved at `path`."""
        metadata = read_metadata(path, self.sparkSession)
        check_header(metadata, self._kind, f"'{path}'")
        instance = self._kind()
        set_params(cast(Params, instance), metadata, path)
        return instance


def write_metadata(
    instance: Params, path: str, session: SparkSession, more: Json | None = None
) -> None:
    """Write the metadata of an instance, and what `more` adds to them."""
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


def read_metadata(path: str, session: SparkSession) -> Json:
    """Return the metadata of a folder, or an empty dict if they are damaged."""
    rows = read_rows(lambda: session.read.text(f"{path}/metadata").take(1), f"{path}/metadata")
    if rows is None:
        raise FileNotFoundError(
            f"There is no saved model or estimator at '{path}': it has no folder 'metadata'. "
            "Check the path and its file system."
        )
    try:
        metadata = json.loads(rows[0][0]) if rows else {}
    except (ValueError, RecursionError):
        metadata = {}
    return metadata if isinstance(metadata, dict) else {}


def read_rows(read: Callable[[], list[Row] | None], path: str) -> list[Row] | None:
    """Return the rows from `read`, or None if the path does not exist."""
    try:
        return read()
    except REFUSALS as reason:  # of Spark, py4j or Connect, whichever fails first
        text = str(reason)
        if "PATH_NOT_FOUND" in text:
            return None
        raise ValueError(
            f"'{path}' cannot be read: {first_line(reason).rstrip('.')}. If it is accessible and "
            "you have permission to read it, it is damaged: save it again."
        ) from None


def class_name(cls: type) -> str:
    """Return the name of a class in saved files."""
    return f"{cls.__module__}.{cls.__name__}"


def check_class(metadata: Json, cls: type, where: str) -> None:
    """Refuse files that another class saved."""
    expected, found = class_name(cls), metadata.get("class", "something without a class name")
    if found != expected:
        named = str(found)[:200]
        raise ValueError(
            f"{where} holds {named}, not {expected}. Load it with the class that saved it."
        )


def check_header(metadata: Json, cls: type, where: str) -> None:
    """Refuse files that another class or a newer version saved."""
    check_class(metadata, cls, where)
    number = metadata.get("sparklrFormat")
    if type(number) is not int or number < 1:
        raise ValueError(f"{where} has no valid 'sparklrFormat': it is damaged. Save it again.")
    if number > FORMAT:
        raise ValueError(
            f"{where} was saved in format {number} by a newer sparklr; this one reads up to "
            f"format {FORMAT}. Upgrade sparklr to load it."
        )


def set_params(instance: Params, metadata: Json, path: str) -> None:
    """Give an instance the uid, the Params and the defaults of the metadata at a path."""
    with damage(f"The metadata of '{path}' are damaged: "):
        instance._resetUid(read_uid(metadata["uid"]))
        decode_params(instance, metadata["paramMap"])
        for name, value in metadata["defaultParamMap"].items():
            instance._setDefault(**{_known(instance, name): _from_json(value)})
            check_value(name, instance.getOrDefault(name))


def read_uid(value: object) -> str:
    """Return a uid, which must be a string."""
    if not isinstance(value, str) or not value:
        raise ValueError("uid must be a string")
    return value


def encode_params(values: ParamMap) -> Json:
    """Return the values of Params by name, as JSON values."""
    return {param.name: _to_json(value) for param, value in values.items()}


def decode_params(instance: Params, values: Json) -> None:
    """Set the Params of an instance from the result of `encode_params`."""
    for name, value in values.items():
        instance._set(**{_known(instance, name): _from_json(value)})


def _known(instance: Params, name: str) -> str:
    if not instance.hasParam(name):
        raise ValueError(f"there is no Param '{name}'")
    return name


def _to_json(value: object) -> object:
    """Return a Param's value for JSON: matrices and vectors dense, a model as its JSON text."""
    if hasattr(value, "toJson"):
        return value.toJson()
    if isinstance(value, (DenseMatrix, SparseMatrix)):
        return {"matrix": _texts(value.toArray().tolist())}
    if isinstance(value, (DenseVector, SparseVector)):
        return {"vector": _texts(value.toArray().tolist())}
    return value


def _texts(values: Nested) -> object:
    """Return values with infinite bounds as strings, because JSON has no infinite numbers."""
    if isinstance(values, list):
        return [_texts(value) for value in values]
    return values if math.isfinite(values) else str(values)


def _from_json(value: object) -> object:
    if isinstance(value, dict) and "matrix" in value:
        rows = np.array(value["matrix"], dtype=np.float64)
        return DenseMatrix(rows.shape[0], rows.shape[1], rows.ravel(order="F"))
    if isinstance(value, dict) and "vector" in value:
        return DenseVector([float(number) for number in value["vector"]])
    return value
