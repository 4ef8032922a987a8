"""The pages that summaries print: one about a fit, and one about how well a model predicts.

A page is made of numbers that are already computed: nothing here runs a Spark job.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from sparklr.arrays import Array, Matrix
from sparklr.display.tables import Ends, Page, Table, amount, label_name, number, percent
from sparklr.fitting.outcome import FitReport
from sparklr.scoring.aggregates import PredictionFrame
from sparklr.scoring.metrics import Confusion, ScoreCurve
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.matrices import dense_vector, stored_matrix

MOST_FEATURES = 20  # rows of a table of coefficients
MOST_ROWS = 60  # rows of all tables of coefficients together
MOST_CLASSES = 10  # classes in a line or in a table, and tables of coefficients on a page

COEFFICIENTS = ("feature", "coefficient", "per std. dev.", "odds ratio")
BY_LABEL = ("label", "weight", "precision", "recall", "F1", "false pos. rate")


class FittedParams(Protocol):
    """The Params of a model that a page shows."""

    def getLabelCol(self) -> str: ...
    def getFeaturesCol(self) -> str: ...
    def getFitIntercept(self) -> bool: ...
    def getRegParam(self) -> float: ...
    def getElasticNetParam(self) -> float: ...
    def getStandardization(self) -> bool: ...
    def getOffsetCol(self) -> str: ...
    def getBiasReduction(self) -> str: ...
    def isSet(self, param: str, /) -> bool: ...


def fit_page(
    numbers: ModelNumbers, params: FittedParams, report: FitReport, measures: Page
) -> Page:
    """Return the page about how a model was fitted, with its coefficients.

    `measures` has further facts and, if there are standard errors, the tables of the coefficients.
    """
    facts = (*_fit_facts(numbers, params, report), *measures.facts)
    if measures.tables:
        tables, notes = measures.tables, list(measures.notes)
    else:
        tables = _coefficient_tables(numbers, params, report.deviation)
        notes = [_coefficient_note(numbers), *measures.notes]
    if any(isinstance(row, str) for table in tables for row in table.rows):
        notes.append("For all coefficients read model.coefficientMatrix and model.featureNames.")
    title = f"Logistic regression, {numbers.family}, of '{params.getLabelCol()}'"
    return Page(title, facts, tables, tuple(notes))


def _rate_facts(report: FitReport) -> list[tuple[str, str]]:
    """Return the learning rate of stochastic gradient descent."""
    rates = report.rates
    if rates is None or rates.kept is None:
        return []
    rule = "Adagrad's" if rates.rule == "adagrad" else "plain"
    words = f"{rates.kept:.3g}, {rule} steps"
    if len(rates.tried) > 1:
        first, last = rates.tried[0], rates.tried[-1]
        words += f", the best of {len(rates.tried)} rates from {first:.3g} to {last:.3g}"
    return [("learning rate", words)]


def _fit_facts(
    numbers: ModelNumbers, params: FittedParams, report: FitReport
) -> list[tuple[str, str]]:
    rows = f"{report.rows:,}"
    if report.label_weights.sum() != report.rows:
        rows += f", with weights that sum to {amount(report.label_weights.sum())}"
    if report.held_rows:
        rows += f"; {report.held_rows:,} more are held out"
    fitted: list[tuple[str, str]] = []
    if params.isSet("offsetCol") and params.getOffsetCol():
        fitted.append(("offset", f"'{params.getOffsetCol()}'"))
    if report.factors is not None:
        shown = Ends.of(len(report.factors), MOST_CLASSES)
        each = [f"{at}: {number(report.factors[at])}" for at in shown.places]
        words = ", ".join(shown.joined(each, f"... {shown.left_out:,} more ..."))
        fitted.append(("class weights", words))
    ended, judged = report.converged or report.early, []
    if report.chosen is not None:
        least, last = report.held[report.chosen], len(report.held) - 1
        words = f"{number(least)} at iteration {report.chosen} of {last}"
        judged.append(("held-out loss", words))
    used = np.unique(stored_matrix(numbers.coefficients).nonzero()[1]).size
    work = f"{_count(len(report.history) - 1, 'iteration')}, {_count(report.passes, 'pass', 'es')}"
    return [
        ("rows", rows),
        ("classes", _shares(report.label_weights)),
        ("features", f"{numbers.features:,}, of them {used:,} with a coefficient other than 0"),
        ("penalty", _penalty(params)),
        ("intercept", "fitted" if params.getFitIntercept() else "none"),
        *fitted,
        ("solver", f"{report.solver}, {work} over the rows"),
        *_rate_facts(report),
        ("outcome", report.reason if ended else f"NOT CONVERGED: {report.reason}"),
        *judged,
    ]


def _count(count: int, word: str, plural: str = "s") -> str:
    return f"{count:,} {word}{'' if count == 1 else plural}"


def _shares(weights: Array) -> str:
    shown = Ends.of(len(weights), MOST_CLASSES)
    shares = weights[shown.places] / weights.sum()
    words = [f"{at}: {percent(share)}" for at, share in zip(shown.places, shares, strict=True)]
    return ", ".join(shown.joined(words, f"... {shown.left_out:,} more ..."))


def _penalty(params: FittedParams) -> str:
    bounded = [
        name.removeprefix("lowerBoundsOn").lower()
        for name in ("lowerBoundsOnCoefficients", "lowerBoundsOnIntercepts")
        if params.isSet(name) or params.isSet(name.replace("lower", "upper"))
    ]
    bounds = f"; bounds on {' and '.join(bounded)}" if bounded else ""
    if params.getBiasReduction().lower() == "firth":
        return "Jeffreys' prior, for Firth's bias reduction"
    if params.getRegParam() == 0:
        return f"none (regParam=0){bounds}"
    share = params.getElasticNetParam()
    kind = {0.0: "L2", 1.0: "L1"}.get(share, "elastic net")
    scale = "standardized" if params.getStandardization() else "unscaled"
    return (
        f"{kind} (regParam={params.getRegParam():g}, elasticNetParam={share:g}) on coefficients "
        f"of {scale} features{bounds}"
    )


def _coefficient_tables(
    numbers: ModelNumbers, params: FittedParams, deviation: Array
) -> tuple[Table, ...]:
    """Return a table per class, or a single table; the middle of many classes is left out."""
    intercepts = dense_vector(numbers.intercepts)
    classes = Ends.of(len(intercepts), MOST_CLASSES)
    most = max(min(MOST_FEATURES, MOST_ROWS // len(classes.places)), 2)
    features = Ends.of(numbers.features, most)
    names = numbers.feature_names(params.getFeaturesCol())
    values = _columns(stored_matrix(numbers.coefficients), features.places)
    # Softmax only compares classes with each other; their geometric mean is a neutral base.
    base = values.mean(axis=0) if numbers.family.per_class else 0.0
    with np.errstate(over="ignore"):
        shown = np.stack((values, values * deviation[features.places], np.exp(values - base)))
    made = []
    for k in classes.places:
        rows = [
            (names[j], *(number(one) for one in shown[:, k, at]))
            for at, j in enumerate(features.places)
        ]
        body = features.rows(rows, "features")
        if params.getFitIntercept():
            body = (("(intercept)", number(intercepts[k]), "", ""), *body)
        title = f"Coefficients of class {k}" if numbers.family.per_class else "Coefficients"
        made.append(Table(title, COEFFICIENTS, body))
    return tuple(made)


def _columns(matrix: Matrix, places: list[int]) -> Array:
    """Return some columns of a dense or sparse matrix as an array."""
    kept = matrix[:, places]
    return np.asarray(kept if isinstance(kept, np.ndarray) else kept.toarray())


def _coefficient_note(numbers: ModelNumbers) -> str:
    against = ", against the geometric mean of all classes" if numbers.family.per_class else ""
    return (
        "per std. dev.: the change of the log odds where the feature rises by one standard "
        f"deviation; odds ratio: where it rises by one{against}."
    )


def evaluation_page(
    predictions: PredictionFrame, confusion: Confusion, curve: ScoreCurve | None
) -> Page:
    """Return the page about how well a model predicts."""
    rows = f"{confusion.rows:,}"
    if predictions.weighted:
        rows += f", with weights ('{predictions.weight}') that sum to {amount(confusion.total)}"
    elif predictions.weight:
        rows += f", each counting one: there is no column '{predictions.weight}'"
    title = f"Predictions of '{predictions.label}'"
    facts = [
        ("rows", rows),
        ("accuracy", number(confusion.accuracy)),
    ]
    if curve is not None:
        facts.append(("area under ROC", number(curve.area_under_roc)))
        facts.append(("area under PR", number(curve.area_under_pr)))
    if not len(confusion.labels):
        return Page(title, tuple(facts))
    return Page(title, tuple(facts), (_label_table(confusion), _confusion_table(confusion)))


def _label_table(confusion: Confusion) -> Table:
    """Return a table of the measures of each label, with weighted means."""
    measures = (
        confusion.precision,
        confusion.recall,
        confusion.f_measure(),
        confusion.false_positive_rate,
    )
    shown = Ends.of(len(confusion.labels), 2 * MOST_CLASSES)
    rows = [
        (
            label_name(confusion.labels[at]),
            amount(confusion.support[at]),
            *(number(measure[at]) for measure in measures),
        )
        for at in shown.places
    ]
    means = [number(confusion.mean(measure)) for measure in measures]
    total = ("weighted mean", amount(confusion.total), *means)
    return Table("By label", BY_LABEL, (*shown.rows(rows, "labels"), total))


def _confusion_table(confusion: Confusion) -> Table:
    """Return a table of weights by label and prediction."""
    down = Ends.of(len(confusion.labels), MOST_CLASSES)
    across = Ends.of(len(confusion.predictions), MOST_CLASSES)
    labels, predictions = confusion.labels[down.places], confusion.predictions[across.places]
    weights = confusion.table(labels, predictions)
    rows = [
        (label_name(label), *across.joined([amount(one) for one in row], "..."))
        for label, row in zip(labels, weights, strict=True)
    ]
    header = across.joined([label_name(one) for one in predictions], "...")
    title = "Weight by label (down) and prediction (across)"
    return Table(title, ("label", *header), down.rows(rows, "labels"))
