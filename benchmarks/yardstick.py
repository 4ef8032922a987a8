"""scikit-learn on the same rows in memory: what one machine without Spark would take.

It runs in a process of its own, which can be ended when its time is over, and which does not
count as memory of the driver.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import DataFrame
from scipy import sparse

from benchmarks.judge import Array, Coefficients, Penalty, plain_rows, read_batch

ROOT = Path(__file__).resolve().parents[1]
TIME_LIMIT = 30.0  # seconds a fit, with the reading of its rows
COPIES = 3  # of the rows, which a fit holds at once
SHARE = 0.6  # of the memory that is free, which it may take


@dataclass(frozen=True, eq=False)
class Measured:
    """What scikit-learn took and found, or why there is nothing."""

    seconds: float | None = None
    iterations: int | None = None
    found: Coefficients | None = None
    note: str = ""


def fits_in_memory(row_bytes: int, rows: int) -> bool:
    """Whether the rows fit beside Spark."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return True
    line = next(row for row in info.read_text().splitlines() if row.startswith("MemAvailable"))
    return COPIES * row_bytes * rows < SHARE * int(line.split()[1]) * 1024


def save_rows(frame: DataFrame, directory: Path) -> None:
    """Write the frame's rows to files that another process can read."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    plain_rows(frame).mapInArrow(_SaveRows(str(directory)), "rows bigint").collect()


@dataclass(frozen=True)
class _SaveRows:
    """The task that writes a partition."""

    directory: str

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        parts = [read_batch(batch) for batch in batches if batch.num_rows]
        if parts:
            context = TaskContext.get()
            assert context is not None
            stem = f"{self.directory}/{context.partitionId():05d}"
            np.save(f"{stem}-labels.npy", np.concatenate([labels for _, labels in parts]))
            if sparse.issparse(parts[0][0]):
                sparse.save_npz(f"{stem}-rows.npz", sparse.vstack([X for X, _ in parts], "csr"))
            else:
                np.save(f"{stem}-rows.npy", np.concatenate([X for X, _ in parts]))
        counts = pa.array([sum(len(labels) for _, labels in parts)], pa.int64())
        yield pa.RecordBatch.from_arrays([counts], names=["rows"])


def load_rows(directory: Path) -> tuple[Any, Array]:
    """Features, dense or CSR, and labels."""
    y = np.concatenate([np.load(file) for file in sorted(directory.glob("*-labels.npy"))])
    dense = sorted(directory.glob("*-rows.npy"))
    if dense:
        return np.concatenate([np.load(file) for file in dense]), y
    return sparse.vstack(
        [sparse.load_npz(file) for file in sorted(directory.glob("*-rows.npz"))], "csr"
    ), y


def measure(directory: Path, penalty: Penalty) -> Measured:
    """Fit the saved rows in another process."""
    command = [sys.executable, "-m", "benchmarks.yardstick", str(directory)]
    try:
        ended = subprocess.run(
            [*command, json.dumps(asdict(penalty))],
            cwd=ROOT, timeout=TIME_LIMIT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Measured(note=f"> {TIME_LIMIT:.0f}")
    if ended.returncode != 0:
        return Measured(note=(ended.stderr.strip() or "ended").splitlines()[-1])
    told = json.loads(ended.stdout)
    result = np.load(directory / "found.npz")
    found = Coefficients(result["matrix"], result["intercepts"])
    return Measured(told["seconds"], told["iterations"], found)


def fit(X: Any, y: Array, penalty: Penalty) -> tuple[Coefficients, int]:
    """Coefficients on the scale of the data, for Spark's objective, and the iterations.

    scikit-learn minimises C·Σ loss + penalty, hence C = 1/(regParam·n). It knows of no scaling,
    so that the features are standardised here; sparse ones are not centred.
    """
    from sklearn.preprocessing import StandardScaler

    rows = X.shape[0]
    centred = not sparse.issparse(X)
    scaler = StandardScaler(with_mean=centred)
    variance = scaler.fit(X).var_ * rows / (rows - 1)
    scale = np.where(variance > 0, np.sqrt(variance), 1.0)
    mean = scaler.mean_ if centred else np.zeros(X.shape[1])
    scaled = (X - mean) / scale if centred else sparse.csr_matrix(X @ sparse.diags(1 / scale))

    model = _model(penalty, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the iterations ran out: the objective will tell
        model.fit(scaled, y)
    matrix = model.coef_ / scale
    return Coefficients(matrix, model.intercept_ - matrix @ mean), int(np.max(model.n_iter_))


def _model(penalty: Penalty, rows: int) -> Any:
    """The estimator with its own tol and max_iter: lbfgs for smooth penalties, saga for others."""
    import sklearn
    from sklearn.linear_model import LogisticRegression

    share = penalty.elasticNetParam
    strength = penalty.regParam * rows
    options: dict[str, Any] = {"C": 1 / strength if strength else np.inf}
    if share:
        options |= {"l1_ratio": share, "solver": "saga", "random_state": 0}
    if tuple(int(part) for part in sklearn.__version__.split(".")[:2]) < (1, 8):
        options["penalty"] = "elasticnet" if share else "l2" if strength else None
        if not strength:
            del options["C"]
    return LogisticRegression(**options)


def main() -> None:
    """The other process: rows' directory and penalty come as arguments, results go to files."""
    directory, penalty = Path(sys.argv[1]), Penalty(**json.loads(sys.argv[2]))
    X, y = load_rows(directory)
    start = time.perf_counter()
    found, iterations = fit(X, y, penalty)
    seconds = time.perf_counter() - start
    np.savez(directory / "found.npz", matrix=found.matrix, intercepts=found.intercepts)
    print(json.dumps({"seconds": seconds, "iterations": iterations}))


if __name__ == "__main__":
    main()
