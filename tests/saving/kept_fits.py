"""Models with the summaries of fits of the references in memory, and the same from JSON."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.fitting.from_params import class_factors_of, class_weights_of
from sparklr.fitting.null_model import null_models
from sparklr.fitting.plan import fit_all
from sparklr.fitting.problem import Problem
from sparklr.fitting.spec import BiasReduction, Spec
from sparklr.objective.families import family_for
from sparklr.params import LogisticRegressionParams
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.separation.search import find_separation
from tests.inference.references import column, data, reference
from tests.made_models import fitted_model, training

# With weights, without an intercept, separated, with classes, with a column that depends, and with
# the Params that change what the likelihood is. The name before the comma is that of the rows.
CASES: dict[str, dict[str, Any]] = {
    "birthwt": {},
    "birthwt_weighted": {},
    "birthwt_origin": {"fitIntercept": False},
    "endometrial": {},
    "alligators": {},
    "birthwt, dependent": {},
    "endometrial, firth": {"biasReduction": "firth"},
    "birthwt_weighted, firth": {"biasReduction": "firth"},
    "rare_balanced": {"classWeights": "balanced"},
    "alligators, class weights": {"classWeights": [1.0, 2.0, 1.0, 0.5, 3.0]},
    "endometrial, class weights": {"classWeights": "balanced"},
    "pima_offset": {"offsetCol": "moved"},
}


def spec_of(classes: int, params: LogisticRegressionParams) -> Spec:
    return Spec(
        family_for(classes),
        fitIntercept=params.getFitIntercept(),
        biasReduction=cast(BiasReduction, params.getBiasReduction()),
        class_weights=class_weights_of(params),
        inference=True,
        watched=params.getBiasReduction() == "none",
    )


def fitted(case: str, **params: Any) -> LogisticRegressionModel:
    """A model with a summary, of rows in memory, as a fit on Spark makes it."""
    name = case.split(",")[0]
    rows, offsets = data(name), None
    matrix, names = rows.matrix, list(rows.names)
    if "dependent" in case:
        matrix, names = np.column_stack((matrix, matrix[:, 0] * 2 - 3)), [*names, "copy"]
    if reference(name).get("offset"):
        offsets = column(name, "offset")
    block = Block(matrix, rows.labels, rows.weights, 0, {}, offsets)
    passes, classes = LocalPasses.of([block], len(names)), int(rows.labels.max()) + 1
    estimator = LogisticRegressionEstimator(**CASES.get(case, {}))
    spec, moments = spec_of(classes, estimator), passes.moments
    fit = fit_all({0: spec}, passes, classes)[0][0]
    assert fit.certificate is not None
    found = fit.separation
    if spec.watched and found is None and not fit.certificate.estimateExists:
        found = find_separation(passes, spec.family, classes, intercept=spec.fitIntercept)
    model = fitted_model(fit.coefficients, fit.intercepts, classes, names)
    estimator._copyValues(model)
    model._set(**params)
    kept = ("history", "solver", "converged", "loss", "information", "certificate", "products")
    problem = Problem.of(spec, moments, classes)
    model._summary = training(
        model,
        reason=fit.reason if found is None else found.outcome(names),
        separation=found,
        rows=moments.rows,
        label_weights=moments.histogram(classes),
        deviation=np.sqrt(moments.variance),
        means=moments.mean,
        factors=class_factors_of(estimator, moments, classes),
        null_loss=None if offsets is None else null_models([problem], passes)[0][0][1],
        penalised=fit.penalised,
        **{name: getattr(fit, name) for name in kept},
    )
    return model


def from_json(model: LogisticRegressionModel) -> LogisticRegressionModel:
    return LogisticRegressionModel.fromJson(model.toJson())
