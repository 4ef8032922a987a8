"""The members of a model that has learned from the batches of a stream."""

from __future__ import annotations

from sparklr.batches.facts import StreamFacts
from sparklr.scoring.numbers import ModelNumbers
from sparklr.spark.errors import InvalidValueError


class StreamOfModel:
    """How well the model has predicted the batches that it learned from."""

    _stream: StreamFacts | None

    @property
    def progressiveLoss(self) -> float:
        """The mean log loss of all rows of a stream, each scored before it was learned.

        By weight, without the first batch, before which nothing was learned: NaN after that one.
        """
        return learned_by(self).loss

    @property
    def lastBatchLoss(self) -> float:
        """The mean log loss of the last batch, scored before it was learned; NaN for the first."""
        return learned_by(self).last_loss

    @property
    def batchesLearned(self) -> int:
        """The number of batches that the model has learned from."""
        return learned_by(self).batches

    @property
    def rowsLearned(self) -> int:
        """The number of rows, of weight above zero, that the model has learned from."""
        return learned_by(self).rows


NOT_OF_A_STREAM = (
    "This model has not learned from a stream: it comes from `fit`, or from JSON or by pickle, "
    "which keep no precisions. Begin with estimator.partialFit(frame): its first batch may be all "
    "rows so far."
)


def numbers_of_stream(state: StreamFacts) -> ModelNumbers:
    """Return the numbers of a model that has learned from a stream."""
    found, names = state.coefficients(), state.names
    return ModelNumbers.of(*found, state.classes, family=state.family, names=names)


def learned_by(model: StreamOfModel) -> StreamFacts:
    """Return what a model has learned from a stream."""
    if model._stream is None:
        raise InvalidValueError(NOT_OF_A_STREAM)
    return model._stream
