"""The covariances of estimates, by name, and what each of them assumes.

For the inverse information V and products M of scores (`scores`, `clusters`), n units, k of them
estimated, and G clusters:

    model       V                        the model is right
    HC0, HC1    V M V, n / (n - k)       rows are independent
    CR0, CR1    V M V, G / (G - 1)       clusters are independent
    debiased    V, at b + V s            the score s is that of the likelihood without the penalty

n is the sum of the weights if they are counts, and else the number of rows. Student's t has n - k
or G - 1 degrees of freedom: with clusters by default, otherwise with smallSample=True. Factors of
the weights by class are no counts: they make the information a lie, so there are robust covariances
only, whose products of scores have these factors squared.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol, cast

import numpy as np
from pyspark.sql import DataFrame

from sparklr.arrays import Array
from sparklr.display.pages import FittedParams
from sparklr.display.tables import amount
from sparklr.fitting.from_params import class_weights_of
from sparklr.fitting.packed_rows import PackedRows, frame_of
from sparklr.inference.estimates import check_level
from sparklr.inference.inference import Assumptions, Inference
from sparklr.inference.layout import Layout
from sparklr.inference.on_rows import ReadRows, RowsOfModel, open_rows
from sparklr.objective.information import Information
from sparklr.params import LogisticRegressionParams, held_name
from sparklr.scoring.numbers import ModelNumbers
from sparklr.separation.search import Separation
from sparklr.spark.errors import InvalidValueError

ROBUST, CLUSTERED = ("HC0", "HC1"), ("CR0", "CR1")
COVARIANCES = ("auto", "model", *ROBUST, *CLUSTERED, "debiased")
WEIGHTS = ("frequency", "probability")
METHODS = ("wald", "profile")
MODEL, PROFILE = "inverse information", "intervals of the profile likelihood"
WRONG = "robust to a wrong model"
FIRTH = "inverse information at Firth's estimates"
PENALISED = "intervals of the profile penalised likelihood"
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
    smallSample: bool | None = None

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
        if self.method == "profile" and self.covariance not in ("auto", "model"):
            raise ValueError(
                f"method='profile' does not go with covariance='{self.covariance}': the likelihood "
                "has intervals of its own, which assume that the model is right."
            )
        if self.smallSample and (self.covariance == "debiased" or self.method == "profile"):
            raise ValueError(
                "smallSample=True takes Student's t in the place of the normal distribution, which "
                "covariance='debiased' and method='profile' do not have: the former is for many "
                "more rows than coefficients, the latter compares likelihoods."
            )
        check_level(self.level)

    @property
    def power(self) -> Literal[1, 2] | None:
        """The power of the weights in products of the rows' scores; None if no such are needed."""
        if self.covariance not in ROBUST:
            return None
        return 1 if self.weights == "frequency" else 2

    def degrees(self, own: float) -> float:
        """Return the degrees of freedom of Student's t; infinite for the normal distribution.

        own : n - k, or with clusters G - 1
        """
        t = self.clusterCol is not None if self.smallSample is None else self.smallSample
        if t and own <= 0:
            raise InvalidValueError(
                f"smallSample=True needs more rows than coefficients, but {own:g} degrees of "
                "freedom are left for Student's t."
            )
        return own if t else np.inf

    def settled(self, *, by_class: bool) -> Options:
        """Return the options with a covariance in the place of "auto"; `by_class`: with weights."""
        auto = self.covariance == "auto"
        if not by_class:
            return replace(self, covariance="model") if auto else self
        if self.method == "profile":
            raise InvalidValueError(
                "method='profile' does not go with classWeights: rows that are weighed anew have "
                "no likelihood. Use method='wald', or fit without class weights."
            )
        if self.covariance in ("model", "debiased"):
            raise InvalidValueError(
                f"covariance='{self.covariance}' does not go with classWeights: it takes the "
                "weights for rows that were seen, and may be several times too small. Use HC0 or "
                "another robust covariance, or fit without class weights."
            )
        return replace(self, covariance="HC0") if auto else self


def infer(
    model: FittedModel,
    dataset: DataFrame | PackedRows,
    options: Options,
    kept: Information | None,
    separation: Separation | None,
    products: Array | None = None,
) -> Inference:
    """Return the inference about a model's coefficients from the rows that it was fitted on.

    `kept` is the information from the fit, with what was found of separation and, if classes have
    weights, the products of scores; where they do not do, the rows are read.
    """
    params = cast(LogisticRegressionParams, model)
    held = held_name(params)
    if held is not None:
        raise InvalidValueError(
            f"Inference is about an optimum, but held-out rows ('{held}') chose the iterate of "
            "this model. Clear validationIndicatorCol, and fit all rows."
        )
    by_class = class_weights_of(params) is not None
    options = options.settled(by_class=by_class)
    reduced = model.getBiasReduction().lower() == "firth"
    if reduced:  # estimates are finite even if the rows are separated
        _check_reduced(options)
        separation = None
    layout = layout_of(model, options.referenceClass)
    if kept is not None and options.method == "wald":
        layout = layout.separated(separation)
        if options.covariance == "model":
            return _inference(layout, kept, None, _by_model(options, kept, reduced), dataset)
        usual = options.weights == "frequency" and not options.smallSample
        if options.covariance == "HC0" and products is not None and usual:
            inner = kept.inverse @ products @ kept.inverse
            return _inference(layout, kept, inner, _assumed(options, WRONG, by_class=True), dataset)
    with open_rows(dataset, params, model.numbers) as rows:
        return _from_rows(model, dataset, options, rows)


