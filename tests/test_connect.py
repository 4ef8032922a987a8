"""The tests that need no JVM, run again in a process that is a client of Spark Connect.

A process has either classic sessions or those of Spark Connect, so the client is another one, and
the server a third.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from tests.connect.server import running

pytestmark = pytest.mark.connect

ROOT = Path(__file__).parents[1]

# What a client runs of the other tests, but for those that are marked `classic`.
SHARED = [
    "test_bad_input.py",
    "test_cleanup.py",
    "test_estimator.py",
    "test_features_cols.py",
    "test_fit_multiple.py",
    "test_folds.py",
    "test_model.py",
    "test_persistence.py",
    "test_summary.py",
    "test_tuning.py",
    "passes/test_contract.py",
    "passes/test_files.py",
]


def test_everything_works_on_spark_connect(tmp_path: Path) -> None:
    pytest.importorskip("grpc", reason="Spark Connect needs grpcio: pip install sparklr[connect]")
    if int(pyspark.__version__.split(".")[0]) < 4:
        pytest.skip("pyspark.ml came to Spark Connect with Spark 4.0")
    files = ["tests/connect", *(f"tests/{name}" for name in SHARED)]
    options = ["-p", "no:cacheprovider", "-m", "not classic", "--tb=short", "--durations=15"]
    with running(tmp_path) as address:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *files],
            cwd=ROOT, env={**os.environ, **address}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0
