"""A grid of useful penalties: from the smallest that leaves no coefficient downwards."""

from __future__ import annotations

import numpy as np
from pyspark.sql import DataFrame

from sparklr.display.progress import silent
from sparklr.estimator import LogisticRegressionEstimator, request_of
from sparklr.fitting.packed_rows import PackedRows
from sparklr.fitting.shared import open_shared_fits
from sparklr.spark.types import ParamDict


class PenaltyGrid(list[ParamDict]):
    """Param maps of `regParam`, whose print shows the values."""

    @property
    def penalties(self) -> list[float]:
        """The values of regParam, one per map."""
        return [float(value) for one in self for value in one.values()]

    def __repr__(self) -> str:
        values = ", ".join(f"{value:.4g}" for value in self.penalties)
        return f"{len(self)} {'value' if len(self) == 1 else 'values'} of regParam: {values}"


def reg_param_grid(
    dataset: DataFrame | PackedRows,
    estimator: LogisticRegressionEstimator,
    n: int = 20,
    ratio: float | None = None,
) -> PenaltyGrid:
    """Return param maps of `regParam`, from the smallest that zeroes all coefficients downwards.

    At the first value, which one pass over the rows finds exactly, the L1 term keeps all
    coefficients at zero; below it, features enter one after another. As in glmnet, the values are
    evenly spaced on the log scale, and for a pure L2 penalty, which keeps no coefficient at zero,
    the first value is that of elasticNetParam=0.001.

    Parameters
    ----------
    dataset : DataFrame or PackedRows
        The rows to fit.
    estimator : LogisticRegressionEstimator
        Only its columns, elasticNetParam, fitIntercept, standardization and family are used.
    n : int
        The number of values.
    ratio : float, optional
        The last value divided by the first; by default 1e-4, or 1e-2 if features are as many.

    Returns
    -------
    PenaltyGrid
        The maps for `CrossValidator(estimatorParamMaps=...)`, in descending order: a list, whose
        print shows the values.

    Examples
    --------
    >>> rows = [(float(i % 7 > 3), i % 7 + 0.1 * i, float(i % 3)) for i in range(60)]
    >>> frame = spark.createDataFrame(rows, ["label", "age", "dose"])
    >>> estimator = LogisticRegressionEstimator(featuresCols=["age", "dose"], elasticNetParam=1.0)
    >>> maps = reg_param_grid(frame, estimator, n=3, ratio=0.01)
    >>> print(maps)
    3 values of regParam: 0.3113, 0.03113, 0.003113
    >>> [int(estimator.fit(frame, one).coefficients.numNonzeros()) for one in maps[:2]]
    [0, 1]
    """
    _check(estimator, n, ratio)
    requests, unseen = {0: request_of(estimator)}, silent()
    with open_shared_fits(requests, dataset, stage=unseen.stage, watch=unseen.round) as shared:
        largest = shared.largest_penalty()
        moments = shared.facts(0).moments
    default = 1e-4 if moments.rows > moments.features else 1e-2
    shares = np.geomspace(1.0, default if ratio is None else ratio, n)
    return PenaltyGrid({estimator.regParam: float(largest * share)} for share in shares)


def _check(estimator: LogisticRegressionEstimator, n: int, ratio: float | None) -> None:
    if not isinstance(estimator, LogisticRegressionEstimator):
        raise TypeError(
            f"reg_param_grid takes a LogisticRegressionEstimator, but got a "
            f"{type(estimator).__name__}. Apply the stages before it to the data set first."
        )
    if n < 1 or (ratio is not None and not 0 < ratio < 1):
        raise ValueError(f"n={n}, ratio={ratio}: n must be at least 1, and ratio between 0 and 1.")
