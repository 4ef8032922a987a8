"""Our fits beside Spark's own on drawn data and Params, and what both then predict and report.

Each case is fitted by both and judged by the objective, recomputed by objective.py: ours may not
be above Spark's. Where Spark has arrived too, as it nearly always does on such problems, also
coefficients, probabilities and predictions must agree. Hypothesis draws the cases, all of them
before the first is fitted, so that some can be fitted at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.linalg import DenseMatrix, DenseVector, Vectors

from sparklr import LogisticRegressionEstimator
from tests.parity.objective import Array, Setting, deviations, objective

pytestmark = pytest.mark.parity_full

# The same cases in every run.
REPEATABLE = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

FITS = 320
REFUSED = 4  # of each mistake
EVALUATED = 3  # the summaries of every third case are compared
SEQUENCES = 400
AT_ONCE = 4  # a small fit mostly waits for Spark's scheduler

OUTPUTS = ("rawPrediction", "probability", "prediction")
KINDS = (
    "plain", "plain", "plain", "sparse", "large", "small", "correlated", "the same", "constant",
    "zero",
)  # fmt: skip
LABELS = ((0, 1), (0, 1), (0, 1), (0, 1, 2), (0, 1, 2), (0, 1, 2, 3), (0, 2), (0, 1, 3), (1,))
COEFFICIENTS = ["lowerBoundsOnCoefficients", "upperBoundsOnCoefficients"]
INTERCEPTS = ["lowerBoundsOnIntercepts", "upperBoundsOnIntercepts"]
FAULTS = (
    "too wide", "too many", "crossing", "no intercept", "no such label", "no such weight",
    "disagreeing", "another length", "depth", "penalty", "binomial of many",
)  # fmt: skip


def matrix(values: Array) -> DenseMatrix:
    return DenseMatrix(*values.shape, values.ravel().tolist(), isTransposed=True)


@dataclass(frozen=True)
class Case:
    """What to fit. The data follow from the shape, the kinds and the seed."""

    seed: int
    rows: int
    labels: tuple[int, ...]
    kinds: tuple[str, ...]  # of each feature
    vectors: str
    weighted: bool
    params: dict[str, Any]
    bounds: str
    solver: str
    decision: str
    fault: str

    @cached_property
    def data(self) -> tuple[Array, Array, Array]:
        """Features, labels and weights: each label occurs, and the features tell of it a little."""
        rng = np.random.default_rng(self.seed)
        labels = np.array(self.labels, dtype=float)[np.arange(self.rows) % len(self.labels)]
        columns: list[Array] = []
        for kind in self.kinds:
            column = rng.normal(size=self.rows) + 0.4 * rng.normal() * labels
            if kind == "constant":
                column = np.full(self.rows, 2.0)
            elif kind == "zero":
                column = np.zeros(self.rows)
            elif kind == "sparse":
                column = np.where(rng.random(self.rows) < 0.7, 0.0, column)
            elif kind == "large":
                column = 40 * column + 100
            elif kind == "small":
                column = 0.05 * column
            elif kind == "correlated" and columns:
                column = columns[-1] + 0.1 * column
            elif kind == "the same" and columns:
                column = columns[-1].copy()
            columns.append(np.round(column, 4) + 0.0)
        weights = rng.choice([0.0, 0.5, 1.0, 2.0, 3.0], self.rows, p=[0.1, 0.2, 0.3, 0.2, 0.2])
        return np.column_stack(columns), labels, weights if self.weighted else np.ones(self.rows)

    @property
    def occurring(self) -> Array:
        """The labels that weigh anything, ascending."""
        _, labels, weights = self.data
        return np.unique(labels[weights > 0])

    @property
    def classes(self) -> int:
        return int(self.occurring[-1]) + 1

    @property
    def multinomial(self) -> bool:
        family = self.params["family"]
        return bool(family == "multinomial" or (family == "auto" and self.classes > 2))

    @property
    def margins(self) -> int:
        return self.classes if self.multinomial else 1

    @property
    def endless(self) -> bool:
        """Whether some class has no weight, so that an intercept may have no finite optimum."""
        return len(self.occurring) < (self.classes if self.multinomial else 2)

    @property
    def setting(self) -> Setting:
        names = ("regParam", "elasticNetParam", "fitIntercept", "standardization")
        kept = {name: self.params[name] for name in names}
        return Setting(family="multinomial" if self.multinomial else "binomial", **kept)

    def bounding(self) -> dict[str, Any]:
        """The Params of the bounds that the case names; none for a label alone."""
        if len(self.occurring) == 1:
            return {}
        rng = np.random.default_rng(self.seed + 1)
        features, _, weights = self.data
        shape = self.margins, len(self.kinds)
        unit = 1 / np.maximum(features.std(axis=0), 0.1)
        low = -rng.choice([0.0, 0.05, 0.2, 1.0], shape)
        high = rng.choice([0.0, 0.05, 0.2, 1.0], shape)
        if "without zero" in self.bounds:  # but for constant features: there Spark breaks bounds
            away = np.where(np.ptp(features[weights > 0], axis=0) > 0, 1.1, 0.0)
            low, high = low + away, high + away
        around = rng.choice([0.0, 0.1, 0.5], (2, self.margins))
        every = {
            "lowerBoundsOnCoefficients": matrix(low * unit),
            "upperBoundsOnCoefficients": matrix(high * unit),
            "lowerBoundsOnIntercepts": DenseVector(-around[0]),
            "upperBoundsOnIntercepts": DenseVector(around[1]),
        }
        return {name: value for name, value in every.items() if name in self.bounds.split()}

    def deciding(self) -> dict[str, Any]:
        """`threshold`, or as many `thresholds` as there are classes."""
        rng = np.random.default_rng(self.seed + 2)
        if self.decision == "threshold":
            return {"threshold": float(rng.choice([0.0, 0.2, 0.5, 0.7, 1.0]))}
        if self.decision == "thresholds" and self.classes > 1:
            values = rng.choice([0.1, 0.3, 0.5, 0.8], self.classes)
            values[0] *= rng.random() > 0.2
            return {"thresholds": [float(value) for value in values]}
        return {}

    def at_fault(self) -> dict[str, Any]:
        """Params that neither should take, by the name of the mistake."""
        rows, columns = self.margins, len(self.kinds)
        ones = DenseVector([1.0] * rows)
        faults: dict[str, dict[str, Any]] = {
            "": {},
            "binomial of many": {"family": "binomial"},
            "too wide": {"lowerBoundsOnCoefficients": matrix(np.zeros((rows, columns + 1)))},
            "too many": {"upperBoundsOnIntercepts": DenseVector([1.0] * (rows + 1))},
            "crossing": {
                "lowerBoundsOnIntercepts": ones,
                "upperBoundsOnIntercepts": DenseVector([0.0] * rows),
            },
            "no intercept": {"fitIntercept": False, "upperBoundsOnIntercepts": ones},
            "no such label": {"labelCol": "nothing"},
            "no such weight": {"weightCol": "nothing"},
            "disagreeing": {"threshold": 0.3, "thresholds": [0.5, 0.5]},
            "another length": {"thresholds": [1.0] * (self.classes + 1)},
            "depth": {"aggregationDepth": 1},
            "penalty": {"regParam": -1.0},
        }
        return faults[self.fault]

    def all_params(self) -> dict[str, Any]:
        """For Spark's estimator as for ours."""
        params = {**self.params, **self.bounding(), **self.deciding()}
        if self.weighted:
            params["weightCol"] = "weight"
        return {**params, **self.at_fault()}

    def frame(self, spark: Any) -> Any:
        rng = np.random.default_rng(self.seed + 3)
        sparse = {"dense": 0.0, "sparse": 1.0, "mixed": 0.5}[self.vectors]

        def vector(row: Array) -> Any:
            kept = np.flatnonzero(row)
            if rng.random() < sparse:
                return Vectors.sparse(len(row), kept, row[kept])
            return Vectors.dense(row)

        rows = [
            (vector(row), float(label), float(weight))
            for row, label, weight in zip(*self.data, strict=True)
        ]
        return spark.createDataFrame(rows, ["features", "label", "weight"]).coalesce(1)


