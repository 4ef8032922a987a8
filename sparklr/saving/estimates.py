"""What a model keeps of its fit: the facts of the fit, and how exact its coefficients are.

A saved model has the facts in its metadata ("fit") and, if there are standard errors, one row per
coefficient in the folder `estimates`: its standard error and its covariances with the coefficients
up to itself, so a triangle of the symmetric matrix. Of more than `MOST_COVARIANCES` coefficients
only the standard errors are kept: the matrix would take more room than all else. Likewise, of more
than `MOST_FEATURES` features only those with a coefficient keep their mean and deviation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
from pyspark.sql import SparkSession

from sparklr.arrays import Array
from sparklr.fitting.certificate import Certificate
from sparklr.fitting.outcome import FitReport, Penalised, RatesTried
from sparklr.saving.damage import damage
from sparklr.saving.folders import read_folder
from sparklr.saving.values import (
    as_flag,
    as_number,
    as_number_or_none,
    as_numbers,
    as_string,
    as_text,
    as_texts,
    as_whole,
)
from sparklr.scoring.numbers import ModelNumbers
from sparklr.separation.search import Separation
from sparklr.spark.types import Json

MOST_COVARIANCES = 2_000  # coefficients; their covariances then take 16 MB
MOST_FEATURES = 10_000
ROWS = "place int, standardError double, covariances array<double>"


@dataclass(frozen=True, eq=False, kw_only=True)
class KeptErrors:
    """How exact the coefficients of a fit are.

    rank : the number of parameters that the rows identify
    dependences : (m, p + 1), of columns on others: each times [x, 1] is zero for all rows
    covariance_name : what the standard errors assume, as "model" or "HC0"
    assumption : the same in words
    errors : (n,), the standard errors in the order of the table of coefficients
    covariance : (n, n), in the same order; None if only the errors are known
    """

    rank: int
    dependences: Array
    covariance_name: str
    assumption: str
    errors: Array
    covariance: Array | None

    @staticmethod
    def of(
        *,
        rank: int,
        dependences: Array,
        covariance_name: str,
        assumption: str,
        covariance: Array,
    ) -> KeptErrors:
        """Return what is kept of estimates that have this covariance (n, n)."""
        return KeptErrors(
            rank=rank,
            dependences=dependences,
            covariance_name=covariance_name,
            assumption=assumption,
            errors=np.sqrt(np.diagonal(covariance)),
            covariance=covariance if len(covariance) <= MOST_COVARIANCES else None,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class KeptFit:
    """What a model keeps of its fit, after the rows and the Hessian are gone.

    report : of the fit, without its information and products of scores
    errors : of the coefficients, if the fit has standard errors
    """

    report: FitReport
    errors: KeptErrors | None = None


def fit_facts(fit: KeptFit, numbers: ModelNumbers) -> Json:
    """Return all but errors and covariance for JSON, which has no infinite numbers."""
    report, its, found = fit.report, fit.errors, fit.report.separation
    area = report.area_under_roc
    return {
        "history": as_texts(report.history),
        "solver": report.solver,
        "reason": report.reason,
        "converged": report.converged,
        "passes": report.passes,
        "rows": report.rows,
        "labelWeights": as_texts(report.label_weights),
        "deviation": _by_feature(report.deviation, numbers),
        "means": None if report.means is None else _by_feature(report.means, numbers),
        "loss": as_text(report.loss),
        "nullLoss": None if report.null_loss is None else as_text(report.null_loss),
        "classFactors": None if report.factors is None else as_texts(report.factors),
        "penalised": _record(report.penalised),
        "areaUnderROC": None if area is None else as_text(area),
        "rates": _rates_facts(report.rates),
        "held": as_texts(report.held),
        "heldRows": report.held_rows,
        "chosen": report.chosen,
        "early": report.early,
        "rank": None if its is None else its.rank,
        "dependences": None if its is None else [as_texts(one) for one in its.dependences],
        "covariance": None if its is None else its.covariance_name,
        "assumption": None if its is None else its.assumption,
        "certificate": _record(report.certificate),
        "separation": None if found is None else _record(replace(found, alike=None)),
    }


def has_errors(facts: Json) -> bool:
    """Whether the facts of a fit are those of one with standard errors."""
    return facts["rank"] is not None


def kept_fit(
    facts: Json, errors: Array | None, covariance: Array | None, numbers: ModelNumbers
) -> KeptFit:
    """Return what `fit_facts` was made from, with errors and covariances, for a model's numbers."""
    means = facts.get("means")  # not known before format 4, like the area, rates and held-out rows
    chosen = facts.get("chosen")
    report = FitReport(
        history=tuple(as_numbers(facts["history"]).tolist()),
        solver=as_string(facts["solver"]),
        reason=as_string(facts["reason"]),
        converged=as_flag(facts["converged"]),
        passes=as_whole(facts["passes"]),
        rows=as_whole(facts["rows"]),
        label_weights=as_numbers(facts["labelWeights"]),
        deviation=_of_feature(facts["deviation"], numbers),
        loss=as_number(facts["loss"]),
        null_loss=as_number_or_none(facts["nullLoss"]),
        factors=None if facts["classFactors"] is None else as_numbers(facts["classFactors"]),
        penalised=_penalised(facts["penalised"]),
        certificate=_certificate(facts["certificate"]),
        separation=_separation(facts["separation"]),
        means=None if means is None else _of_feature(means, numbers),
        area_under_roc=as_number_or_none(facts.get("areaUnderROC")),
        rates=_rates(facts.get("rates")),
        held=tuple(as_numbers(facts.get("held", [])).tolist()),
        held_rows=as_whole(facts.get("heldRows", 0)),
        chosen=None if chosen is None else as_whole(chosen),
        early=as_flag(facts.get("early", False)),
    )
    its = None
    if errors is not None:
        rows = [as_numbers(one) for one in facts["dependences"]]
        its = KeptErrors(
            rank=as_whole(facts["rank"]),
            dependences=np.array(rows).reshape(len(rows), numbers.features + 1),
            covariance_name=as_string(facts["covariance"]),
            assumption=as_string(facts["assumption"]),
            errors=errors,
            covariance=covariance,
        )
    fit = KeptFit(report=report, errors=its)
    _check(fit, numbers)
    return fit


