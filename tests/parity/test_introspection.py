"""Every public member of Spark's own classes, found in ours: its kind, signature and default."""

from __future__ import annotations

import functools
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.ml import classification
from pyspark.ml.linalg import DenseMatrix, SparseMatrix, SparseVector, Vectors
from pyspark.ml.param import Param
from pyspark.sql import DataFrame

import sparklr
from sparklr import LogisticRegressionEstimator

PAGE = Path(__file__).resolve().parents[2] / "docs" / "migrating.md"

# Spark's name of each class, and ours.
CLASSES = {
    "LogisticRegression": "LogisticRegressionEstimator",
    "LogisticRegressionModel": "LogisticRegressionModel",
    "LogisticRegressionSummary": "LogisticRegressionSummary",
    "LogisticRegressionTrainingSummary": "LogisticRegressionTrainingSummary",
    "BinaryLogisticRegressionSummary": "BinaryLogisticRegressionSummary",
    "BinaryLogisticRegressionTrainingSummary": "BinaryLogisticRegressionTrainingSummary",
}
SUMMARIES = [name for name in CLASSES if name.endswith("Summary")]

# Members of Spark's that are meant to differ, "Class.member", each with the reason. The part
# after the dot must be explained in docs/migrating.md.
DIFFERENT: dict[str, str] = {}


def theirs(name: str) -> Any:
    return getattr(classification, name)


def ours(name: str) -> Any:
    return getattr(sparklr, CLASSES[name])


def public(cls: Any) -> list[str]:
    return [name for name in dir(cls) if not name.startswith("_")]


def kind(cls: Any, name: str) -> str:
    """What a member is to a caller: a Param, a property, a method or a method of the class."""
    member = inspect.getattr_static(cls, name)
    if isinstance(member, Param):
        return "Param"
    if isinstance(member, (property, functools.cached_property)):
        return "property"
    if isinstance(member, (classmethod, staticmethod)):
        return "method of the class"
    return "method" if callable(member) else "value"


MEMBERS = [(name, member) for name in CLASSES for member in public(theirs(name))]
METHODS = [(n, m) for n, m in MEMBERS if kind(theirs(n), m).startswith("method")]
KEPT = [pair for pair in MEMBERS if ".".join(pair) not in DIFFERENT]
KEPT_METHODS = [pair for pair in METHODS if ".".join(pair) not in DIFFERENT]


def joined(value: Any) -> str:
    return str(value)


def assert_calls_still_work(its: Any, mine: Any) -> None:
    """Its parameters in its order, with its kinds and defaults; ours beyond are all optional."""
    wanted = list(inspect.signature(its).parameters.values())
    given = list(inspect.signature(mine).parameters.values())
    kept = {parameter.name for parameter in wanted}
    same = [(p.name, p.kind, p.default) for p in given if p.name in kept]
    assert same == [(p.name, p.kind, p.default) for p in wanted]
    added = [parameter for parameter in given if parameter.name not in kept]
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in added)


# Members


def test_there_is_something_to_walk() -> None:
    counts = {name: len(public(theirs(name))) for name in CLASSES}
    assert counts["LogisticRegression"] > 80
    assert counts["LogisticRegressionModel"] > 70
    assert all(counts[name] > 15 for name in SUMMARIES)
    assert len(METHODS) > 100


@pytest.mark.parametrize(("name", "member"), KEPT, ids=joined)
def test_a_member_of_sparks_is_here_as_the_same_kind(name: str, member: str) -> None:
    assert hasattr(ours(name), member)
    assert kind(ours(name), member) == kind(theirs(name), member)


@pytest.mark.parametrize(("name", "member"), KEPT_METHODS, ids=joined)
def test_a_method_takes_what_sparks_takes(name: str, member: str) -> None:
    assert_calls_still_work(getattr(theirs(name), member), getattr(ours(name), member))


def test_the_constructor_takes_sparks_keywords() -> None:
    name = "LogisticRegression"
    assert_calls_still_work(theirs(name).__init__, ours(name).__init__)
    for method in ("__init__", "setParams"):
        for cls in (theirs(name), ours(name)):
            keywords = list(inspect.signature(getattr(cls, method)).parameters.values())[1:]
            assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in keywords)