def _from_rows(
    model: FittedModel, dataset: DataFrame | PackedRows, options: Options, rows: RowsOfModel
) -> Inference:
    """Return the inference from the rows of the fit."""
    read, reduced = rows.read(options.power), rows.reduced
    information, layout = read.information, layout_of(model, options.referenceClass)
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
    if not reduced:
        layout = layout.separated(rows.separation(information, read.loss))
    if options.method == "profile":
        limits = rows.profile_limits(information, layout, options.level)
        words = f"{FIRTH}; {PENALISED}" if reduced else f"{MODEL}; {PROFILE}"
        assumed = replace(_assumed(options, words), limits=limits)
        return _inference(layout, information, None, assumed, dataset)
    if options.covariance == "model":
        assumed = _by_model(options, information, reduced)
        return _inference(layout, information, None, assumed, dataset)
    params = cast(LogisticRegressionParams, model)
    products, assumed = _robust(rows, read, options, dataset, params)
    inner = information.inverse @ products @ information.inverse
    return _inference(layout, information, inner, assumed, dataset)


def _check_reduced(options: Options) -> None:
    """Refuse covariances that are made of the scores of rows: those of Firth's method are not."""
    if options.covariance != "model":
        raise InvalidValueError(
            f"covariance='{options.covariance}' does not go with biasReduction='firth': the "
            "leverages make the score of each row depend on all rows, so that products of scores "
            "estimate no variance. Use covariance='model', or fit with biasReduction='none'."
        )


def _robust(
    rows: RowsOfModel,
    read: ReadRows,
    options: Options,
    dataset: DataFrame | PackedRows,
    params: LogisticRegressionParams,
) -> tuple[Array, Assumptions]:
    """Return the products of scores that a covariance is made of, and what it assumes."""
    by_class = rows.problem.factors is not None
    if read.products is None:
        name = cast(str, options.clusterCol)  # no other robust covariance reads without products
        products, groups = rows.cluster_products(frame_of(dataset), params, name)
        if groups < 2:
            raise InvalidValueError(
                f"Column '{name}' has {groups} cluster, but at least 2 are needed."
            )
        factor = groups / (groups - 1) if options.covariance == "CR1" else 1.0
        words = f"clustered by '{name}', {groups:,} clusters"
        degrees = options.degrees(groups - 1)
        return factor * products, _assumed(options, words, degrees, by_class=by_class)
    moments = rows.passes.moments
    units = moments.weight if options.power == 1 else moments.rows
    own = units - read.information.rank
    factor = units / own if options.covariance == "HC1" else 1.0
    degrees = options.degrees(own)
    return factor * read.products, _assumed(options, WRONG, degrees, by_class=by_class)


def _by_model(options: Options, information: Information, reduced: bool) -> Assumptions:
    words = FIRTH if reduced else MODEL
    return _assumed(options, words, options.degrees(information.weight - information.rank))


def _assumed(
    options: Options, words: str, degrees: float = np.inf, *, by_class: bool = False
) -> Assumptions:
    if np.isfinite(degrees):
        words += f"; Student's t on {amount(degrees)} degrees of freedom"
    elif options.clusterCol is not None:
        words += "; normal distribution"
    meaning = {"frequency": "weights as counts", "probability": "weights as probabilities"}
    text = f"{options.covariance}: {words}; {meaning[options.weights]}"
    text += "; class weights squared" if by_class else ""
    return Assumptions(options.covariance, text, options.level, degrees)


def _inference(
    layout: Layout,
    information: Information,
    inner: Array | None,
    assumed: Assumptions,
    dataset: DataFrame | PackedRows,
) -> Inference:
    covariance = information.covariance(inner, layout.base)
    if layout.endless is not None:
        endless = layout.endless.ravel()
        covariance[endless] = covariance[:, endless] = np.nan
    scaling = information.scaling
    deviation = np.zeros(scaling.features)
    deviation[scaling.active] = scaling.deviation
    return Inference(layout, covariance, assumed, frame_of(dataset), deviation)


def layout_of(
    model: FittedModel, base: int | None = None, moved: tuple[Array, Array] | None = None
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
