"""Warnings about fits that did not fail: a search that stopped early, labels that look wrong."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence

from sparklr.fitting.outcome import Fit
from sparklr.objective.moments import Moments
from sparklr.separation.search import Separation

# With fewer rows a label per row is chance, or a toy.
FEW_ROWS = 10


class ConvergenceWarning(UserWarning):
    """A fit stopped before its tolerance was met, so its model is not the optimum."""


class SeparationWarning(UserWarning):
    """No finite estimate of some coefficients exists, so those of the model are arbitrary."""


class SeparationError(ValueError):
    """No finite estimate of some coefficients exists, and separation="error"."""


def tell_of_separation(found: Separation, names: Sequence[str], *, error: bool) -> None:
    """Warn or raise about rows that are separated."""
    text = found.sentence(names)
    reduced = "biasReduction='firth', with " if len(found.direction) == 1 else ""
    text = (
        f"{text[0].upper()}{text[1:]}. Fit with {reduced}a penalty (regParam above 0), or leave "
        "the feature out."
    )
    if error:
        raise SeparationError(text)
    _warn(text, SeparationWarning)


def warn_of_doubt(step: float) -> None:
    """Warn that a fit of many coefficients has not proved that its estimates exist."""
    _warn(
        "Some coefficients may have no finite estimate: the rows may be separated, since another "
        f"step would still move the log odds of some row by {step:.2g}. summary.separation finds "
        "out, by a search that can take longer than the fit.",
        SeparationWarning,
    )


def warn_of_stops(fits: Iterable[Fit]) -> None:
    """Warn once about all fits that did not converge, with the commonest reason."""
    every = list(fits)
    reasons = Counter(fit.reason for fit in every if not (fit.converged or fit.early))
    if not reasons:
        return
    reason, _ = reasons.most_common(1)[0]
    which = "The fit did" if len(every) == 1 else f"{reasons.total()} of {len(every)} fits did"
    _warn(f"{which} not converge: {reason}.", ConvergenceWarning)


def warn_of_descent() -> None:
    """Warn that particles have not come to rest."""
    _warn(
        "The fit did not converge: its energy was still falling in the last steps. Raise maxIter.",
        ConvergenceWarning,
    )


def warn_of_search(reason: str) -> None:
    """Warn that a posterior is not yet the one that was asked for."""
    _warn(f"The posterior is not the one asked for: {reason}.", ConvergenceWarning)


def warn_of_labels(moments: Moments, classes: int, column: str, *, declared: bool) -> None:
    """Warn about labels that are allowed, but hardly ever meant.

    `declared` says that the column's metadata give the number of classes: a class without rows is
    then no surprise.
    """
    distinct, rows = len(moments.labels), moments.rows
    if rows == distinct >= FEW_ROWS:
        _warn(
            f"Column '{column}' has another label in each of its {rows} rows. It looks like an "
            "identifier or a measurement, not like a class."
        )
    elif 1 < distinct < classes and not declared and moments.labels[0] > 0:
        present = ", ".join(f"{label:g}" for label in moments.labels[:5])
        more = ", ..." if distinct > 5 else ""
        _warn(
            f"Column '{column}' has the labels {present}{more}, but not 0. As in Spark, the model "
            f"has a class for every label from 0 to {classes - 1}. If that is not meant, index the "
            "labels with pyspark.ml.feature.StringIndexer."
        )


def _warn(text: str, category: type[UserWarning] = UserWarning) -> None:
    """Warn at the line that called sparklr, through whichever methods of Spark's."""
    level, frame = 0, inspect.currentframe()
    while frame and str(frame.f_globals.get("__name__", "")).split(".")[0] in (
        "sparklr",
        "pyspark",
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level + 1)
