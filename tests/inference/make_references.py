"""Compare references.json, as make_references.R writes it, with other ways to the same numbers.

From the root of the repository, after ``Rscript make_references.R`` in this folder (two minutes)::

    python -m tests.inference.make_references

It needs statsmodels, scikit-learn, firthmodels, mpmath and pandas below 3. It fails if two ways
differ by more than ``LIMITS`` allow, and else writes the file anew: the same numbers, one quantity
in a line, and under ``agreement`` the largest differences, as comparisons.py measures them.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
from firthmodels import FirthLogisticRegression
from scipy import stats
from sklearn.linear_model import LogisticRegression
from statsmodels.discrete.discrete_model import Logit, MNLogit
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM

from tests.inference.comparisons import (
    Found,
    compare_exact,
    compare_exact_classes,
    compare_exact_rest,
    in_errors,
    relative,
    units,
)
from tests.inference.references import FILE, Array, column, data, reference

# Largest differences to allow, by the way that is compared.
LIMITS = {"exact": 1e-9, "statsmodels": 1e-6, "numpy": 1e-9, "firthmodels": 1e-4, "sklearn": 1e-4}
PACKAGES = ["numpy", "scipy", "statsmodels", "scikit-learn", "firthmodels", "mpmath"]

# As printed by Heinze and Schemper (2002, 2006) and in the documentation of logistf and brglm2:
# estimates and errors by Firth's method, intercept last, and limits of the flag that separates.
PUBLISHED = {
    "endometrial": (
        [2.9293, -0.0348, -2.6042, 3.7746],
        [1.5508, 0.0396, 0.7760, 1.4887],
        [0.610, 7.855],
    ),
    "sex2": (
        [-1.1060, -0.0688, 2.2689, -2.1114, -0.7883, 3.0960, 0.1203],
        [0.4237, 0.4438, 0.5484, 0.5431, 0.4174, 1.6750, 0.4855],
        [0.775, 8.030],
    ),
}


def compare_statsmodels(name: str) -> Found:
    """A GLM on units: errors, deviances, sandwiches, influence, marginal effects."""
    case = reference(name)
    X, y, _, o = units(name)
    model = GLM(y, X, family=Binomial(), offset=o)
    fit = model.fit(tol=1e-14, tol_criterion="params", maxiter=100)
    yield "coefficients", in_errors(fit.params, case["coefficients"], case["standard_errors"])
    yield "covariance", in_errors(fit.cov_params(), case["covariance"], case["standard_errors"])
    yield "deviance", relative(fit.deviance, case["deviance"])
    yield "aic", relative(fit.aic, case["aic"])
    yield "p", relative(fit.pvalues, case["p"])
    robust = model.fit(tol=1e-14, tol_criterion="params", maxiter=100, cov_type="HC0")
    yield "hc0", in_errors(robust.cov_params(), case["hc0"], np.sqrt(np.diag(case["hc0"])))
    if not case["weight"]:
        influence = fit.get_influence()
        shown = len(case["influence"]["hat"])
        yield "hat", relative(influence.hat_matrix_diag[:shown], case["influence"]["hat"])
        yield "cook", relative(influence.cooks_distance[0][:shown], case["influence"]["cook"])
    if case["clusters"]:
        yield "cr1", statsmodels_clusters(name, model)
    if not case["offset"] and case["intercept"]:
        yield from statsmodels_effects(case, X, y)


def statsmodels_clusters(name: str, model: GLM) -> float:
    """statsmodels multiplies by G / (G - 1) (n - 1) / (n - k); the reference by the first alone."""
    wanted = np.array(reference(name)["clusters"]["cr1"])
    n, k = model.exog.shape
    grouped = {"groups": column(name, "cluster").astype(int)}
    fit = model.fit(tol=1e-14, tol_criterion="params", cov_type="cluster", cov_kwds=grouped)
    found = fit.cov_params() * (n - k) / (n - 1)
    return in_errors(found, wanted, np.sqrt(np.diag(wanted)))


def statsmodels_effects(case: Mapping[str, Any], X: Array, y: Array) -> Found:
    """Average marginal effects, which statsmodels has for Logit."""
    fit = Logit(y, X).fit(method="newton", tol=1e-12, disp=False)
    derivative = fit.get_margeff()
    wanted = case["marginal_effects"]["derivative"]
    yield "effects", relative(derivative.margeff, wanted["effects"])
    yield "effects' errors", relative(derivative.margeff_se, wanted["standard_errors"])
    wanted = case["marginal_effects"]["difference"]
    if wanted is not None:
        at = [case["columns"].index(flag) for flag in wanted["columns"]]
        difference = fit.get_margeff(dummy=True)
        yield "differences", relative(difference.margeff[at], wanted["effects"])
        yield "differences' errors", relative(difference.margeff_se[at], wanted["standard_errors"])


def compare_statsmodels_classes(name: str) -> Found:
    """MNLogit on units."""
    case = reference(name)
    X, y, _, _ = units(name)
    fit = MNLogit(y, X).fit(method="newton", tol=1e-12, maxiter=100, disp=False)
    errors = np.array(case["standard_errors"])
    beta = fit.params.T.ravel()
    yield "coefficients", in_errors(beta, np.ravel(case["coefficients"]), errors)
    yield "covariance", in_errors(fit.cov_params(), case["covariance"], errors)
    scores = fit.model.score_obs(fit.params)  # class after class
    V = fit.cov_params()
    found = V @ scores.T @ scores @ V
    yield "hc0", in_errors(found, case["hc0"], np.sqrt(np.diag(case["hc0"])))
    yield "log_likelihood", relative(fit.llf, case["log_likelihood"])
    yield "null_deviance", relative(-2 * fit.llnull, case["null_deviance"])
    degrees = (fit.df_model, fit.df_resid)
    yield "degrees of freedom", relative(degrees, (case["df_model"], case["df_residual"]))


def compare_numpy(name: str) -> Found:
    """Measures of scores, from their definitions."""
    case = reference(name)
    X, y, _, o = units(name)
    margin = X @ case["coefficients"] + o
    p = np.array([float(f"{score:.12g}") for score in 1 / (1 + np.exp(-margin))])
    ranks = stats.rankdata(p)
    positive, negative = y == 1, y == 0
    m, n = positive.sum(), negative.sum()
    v10 = (ranks[positive] - stats.rankdata(p[positive])) / n
    v01 = 1 - (ranks[negative] - stats.rankdata(p[negative])) / m
    error = np.sqrt(v10.var(ddof=1) / m + v01.var(ddof=1) / n)
    yield "roc.area", relative(v10.mean(), case["roc"]["area"])
    yield "roc.error", relative(error, case["roc"]["standard_error"])
    yield "brier", relative(np.mean((y - p) ** 2), case["calibration"]["brier_score"])
    at_one = GLM(y, np.ones((len(y), 1)), family=Binomial(), offset=margin).fit(tol=1e-14)
    free = GLM(y, np.column_stack([np.ones(len(y)), margin]), family=Binomial()).fit(tol=1e-14)
    wanted = [case["calibration"][key] for key in ("intercept", "slope_intercept", "slope")]
    yield "calibration", relative([*at_one.params, *free.params], wanted)
    for rule, groups in (("quantile", by_quantile(p)), ("cumulative", by_count(p))):
        wanted = case["hosmer_lemeshow"][rule]
        found = [chi2_part(y[groups == group], p[groups == group]) for group in np.unique(groups)]
        yield f"hosmer_lemeshow.{rule}", relative(sum(found), wanted["statistic"])
    if "pseudo_r2" in case:
        tjur = p[positive].mean() - p[negative].mean()
        yield "tjur", relative(tjur, case["pseudo_r2"]["tjur"])


def by_quantile(p: Array) -> Array:
    """Groups between quantiles, closed above."""
    breaks = np.unique(np.array([float(f"{q:.12g}") for q in np.quantile(p, np.arange(11) / 10)]))
    return np.maximum(np.searchsorted(breaks, p, side="left"), 1)


def by_count(p: Array) -> Array:
    """Group ceiling(10 C / n)."""
    upto = np.searchsorted(np.sort(p), p, side="right")
    return -(-10 * upto // len(p))


def chi2_part(y: Array, p: Array) -> float:
    """(observed - expected)^2 / (expected (1 - expected / n))."""
    expected = p.sum()
    return float((y.sum() - expected) ** 2 / (expected * (1 - expected / len(p))))


def compare_firthmodels(name: str) -> Found:
    """Firth's estimates, profile limits and tests; its errors are of the augmented information."""
    case = reference(name)["firth"]
    X, y, _, _ = units(name)
    model = FirthLogisticRegression(gtol=1e-5, xtol=1e-6, max_iter=500).fit(X[:, :-1], y)
    errors = case["standard_errors"]
    found = [*model.coef_, model.intercept_]
    yield "coefficients", in_errors(found, case["coefficients"], errors)
    limits = model.conf_int(method="pl", max_iter=500, tol=1e-8)
    yield "profile_limits", in_errors(limits.T, np.transpose(case["profile_limits"]), errors)
    yield "profile_p", relative(model.lrt().lrt_pvalues_, case["profile_p"])


