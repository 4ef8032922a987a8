"""What a model keeps of its fit: the facts of the fit, and how exact its coefficients are.

A saved model has the facts in its metadata ("fit") and one row per coefficient in the folder
`estimates`: its standard error and its covariances with the coefficients up to itself, so a
triangle of the symmetric matrix. Of more than `MOST_COVARIANCES` coefficients only the standard
errors are kept: the matrix would take more room than all else.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
from pyspark.sql import SparkSession

from sparklr.arrays import Array
from sparklr.fitting.certificate import Certificate
from sparklr.fitting.outcome import FitReport, Penalised
from sparklr.saving.damage import damage
from sparklr.scoring.numbers import ModelNumbers
from sparklr.separation.search import Separation
from sparklr.spark.collect import collect_arrow
from sparklr.spark.refusals import REFUSALS, first_line
from sparklr.spark.types import Json

MOST_COVARIANCES = 2_000  # coefficients; their covariances then take 16 MB
ROWS = "place int, standardError double, covariances array<double>"


@dataclass(frozen=True, eq=False, kw_only=True)
class KeptFit:
    """What a model keeps of its fit, after the rows and the Hessian are gone.

    report : of the fit, without its information and products of scores
    rank : the number of parameters that the rows identify
    dependences : (m, p + 1), of columns on others: each times [x, 1] is zero for all rows
    covariance_name : what the standard errors assume, as "model" or "HC0"
    assumption : the same in words
    errors : (n,), the standard errors in the order of the table of coefficients
    covariance : (n, n), in the same order; None if only the errors are known
    """

    report: FitReport
    rank: int
    dependences: Array
    covariance_name: str
    assumption: str
    errors: Array
    covariance: Array | None

    @staticmethod
    def of(
        report: FitReport,
        *,
        rank: int,
        dependences: Array,
        covariance_name: str,
        assumption: str,
        covariance: Array,
    ) -> KeptFit:
        """Return what is kept of a fit whose estimates have this covariance (n, n)."""
        return KeptFit(
            report=replace(report, information=None, products=None),
            rank=rank,
            dependences=dependences,
            covariance_name=covariance_name,
            assumption=assumption,
            errors=np.sqrt(np.diagonal(covariance)),
            covariance=covariance if len(covariance) <= MOST_COVARIANCES else None,
        )


def fit_facts(fit: KeptFit) -> Json:
    """Return all but errors and covariance for JSON, which has no infinite numbers."""
    report = fit.report
    return {
        "history": _texts(report.history),
        "solver": report.solver,
        "reason": report.reason,
        "converged": report.converged,
        "passes": report.passes,
        "rows": report.rows,
        "labelWeights": _texts(report.label_weights),
        "deviation": _texts(report.deviation),
        "loss": _text(report.loss),
        "nullLoss": None if report.null_loss is None else _text(report.null_loss),
        "classFactors": None if report.factors is None else _texts(report.factors),
        "penalised": _record(report.penalised),
        "rank": fit.rank,
        "dependences": [_texts(one) for one in fit.dependences],
        "covariance": fit.covariance_name,
        "assumption": fit.assumption,
        "certificate": _record(report.certificate),
        "separation": _record(report.separation),
    }


def kept_fit(
    facts: Json, errors: Array, covariance: Array | None, numbers: ModelNumbers
) -> KeptFit:
    """Return what `fit_facts` was made from, with errors and covariances, for a model's numbers."""
    deviation = _numbers(facts["deviation"])
    report = FitReport(
        history=tuple(_numbers(facts["history"]).tolist()),
        solver=_string(facts["solver"]),
        reason=_string(facts["reason"]),
        converged=_flag(facts["converged"]),
        passes=_whole(facts["passes"]),
        rows=_whole(facts["rows"]),
        label_weights=_numbers(facts["labelWeights"]),
        deviation=deviation,
        loss=_number(facts["loss"]),
        null_loss=_number_or_none(facts["nullLoss"]),
        factors=None if facts["classFactors"] is None else _numbers(facts["classFactors"]),
        penalised=_penalised(facts["penalised"]),
        certificate=_certificate(facts["certificate"]),
        separation=_separation(facts["separation"]),
    )
    rows = [_numbers(one) for one in facts["dependences"]]
    fit = KeptFit(
        report=report,
        rank=_whole(facts["rank"]),
        dependences=np.array(rows).reshape(len(rows), len(deviation) + 1),
        covariance_name=_string(facts["covariance"]),
        assumption=_string(facts["assumption"]),
        errors=errors,
        covariance=covariance,
    )
    _check(fit, numbers)
    return fit


