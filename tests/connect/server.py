"""A server of Spark Connect in a process of its own: its clients have no JVM to fall back on."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

READY = "ready"
TOKEN = "SPARK_CONNECT_AUTHENTICATE_TOKEN"


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """A server that puts its files into the folder; gives what a client's environment needs."""
    port = str(free_port("127.0.0.1"))
    token = {TOKEN: secrets.token_hex()}
    command = [sys.executable, "-m", __name__, port, str(folder)]
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            env={**os.environ, **token}, cwd=Path(__file__).parents[2],
        ) as server,
    ):  # fmt: skip
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            if READY.encode() not in server.stdout.read(len(READY)):
                raise RuntimeError((folder / "server.log").read_text(errors="replace")[-5_000:])
            yield {**token, "SPARK_REMOTE": f"sc://localhost:{port}"}
        finally:
            server.stdin.close()  # it ends with its input, thus with whoever has started it


def main(port: str, folder: str) -> None:
    """Serve until the input ends."""
    from pyspark.sql import SparkSession

    settings = {
        "spark.plugins": "org.apache.spark.sql.connect.SparkConnectPlugin",
        "spark.connect.grpc.binding.port": port,
        "spark.driver.memory": "2g",
        "spark.local.dir": folder,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        "spark.sql.codegen.wholeStage": "false",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    print(READY, flush=True)
    sys.stdin.read()
    session.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