@st.composite
def cases(draw: Any) -> Case:
    """Always with a penalty, so that there is an optimum, and Spark nearly always finds it."""
    labels = draw(st.sampled_from(LABELS))
    mixing = draw(st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    intercept = draw(st.sampled_from([True, True, False]))
    bounds: list[str] = []
    if mixing == 0 and draw(st.booleans()):
        lower, upper = COEFFICIENTS
        bounds += draw(st.sampled_from([[], [lower], [upper], COEFFICIENTS]))
        if intercept:
            lower, upper = INTERCEPTS
            bounds += draw(st.sampled_from([[], [lower], [upper], INTERCEPTS]))
        bounds += draw(st.sampled_from([[], [], ["without zero"]]))
    solvers = ["auto", "auto", "auto", "proximal-newton", "owl-qn"]
    solvers += ["newton", "l-bfgs"] if mixing == 0 and not bounds else []
    return Case(
        seed=draw(st.integers(0, 10**6)),
        rows=draw(st.integers(5, 40)),
        labels=labels,
        kinds=tuple(draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4))),
        vectors=draw(st.sampled_from(["dense", "sparse", "mixed"])),
        weighted=draw(st.booleans()),
        params={
            "regParam": draw(st.sampled_from([0.01, 0.03, 0.1, 0.3, 1.0, 2.0])),
            "elasticNetParam": mixing,
            "fitIntercept": intercept,
            "standardization": draw(st.booleans()),
            "family": draw(st.sampled_from(["auto", "auto", "multinomial"])),
        },
        bounds=" ".join(bounds),
        solver=draw(st.sampled_from(solvers)),
        decision=draw(st.sampled_from(["", "threshold", "thresholds"])),
        fault="",
    )


