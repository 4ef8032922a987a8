"""Which columns a model adds: any of the three can be left out, by an empty name."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from numpy.testing import assert_array_equal
from pyspark.sql import functions as F

from tests.made_models import without_jvm
from tests.scoring.ways import (
    BINOMIAL,
    MULTINOMIAL,
    OUTPUTS,
    collected,
    model_of,
    numbers,
    odd_rows,
)
from tests.tiers import first_and_deep

SUBSETS = list(product([True, False], repeat=3))
# For `make test`: each output is in one of them, and left out of another.
TELLING = ((True, False, True), (False, True, False), (False, False, False))
ways = pytest.mark.parametrize("way", ["jvm", "arrow"])


@pytest.fixture(scope="module")
def odd(spark: Any) -> Iterator[Any]:
    with odd_rows(spark) as frame:
        yield frame


def named(wanted: tuple[bool, ...], suffix: str = "") -> dict[str, str]:
    """The Params of the outputs: names of those that are wanted, no name for the others."""
    return {
        f"{name}Col": name + suffix if kept else ""
        for name, kept in zip(OUTPUTS, wanted, strict=True)
    }


@ways
@pytest.mark.parametrize(
    "wanted",
    [pytest.param(it, marks=() if it in TELLING else pytest.mark.deep) for it in SUBSETS],
    ids=str,
)
def test_the_users_columns_stay_and_only_the_wanted_ones_are_added_as_by_spark(
    odd: Any, monkeypatch: pytest.MonkeyPatch, way: str, wanted: tuple[bool, ...]
) -> None:
    for coefficients in (BINOMIAL, MULTINOMIAL):
        model = model_of(coefficients, **named(wanted))
        theirs = model.toSpark().transform(odd).schema
        with monkeypatch.context() as patch:
            if way == "arrow":
                without_jvm(patch)
            scored = model.transform(odd)
        assert scored.columns == odd.columns + [
            name for name, kept in zip(OUTPUTS, wanted, strict=True) if kept
        ]
        assert scored.schema.fields[: len(odd.columns)] == odd.schema.fields
        assert scored.schema["features"].metadata == {"comment": "the user's"}
        for field, its in zip(scored.schema, theirs, strict=True):
            assert (field.name, field.dataType) == (its.name, its.dataType)
            assert field.metadata == its.metadata, field.name
        for name in scored.columns[len(odd.columns) :]:
            label = {"type": "nominal", "num_vals": model.numClasses}
            sizes = {"num_attrs": model.numClasses}
            expected = label if name == "prediction" else sizes
            assert scored.schema[name].metadata["ml_attr"] == expected


@pytest.mark.parametrize(
    ("way", "thresholds"),
    first_and_deep(
        [
            ("arrow", [0.1, 0.5, 2.0]),
            ("jvm", [0.3, 0.7]),
            ("arrow", [0.3, 0.7]),
            ("jvm", [0.1, 0.5, 2.0]),
        ],
        first=2,
    ),
    ids=str,
)
def test_outputs_are_those_of_all_columns_where_some_are_left_out(
    odd: Any, monkeypatch: pytest.MonkeyPatch, way: str, thresholds: list[float]
) -> None:
    classes = len(thresholds)
    model = model_of(MULTINOMIAL if classes == 3 else BINOMIAL, thresholds=thresholds)
    if way == "arrow":
        without_jvm(monkeypatch)
    all_three, *others = (model.copy()._set(**named(wanted)).transform(odd) for wanted in SUBSETS)
    whole, *parts = collected([all_three, *(with_nothing(frame, all_three) for frame in others)])
    for wanted, part in zip(SUBSETS[1:], parts, strict=True):
        for name, kept in zip(OUTPUTS, wanted, strict=True):
            if kept:
                width = 1 if name == "prediction" else classes
                (found, null), (expected, _) = (numbers(its, name, width) for its in (part, whole))
                assert_array_equal(found, expected, err_msg=f"{wanted} {name}")
                assert null.sum() == 1


def with_nothing(frame: Any, whole: Any) -> Any:
    """The frame with null in the place of the outputs that it lacks."""
    lacking = {
        name: F.when(F.lit(False), F.lit(None)).cast(whole.schema[name].dataType)
        for name in OUTPUTS
        if name not in frame.columns
    }
    return frame.withColumns(lacking) if lacking else frame