def _check(fit: KeptFit, numbers: ModelNumbers) -> None:
    """Refuse what belongs to another model."""
    margins, features = numbers.arrays[0].shape
    report, found = fit.report, fit.report.separation
    if len(report.label_weights) != numbers.classes or len(report.deviation) != features:
        raise ValueError("there must be a weight per class, and a deviation per feature")
    if report.factors is not None and len(report.factors) != numbers.classes:
        raise ValueError("there must be a factor per class")
    if len(fit.errors) not in (margins * features, margins * (features + 1)):
        raise ValueError(f"{len(fit.errors)} standard errors do not fit the coefficients")
    if found is not None and found.direction.shape != (margins, features + 1):
        raise ValueError("the direction of separation does not fit the coefficients")


def errors_json(fit: KeptFit) -> object:
    """Return the standard errors for JSON."""
    return _texts(fit.errors)


def errors_from_json(value: object) -> Array:
    """Return the standard errors of `errors_json`."""
    return _numbers(value)


def write_errors(fit: KeptFit, path: str, session: SparkSession) -> None:
    """Write a row per coefficient beside the metadata of a model."""
    rows = [
        (at, float(error), [] if fit.covariance is None else fit.covariance[at, : at + 1].tolist())
        for at, error in enumerate(fit.errors)
    ]
    session.createDataFrame(rows, ROWS).coalesce(1).write.parquet(f"{path}/estimates")


def read_errors(path: str, session: SparkSession) -> tuple[Array, Array | None]:
    """Return the standard errors and, if they were kept, the covariances of a saved model."""
    where = f"{path}/estimates"
    try:
        table = collect_arrow(session.read.schema(ROWS).parquet(where))
    except REFUSALS as reason:
        raise ValueError(
            f"'{where}' cannot be read: {first_line(reason).rstrip('.')}. If it is accessible and "
            "you have permission to read it, it is damaged: save the model again."
        ) from None
    with damage(f"The standard errors in '{where}' are damaged: "):
        rows = sorted(
            zip(*(table[name].to_pylist() for name in table.column_names), strict=True),
            key=lambda row: row[0],
        )
        if [at for at, _, _ in rows] != list(range(len(rows))) or not rows:
            raise ValueError("there must be one row per coefficient")
        errors = np.array([error for _, error, _ in rows], dtype=float)
        lengths = [len(values) for _, _, values in rows]
        if not any(lengths):
            return errors, None
        if lengths != list(range(1, len(rows) + 1)):
            raise ValueError("a row must have its covariances with the rows up to itself")
        covariance = np.empty((len(rows), len(rows)))
        for at, _, values in rows:
            covariance[at, : at + 1] = covariance[: at + 1, at] = values
        return errors, covariance


def _record(found: Certificate | Separation | Penalised | None) -> Json | None:
    """Return the fields of a record by name."""
    return None if found is None else {name: _plain(value) for name, value in asdict(found).items()}


def _plain(value: object) -> object:
    """Return the value of a field for JSON."""
    if isinstance(value, np.ndarray):
        return [_texts(row) for row in value]
    if isinstance(value, tuple):
        return [int(one) for one in value]
    return _text(value) if isinstance(value, float) else value


def _certificate(facts: Json | None) -> Certificate | None:
    if facts is None:
        return None
    exists = _flag(facts["estimateExists"])
    gap = _number_or_none(facts["dualityGap"])
    others = ("estimateExists", "dualityGap")
    figures = {name: _number(value) for name, value in facts.items() if name not in others}
    return Certificate(**figures, estimateExists=exists, dualityGap=gap)


def _penalised(facts: Json | None) -> Penalised | None:
    if facts is None:
        return None
    return Penalised(**{name: _number(value) for name, value in facts.items()})


def _separation(facts: Json | None) -> Separation | None:
    if facts is None:
        return None
    kind = facts["kind"]
    if kind not in ("none", "quasi-complete", "complete", "unknown"):
        raise ValueError(f"there is no kind {kind!r} of separation")
    return Separation(
        kind=kind,
        direction=np.array([_numbers(row) for row in facts["direction"]]),
        features=tuple(_whole(one) for one in facts["features"]),
        intercept=_flag(facts["intercept"]),
        rows=_whole(facts["rows"]),
        labels=tuple(_whole(one) for one in facts["labels"]),
        least=_number(facts["least"]),
        total=_whole(facts["total"]),
        readings=_whole(facts["readings"]),
        reason=_string(facts["reason"]),
    )


def _text(value: float) -> float | str:
    value = float(value)
    return value if math.isfinite(value) else str(value)


def _texts(values: Array | tuple[float, ...]) -> list[float | str]:
    return [_text(value) for value in values]


def _number(value: object) -> float:
    if type(value) not in (int, float) and value not in ("inf", "-inf", "nan"):
        raise TypeError(f"{value!r} is not a number")
    return float(str(value))


def _number_or_none(value: object) -> float | None:
    return None if value is None else _number(value)


def _numbers(values: object) -> Array:
    if not isinstance(values, list):
        raise TypeError(f"{values!r} is not a list of numbers")
    return np.array([_number(value) for value in values], dtype=float)


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an integer")
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise TypeError(f"{value!r} is not true or false")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value