@st.composite
def faulty_cases(draw: Any, fault: str) -> Case:
    """With a mistake, and nothing else unusual."""
    labels = draw(st.sampled_from([(0, 1), (0, 1, 2), (0, 2)][fault == "binomial of many" :]))
    return Case(
        seed=draw(st.integers(0, 10**6)),
        rows=10,
        labels=labels,
        kinds=("plain",) * draw(st.integers(1, 3)),
        vectors=draw(st.sampled_from(["dense", "sparse"])),
        weighted=False,
        params={
            "regParam": 0.1,
            "elasticNetParam": 0.0,
            "fitIntercept": True,
            "standardization": True,
            "family": draw(st.sampled_from(["auto", "multinomial"])),
        },
        bounds="",
        solver="auto",
        decision="",
        fault=fault,
    )


def drawn(strategy: Any, count: int) -> list[Case]:
    """So many different cases."""
    found: dict[str, Case] = {}

    @settings(REPEATABLE, max_examples=3 * count)
    @given(strategy)
    def collect(case: Case) -> None:
        found[repr(case)] = case

    collect()
    assert len(found) >= count
    return list(found.values())[:count]


@dataclass(frozen=True)
class Pair:
    """What both made of a case: models, or the errors in their place; and the scored rows."""

    case: Case
    frame: Any
    ours: Any
    theirs: Any
    rows: Any

    @property
    def trained(self) -> bool:
        """Not the model of a single label, which has an infinite intercept."""
        return bool(np.isfinite(self.theirs.interceptVector.toArray()).all())

    def values(self) -> tuple[float, float]:
        """The objective that ours reached, and Spark's."""
        ours, theirs = (
            objective(*numbers(model), *self.case.data, self.case.setting)
            for model in (self.ours, self.theirs)
        )
        return ours, theirs


def numbers(model: Any) -> tuple[Array, Array]:
    return model.coefficientMatrix.toArray(), model.interceptVector.toArray()


def attempt(make: Callable[..., Any], *given: Any) -> Any:
    try:
        return make(*given)
    except Exception as error:
        return error


def fit_both(spark: Any, case: Case) -> Pair:
    """Fit both, and score the rows by both in one job, where Spark's columns end in 2."""
    frame, params = case.frame(spark), case.all_params()
    steps = 1000 if case.solver in ("l-bfgs", "owl-qn") else 100
    own = {"tol": 1e-12, "maxIter": steps, "solver": case.solver}
    its = {"tol": 1e-12, "maxIter": 200, **{f"{name}Col": f"{name}2" for name in OUTPUTS}}
    ours = attempt(lambda: LogisticRegressionEstimator(**params, **own).fit(frame))
    theirs = attempt(lambda: LogisticRegression(**params, **its).fit(frame))
    rows = attempt(lambda: theirs.transform(ours.transform(frame)).collect())
    return Pair(case, frame, ours, theirs, rows)


