"""The fit of `driver_plain` where disks are full or memory is short.

`driver_disk.py limit PYTHON`: workers run by this Python, which may not write files beyond a size.
`driver_disk.py full`: one executor's directory is a file system that fills up; needs root.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from processes import wait_until
from pyspark import StorageLevel
from workload import (
    MANY,
    at_pass,
    fit,
    folders,
    left,
    local_dirs,
    local_root,
    numbers,
    rows,
    say,
    shipped,
    start,
)

from sparklr.packing.block_files import RESERVE

# Of a heap of 500 MB Spark leaves 300 alone: this is 4 MB for its cache and all else.
LITTLE = {"spark.executor.memory": "500m", "spark.memory.fraction": "0.02"}


def limited(python: str) -> None:
    """No block file can be written, so Spark holds the blocks, and has no memory for them."""
    os.environ["PYSPARK_PYTHON"] = python
    session, root = start(**LITTLE), local_root()
    context: Any = session.sparkContext
    seen: dict[str, Any] = {}

    def told() -> list[Any]:
        return list(context._jsc.sc().getRDDStorageInfo())

    def whole(each: Any) -> bool:
        return bool(each.numCachedPartitions() == each.numPartitions())

    def look(passes: Any) -> None:
        seen["shipped"] = shipped(passes)
        seen["files"] = sum(len(os.listdir(folder)) for folder in folders(root))
        # Spark tells of what it holds a little later.
        wait_until(lambda: any(map(whole, told())), "Spark holds the packed rows")
        stored = told()
        seen["on disk"] = [each.diskSize() for each in stored if each.isCached()]
        seen["partitions"] = [(each.numCachedPartitions(), each.numPartitions()) for each in stored]

    with at_pass(look, 2):
        model = fit(rows(session))
    say("no file can be written", numbers=numbers(model), left=left(session, root), **seen)

    with at_pass(look, 2):
        model = fit(rows(session, count=MANY))
    say("little memory", numbers=numbers(model), left=left(session, root), **seen)

    frame = rows(session, count=MANY).persist(StorageLevel.MEMORY_ONLY)
    frame.count()
    with at_pass(look, 2):
        model = fit(frame)
    frame.unpersist(blocking=True)
    say("frame evicted", numbers=numbers(model), left=left(session, root), **seen)
    session.stop()
    say("after", left=folders(root))


def full() -> None:
    """The first blocks find room above the reserve, the others do not; then nothing is free."""
    session, root = start(), local_root()
    disk = local_dirs(session)[0]
    size = RESERVE + 200_000
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "full", disk], check=True
    )
    seen: dict[str, Any] = {}

    def fill(passes: Any) -> None:
        seen["shipped"] = shipped(passes)
        seen["files"] = [len(os.listdir(folder)) for folder in folders(root)]
        with (Path(disk) / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(disk).free)
        seen["free"] = shutil.disk_usage(disk).free

    try:
        with at_pass(fill, 2):
            model = fit(rows(session))
        say("a full disk", numbers=numbers(model), left=left(session, root), **seen)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
    session.stop()
    say("after", left=folders(root))


if __name__ == "__main__":
    limited(sys.argv[2]) if sys.argv[1] == "limit" else full()
