"""Learning from batches: `partialFit`, and `updates` for Structured Streaming's `foreachBatch`."""

from __future__ import annotations

import logging
from typing import cast

from pyspark.sql import DataFrame

from sparklr.batches.facts import StreamFacts
from sparklr.display.progress import Progress
from sparklr.fitting.cautions import warn_of_batch
from sparklr.fitting.stream import learn_frame
from sparklr.fitting.stream_params import check_stream
from sparklr.inference.stream_of_model import learned_by
from sparklr.model import LogisticRegressionModel, stream_model
from sparklr.params import EstimatorParams, verbose_if_set
from sparklr.rows.columns import check_frame
from sparklr.saving.stream import state_bytes
from sparklr.saving.stream_folder import StreamFolder, local_path
from sparklr.spark.errors import InvalidTypeError, InvalidValueError, NoRowsError

log = logging.getLogger("sparklr")

# The newest folders that stay, to go back to.
KEPT = 10


class LearnsFromStreams:
    """The members of an estimator that learn from one batch after another."""

    def partialFit(
        self, dataset: DataFrame, model: LogisticRegressionModel | None = None
    ) -> LogisticRegressionModel:
        """Return a new model that has learned from these rows, after all that `model` had learned.

        The posterior of the last batch is the prior of this one, so no learning rate is needed, nor
        a row of an earlier batch. With `solver="sgd"`, for very wide rows, there is no posterior,
        and a batch is one epoch from where the last one ended. `regParam` is the weight of the
        penalty per row, as in `fit`; with `decayFactor` or `halfLife` the past counts less and
        less.

        Parameters
        ----------
        dataset : DataFrame
            The rows of a batch.
        model : LogisticRegressionModel, optional
            The model to go on with, from `partialFit`; it is not changed. None begins a new one.

        Returns
        -------
        LogisticRegressionModel
            The model, with its `posterior` and `progressiveLoss`.

        Examples
        --------
        >>> rows = [(float(i % 7 > 3), float(i % 5)) for i in range(60)]
        >>> frame = spark.createDataFrame(rows, ["label", "dose"])
        >>> estimator = LogisticRegressionEstimator(featuresCols=["dose"], regParam=1e-3)
        >>> model = estimator.partialFit(frame.limit(40))
        >>> model = estimator.partialFit(frame.limit(20), model)
        >>> model.batchesLearned, model.rowsLearned
        (2, 60)
        """
        params = cast(EstimatorParams, self)
        check_frame(dataset)
        if model is not None and not isinstance(model, LogisticRegressionModel):
            raise InvalidTypeError(
                f"model must be a LogisticRegressionModel of sparklr, but got a "
                f"{type(model).__name__}."
            )
        known = None if model is None else learned_by(model)
        return stream_model(_learn(params, dataset, known), params)

    def updates(self, path: str, keep: int = KEPT) -> Updates:
        """Return a function for `foreachBatch`, which learns from each batch of a stream.

        All that it knows is under `path`. `LogisticRegressionModel.loadLatest(path)` is the newest
        model, also while the stream runs.

        Parameters
        ----------
        path : str
            A local folder, or one of a mounted file system, on the machine of the driver. Give
            each stream a folder of its own.
        keep : int
            How many of the newest batches keep their folders.

        Returns
        -------
        Updates
            The function of a frame and the id of its batch. It can be pickled.
        """
        params = cast(EstimatorParams, self)
        check_stream(params)
        return Updates(params.copy(), path, keep)  # what is set later is not for this stream


class Updates:
    """Learns from the batches of a stream; see `LogisticRegressionEstimator.updates`.

    A batch with an id that was learned before is skipped, and so is one without rows. If a batch
    cannot be learned, it raises an error and changes nothing.
    """

    def __init__(self, estimator: EstimatorParams, path: str, keep: int = KEPT) -> None:
        if type(keep) is not int or keep < 1:
            raise InvalidValueError(f"keep={keep!r} is not allowed: it must be 1 or more.")
        self._estimator, self._path, self._keep = estimator, local_path(path), keep

    def __call__(self, frame: DataFrame, batch: int) -> None:
        """Learn from the rows of a batch, unless its id was learned before."""
        folder, params = StreamFolder(self._path), self._estimator
        mark = folder.latest()
        if mark is not None and batch <= mark.batch:
            log.warning(
                "Batch %d is skipped: '%s' has learned up to batch %d. If the stream has begun "
                "anew without its checkpoint, give it another folder.",
                batch, self._path, mark.batch,
            )  # fmt: skip
            return
        if mark is None:
            _check_new(folder, self._path, batch)
        try:
            state = _learn(params, frame, None if mark is None else folder.read(mark)[0])
        except NoRowsError:
            return
        model = stream_model(state, params, posterior=False)
        folder.commit(batch, state_bytes(state, model=model.toJson()), mark)
        folder.forget(self._keep)


def _learn(params: EstimatorParams, frame: DataFrame, known: StreamFacts | None) -> StreamFacts:
    """Return what is known after a batch."""
    with Progress(verbose_if_set(params), "sparklr: batch") as progress:
        found = learn_frame(params, frame, known, progress.stage)
    if not found.converged:
        warn_of_batch(found.reason)
    return found.state


def _check_new(folder: StreamFolder, path: str, batch: int) -> None:
    """Refuse to begin anew where something was learned before."""
    others = [its for its in folder.batches() if its != batch]
    if others:
        raise ValueError(
            f"'{path}' has a folder of batch {others[-1]}, but no file 'latest'. Restore it, or "
            "give a folder that is empty, to begin anew."
        )
