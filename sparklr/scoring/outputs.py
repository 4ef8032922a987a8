"""The output columns of a model, each declared once with Param, type, metadata and functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Literal, TypeAlias

from pyspark.sql import Column, DataFrame

from sparklr.arrays import Array
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import check_frame
from sparklr.scoring.scorer import Scores
from sparklr.spark.errors import InvalidValueError

Kind: TypeAlias = Literal["vector", "double"]
SQL_TYPES: dict[Kind, str] = {"vector": "array<double>", "double": "double"}  # from Python


@dataclass(frozen=True)
class Output:
    """A column that `transform` adds; null where features are null, whatever the functions return.

    kind : the type of a row's value
    metadata : the column's metadata, for a number of classes, and whether each has a margin
    of_scores : the values, from scores of n rows in memory: (n, k) for vectors, (n,) for doubles
    of_spark : the column, from the columns of Spark's own model by Param (`MADE_BY_SPARK`); None
        for what is made of the posterior, which Spark's model does not have
    """

    kind: Kind
    metadata: Callable[[int, bool], dict[str, object]]
    of_scores: Callable[[Scores], Array]
    of_spark: Callable[[Mapping[str, Column]], Column] | None
    by_class: bool = False  # whether it is a vector, a value per class, where each has a margin

    def kind_of(self, *, per_class: bool) -> Kind:
        """Return the type of a row's value in a model where each class has a margin, or not."""
        return "vector" if per_class and self.by_class else self.kind


def _numbers_of_classes(classes: int, per_class: bool) -> dict[str, object]:
    del per_class
    return {"ml_attr": {"num_attrs": classes}}


def _label(classes: int, per_class: bool) -> dict[str, object]:
    del per_class
    return {"ml_attr": {"type": "nominal", "num_vals": classes}}


def _ends(classes: int, per_class: bool) -> dict[str, object]:
    return {"ml_attr": {"num_attrs": 2 * classes if per_class else 2}}


def _chance(classes: int, per_class: bool) -> dict[str, object]:
    return {"ml_attr": {"num_attrs": classes}} if per_class else {}


# By the Param that names the column, in the order in which the columns are added.
OUTPUTS: dict[str, Output] = {
    "rawPredictionCol": Output(
        "vector", _numbers_of_classes, attrgetter("raw"), itemgetter("rawPredictionCol")
    ),
    "probabilityCol": Output(
        "vector", _numbers_of_classes, attrgetter("probability"), itemgetter("probabilityCol")
    ),
    "predictionCol": Output(
        "double", _label, attrgetter("prediction"), itemgetter("predictionCol")
    ),
    "probabilityIntervalCol": Output("vector", _ends, attrgetter("margins.interval"), None),
    "probabilityStdCol": Output(
        "double", _chance, attrgetter("margins.chance_deviations"), None, by_class=True
    ),
    "sampledProbabilityCol": Output(
        "double", _chance, attrgetter("margins.sampled"), None, by_class=True
    ),
}


def output_columns(params: LogisticRegressionParams) -> dict[str, str]:
    """Return the wanted output columns by Param; a column without a name is left out."""
    known = [param for param in OUTPUTS if params.hasParam(param) and params.isDefined(param)]
    names = {param: params.getOrDefault(param) for param in known}
    return {param: name for param, name in names.items() if name}


def posterior_params(params: LogisticRegressionParams) -> list[str]:
    """Return the Params that ask for what is made of the posterior, with their values."""
    asked = [f"{its}='{name}'" for its, name in output_columns(params).items()
             if OUTPUTS[its].of_spark is None]  # fmt: skip
    return ["averaged=True", *asked] if params.getAveraged() else asked


def check_output_columns(dataset: DataFrame, params: LogisticRegressionParams) -> None:
    """Refuse output columns that exist already or share a name."""
    check_frame(dataset)
    names = output_columns(params)
    taken = [f"{param}='{name}'" for param, name in names.items() if name in dataset.columns]
    if taken:
        raise InvalidValueError(
            f"The data set already has the output column {' and '.join(taken)}. Drop it, or "
            "set another name. An empty name omits the column."
        )
    if len(set(names.values())) < len(names):
        raise InvalidValueError(f"Output columns share a name: {names}. Give each its own name.")
