"""A standalone cluster on this machine, run by the scripts that the containers run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.processes import matching, wait_until
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "docker"
HOST = "127.0.0.1"
TOO_LONG = 3600  # seconds for a driver, on a machine that does much else
# The group that the script begins ends with this process, however that ends.
GUARD = 'exec 3<&0; "$@" </dev/null 3<&- & read -r _ <&3; kill -KILL 0'
# Java starts in half the time where it never compiles twice.
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def install_wheel(folder: Path) -> Path:
    """The Python of a fresh environment with sparklr from its wheel; the rest is the tests' own."""
    wheels = folder / "wheels"
    _run("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(ROOT))
    (wheel,) = wheels.glob("sparklr-*.whl")
    venv.create(folder / "venv", with_pip=False, symlinks=True)
    python = folder / "venv" / "bin" / "python"
    how = "install", "--no-deps", "--no-index", "--no-compile", str(wheel)
    _run("--python", str(python), *how)
    (packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # Looked through after the environment's own; an editable sparklr is no folder in there.
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def _run(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "--quiet", "--disable-pip-version-check"],
        check=True,
        cwd="/",
        env=_environment(),
    )


def _environment(**more: str) -> dict[str, str]:
    """As a user's shell: nothing of it leads to the source tree or to another Spark."""
    ours = ("PYTHONPATH", "SPARK_HOME", "SPARK_LOCAL_DIRS", "PYSPARK_SUBMIT_ARGS", "SPARK_CONF_DIR")
    theirs = {key: value for key, value in os.environ.items() if key not in ours}
    return theirs | {"SPARK_LOCAL_IP": HOST, "PYTHONDONTWRITEBYTECODE": "1"} | more


def healthy(*arguments: str) -> bool:
    """What the containers' health check says."""
    return subprocess.run([sys.executable, str(SCRIPTS / "healthy.py"), *arguments]).returncode == 0


@dataclass(eq=False)
class Cluster:
    """A master, and workers that are added one by one; `close` ends them and their children."""

    python: Path
    folder: Path
    port: int = field(default_factory=lambda: free_port(HOST))
    _guards: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _logs: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        page = free_port(HOST)
        self.pages = [f"http://{HOST}:{page}/json/"]
        self._roles = {
            "MASTER_HOST": HOST,
            "MASTER_PORT": str(self.port),
            "MASTER_UI_PORT": str(page),
            "PYSPARK_PYTHON": str(self.python),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": QUICK_JAVA,
        }
        self._start("master")

    def add_worker(self, local: Path) -> None:
        """Start a worker that keeps its executors' files in this folder."""
        name, page = f"worker-{len(self._guards)}", free_port(HOST)
        # An address of its own, as Spark never runs a task twice on one host.
        host = f"127.0.0.{len(self._guards)}"
        self.pages.append(f"http://{host}:{page}/json/")
        self._start(
            "worker",
            WORKER_HOST=host,
            SPARK_LOCAL_IP=host,
            WORKER_UI_PORT=str(page),
            WORKER_CORES="1",
            WORKER_MEMORY="1g",
            WORK_DIR=str(self.folder / name),
            LOCAL_DIR=str(local),
        )

    def _start(self, role: str, **settings: str) -> None:
        log = self.folder / f"{role}-{len(self._guards)}.log"
        with log.open("wb") as file:
            guard = subprocess.Popen(
                ["bash", "-c", GUARD, role, str(SCRIPTS / f"{role}.sh")],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=_environment(**self._roles, **settings),
                start_new_session=True,
            )
        self._guards.append(guard)
        self._logs.append(log)

    def wait(self) -> None:
        """Until the master knows every worker."""
        workers = len(self._guards) - 1
        asked = self.pages[0], "aliveworkers", str(workers)
        try:
            wait_until(lambda: healthy(*asked), "the cluster starts")
        except TimeoutError as late:
            raise RuntimeError("\n".join(log.read_text() for log in self._logs)) from late

    def run(self, script: str, *arguments: str, **settings: str) -> dict[str, Any]:
        """What a driver prints, by name; each line is a name and JSON."""
        variables = {"CLIENT_HOST": HOST, "EXECUTOR_MEMORY": "600m"} | settings
        return outcomes(
            [str(SCRIPTS / "client.sh"), str(Path(__file__).with_name(script)), *arguments],
            _environment(**(self._roles | variables)),
        )

    def processes(self) -> list[int]:
        """Everything that runs on behalf of this cluster."""
        return sorted({*matching(f"{HOST}:{self.port}"), *matching(str(self.python), "pyspark")})

    def close(self) -> None:
        """End every process."""
        for guard in self._guards:
            assert guard.stdin is not None
            guard.stdin.close()
        for guard in self._guards:
            guard.wait(60)
        wait_until(lambda: not self.processes(), "the cluster ends")


def run_locally(python: Path, script: str, local: Path) -> dict[str, Any]:
    """What a driver prints in Spark's local mode, on as many cores as the cluster has."""
    settings = {
        "PYSPARK_PYTHON": str(python),
        "PYSPARK_DRIVER_PYTHON": str(python),
        "PYSPARK_SUBMIT_ARGS": "--master local[2] pyspark-shell",
        "SPARK_LOCAL_DIRS": str(local),
        "LOCAL_ROOT": str(local),
    }
    command = [str(python), str(Path(__file__).with_name(script))]
    return outcomes(command, _environment(**settings))


def outcomes(command: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Run a driver to its end; what it printed, or all it said if it failed."""
    done = subprocess.run(
        command, env=environment, cwd="/", capture_output=True, text=True, timeout=TOO_LONG
    )
    if done.returncode:
        raise RuntimeError(f"the driver failed\n{done.stdout}\n{done.stderr[-20_000:]}")
    return dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith("["))
