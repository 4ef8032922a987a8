"""Thresholds decide alike in both ways of scoring, and count as they are when rows are scored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from numpy.testing import assert_array_equal

from tests.scoring.ways import (
    BINOMIAL,
    MULTINOMIAL,
    ROWS,
    in_order,
    model_of,
    numbers,
    odd_rows,
    scored_alike,
)


@pytest.fixture(scope="module")
def odd(spark: Any) -> Iterator[Any]:
    with odd_rows(spark) as frame:
        yield frame


BINOMIAL_CUTS: dict[str, Callable[[Any], Any]] = {
    "default": lambda model: model,
    "none": lambda model: model.setThreshold(0.0),
    "high": lambda model: model.setThreshold(0.9),
    "all": lambda model: model.setThreshold(1.0),
    "never one": lambda model: model.setThresholds([0.0, 1.0]),
    "always one": lambda model: model.setThresholds([1.0, 0.0]),
    "equal": lambda model: model.setThresholds([0.3, 0.3]),
    "matching": lambda model: model.setThresholds([0.25, 0.75])._set(threshold=0.75),
}
MULTINOMIAL_CUTS: dict[str, Any] = {
    "plain": None,
    "equal": [0.7, 0.7, 0.7],
    "uneven": [0.1, 0.5, 2.0],
    "a zero first": [0.0, 1.0, 1.0],
    "a zero last": [1.0, 1.0, 0.0],
}


def test_both_ways_decide_by_thresholds_alike(odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    models = {name: cut(model_of(BINOMIAL)) for name, cut in BINOMIAL_CUTS.items()}
    found = scored_alike(monkeypatch, odd, models)
    ones = {name: sum(one.prediction or 0 for one in its) for name, its in found.items()}
    assert ones["never one"] == ones["all"] == 0
    assert ones["always one"] == ones["none"] > ones["default"] == ones["equal"] > 0
    assert ones["default"] >= ones["matching"] >= ones["high"]


def test_both_ways_decide_by_thresholds_of_three_classes_alike(
    odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {name: model_of(MULTINOMIAL, thresholds=cut) for name, cut in MULTINOMIAL_CUTS.items()}
    found = {
        name: [one.prediction for one in scores[:2]]
        for name, scores in scored_alike(monkeypatch, odd, models).items()
    }
    assert found["a zero first"] == [0.0, 0.0]
    assert found["a zero last"] == [2.0, 2.0]
    assert found["equal"] == found["plain"]


def test_param_maps_of_transform_count_and_leave_the_model_alone(odd: Any) -> None:
    model, calm = model_of(BINOMIAL), odd.where("at < 2")
    assert_array_equal(numbers(model.transform(calm).collect(), "prediction", 1)[0], 0)
    for given, expected in (
        ({model.threshold: 0.0}, 1.0),
        ({model.thresholds: [1.0, 0.0]}, 1.0),
        ({model.threshold: 0.9}, 0.0),
    ):
        assert {row.prediction for row in model.transform(calm, given).collect()} == {expected}
    assert not model.isSet(model.threshold)
    three = model_of(MULTINOMIAL)
    cut = three.transform(calm, {three.thresholds: [1.0, 1.0, 0.0], three.predictionCol: "p"})
    assert {row.p for row in cut.collect()} == {2.0}
    assert not three.isSet(three.thresholds)
    with pytest.raises(ValueError, match="disagree"):
        model.transform(calm, {model.threshold: 0.9, model.thresholds: [0.5, 0.5]})


def test_a_changed_threshold_counts_at_once_and_not_backwards(odd: Any) -> None:
    model, calm = model_of(MULTINOMIAL), odd.where("at < 2")
    before = model.setThresholds([0.0, 1.0, 1.0]).transform(calm)
    after = model.setThresholds([1.0, 1.0, 0.0]).transform(calm)
    assert {row.prediction for row in after.collect()} == {2.0}
    assert {row.prediction for row in before.collect()} == {0.0}
    model.clear(model.thresholds)
    cleared = [row.prediction for row in in_order(model.transform(calm))]
    assert cleared == [model.predict(row[0]) for row in ROWS[:2]]


def test_transforms_of_one_model_at_once_do_not_disturb_each_other(odd: Any) -> None:
    model = model_of(BINOMIAL)
    calm = odd.where("features IS NOT NULL AND at < 4")
    cuts = [0.0, 0.05, 0.3, 0.5, 0.8, 1.0] * 2
    chances = [row.probability[1] for row in in_order(model.transform(calm))]
    model = model_of(BINOMIAL)  # one whose JVM model is yet to be made, by all at once

    def predictions(cut: float) -> list[float]:
        scored = model.transform(calm, {model.threshold: cut, model.probabilityCol: ""})
        return [row.prediction for row in in_order(scored)]

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(predictions, cuts))
    assert found == [[float(chance > cut) for chance in chances] for cut in cuts]
    assert len({tuple(one) for one in found}) > 2
