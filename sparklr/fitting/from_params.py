"""From Params and facts about the rows to specs of fits and settings of a packing.

Plain functions of Params. They check as much as is known: the column metadata before any job, and
the rest after the rows have been read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from sparklr.arrays import MEGABYTE, Array
from sparklr.fitting.bias_reduction import check_bias_reduction
from sparklr.fitting.bounds_and_start import check_initial, read_bounds
from sparklr.fitting.choose_solver import check_solver
from sparklr.fitting.preconditioner import HESSIAN_LIMIT
from sparklr.fitting.spec import BiasReduction, Spec
from sparklr.objective.families import BINOMIAL, Family, family_for, family_named
from sparklr.objective.moments import Moments
from sparklr.packing.job import NEAR_BYTES, PackSettings
from sparklr.params import LogisticRegressionParams
from sparklr.rows.checks import MOST_COEFFICIENTS
from sparklr.rows.columns import TrainingRows
from sparklr.solvers.methods import SolverName
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
    """

    params: LogisticRegressionParams
    initial: tuple[Array, Array] | None = None
    inference: str = "never"
    separation: str = "ignore"


def check_sizes(request: Request, rows: TrainingRows) -> None:
    """Refuse, before any job, Params that contradict the column metadata."""
    params = request.params
    if rows.classes:
        _check_thresholds(params, rows.classes)
        family = family_of(params, rows.classes)
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
    return _spec(request, family, family.margins(classes), features)


def _spec(request: Request, family: Family, margins: int | None, features: int | None) -> Spec:
    """Return what to fit, for these numbers of margins and features (None: not known yet)."""
    params, initial = request.params, request.initial
    if initial is not None:
        check_initial(initial, params, margins, features)
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
        initial=initial,
        biasReduction=cast(BiasReduction, params.getBiasReduction().lower()),
    )
    check_bias_reduction(spec, margins, features)
    return spec


def with_inference(spec: Spec, request: Request, size: int, *, alone: bool) -> Spec:
    """Return the spec, with inference if the Param asks for it; `size` counts the coefficients.

    By default that is so for a fit without penalty and bounds that is made alone: a search makes
    hundreds, and nobody reads their standard errors.
    """
    wanted = request.inference == "always"
    if request.inference == "auto":
        plain = spec.regParam == 0 and spec.bounds is None
        wanted = alone and plain and size <= MOST_INFERRED
    if wanted and size > HESSIAN_LIMIT:
        raise InvalidValueError(
            f"inference='always' needs a matrix of {size:,} x {size:,} numbers on the driver, but "
            f"the limit is {HESSIAN_LIMIT:,} coefficients. Use inference='auto' or 'never'."
        )
    return replace(spec, inference=wanted)


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


def pack_settings(params: LogisticRegressionParams, rows: TrainingRows) -> PackSettings:
    """Return how to pack these rows, from the Params, the session and the column metadata."""
    session = rows.frame.sparkSession
    plain = PackSettings()
    near = classic.is_local_mode(session)
    return PackSettings(
        local_bytes=local_bytes(session, NEAR_BYTES if near else plain.local_bytes),
        block_bytes=int(params.getMaxBlockSizeInMB() * MEGABYTE) or plain.block_bytes,
        depth=params.getAggregationDepth(),
        slots=classic.task_slots(session),
        map_files=may_map_files(session),
        width=rows.width,
        classes=rows.classes,
        folded=rows.folded,
    )
