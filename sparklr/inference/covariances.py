"""The covariances of estimates, by name, and what each of them assumes.

For the inverse information V and products M of scores (`scores`, `clusters`), n units, k of them
estimated, and G clusters:

    model       V                        the model is right
    HC0, HC1    V M V, n / (n - k)       rows are independent
    CR0, CR1    V M V, G / (G - 1)       clusters are independent
    debiased    V, at b + V s            the score s is that of the likelihood without the penalty

n is the sum of the weights if they are counts, and else the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, cast

import numpy as np
from pyspark.sql import DataFrame

from sparklr.arrays import Array
from sparklr.display.pages import FittedParams
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.inference.estimates import check_level
from sparklr.inference.inference import Assumptions, Inference
from sparklr.inference.layout import Layout
from sparklr.inference.on_rows import RowsOfModel, open_rows
from sparklr.objective.information import Information
from sparklr.params import LogisticRegressionParams
from sparklr.scoring.numbers import ModelNumbers
from sparklr.separation.search import Separation
from sparklr.spark.errors import InvalidValueError

ROBUST, CLUSTERED = ("HC0", "HC1"), ("CR0", "CR1")
COVARIANCES = ("model", *ROBUST, *CLUSTERED, "debiased")
WEIGHTS = ("frequency", "probability")
METHODS = ("wald", "profile")
MODEL, PROFILE = "inverse information", "intervals of the profile likelihood"
# Coefficients that are further from the optimum of some rows, in standard errors, were not
# estimated from these rows.
MOST_AWAY = 0.1


class FittedModel(FittedParams, Protocol):
    """The parts of a model that inference uses."""

    @property
    def numbers(self) -> ModelNumbers: ...


@dataclass(frozen=True)
class Options:
    """What a user chooses for inference; the fields are named as the arguments."""

    covariance: str
    clusterCol: str | None
    weights: str
    level: float
    referenceClass: int | None
    method: str = "wald"

    def __post_init__(self) -> None:
        if self.covariance not in COVARIANCES:
            names = ", ".join(COVARIANCES)
            raise ValueError(f"covariance must be one of {names}, but got '{self.covariance}'.")
        if self.weights not in WEIGHTS:
            names = ", ".join(WEIGHTS)
            raise ValueError(f"weights must be one of {names}, but got '{self.weights}'.")
        if (self.clusterCol is not None) != (self.covariance in CLUSTERED):
            raise ValueError(
                f"clusterCol={self.clusterCol!r} does not go with covariance='{self.covariance}': "
                "CR0 and CR1 need a column of clusters, and no other covariance takes one."
            )
        if self.weights == "probability" and self.covariance in ("model", "debiased"):
            raise ValueError(
                f"weights='probability' needs a robust covariance, but got '{self.covariance}': "
                "the information counts weights as rows. Use HC0, HC1, CR0 or CR1."
            )
        if self.method not in METHODS:
            raise ValueError(
                f"method must be one of {', '.join(METHODS)}, but got '{self.method}'."
            )
        if self.method == "profile" and self.covariance != "model":
            raise ValueError(
                f"method='profile' does not go with covariance='{self.covariance}': the likelihood "
                "has intervals of its own, which assume that the model is right."
            )
        check_level(self.level)


def infer(
    model: FittedModel,
    dataset: DataFrame | PackedRows,
    options: Options,
    kept: Information | None,
    separation: Separation | None,
) -> Inference:
    """Return the inference about a model's coefficients from the rows that it was fitted on.

    `kept` is the information from the fit, with what was found of separation; if it is None, the
    rows are read.
    """
    layout = layout_of(model, options.referenceClass)
    if kept is not None:
        layout = layout.separated(separation)
        if options.method == "wald":
            return _inference(layout, kept, None, _assumed(options, MODEL), dataset)
    params = cast(LogisticRegressionParams, model)
    with open_rows(dataset, params, model.numbers) as rows:
        information = rows.information()
        step = -information.inverse @ information.gradient
        if options.covariance == "debiased":
            moved = rows.problem.scaling.to_coefficients(rows.point + step)
            layout = layout_of(model, options.referenceClass, moved)
            words = "inverse information, at estimates without the penalty's effect (one step)"
            return _inference(layout, information, None, _assumed(options, words), dataset)
        away = float(information.gradient @ -step) ** 0.5
        if away > MOST_AWAY:
            raise InvalidValueError(
                f"These coefficients are {away:.3g} standard errors away from the estimates of "
                "these rows: give the rows that the model was fitted on, without a penalty, or "
                "use covariance='debiased'."
            )
        layout = layout.separated(rows.separation(information))
        if options.method == "profile":
            limits = rows.profile_limits(information, layout, options.level)
            assumed = replace(_assumed(options, f"{MODEL}; {PROFILE}"), limits=limits)
            return _inference(layout, information, None, assumed, dataset)
        if options.covariance == "model":
            return _inference(layout, information, None, _assumed(options, MODEL), dataset)
        products, assumed = _robust(rows, information, options, dataset, params)
        inner = information.inverse @ products @ information.inverse
        return _inference(layout, information, inner, assumed, dataset)


def _robust(
    rows: RowsOfModel,
    information: Information,
    options: Options,
    dataset: DataFrame | PackedRows,
    params: LogisticRegressionParams,
) -> tuple[Array, Assumptions]:
    """Return the products of scores that a covariance is made of, and what it assumes."""
    counts, moments = options.weights == "frequency", rows.passes.moments
    if options.clusterCol is not None:
        products, groups = rows.cluster_products(frame_of(dataset), params, options.clusterCol)
        if groups < 2:
            raise InvalidValueError(
                f"Column '{options.clusterCol}' has {groups} cluster, but at least 2 are needed."
            )
        factor = groups / (groups - 1) if options.covariance == "CR1" else 1.0
        words = f"clustered by '{options.clusterCol}', {groups:,} clusters; Student's t"
        return factor * products, _assumed(options, words, degrees=groups - 1)
    products = rows.score_products(squared=not counts)
    units = moments.weight if counts else moments.rows
    factor = units / (units - information.rank) if options.covariance == "HC1" else 1.0
    return factor * products, _assumed(options, "robust to a wrong model")


def _assumed(options: Options, words: str, degrees: float = np.inf) -> Assumptions:
    meaning = {"frequency": "weights as counts", "probability": "weights as probabilities"}
    text = f"{options.covariance}: {words}; {meaning[options.weights]}"
    return Assumptions(options.covariance, text, options.level, degrees)


def _inference(
    layout: Layout,
    information: Information,
    inner: Array | None,
    assumed: Assumptions,
    dataset: DataFrame | PackedRows,
) -> Inference:
    base = layout.base
    covariance = (
        information.covariance(inner) if base is None else information.contrasts(base, inner)
    )
    if layout.endless is not None:
        endless = layout.endless.ravel()
        covariance[endless] = covariance[:, endless] = np.nan
    return Inference(layout, covariance, assumed, frame_of(dataset))


def layout_of(
    model: FittedModel, base: int | None, moved: tuple[Array, Array] | None = None
) -> Layout:
    """Return the coefficients of a model, less those of the class `base` if there is one."""
    numbers = model.numbers
    values, many = np.column_stack(moved or numbers.arrays), numbers.family.per_class
    if base is not None:
        if not many or base not in range(len(values)):
            kind = f"the model has classes 0 to {numbers.classes - 1}"
            what = kind if many else "the model is binomial, and compares class 1 with class 0"
            raise ValueError(f"referenceClass={base} is not possible: {what}.")
        values = values - values[base]
    names = numbers.feature_names(model.getFeaturesCol())
    return Layout(values, names, model.getFitIntercept(), many, base)
