"""What a user reads about separated rows."""

from __future__ import annotations

import numpy as np
import pytest

from sparklr.separation.sentences import separation_sentence

NAMES = ["NV", "PI", "EH", "age", "dose", "site"]
CASES = {
    "a flag": (
        [[1, 0, 0, 0]], [0], [0, 13], False,
        "wherever 'NV' is above 0 the label is 1 (13 of 79 rows): "
        "its coefficient has no finite estimate",
    ),
    "a threshold, falling": (
        [[0, -1, 0, 2.5]], [1], [4, 5], False,
        "wherever 'PI' is below 2.5 the label is 1 (5 of 79 rows), and wherever it is above 2.5 "
        "the label is 0 (4 of 79 rows): its coefficient has no finite estimate",
    ),
    "far from zero": (
        [[1, 0, 0, -1048576.25]], [0], [40, 39], True,
        "wherever 'NV' is above 1048576.25 the label is 1 (39 of 79 rows), and wherever it is "
        "below 1048576.25 the label is 0 (40 of 79 rows): no coefficient has a finite estimate",
    ),
    "oblique": (
        [[0.5, 1, -0.75, 0]], [0, 1, 2], [3, 0], False,
        "wherever 0.5 'NV' + 'PI' - 0.75 'EH' is below 0 the label is 0 (3 of 79 rows): "
        "the coefficients of 'NV', 'PI' and 'EH' have no finite estimates",
    ),
    "oblique, falling": (
        [[0.5, -1, 0, 2]], [0, 1], [0, 3], False,
        "wherever -0.5 'NV' + 'PI' is below 2 the label is 1 (3 of 79 rows): "
        "the coefficients of 'NV' and 'PI' have no finite estimates",
    ),
    "another coefficient besides": (
        [[1, 0, 0, 0]], [0, 2], [0, 3], False,
        "wherever 'NV' is above 0 the label is 1 (3 of 79 rows): "
        "the coefficients of 'NV' and 'EH' have no finite estimates",
    ),
    "many terms": (
        [[1, 1, 1, 1, 1, 1, -3]], range(6), [0, 3], False,
        "wherever a sum of 6 features ('NV', 'PI', 'EH', 'age' and 2 others) is above 3 the label "
        "is 1 (3 of 79 rows): the coefficients of 'NV', 'PI', 'EH', 'age' and 2 others have no "
        "finite estimates",
    ),
    "one class beside all others": (
        [[0, 0, 0], [1, 0, -1], [0, 0, 0]], [0], [2, 3, 4], False,
        "wherever 'NV' is above 1 the label is 1 (3 of 79 rows), and wherever it is below 1 the "
        "label is not 1 (6 of 79 rows): its coefficient has no finite estimate",
    ),
    "two classes with a margin each": (
        [[0, 0, 0.5], [1, 0, 0]], [0], [2, 3], False,
        "wherever 'NV' is above 0.5 the label is 1 (3 of 79 rows), and wherever it is below 0.5 "
        "the label is 0 (2 of 79 rows): its coefficient has no finite estimate",
    ),
    "several classes": (
        [[1, 0, 0], [0, 1, 0], [0, 0, 0]], [0, 1], [2, 3, 4], False,
        "along a direction in the coefficients of 'NV' and 'PI' no row's label becomes less "
        "probable, and that of 9 of 79 rows more probable for ever: "
        "the coefficients of 'NV' and 'PI' have no finite estimates",
    ),
    "one label": (
        [[0, 0, -1]], [0, 1], [79, 0], True,
        "all 79 rows have the label 0: no coefficient has a finite estimate",
    ),
    "one class": (
        [[0, 0, 0], [0, 0, 1], [0, 0, 0]], [0, 1], [0, 79, 0], True,
        "all 79 rows have the label 1: no coefficient has a finite estimate",
    ),
    "absent classes": (
        [[0, 0, 0], [0, 0, -1], [0, 0, 0], [0, 0, -1]], [0, 1], [40, 0, 39, 0], False,
        "no row has the labels 1 and 3: the coefficients of 'NV' and 'PI' have no finite estimates",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_sentences(name: str) -> None:
    direction, features, labels, complete, sentence = CASES[name]
    matrix = np.array(direction, dtype=float)
    found = separation_sentence(matrix, list(features), labels, 79, NAMES, complete=complete)
    assert found == sentence
