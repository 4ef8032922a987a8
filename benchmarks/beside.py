"""The estimator of another checkout, in its own process and session.

    python -m benchmarks.run --only well --beside FOLDER

The other process runs these benchmarks with FOLDER's `sparklr`: each line of input starts a run,
and the result is a line of JSON. While one process runs, the other waits.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks.judge import Side
from benchmarks.rivals import Rows, rivals_in_session
from benchmarks.session import BUILD, ROOT, heap_for, quiet_session
from benchmarks.workloads import chosen


class Beside:
    """The rival that runs each job in the other process."""

    name = "beside"

    def __init__(self, folder: Path, workload: str, scale: float) -> None:
        # A folder that has only FOLDER's sparklr is first on the other process's path.
        path = BUILD / "beside"
        path.mkdir(parents=True, exist_ok=True)
        (path / "sparklr").unlink(missing_ok=True)
        (path / "sparklr").symlink_to((folder / "sparklr").resolve(strict=True))
        command = [sys.executable, "-m", "benchmarks.beside", workload, str(scale)]
        variables = os.environ | {"PYTHONPATH": f"{path}{os.pathsep}{ROOT}"}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=path, env=variables, stdin=pipe, stdout=pipe, text=True
        )

    def fit(self, _: Rows, /, *, warm_up: bool = False) -> Side:
        """Return the result of the other process."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("warm up" if warm_up else "fit", file=self.process.stdin, flush=True)
        for line in self.process.stdout:
            if line.startswith("{"):
                return Side(**json.loads(line))
            print(line, end="")  # an error that Spark logs
        raise RuntimeError("The process of the other checkout has ended.")


def main(name: str, scale: str) -> None:
    """Run the other process, which ends when its input ends."""
    (workload,) = chosen([name])
    with quiet_session(heap_for(float(scale), 2), "beside.log", workload.master) as spark:
        rows = Rows(workload.dataset, spark, float(scale))
        ours, _ = rivals_in_session(workload, rows)
        for line in sys.stdin:
            side = ours.fit(rows, warm_up=line.startswith("warm"))
            print(json.dumps(asdict(replace(side, found=None))), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
