"""The member of a model that tells how well some rows determine its coefficients."""

from __future__ import annotations

from typing import cast

from pyspark.sql import DataFrame

from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.inference.covariances import FittedModel, Options, infer
from sparklr.inference.inference import Inference
from sparklr.rows.columns import check_frame


class InferenceOnRows:
    """Inference about the coefficients of `LogisticRegressionModel`, from rows that are given."""

    def inference(
        self,
        dataset: DataFrame | PackedRows,
        *,
        covariance: str = "auto",
        clusterCol: str | None = None,
        weights: str = "frequency",
        level: float = 0.95,
        referenceClass: int | None = None,
        method: str = "wald",
        smallSample: bool | None = None,
    ) -> Inference:
        """Return standard errors, tests and intervals from the rows that the model was fitted on.

        As `summary.inference`, for a model that was loaded; with "debiased" the rows may be others.

        Parameters
        ----------
        dataset : DataFrame or PackedRows
            The rows.
        covariance : {"auto", "model", "HC0", "HC1", "CR0", "CR1", "debiased"}
            What the standard errors assume; "auto": the model's, or HC0 with class weights.
        clusterCol : str, optional
            The column that tells the clusters of CR0 and CR1 apart.
        weights : {"frequency", "probability"}
            What a weight says of its row.
        level : float
            The probability that an interval holds the true value.
        referenceClass : int, optional
            Of a multinomial model, the class with which all others are compared.
        method : {"wald", "profile"}
            Intervals from the standard errors, or from the likelihood itself, which are better with
            few rows and near separation: all limits together take a few readings of the rows.
        smallSample : bool, optional
            Whether p-values and intervals are by Student's t, on n - rank degrees of freedom or,
            with clusters, on G - 1; else by the normal distribution. By default only with clusters.

        Returns
        -------
        Inference
            The errors, tests and intervals; `print` shows them.
        """
        check_frame(frame_of(dataset))
        options = Options(
            covariance, clusterCol, weights, level, referenceClass, method, smallSample
        )
        return infer(cast(FittedModel, self), dataset, options, None, None)