@pytest.mark.parametrize("name", ["LogisticRegression", "LogisticRegressionModel"])
def test_sparks_own_base_classes_for_stages_are_ours_too(name: str) -> None:
    """So that a program that asks what a stage is, or has, gets the answer it got."""
    for base in theirs(name).__mro__[1:]:
        # Java...: what needs an object in the JVM. HasTrainingSummary: of no use outside Spark's
        # package, which does not list it, and a model of ours has both its members.
        if "Java" in base.__name__ or base.__name__ in ("HasTrainingSummary", "Generic"):
            continue
        if not base.__name__.startswith("_"):
            assert issubclass(ours(name), base), base.__name__


def test_summaries_inherit_from_each_other_as_sparks() -> None:
    for one in SUMMARIES:
        for other in SUMMARIES:
            expected = issubclass(theirs(one), theirs(other))
            assert issubclass(ours(one), ours(other)) == expected, (one, other)


def test_every_difference_has_a_reason_and_is_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for difference, reason in DIFFERENT.items():
        assert tuple(difference.split(".")) in MEMBERS, f"{difference} is no member of Spark's"
        assert reason, difference
        assert difference.split(".")[1] in text, difference


def test_what_we_add_is_on_the_page() -> None:
    """Each by its name; a Param's getter and setter by the Param's."""
    text = PAGE.read_text(encoding="utf-8")
    for name in CLASSES:
        for member in set(public(ours(name))) - set(public(theirs(name))):
            param = re.sub("^[gs]et(.)", lambda found: found[1].lower(), member)
            assert re.search(rf"\b({member}|{param})\b", text), f"{CLASSES[name]}.{member}"


# Params


@pytest.fixture(scope="module")
def estimators(spark: Any) -> tuple[Any, Any]:
    """Spark's and ours, both plain."""
    assert spark is not None  # Spark's own class needs a session behind it
    return classification.LogisticRegression(), LogisticRegressionEstimator()


PARAMS = [m for n, m in MEMBERS if n == "LogisticRegression" and kind(theirs(n), m) == "Param"]

# Of every kind that someone may hand to a setter.
VALUES: list[Any] = [
    None, True, False, 0, 1, 2, -3, 0.0, 0.25, 1.0, float("nan"), float("inf"), "", "a", "1",
    b"a", np.float64(0.5), np.float64(2.0), np.float32(0.5), np.int64(3), np.bool_(True),
    np.str_("a"), [], [0.25, 0.75], [1, 2], ["a", "b"], ["a", 1], (0.5, 0.5), (1, 2), {1.0}, {},
    range(2), np.array([0.5, 0.5]), np.array([1, 2]), np.array([[0.5, 0.5]]), np.array(["a"]),
    Vectors.dense(0.5, 0.5), SparseVector(2, [0], [0.5]), DenseMatrix(1, 2, [0.5, 0.5]),
    SparseMatrix(1, 2, [0, 1, 1], [0], [0.5]), object,
]  # fmt: skip


def converted(converter: Any, value: Any) -> tuple[str, str]:
    """The type and text of what a converter makes of a value, or the kind of its error."""
    try:
        made = converter(value)
    except Exception as error:
        return "raised", type(error).__name__
    parts = [type(part).__name__ for part in made] if isinstance(made, list) else []
    return type(made).__name__, f"{made!r} {parts}"


@pytest.mark.parametrize("name", PARAMS)
def test_a_param_has_sparks_default_and_converts_as_sparks(
    estimators: tuple[Any, Any], name: str
) -> None:
    its, mine = estimators
    assert mine.getParam(name).name == name
    assert mine.getParam(name).doc
    assert mine.hasDefault(name) == its.hasDefault(name)
    if its.hasDefault(name):
        default, expected = mine.getOrDefault(name), its.getOrDefault(name)
        assert (type(default), default) == (type(expected), expected)
    assert not mine.isSet(name)
    for value in VALUES:
        expected = converted(its.getParam(name).typeConverter, value)
        assert converted(mine.getParam(name).typeConverter, value) == expected, repr(value)


def test_params_are_listed_in_sparks_order(estimators: tuple[Any, Any]) -> None:
    its, mine = ([param.name for param in estimator.params] for estimator in estimators)
    assert [name for name in mine if name in set(its)] == its


def by_name(stage: Any, names: set[str]) -> dict[str, Any]:
    return {p.name: v for p, v in stage.extractParamMap().items() if p.name in names}


