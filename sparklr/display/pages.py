"""The pages that summaries print: one about a fit, and one about how well a model predicts.

A page is made of numbers that are already computed: nothing here runs a Spark job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from sparklr.arrays import Array, Matrix
from sparklr.display.tables import (
    GAP,
    Ends,
    Page,
    Table,
    amount,
    column,
    label_name,
    number,
    percent,
    places_for,
)
from sparklr.fitting.outcome import FitReport
from sparklr.scoring.aggregates import PredictionFrame
from sparklr.scoring.metrics import Confusion, ScoreCurve
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.matrices import dense_vector, stored_matrix

MOST_FEATURES = 20  # rows of a table of coefficients
MOST_ROWS = 60  # rows of all tables of coefficients together
MOST_CLASSES = 10  # classes in a line or in a table, and tables of coefficients on a page

ALL_COEFFICIENTS = "For all coefficients read model.coefficientMatrix and model.featureNames."
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
    def getOrDefault(self, param: str, /) -> Any: ...


def model_page(
    numbers: ModelNumbers,
    params: FittedParams,
    report: FitReport | None,
    measures: list[tuple[str, str]],
) -> Page:
    """Return the page about a model: with the facts of its fit and measures, if it knows them."""
    if report is None:
        facts = [("classes", f"{numbers.classes:,}"), *_model_facts(numbers, params, [])]
        deviation = None
    else:
        facts, deviation = _fit_facts(numbers, params, report), report.deviation
    threshold = _threshold(numbers, params)
    tables = _coefficient_tables(numbers, params, deviation)
    notes = [_coefficient_note(numbers, deviation)]
    if any(isinstance(row, str) for table in tables for row in table.rows):
        notes.append(ALL_COEFFICIENTS)
    return Page(_title(numbers, params), (*facts, *threshold, *measures), tables, tuple(notes))


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
        notes = [_coefficient_note(numbers, report.deviation), *measures.notes]
    if any(isinstance(row, str) for table in tables for row in table.rows):
        notes.append(ALL_COEFFICIENTS)
    return Page(_title(numbers, params), facts, tables, tuple(notes))


def area_fact(area: float | None) -> list[tuple[str, str]]:
    """Return the line about the area under the ROC curve, if it is known."""
    return [] if area is None else [("area under ROC", f"{number(area)}, on the rows of the fit")]


def _title(numbers: ModelNumbers, params: FittedParams) -> str:
    return f"Logistic regression, {numbers.family}, of '{params.getLabelCol()}'"


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
    work = f"{_count(len(report.history) - 1, 'iteration')}, {_count(report.passes, 'pass', 'es')}"
    return [
        ("rows", rows),
        ("classes", _shares(report.label_weights)),
        *_model_facts(numbers, params, fitted),
        ("solver", f"{report.solver}, {work} over the rows"),
        *_rate_facts(report),
        ("outcome", report.reason if ended else f"NOT CONVERGED: {report.reason}"),
        *judged,
    ]


def _model_facts(
    numbers: ModelNumbers, params: FittedParams, fitted: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return what is known without a report; `fitted` has what is shown beside the intercept."""
    used = len(numbers.used)
    facts = [
        ("features", f"{numbers.features:,}, of them {used:,} with a coefficient other than 0"),
        ("penalty", _penalty(params)),
        ("intercept", "fitted" if params.getFitIntercept() else "none"),
    ]
    if params.isSet("offsetCol") and params.getOffsetCol():
        facts.append(("offset", f"'{params.getOffsetCol()}'"))
    return [*facts, *fitted]


def _threshold(numbers: ModelNumbers, params: FittedParams) -> list[tuple[str, str]]:
    """Return the threshold, or the thresholds if they are set."""
    if params.isSet("thresholds"):
        values = [float(value) for value in params.getOrDefault("thresholds")]
        shown = Ends.of(len(values), MOST_CLASSES)
        words = shown.joined([f"{at}: {values[at]:g}" for at in shown.places], GAP)
        return [("thresholds", ", ".join(words))]
    if numbers.family.per_class:
        return []
    return [("threshold", f"{float(params.getOrDefault('threshold')):g}, for label 1")]


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
    numbers: ModelNumbers, params: FittedParams, deviation: Array | None
) -> tuple[Table, ...]:
    """Return a table per class, or a single table; the middle of many classes is left out.

    So are coefficients of 0, which are many with an L1 penalty; of many others the largest stay.
    There is no column per standard deviation if the deviations are not known.
    """
    intercepts = dense_vector(numbers.intercepts)
    classes = Ends.of(len(intercepts), MOST_CLASSES)
    most = max(min(MOST_FEATURES, MOST_ROWS // len(classes.places)), 2)
    names, matrix = (
        numbers.feature_names(params.getFeaturesCol()),
        stored_matrix(numbers.coefficients),
    )
    header = COEFFICIENTS if deviation is not None else (*COEFFICIENTS[:2], COEFFICIENTS[-1])
    made = []
    for k in classes.places:
        its = _columns(matrix[[k]], range(numbers.features))[0]
        places = _largest(its, its if deviation is None else its * deviation, most)
        values = _columns(matrix, places)
        # Softmax only compares classes with each other; their geometric mean is a neutral base.
        base = values.mean(axis=0) if numbers.family.per_class else 0.0
        with np.errstate(over="ignore"):
            ratios = [number(one) for one in np.exp(values - base)[k]]
        first, *others = _column(np.append(intercepts[k], values[k]))
        per = [] if deviation is None else [_column(values[k] * deviation[places])]
        body: list[tuple[str, ...] | str] = [
            *zip([names[j] for j in places], others, *per, ratios, strict=True)
        ]
        if params.getFitIntercept():
            body = [("(intercept)", first, *[""] * (len(header) - 2)), *body]
        body += _left_out(int(np.count_nonzero(its)) - len(places), int((its == 0).sum()))
        title = f"Coefficients of class {k}" if numbers.family.per_class else "Coefficients"
        made.append(Table(title, header, tuple(body)))
    return tuple(made)


def _left_out(smaller: int, zeros: int) -> list[str]:
    """Return lines about features that a table does not show."""
    lines = []
    if smaller:
        lines.append(f"{GAP} {_count(smaller, 'more feature')}, with smaller effects {GAP}")
    if zeros:
        lines.append(f"{GAP} {_count(zeros, 'feature')} with a coefficient of 0 {GAP}")
    return lines


def _column(values: Array) -> list[str]:
    """Return numbers with one count of decimals, unless that would be too long."""
    places = places_for(values) if values.any() else None
    return [number(one) for one in values] if places is None else column(values, places)


def _largest(values: Array, sizes: Array, most: int) -> list[int]:
    """Return which features are shown: all that are not 0 or, of too many, the largest first."""
    places = np.flatnonzero(values)
    if len(places) > most:
        places = places[np.argsort(-np.abs(sizes[places]), kind="stable")[:most]]
    return [int(j) for j in places]


def _columns(matrix: Matrix, places: Sequence[int]) -> Array:
    """Return some columns of a dense or sparse matrix as an array."""
    kept = matrix[:, list(places)]
    return np.asarray(kept if isinstance(kept, np.ndarray) else kept.toarray())


def _coefficient_note(numbers: ModelNumbers, deviation: Array | None) -> str:
    against = ", against the geometric mean of all classes" if numbers.family.per_class else ""
    if deviation is None:
        return f"odds ratio: the factor on the odds where the feature rises by one{against}."
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