def compare_sklearn(name: str) -> Found:
    """Balanced class weights."""
    case = reference(name)
    labels, matrix, _, _ = data(name)
    model = LogisticRegression(C=np.inf, class_weight="balanced", tol=1e-10, max_iter=5000)
    fit = model.fit(matrix, labels)
    found = [*fit.coef_[0], *fit.intercept_]
    yield "coefficients", in_errors(found, case["coefficients"], case["standard_errors"])


def check_published() -> None:
    """Firth's figures as they are in print."""
    for name, (coefficients, errors, limits) in PUBLISHED.items():
        case = reference(name)["firth"]
        at = reference(name)["columns"].index(reference(name)["infinite"][0])
        np.testing.assert_allclose(case["coefficients"], coefficients, rtol=0, atol=6e-5)
        np.testing.assert_allclose(case["standard_errors"], errors, rtol=0, atol=6e-5)
        np.testing.assert_allclose(case["profile_limits"][at], limits, rtol=0, atol=6e-4)


def ways(case: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[str], Found]]]:
    """What a case is compared with."""
    if "base" in case:
        yield from (("exact", compare_exact_classes), ("statsmodels", compare_statsmodels_classes))
    elif "infinite" in case:
        yield "exact", compare_exact_rest
    elif "class_weights" in case:
        yield from (("exact", compare_exact), ("sklearn", compare_sklearn))
    elif "covariance" in case:
        yield from (("exact", compare_exact), ("statsmodels", compare_statsmodels))
    if "roc" in case:
        yield "numpy", compare_numpy
    if "firth" in case:
        yield "firthmodels", compare_firthmodels