def assert_same_params(its: Any, mine: Any) -> None:
    names = {param.name for param in its.params}
    assert by_name(mine, names) == by_name(its, names)
    for name in names:
        assert mine.isSet(name) == its.isSet(name), name
        assert mine.hasDefault(name) == its.hasDefault(name), name
        # (default: ..., current: ...): what comes before is each one's own words.
        told = [stage.explainParam(name).rpartition("(")[2] for stage in (its, mine)]
        assert told[0] == told[1]


def test_a_plain_estimator_has_sparks_defaults(estimators: tuple[Any, Any]) -> None:
    assert_same_params(*estimators)


# What instances give

SET = {"threshold": 0.3, "regParam": 0.1, "predictionCol": "guess", "weightCol": "weight"}


@pytest.fixture(scope="module", params=["two", "three"])
def models(request: pytest.FixtureRequest) -> tuple[Any, Any, Any]:
    """Spark's model and ours with the same settings, and the frame, of two and three classes."""
    frame = request.getfixturevalue(request.param)
    name = "LogisticRegression"
    its, mine = (cls(**SET).fit(frame) for cls in (theirs(name), ours(name)))
    return its, mine, frame


def test_a_model_has_the_params_that_sparks_has(models: tuple[Any, Any, Any]) -> None:
    its, mine, _ = models
    assert_same_params(its, mine)
    extra = {"probabilityCol": "chance"}
    its, mine = (one.copy({one.getParam(k): v for k, v in extra.items()}) for one in (its, mine))
    assert_same_params(its, mine)


def sort_of(value: Any) -> Any:
    """What a caller relies on: the type, of a list also its elements', of a frame its columns."""
    if isinstance(value, DataFrame):
        return [(field.name, field.dataType) for field in value.schema]
    if hasattr(value, "toArray"):  # the fits differ in the last digits, so in zeros perhaps
        return ("matrix" if hasattr(value, "numRows") else "vector"), value.toArray().shape
    for name in SUMMARIES:
        if type(value) in (theirs(name), ours(name)):
            return name
    if isinstance(value, (list, tuple)) or type(value).__name__ == "array":
        return "sequence", {type(part) for part in value}
    return type(value)


def read(owner: Any, member: str) -> Any:
    try:
        return sort_of(getattr(owner, member))
    except Exception:
        return "raised"


def test_properties_give_what_sparks_give(models: tuple[Any, Any, Any]) -> None:
    its, mine, frame = models
    pairs = [(its, mine), (its.summary, mine.summary), (its.evaluate(frame), mine.evaluate(frame))]
    for other, own in pairs:
        name = type(other).__name__
        assert type(own).__name__ == name
        for member in public(type(other)):
            if kind(type(other), member) == "property":
                assert read(own, member) == read(other, member), f"{name}.{member}"


def test_methods_of_models_and_summaries_give_what_sparks_give(
    models: tuple[Any, Any, Any],
) -> None:
    its, mine, frame = models
    row = frame.first().features
    for method in ("predict", "predictRaw", "predictProbability"):
        assert sort_of(getattr(mine, method)(row)) == sort_of(getattr(its, method)(row))
    for method in ("fMeasureByLabel", "weightedFMeasure"):
        for arguments in ({}, {"beta": 0.5}):
            given = [getattr(one.summary, method)(**arguments) for one in (its, mine)]
            assert sort_of(given[0]) == sort_of(given[1])
    assert sort_of(mine.transform(frame)) == sort_of(its.transform(frame))


@pytest.mark.parametrize("name", PARAMS)
def test_a_setter_returns_its_object_and_a_getter_the_value(
    estimators: tuple[Any, Any], name: str
) -> None:
    values: dict[str, Any] = {
        "thresholds": [0.4, 0.6],
        "family": "binomial",
        "aggregationDepth": 3,
        "lowerBoundsOnCoefficients": DenseMatrix(1, 1, [0.0]),
        "upperBoundsOnCoefficients": DenseMatrix(1, 1, [1.0]),
        "lowerBoundsOnIntercepts": Vectors.dense(0.0),
        "upperBoundsOnIntercepts": Vectors.dense(1.0),
    }
    read_back = []
    for estimator in (one.copy() for one in estimators):
        default = estimator.getOrDefault(name) if estimator.hasDefault(name) else "column"
        suffix = f"et{name[0].upper()}{name[1:]}"
        assert getattr(estimator, f"s{suffix}")(values.get(name, default)) is estimator
        assert estimator.isSet(name)
        read_back.append(getattr(estimator, f"g{suffix}")())
    assert read_back[0] == read_back[1]
