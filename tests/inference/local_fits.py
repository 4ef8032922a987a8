"""The cases of the references in memory, and fits of them without Spark."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparklr.arrays import Array
from sparklr.fitting.outcome import Fit
from sparklr.fitting.plan import fit_all
from sparklr.fitting.spec import Spec
from sparklr.objective.families import family_for
from sparklr.objective.information import Information
from sparklr.passes.local import LocalPasses
from sparklr.rows.blocks import Block
from sparklr.solvers.methods import SolverName
from tests.inference.references import cases, column, data, reference

# Those of other rows, or separated, are for other tests.
OTHERS = {"pima_held_out", "endometrial", "sex2", "iris_three"}
PLAIN = [name for name in cases() if name not in OTHERS]


def spec_of(name: str, **rest: Any) -> Spec:
    known, classes = reference(name), int(data(name).labels.max()) + 1
    weights: Any = "balanced" if "class_weights" in known else None
    family, intercept = family_for(classes), known["intercept"]
    return Spec(family, fitIntercept=intercept, class_weights=weights, **rest)


def fit_of(name: str, solver: SolverName = "auto") -> tuple[Fit, Information, LocalPasses]:
    rows, known = data(name), reference(name)
    offsets = column(name, "offset") if known["offset"] else None
    block = Block(rows.matrix, rows.labels, rows.weights, 0, {}, offsets)
    passes, classes = LocalPasses.of([block], len(rows.names)), int(rows.labels.max()) + 1
    spec = spec_of(name, inference=True, solver=solver)
    fit = fit_all({0: spec}, passes, classes)[0][0]
    assert fit.information is not None
    return fit, fit.information, passes


def in_order(fit: Fit, covariance: Array, count: int) -> tuple[Array, Array]:
    """Coefficients and covariance as the references have them, without a base class."""
    values = np.column_stack((fit.coefficients, fit.intercepts))
    if len(values) == 1:
        return values[0][:count], covariance[:count, :count]
    width = values.shape[1]
    return (values - values[0])[1:].ravel(), covariance[width:, width:]