def _by_feature(values: Array, numbers: ModelNumbers) -> list[float | str]:
    """Return a number per feature or, of very many, per feature with a coefficient."""
    return as_texts(values if len(values) <= MOST_FEATURES else values[numbers.used])


def _of_feature(stored: object, numbers: ModelNumbers) -> Array:
    """Return a number per feature, zero where none was stored."""
    values, used = as_numbers(stored), numbers.used
    if len(values) == numbers.features:
        return values
    if len(values) != len(used):
        raise ValueError("there must be a deviation and a mean per feature")
    every = np.zeros(numbers.features)
    every[used] = values
    return every


def _check(fit: KeptFit, numbers: ModelNumbers) -> None:
    """Refuse what belongs to another model."""
    margins, features = numbers.arrays[0].shape
    report, found, its = fit.report, fit.report.separation, fit.errors
    if len(report.label_weights) != numbers.classes:
        raise ValueError("there must be a weight per class")
    if report.factors is not None and len(report.factors) != numbers.classes:
        raise ValueError("there must be a factor per class")
    if report.held and len(report.held) != len(report.history):
        raise ValueError("there must be a held-out loss per iteration, or none")
    if report.chosen is not None and not 0 <= report.chosen < len(report.held):
        raise ValueError("the iteration that held-out rows chose must have a loss of theirs")
    if its is not None and len(its.errors) not in (margins * features, margins * (features + 1)):
        raise ValueError(f"{len(its.errors)} standard errors do not fit the coefficients")
    if found is not None and found.direction.shape != (margins, features + 1):
        raise ValueError("the direction of separation does not fit the coefficients")


def errors_json(fit: KeptFit) -> object:
    """Return the standard errors for JSON; None if there are none."""
    return None if fit.errors is None else as_texts(fit.errors.errors)


def errors_from_json(value: object) -> Array | None:
    """Return the standard errors of `errors_json`."""
    return None if value is None else as_numbers(value)


def write_errors(its: KeptErrors, path: str, session: SparkSession) -> None:
    """Write a row per coefficient beside the metadata of a model."""
    rows = [
        (at, float(error), [] if its.covariance is None else its.covariance[at, : at + 1].tolist())
        for at, error in enumerate(its.errors)
    ]
    session.createDataFrame(rows, ROWS).coalesce(1).write.parquet(f"{path}/estimates")


def read_errors(path: str, session: SparkSession) -> tuple[Array, Array | None]:
    """Return the standard errors and, if they were kept, the covariances of a saved model."""
    where = f"{path}/estimates"
    table = read_folder(where, ROWS, session)
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
        return [as_texts(row) for row in value]
    if isinstance(value, tuple):
        return [int(one) for one in value]
    return as_text(value) if isinstance(value, float) else value


def _certificate(facts: Json | None) -> Certificate | None:
    if facts is None:
        return None
    exists = as_flag(facts["estimateExists"])
    gap = as_number_or_none(facts["dualityGap"])
    others = ("estimateExists", "dualityGap")
    figures = {name: as_number(value) for name, value in facts.items() if name not in others}
    return Certificate(**figures, estimateExists=exists, dualityGap=gap)


def _penalised(facts: Json | None) -> Penalised | None:
    if facts is None:
        return None
    return Penalised(**{name: as_number(value) for name, value in facts.items()})


def _rates_facts(found: RatesTried | None) -> Json | None:
    if found is None:
        return None
    return {"tried": as_texts(found.tried), "kept": found.kept, "rule": found.rule}


def _rates(facts: Json | None) -> RatesTried | None:
    if facts is None:
        return None
    tried, rule = tuple(as_numbers(facts["tried"]).tolist()), as_string(facts["rule"])
    return RatesTried(tried, as_number_or_none(facts["kept"]), rule)


def _separation(facts: Json | None) -> Separation | None:
    if facts is None:
        return None
    kind = facts["kind"]
    if kind not in ("none", "quasi-complete", "complete", "unknown"):
        raise ValueError(f"there is no kind {kind!r} of separation")
    return Separation(
        kind=kind,
        direction=np.array([as_numbers(row) for row in facts["direction"]]),
        features=tuple(as_whole(one) for one in facts["features"]),
        intercept=as_flag(facts["intercept"]),
        rows=as_whole(facts["rows"]),
        labels=tuple(as_whole(one) for one in facts["labels"]),
        least=as_number(facts["least"]),
        total=as_whole(facts["total"]),
        readings=as_whole(facts["readings"]),
        reason=as_string(facts["reason"]),
    )
