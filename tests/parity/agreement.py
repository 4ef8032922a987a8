"""What must agree between our fit of a drawn case and Spark's, in numbers alone.

Each case is judged by the objective, recomputed by objective.py: ours may not be above Spark's.
Where Spark has arrived too, as it nearly always does on such problems, also coefficients,
probabilities and predictions must agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.parity.cases import INTERCEPTS, Case
from tests.parity.objective import Array, deviations, objective


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a fit came to, and what its model says of the rows of the case.

    coefficients (C, p), intercepts (C,), probability (n, classes), prediction (n,)
    """

    coefficients: Array
    intercepts: Array
    classes: int
    probability: Array
    prediction: Array

    def value(self, case: Case) -> float:
        """The objective that was reached."""
        return objective(self.coefficients, self.intercepts, *case.data, case.setting)


@dataclass(frozen=True, eq=False)
class Pair:
    """What both made of a case."""

    case: Case
    ours: Outcome
    theirs: Outcome

    @property
    def trained(self) -> bool:
        """Not the model of a single label, which has an infinite intercept."""
        return bool(np.isfinite(self.theirs.intercepts).all())

    def values(self) -> tuple[float, float]:
        """The objective that ours reached, and Spark's."""
        return self.ours.value(self.case), self.theirs.value(self.case)

    def stopped_short(self) -> bool:
        """Whether Spark did: then there is nothing to compare but the objective."""
        ours, theirs = self.values()
        return theirs - ours > 1e-9 * abs(theirs)


def assert_agree(pair: Pair, final: float) -> None:
    """All that must hold of a case; `final` is the objective that our fit says it ended at."""
    case = pair.case
    assert pair.ours.classes == pair.theirs.classes == case.classes
    if not pair.trained:
        for name in ("coefficients", "intercepts"):
            mine, other = getattr(pair.ours, name), getattr(pair.theirs, name)
            np.testing.assert_array_equal(mine, other, err_msg=str(case))
        assert_same_scores(pair)
        return
    ours, theirs = pair.values()
    assert ours <= theirs + 1e-9 * abs(theirs), case
    assert abs(final - ours) <= 1e-9 * abs(ours), case
    assert_within_bounds(pair)
    assert_same_coefficients(pair)
    if not pair.stopped_short():
        assert_same_scores(pair)


def assert_within_bounds(pair: Pair) -> None:
    for name, bound in pair.case.bounding().items():
        ours = pair.ours
        values = ours.coefficients if name.endswith("Coefficients") else ours.intercepts
        below, above = (bound.toArray(), values) if "lower" in name else (values, bound.toArray())
        assert (below <= above).all(), (pair.case, name)


def assert_same_coefficients(pair: Pair) -> None:
    """As near as the objectives say, and where they decide: not under L1 alone, nor without end.

    The objective is strongly convex in the penalty's coordinates, f(x) - f(x*) >= m/2 |x - x*|^2
    with m = regParam (1 - elasticNetParam), which bounds how far from the optimum Spark can be.
    """
    case, setting, (ours, theirs) = pair.case, pair.case.setting, pair.values()
    strength = setting.regParam * (1 - setting.elasticNetParam)
    if strength == 0 or case.endless:
        return
    excess = max(theirs - ours, 0.0) + 1e-14 * abs(theirs)
    near = 1e-6 + np.sqrt(2 * excess / strength)
    features, _, weights = case.data
    spread = deviations(features, weights)
    unit = spread if setting.standardization else np.ones_like(spread)
    rest: dict[str, Any] = {"rtol": 0, "err_msg": str(case)}
    mine, other = pair.ours.coefficients * unit, pair.theirs.coefficients * unit
    np.testing.assert_allclose(mine, other, atol=near, **rest)
    own, its = pair.ours.intercepts, pair.theirs.intercepts
    if case.multinomial and not any(name in case.bounds for name in INTERCEPTS):
        own, its = own - own.mean(), its - its.mean()
    reach = 10 + np.abs(features).max(axis=0) / np.where(spread > 0, unit, np.inf)
    if not (case.multinomial and case.bounds):  # else one number may be free, to add to all
        np.testing.assert_allclose(own, its, atol=near * reach.sum(), **rest)


def assert_same_scores(pair: Pair, atol: float = 1e-4) -> None:
    """Probabilities, and predictions but for ties."""
    case, mine, other = pair.case, pair.ours, pair.theirs
    np.testing.assert_allclose(
        mine.probability, other.probability, rtol=0, atol=atol, err_msg=str(case)
    )
    apart = np.abs(mine.probability - other.probability).max()
    decide = case.deciding()
    for row in np.flatnonzero(mine.prediction != other.prediction):
        chances, one, two = other.probability[row], mine.prediction[row], other.prediction[row]
        if case.multinomial:
            marks = chances / np.array(decide.get("thresholds", np.ones(case.classes)))
            lowest = min(decide.get("thresholds", [1.0]))
            lead = abs(marks[int(one)] - marks[int(two)]) * lowest
        else:
            lead = abs(chances[1] - case.threshold)
        assert lead <= 1e-6 + 2 * apart, f"{case}\nrow {row}: {one}, Spark: {two}"