def agreement(name: str) -> dict[str, dict[str, float]]:
    """By way and quantity, to one digit."""
    found: dict[str, dict[str, float]] = {}
    for way, compare in ways(reference(name)):
        each = {quantity: float(f"{away:.0e}") for quantity, away in compare(name)}
        found[way] = each
        print(name, way, each, flush=True)
        assert all(away < LIMITS[way] for away in each.values()), f"{name}: {way} differs"
    return found


def write(versions: Mapping[str, str], found: Mapping[str, Any], cases: Mapping[str, Any]) -> None:
    """One quantity in a line."""

    def lines(entries: Mapping[str, Any], indent: str) -> str:
        shown = (f"{indent}{json.dumps(key)}: {json.dumps(entries[key])}" for key in entries)
        return "{\n" + ",\n".join(shown) + "\n" + indent[1:] + "}"

    each = ",\n".join(f" {json.dumps(name)}: {lines(case, '  ')}" for name, case in cases.items())
    head = f'"versions": {lines(versions, " ")},\n"agreement": {lines(found, " ")}'
    FILE.write_text(f'{{\n{head},\n"cases": {{\n{each}\n}}\n}}\n', encoding="utf-8")


def main() -> None:
    """Compare all, and write."""
    check_published()
    whole = json.loads(FILE.read_text(encoding="utf-8"))
    versions = whole["versions"] | {"Python": platform.python_version()}
    versions |= {package: version(package) for package in PACKAGES}
    found = {name: agreement(name) for name in whole["cases"]}
    write(versions, {name: each for name, each in found.items() if each}, whole["cases"])


if __name__ == "__main__":
    main()
