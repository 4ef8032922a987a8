"""Arrays of numbers as bytes, on their way from Spark to Python.

Spark writes an array to Arrow value by value, but text as one piece. So where there is a JVM, the
bytes of each array go as text, which must never be read as such:

    Java's array of the numbers                     Invoke(array, "toDoubleArray")
    text at its place in memory, without a copy     UTF8String.fromAddress(numbers, start, length)

They are columns of their own: the writer of a struct would take longer than all else. For 1,000,000
rows of 100 values, the JVM's part of packing falls to a fifth. These expressions are not part of
Spark's public interface. Where a platform refuses them, arrays go as lists.
"""

from __future__ import annotations

import logging
from typing import cast

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from sparklr.spark.classic import SPARK_3
from sparklr.spark.refusals import REFUSALS, first_line
from sparklr.spark.types import JavaObject

log = logging.getLogger("sparklr")

# Of a kind of number: the bytes, the JVM's letter for its array, and the method that gives one.
KINDS = {"double": (8, "D", "toDoubleArray"), "int": (4, "I", "toIntArray")}


class ArrayBytes:
    """Columns made from a column 'features', each by some twenty calls to the JVM: made once."""

    def __init__(self) -> None:
        self._context: JavaObject = None
        self._vectors: list[Column] = []
        self._arrays: list[Column] = []

    def vectors(self, session: SparkSession) -> list[Column]:
        """Return the four parts of unwrapped vectors, with arrays as bytes; none without a JVM."""
        self._make_in(session)
        return self._vectors

    def arrays(self, session: SparkSession) -> list[Column]:
        """Return a column 'whole' and the bytes of arrays of doubles; none without a JVM."""
        self._make_in(session)
        return self._arrays

    def _make_in(self, session: SparkSession) -> None:
        try:
            context: JavaObject = session.sparkContext
            if self._context is not context:
                self._vectors, self._arrays = _vectors(context._jvm), _arrays(context._jvm)
                self._context = context
        except REFUSALS as refusal:
            # Connect has no context, and shared clusters do not allow JVM classes.
            log.info("arrays go as lists: %s", first_line(refusal))
            self._context, self._vectors, self._arrays = None, [], []


ARRAY_BYTES = ArrayBytes()


def _vectors(jvm: JavaObject) -> list[Column]:
    features = F.col("features")
    return [
        features["type"].alias("type"),
        features["size"].alias("size"),
        _bytes_of(jvm, features["indices"], "int").alias("indices"),
        _bytes_of(jvm, features["values"], "double").alias("values"),
    ]


def _arrays(jvm: JavaObject) -> list[Column]:
    return [F.col("whole"), _bytes_of(jvm, F.col("features"), "double").alias("values")]


def _bytes_of(jvm: JavaObject, array: Column, kind: str) -> Column:
    """Return arrays of numbers of a kind as text with the bytes of their elements."""
    size, letter, method = KINDS[kind]
    objects, kinds = (
        jvm.org.apache.spark.sql.catalyst.expressions.objects,
        jvm.org.apache.spark.sql.types,
    )
    find, sequence = jvm.java.lang.Class.forName, jvm.org.apache.spark.api.python.PythonUtils.toSeq
    start = getattr(jvm.org.apache.spark.unsafe.Platform, f"{kind.upper()}_ARRAY_OFFSET")
    nothing, java_array = sequence([]), kinds.ObjectType(find(f"[{letter}"))
    # The three flags: null for a null argument, the result may be null, and equal for equal rows.
    numbers = objects.Invoke(
        _expression(jvm, array), method, java_array, nothing, nothing, True, True, True
    )
    place = F.lit(start).cast("long"), F.size(array) * size
    text = objects.StaticInvoke(
        find("org.apache.spark.unsafe.types.UTF8String"),
        kinds.DataTypes.StringType,
        "fromAddress",
        sequence([numbers, *(_expression(jvm, column) for column in place)]),
        nothing,
        True,
        True,
        True,
        jvm.scala.Option.empty(),
    )
    return type(array)(_java_column(jvm, text))


def _expression(jvm: JavaObject, column: Column) -> JavaObject:
    java = cast(JavaObject, column)._jc
    return java.expr() if SPARK_3 else _expressions_and_columns(jvm).expression(java)


def _java_column(jvm: JavaObject, expression: JavaObject) -> JavaObject:
    if SPARK_3:
        return jvm.org.apache.spark.sql.Column(expression)
    return _expressions_and_columns(jvm).column(expression)


def _expressions_and_columns(jvm: JavaObject) -> JavaObject:
    """Return what makes the one from the other since Spark 4.0."""
    name = "org.apache.spark.sql.classic.ExpressionUtils"
    jvm.java.lang.Class.forName(name)  # py4j takes a class that does not exist for a package
    return jvm.org.apache.spark.sql.classic.ExpressionUtils
