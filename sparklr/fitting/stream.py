"""From Params and the frame of a batch to what is known after it: the basis of `partialFit`.

What the Params rule out is refused before any job, and what the rows rule out before any state.
"""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import DataFrame

from sparklr.arrays import is_sparse
from sparklr.batches.descent import DescentState
from sparklr.batches.facts import Learned, StreamFacts
from sparklr.batches.normal import MOST_FULL, NormalState
from sparklr.fitting.from_params import (
    Request,
    check_sizes,
    classes_of,
    family_of,
    pack_settings,
    spec_of,
)
from sparklr.fitting.rounds import stop_of
from sparklr.fitting.stream_params import by_descent, check_fading, check_stream
from sparklr.fitting.walked_batch import walk_batch
from sparklr.objective.moments import Moments
from sparklr.params import EstimatorParams, check_params, discount_of
from sparklr.passes.jobs import open_passes
from sparklr.passes.protocol import Passes
from sparklr.posterior.learning import learn
from sparklr.rows.columns import TrainingRows, training_rows
from sparklr.scoring.outputs import check_output_columns, posterior_params
from sparklr.solvers.methods import SGD
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.settings import round_bytes


def learn_frame(
    params: EstimatorParams,
    frame: DataFrame,
    state: StreamFacts | None,
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
            state = _first_state(params, rows, passes)
        _check_rows(params, state, moments)
        spec = spec_of(request, state.classes, state.features)
        stage("learning the batch")
        discount = discount_of(params, moments.rows)
        if isinstance(state, DescentState):
            budget = round_bytes(frame.sparkSession)
            found = walk_batch(state, passes, spec, discount=discount, budget=budget)
        else:
            assert isinstance(state, NormalState)
            found = learn(
                state, passes, regParam=spec.regParam, discount=discount, stop=stop_of(spec)
            )
    if not found.state.finite:
        raise InvalidValueError(
            "The batch cannot be learned: a loss or a derivative is not a finite number. Rescale "
            "features whose values differ by many powers of ten. The model is as it was."
        )
    return found


def _first_state(params: EstimatorParams, rows: TrainingRows, passes: Passes) -> StreamFacts:
    moments = passes.moments
    classes = classes_of(params, rows, moments)
    family = family_of(params, classes)
    if not family.per_class:
        classes = 2  # the second may come with a later batch
    each = rows.names.each
    known = each is not None and len(each) == moments.features
    names = tuple(each) if known and each is not None else None
    shape = (family, classes, names, params.getFitIntercept(), params.getStandardization())
    if not by_descent(params):
        return NormalState.before(moments, *shape)
    sparse, adaptive = is_sparse(passes.sample.matrix), params.getAdaptive().lower()
    adagrad = sparse if adaptive == "auto" else adaptive == "adagrad"
    return DescentState.before(moments, *shape, sparse=sparse, adagrad=adagrad)


def _check_alike(params: EstimatorParams, state: StreamFacts, rows: TrainingRows) -> None:
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
    if by_descent(params) != isinstance(state, DescentState):
        solver = SGD if isinstance(state, DescentState) else "auto"
        raise InvalidValueError(
            f"solver='{params.getSolver()}', but the model has learned with solver='{solver}', and "
            f"goes on with that alone. Set solver='{solver}', or begin a new model."
        )
    adaptive = params.getAdaptive().lower()
    rule = "adagrad" if isinstance(state, DescentState) and state.adagrad else "none"
    if by_descent(params) and adaptive not in ("auto", rule):
        raise InvalidValueError(
            f"adaptive='{adaptive}', but the model has learned with adaptive='{rule}'. Set "
            "adaptive='auto', or begin a new model."
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


def _check_rows(params: EstimatorParams, state: StreamFacts, moments: Moments) -> None:
    """Refuse rows with other features or labels than those that were learned."""
    _check_width(params, state, moments.features)
    if isinstance(state, DescentState) and not state.adagrad:
        check_fading(params)
    label = moments.labels[-1]
    if label >= state.classes:
        raise InvalidValueError(_of_classes(params, state, f"label {label:g}"))
    asked = posterior_params(params)
    if asked and isinstance(state, NormalState) and not state.full:
        raise InvalidValueError(
            f"{asked[0]} needs a covariance, but {len(state.mean):,} coefficients have deviations "
            f"alone: partialFit keeps a matrix of at most {MOST_FULL:,}. Clear it."
        )


def _check_width(params: EstimatorParams, state: StreamFacts, width: int | None) -> None:
    if width is not None and width != state.features:
        which = "featuresCols" if params.isSet(params.featuresCols) else params.getFeaturesCol()
        raise InvalidValueError(
            f"Column '{which}' has {width} features, but the model has learned {state.features}. "
            "Give batches of the same features, or begin a new model."
        )


def _of_classes(params: EstimatorParams, state: StreamFacts, found: str) -> str:
    return (
        f"Column '{params.getLabelCol()}' has {found}, but the model has learned {state.classes} "
        "classes. Begin a new model with a batch that has the largest label, or whose metadata "
        "give the number of classes, as StringIndexer writes it."
    )
