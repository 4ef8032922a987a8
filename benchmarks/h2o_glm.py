"""H2O's GLM, by the engine that its package brings: a JVM of its own, ended after the fit."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.judge import Array, Coefficients, Penalty
from benchmarks.rivals import WARM_UP_ROWS
from benchmarks.session import CORES

HOST = "127.0.0.1"
HEAP = "4g"
PATIENCE = 60.0  # seconds, until the engine answers
WARM_UP_SECONDS = 10.0
LABEL, INTERCEPT = "label", "Intercept"


def steps(
    X: Array, y: Array, penalty: Penalty, folder: Path
) -> Generator[tuple[Coefficients, int] | None, None, None]:
    """Start the engine and warm it up; import the rows, from a column per feature; fit."""
    import h2o
    from h2o.estimators import H2OGeneralizedLinearEstimator

    features, classes = X.shape[1], int(y.max()) + 1
    few, every = folder / "few.parquet", folder / "every.parquet"
    _write(X[:WARM_UP_ROWS], y[:WARM_UP_ROWS], few)
    _write(X, y, every)
    del X, y
    options = {
        "family": "binomial" if classes == 2 else "multinomial",
        "lambda_": penalty.regParam,
        "alpha": penalty.elasticNetParam,
        "standardize": True,
    }
    with _engine(folder):
        frame = h2o.import_file(str(few), col_types={LABEL: "enum"})
        model = H2OGeneralizedLinearEstimator(**options, max_runtime_secs=WARM_UP_SECONDS)
        model.train(y=LABEL, training_frame=frame)
        h2o.remove_all()
        yield None
        frame = h2o.import_file(str(every), col_types={LABEL: "enum"})
        yield None
        model = H2OGeneralizedLinearEstimator(**options)
        model.train(y=LABEL, training_frame=frame)
        iterations = model.summary()["number_of_iterations"][0]
        yield coefficients(model.coef(), features, classes), int(iterations)


def coefficients(found: Mapping[str, Any], features: int, classes: int) -> Coefficients:
    """Return the coefficients of H2O's tables; a feature that H2O left out has zeros."""
    tables = (
        [found] if classes == 2 else [found[f"coefs_class_{label}"] for label in range(classes)]
    )
    names = [_column(at) for at in range(features)]
    matrix = np.array([[table.get(name, 0.0) for name in names] for table in tables])
    return Coefficients(matrix, np.array([table[INTERCEPT] for table in tables]))


def _column(at: int) -> str:
    return f"x{at}"


def _write(X: Array, y: Array, file: Path) -> None:
    """Write a file in row groups, because H2O spreads these over its threads."""
    labels = pa.array(y.astype(int).astype(str)).dictionary_encode()
    columns = {LABEL: labels} | {_column(at): X[:, at] for at in range(X.shape[1])}
    pq.write_table(pa.table(columns), file, row_group_size=50_000)


@contextmanager
def _engine(folder: Path) -> Iterator[None]:
    import h2o

    with socket.socket() as free:
        free.bind((HOST, 0))
        port = str(free.getsockname()[1])
    places = [os.path.join(os.environ.get("JAVA_HOME", ""), "bin"), os.environ.get("PATH", "")]
    java = shutil.which("java", path=os.pathsep.join(places))
    jar = Path(h2o.__file__).parent / "backend" / "bin" / "h2o.jar"
    command = [str(java), f"-Xmx{HEAP}", "-jar", str(jar), "-name", f"rival-{port}"]
    command += ["-nthreads", str(CORES), "-ice_root", str(folder)]
    command += ["-ip", HOST, "-web_ip", HOST, "-port", port]
    with subprocess.Popen(command) as engine:
        try:
            _connect(f"http://{HOST}:{port}", engine)
            yield
        finally:
            engine.kill()


def _connect(address: str, engine: subprocess.Popen[bytes]) -> None:
    import h2o
    from h2o.exceptions import H2OConnectionError

    start = time.perf_counter()
    while True:
        try:
            h2o.connect(url=address, verbose=False)
            return
        except H2OConnectionError:
            if engine.poll() is not None or time.perf_counter() - start > PATIENCE:
                raise
            time.sleep(0.2)
