"""Runs pytest as a client of Spark Connect, on a server of its own.

    python -m tests.connect.client -m connect_slice
    python -m tests.connect.client tests/test_model.py::test_overwrite

A process has either classic sessions or those of Spark Connect, so the client is another process
than the one of the other tests, and the server a third.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pyspark

from tests.connect.server import running

ROOT = Path(__file__).parents[2]


def why_not() -> str | None:
    """What a client lacks here; None if nothing."""
    if int(pyspark.__version__.split(".")[0]) < 4:
        return "pyspark.ml came to Spark Connect with Spark 4.0"
    if find_spec("grpc") is None:
        return "Spark Connect needs grpcio: pip install sparklr[connect]"
    return None


def main(options: list[str]) -> int:
    """Run pytest with these options; return its exit code."""
    reason = why_not()
    if reason is not None:
        print(f"The tests on Spark Connect are skipped: {reason}")
        return 0
    # No cache: what failed in a classic session is another test, if of the same name.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    with TemporaryDirectory(prefix="sparklr-connect-") as folder, running(Path(folder)) as address:
        return subprocess.run(
            command, cwd=ROOT, env={**os.environ, **address}, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
