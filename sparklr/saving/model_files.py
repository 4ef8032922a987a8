"""Saved models: a row of numbers beside the metadata, what a fit or a stream left, a posterior."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from pyspark.ml.linalg import MatrixUDT, VectorUDT
from pyspark.ml.param import Params
from pyspark.ml.util import MLReader
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, IntegerType, UserDefinedType

from sparklr.batches.facts import StreamFacts
from sparklr.objective.families import family_of_flag
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.saving.damage import damage
from sparklr.saving.estimates import (
    KeptFit,
    fit_facts,
    has_errors,
    kept_fit,
    read_errors,
    write_errors,
)
from sparklr.saving.files import (
    OverwritingWriter,
    T,
    check_header,
    read_metadata,
    read_rows,
    set_params,
    write_metadata,
)
from sparklr.saving.posterior import posterior_facts, read_posterior, write_posterior
from sparklr.saving.stream import checksum_of, read_stream, state_bytes, write_stream
from sparklr.saving.values import read_names
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.matrices import read_matrix, read_vector
from sparklr.spark.types import Json

# The columns of a saved model.
DATA: dict[str, DataType] = {
    "numClasses": IntegerType(),
    "numFeatures": IntegerType(),
    "interceptVector": VectorUDT(),
    "coefficientMatrix": MatrixUDT(),
    "isMultinomial": BooleanType(),
}


class ModelWriter(OverwritingWriter):
    """A writer of a model: its Params and numbers, and what it keeps of its fit or its stream."""

    def __init__(
        self,
        instance: Params,
        numbers: ModelNumbers,
        fit: KeptFit | None = None,
        posterior: PosteriorNumbers | None = None,
        stream: StreamFacts | None = None,
    ) -> None:
        super().__init__()
        self._instance, self._numbers = instance, numbers
        self._fit, self._posterior, self._stream = fit, posterior, stream

    def saveImpl(self, path: str) -> None:
        """Write metadata and data; `save` calls this after it has removed files to overwrite."""
        numbers, session = self._numbers, self.sparkSession
        names = None if numbers.names is None else list(numbers.names)
        facts = None if self._fit is None else fit_facts(self._fit, numbers)
        known = None if self._posterior is None else posterior_facts(self._posterior)
        learned = b"" if self._stream is None else state_bytes(self._stream)
        checksum = checksum_of(learned) if learned else None
        more: Json = {"featureNames": names, "fit": facts, "posterior": known, "stream": checksum}
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
        if self._fit is not None and self._fit.errors is not None:
            write_errors(self._fit.errors, path, session)
        if self._posterior is not None:
            write_posterior(self._posterior, path, session)
        if learned:
            write_stream(learned, path, session)


class ModelReader(MLReader[T]):
    """Reads what `ModelWriter` wrote: `make` gives the model of the numbers and what was kept."""

    def __init__(
        self,
        kind: type[T],
        make: Callable[
            [ModelNumbers, KeptFit | None, PosteriorNumbers | None, StreamFacts | None], T
        ],
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
        checksum, stream = metadata.get("stream"), None
        if checksum is not None:
            stream = read_stream(checksum, path, self.sparkSession)
            _check_stream(stream, numbers, path)
        model = self._make(numbers, kept, posterior, stream)
        set_params(cast(Params, model), metadata, path)
        return model

    def _fit(self, path: str, facts: Json | None, numbers: ModelNumbers) -> KeptFit | None:
        if facts is None:
            return None
        damaged = f"The metadata of '{path}' are damaged: "
        with damage(damaged):
            known = has_errors(facts)
        errors, covariance = read_errors(path, self.sparkSession) if known else (None, None)
        with damage(damaged):
            return kept_fit(facts, errors, covariance, numbers)

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


def _check_stream(stream: StreamFacts, numbers: ModelNumbers, path: str) -> None:
    """Refuse what another model has learned."""
    same = (stream.family, stream.classes) == (numbers.family, numbers.classes)
    pairs = zip(stream.coefficients(), numbers.arrays, strict=True)
    if not same or not all(a.shape == b.shape and (a == b).all() for a, b in pairs):
        raise ValueError(
            f"'{path}/stream' and '{path}/data' are of different models: one is damaged. Save the "
            "model again."
        )


def _read_data(path: str, session: SparkSession) -> list[Row]:
    """Return up to two rows of model data, which should have one row; vectors are structs."""

    def read() -> list[Row] | None:
        frame = session.read.parquet(f"{path}/data")
        if {field.name: field.dataType for field in frame.schema} != DATA:
            return None
        columns = [F.unwrap_udt(name) if isinstance(kind, UserDefinedType) else F.col(name)
                   for name, kind in DATA.items()]  # fmt: skip
        return frame.select(*columns).take(2)

    rows = read_rows(read, f"{path}/data")
    if rows is None:
        raise ValueError(
            f"'{path}/data' does not exist, or its columns are not {', '.join(DATA)}: the model "
            "is not complete. Save it again."
        )
    return rows


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
