"""Saved models as anybody may have changed them: refused with a reason, or a model that is whole.

Below Spark: what a file holds is handed to the readers themselves.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparklr import LogisticRegressionEstimator, LogisticRegressionModel
from tests.fuzz.reference import fuzzed, outcome
from tests.saving.below_spark import WHERE, saved_metadata, saved_row
from tests.saving.below_spark import load as read_below

numbers = st.sampled_from([0, 1, 2, 3, -1, 40, 2**31, 10**400, 0.5, float("nan"), float("inf")])
simple = st.none() | st.booleans() | numbers | st.sampled_from(["", "inf", "1", "regParam", "a"])
values = st.recursive(
    simple,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["matrix", "vector", "row", "col", "data"]), inner)
    ),
    max_leaves=6,
)


def saved(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The metadata and the row of a saved model, as plain Python."""
    return saved_metadata(name), saved_row(name)


def load(metadata: str, rows: list[dict[str, Any]]) -> LogisticRegressionModel:
    model: LogisticRegressionModel = read_below(LogisticRegressionModel, metadata, rows)
    return model


def assert_whole(model: LogisticRegressionModel) -> None:
    """The model's parts agree, and it scores."""
    rows = model.coefficientMatrix.toArray()
    margins = model.numbers.family.margins(model.numClasses)
    assert rows.shape == (margins, model.numFeatures)
    assert np.isfinite(rows).all()
    assert not np.isnan(model.interceptVector.toArray()).any()
    assert model.interceptVector.size == margins
    assert len(model.featureNames) == model.numFeatures
    raw = outcome(lambda: model.predictRaw(np.ones((2, model.numFeatures))), ValueError)
    assert isinstance(raw, ValueError) or raw.shape == (2, max(model.numClasses, 2))
    assert LogisticRegressionModel.fromJson(model.toJson()).toJson() == model.toJson()


def assert_refused_or_whole(found: Any, where: str) -> None:
    if isinstance(found, ValueError):
        assert where in str(found)
        assert "\n" not in str(found)
        assert str(found).endswith(".")
    else:
        assert_whole(found)


@pytest.mark.parametrize("name", ["binomial", "multinomial"])
def test_what_was_not_changed_is_loaded(name: str) -> None:
    metadata, row = saved(name)
    assert_whole(load(json.dumps(metadata), [row]))


def spoil(draw: Any, whole: Any) -> Any:
    """The same with one value changed or one key or item gone, however deep."""
    if not isinstance(whole, (dict, list)) or not whole or draw(st.integers(0, 3)) == 0:
        return draw(values)
    place = draw(st.sampled_from(list(whole) if isinstance(whole, dict) else range(len(whole))))
    made = whole.copy()
    if draw(st.integers(0, 5)) == 0:
        del made[place]
    else:
        made[place] = spoil(draw, whole[place])
    return made


@fuzzed
@given(st.data(), st.sampled_from(["binomial", "multinomial"]))
def test_metadata_with_one_thing_changed(data: st.DataObject, name: str) -> None:
    metadata, row = saved(name)
    text = json.dumps(spoil(data.draw, metadata))
    assert_refused_or_whole(outcome(lambda: load(text, [row]), ValueError), WHERE)


@fuzzed
@given(st.data(), st.sampled_from(["binomial", "multinomial"]))
def test_numbers_with_one_thing_changed(data: st.DataObject, name: str) -> None:
    """Of the types that the file's schema, which is checked before, can hold."""
    metadata, row = saved(name)
    made = json.loads(json.dumps(row))
    part = data.draw(st.sampled_from(list(made)))
    if isinstance(made[part], dict):
        inner = data.draw(st.sampled_from(list(made[part])))
        whole = made[part][inner]
        made[part][inner] = data.draw(_alike(whole, inner))
    elif isinstance(made[part], bool):
        made[part] = data.draw(st.sampled_from([None, not made[part]]))
    else:
        made[part] = data.draw(st.sampled_from([None, 0, -1, 1, 2, 3, 41, 2**31 - 1]))
    found = outcome(lambda: load(json.dumps(metadata), [made]), ValueError)
    assert_refused_or_whole(found, WHERE)


def _alike(whole: Any, name: str) -> Any:
    """Something of the same type as a part of a vector or matrix."""
    whole_numbers = st.sampled_from([None, 0, 1, 2, 3, -1, 40, 2**31 - 1])
    if name == "isTransposed":
        return st.none() | st.booleans()
    if name in ("indices", "colPtrs", "rowIndices"):
        return st.none() | st.lists(whole_numbers, max_size=5)
    if name == "values":
        other = st.sampled_from([None, 0.0, 1.0, float("nan"), float("inf"), -float("inf"), 1e308])
        return st.none() | st.lists(other, max_size=len(whole) + 1)
    return whole_numbers


@fuzzed
@given(st.data(), st.sampled_from(["binomial", "multinomial"]))
def test_json_with_one_thing_changed(data: st.DataObject, name: str) -> None:
    metadata, row = saved(name)
    whole = json.loads(load(json.dumps(metadata), [row]).toJson())
    text = json.dumps(spoil(data.draw, whole))
    found = outcome(lambda: LogisticRegressionModel.fromJson(text), ValueError)
    assert_refused_or_whole(found, "")


@fuzzed
@given(st.data())
def test_json_with_bytes_changed(data: st.DataObject) -> None:
    """A changed digit makes another number: that nobody can see."""
    metadata, row = saved("multinomial")
    text = list(load(json.dumps(metadata), [row]).toJson())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(
            st.sampled_from('09"{}[],:.e- x')
        )
    found = outcome(lambda: LogisticRegressionModel.fromJson("".join(text)), ValueError)
    assert_refused_or_whole(found, "")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"class": 1e999}', "9" * 5000])
def test_text_made_to_break_the_reader_is_refused(text: str) -> None:
    for action in (lambda: LogisticRegressionModel.fromJson(text), lambda: load(text, [])):
        with pytest.raises(ValueError, match=r"\.$"):
            action()


@pytest.mark.parametrize("rows", [0, 2])
def test_a_model_is_one_row(rows: int) -> None:
    metadata, row = saved("binomial")
    with pytest.raises(ValueError, match=r"data' (is empty|has several rows): the model is not"):
        load(json.dumps(metadata), [row] * rows)


def test_what_is_no_text_is_refused() -> None:
    for value in (None, b"{}", 3, {}):
        with pytest.raises(TypeError, match="fromJson takes the text of toJson, but got"):
            LogisticRegressionModel.fromJson(value)  # type: ignore[arg-type]


def test_a_name_that_is_no_param_sets_nothing() -> None:
    metadata, row = saved("binomial")
    for name in ("uid", "params", "self", "fit", "_paramMap", "__class__", "no such"):
        for part in ("paramMap", "defaultParamMap"):
            text = json.dumps({**metadata, part: {name: "x"}})
            with pytest.raises(ValueError, match=f"there is no Param '{name}'"):
                load(text, [row])
    assert LogisticRegressionEstimator().uid != "x"
