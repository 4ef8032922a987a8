"""Names for types of Spark's, of py4j's and of JSON that have no precise form of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from pyspark.ml import Estimator
from pyspark.ml.param import Param
from pyspark.sql import SparkSession

# Whatever model it makes: Spark's own type is invariant in that.
AnyEstimator: TypeAlias = Estimator[Any]
AnyParam: TypeAlias = Param[Any]
ParamMap: TypeAlias = Mapping[AnyParam, object]
ParamDict: TypeAlias = dict[Param[Any], Any]  # where Spark insists
# An object of the JVM, or of pyspark where it holds one: its members are found at run time.
JavaObject: TypeAlias = Any
# What `json.loads` makes of an object.
Json: TypeAlias = dict[str, Any]
Keywords: TypeAlias = Json  # arguments by keyword


class HasSession(Protocol):
    """A frame, or what else leads to a session."""

    @property
    def sparkSession(self) -> SparkSession: ...
