"""From Params, and from what the rows have told, to what a fit and a packing need.

Plain functions of Params, which check as much as is known: first the metadata of the columns,
before any job, and the rest once the rows were read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from sparklr.arrays import MEGABYTE, Array
from sparklr.fitting.bounds_and_start import check_initial, read_bounds
from sparklr.fitting.choose_solver import check_solver
from sparklr.fitting.spec import Spec
from sparklr.objective.moments import Moments
from sparklr.objective.sums import Family
from sparklr.packing.job import PackSettings
from sparklr.params import LogisticRegressionParams
from sparklr.rows.checks import MOST_COEFFICIENTS
from sparklr.rows.columns import TrainingRows
from sparklr.solvers.methods import SolverName
from sparklr.spark import classic
from sparklr.spark.settings import local_bytes


@dataclass(frozen=True, eq=False)
class Request:
    """One fit as the user asks for it: Params, and the numbers of a model to start at, if any.

    initial : coefficients (C, p) and intercepts (C,)
    """

    params: LogisticRegressionParams
    initial: tuple[Array, Array] | None = None


def check_sizes(request: Request, rows: TrainingRows) -> None:
    """Refuse, before any job, what the metadata already show not to fit together."""
    params = request.params
    if rows.classes:
        _check_thresholds(params, rows.classes)
        check_solver(_spec(request, family_of(params, rows.classes), rows.classes, rows.width))
    else:
        # Still "auto" perhaps, which only the classes decide; `check_solver` does not look at it.
        family = cast(Family, params.getFamily().lower())
        check_solver(_spec(request, family, None, rows.width))


def spec_of(request: Request, classes: int, features: int) -> Spec:
    """What to fit, on rows of which both sizes are known."""
    _check_thresholds(request.params, classes)
    return _spec(request, family_of(request.params, classes), classes, features)


def _spec(request: Request, family: Family, classes: int | None, features: int | None) -> Spec:
    """What to fit, for so many classes and features (None: not known yet)."""
    params, initial = request.params, request.initial
    margins = 1 if family == "binomial" else classes
    if initial is not None:
        check_initial(initial, params, margins, features)
    return Spec(
        family=family,
        regParam=params.getRegParam(),
        elasticNetParam=params.getElasticNetParam(),
        fitIntercept=params.getFitIntercept(),
        standardization=params.getStandardization(),
        maxIter=params.getMaxIter(),
        tol=params.getTol(),
        solver=cast(SolverName, params.getSolver().lower()),  # one of them: see check_params
        bounds=read_bounds(params, margins, features),
        initial=initial,
    )


def family_of(params: LogisticRegressionParams, classes: int) -> Family:
    """The family that the Params ask for, on labels of so many classes."""
    family = params.getFamily().lower()
    if family == "auto":
        return "binomial" if classes <= 2 else "multinomial"
    if family == "binomial" and classes > 2:
        raise ValueError(
            f"family='binomial' is for at most 2 classes, but column '{params.getLabelCol()}' "
            f"has {classes}. Use family='multinomial' or 'auto'."
        )
    return cast(Family, family)


def classes_of(params: LogisticRegressionParams, rows: TrainingRows, moments: Moments) -> int:
    """One more than the largest label, unless the column's metadata say more."""
    classes = rows.classes or int(moments.labels[-1]) + 1
    if classes * (moments.features + 1) > MOST_COEFFICIENTS:
        raise ValueError(
            f"Column '{params.getLabelCol()}': the largest label is {classes - 1:.10g}, which "
            f"makes {classes:.10g} classes of {moments.features} features, more than "
            f"{MOST_COEFFICIENTS} coefficients. Index the labels 0, 1, 2, ... with "
            "pyspark.ml.feature.StringIndexer."
        )
    return classes


def _check_thresholds(params: LogisticRegressionParams, classes: int) -> None:
    """Refuse thresholds whose number is not that of the classes."""
    count = len(params.getOrDefault("thresholds")) if params.isSet(params.thresholds) else classes
    if count != classes:
        raise ValueError(
            f"thresholds has {count} values, but column '{params.getLabelCol()}' has {classes} "
            "classes. Give one threshold per class."
        )


def pack_settings(params: LogisticRegressionParams, rows: TrainingRows) -> PackSettings:
    """How to pack these rows: as the Params, the session and the columns' metadata say."""
    session = rows.frame.sparkSession
    plain = PackSettings()
    return PackSettings(
        local_bytes=local_bytes(session, plain.local_bytes),
        block_bytes=int(params.getMaxBlockSizeInMB() * MEGABYTE) or plain.block_bytes,
        depth=params.getAggregationDepth(),
        slots=classic.task_slots(session),
        width=rows.width,
        classes=rows.classes,
        folded=rows.folded,
    )
