"""Run one generator of questions to its end, whatever kind its questions are of."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

Question = TypeVar("Question")
Reply = TypeVar("Reply")
Result = TypeVar("Result")


def drive(
    asking: Generator[Question, Reply, Result], answer: Callable[[Question], Reply]
) -> Result:
    """Return what a generator returns, after the answers to all of its questions."""
    question = next(asking)
    while True:
        reply = answer(question)
        try:
            question = asking.send(reply)
        except StopIteration as finished:
            result: Result = finished.value
            return result
