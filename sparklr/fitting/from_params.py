"""From Params and facts about the rows to specs of fits and settings of a packing.

Plain functions of Params. They check as much as is known: the column metadata before any job, and
the rest after the rows have been read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

from sparklr.arrays import MEGABYTE, Array
from sparklr.fitting.bias_reduction import check_bias_reduction
from sparklr.fitting.bounds_and_start import check_initial, read_bounds
from sparklr.fitting.choose_solver import check_solver
from sparklr.fitting.held_out import check_early_stopping
from sparklr.fitting.posterior import check_posterior
from sparklr.fitting.preconditioner import HESSIAN_LIMIT
from sparklr.fitting.spec import BiasReduction, Spec, Steps
from sparklr.objective.class_weights import ClassWeights, class_factors
from sparklr.objective.families import BINOMIAL, Family, family_for, family_named
from sparklr.objective.moments import Moments
from sparklr.packing.source import NEAR_BYTES, PackSettings
from sparklr.params import EstimatorParams, LogisticRegressionParams, held_name, offset_name
from sparklr.params.sgd import SGD_PARAMS
from sparklr.passes.threads import useful_threads
from sparklr.posterior.of_information import Search
from sparklr.rows.checks import MOST_COEFFICIENTS
from sparklr.rows.columns import TrainingRows
from sparklr.solvers.descent import StepRule
from sparklr.solvers.methods import SGD, SolverName
from sparklr.spark import classic
from sparklr.spark.errors import InvalidValueError
from sparklr.spark.settings import local_bytes, may_map_files

# With more coefficients, the Hessian for standard errors is not computed unless it is asked for.
MOST_INFERRED = 500


@dataclass(frozen=True, eq=False)
class Request:
    """One requested fit: its Params and, if there is an initial model, that model's numbers.

    initial : coefficients (C, p) and intercepts (C,)
    inference, separation : the values of these Params
    posterior : the posterior to find, if any
    """

    params: LogisticRegressionParams
    initial: tuple[Array, Array] | None = None
    inference: str = "never"
    separation: str = "ignore"
    posterior: Search | None = None


def check_sizes(request: Request, rows: TrainingRows) -> None:
    """Refuse, before any job, Params that contradict the column metadata."""
    params = request.params
    if rows.classes:
        _check_thresholds(params, rows.classes)
        family = family_of(params, rows.classes)
        _check_class_weights(params, rows.classes, family)
        check_solver(_spec(request, family, family.margins(rows.classes), rows.width))
        return
    named = params.getFamily().lower()
    known = None if named == "auto" else family_named(named)
    margins = None if known is None or known.per_class else known.margins(2)
    # Only the number of classes decides what "auto" means; `check_solver` does not need the family.
    check_solver(_spec(request, known or BINOMIAL, margins, rows.width))


def spec_of(request: Request, classes: int, features: int) -> Spec:
    """Return what to fit, for known numbers of classes and features."""
    _check_thresholds(request.params, classes)
    family = family_of(request.params, classes)
    _check_class_weights(request.params, classes, family)
    return _spec(request, family, family.margins(classes), features)


def _spec(request: Request, family: Family, margins: int | None, features: int | None) -> Spec:
    """Return what to fit, for these numbers of margins and features (None: not known yet)."""
    params, initial = request.params, request.initial
    if initial is not None:
        check_initial(initial, params, margins, features)
    check_offset(params, family)
    spec = Spec(
        family=family,
        regParam=params.getRegParam(),
        elasticNetParam=params.getElasticNetParam(),
        fitIntercept=params.getFitIntercept(),
        standardization=params.getStandardization(),
        maxIter=params.getMaxIter(),
        tol=params.getTol(),
        solver=cast(SolverName, params.getSolver().lower()),  # check_params has checked the name
        bounds=read_bounds(params, margins, features),
        class_weights=class_weights_of(params),
        initial=initial,
        biasReduction=cast(BiasReduction, params.getBiasReduction().lower()),
        steps=steps_of(params),
        patience=patience_of(params),
    )
    spec = _with_descent(spec, params)
    check_early_stopping(spec, request.inference)
    check_bias_reduction(spec, margins, features, offset=offset_name(params))
    kind = None if request.posterior is None else request.posterior.kind
    check_posterior(spec, kind, params, margins, features)
    return spec


def steps_of(params: LogisticRegressionParams) -> Steps:
    """Return the Params of steps; those of "sgd" alone are refused with another solver."""
    if not isinstance(params, EstimatorParams):
        return Steps()
    solver, value = params.getSolver(), params.getLearningRate()
    rate: float | Literal["auto"] = value if isinstance(value, float) else "auto"
    if solver.lower() != SGD:
        unused = [name for name in SGD_PARAMS if params.isSet(name)]
        if unused:
            raise InvalidValueError(
                f"{unused[0]} is for solver='{SGD}', but the solver is '{solver}'. Set "
                f"solver='{SGD}', or clear it."
            )
        return Steps(learningRate=rate)
    return Steps(
        learningRate=rate,
        schedule=params.getSchedule().lower(),
        batchSize=params.getBatchSize(),
        epochs=params.getEpochs(),
        momentum=params.getMomentum(),
        adaptive=params.getAdaptive().lower(),
        averaging=params.getAveraging(),
        seed=params.getSeed(),
    )


def patience_of(params: LogisticRegressionParams) -> int | None:
    """Return the value of patience, or None without held-out rows; then it must not be set."""
    if held_name(params) is not None:
        return params.getPatience()
    if params.isSet(params.patience):
        raise InvalidValueError(
            "patience is for early stopping, which needs held-out rows. Set "
            "validationIndicatorCol to a boolean column, or clear patience."
        )
    return None


def _with_descent(spec: Spec, params: LogisticRegressionParams) -> Spec:
    """Return the spec with the Params of gradient descent, or refuse those that are not used."""
    if not isinstance(params, EstimatorParams):
        return spec
    for name, solvers in (("stepRule", ("gd",)), ("learningRate", ("gd", SGD))):
        if params.isSet(name) and spec.solver not in solvers:
            words = " or ".join(f"'{its}'" for its in solvers)
            raise InvalidValueError(
                f"{name} is for solver={words}, but the solver is '{spec.solver}'. Set "
                f"solver={words}, or clear {name}."
            )
    return replace(spec, stepRule=cast(StepRule, params.getStepRule().lower()))


def check_offset(params: LogisticRegressionParams, family: Family) -> None:
    """Refuse offsets where each class has a margin of its own."""
    name = offset_name(params)
    if name is not None and family.per_class:
        raise InvalidValueError(
            f"offsetCol='{name}' is for binomial models: it is added to the log odds of label 1, "
            f"but this model is {family}. Clear offsetCol, or make labels of two classes."
        )


def class_weights_of(params: LogisticRegressionParams) -> ClassWeights | None:
    """Return the value of classWeights, or None if it is not set."""
    if not params.isSet(params.classWeights):
        return None
    value = params.getClassWeights()
    return "balanced" if isinstance(value, str) else tuple(value)  # check_params has checked it


def class_factors_of(
    params: LogisticRegressionParams, moments: Moments, classes: int
) -> Array | None:
    """Return the factors of the weights of so many classes, or None if there are none."""
    wanted = class_weights_of(params)
    return None if wanted is None else class_factors(wanted, moments.histogram(classes))


def with_inference(spec: Spec, request: Request, size: int, *, alone: bool) -> Spec:
    """Return the spec, with inference if the Param asks for it; `size` counts the coefficients.

    inference="auto" asks for it in a fit without penalty and bounds that is made alone: a search
    makes hundreds of fits, and nobody reads their standard errors. A posterior begins with the
    Hessian too. Without penalty and bounds, a fit with inference looks for separation, unless that
    Param is "ignore"; with a posterior always, since none exists where the rows are separated.
    """
    wanted = request.inference == "always"
    plain = spec.regParam == 0 and spec.bounds is None and spec.patience is None
    if request.inference == "auto":
        wanted = alone and plain and size <= MOST_INFERRED
    if wanted and size > HESSIAN_LIMIT:
        raise InvalidValueError(
            f"inference='always' needs a matrix of {size:,} x {size:,} numbers on the driver, but "
            f"the limit is {HESSIAN_LIMIT:,} coefficients. Use inference='auto' or 'never'."
        )
    watched = wanted and plain and spec.biasReduction == "none"
    watched = watched and request.separation != "ignore"
    if request.posterior is not None:
        wanted, watched = True, plain
    return replace(spec, inference=wanted, watched=watched)


def family_of(params: LogisticRegressionParams, classes: int) -> Family:
    """Return the family that the Params name, for labels of this many classes."""
    name = params.getFamily().lower()
    if name == "auto":
        return family_for(classes)
    family = family_named(name)
    if not family.allows(classes):
        raise InvalidValueError(
            f"family='{family}' allows at most 2 classes, but column '{params.getLabelCol()}' "
            f"has {classes} classes. Use family='{family_for(classes)}' or 'auto'."
        )
    return family


def classes_of(params: LogisticRegressionParams, rows: TrainingRows, moments: Moments) -> int:
    """Return the number of classes: from the column metadata, or else the largest label plus 1."""
    classes = rows.classes or int(moments.labels[-1]) + 1
    if classes * (moments.features + 1) > MOST_COEFFICIENTS:
        raise InvalidValueError(
            f"Column '{params.getLabelCol()}': the largest label is {classes - 1:.10g}, so there "
            f"are {classes:.10g} classes of {moments.features} features. The limit is "
            f"{MOST_COEFFICIENTS} coefficients. Index the labels 0, 1, 2, ... with "
            "pyspark.ml.feature.StringIndexer."
        )
    return classes


def _check_thresholds(params: LogisticRegressionParams, classes: int) -> None:
    """Refuse thresholds unless there is one per class."""
    count = len(params.getOrDefault("thresholds")) if params.isSet(params.thresholds) else classes
    if count != classes:
        raise InvalidValueError(
            f"thresholds has {count} values, but column '{params.getLabelCol()}' has {classes} "
            "classes. Give one threshold per class."
        )


def _check_class_weights(params: LogisticRegressionParams, classes: int, family: Family) -> None:
    """Refuse class weights unless there is one per class; two serve rows of a single class too."""
    wanted = class_weights_of(params)
    known = {classes, family.classes(family.margins(classes))}
    if wanted is not None and wanted != "balanced" and len(wanted) not in known:
        raise InvalidValueError(
            f"classWeights has {len(wanted)} values, but column '{params.getLabelCol()}' has "
            f"{classes} classes. Give one weight per class, or classWeights='balanced'."
        )


def pack_settings(params: LogisticRegressionParams, rows: TrainingRows) -> PackSettings:
    """Return how to pack these rows, from the Params, the session and the column metadata."""
    session = rows.frame.sparkSession
    plain = PackSettings()
    near, map_files = classic.is_local_mode(session), may_map_files(session)
    slots = classic.task_slots(session)
    return PackSettings(
        local_bytes=local_bytes(session, NEAR_BYTES if near else plain.local_bytes),
        block_bytes=int(params.getMaxBlockSizeInMB() * MEGABYTE) or plain.block_bytes,
        depth=params.getAggregationDepth(),
        slots=slots,
        map_files=map_files,
        wider=not (near and map_files),
        width=rows.width,
        classes=rows.classes,
        folded=rows.folded,
        near=near and map_files and slots is not None and useful_threads(slots) >= slots,
        most_bytes=rows.most_bytes,
    )
