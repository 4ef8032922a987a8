"""The Spark session that is measured in, and what it runs on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyspark
import scipy.linalg  # noqa: F401  # loads its BLAS before the thread count is set for the JVM's
from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]
CORES = 2


@contextmanager
def bench_session(heap: str) -> Iterator[SparkSession]:
    """A quiet session on two local cores, whose JVM may take so much memory."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    # The tasks unpickle what this package defines.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    builder = (
        SparkSession.builder.master(f"local[{CORES}]")
        .appName("sparklr benchmarks")
        .config("spark.driver.memory", heap)
        .config("spark.driver.maxResultSize", "0")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", str(CORES))
    )
    with _one_blas_thread():
        spark = builder.getOrCreate()
    # Spark's own fits and its cleaner race to drop the same broadcasts, and report it as errors.
    spark.sparkContext.setLogLevel("FATAL")
    try:
        yield spark
    finally:
        spark.stop()


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """For the JVM that starts here: its tasks share the cores already, as Spark's guide says."""
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        del os.environ["OPENBLAS_NUM_THREADS"]
        if before is not None:
            os.environ["OPENBLAS_NUM_THREADS"] = before


def heap_for(scale: float) -> str:
    """The JVM's heap: 12 GB at full scale, but never more than half of the memory."""
    wanted = 3 if scale <= 0.1 else 12
    half = memory_gb() / 2
    return f"{max(1, round(min(wanted, half)))}g"


def memory_gb() -> float:
    """The machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def collect_garbage(spark: SparkSession) -> None:
    """Java's, so that none pays for what another left behind."""
    _jvm(spark).java.lang.System.gc()


def describe(spark: SparkSession, heap: str, load: float) -> dict[str, str]:
    """Hardware, versions and settings, as the page names them; `load` is what was going on."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores, {CORES} of them for Spark",
        "memory": f"{memory_gb():.0f} GB, {heap.removesuffix('g')} GB of it for the JVM's heap",
        "system": f"{platform.system()} {platform.machine()}",
        "versions": (
            f"Spark {pyspark.__version__}, "
            f"Java {_jvm(spark).java.lang.System.getProperty('java.version')}, "
            f"Python {platform.python_version()}, numpy {np.__version__}"
        ),
        "Spark's BLAS": native_blas(spark),
        "other load": f"{load:.1f} processes on average in the minute before",
    }


def native_blas(spark: SparkSession) -> str:
    """Which library Spark's netlib calls, or why it has none."""
    jvm = _jvm(spark)
    try:
        found = jvm.dev.ludovic.netlib.blas.NativeBLAS.getInstance().getClass().getSimpleName()
    except Exception:  # py4j's error, around whatever the loading of a library may throw
        java = jvm.dev.ludovic.netlib.blas.JavaBLAS.getInstance().getClass().getSimpleName()
        return f"not native: {java}"
    libraries = ", ".join(_loaded_blas(jvm.java.lang.ProcessHandle.current().pid()))
    return f"native: {found}" + (f" with {libraries}" if libraries else "") + ", one thread a task"


def _loaded_blas(process: int) -> list[str]:
    maps = Path(f"/proc/{process}/maps")
    if not maps.exists():
        return []
    files = {line.rsplit("/", 1)[-1] for line in maps.read_text().splitlines() if "/" in line}
    return sorted(name for name in files if "blas" in name and "jni" not in name)


def _jvm(spark: SparkSession) -> Any:
    return cast(Any, spark.sparkContext)._jvm


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
