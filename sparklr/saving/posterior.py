"""A posterior in the files of a model: facts in the metadata, numbers in the folder `posterior`.

The folder has a row per coefficient: its mean, its row of the covariance's factor and, of a sampled
posterior, its draws.
"""

from __future__ import annotations

import numpy as np
from pyspark.sql import SparkSession

from sparklr.arrays import Array
from sparklr.posterior.numbers import PosteriorNumbers
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
from sparklr.spark.types import Json

ROWS = "place int, mean double, factor array<double>, draws array<double>"
KINDS = ("laplace", "gaussian", "sampled", "fisher")


def posterior_facts(posterior: PosteriorNumbers) -> Json:
    """Return all but means, factor and draws for JSON."""

    def or_none(value: float | None) -> float | str | None:
        return None if value is None else as_text(value)

    return {
        "kind": posterior.kind,
        "priorDeviations": as_texts(posterior.prior_deviations),
        "readings": posterior.readings,
        "converged": posterior.converged,
        "reason": posterior.reason,
        "tolerance": as_text(posterior.tolerance),
        "shiftFromMode": or_none(posterior.shift_from_mode),
        "rHat": or_none(posterior.r_hat),
        "error": or_none(posterior.error),
    }


def write_posterior(posterior: PosteriorNumbers, path: str, session: SparkSession) -> None:
    """Write a row per coefficient beside the metadata of a model."""
    draws = [[]] * len(posterior.mean) if posterior.draws is None else posterior.draws.T.tolist()
    rows = [
        (at, float(mean), factor.tolist(), its)
        for at, (mean, factor, its) in enumerate(
            zip(posterior.mean, posterior.factor, draws, strict=True)
        )
    ]
    session.createDataFrame(rows, ROWS).coalesce(1).write.parquet(f"{path}/posterior")


def read_posterior(
    facts: Json, path: str, numbers: ModelNumbers, session: SparkSession
) -> PosteriorNumbers:
    """Return what `write_posterior` and `posterior_facts` were given, for a model's numbers."""
    where = f"{path}/posterior"
    table = read_folder(where, ROWS, session)
    with damage(f"The posterior in '{where}' is damaged: "):
        rows = sorted(
            zip(*(table[name].to_pylist() for name in table.column_names), strict=True),
            key=lambda row: row[0],
        )
        margins, features = numbers.arrays[0].shape
        if [row[0] for row in rows] != list(range(margins * (features + 1))):
            raise ValueError("there must be one row per coefficient")
        mean = np.array([row[1] for row in rows], dtype=float)
        factor, draws = (_matrix([row[at] for row in rows]) for at in (2, 3))
        if not (np.isfinite(mean).all() and np.isfinite(factor).all()) or not factor.size:
            raise ValueError("means and factors must be finite numbers")
    with damage(f"The metadata of '{path}' are damaged: "):
        return _posterior(facts, features, mean, factor, draws)


def _posterior(
    facts: Json, features: int, mean: Array, factor: Array, draws: Array
) -> PosteriorNumbers:
    kind, prior = as_string(facts["kind"]), as_numbers(facts["priorDeviations"])
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r} of posterior")
    if len(prior) != features:
        raise ValueError("there must be a deviation of the prior per feature")
    if (kind == "sampled") != (draws.size > 0) or not np.isfinite(draws).all():
        raise ValueError("a sampled posterior, and no other, must have draws")
    return PosteriorNumbers(
        kind=kind,
        mean=mean,
        factor=factor,
        draws=draws.T if draws.size else None,
        prior_deviations=prior,
        readings=as_whole(facts["readings"]),
        converged=as_flag(facts["converged"]),
        reason=as_string(facts["reason"]),
        tolerance=as_number(facts["tolerance"]),
        shift_from_mode=as_number_or_none(facts["shiftFromMode"]),
        r_hat=as_number_or_none(facts["rHat"]),
        error=as_number_or_none(facts["error"]),
    )


def _matrix(rows: list[list[float]]) -> Array:
    """Return rows of equal length as a matrix."""
    if len({len(row) for row in rows}) != 1:
        raise ValueError("all coefficients must have as many numbers")
    return np.array(rows, dtype=float)
