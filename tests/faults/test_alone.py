"""Tasks that fail once, a cache that is emptied, and two hundred fits in one session.

Looked at in a program of its own, as memory is that of a process and Spark's cache that of all.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.soak

PROGRAM = Path(__file__).parent / "alone.py"
# Fits: so many before the first look, then on the driver, and over files.
WARM, LOCAL, FILES = 30, 180, 20
# How much a process may hold more after LOCAL + FILES fits than before them. What Spark remembers
# of past jobs and queries takes some megabytes of the JVM until its limits are reached.
MOST = {
    "driver MB": 15.0,
    "heap MB": 40.0,
    "largest worker MB": 15.0,
    "workers": 2,
    "open files": 4,
    "open files of the JVM": 30,
    "threads": 2,
    "persisted": 0,
    "marked": 0,
    "block folders": 0,
    "views": 0,
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: Any) -> dict[str, Any]:
    """What the program printed."""
    root = str(PROGRAM.parents[2])
    paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    folder = str(tmp_path_factory.mktemp("faults"))
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(WARM), str(LOCAL), str(FILES)],
        env={**os.environ, "PYTHONPATH": paths, "FAULTS_FOLDER": folder},
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.mark.parametrize(
    "fault",
    ["none", "error while packing", "error in a pass", "dead worker while packing",
     "dead worker in a pass", "cache cleared", "partitions evicted"],
)  # fmt: skip
def test_the_coefficients_are_the_same_after(found: dict[str, Any], fault: str) -> None:
    assert found["faults"][fault] < 1e-12


@pytest.mark.parametrize("what", list(MOST))
def test_two_hundred_fits_later_there_is_no_more(found: dict[str, Any], what: str) -> None:
    before, after = found["before"][what], found["after"][what]
    assert after - before <= MOST[what], (found["before"], found["after"])
    if MOST[what] == 0:
        assert after == 0
