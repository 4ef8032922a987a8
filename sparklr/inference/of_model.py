"""The member of a model that tells how well some rows determine its coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pyspark.sql import DataFrame

from sparklr.display.tables import Page
from sparklr.fitting.outcome import FitReport
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.inference.covariances import FittedModel, Options, infer
from sparklr.inference.inference import Inference
from sparklr.inference.kept import KeptEstimates, KeptSummary, page_of_model
from sparklr.inference.measures import why_not_valid
from sparklr.inference.of_fit import TableOfFit, keep, reported
from sparklr.params import LogisticRegressionParams
from sparklr.rows.columns import check_frame
from sparklr.saving.estimates import KeptFit
from sparklr.scoring.explain import explained
from sparklr.scoring.scorer import Scorer
from sparklr.spark.errors import InvalidValueError

NOT_SAVED = (
    "it does not come from a fit in this program, and was made or saved without them (by a version "
    "that did not save them, from Spark's own model, by pickle, or after a fit that did not keep "
    "them). Read them from the rows of the fit: model.inference(frame)."
)


class InferenceOnRows:
    """Inference about a model's coefficients: kept from the fit, or from rows that are given."""

    _summary: TableOfFit | None
    _kept: KeptFit | None  # of a model that was loaded

    if TYPE_CHECKING:  # the model has it

        @property
        def _scorer(self) -> Scorer: ...

    @property
    def estimates(self) -> KeptEstimates:
        """The table of coefficients with standard errors and tests; also of a loaded model.

        It needs no rows and no summary. `print` shows what the summary of the fit prints.
        """
        model, kept = cast(FittedModel, self), self._kept
        if self._summary is not None:
            kept = keep(self._summary, needed=True)
        if kept is None or kept.errors is None:
            raise InvalidValueError(
                f"This model has no standard errors: {why_not_valid(model) or NOT_SAVED}"
            )
        return KeptEstimates(model, kept.report, kept.errors)

    @property
    def fitSummary(self) -> KeptSummary:
        """How the model was fitted, without the rows; also of a loaded model.

        It is `estimates` if the fit has standard errors. A training summary, which has the rows
        too, is in `summary`, in the program that fitted the model.
        """
        model, kept = cast(FittedModel, self), self._what_is_kept()
        if kept is None:
            raise InvalidValueError(f"This model does not know its fit: {NOT_SAVED}")
        if kept.errors is None:
            return KeptSummary(model, kept.report)
        return KeptEstimates(model, kept.report, kept.errors)

    def _what_is_kept(self) -> KeptFit | None:
        """Return what is saved with the model beside its numbers."""
        return self._kept if self._summary is None else keep(self._summary)

    def _known_report(self) -> FitReport | None:
        """Return the facts of the fit as far as they are known, without computing any."""
        if self._summary is not None:
            return reported(self._summary)
        return None if self._kept is None else self._kept.report

    def __str__(self) -> str:
        return page_of_model(cast(FittedModel, self), self._known_report()).text()

    def _repr_html_(self) -> str:
        return page_of_model(cast(FittedModel, self), self._known_report()).html()

    def explain(
        self,
        dataset: DataFrame,
        top: int = 5,
        *,
        label: int | None = None,
        column: str = "contributions",
    ) -> DataFrame:
        """Return the rows with what each feature adds to the margin, the largest in size first.

        The contribution of a feature is its coefficient times its value less its baseline, which is
        its mean among the rows of the fit; zero if the model does not know it (one from Spark, or
        saved before format 4). The contributions of all features add up to the row's margin less
        the margin at the baseline. Offsets are not among them. The rows are read when the frame is.

        Parameters
        ----------
        dataset : DataFrame
            The rows, with the columns of the features.
        top : int
            How many features per row; those without a coefficient are never shown.
        label : int, optional
            Whose margin is explained: by default that of label 1 or, of a multinomial model, of
            each row's predicted label, against the mean margin of all labels.
        column : str
            The name of the column, an array of struct(feature, value, contribution); null where a
            feature is.

        Returns
        -------
        DataFrame
            The rows, in their order, with the column.

        Examples
        --------
        >>> rows = [(1.0, 0.5, 2.0), (0.0, 1.5, 1.0), (1.0, 0.2, 0.3), (0.0, 2.0, 2.5)]
        >>> frame = spark.createDataFrame(rows, ["label", "age", "dose"])
        >>> names = ["age", "dose"]
        >>> model = LogisticRegressionEstimator(featuresCols=names, regParam=0.1).fit(frame)
        >>> (largest,) = model.explain(frame, top=1).first().contributions
        >>> largest.feature, largest.value, round(largest.contribution, 2)
        ('age', 0.5, 1.05)
        """
        params, report = cast(LogisticRegressionParams, self), self._known_report()
        numbers, means = cast(FittedModel, self).numbers, None if report is None else report.means
        return explained(
            dataset, params, numbers, self._scorer, means=means, top=top, label=label, column=column
        )

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


def page_of(model: InferenceOnRows) -> Page:
    """Return the page of what is known of a model without rows: with standard errors, if any."""
    if model._what_is_kept() is None:
        return page_of_model(cast(FittedModel, model), None)
    return model.fitSummary.page()
