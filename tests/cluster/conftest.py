"""One cluster for all tests of this folder, and what its drivers found out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.loopback import Cluster, install_wheel, run_locally


@pytest.fixture(scope="package")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with sparklr from its wheel."""
    if sys.platform != "linux":
        pytest.skip("processes are found by Linux's /proc")
    return install_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="package")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that has every worker's local directory."""
    return tmp_path_factory.mktemp("local")


@pytest.fixture(scope="package")
def cluster(
    python: Path, roots: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """A master and two workers of one core each."""
    made = Cluster(python, tmp_path_factory.mktemp("cluster"))
    try:
        for name in ("one", "two"):
            made.add_worker(roots / name)
        made.wait()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="package")
def expected(python: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the same driver finds in Spark's local mode."""
    return run_locally(python, "driver_plain.py", tmp_path_factory.mktemp("no-cluster"))


@pytest.fixture(scope="package")
def limited_python(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same Python, which may write no file beyond 16 kB, as if the disk were full."""
    wrapper = tmp_path_factory.mktemp("limited") / "python"
    wrapper.write_text(f'#!/usr/bin/env bash\nulimit -f 16\nexec {python} "$@"\n')
    wrapper.chmod(0o755)
    return wrapper


def may_mount(folder: Path) -> bool:
    """Whether this user may mount a file system: root may, but not in every container."""
    if os.geteuid() != 0:
        return False
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        return False
    subprocess.run(["umount", str(folder)], check=True)
    return True
