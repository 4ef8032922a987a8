"""The drawn cases of differential.json again, with Spark's own estimator fitted beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from pyspark.ml.classification import LogisticRegression

from sparklr import LogisticRegressionEstimator
from tests.parity.agreement import Outcome, Pair, assert_agree
from tests.parity.cases import Case
from tests.parity.make_differential import (
    AT_ONCE,
    EVALUATED,
    FITS,
    TIGHT,
    outcome_of,
    read_fits,
    read_refused,
)
from tests.parity.measures import assert_same_measures, measures

pytestmark = pytest.mark.parity_full


@dataclass(frozen=True)
class Made:
    """What both made of a case: models, or the errors in their place."""

    case: Case
    frame: Any
    ours: Any
    theirs: Any
    outcomes: Any  # ours and Spark's

    @property
    def pair(self) -> Pair:
        """The outcomes of a case that neither should refuse."""
        for each in (self.ours, self.theirs, self.outcomes):
            assert not isinstance(each, Exception), f"{self.case}\n{each}"
        return Pair(self.case, *self.outcomes)


def attempt(make: Callable[..., Any], *given: Any) -> Any:
    try:
        return make(*given)
    except Exception as error:
        return error


def fit_both(spark: Any, case: Case) -> Made:
    """Fit both, and score the rows by both."""
    frame, params = case.frame(spark), case.all_params()
    steps = 1000 if case.solver in ("l-bfgs", "owl-qn") else 100
    own = {"tol": 1e-12, "maxIter": steps, "solver": case.solver}
    ours = attempt(lambda: LogisticRegressionEstimator(**params, **own).fit(frame))
    theirs = attempt(lambda: LogisticRegression(**params, **TIGHT).fit(frame))

    def outcomes() -> list[Outcome]:
        return [outcome_of(model, frame) for model in (ours, theirs)]

    return Made(case, frame, ours, theirs, attempt(outcomes))


@pytest.fixture(scope="module")
def fits(spark: Any) -> Iterator[list[Any]]:
    """Every case fitted by both, as futures."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield [pool.submit(fit_both, spark, it.case) for it in read_fits()]
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("number", range(FITS))
def test_a_fit_ends_as_low_as_sparks_and_predicts_the_same(fits: list[Any], number: int) -> None:
    made = fits[number].result()
    assert_agree(made.pair, made.ours.summary.objectiveHistory[-1])


@pytest.mark.parametrize("number", range(FITS))
def test_the_record_is_what_spark_makes_of_the_case(fits: list[Any], number: int) -> None:
    it, pair = read_fits()[number], fits[number].result().pair
    assert pair.theirs.classes == it.theirs.classes
    if pair.trained:
        assert pair.theirs.value(it.case) == pytest.approx(it.objective, rel=1e-6)


def test_spark_seldom_stops_short_of_the_optimum(fits: list[Any]) -> None:
    """Else there would be little to compare with."""
    pairs = [future.result().pair for future in fits]
    assert sum(pair.stopped_short() for pair in pairs if pair.trained) <= 0.1 * FITS


@pytest.mark.parametrize("number", range(0, FITS, EVALUATED))
def test_summaries_say_what_spark_says_of_the_same_model(fits: list[Any], number: int) -> None:
    made = fits[number].result()
    curves = made.pair.case.classes == 2
    ours = measures(made.ours.evaluate(made.frame), curves=curves)
    theirs = measures(made.ours.toSpark().evaluate(made.frame), curves=curves)
    assert_same_measures(ours, theirs, made.case)


@pytest.mark.parametrize("number", range(len(read_refused())))
def test_what_spark_refuses_is_refused(spark: Any, number: int) -> None:
    made = fit_both(spark, read_refused()[number][0])
    assert isinstance(made.theirs, Exception), made.case
    assert isinstance(made.ours, Exception), f"{made.case}\n{made.theirs}"
