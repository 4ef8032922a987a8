"""Which Params go with learning from batches; what does not is refused before any job."""

from __future__ import annotations

from sparklr.fitting.bounds_and_start import BOUNDS
from sparklr.params import EstimatorParams, check_decay, held_name, offset_name
from sparklr.params.sgd import SGD_PARAMS
from sparklr.scoring.outputs import posterior_params
from sparklr.solvers.methods import SGD
from sparklr.solvers.schedules import ENDLESS
from sparklr.spark.errors import InvalidValueError

OF_OTHER_SOLVERS = ("stepRule", "learningRate", "patience", *SGD_PARAMS)


def check_stream(params: EstimatorParams) -> None:
    """Refuse Params that do not go with a posterior that is carried on, or with a descent."""
    check_decay(params)
    own = _clashes_of_descent if by_descent(params) else _clashes_of_posterior
    for clash, why in (*own(params), *_clashes_of_rows_and_results(params)):
        if clash:
            raise InvalidValueError(f"partialFit {why}.")


def by_descent(params: EstimatorParams) -> bool:
    """Whether batches are learned by stochastic gradient descent."""
    return params.getSolver().lower() == SGD


def _clashes_of_posterior(params: EstimatorParams) -> list[tuple[bool, str]]:
    """Return whether Params rule a normal prior out, and why."""
    mixing, bound = params.getElasticNetParam(), next(filter(params.isSet, BOUNDS), None)
    solver, posterior = params.getSolver().lower(), params.getPosterior().lower()
    unused = next(filter(params.isSet, OF_OTHER_SOLVERS), None)
    return [
        (
            params.getRegParam() == 0,
            "needs a prior, but regParam=0: a batch alone may be separated, or have a feature that "
            "does not vary. Set regParam above 0, as regParam=1e-6",
        ),
        (
            mixing > 0,
            f"carries a normal distribution on, but elasticNetParam={mixing:g} has an L1 part. Set "
            "elasticNetParam=0",
        ),
        (
            bound is not None,
            f"does not go with {bound}, which cuts a normal distribution off. Clear it",
        ),
        (
            solver != "auto",
            f"has a solver of its own. Set solver='auto', or '{SGD}', not '{solver}'",
        ),
        (unused is not None, f"has a solver of its own, which does not use {unused}. Clear it"),
        (
            posterior not in ("none", "laplace"),
            f"carries Laplace's posterior on. Set posterior='none' or 'laplace', not '{posterior}'",
        ),
    ]


def _clashes_of_descent(params: EstimatorParams) -> list[tuple[bool, str]]:
    """Return whether Params rule stochastic gradient descent out, and why."""
    mixing, bound = params.getElasticNetParam(), next(filter(params.isSet, BOUNDS), None)
    schedule, decay = params.getSchedule().lower(), params.getDecayFactor()
    unused = next((name for name in ("stepRule", "patience") if params.isSet(name)), None)
    posterior, asked = params.getPosterior().lower(), posterior_params(params)
    needs = f"posterior='{posterior}'" if posterior != "none" else next(iter(asked), "")
    return [
        (
            mixing > 0 and params.getRegParam() > 0,
            f"with solver='{SGD}' has no L1 part, but elasticNetParam={mixing:g}. Set "
            "elasticNetParam=0",
        ),
        (bound is not None, f"with solver='{SGD}' does not go with {bound}. Clear it"),
        (
            params.isSet(params.epochs),
            "makes one epoch of each batch, so epochs is not used. Clear it",
        ),
        (
            schedule not in ENDLESS,
            f"does not know how many epochs there will be, but schedule='{schedule}' depends on "
            f"it. Set schedule to one of {', '.join(ENDLESS)}",
        ),
        (decay < 1 and params.getAdaptive().lower() == "none", _nothing_fades(decay)),
        (unused is not None, f"with solver='{SGD}' does not use {unused}. Clear it"),
        (
            bool(needs),
            f"with solver='{SGD}' has no posterior, which {needs} needs. Clear it, or set "
            "solver='auto'",
        ),
    ]


def check_fading(params: EstimatorParams) -> None:
    """Refuse a decay for steps that are not Adagrad's."""
    if params.getDecayFactor() < 1:
        raise InvalidValueError(f"partialFit {_nothing_fades(params.getDecayFactor())}.")


def _nothing_fades(decay: float) -> str:
    return (
        f"without Adagrad has nothing that decayFactor={decay:g} could discount: the last rows "
        "count most by themselves. Clear decayFactor and halfLife, or begin a new model with "
        "adaptive='adagrad'"
    )


def _clashes_of_rows_and_results(params: EstimatorParams) -> list[tuple[bool, str]]:
    """Return whether Params ask for other rows, starts or results than a stream has, and why."""
    offset, held = offset_name(params), held_name(params)
    return [
        (
            params.getBiasReduction().lower() != "none",
            "does not go with biasReduction: its prior is regParam. Set biasReduction='none'",
        ),
        (offset is not None, f"does not go with offsetCol='{offset}'. Clear it"),
        (
            held is not None,
            f"does not go with validationIndicatorCol='{held}': it scores each row before it "
            "learns it. Clear it, and leave rows that are not to be learned out of the batch",
        ),
        (
            params.isSet(params.classWeights),
            "does not go with classWeights, which count rows more or less often than they occur. "
            "Clear classWeights, and move the threshold instead",
        ),
        (
            params.isSet(params.getParam("initialModel")),
            "begins at the model that it goes on with. Clear initialModel, and pass the model as "
            "`model`",
        ),
        (
            params.getInference().lower() == "always",
            "finds a posterior, not standard errors. Set inference='auto' or 'never', and read "
            "model.posterior",
        ),
    ]
