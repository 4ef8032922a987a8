"""What goes with the Param `posterior`, and the posterior of a fit.

What the Params rule out is refused before any job, and what the rows rule out after the fit.
"""

from __future__ import annotations

from typing import cast

from sparklr.fitting.outcome import Fit
from sparklr.fitting.spec import Spec
from sparklr.params import EstimatorParams, LogisticRegressionParams, offset_name
from sparklr.passes.protocol import Passes
from sparklr.posterior.numbers import PosteriorNumbers
from sparklr.posterior.of_information import Mode, PosteriorKind, Search, find_posterior
from sparklr.scoring.outputs import posterior_params
from sparklr.solvers.methods import SGD
from sparklr.spark.errors import InvalidValueError

# A model keeps, saves and scores with a matrix of their number squared.
MOST_COEFFICIENTS = 2_000


def search_of(estimator: EstimatorParams) -> Search | None:
    """Return which posterior the Params ask for, or None."""
    kind, asked = estimator.getPosterior().lower(), posterior_params(estimator)
    if kind == "none":
        if asked:
            raise InvalidValueError(
                f"{asked[0]} needs a posterior. Set posterior='gaussian' or 'laplace', or clear it."
            )
        return None
    return Search(
        cast(PosteriorKind, kind),  # checked by its rule
        estimator.getPosteriorTol(),
        estimator.getNumDraws(),
        estimator.getSeed() % 2**63,  # numpy takes no negative seed
    )


def check_posterior(
    spec: Spec,
    choice: PosteriorKind | None,
    params: LogisticRegressionParams,
    margins: int | None,
    features: int | None,
) -> None:
    """Refuse what does not go with a posterior; sizes are None if not known yet."""
    check_posterior_columns(params, offset_name(params))
    if choice is None:
        return
    why, remedy = _what_it_lacks(spec, choice)
    if why:
        raise InvalidValueError(f"posterior='{choice}' {why}. {remedy}, or set posterior='none'.")
    size = (margins or 1) * ((features or 0) + int(spec.fitIntercept))
    if size > MOST_COEFFICIENTS:
        raise InvalidValueError(
            f"posterior='{choice}' is for at most {MOST_COEFFICIENTS:,} coefficients, because it "
            f"keeps a matrix of their number squared, but there are {size:,}. Fit with fewer "
            "features, or set posterior='none'."
        )


def check_posterior_columns(params: LogisticRegressionParams, offset: str | None) -> None:
    """Refuse columns of the posterior where they cannot be made."""
    asked = posterior_params(params)
    if not asked:
        return
    if offset is not None:
        raise InvalidValueError(
            f"{asked[0]} does not go with offsetCol='{offset}': columns of the posterior are made "
            "without offsets. Clear one of the two; model.posterior has draws for both."
        )


def no_posterior_for(asked: str) -> str:
    """Return the sentence that refuses a Param where there is no posterior for it."""
    return (
        f"{asked} needs a posterior, but this model has none. Clear it, or fit with "
        "posterior='gaussian' or 'laplace'."
    )


def _what_it_lacks(spec: Spec, choice: PosteriorKind) -> tuple[str, str]:
    """Return why a spec has no such posterior and what to do, or empty words."""
    if spec.biasReduction != "none":
        return (
            f"does not go with biasReduction='{spec.biasReduction}', whose prior changes with the "
            "coefficients and is not normal",
            "Use regParam above 0 as the prior",
        )
    if spec.solver == SGD:
        return (
            f"needs the optimum, but solver='{SGD}' may end before it",
            "Use solver='auto'",
        )
    if spec.regParam > 0 and spec.elasticNetParam > 0:
        return (
            f"needs a normal prior, but elasticNetParam={spec.elasticNetParam:g} has an L1 part, "
            "whose optimum sets coefficients to zero and has no curvature there",
            "Set elasticNetParam=0",
        )
    if spec.patience is not None:
        return "does not go with validationIndicatorCol: it is found around the optimum", (
            "Clear validationIndicatorCol"
        )
    if spec.bounds is not None:
        return "does not go with bounds on coefficients, which cut a normal distribution off", (
            "Clear the bounds"
        )
    if spec.class_weights is not None:
        return (
            "does not go with classWeights, which count rows more or less often than they occur",
            "Clear classWeights, and move the threshold instead",
        )
    if spec.family.per_class and choice not in ("laplace", "sampled"):
        return f"is for binomial models, but the family is {spec.family}", (
            "Set posterior='laplace' or 'sampled'"
        )
    return "", ""


def posterior_of(search: Search, fit: Fit, spec: Spec, passes: Passes) -> PosteriorNumbers:
    """Return the posterior of a fit on all rows, or refuse to where there is none."""
    choice, information = search.kind, fit.information
    why = _why_improper(fit, spec)
    if why is not None or information is None:
        raise InvalidValueError(f"posterior='{choice}' does not exist: {why}")
    mode = Mode.of(information, spec.family, fit.coefficients, fit.intercepts)
    if mode is None:
        raise InvalidValueError(
            f"posterior='{choice}' does not exist: the Hessian at the optimum is not positive "
            "definite, to rounding. Use a larger regParam, or leave out features that are nearly "
            "sums of others."
        )
    return find_posterior(search, mode, information, passes)


def _why_improper(fit: Fit, spec: Spec) -> str | None:
    """Return why a fit has no posterior, and what to do, or None."""
    if fit.information is None:
        return (
            f"this fit needed no solver ({fit.reason}), so nothing bounds its coefficients. Fit "
            "rows with labels of both classes and features that vary."
        )
    found = fit.separation
    if spec.regParam == 0 and found is not None and found.kind in ("complete", "quasi-complete"):
        return (
            "without a penalty the rows are separated, and no finite distribution of the "
            "coefficients results. Set regParam above 0, which is a normal prior."
        )
    if fit.information.singular and spec.regParam == 0:
        return (
            "some features are sums of others, so that the rows do not determine their "
            "coefficients. Set regParam above 0, which is a normal prior, or leave them out."
        )
    if not fit.converged:
        return f"the fit has not found the optimum ({fit.reason}). Raise maxIter."
    proved = fit.certificate is not None and fit.certificate.estimateExists
    if spec.regParam == 0 and not proved and (found is None or found.kind != "none"):
        return (
            "it is not known whether the rows are separated, and without a penalty no posterior "
            "exists if they are. Set regParam above 0, which is a normal prior."
        )
    return None
