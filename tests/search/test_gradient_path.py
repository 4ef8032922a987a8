"""The bound between gradient descent and ridge is checked for each path that is made."""

from __future__ import annotations

import numpy as np
import pytest

from sparklr.arrays import Array
from sparklr.search.gradient_path import GradientPath, check_bound
from tests.errors import assert_plain


def path(ours: Array, ridge: Array) -> GradientPath:
    return GradientPath(
        np.array([0.1, 1.0]), np.array([3, 9]), ours, ridge, None, None, ("a", "b"), 10, 3
    )


def test_a_distance_that_cannot_be_is_refused() -> None:
    ours = np.array([[0.1, 0.2], [0.5, 1.0]])
    check_bound(path(ours, 0.3 * ours))
    with pytest.raises(ArithmeticError, match=r"At t = 1 gradient descent and ridge") as refused:
        check_bound(path(ours, np.array([[0.1, 0.2], [0.5, 0.1]])))
    assert_plain(refused.value, ("Rescale features",))


def test_coefficients_that_are_rounding_alone_are_not() -> None:
    check_bound(path(np.full((2, 2), 1e-12), np.full((2, 2), -1e-11)))
