"""Metadata that are not whole are refused in words, whatever of them is wrong.

Below Spark; what Spark itself finds wrong with files is in `test_round_trips`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from sparklr.saving.files import FORMAT
from tests.saving.below_spark import WHERE, load, saved_metadata, saved_row

CLASSES: dict[str, tuple[Any, str, list[dict[str, Any]]]] = {
    "model": (LogisticRegressionModel, "binomial", [saved_row("binomial")]),
    "estimator": (LogisticRegressionEstimator, "estimator", []),
}
either = pytest.mark.parametrize("kind", CLASSES)


def refusal(kind: str, text: str) -> str:
    """What the reader says of a metadata file of this text."""
    cls, _, rows = CLASSES[kind]
    with pytest.raises(ValueError, match=r"\.$") as caught:
        load(cls, text, rows)
    said = str(caught.value)
    assert WHERE in said
    assert "\n" not in said
    return said


def changed(kind: str, **values: Any) -> str:
    """The saved metadata with these values instead."""
    return json.dumps({**saved_metadata(CLASSES[kind][1]), **values})


@either
def test_what_is_whole_is_loaded(kind: str) -> None:
    cls, name, rows = CLASSES[kind]
    assert load(cls, changed(kind), rows).uid == saved_metadata(name)["uid"]


@either
@pytest.mark.parametrize(
    "text", ["", "{", '{"class": "sparklr', "[]", "[1]", "3", "null", '"text"', "{}", "\x00\x01"]
)
def test_metadata_that_are_none_are_refused(kind: str, text: str) -> None:
    assert "holds something without a class name, not sparklr" in refusal(kind, text)


@either
def test_what_another_class_saved_is_refused(kind: str) -> None:
    theirs = "org.apache.spark.ml.classification.LogisticRegressionModel"
    said = refusal(kind, changed(kind, **{"class": theirs}))
    assert f"'{WHERE}' holds {theirs}, not sparklr" in said


@either
@pytest.mark.parametrize("number", [FORMAT + 1, 99])
def test_a_newer_format_is_refused(kind: str, number: int) -> None:
    said = refusal(kind, changed(kind, sparklrFormat=number))
    assert f"format {number} by a newer sparklr; this one reads up to format {FORMAT}. Up" in said


@either
@pytest.mark.parametrize("number", [None, "1"])
def test_a_format_that_is_no_number_is_refused(kind: str, number: Any) -> None:
    assert "has no valid 'sparklrFormat'" in refusal(kind, changed(kind, sparklrFormat=number))


@either
@pytest.mark.parametrize("key", ["class", "uid", "paramMap", "defaultParamMap", "sparklrFormat"])
def test_metadata_that_lack_something_are_refused(kind: str, key: str) -> None:
    whole = saved_metadata(CLASSES[kind][1])
    assert f"'{WHERE}'" in refusal(kind, json.dumps({n: whole[n] for n in whole if n != key}))


@either
@pytest.mark.parametrize("params", [{"nonsense": 1}, {"regParam": "a"}, {"labelCol": 3}])
def test_metadata_of_damaged_params_are_refused(kind: str, params: dict[str, Any]) -> None:
    assert next(iter(params)) in refusal(kind, changed(kind, paramMap=params))


def test_a_file_from_before_features_had_names_is_loaded() -> None:
    before = saved_metadata("multinomial")
    del before["featureNames"]
    loaded = load(LogisticRegressionModel, json.dumps(before), [saved_row("multinomial")])
    assert loaded.featureNames == [f"features[{at}]" for at in range(40)]
