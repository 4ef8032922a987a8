"""Pack a frame once, for many fits."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame

from sparklr.estimator import LogisticRegressionEstimator
from sparklr.fitting.packed_rows import PackedRows
from sparklr.tuning import CrossValidator, TrainValidationSplit

__all__ = ["PackedRows", "pack"]


def pack(
    dataset: DataFrame,
    *,
    featuresCol: str = "features",
    featuresCols: Sequence[str] | None = None,
    labelCol: str = "label",
    weightCol: str | None = None,
    offsetCol: str | None = None,
    validationIndicatorCol: str | None = None,
    aggregationDepth: int = 2,
    maxBlockSizeInMB: float = 0.0,
    validator: CrossValidator | TrainValidationSplit | None = None,
) -> PackedRows:
    """Read a frame once and keep its rows packed, for any number of fits.

    Packing takes most of a fit's time. Packed rows take the frame's place in `fit`, `fitMultiple`,
    `evaluate` and our validators. They are in the driver's memory, or in files of the workers.

    Parameters
    ----------
    dataset : DataFrame
        The rows.
    featuresCol, featuresCols, labelCol, weightCol, offsetCol, validationIndicatorCol, \
    aggregationDepth, maxBlockSizeInMB
        As in the estimators that will fit the rows.
    validator : CrossValidator or TrainValidationSplit, optional
        A validator that will be fitted on these rows. They are packed with its folds.

    Returns
    -------
    PackedRows
        The rows, until the end of a `with` statement or `unpersist`.

    Examples
    --------
    >>> rows = [(float(i % 7 > 3), i % 5 + 0.1 * i, float(i % 3)) for i in range(60)]
    >>> frame = spark.createDataFrame(rows, ["label", "age", "dose"])
    >>> estimator = LogisticRegressionEstimator(featuresCols=["age", "dose"])
    >>> with pack(frame, featuresCols=["age", "dose"]) as packed:
    ...     models = [estimator.setRegParam(penalty).fit(packed) for penalty in (0.01, 0.1)]
    """
    columns = LogisticRegressionEstimator(featuresCol=featuresCol, labelCol=labelCol)
    if featuresCols is not None:
        columns.setFeaturesCols(list(featuresCols))
    columns.setParams(weightCol=weightCol or None, offsetCol=offsetCol or None)
    columns.setParams(validationIndicatorCol=validationIndicatorCol or None)
    columns.setParams(aggregationDepth=aggregationDepth, maxBlockSizeInMB=maxBlockSizeInMB)
    return PackedRows(dataset, columns, None if validator is None else validator.split(dataset))
