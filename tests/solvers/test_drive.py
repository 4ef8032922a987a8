"""A generator is run to its end, and no error of an answer is taken for that end."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from sparklr.solvers.drive import drive


def summing() -> Generator[int, int, int]:
    first = yield 1
    second = yield 2
    return first + second


def test_the_result_is_that_of_all_answers() -> None:
    assert drive(summing(), lambda question: 10 * question) == 30


def test_an_answer_that_ends_something_else_is_no_end() -> None:
    with pytest.raises(StopIteration):
        drive(summing(), lambda _: next(iter(())))