@pytest.fixture(scope="module")
def fits(spark: Any) -> Iterator[list[Any]]:
    """Every case fitted by both, as futures."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield [pool.submit(fit_both, spark, case) for case in drawn(cases(), FITS)]
        pool.shutdown(cancel_futures=True)


def got(pair: Any) -> Pair:
    """What came of a case that neither should refuse."""
    made: Pair = pair.result()
    for each in (made.ours, made.theirs, made.rows):
        assert not isinstance(each, Exception), f"{made.case}\n{each}"
    return made


def stopped_short(pair: Pair) -> bool:
    """Whether Spark did: then there is nothing to compare but the objective."""
    ours, theirs = pair.values()
    return theirs - ours > 1e-9 * abs(theirs)


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
    (mine, own), (other, its) = numbers(pair.ours), numbers(pair.theirs)
    np.testing.assert_allclose(mine * unit, other * unit, rtol=0, atol=near, err_msg=str(case))
    if case.multinomial and not any(name in case.bounds for name in INTERCEPTS):
        own, its = own - own.mean(), its - its.mean()
    reach = 10 + np.abs(features).max(axis=0) / np.where(spread > 0, unit, np.inf)
    if not (case.multinomial and case.bounds):  # else one number may be free, to add to all
        np.testing.assert_allclose(own, its, rtol=0, atol=near * reach.sum(), err_msg=str(case))


def assert_same_scores(pair: Pair) -> None:
    """Probabilities, and predictions but for ties."""
    case = pair.case
    mine = np.array([row.probability.toArray() for row in pair.rows])
    other = np.array([row.probability2.toArray() for row in pair.rows])
    np.testing.assert_allclose(mine, other, rtol=0, atol=1e-4, err_msg=str(case))
    apart = np.abs(mine - other).max()
    decide = case.deciding()
    for row, chances in zip(pair.rows, other, strict=True):
        if row.prediction == row.prediction2:
            continue
        if case.multinomial:
            marks = chances / np.array(decide.get("thresholds", np.ones(case.classes)))
            lowest = min(decide.get("thresholds", [1.0]))
            lead = abs(marks[int(row.prediction)] - marks[int(row.prediction2)]) * lowest
        else:
            lead = abs(chances[1] - pair.ours.getThreshold())
        assert lead <= 1e-6 + 2 * apart, f"{case}\n{row}"


def assert_within_bounds(pair: Pair) -> None:
    coefficients, intercepts = numbers(pair.ours)
    for name, bound in pair.case.bounding().items():
        values = coefficients if name.endswith("Coefficients") else intercepts
        below, above = (bound.toArray(), values) if "lower" in name else (values, bound.toArray())
        assert (below <= above).all(), (pair.case, name)


@pytest.mark.parametrize("number", range(FITS))
def test_a_fit_ends_as_low_as_sparks_and_predicts_the_same(fits: list[Any], number: int) -> None:
    pair = got(fits[number])
    case = pair.case
    assert pair.ours.numClasses == pair.theirs.numClasses == case.classes
    if not pair.trained:
        for mine, other in zip(numbers(pair.ours), numbers(pair.theirs), strict=True):
            np.testing.assert_array_equal(mine, other, err_msg=str(case))
        assert_same_scores(pair)
        return
    ours, theirs = pair.values()
    assert ours <= theirs + 1e-9 * abs(theirs), case
    assert pair.ours.summary.objectiveHistory[-1] == pytest.approx(ours, rel=1e-9), case
    assert_within_bounds(pair)
    assert_same_coefficients(pair)
    if not stopped_short(pair):
        assert_same_scores(pair)


def test_spark_seldom_stops_short_of_the_optimum(fits: list[Any]) -> None:
    """Else there would be little to compare with."""
    pairs = [pair for pair in map(got, fits) if pair.trained]
    short = [pair.case for pair in pairs if stopped_short(pair)]
    assert len(short) <= 0.1 * FITS, len(short)


@pytest.mark.parametrize("fault", FAULTS)
def test_what_spark_refuses_is_refused(spark: Any, fault: str) -> None:
    for case in drawn(faulty_cases(fault), REFUSED):
        pair = fit_both(spark, case)
        assert isinstance(pair.theirs, Exception), case
        assert isinstance(pair.ours, Exception), f"{case}\n{pair.theirs}"


# Summaries

PROPERTIES = (
    "labels", "accuracy", "weightedTruePositiveRate", "weightedFalsePositiveRate",
    "weightedRecall", "weightedPrecision", "truePositiveRateByLabel", "falsePositiveRateByLabel",
    "precisionByLabel", "recallByLabel",
)  # fmt: skip
CURVES = ("roc", "pr", "fMeasureByThreshold", "precisionByThreshold", "recallByThreshold")


def measures(summary: Any, *, curves: bool) -> dict[str, Any]:
    """All that a summary says, as numbers."""
    found = {name: np.array(getattr(summary, name)) for name in PROPERTIES}
    for beta in (1.0, 0.5):
        found[f"fMeasureByLabel {beta}"] = np.array(summary.fMeasureByLabel(beta))
        found[f"weightedFMeasure {beta}"] = np.array(summary.weightedFMeasure(beta))
    if curves:
        found["areaUnderROC"] = np.array(summary.areaUnderROC)
        for name in CURVES:
            found[name] = np.array([tuple(row) for row in getattr(summary, name).collect()])
    return found


@pytest.mark.parametrize("number", range(0, FITS, EVALUATED))
def test_summaries_say_what_spark_says_of_the_same_model(fits: list[Any], number: int) -> None:
    pair = got(fits[number])
    curves = pair.case.classes == 2
    ours = measures(pair.ours.evaluate(pair.frame), curves=curves)
    theirs = measures(pair.ours.toSpark().evaluate(pair.frame), curves=curves)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, 1e-9, 1e-9, err_msg=f"{pair.case} {name}")


# Thresholds, set in any order

SHARES = st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0])
LISTS = st.sampled_from([[0.5, 0.5], [0.7, 0.3], [0.75, 0.25], [0.0, 1.0], [0.2, 0.3, 0.5]])
VALUES = st.one_of(st.tuples(st.just("threshold"), SHARES), st.tuples(st.just("thresholds"), LISTS))
STEPS = st.lists(
    st.tuples(st.sampled_from(["setter", "set", "map", "clear", "setParams"]), VALUES), max_size=6
)


def taken(stage: Any, how: str, name: str, value: Any) -> Any:
    """The stage after a step, a copy of it after a param map."""
    param = stage.getParam(name)
    if how == "setter":
        getattr(stage, f"set{name.capitalize()}")(value)
        # Spark documents that each setter clears the other's Param, but its own does not here.
        stage.clear(stage.getParam("threshold" if name == "thresholds" else "thresholds"))
    elif how == "set":
        stage.set(param, value)
    elif how == "map":
        return stage.copy({param: value})
    elif how == "clear":
        stage.clear(param)
    elif hasattr(stage, "setParams"):  # a model has none
        stage.setParams(**{name: value})
    return stage


def told(stage: Any) -> list[Any]:
    """What a stage says of its thresholds: values, or the kinds of errors."""
    asked = [attempt(stage.getThreshold), attempt(stage.getThresholds)]
    asked = [type(one) if isinstance(one, Exception) else one for one in asked]
    return [*asked, stage.isSet("threshold"), stage.isSet("thresholds")]


@pytest.fixture(scope="module", params=["estimator", "model"])
def stages(request: pytest.FixtureRequest, spark: Any) -> tuple[Any, Any]:
    """Ours and Spark's."""
    both = LogisticRegressionEstimator(), LogisticRegression()
    if request.param == "estimator":
        return both
    rows = [(float(at % 2), Vectors.dense(at**0.5)) for at in range(6)]
    frame = spark.createDataFrame(rows, ["label", "features"])
    ours, theirs = (estimator.setMaxIter(1).fit(frame) for estimator in both)
    return ours, theirs


def test_thresholds_set_in_any_order_are_told_as_spark_tells_them(
    stages: tuple[Any, Any],
) -> None:
    @settings(REPEATABLE, max_examples=SEQUENCES)
    @given(STEPS)
    def check(steps: list[Any]) -> None:
        ours, theirs = (stage.copy() for stage in stages)
        assert told(ours) == told(theirs)
        for how, (name, value) in steps:
            mine, other = (attempt(taken, one, how, name, value) for one in (ours, theirs))
            if how == "map" and isinstance(other, Exception):
                # Spark's models are copied in the JVM, which asks for the threshold at once.
                assert told(mine)[0] is ValueError
                return
            assert isinstance(mine, Exception) == isinstance(other, Exception), (how, name, value)
            if isinstance(mine, Exception):
                return  # ours is as it was before, Spark's has what it refused
            ours, theirs = mine, other
            assert told(ours) == told(theirs), (how, name, value)

    check()


def test_the_setters_clear_each_others_param_without_help(stages: tuple[Any, Any]) -> None:
    ours = stages[0].copy()
    assert told(ours.setThreshold(0.3).setThresholds([0.5, 0.5]))[2:] == [False, True]
    assert told(ours.setThreshold(0.3))[2:] == [True, False]
