"""Rows that are packed once and fitted many times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock

from pyspark.sql import DataFrame

from sparklr.arrays import MEGABYTE
from sparklr.fitting.from_params import pack_settings
from sparklr.fitting.split import Split
from sparklr.objective.moments import Moments
from sparklr.params import LogisticRegressionParams, check_params, offset_name, row_params
from sparklr.passes.jobs import open_passes
from sparklr.passes.protocol import Passes
from sparklr.rows.columns import TrainingRows, check_frame, training_rows
from sparklr.spark.errors import InvalidValueError


class PackedRows:
    """The rows of a frame, packed by `sparklr.pack`, until `unpersist` or the end of a `with`.

    They take the place of the frame in `fit`, `fitMultiple` and `evaluate` and in the validators of
    `sparklr.tuning`; a fit then takes its passes over the rows, and nothing else. Later changes of
    the frame's source are not seen. Threads may share them: one fit runs at a time.
    """

    def __init__(
        self, dataset: DataFrame, params: LogisticRegressionParams, split: Split | None = None
    ) -> None:
        check_frame(dataset)
        check_params(params)
        self._dataset, self._params, self._split = dataset, params, split
        self._lock, self._stack = RLock(), ExitStack()
        frame, fold = (dataset, None) if split is None else (split.frame, split.fold)
        self._rows = training_rows(frame, params, fold, fits=True)
        settings = pack_settings(params, self._rows)
        self._passes: Passes | None = self._stack.enter_context(
            open_passes(self._rows.frame, self._rows.names, settings)
        )

    @property
    def dataset(self) -> DataFrame:
        """The frame that was packed."""
        return self._dataset

    @property
    def count(self) -> int:
        """The number of rows to fit: of weight above zero, and not held out for early stopping."""
        return self._moments.rows

    @property
    def numFeatures(self) -> int:
        """The number of features."""
        return self._moments.features

    @property
    def sizeInMB(self) -> float:
        """About how much memory or disk the packed rows take."""
        every = [self._moments, *self._open().held.values()]
        rows, nonzeros = sum(its.rows for its in every), sum(its.nonzeros for its in every)
        dense, sparse = 8 * rows * self.numFeatures, 12 * nonzeros
        each = 16 if offset_name(self._params) is None else 24
        return (min(dense, sparse) + each * rows) / MEGABYTE

    @property
    def inMemory(self) -> bool:
        """Whether the rows are in the driver's memory; else they are in files of the workers."""
        return self._open().local

    @property
    def split(self) -> Split | None:
        """The folds that the rows were packed with, if any."""
        return self._split

    def unpersist(self) -> None:
        """Give back the memory and the files. Fits of these rows then raise an error."""
        with self._lock:
            self._passes = None
            self._stack.close()

    @contextmanager
    def lend(
        self, estimators: Iterable[LogisticRegressionParams]
    ) -> Iterator[tuple[TrainingRows, Passes]]:
        """Lend the rows to fits, which must want them as they were packed."""
        for params in estimators:
            self._check_alike(params)
        with self._lock:
            yield self._rows, self._open()

    def _check_alike(self, params: LogisticRegressionParams) -> None:
        known = row_params(self._params)
        for name, value in row_params(params).items():
            wanted, packed = value or None, known[name] or None  # no column has an empty name
            if wanted != packed:
                raise InvalidValueError(
                    f"The estimator has {name}={wanted!r}, but the rows were packed with "
                    f"{name}={packed!r}. Set it to the same value, or pack the rows again."
                )

    def _open(self) -> Passes:
        if self._passes is None:
            raise RuntimeError("These rows were unpersisted. Pack the frame again.")
        return self._passes

    @property
    def _moments(self) -> Moments:
        return self._open().moments

    def __enter__(self) -> PackedRows:
        return self

    def __exit__(self, *_: object) -> None:
        self.unpersist()

    def __repr__(self) -> str:
        if self._passes is None:
            return "PackedRows(unpersisted)"
        where = "in memory" if self.inMemory else "in files"
        return (
            f"PackedRows({self.count:,} rows, {self.numFeatures:,} features, "
            f"{self.sizeInMB:,.1f} MB {where})"
        )


def frame_of(dataset: DataFrame | PackedRows) -> DataFrame:
    """Return the frame itself, or the frame that was packed."""
    return dataset.dataset if isinstance(dataset, PackedRows) else dataset
