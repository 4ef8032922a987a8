"""The rivals without Spark, each in a process of its own: scikit-learn, glum, and H2O's GLM.

A rival is a generator. It starts what it needs and yields, imports the rows and yields, fits and
yields what it found. The seconds of an import are told apart, and those of the start are not told.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow.parquet as pq
from scipy import sparse

from benchmarks import h2o_glm
from benchmarks.judge import Array, Coefficients, Penalty, Side, read_batch
from benchmarks.rivals import Rows
from benchmarks.session import BUILD, LOCAL
from benchmarks.workloads import Workload

Found: TypeAlias = tuple[Coefficients, int]  # with the iterations
Steps: TypeAlias = Generator[Found | None, None, None]

# Seconds: of a step that is slower, only this is known.
TIME_LIMITS = {"start": 120.0, "import": 120.0, "fit": 30.0}
SOME = 500  # features that a dense matrix of them squared, or a column for each, still suits


@dataclass(frozen=True)
class Apart:
    """A rival, and the rows that it takes."""

    name: str
    package: str  # as it is imported
    steps: Callable[[Any, Array, Penalty, Path], Steps]
    classes: float = np.inf  # at most
    features: float = np.inf  # at most
    sparse: bool = True
    imports: bool = False  # it needs the rows in a form of its own

    @property
    def installed(self) -> bool:
        """Whether its package can be imported."""
        return find_spec(self.package) is not None

    def takes(self, workload: Workload) -> bool:
        """Return whether it can fit a workload's rows, and these are not the rows of another."""
        rows = workload.dataset
        return (
            workload.kind == "fit"
            and workload.master == LOCAL
            and rows.classes <= self.classes
            and rows.features <= self.features
            and (self.sparse or not rows.sparse)
        )

    def fit(self, rows: Rows, penalty: Penalty) -> Side:
        """Return the result of a new process, which is ended after the time limit of a step."""
        folder = BUILD / "apart"
        folder.mkdir(parents=True, exist_ok=True)
        context = multiprocessing.get_context("spawn")
        receiver, sender = context.Pipe(duplex=False)
        arguments = (self, rows.file, penalty, folder, sender)
        process = context.Process(target=_run, args=arguments)
        process.start()
        sender.close()  # so that receiving ends when the process ends
        try:
            return _received(receiver)
        finally:
            assert process.pid is not None
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with a JVM that it started
            process.kill()
            process.join()
            shutil.rmtree(folder, ignore_errors=True)


def _received(receiver: Connection) -> Side:
    for step, limit in TIME_LIMITS.items():
        if not receiver.poll(limit):
            return Side(note=f"> {limit:g}" if step == "fit" else f"{step} > {limit:g}")
        try:
            side = receiver.recv()
        except EOFError:
            return Side(note="failed")
    return side  # type: ignore[no-any-return]


def _run(rival: Apart, file: Path, penalty: Penalty, folder: Path, sender: Connection) -> None:
    """Go through a rival's steps; what it prints goes to a file."""
    os.setsid()
    with (folder.parent / f"{rival.name}.log").open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    (batch,) = pq.read_table(file).combine_chunks().to_batches()
    rows = list(read_batch(batch))
    del batch
    with closing(rival.steps(rows.pop(0), rows.pop(), penalty, folder)) as steps:
        next(steps)
        sender.send("started")
        imported, _ = _timed(steps)
        sender.send("imported")
        seconds, found = _timed(steps)
        assert found is not None
    told = imported if rival.imports else None
    sender.send(Side([seconds], found=found[0], iterations=found[1], imported=told))


def _timed(steps: Iterator[Found | None]) -> tuple[float, Found | None]:
    start = time.perf_counter()
    found = next(steps)
    return time.perf_counter() - start, found


def _scikit_learn(X: Any, y: Array, penalty: Penalty, _: Path) -> Steps:
    return _in_memory(sklearn_model(penalty, len(y)), X, y)


def _glum(X: Any, y: Array, penalty: Penalty, _: Path) -> Steps:
    return _in_memory(glum_model(penalty), X, y)


def _in_memory(model: Any, X: Any, y: Array) -> Steps:
    yield None
    yield None
    yield fit_scaled(model, X, y)


def fit_scaled(model: Any, X: Any, y: Array) -> Found:
    """Return coefficients on the scale of the data, for Spark's objective, and the iterations.

    The model does not scale features by itself, or not by the same deviations, so they are
    standardised here; sparse features are not centred.
    """
    from sklearn.preprocessing import StandardScaler

    rows, centred = X.shape[0], not sparse.issparse(X)
    scaler = StandardScaler(with_mean=centred)
    variance = scaler.fit(X).var_ * rows / (rows - 1)
    scale = np.where(variance > 0, np.sqrt(variance), 1.0)
    mean = scaler.mean_ if centred else np.zeros(X.shape[1])
    scaled = (X - mean) / scale if centred else sparse.csr_matrix(X @ sparse.diags(1 / scale))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the iteration limit: the objective shows it
        model.fit(scaled, y)
    matrix = np.atleast_2d(model.coef_) / scale
    intercepts = np.atleast_1d(model.intercept_) - matrix @ mean
    return Coefficients(matrix, intercepts), int(np.max(model.n_iter_))


def sklearn_model(penalty: Penalty, rows: int) -> Any:
    """Return the estimator with default tol and max_iter: lbfgs for smooth penalties, else saga.

    scikit-learn minimises C·Σ loss + penalty, so C = 1/(regParam·n).
    """
    import sklearn
    from sklearn.linear_model import LogisticRegression

    strength = penalty.regParam * rows
    options: dict[str, Any] = {"C": 1 / strength if strength else np.inf}
    if penalty.elasticNetParam:
        options |= {"l1_ratio": penalty.elasticNetParam, "solver": "saga", "random_state": 0}
        if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 8):
            options["penalty"] = "elasticnet"
    return LogisticRegression(**options)


def glum_model(penalty: Penalty) -> Any:
    """Return the estimator with default tolerance and limits.

    glum minimises deviance/2n + penalty, which for labels 0 and 1 is Spark's objective.
    """
    from glum import GeneralizedLinearRegressor

    return GeneralizedLinearRegressor(
        family="binomial", alpha=penalty.regParam, l1_ratio=penalty.elasticNetParam
    )


RIVALS = (
    Apart("scikit-learn", "sklearn", _scikit_learn),
    Apart("glum", "glum", _glum, classes=2, features=SOME),
    Apart("H2O", "h2o", h2o_glm.steps, features=SOME, sparse=False, imports=True),
)


def absences() -> list[str]:
    """Return one sentence per rival that is not installed."""
    return [
        f"{one.name} is not installed: pip install {one.name.lower()}"
        for one in RIVALS
        if not one.installed
    ]


def sides_apart(workload: Workload, rows: Rows) -> dict[str, Side]:
    """Return what the rivals measure that are installed and take the rows."""
    chosen = [one for one in RIVALS if one.installed and one.takes(workload)]
    return {one.name: one.fit(rows, workload.penalty) for one in chosen}
