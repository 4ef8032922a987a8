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
    MatrixUDT,
    SparseMatrix,
    SparseVector,
    VectorUDT,
)
from pyspark.ml.param import Params
from pyspark.ml.util import MLReadable, MLReader, MLWriter
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, IntegerType, UserDefinedType

from sparklr.objective.families import family_of_flag
from sparklr.params import check_value
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.saving.damage import damage
from sparklr.saving.estimates import KeptFit, fit_facts, kept_fit, read_errors, write_errors
from sparklr.saving.posterior import posterior_facts, read_posterior, write_posterior
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.connect import is_remote, remove_path
from sparklr.spark.matrices import read_matrix, read_vector
from sparklr.spark.refusals import REFUSALS, first_line
from sparklr.spark.types import Json, ParamMap

# Since 2 models have estimates, and a text of JSON has "fit"; since 3 they may have a posterior.
FORMAT = 3

Nested: TypeAlias = "float | list[Nested]"

T = TypeVar("T", bound=MLReadable[Any])  # Params too, which a bound cannot express

# The columns of a saved model.
DATA: dict[str, DataType] = {
    "numClasses": IntegerType(),
    "numFeatures": IntegerType(),
    "interceptVector": VectorUDT(),
    "coefficientMatrix": MatrixUDT(),
    "isMultinomial": BooleanType(),
}


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


class ModelWriter(OverwritingWriter):
    """A writer of a model: its Params, its numbers, what it keeps of its fit, its posterior."""

    def __init__(
        self,
        instance: Params,
        numbers: ModelNumbers,
        fit: KeptFit | None = None,
        posterior: PosteriorNumbers | None = None,
    ) -> None:
        super().__init__()
        self._instance, self._numbers = instance, numbers
        self._fit, self._posterior = fit, posterior

    def saveImpl(self, path: str) -> None:
        """Write metadata and data; `save` calls this after it has removed files to overwrite."""
        numbers, session = self._numbers, self.sparkSession
        names = None if numbers.names is None else list(numbers.names)
        facts = None if self._fit is None else fit_facts(self._fit)
        known = None if self._posterior is None else posterior_facts(self._posterior)
        more: Json = {"featureNames": names, "fit": facts, "posterior": known}
        write_metadata(self._instance, path, session, more)
        row = (
            numbers.classes,
            numbers.features,
            numbers.intercepts,
            numbers.coefficients,
            numbers.family.per_class,
        )
        columns = list(DATA)
        frame = session.createDataFrame([row], columns)
        frame = frame.withColumns({name: F.col(name).cast("int") for name in columns[:2]})
        frame.coalesce(1).write.parquet(f"{path}/data")
        if self._fit is not None:
            write_errors(self._fit, path, session)
        if self._posterior is not None:
            write_posterior(self._posterior, path, session)


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


class ModelReader(MLReader[T]):
    """Reads what `ModelWriter` wrote: `make` gives the model of the numbers and what was kept."""

    def __init__(
        self,
        kind: type[T],
        make: Callable[[ModelNumbers, KeptFit | None, PosteriorNumbers | None], T],
    ) -> None:
        super().__init__()
        self._kind, self._make = kind, make

    def load(self, path: str) -> T:
        """Return the model saved at `path`, without a summary."""
        metadata = read_metadata(path, self.sparkSession)
        check_header(metadata, self._kind, f"'{path}'")
        numbers = self._numbers(path, metadata.get("featureNames"))
        kept = self._fit(path, metadata.get("fit"), numbers)
        facts, posterior = metadata.get("posterior"), None
        if facts is not None:
            posterior = read_posterior(facts, path, numbers, self.sparkSession)
        model = self._make(numbers, kept, posterior)
        set_params(cast(Params, model), metadata, path)
        return model

    def _fit(self, path: str, facts: Json | None, numbers: ModelNumbers) -> KeptFit | None:
        if facts is None:
            return None
        errors = read_errors(path, self.sparkSession)
        with damage(f"The metadata of '{path}' are damaged: "):
            return kept_fit(facts, *errors, numbers)

    def _numbers(self, path: str, names: object) -> ModelNumbers:
        rows = _read_data(path, self.sparkSession)
        if len(rows) != 1:
            found = "is empty" if not rows else "has several rows"
            raise ValueError(f"'{path}/data' {found}: the model is not complete. Save it again.")
        with damage(f"The numbers in '{path}/data' are damaged: "):
            classes, features, intercepts, coefficients, many = rows[0]
            matrix, vector = read_matrix(coefficients), read_vector(intercepts)
            check_sizes(classes, features, many, (matrix.numRows, matrix.numCols), len(vector))
        with damage(f"The metadata of '{path}' are damaged: "):
            known = read_names(names, features)
        return ModelNumbers(
            coefficients=matrix,
            intercepts=vector,
            classes=classes,
            family=family_of_flag(many),
            names=known,
        )


def check_sizes(
    classes: object, features: object, many: object, shape: tuple[int, int], intercepts: int
) -> None:
    """Refuse sizes that are not integers or do not agree."""
    if type(classes) is not int or type(features) is not int or type(many) is not bool:
        raise ValueError("numClasses and numFeatures must be integers, isMultinomial a bool")
    family = family_of_flag(many)
    margins = family.margins(classes)
    if classes < 1 or features < 1 or not family.allows(classes):
        raise ValueError(f"numClasses={classes} and numFeatures={features} are out of range")
    if shape != (margins, features):
        raise ValueError(f"coefficients have shape {shape}, but must have {(margins, features)}")
    if intercepts != margins:
        raise ValueError(f"there are {intercepts} intercepts, but there must be {margins}")


def read_names(names: object, features: int) -> tuple[str, ...] | None:
    """Return the names of the features, one per feature, or None."""
    typed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if names is not None and not (typed and len(cast("list[str]", names)) == features):
        raise ValueError("featureNames must have one string per feature")
    return None if names is None else tuple(cast("list[str]", names))


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
    rows = _read(lambda: session.read.text(f"{path}/metadata").take(1), f"{path}/metadata")
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


def _read_data(path: str, session: SparkSession) -> list[Row]:
    """Return up to two rows of model data, which should have one row; vectors are structs."""

    def read() -> list[Row] | None:
        frame = session.read.parquet(f"{path}/data")
        if {field.name: field.dataType for field in frame.schema} != DATA:
            return None
        columns = [F.unwrap_udt(name) if isinstance(kind, UserDefinedType) else F.col(name)
                   for name, kind in DATA.items()]  # fmt: skip
        return frame.select(*columns).take(2)

    rows = _read(read, f"{path}/data")
    if rows is None:
        raise ValueError(
            f"'{path}/data' does not exist, or its columns are not {', '.join(DATA)}: the model "
            "is not complete. Save it again."
        )
    return rows


def _read(read: Callable[[], list[Row] | None], path: str) -> list[Row] | None:
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
