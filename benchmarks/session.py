"""The Spark session for measurements, the machine that it runs on, and its memory."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyspark
import scipy.linalg  # noqa: F401  # loads its BLAS before the thread count is set for the JVM's
from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
CORES = 2
LOCAL = f"local[{CORES}]"
EXECUTOR_MB = 4096


def cluster_of(executors: int) -> str:
    """Return the master of a cluster on this machine, of so many processes with one core each."""
    return f"local-cluster[{executors},1,{EXECUTOR_MB}]"


@contextmanager
def quiet_session(
    heap: str = "2g", log: str = "spark.log", master: str = LOCAL
) -> Iterator[SparkSession]:
    """Open a session on two local cores, whose JVM has this heap and prints only errors."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # The tasks unpickle objects of this package.
    paths = [os.environ.get("PYTHONPATH", ""), str(ROOT)]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    settings = Path(__file__).with_name("log4j2.properties").as_uri()
    builder = (
        SparkSession.builder.master(master)
        .appName("sparklr benchmarks")
        .config("spark.driver.memory", heap)
        .config("spark.executor.memory", f"{EXECUTOR_MB}m")
        # On a cluster the driver cannot read the executors' files.
        .config("spark.sparklr.mapFiles", str(master == LOCAL).lower())
        .config("spark.driver.maxResultSize", "0")
        .config("spark.driver.extraJavaOptions", f'"-Dlog4j2.configurationFile={settings}"')
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", str(CORES))
    )
    with _launching(BUILD / log):
        spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def _launching(file: Path) -> Iterator[None]:
    """Write the stderr of a JVM that starts here to a file, and limit it to one BLAS thread.

    The JVM and its libraries write messages outside the log to stderr. Spark's guide recommends one
    BLAS thread, because the JVM's tasks already use all cores.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    stderr, threads = os.dup(2), os.environ.get("OPENBLAS_NUM_THREADS")
    with file.open("wb") as written:
        os.dup2(written.fileno(), 2)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        yield
    except BaseException:
        os.write(stderr, file.read_bytes())
        raise
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        del os.environ["OPENBLAS_NUM_THREADS"]
        if threads is not None:
            os.environ["OPENBLAS_NUM_THREADS"] = threads


def heap_for(scale: float, sessions: int = 1) -> str:
    """Return a JVM's heap: 12 GB at full scale, but for all JVMs at most half of the memory."""
    wanted = 3 if scale <= 0.1 else 12
    return f"{max(1, round(min(wanted, _memory_gb() / 2 / sessions)))}g"


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def jvm_of(spark: SparkSession) -> Any:
    """Return the session's JVM."""
    return cast(Any, spark.sparkContext)._jvm


def describe(spark: SparkSession, heap: str, load: float) -> dict[str, str]:
    """Return hardware, versions and settings for the page; `load` is the machine's load before."""
    jvm = jvm_of(spark)
    # The BLAS of Spark's own estimator; JNIBLAS is native.
    blas = jvm.dev.ludovic.netlib.blas.BLAS.getInstance().getClass().getSimpleName()
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {CORES} of them for Spark",
        "memory": f"{_memory_gb():.0f} GB, {heap.removesuffix('g')} GB of it for the JVM's heap",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": (
            f"Spark {pyspark.__version__}, Java {jvm.java.lang.System.getProperty('java.version')},"
            f" Python {platform.python_version()}, numpy {np.__version__}"
        ),
        "Spark's BLAS": f"{blas}, {'native' if blas == 'JNIBLAS' else 'not native'}",
        "other load": f"{load:.1f} processes on average in the minute before",
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def forget_peaks() -> None:
    """Reset the peaks of `peak_gigabytes`."""
    for process in _tree(os.getpid()):
        with suppress(OSError):  # it has ended, or there is no /proc
            (process / "clear_refs").write_text("5")


def peak_gigabytes() -> float | None:
    """Return the sum of the peak memories of the driver, the JVM and the Python workers."""
    kilobytes = 0
    for process in _tree(os.getpid()):
        with suppress(OSError):
            lines = (process / "status").read_text().splitlines()
            kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    return kilobytes / 2**20 or None


def _tree(process: int) -> list[Path]:
    """Return the directories in /proc of a process and of all its descendants."""
    here, below = Path(f"/proc/{process}"), ""
    with suppress(OSError):
        below = " ".join(file.read_text() for file in here.glob("task/*/children"))
    return [here, *(found for child in below.split() for found in _tree(int(child)))]
