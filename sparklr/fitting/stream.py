"""From Params and the frame of a batch to what is known after it: the basis of `partialFit`.

What the Params rule out is refused before any job, and what the rows rule out before any state.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pyspark.sql import DataFrame

from sparklr.fitting.bounds_and_start import BOUNDS
from sparklr.fitting.from_params import (
    Request,
    check_sizes,
    classes_of,
    family_of,
    pack_settings,
    spec_of,
)
from sparklr.fitting.rounds import stop_of
from sparklr.objective.moments import Moments
from sparklr.params import (
    EstimatorParams,
    check_decay,
    check_params,
    discount_of,
    held_name,
    offset_name,
)
from sparklr.params.sgd import SGD_PARAMS
from sparklr.passes.jobs import open_passes
from sparklr.posterior.learning import Learned, learn
from sparklr.posterior.stream import MOST_FULL, StreamState
from sparklr.rows.columns import TrainingRows, training_rows
from sparklr.scoring.outputs import check_output_columns, posterior_params
from sparklr.spark.errors import InvalidValueError

OF_OTHER_SOLVERS = ("stepRule", "learningRate", "patience", *SGD_PARAMS)


def learn_frame(
    params: EstimatorParams,
    frame: DataFrame,
    state: StreamState | None,
    stage: Callable[[str], None],
) -> Learned:
    """Return what is known after the rows of a frame; `stage` is called with each stage's name.

    state : what was learned before; None for a first batch
    """
    check_params(params)
    check_stream(params)
    check_output_columns(frame, params)
    rows, request = training_rows(frame, params), Request(params)
    check_sizes(request, rows)
    if state is not None:
        _check_alike(params, state, rows)
    stage("packing rows")
    with open_passes(rows.frame, rows.names, pack_settings(params, rows)) as passes:
        moments = passes.moments
        if state is None:
            state = _first_state(params, rows, moments)
        _check_rows(params, state, moments)
        spec = spec_of(request, state.classes, state.features)
        stage("learning the batch")
        found = learn(
            state,
            passes,
            regParam=spec.regParam,
            discount=discount_of(params, moments.rows),
            stop=stop_of(spec),
        )
    if not np.isfinite(found.state.precision).all() or not np.isfinite(found.state.mean).all():
        raise InvalidValueError(
            "The batch cannot be learned: a loss or a derivative is not a finite number. Rescale "
            "features whose values differ by many powers of ten. The model is as it was."
        )
    return found


def check_stream(params: EstimatorParams) -> None:
    """Refuse Params that do not go with a posterior that is carried on."""
    check_decay(params)
    for clash, why in (*_clashes_of_prior(params), *_clashes_of_rows_and_results(params)):
        if clash:
            raise InvalidValueError(f"partialFit {why}.")


def _clashes_of_prior(params: EstimatorParams) -> list[tuple[bool, str]]:
    """Return whether Params rule a normal prior out, and why."""
    mixing, bound = params.getElasticNetParam(), next(filter(params.isSet, BOUNDS), None)
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
            params.getBiasReduction().lower() != "none",
            "does not go with biasReduction: its prior is regParam. Set biasReduction='none'",
        ),
    ]


def _clashes_of_rows_and_results(params: EstimatorParams) -> list[tuple[bool, str]]:
    """Return whether Params ask for other rows, starts or results than a stream has, and why."""
    offset, held = offset_name(params), held_name(params)
    solver, posterior = params.getSolver().lower(), params.getPosterior().lower()
    unused = next(filter(params.isSet, OF_OTHER_SOLVERS), None)
    return [
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
        (solver != "auto", f"has a solver of its own. Set solver='auto', not '{solver}'"),
        (unused is not None, f"has a solver of its own, which does not use {unused}. Clear it"),
        (
            posterior not in ("none", "laplace"),
            f"carries Laplace's posterior on. Set posterior='none' or 'laplace', not '{posterior}'",
        ),
        (
            params.getInference().lower() == "always",
            "finds a posterior, not standard errors. Set inference='auto' or 'never', and read "
            "model.posterior",
        ),
    ]


def _first_state(params: EstimatorParams, rows: TrainingRows, moments: Moments) -> StreamState:
    classes = classes_of(params, rows, moments)
    family = family_of(params, classes)
    if not family.per_class:
        classes = 2  # the second may come with a later batch
    each = rows.names.each
    known = each is not None and len(each) == moments.features
    return StreamState.before(
        moments,
        family=family,
        classes=classes,
        names=tuple(each) if known and each is not None else None,
        intercept=params.getFitIntercept(),
        standardized=params.getStandardization(),
    )


def _check_alike(params: EstimatorParams, state: StreamState, rows: TrainingRows) -> None:
    """Refuse, before any job, a batch that is not like those before."""
    for name, given, known in (
        ("fitIntercept", params.getFitIntercept(), state.intercept),
        ("standardization", params.getStandardization(), state.standardized),
    ):
        if given != known:
            raise InvalidValueError(
                f"{name}={given}, but the model has learned with {name}={known}. Set it to that, "
                "or begin a new model."
            )
    family = params.getFamily().lower()
    if family not in ("auto", state.family.name):
        raise InvalidValueError(
            f"family='{family}', but the model has learned as {state.family}. Set family='auto', "
            "or begin a new model."
        )
    _check_width(params, state, rows.width)
    if rows.classes is not None and rows.classes > state.classes:
        raise InvalidValueError(_of_classes(params, state, f"{rows.classes} classes"))
    each = rows.names.each
    if each is not None and state.names is not None and tuple(each) != state.names:
        at = next(at for at, (a, b) in enumerate(zip(each, state.names, strict=True)) if a != b)
        raise InvalidValueError(
            f"Feature {at} is '{each[at]}', but the model has learned '{state.names[at]}' there. "
            "Give the features in the order of the first batch."
        )


def _check_rows(params: EstimatorParams, state: StreamState, moments: Moments) -> None:
    """Refuse rows with other features or labels than those that were learned."""
    _check_width(params, state, moments.features)
    label = moments.labels[-1]
    if label >= state.classes:
        raise InvalidValueError(_of_classes(params, state, f"label {label:g}"))
    asked = posterior_params(params)
    if asked and not state.full:
        raise InvalidValueError(
            f"{asked[0]} needs a covariance, but {len(state.mean):,} coefficients have deviations "
            f"alone: partialFit keeps a matrix of at most {MOST_FULL:,}. Clear it."
        )


def _check_width(params: EstimatorParams, state: StreamState, width: int | None) -> None:
    if width is not None and width != state.features:
        which = "featuresCols" if params.isSet(params.featuresCols) else params.getFeaturesCol()
        raise InvalidValueError(
            f"Column '{which}' has {width} features, but the model has learned {state.features}. "
            "Give batches of the same features, or begin a new model."
        )


def _of_classes(params: EstimatorParams, state: StreamState, found: str) -> str:
    return (
        f"Column '{params.getLabelCol()}' has {found}, but the model has learned {state.classes} "
        "classes. Begin a new model with a batch that has the largest label, or whose metadata "
        "give the number of classes, as StringIndexer writes it."
    )
