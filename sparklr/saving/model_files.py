"""Saved models: a row of numbers beside the metadata, what a fit left, and a posterior."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from pyspark.ml.linalg import MatrixUDT, VectorUDT
from pyspark.ml.param import Params
from pyspark.ml.util import MLReader
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DataType, IntegerType, UserDefinedType

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
        facts = None if self._fit is None else fit_facts(self._fit, numbers)
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
        if self._fit is not None and self._fit.errors is not None:
            write_errors(self._fit.errors, path, session)
        if self._posterior is not None:
            write_posterior(self._posterior, path, session)


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


def read_names(names: object, features: int) -> tuple[str, ...] | None:
    """Return the names of the features, one per feature, or None."""
    typed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if names is not None and not (typed and len(cast("list[str]", names)) == features):
        raise ValueError("featureNames must have one string per feature")
    return None if names is None else tuple(cast("list[str]", names))
